"""What every table and value shares: aware UTC times, JSON columns, labelled enums, frozen values."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict
from sqlalchemy import JSON, DateTime, String, TypeDecorator
from sqlalchemy.engine import Dialect

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Labelled(StrEnum):
    """An enum whose members carry the Chinese word that operators and merchants read."""

    label: str

    def __new__(cls, value: str, label: str = "") -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.label = label
        return member


class Frozen(BaseModel):
    """A value: compared by content, never changed, closed to unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class UTCDateTime(TypeDecorator[datetime]):
    """An aware datetime, stored in UTC. A naive one is refused: a deadline without a zone is a bug."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}: say which zone it is in")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Word(TypeDecorator[Labelled]):
    """A labelled enum, stored as its value and read back as the enum. A value nobody knows is refused both ways."""

    impl = String
    cache_ok = True

    def __init__(self, words: type[Labelled]) -> None:
        super().__init__(32)
        self.words = words

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else self.words(value).value

    def process_result_value(self, value: Any, dialect: Dialect) -> Labelled | None:
        return None if value is None else self.words(value)


def json_type() -> JSON:
    """A JSON column: the same Python value back on SQLite and PostgreSQL."""
    return JSON(none_as_null=True)


def code(length: int = 64) -> String:
    """A short identifier column."""
    return String(length)


def new_id(prefix: str, at: datetime) -> str:
    """A fresh identifier a person can read out: ``CLS-261122-7K3QM9`` (kind, day opened in UTC, chance)."""
    chance = "".join(secrets.choice(_CROCKFORD) for _ in range(6))
    return f"{prefix}-{at.astimezone(UTC):%y%m%d}-{chance}"
