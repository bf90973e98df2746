"""What shops did, day by day: kept as of its time, a later report of a day in place of an earlier one (ALL-1, LAD-1)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlmodel import col, select

from models.figure_events import FiguresOfADay, ShopFigures
from models.figures import ShopDay
from models.messages import InboxMessage
from office.base.db import Tx
from office.process import Process
from office.record.inbox import Refused
from policies.days import begins_at, ends_at
from policies.policy import policy_at


def refuse_future(tx: Tx, message: InboxMessage, as_of: datetime, days: Iterable[date], clause: str) -> None:
    """Refuse figures as of a moment that has not come, or of days that had not begun then."""
    ahead = policy_at(tx.now).closure.facts_ahead_minutes
    if as_of > message.received_at + timedelta(minutes=ahead):
        raise Refused(f"数据的截止时间晚于收到时间超过 {ahead} 分钟,未采用", clause)
    if late := [day for day in days if begins_at(day) > as_of]:
        raise Refused(f"数据含有截止时间之后的日期:{min(late)}", clause)


def record(tx: Tx, event: ShopFigures, message: InboxMessage) -> None:
    """Keep the days of a batch in one statement; those older than what is known stay away.

    Shops need not be registered yet: figures are facts of their own.
    """
    refuse_future(tx, message, event.as_of, (one.day for one in event.days), "ALL-1")
    rows = [_row(one, event.as_of, tx.now) for one in sorted(event.days, key=lambda one: (one.shop_id, one.day))]
    put = (postgres_insert if tx.postgres else sqlite_insert)(ShopDay).values(rows)
    changed = {name: put.excluded[name] for name in rows[0] if name not in {"shop_id", "day"}}
    newer = col(ShopDay.as_of) <= put.excluded.as_of
    tx.execute(put.on_conflict_do_update(index_elements=["shop_id", "day"], set_=changed, where=newer))


def _row(one: FiguresOfADay, as_of: datetime, now: datetime) -> dict[str, Any]:
    return {
        "shop_id": one.shop_id, "day": one.day, "as_of": as_of, "recorded_at": now, "whole": as_of >= ends_at(one.day),
        "score_hundredths": one.score.hundredths if one.score else None,
        "score_scale": one.score.scale if one.score else None,
        "dsr_hundredths": one.dsr.hundredths if one.dsr else None, "dsr_scale": one.dsr.scale if one.dsr else None,
        "ratings": one.ratings, "positive": one.positive, "gmv_fen": one.gmv_fen,
        "spot_orders": one.orders.spot if one.orders else None,
        "presale_orders": one.orders.presale if one.orders else None,
        "ladder_orders": one.orders.ladder if one.orders else None,
    }  # fmt: skip


def days(tx: Tx, shop_id: str, first: date, last: date) -> dict[date, ShopDay]:
    """What is known of a shop's days from ``first`` to ``last``, both included; a day that is not there is not known."""
    query = select(ShopDay).where(ShopDay.shop_id == shop_id, ShopDay.day >= first, ShopDay.day <= last)
    return {one.day: one for one in tx.exec(query)}


PROCESS = Process(name="shop-figures", hears={ShopFigures: record})
