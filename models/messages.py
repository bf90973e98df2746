"""Messages in and out: the inbox the door fills, the outbox that delivery empties. Bodies are sealed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Column, Field, SQLModel

from models.base import Labelled, UTCDateTime, Word, code, json_type


class InboxState(Labelled):
    NEW = "NEW", "待处理"
    DONE = "DONE", "已处理"
    KEPT = "KEPT", "已留存"
    """Acknowledged and kept, with nothing to do: an event type that is not mapped."""
    REFUSED = "REFUSED", "已拒绝"
    """Understood, and refused with a reason: an unknown shop, a case that has ended."""
    FAILED = "FAILED", "处理失败"
    """Given up after retries; an operator is told and can send it round again."""


class InboxMessage(SQLModel, table=True):
    """A message as it reached the door, once per ``(source, message_id)``. Acting on it comes later."""

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("source", "message_id", name="uq_inbox"),
        Index("ix_inbox_state", "state", "next_at"),
        Index("ix_inbox_shop", "shop_id", "state"),
        {"info": {"row": ("source", "message_id")}},
    )

    id: int | None = Field(default=None, primary_key=True)
    source: str = Field(sa_type=code(32))
    message_id: str = Field(sa_type=code(200))
    type: str = Field(sa_type=code(100))
    shop_id: str | None = Field(default=None, sa_type=code())
    case_id: str | None = Field(default=None, sa_type=code())
    body_sealed: str
    body_sha256: str = Field(sa_type=code(64))
    received_at: datetime = Field(sa_type=UTCDateTime)
    state: InboxState = Field(default=InboxState.NEW, sa_type=Word(InboxState))
    attempts: int = 0
    next_at: datetime = Field(sa_type=UTCDateTime)
    handled_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    note: str = ""
    conflicts: int = 0
    """How often the same id came again with other bytes."""
    others: dict[str, str] = Field(default_factory=dict, sa_type=json_type())
    """What came then, each once: hash → sealed body. Nothing acts on it."""

    @property
    def origin(self) -> str:
        """Where it came from and under which id: what a case that it opens is known by to its sender."""
        return f"{self.source}/{self.message_id}"


class Channel(Labelled):
    """What kind of thing an outbox row is; each has one deliverer."""

    EVENT = "EVENT", "平台事件"
    MERCHANT = "MERCHANT", "商家消息"
    STAFF = "STAFF", "员工通知"
    RUN = "RUN", "案件唤醒"
    """Start or wake the case's Prefect run."""


class OutboxState(Labelled):
    NEW = "NEW", "待投递"
    SENT = "SENT", "已投递"
    SKIPPED = "SKIPPED", "已跳过"
    DEAD = "DEAD", "投递失败"


class OutboxMessage(SQLModel, table=True):
    """Something to deliver, written in the transaction that caused it; at least once, with its key."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_due", "state", "next_at"),
        Index("ix_outbox_case", "case_id"),
        {"info": {"row": ("key",)}},
    )

    id: int | None = Field(default=None, primary_key=True)
    """The order in which messages were written, which is the order in which they leave."""
    key: str = Field(unique=True, sa_type=code(200))
    """Unique for ever: the same message written twice is one message. Also the receiver's idempotency key."""
    channel: Channel = Field(sa_type=Word(Channel))
    topic: str = Field(sa_type=code(100))
    """Event type, message folder, or ``run``."""
    case_id: str | None = Field(default=None, sa_type=code())
    shop_id: str | None = Field(default=None, sa_type=code())
    audience: str = Field(default="", sa_type=code(64))
    """A role for staff; empty otherwise."""
    payload_sealed: str
    created_at: datetime = Field(sa_type=UTCDateTime)
    state: OutboxState = Field(default=OutboxState.NEW, sa_type=Word(OutboxState))
    attempts: int = 0
    next_at: datetime = Field(sa_type=UTCDateTime)
    leased_until: datetime | None = Field(default=None, sa_type=UTCDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    note: str = ""
    """The last error, the reason of a skip, or by which services it went; never an address."""
    reached: list[str] = Field(default_factory=list, sa_column=Column(json_type(), nullable=False))
    """Services (as keys that give no address away) that an attempt which failed in part did reach."""
    wakes: str | None = Field(default=None, sa_type=code())
    """The case to wake when this has left, or will not leave any more: in the transaction that says so."""
    closing_seal: str | None = Field(default=None, sa_type=code(64))
    """That it was we who said that it has left or will not, under a key that the database does not hold."""
    twice: int | None = None
    """How often it was sent without our learning how that went, and sent again: so often it may have come once more."""
