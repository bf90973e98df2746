"""Who settles a shop, and what is not settled yet in our own books: what closing, refund and reopening ask (CLS-7, REF-9)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from models.books import AccountKind
from models.money import Money
from models.payouts import Payout, PayoutState
from models.settlement import (
    Aftersale,
    Half,
    HalfState,
    Settlement,
    SettlementOrder,
    SettlementState,
    SettlementSwitch,
    Settler,
)
from office.base.db import Tx, prepared
from office.money.ledger import shop_balance
from office.record.inbox import Refused


def switches(tx: Tx, shop_id: str) -> list[SettlementSwitch]:
    """Every change of the shop's settler, the last one first."""
    return list(_switches(tx, shop_id))


@prepared
def _switches(shop_id: str) -> SelectOfScalar[SettlementSwitch]:
    of_shop = select(SettlementSwitch).where(SettlementSwitch.shop_id == shop_id)
    return of_shop.order_by(col(SettlementSwitch.since).desc())


def settler_at(found: list[SettlementSwitch], at: datetime) -> Settler:
    """Who settles what happened then; the platform, as long as nobody said otherwise. ``found`` has the last first."""
    return next((row.settler for row in found if row.since <= at), Settler.PLATFORM)


def unsettled(tx: Tx, shop_id: str) -> dict[str, Any]:
    """What is not settled in our own books, as ``BookFacts`` has it: orders to come, what is left, with the bank, or carried."""
    found = switches(tx, shop_id)
    if not found:
        return {}
    halves = list(tx.exec(select(Half.id).where(Half.state != HalfState.SETTLED)))
    count, fen = 0, 0
    for row, net in ((SettlementOrder, SettlementOrder.net_fen), (Aftersale, Aftersale.net_fen)):
        done = select(Settlement.half).where(Settlement.shop_id == shop_id, Settlement.state != SettlementState.DRAFT)
        sums = select(func.count(), func.coalesce(func.sum(net), 0)).where(row.shop_id == shop_id)
        for some in (
            sums.where(col(row.half).in_(halves), col(row.half).not_in(done)),
            sums.where(col(row.half).is_(None)),
        ):
            more, amount = tx.exec(some).one()
            count, fen = count + more, fen + int(amount)
    left = select(
        func.count(), func.coalesce(func.sum(Settlement.left_fen - Settlement.carried_fen), 0)
    ).where(
        Settlement.shop_id == shop_id, col(Settlement.taken_on).is_(None), Settlement.state != SettlementState.DRAFT,
        (col(Settlement.left_fen) > 0) | (col(Settlement.carried_fen) < 0),
    )  # fmt: skip
    under_way = select(func.count(), func.coalesce(func.sum(Payout.amount_fen), 0)).where(
        Payout.shop_id == shop_id, Payout.source == AccountKind.RECEIVABLE, Payout.state == PayoutState.REQUESTED
    )
    for query in (left, under_way):
        more, amount = tx.exec(query).one()
        count, fen = count + more, fen + int(amount)
    latest = found[0]
    ours = latest.settler is Settler.OFFICE
    if ours and count == 0:  # what was thawed since the last half is paid with the next one
        free = shop_balance(tx, shop_id, AccountKind.RECEIVABLE).fen - latest.platform_fen
        count, fen = (1, free) if free > 0 else (0, fen)
    alone = ours and latest.platform_fen <= 0  # until then the platform says whether it has paid its own rest
    return {"settled_since": latest.since if alone else None, "unsettled": count, "unsettled_fen": max(fen, 0)}


# ── what the platform reports of its own settling ────────────────────────────


def platform_settles(tx: Tx, shop_id: str, at: datetime, amount: Money) -> None:
    """The platform settles what is its own to settle, and pays it itself; refused is what lies on our side."""
    current = _ours(tx, shop_id)
    if current is None:
        return
    if at >= current.since:
        raise Refused("该店铺的货款现由店务结算,平台结算未入账;请以订单批次报送确认收货的订单", "STL-1")
    current.platform_fen += amount.fen
    tx.add(current)


def platform_pays(tx: Tx, shop_id: str, at: datetime, amount: Money) -> None:
    """The platform pays out what it had left when we began: no more, so that nothing is paid by both."""
    current = _ours(tx, shop_id)
    if current is None:
        return
    left = Money(fen=current.platform_fen)
    if amount.fen > left.fen:
        raise Refused(f"该店铺的货款现由店务打款,平台尚可打款 {left};打款 {amount} 未入账,请核实是否重复打款", "STL-1")
    current.platform_fen -= amount.fen
    tx.add(current)


def _ours(tx: Tx, shop_id: str) -> SettlementSwitch | None:
    """The switch under which we settle the shop now, locked; ``None`` where the platform does."""
    query = select(SettlementSwitch).where(SettlementSwitch.shop_id == shop_id, col(SettlementSwitch.since) <= tx.now)
    query = query.order_by(col(SettlementSwitch.since).desc()).limit(1)
    current = tx.exec(query.with_for_update() if tx.postgres else query).first()
    return current if current is not None and current.settler is Settler.OFFICE else None
