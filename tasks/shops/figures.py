"""What shops did, day by day: kept as of its time, a later report of a day in place of an earlier one (ALL-1, LAD-1)."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlmodel import col, select

from models.event_parts import Rejected
from models.figure_events import FiguresOfADay, FiguresRejected, ShopFigures
from models.figures import ShopDay
from models.messages import InboxMessage
from models.talent_events import TalentSales, TalentSalesOfADay
from office.base.db import Tx
from office.cases.cases import emit
from office.items import batches
from office.items.batches import DAY, ID, MONEY, Sentences
from office.process import Process
from office.record.inbox import Refused
from policies.days import begins_at, ends_at
from policies.policy import policy_at

_SCORE = "分值须为文本写的数字,最多两位小数,不超过满分(scale 为 5 或 100)"
_COUNT = "须为不小于 0 的整数"
_WORDS = Sentences(
    key="shop_id",
    fields={
        "shop_id": ID,
        "day": DAY,
        "score": _SCORE,
        "dsr": _SCORE,
        "ratings": _COUNT,
        "positive": _COUNT,
        "gmv_fen": MONEY,
        "orders": f"各类订单数{_COUNT},并须有现货订单数 spot",
    },
    rules={"ratings with positive": ("ratings", "有好评数就须有评价数")},
)

D = TypeVar("D", FiguresOfADay, TalentSalesOfADay)


def judged(
    tx: Tx, event: ShopFigures | TalentSales, message: InboxMessage, model: type[D], words: Sentences, clause: str
) -> list[D]:
    """The lines of a batch that can be kept, in one order for everybody; what is wrong with the others is told its sender.

    A line is of a day that had begun when it was counted, and said once: of two that differ neither is the day's.
    """
    ahead = policy_at(tx.now).closure.facts_ahead_minutes
    if event.as_of > message.received_at + timedelta(minutes=ahead):
        raise Refused(f"数据的截止时间晚于收到时间超过 {ahead} 分钟,未采用", clause)
    read, rejected = batches.read(model, enumerate(event.days, 1), words)
    said: dict[tuple[str, date], list[tuple[int, D]]] = defaultdict(list)
    for position, one in read:
        said[getattr(one, words.key), one.day].append((position, one))
    good = []
    for (item_id, day), lines in sorted(said.items()):
        early = begins_at(day) > event.as_of
        if early or any(one != lines[0][1] for _, one in lines):
            why = "日期晚于数据的截止时间" if early else "同一日期出现多次且内容不同"
            rejected += [Rejected(position=n, item_id=item_id, field="day", reason=why) for n, _ in lines]
        else:
            good.append(lines[0][1])
    if rejected:
        told = FiguresRejected(
            message_id=message.message_id,
            batch=event.type,
            accepted=len(good),
            rejected=tuple(sorted(rejected, key=lambda one: one.position)),
        )
        emit(tx, told, f"figures/{message.origin}")
    return good


def record(tx: Tx, event: ShopFigures, message: InboxMessage) -> None:
    """Keep the days of a batch in one statement; those older than what is known stay away.

    Shops need not be registered yet: figures are facts of their own.
    """
    rows = [_row(one, event.as_of, tx.now) for one in judged(tx, event, message, FiguresOfADay, _WORDS, "ALL-1")]
    if not rows:
        return
    put = (postgres_insert if tx.postgres else sqlite_insert)(ShopDay).values(rows)
    changed = {name: put.excluded[name] for name in rows[0] if name not in {"shop_id", "day"}}
    newer = col(ShopDay.as_of) <= put.excluded.as_of
    tx.execute(put.on_conflict_do_update(index_elements=["shop_id", "day"], set_=changed, where=newer))


def _row(one: FiguresOfADay, as_of: datetime, now: datetime) -> dict[str, Any]:
    return {
        "shop_id": one.shop_id,
        "day": one.day,
        "as_of": as_of,
        "recorded_at": now,
        "whole": as_of >= ends_at(one.day),
        "score_hundredths": one.score.hundredths if one.score else None,
        "score_scale": one.score.scale if one.score else None,
        "dsr_hundredths": one.dsr.hundredths if one.dsr else None,
        "dsr_scale": one.dsr.scale if one.dsr else None,
        "ratings": one.ratings,
        "positive": one.positive,
        "gmv_fen": one.gmv_fen,
        "spot_orders": one.orders.spot if one.orders else None,
        "presale_orders": one.orders.presale if one.orders else None,
        "ladder_orders": one.orders.ladder if one.orders else None,
    }


def days(tx: Tx, shop_id: str, first: date, last: date) -> dict[date, ShopDay]:
    """What is known of a shop's days from ``first`` to ``last``, both included; a day that is not there is not known."""
    query = select(ShopDay).where(ShopDay.shop_id == shop_id, ShopDay.day >= first, ShopDay.day <= last)
    return {one.day: one for one in tx.exec(query)}


PROCESS = Process(name="shop-figures", hears={ShopFigures: record})
