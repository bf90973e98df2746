"""What talents sold, day by day as the platform reports it, and the accounts a daily look proposes to shops (BND-9, BND-11)."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from models.base import UTCDateTime, code


class TalentDay(SQLModel, table=True):
    """One talent's sales of one day, in fen; a later report of the day replaces an earlier one."""

    __tablename__ = "talent_day"
    __table_args__ = (
        CheckConstraint("total_fen >= 0", name="ck_talent_day_total"),
        Index("ix_talent_day_recorded", "recorded_at"),
    )

    account_id: str = Field(primary_key=True, sa_type=code())
    day: date = Field(primary_key=True)
    as_of: datetime = Field(sa_type=UTCDateTime)
    recorded_at: datetime = Field(sa_type=UTCDateTime)
    total_fen: int = Field(sa_type=BigInteger)
    parts_fen: int = Field(sa_type=BigInteger)
    """What the shops' parts add up to: more than the total contradicts it (ambiguity 50)."""
    whole: bool
    """Whether the report is from after the day's end; one from before is not the whole day."""


class TalentShopDay(SQLModel, table=True):
    """What of it were goods of one shop. A shop that a day's report does not name sold nothing through the talent."""

    __tablename__ = "talent_shop_day"
    __table_args__ = (
        CheckConstraint("fen >= 0", name="ck_talent_shop_day_fen"),
        Index("ix_talent_shop_day_shop", "shop_id", "day"),
    )

    account_id: str = Field(primary_key=True, sa_type=code())
    day: date = Field(primary_key=True)
    shop_id: str = Field(primary_key=True, sa_type=code())
    fen: int = Field(sa_type=BigInteger)


_STANDS = text("ended_at IS NULL")


class SelfOperatedProposal(SQLModel, table=True):
    """An account that sells mostly for one shop and is nobody's self-operated one yet; with its history."""

    __tablename__ = "self_operated_proposal"
    __table_args__ = (
        Index(
            "uq_self_operated_proposal",
            "shop_id",
            "account_id",
            unique=True,
            sqlite_where=_STANDS,
            postgresql_where=_STANDS,
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    shop_id: str = Field(foreign_key="shop.id", sa_type=code())
    account_id: str = Field(sa_type=code())
    proposed_at: datetime = Field(sa_type=UTCDateTime)
    shop_fen: int = Field(sa_type=BigInteger)
    total_fen: int = Field(sa_type=BigInteger)
    ended_at: datetime | None = Field(default=None, sa_type=UTCDateTime)


class SelfOperatedCheck(SQLModel, table=True):
    """The daily look: how far it is, and what it found; begun anew the same day when days of talents came after it."""

    __tablename__ = "self_operated_check"

    day: date = Field(primary_key=True)
    started_at: datetime = Field(sa_type=UTCDateTime)
    upto: str = Field(default="", sa_type=code())
    """Shops up to this one have been looked at."""
    shops: int = 0
    proposed: int = 0
    ended: int = 0
    done_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
