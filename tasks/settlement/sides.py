"""Who settles a shop, and where it is paid: what the platform says about either (STL-1)."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import col, select

from models.cases import CaseKind
from models.messages import InboxMessage
from models.money import Money
from models.reviews import Role
from models.settlement import Half, HalfState, Settlement, SettlementAccount, SettlementOrder, SettlementSwitch, Settler
from models.settlement_events import ReceivableFreed, SettlementAccountSet, SettlementAssigned
from models.shops import Shop
from notifications import settlement as words
from office.base.db import Tx, in_transaction
from office.base.vault import place, seal_json
from office.cases import cases, reviews
from office.process import Process
from office.record import audit, outbox
from office.record.inbox import Refused
from tasks.payouts.permits import payee_hash
from tasks.shops import payees, shops
from tasks.shops.settling import Freed, freed, platforms_part, settler_at, switches


def assign(tx: Tx, event: SettlementAssigned, shop: Shop, message: InboxMessage) -> None:
    """From then on the shop is settled by the other side. What was confirmed before stays where it is (STL-1)."""
    before = switches(tx, shop.id)
    if event.settler is settler_at(before, event.since):
        if before and before[0].since == event.since:
            return
        raise Refused(f"该店铺自 {event.since.isoformat()} 起已由{event.settler.label}结算,归属未变更", "STL-1")
    if before and event.since <= before[0].since:
        raise Refused("变更时间须晚于上一次归属变更的时间", "STL-1")
    if event.since < tx.now and _settled_since(tx, shop.id, event.since):
        raise Refused("该时间之后确认收货的订单已经入账,请使用更晚的变更时间", "STL-1")
    platform = platforms_part(tx, shop.id) if event.settler is Settler.OFFICE else 0
    tx.add(
        SettlementSwitch(
            shop_id=shop.id, since=event.since, settler=event.settler, platform_fen=platform, recorded_at=tx.now
        )
    )
    tx.flush()
    audit.record(
        tx,
        f"shop/{shop.id}",
        "settlement.assigned",
        actor="platform",
        clause="STL-1",
        public=True,
        text=f"自 {event.since.isoformat()} 起货款由{event.settler.label}结算",
        platform_fen=platform,
    )


def _settled_since(tx: Tx, shop_id: str, since: datetime) -> bool:
    """Whether an order confirmed since then is in our books already: it cannot become the platform's behind our back."""
    halves = select(Half.id).where(Half.state != HalfState.SETTLED)
    query = select(SettlementOrder.id).where(SettlementOrder.shop_id == shop_id, SettlementOrder.confirmed_at >= since)
    waiting = query.where(col(SettlementOrder.half).is_(None))
    in_halves = query.where(col(SettlementOrder.half).in_(halves))
    posted = (
        select(Settlement.id)
        .join(Half, col(Half.id) == Settlement.half)
        .where(
            Settlement.shop_id == shop_id,
            Half.settled_at >= since,  # type: ignore[operator]
        )
    )
    return any(tx.exec(found.limit(1)).first() is not None for found in (waiting, in_halves, posted))


# ── where it is paid ─────────────────────────────────────────────────────────


def set_account(tx: Tx, event: SettlementAccountSet, shop: Shop, message: InboxMessage) -> None:
    """The account as the platform has verified it. An older report never replaces a newer one."""
    payee = event.payee.payee()
    row = tx.get(SettlementAccount, shop.id)
    if row is not None and row.as_of > event.as_of:
        raise Refused("该收款账户早于已报送的账户,未采用", "STL-1")
    hashed = payee_hash(payee)
    told = payee.model_dump(mode="json") | {payees.SINCE: tx.now.isoformat()}
    sealed = seal_json(told, place(SettlementAccount, "payee_sealed", shop.id))
    if row is None:
        row = SettlementAccount(
            shop_id=shop.id, payee_sealed=sealed, payee_masked="", payee_sha256="", as_of=event.as_of, changed_at=tx.now
        )
    if row.payee_sha256 != hashed:
        row.payee_sealed, row.payee_masked, row.payee_sha256, row.changed_at = sealed, payee.masked, hashed, tx.now
        audit.record(
            tx,
            f"shop/{shop.id}",
            "settlement.account_set",
            actor="platform",
            clause="STL-1",
            public=True,
            text=f"货款收款账户:{payee.masked}",
        )
    for case in cases.open_cases(tx, shop.id, CaseKind.SETTLEMENT_RETURN):  # whoever decides there sees the new one
        outbox.wake(tx, case)
    row.as_of, row.fits = event.as_of, payees.fits(payee, payees.holder_of(shop))
    tx.add(row)


# ── what is the platform's to pay of our time ────────────────────────────────


def tell_freed() -> int:
    """Have finance and the platform hear of it, anew when the amount has changed, and whoever asks about the shop be shown
    it. Returns of how many shops there is something."""

    def work(tx: Tx) -> int:
        found = freed(tx)
        for one in found:
            _tell_freed(tx, one)
        return len(found)

    return in_transaction(work)


def _tell_freed(tx: Tx, one: Freed) -> None:
    key = f"freed/{one.shop_id}/{one.since:%Y%m%d%H%M%S}/{one.fen}"
    if outbox.written(tx, f"staff:{key}"):
        return
    told = words.ReceivableFreed(shop=one.shop, since=one.since, amount_fen=one.fen, open_fen=one.open_fen)
    reviews.notify_staff(tx, Role.FINANCE, told, key)
    event = ReceivableFreed(shop_id=one.shop_id, since=one.since, amount_fen=one.fen, open_fen=one.open_fen, at=tx.now)
    cases.emit(tx, event, key, shop_id=one.shop_id)
    audit.record(
        tx,
        f"shop/{one.shop_id}",
        "receivable.freed",
        clause="STL-1",
        public=True,
        amount_fen=one.fen,
        text=f"解冻货款 {Money(fen=one.open_fen)} 由平台支付",
    )
    cases.wake_leaving(tx, one.shop_id)


PROCESS = Process(
    name="settlement-sides",
    every_minute={"freed": tell_freed},
    hears={
        SettlementAssigned: shops.about_shop(assign),
        SettlementAccountSet: shops.about_shop(set_account),
    },
)
