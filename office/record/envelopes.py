"""Envelopes: what a message in the outbox says, sealed together with where it goes, so that SQL sends nothing elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from models.messages import Channel, OutboxMessage, OutboxState
from office.base.vault import CannotUnseal, Place, keyed_hash, place, same, seal_json, unseal_json

TO, BODY, SINCE = "to", "body", "since"
ADDRESSED = ("channel", "topic", "audience", "case_id", "shop_id")
"""What of a row says where it goes."""


def place_of(key: str) -> Place:
    return place(OutboxMessage, "payload_sealed", key)


def sealed(key: str, body: Any, to: Mapping[str, Any], since: datetime) -> str:
    """``since``: from when it may leave."""
    return seal_json({TO: [to[name] for name in ADDRESSED], BODY: body, SINCE: since.isoformat()}, place_of(key))


def opened(key: str, found: str) -> tuple[Any, dict[str, Any] | None]:
    """The words, and where they go; earlier versions and bulk messages sealed no address. Raises ``CannotUnseal``."""
    value = unseal_json(found, place_of(key))
    if isinstance(value, dict) and value.keys() - {SINCE} == {TO, BODY}:
        channel, *rest = value[TO]
        return value[BODY], dict(zip(ADDRESSED, (Channel(channel), *rest), strict=True))
    return value, None


def since(key: str, found: str) -> datetime | None:
    """From when a message may leave, and that its end is sealed; nothing of those of earlier versions."""
    value = unseal_json(found, place_of(key))
    return (
        datetime.fromisoformat(value[SINCE]) if isinstance(value, dict) and value.keys() == {TO, BODY, SINCE} else None
    )


def closing(key: str, state: OutboxState) -> str:
    """The seal on that a message has left, or will not."""
    return keyed_hash(f"closed|{key}|{state.value}")


def closed_so(key: str, state: str, seal: str | None) -> bool:
    """Whether it was we who closed it so."""
    return same(seal, closing(key, OutboxState(state)))


def address(row: Any) -> dict[str, Any]:
    """Where a row, or what was leased of it, says that it goes."""
    return {name: getattr(row, name) for name in ADDRESSED}


def ours(row: OutboxMessage) -> bool:
    """Whether it was we who wrote this, for where it goes now; of bulk messages nothing is sealed, and nothing is known."""
    try:
        _, to = opened(row.key, row.payload_sealed)
    except (CannotUnseal, ValueError):
        return False
    return bool(row.payload_sealed) and to in (None, address(row))
