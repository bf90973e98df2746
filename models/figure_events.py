"""Events about what shops did day by day (ALL, LAD)."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from models.base import Frozen
from models.event_parts import Rejected
from models.money import Fen
from models.wire import Count, Day, Event, Id, LineOf, Moment, Outgoing, inbound, outbound

Figure = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^[0-9]{1,3}(\.[0-9]{1,2})?$"),
    Field(description="a number as text, with at most two decimals"),
]


class Scored(Frozen):
    """A score with the number its scale ends at, since later years use 100 instead of 5 (ambiguity 51)."""

    value: Figure
    scale: Literal[5, 100] = 5

    @model_validator(mode="after")
    def _on_the_scale(self) -> Self:
        if self.hundredths > self.scale * 100:
            raise ValueError("a value within its scale")
        return self

    @property
    def hundredths(self) -> int:
        return int(Decimal(self.value) * 100)


class Orders(Frozen):
    """Orders placed that day, by how their goods are shipped."""

    spot: Count
    presale: Count = 0
    ladder: Count = 0


class FiguresOfADay(Frozen):
    """One shop's day. What is left out is not known."""

    shop_id: Id
    day: Day
    score: Scored | None = None
    dsr: Scored | None = None
    ratings: Count | None = None
    positive: Count | None = None
    gmv_fen: Fen | None = None
    orders: Orders | None = None

    @model_validator(mode="after")
    def _positive_of_how_many(self) -> Self:
        if self.positive is not None and self.ratings is None:
            raise ValueError("ratings with positive: a part needs its whole")
        return self


@inbound
class ShopFigures(Event):
    """店铺逐日经营数据(ALL-1、LAD-1)

    Whole days of Asia/Shanghai, of up to 500 shops and days in a batch. What is sent later for a day replaces all of it, if
    it is as of the same moment or later. What is left out is not known, and is never taken for zero. Each line is judged by
    itself: good ones are kept, the others come back in ``figures.rejected``.
    """

    type: ClassVar[str] = "shop.figures"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "as_of": "2026-11-22T02:00:00+08:00",
        "days": [
            {
                "shop_id": "shop-1001",
                "day": "2026-11-21",
                "score": {"value": "4.85"},
                "dsr": {"value": "4.9"},
                "ratings": 40,
                "positive": 39,
                "gmv_fen": 1280000,
                "orders": {"spot": 110, "presale": 8, "ladder": 2},
            }
        ],
    }

    as_of: Moment
    days: Annotated[tuple[Annotated[Any, LineOf(FiguresOfADay)], ...], Field(min_length=1, max_length=500)]


@outbound
class FiguresRejected(Outgoing):
    """逐日数据中未采用的行(ALL-1、BND-9)

    Lines of a batch of ``shop.figures`` or ``talent.sales`` that were not taken; the others were. Sent right under a new
    message id, they are. Of lines that contradict each other about one day none is taken.
    """

    type: ClassVar[str] = "figures.rejected"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "message_id": "figures-2026-11-22",
        "batch": "shop.figures",
        "accepted": 499,
        "rejected": [{"position": 7, "item_id": "shop-1007", "field": "ratings", "reason": "须为不小于 0 的整数"}],
    }

    message_id: str
    """The id of the message they came in."""
    batch: str
    """Its type."""
    accepted: Count
    rejected: tuple[Rejected, ...]
