"""What a shop did on one day, as the platform counts it: whoever needs a window reckons it from days (ambiguities 50, 51)."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Index
from sqlmodel import Field, SQLModel

from models.base import UTCDateTime, code


class ShopDay(SQLModel, table=True):
    """One shop's day; a later report of it replaces the whole of an earlier one. ``None`` is not known, and never zero."""

    __tablename__ = "shop_day"
    __table_args__ = (
        Index("ix_shop_day_day", "day"),
        CheckConstraint("positive IS NULL OR ratings IS NOT NULL", name="ck_shop_day_positive_of_ratings"),
        CheckConstraint("(score_hundredths IS NULL) = (score_scale IS NULL)", name="ck_shop_day_score_scale"),
        CheckConstraint("(dsr_hundredths IS NULL) = (dsr_scale IS NULL)", name="ck_shop_day_dsr_scale"),
    )

    shop_id: str = Field(primary_key=True, sa_type=code())
    day: date = Field(primary_key=True)
    as_of: datetime = Field(sa_type=UTCDateTime)
    recorded_at: datetime = Field(sa_type=UTCDateTime)
    whole: bool
    """Whether the report is from after the day's end."""
    score_hundredths: int | None = None
    """The shop's score times a hundred, on a scale that ends at ``score_scale``: 4.85 of 5 is 485 and 5."""
    score_scale: int | None = None
    dsr_hundredths: int | None = None
    dsr_scale: int | None = None
    ratings: int | None = None
    positive: int | None = None
    gmv_fen: int | None = Field(default=None, sa_type=BigInteger)
    """成交金额, gross of refunds."""
    spot_orders: int | None = None
    presale_orders: int | None = None
    ladder_orders: int | None = None
