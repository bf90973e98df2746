"""Orders and after-sales: recorded once per id in whatever order they come, and put into the half they belong to (STL-2 … 4)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import insert

from models.event_parts import Rejected
from models.messages import InboxMessage
from models.money import yuan
from models.settlement import Aftersale, SettlementOrder, SettlementSwitch, Settler
from models.settlement_events import (
    AftersaleData,
    AftersalesReceived,
    OrderData,
    OrdersAftersale,
    OrdersConfirmed,
    OrdersReceived,
)
from office.base.db import Tx
from office.cases.cases import emit
from office.items import batches
from office.items.batches import AHEAD, ID, MONEY, TIME, Recorded, Sentences
from office.process import Process
from policies.policy import policy_at
from policies.settlement import half_of, oldest, order_half
from tasks.settlement import placing
from tasks.shops.settling import settler_at

ORDER_WORDS = Sentences(
    key="order_id",
    fields={
        "order_id": ID,
        "shop_id": ID,
        "goods_fen": MONEY,
        "subsidy_fen": MONEY,
        "refund_fen": MONEY,
        "commission_fen": MONEY,
        "fee_fen": MONEY,
        "confirmed_at": TIME,
    },
    rules={"refund_fen": ("refund_fen", "确认收货前的退款不能超过买家支付的金额")},
)
AFTERSALE_WORDS = Sentences(
    key="aftersale_id",
    fields={
        "aftersale_id": ID,
        "order_id": ID,
        "shop_id": ID,
        "refund_fen": MONEY,
        "subsidy_back_fen": MONEY,
        "commission_back_fen": MONEY,
        "fee_back_fen": MONEY,
        "opened_at": TIME,
        "ended_at": TIME,
    },
    rules={
        "ended_at: not": ("ended_at", "售后结束时间不能早于发起时间"),
        "refund_fen": ("refund_fen", "售后结束之前不能有退款金额"),
    },
)


def take_orders(tx: Tx, event: OrdersConfirmed, message: InboxMessage) -> None:
    """A signed batch of orders; its receipt goes back as an event."""
    done = record_orders(tx, enumerate(event.orders, start=1))
    note_orders(tx, done, event.orders, message.source)
    receipt = OrdersReceived(
        batch_id=event.batch_id, accepted=done.accepted, repeated=done.repeated, rejected=done.rejected
    )
    emit(tx, receipt, f"orders/{message.origin}")


def note_orders(tx: Tx, done: Recorded, content: Iterable[Any], actor: str) -> None:
    batches.note(tx, "settlement", "orders.recorded", "订单", "STL-1", done, list(content), actor)


def take_aftersales(tx: Tx, event: OrdersAftersale, message: InboxMessage) -> None:
    """A signed batch of after-sales; its receipt goes back as an event."""
    done = record_aftersales(tx, enumerate(event.aftersales, start=1))
    note_aftersales(tx, done, event.aftersales, message.source)
    receipt = AftersalesReceived(
        batch_id=event.batch_id, accepted=done.accepted, repeated=done.repeated, rejected=done.rejected
    )
    emit(tx, receipt, f"aftersales/{message.origin}")


def note_aftersales(tx: Tx, done: Recorded, content: Iterable[Any], actor: str) -> None:
    batches.note(tx, "settlement", "aftersales.recorded", "售后", "STL-4", done, list(content), actor)


# ── orders ───────────────────────────────────────────────────────────────────


def record_orders(tx: Tx, given: Iterable[tuple[int, Mapping[str, Any]]]) -> Recorded:
    """Record up to a thousand orders, each with its position for the receipt; good ones stay, bad ones say why."""
    read, rejected = batches.read(OrderData, given, ORDER_WORDS)
    ids = [order.order_id for _, order in read]
    known = {row.id: _content(row) for row in batches.rows(tx, SettlementOrder, SettlementOrder.id, ids)}
    sides = _sides(tx, {order.shop_id for _, order in read})
    ended: dict[str, list[Aftersale]] = defaultdict(list)
    for row in batches.rows(tx, Aftersale, Aftersale.order_id, ids):
        ended[row.order_id].append(row)
    opened, first = dict[str, str](), oldest(tx.now, policy_at(tx.now).settlement)
    rows: list[dict[str, Any]] = []
    repeated = 0
    for position, order in read:
        content = (*_parts(order), order.shop_id, order.confirmed_at)
        if known.get(order.order_id) == content:
            repeated += 1
            continue
        own = half_of(order.confirmed_at)
        if trouble := _trouble(tx, order, known, sides, ended[order.order_id], own < first):
            rejected.append(Rejected(position=position, item_id=order.order_id, field=trouble[0], reason=trouble[1]))
            continue
        known[order.order_id] = content
        target = order_half(own, [row.ended_at for row in ended[order.order_id]])
        half = placing.opening(tx, target, opened) if target else None
        for row in ended[order.order_id]:
            row.half = half if row.ended_at else None
            tx.add(row)
        rows.append(
            {
                "id": order.order_id,
                "shop_id": order.shop_id,
                "goods_fen": order.goods_fen,
                "subsidy_fen": order.subsidy_fen,
                "refund_fen": order.refund_fen,
                "commission_fen": order.commission_fen,
                "fee_fen": order.fee_fen,
                "net_fen": order.net_fen,
                "confirmed_at": order.confirmed_at,
                "own_half": own,
                "half": half,
                "recorded_at": tx.now,
            }
        )
    if rows:
        tx.execute(insert(SettlementOrder), rows)
    return Recorded(accepted=len(rows), repeated=repeated, rejected=tuple(sorted(rejected, key=_where)))


def _where(line: Rejected) -> int:
    return line.position


def _parts(one: OrderData | SettlementOrder) -> tuple[int, ...]:
    return one.goods_fen, one.subsidy_fen, one.refund_fen, one.commission_fen, one.fee_fen


def _content(row: SettlementOrder) -> tuple[Any, ...]:
    return (*_parts(row), row.shop_id, row.confirmed_at)


def _sides(tx: Tx, shop_ids: set[str]) -> dict[str, list[SettlementSwitch]]:
    """Shop → its switches, the last first; of the shops there are."""
    found: dict[str, list[SettlementSwitch]] = {shop_id: [] for shop_id in batches.shops(tx, shop_ids)}
    for row in batches.rows(tx, SettlementSwitch, SettlementSwitch.shop_id, found):
        found[row.shop_id].append(row)
    for rows in found.values():
        rows.sort(key=lambda row: row.since, reverse=True)
    return found


def _trouble(
    tx: Tx,
    order: OrderData,
    known: Mapping[str, tuple[Any, ...]],
    sides: Mapping[str, list[SettlementSwitch]],
    aftersales: list[Aftersale],
    too_old: bool,
) -> tuple[str, str] | None:
    """The field and the sentence why an order that reads well cannot be taken."""
    if (before := known.get(order.order_id)) is not None:
        return "order_id", f"订单 {order.order_id} 已按 {yuan(before[0])} 入账,内容不同;事后变动请用售后批次报送"
    if order.shop_id not in sides:
        return "shop_id", f"店铺 {order.shop_id} 尚未登记"
    if settler_at(sides[order.shop_id], order.confirmed_at) is not Settler.OFFICE:
        return "shop_id", f"店铺 {order.shop_id} 在该订单确认收货时由平台结算"
    if order.confirmed_at > tx.now + AHEAD:
        return "confirmed_at", "确认收货时间在未来"
    if too_old:
        return "confirmed_at", f"确认收货时间早于 {policy_at(tx.now).settlement.oldest_order_months} 个月,请核对年份"
    if any(row.shop_id != order.shop_id for row in aftersales):
        return "shop_id", f"订单 {order.order_id} 的售后属于另一家店铺;请先更正售后的店铺,再报送该订单"
    return None


# ── after-sales ──────────────────────────────────────────────────────────────


def record_aftersales(tx: Tx, given: Iterable[tuple[int, Mapping[str, Any]]]) -> Recorded:
    """Record up to a thousand after-sales as they stand; one that has ended stays as it ended."""
    read, rejected = batches.read(AftersaleData, given, AFTERSALE_WORDS)
    known = {row.id: row for row in batches.rows(tx, Aftersale, Aftersale.id, (one.aftersale_id for _, one in read))}
    orders = {
        row.id: row
        for row in batches.rows(tx, SettlementOrder, SettlementOrder.id, (one.order_id for _, one in read), lock=True)
    }
    there = batches.shops(tx, (one.shop_id for _, one in read))
    accepted, repeated, touched = 0, 0, set[str]()
    for position, one in read:
        row = known.get(one.aftersale_id)
        if row is not None and _says_nothing_new(row, one):
            repeated += 1
            continue
        if trouble := _aftersale_trouble(tx, one, row, orders, there):
            rejected.append(Rejected(position=position, item_id=one.aftersale_id, field=trouble[0], reason=trouble[1]))
            continue
        row = row or Aftersale(
            id=one.aftersale_id, order_id=one.order_id, shop_id=one.shop_id, opened_at=one.opened_at, recorded_at=tx.now
        )
        row.shop_id, row.ended_at = one.shop_id, one.ended_at
        row.refund_fen, row.subsidy_back_fen = one.refund_fen, one.subsidy_back_fen
        row.commission_back_fen, row.fee_back_fen = one.commission_back_fen, one.fee_back_fen
        row.net_fen = one.net_fen
        known[one.aftersale_id] = row
        tx.add(row)
        accepted += 1
        touched.add(one.order_id)
    tx.flush()
    placing.place(tx, [orders[order_id] for order_id in sorted(touched) if order_id in orders])
    return Recorded(accepted=accepted, repeated=repeated, rejected=tuple(sorted(rejected, key=_where)))


def _says_nothing_new(row: Aftersale, one: AftersaleData) -> bool:
    if (row.order_id, row.shop_id, row.opened_at) != (one.order_id, one.shop_id, one.opened_at):
        return False
    if one.ended_at is None:  # what is older than its end, or the same again
        return True
    return (row.ended_at, row.net_fen, row.refund_fen, row.subsidy_back_fen, row.commission_back_fen) == (
        one.ended_at,
        one.net_fen,
        one.refund_fen,
        one.subsidy_back_fen,
        one.commission_back_fen,
    )


def _aftersale_trouble(
    tx: Tx, one: AftersaleData, row: Aftersale | None, orders: Mapping[str, SettlementOrder], there: set[str]
) -> tuple[str, str] | None:
    if row is not None:
        moved = (
            row.shop_id != one.shop_id
        )  # as long as its order is not here nothing hangs on it, and it may be put right
        if (row.order_id, row.opened_at) != (one.order_id, one.opened_at) or (moved and one.order_id in orders):
            return "aftersale_id", f"售后 {one.aftersale_id} 已报送过,订单、店铺或发起时间不同"
        if row.ended_at is not None and not moved:
            return "aftersale_id", f"售后 {one.aftersale_id} 已结束,内容不同;再次售后请用新的编号"
    if one.shop_id not in there:
        return "shop_id", f"店铺 {one.shop_id} 尚未登记"
    order = orders.get(one.order_id)
    if order is not None and order.shop_id != one.shop_id:
        return "shop_id", f"订单 {one.order_id} 属于另一家店铺"
    if one.opened_at > tx.now + AHEAD or (one.ended_at is not None and one.ended_at > tx.now + AHEAD):
        return "ended_at" if one.ended_at else "opened_at", "售后时间在未来"
    return None


PROCESS = Process(name="settlement-orders", hears={OrdersConfirmed: take_orders, OrdersAftersale: take_aftersales})
