"""Audit: append-only, hash-chained per stream, in the transaction of the change it records."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlmodel import Column, Field, SQLModel

from models.base import UTCDateTime, code, json_type

AGAIN = "~"
"""Between a stream's name and the number of the one in which it goes on since its chain was broken; in no id of ours."""


class AuditEntry(SQLModel, table=True):
    """One thing that happened. ``hash`` covers every other field and the hash before it in the stream."""

    __tablename__ = "audit"
    __table_args__ = (UniqueConstraint("stream", "seq", name="uq_audit"),)

    id: int | None = Field(default=None, primary_key=True)
    stream: str = Field(sa_type=code(100))
    """A case id, ``shop/<id>``, ``staff/<id>``, ``alerts`` or ``system``: chains that never wait for one another."""
    seq: int
    at: datetime = Field(sa_type=UTCDateTime)
    actor: str = Field(sa_type=code(100))
    """``staff/<id>``, ``merchant/<account>``, ``platform``, ``bank`` or ``system``."""
    action: str = Field(sa_type=code(64))
    clause: str = Field(default="", sa_type=code(64))
    text: str = ""
    """What a person reads in the timeline, in Chinese; no personal data."""
    detail: dict[str, Any] = Field(default_factory=dict, sa_column=Column(json_type(), nullable=False))
    public: bool = False
    """Whether the merchant may read this line."""
    prev_hash: str = Field(sa_type=code(64))
    hash: str = Field(sa_type=code(64))

    @property
    def number(self) -> str:
        """What names the line among its stream's and those in which the stream goes on (``2.7``)."""
        again = self.stream.partition(AGAIN)[2]
        return f"{again}.{self.seq}" if again else str(self.seq)


class AuditHead(SQLModel, table=True):
    """The end of a stream, sealed with a key that the database does not hold: a cut-off tail shows."""

    __tablename__ = "audit_head"

    stream: str = Field(primary_key=True, sa_type=code(100))
    seq: int
    hash: str = Field(sa_type=code(64))
    seal: str = Field(sa_type=code(64))


class ClockOffset(SQLModel, table=True):
    """By how many seconds a demonstration's clock is ahead. Production settings refuse to read or write it."""

    __tablename__ = "clock_offset"

    id: int = Field(default=1, primary_key=True)
    seconds: int = 0


class Installation(SQLModel, table=True):
    """Small facts about this installation: the identity of the Prefect database we last saw, and the like."""

    __tablename__ = "installation"

    key: str = Field(primary_key=True, sa_type=code(64))
    value: str
