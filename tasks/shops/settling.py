"""Who settles a shop, and what is not settled yet in our own books: what closing, refund and reopening ask (CLS-7, REF-9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import aliased
from sqlmodel import case, col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from models.books import Account, AccountKind, Transfer
from models.messages import InboxMessage
from models.money import Money
from models.payouts import Payout, PayoutState
from models.reviews import Role
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
from models.shops import Shop, ShopState
from notifications.operations import PlatformOverpaid
from office.base.db import Tx, prepared
from office.cases import cases, kept, reviews
from office.money.ledger import shop_balance
from office.record import audit
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
    left = select(func.count(), func.coalesce(func.sum(Settlement.left_fen - Settlement.carried_fen), 0)).where(
        Settlement.shop_id == shop_id,
        col(Settlement.taken_on).is_(None),
        Settlement.state != SettlementState.DRAFT,
        (col(Settlement.left_fen) > 0) | (col(Settlement.carried_fen) < 0),
    )
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
    for one in () if ours else freed(tx, shop_id):  # and what the platform has to pay for us
        count, fen = count + 1, fen + one.open_fen
    alone = ours and latest.platform_fen <= 0  # until then the platform says whether it has paid its own rest
    return {"settled_since": latest.since if alone else None, "unsettled": count, "unsettled_fen": max(fen, 0)}


# ── what the platform reports of its own settling ────────────────────────────


def platform_settles(tx: Tx, shop_id: str, settlement_id: str, at: datetime, amount: Money) -> None:
    """The platform settles what is its own to settle, and pays it itself; refused is what lies in our time, whoever
    settles now."""
    if settler_at(switches(tx, shop_id), at) is Settler.OFFICE:
        sentence = "该店铺当时的货款由店务结算,平台结算未入账;请以订单批次报送确认收货的订单"
        why = f"{sentence}。在此之前,平台结算的 {amount} 不会付给商家,请与平台核实"
        raise Refused(sentence, "STL-1", heard=kept.heard(why, f"settled/{shop_id}/{settlement_id}", Role.FINANCE))
    for row in _ours(tx, shop_id):
        row.platform_fen += amount.fen
        tx.add(row)


def platform_pays(tx: Tx, shop_id: str, payment_id: str, amount: Money) -> None:
    """The platform pays out what it had left when we began: no more, so that nothing is paid by both."""
    rows = _ours(tx, shop_id)
    if rows and rows[0].since <= tx.now and amount.fen > rows[0].platform_fen:
        left = Money(fen=rows[0].platform_fen)
        sentence = f"该店铺的货款现由店务打款,平台尚可打款 {left};打款 {amount} 未入账,请核实是否重复打款"
        raise Refused(sentence, "STL-1", heard=beyond(shop_id, payment_id, amount, left))
    for row in rows:
        row.platform_fen = max(row.platform_fen - amount.fen, 0)
        tx.add(row)
    cases.wake_leaving(tx, shop_id)  # it may have been what stood in the way


def beyond(shop_id: str, payment_id: str, amount: Money, free: Money) -> Callable[[Tx, InboxMessage], None]:
    """How people hear that the platform has paid what is not its to pay: booked or not, the money has left."""

    def heard(tx: Tx, message: InboxMessage) -> None:
        shop = tx.get_one(Shop, shop_id)
        told = PlatformOverpaid(
            shop=f"{shop.name}({shop.id})", payment_id=payment_id, amount_fen=amount.fen, free_fen=free.fen, at=tx.now
        )
        for role in (Role.FINANCE, Role.SUPERVISOR):
            reviews.notify_staff(tx, role, told, f"overpaid/{shop_id}/{payment_id}/{role}")
        text = f"平台报告打款 {amount},超出可打款货款 {free},未入账,已通知财务和主管"
        audit.record(tx, f"shop/{shop_id}", "receivable.overpaid", actor="platform", clause="STL-6", text=text)

    return heard


def _ours(tx: Tx, shop_id: str) -> list[SettlementSwitch]:
    """The switch under which we settle the shop now, if we do, and those under which we will, locked: each says how much of
    the free receivables is the platform's to pay."""
    query = select(SettlementSwitch).where(SettlementSwitch.shop_id == shop_id).order_by(col(SettlementSwitch.since))
    found = list(tx.exec(query.with_for_update() if tx.postgres else query))
    begun = max((row.since for row in found if row.since <= tx.now), default=tx.now)
    return [row for row in found if row.since >= begun and row.settler is Settler.OFFICE]


def platforms_part(tx: Tx, shop_id: str) -> int:
    """How much of the free receivables is the platform's to pay at this moment, in fen: all but what we have settled and not
    paid yet, which stays ours whoever settles now (STL-1)."""
    current = next((row for row in switches(tx, shop_id) if row.since <= tx.now), None)
    if current is not None and current.settler is Settler.OFFICE:
        return current.platform_fen
    ours = int(tx.exec(_left.where(Settlement.shop_id == shop_id)).one())
    return max(shop_balance(tx, shop_id, AccountKind.RECEIVABLE).fen - ours, 0)


# ── what becomes free of our time when the platform settles ──────────────────


@dataclass(frozen=True)
class Freed:
    """What of a shop's receivables, frozen or not yet paid when it moved to the platform, is the platform's to pay (STL-1)."""

    shop_id: str
    shop: str
    since: datetime
    fen: int
    """All of it since the shop moved."""
    open_fen: int
    """What of it the platform has not reported as paid yet."""

    @property
    def line(self) -> str:
        """As ``books check`` and ``doctor`` name it."""
        return f"店铺 {self.shop} 已改由平台结算,解冻货款 {Money(fen=self.open_fen)} 待平台支付"


def freed(tx: Tx, shop_id: str | None = None) -> list[Freed]:
    """Of every shop, or of this one: what is free, is none of our halves', and is not of the platform's own settling.

    What an invoice frees, what was freed and not paid before the shop moved, what a correction gives back: all of it shows
    in the books alone, so that nothing need say so. One question to the database, however many shops have moved.
    """
    later, before = aliased(SettlementSwitch), aliased(SettlementSwitch)
    moved = case((_since > _recorded, _since), else_=_recorded)
    newest = select(func.max(later.since)).where(later.shop_id == SettlementSwitch.shop_id, later.since <= tx.now)
    rest = select(before.platform_fen).where(before.shop_id == SettlementSwitch.shop_id, before.since < _since)
    rest = rest.order_by(col(before.since).desc()).limit(1)
    ours = _left.where(Settlement.shop_id == SettlementSwitch.shop_id).scalar_subquery()

    def since_then(side: Any, reason: str) -> Any:
        query = select(func.coalesce(func.sum(Transfer.amount_fen), 0)).where(side == Account.id)
        return query.where(Transfer.reason == reason, col(Transfer.posted_at) >= moved).scalar_subquery()

    part = col(Account.credit_fen) - Account.debit_fen - ours
    own = rest.scalar_subquery() + since_then(Transfer.credit_account, "receivable.settled")
    own -= since_then(Transfer.debit_account, "receivable.paid_out")
    query = (
        select(SettlementSwitch, Shop.name, part, part - own)
        .join(Shop, col(Shop.id) == SettlementSwitch.shop_id)
        .join(Account, col(Account.shop_id) == SettlementSwitch.shop_id)
        .where(SettlementSwitch.settler == Settler.PLATFORM, _since == newest.scalar_subquery())
        .where(Account.kind == AccountKind.RECEIVABLE, Account.credit_fen > Account.debit_fen)
        .where(Shop.state != ShopState.FORCED_CLOSED, *([SettlementSwitch.shop_id == shop_id] if shop_id else ()))
        .where(part > 0, part > own)
    )
    return [
        Freed(
            shop_id=row.shop_id,
            shop=f"{name}({row.shop_id})",
            since=row.since,
            fen=int(fen),
            open_fen=int(min(fen, all_of_it)),
        )
        for row, name, all_of_it, fen in tx.exec(query.order_by(SettlementSwitch.shop_id))
    ]


_since, _recorded = col(SettlementSwitch.since), col(SettlementSwitch.recorded_at)
_left = select(func.coalesce(func.sum(Settlement.left_fen), 0)).where(
    col(Settlement.taken_on).is_(None), Settlement.state != SettlementState.DRAFT
)
"""What we have settled and not paid yet."""
