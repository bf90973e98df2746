"""Placing: in which half an order and its after-sales are settled (STL-2 to STL-4, ambiguity 48)."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlmodel import col, select

from models.settlement import Aftersale, HalfState, Settlement, SettlementOrder, SettlementState
from office.base.db import Tx
from office.items import batches
from policies.settlement import half_of, order_half
from tasks.settlement import drafts
from tasks.settlement.halves import locked, open_half

MEETINGS = 1_000
"""Orders and after-sales that came at the same moment, put right in one transaction."""


def opening(tx: Tx, half: str, opened: dict[str, str]) -> str:
    """The first open half from this one on; asked once in a batch."""
    if half not in opened:
        opened[half] = open_half(tx, half)
    return opened[half]


def place(tx: Tx, orders: list[SettlementOrder]) -> None:
    """Put orders and what their after-sales take into the halves they now belong to, as long as they are not settled.

    The caller holds the orders' locks.
    """
    if not orders:
        return
    halves = locked(tx, (order.half for order in orders if order.half))
    closed = {half for half, row in halves.items() if row.state is not HalfState.OPEN}
    posted = _posted(tx, {order.half for order in orders if order.half in closed}, {order.shop_id for order in orders})
    sales: dict[str, list[Aftersale]] = defaultdict(list)
    for sale in batches.rows(tx, Aftersale, Aftersale.order_id, (order.id for order in orders)):
        sales[sale.order_id].append(sale)
    opened, changed = dict[str, str](), set[tuple[str, str]]()
    for order in orders:
        if order.half is not None and (order.half, order.shop_id) in posted:
            for sale in sales[order.id]:
                if sale.ended_at is not None and sale.half is None:
                    sale.half = opening(tx, half_of(sale.ended_at), opened)
                    tx.add(sale)
            continue
        target, before = order_half(order.own_half, [sale.ended_at for sale in sales[order.id]]), order.half
        order.half = _next(tx, order, target, opened)
        tx.add(order)
        for sale in sales[order.id]:
            sale.half = order.half if sale.ended_at else None
            tx.add(sale)
        if before in closed:
            changed.add((str(before), order.shop_id))
    tx.flush()
    for half in sorted({half for half, _ in changed}):
        drafts.redraft(tx, halves[half], sorted(shop for one, shop in changed if one == half))


def _next(tx: Tx, order: SettlementOrder, target: str | None, opened: dict[str, str]) -> str | None:
    if target is None or (order.half is not None and order.half >= target):
        return order.half if target else None
    return opening(tx, target, opened)


def _posted(tx: Tx, halves: set[str | None], shops: set[str]) -> set[tuple[str, str]]:
    """Which shops' halves are settled already."""
    if not halves:
        return set()
    done: tuple[Any, ...] = (
        col(Settlement.half).in_(sorted(filter(None, halves))),
        Settlement.state != SettlementState.DRAFT,
    )
    return {(row.half, row.shop_id) for row in batches.rows(tx, Settlement, Settlement.shop_id, shops, *done)}


def meet(tx: Tx) -> int:
    """Before a draft: place orders whose after-sale came at the very same moment, when neither saw the other."""
    met = (
        select(SettlementOrder.id)
        .join(Aftersale, col(Aftersale.order_id) == SettlementOrder.id)
        .outerjoin(
            Settlement,
            (col(Settlement.half) == SettlementOrder.half)
            & (col(Settlement.shop_id) == SettlementOrder.shop_id)
            & (col(Settlement.state) != SettlementState.DRAFT),
        )
        .where(col(Aftersale.half).is_(None), col(SettlementOrder.half).is_not(None))
        .where(col(Settlement.id).is_(None) | col(Aftersale.ended_at).is_not(None))
    )
    found = sorted(set(tx.exec(met.limit(MEETINGS))))
    place(tx, batches.rows(tx, SettlementOrder, SettlementOrder.id, found, lock=True))
    return len(found)
