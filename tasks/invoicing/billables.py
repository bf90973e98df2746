"""Billable items: recorded once per id, each judged by itself, billed in the month that is open for them (INV-5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import insert
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlmodel import select

from models.event_parts import Rejected
from models.invoicing import BillableCategory, BillableItem, Period, PeriodState
from models.invoicing_events import BillableData, BillablesReceived, BillablesRecorded
from models.messages import InboxMessage
from models.money import yuan
from office.base.db import Tx
from office.cases.cases import emit
from office.items import batches
from office.items.batches import AHEAD, ID, TIME, Recorded, Sentences
from office.process import Process
from policies.invoicing import next_period, oldest, period_of
from policies.policy import policy_at
from tasks.invoicing import exit_invoices

_CATEGORIES = "类别须为 " + "、".join(c.value for c in BillableCategory if c is not BillableCategory.CARRIED)
_WORDS = Sentences(
    key="item_id",
    fields={
        "item_id": f"明细{ID}",
        "shop_id": f"店铺{ID}",
        "category": _CATEGORIES,
        "amount_fen": "金额须为非零的整数分,不接受小数",
        "settled_at": f"结算{TIME}",
        "description": "说明须为一行不超过 200 字的普通文字",
        "corrects": "被更正的明细编号格式不正确",
    },
    rules={"CARRIED": ("category", _CATEGORIES), "corrects": ("corrects", "明细不能更正自己")},
)


def take_batch(tx: Tx, event: BillablesRecorded, message: InboxMessage) -> None:
    """A signed batch from the platform; its receipt goes back as an event."""
    done = record(tx, enumerate(event.items, start=1))
    note(tx, done, event.items, message.source)
    receipt = BillablesReceived(
        batch_id=event.batch_id, accepted=done.accepted, repeated=done.repeated, rejected=done.rejected
    )
    emit(tx, receipt, f"billables/{message.origin}")


def note(tx: Tx, done: Recorded, content: Iterable[Any], actor: str) -> None:
    """One audit line for a batch (:func:`office.items.batches.note`)."""
    batches.note(tx, "invoicing", "billables.recorded", "开票明细", "INV-5", done, list(content), actor)


def record(tx: Tx, given: Iterable[tuple[int, Mapping[str, Any]]]) -> Recorded:
    """Record up to a thousand items, each with its position for the receipt; good ones stay, bad ones say why."""
    read, rejected = batches.read(BillableData, given, _WORDS)
    known = _known(tx, [item.item_id for _, item in read] + [item.corrects for _, item in read if item.corrects])
    shops = batches.shops(tx, (item.shop_id for _, item in read))
    open_for: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    repeated = 0
    for position, item in read:
        before = known.get(item.item_id)
        if before is not None and before == _content(item):
            repeated += 1
            continue
        if trouble := _trouble(tx, item, before, shops, known):
            field, reason = trouble
            rejected.append(Rejected(position=position, item_id=item.item_id, field=field, reason=reason))
            continue
        own = period_of(item.settled_at)
        if own not in open_for:
            open_for[own] = open_period(tx, own)
        known[item.item_id] = _content(item)
        rows.append(
            {
                "id": item.item_id,
                "shop_id": item.shop_id,
                "category": item.category,
                "amount_fen": item.amount_fen,
                "corrects": item.corrects,
                "description": item.description,
                "settled_at": item.settled_at,
                "own_period": own,
                "period": open_for[own],
                "recorded_at": tx.now,
            }
        )
    if rows:
        tx.execute(insert(BillableItem), rows)
        exit_invoices.take_in(tx, {row["shop_id"] for row in rows})
    return Recorded(
        accepted=len(rows), repeated=repeated, rejected=tuple(sorted(rejected, key=lambda line: line.position))
    )


def open_period(tx: Tx, period: str) -> str:
    """The month itself or the first one after it that still takes items; kept open until the transaction ends."""
    while True:
        kind = postgres_insert if tx.postgres else sqlite_insert
        row = {"id": period, "state": PeriodState.OPEN, "drafts": 0, "cursor": "", "last_number": 0, "totals": {}}
        tx.execute(kind(Period).values(row).on_conflict_do_nothing(index_elements=["id"]))
        query = select(Period.state).where(Period.id == period)
        if tx.exec(query.with_for_update(read=True) if tx.postgres else query).one() is PeriodState.OPEN:
            return period
        period = next_period(period)


def _content(item: BillableData) -> tuple[Any, ...]:
    return (item.shop_id, item.category, item.amount_fen, item.settled_at, item.description, item.corrects)


def _known(tx: Tx, ids: Sequence[str | None]) -> dict[str, tuple[Any, ...]]:
    return {
        row.id: (row.shop_id, row.category, row.amount_fen, row.settled_at, row.description, row.corrects)
        for row in batches.rows(tx, BillableItem, BillableItem.id, filter(None, ids))
    }


def _trouble(
    tx: Tx, item: BillableData, before: tuple[Any, ...] | None, shops: set[str], known: Mapping[str, tuple[Any, ...]]
) -> tuple[str, str] | None:
    """The field and the sentence why an item that reads well cannot be taken."""
    if before is not None:
        return "item_id", f"编号 {item.item_id} 已有金额 {yuan(before[2])} 的明细,内容不同;更正请用新的编号"
    if item.shop_id not in shops:
        return "shop_id", f"店铺 {item.shop_id} 尚未登记"
    if item.settled_at > tx.now + AHEAD:
        return "settled_at", "结算时间在未来"
    numbers = policy_at(tx.now).invoicing
    if period_of(item.settled_at) < oldest(tx.now, numbers):
        return "settled_at", f"结算时间早于 {numbers.oldest_item_months} 个月,请核对年份"
    if item.corrects and item.corrects not in known:
        return "corrects", f"被更正的明细 {item.corrects} 不存在"
    if item.corrects and known[item.corrects][0] != item.shop_id:
        return "corrects", f"被更正的明细 {item.corrects} 属于另一家店铺"
    return None


PROCESS = Process(name="billables", hears={BillablesRecorded: take_batch})
