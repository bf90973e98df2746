"""What a ban holds back: a shop closed by force has no free receivable and gets no deposit back (CLS-10, DED-6, DED-7).

Whatever reaches its receivables, however and whenever, is frozen in the same transaction (``hold``); releasing or
forfeiting it is a case of its own, decided by two people (``tasks.forced_closure.held_receivables``, ambiguity 24).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from sqlmodel import col, func, select

from models.books import Account, AccountKind, Transfer
from models.case_events import MessageRefused
from models.cases import Case, CaseKind, CaseState
from models.closure_events import ReceivablesHeld
from models.messages import InboxMessage
from models.money import Money, yuan
from models.payouts import Payout, PayoutState
from models.reviews import Role
from models.shops import Shop, ShopState
from notifications import closure as closing_words
from notifications import operations
from notifications import refund as refund_words
from office.base.db import Tx, in_transaction
from office.cases import cases, merchants, reviews
from office.cases.cases import emit
from office.money import ledger
from office.money.ledger import shop_account, shop_balance
from office.process import Process
from office.record import audit, outbox
from tasks.shops.request import BanAsked, MoneyAsked

NO_REFUND = "店铺因违规被强制关闭,按规则保证金不予退还(REF-10、CLS-10)。如对事实有异议,请联系平台客服并提交证明材料。"


def is_banned(tx: Tx, shop_id: str) -> bool:
    shop = tx.get(Shop, shop_id)
    return shop is not None and shop.state is ShopState.FORCED_CLOSED


def payable(tx: Tx, shop_id: str) -> AccountKind:
    """The account that receivables are paid out of: after a ban only what two people have freed."""
    return AccountKind.RECEIVABLE_FREED if is_banned(tx, shop_id) else AccountKind.RECEIVABLE


def hold(tx: Tx, shop_id: str, *, tell: bool = True) -> Money:
    """Freeze whatever is free of a banned shop's receivables, and see to it that people decide about it.

    The merchant and the platform are told, unless the caller tells them the same with more (``tell``).
    """
    tx.flush()
    if not is_banned(tx, shop_id):
        return Money()
    free = shop_balance(tx, shop_id, AccountKind.RECEIVABLE)
    if not free:
        return free
    shop = tx.get_one(Shop, shop_id)
    line = audit.record(
        tx, f"shop/{shop_id}", "receivable.held", clause="DED-7", public=True, text=f"封店冻结货款 {free}"
    )
    ledger.post(
        tx,
        f"held/{shop_id}/{line.seq}",
        debit=shop_account(shop_id, AccountKind.RECEIVABLE),
        credit=shop_account(shop_id, AccountKind.RECEIVABLE_BANNED),
        amount=free,
        reason="receivable.held",
        clause="DED-7",
    )
    case = _case_of(tx, shop)
    held = shop_balance(tx, shop_id, AccountKind.RECEIVABLE_BANNED)
    event = ReceivablesHeld(
        shop_id=shop_id, case_id=case.id, amount_fen=free.fen, held_fen=held.fen, at=tx.now, clause="DED-7"
    )
    emit(tx, event, f"{case.id}/held/{line.seq}", case)
    if tell:
        told = closing_words.ReceivablesHeld(
            shop_name=shop.name, case_id=case.id, amount_fen=free.fen, held_fen=held.fen, held_at=tx.now
        )
        merchants.tell(tx, told, f"{case.id}/held/{line.seq}", case=case)
    outbox.wake(tx, case)  # whoever is reading is shown the new amount
    return free


def _case_of(tx: Tx, shop: Shop) -> Case:
    """The case in which people decide about what is held; a new one when the last has ended."""
    open_now = cases.open_cases(tx, shop.id, CaseKind.HELD_RECEIVABLES)
    if open_now:
        return open_now[0]
    before = tx.exec(select(func.count()).where(Case.shop_id == shop.id, Case.kind == CaseKind.HELD_RECEIVABLES)).one()
    ban = cases.last_concluded(tx, shop.id, CaseKind.FORCED_CLOSURE, CaseState.FORCED_CLOSED)
    ban = ban or next(
        iter(cases.open_cases(tx, shop.id, CaseKind.FORCED_CLOSURE)), None
    )  # it is just being carried out
    return cases.open_case(
        tx,
        CaseKind.HELD_RECEIVABLES,
        origin=f"held/{shop.id}/{before + 1}",
        received_at=tx.now,
        shop=shop,
        request={"ban": ban.id if ban else "", "proposed_by": BanAsked.of(ban).proposed_by if ban else ""},
        clause="DED-7",
        text="强制关店后冻结的货款,等待两人决定解冻或罚没",
    )


def sweep() -> int:
    """Freeze what is free of any banned shop: of those closed by force before their receivables were frozen with them."""

    shops = in_transaction(with_free_receivables)
    for shop_id in shops:
        in_transaction(lambda tx, one=shop_id: hold(tx, one))  # type: ignore[misc]
    return len(shops)


def with_free_receivables(tx: Tx, among: Collection[str] | None = None) -> list[str]:
    """The banned shops (of these, or of all) whose receivables are not all frozen."""
    query = (
        select(Shop.id)
        .join(Account, col(Account.shop_id) == Shop.id)
        .where(Shop.state == ShopState.FORCED_CLOSED, Account.kind == AccountKind.RECEIVABLE)
        .where(Account.credit_fen > Account.debit_fen)
    )
    return sorted(shop_id for shop_id in tx.exec(query) if among is None or shop_id in among)


# ── deposits on their way back ───────────────────────────────────────────────


def on_the_way(tx: Tx, shop_id: str) -> Money:
    """What the bank was told to pay of the shop's deposit and has not answered about."""
    query = select(func.sum(Payout.amount_fen)).where(Payout.shop_id == shop_id, Payout.source == AccountKind.DEPOSIT)
    query = query.where(Payout.state == PayoutState.REQUESTED)
    return Money(fen=int(tx.exec(query).one() or 0))


def end_refunds(tx: Tx, refunds: Iterable[Case]) -> None:
    """End the refunds of a banned shop, whose locks the caller holds; one that waits for the bank ends with its answer."""
    for case in refunds:
        query = select(Payout.request_no).where(Payout.case_id == case.id, Payout.state == PayoutState.REQUESTED)
        if case.concluded_at is not None or tx.exec(query).first() is not None:
            continue
        shop = merchants.shop_of(tx, case)
        paid = select(func.sum(Payout.amount_fen)).where(Payout.case_id == case.id, Payout.state == PayoutState.SETTLED)
        told = refund_words.RefundRejected(
            shop_name=shop.name,
            case_id=case.id,
            amount_fen=MoneyAsked.of(case).amount_fen - int(tx.exec(paid).one() or 0),
            decided_at=tx.now,
            reason=NO_REFUND,
        )
        merchants.tell(tx, told, f"{case.id}/banned", case=case)
        cases.conclude(tx, case, CaseState.REJECTED, "店铺已被强制关店,保证金不予退还", clause="REF-10")
        outbox.wake(tx, case)  # its run ends instead of waiting in the list for ever


# ── money that left all the same ─────────────────────────────────────────────


def alarm(tx: Tx, shop: Shop, message: InboxMessage, payment_id: str, amount: Money, free: Money) -> None:
    """The platform says it has paid a banned shop what was frozen: not booked, and people hear of it, not only the sender."""
    sentence = f"店铺已被强制关店,货款已冻结,可打款 {free};打款 {amount} 未入账,已通知财务和主管"
    event = MessageRefused(
        source=message.source,
        message_id=message.message_id,
        message_type=message.type,
        shop_id=shop.id,
        clause="DED-7",
        sentence=sentence,
        remedy="请立即停止打款并追回款项,由财务与贵方核实,无需重新发送。",
    )
    emit(tx, event, f"refused/{message.origin}", shop_id=shop.id)
    told = operations.BannedShopPaid(
        shop=f"{shop.name}({shop.id})", payment_id=payment_id, amount_fen=amount.fen, free_fen=free.fen, at=tx.now
    )
    for role in (Role.FINANCE, Role.SUPERVISOR):
        reviews.notify_staff(tx, role, told, f"banned-paid/{shop.id}/{payment_id}/{role}")
    audit.record(
        tx,
        f"shop/{shop.id}",
        "receivable.paid_while_banned",
        actor="platform",
        clause="DED-7",
        text=f"平台报告向已封店铺打款 {amount},未入账,已通知财务和主管",
        payment=payment_id,
    )


def check(tx: Tx) -> Iterator[str]:
    """What is wrong with the money of banned shops, a Chinese sentence each."""
    yield from _forfeited(tx)
    yield from _held(tx)


def _forfeited(tx: Tx) -> Iterator[str]:
    """A shop closed by force has no deposit, whatever the bank sent back since (CLS-10, DED-6)."""
    for shop_id in tx.exec(select(Shop.id).where(Shop.state == ShopState.FORCED_CLOSED).order_by(col(Shop.id))):
        held = ledger.shop_balance(tx, shop_id, AccountKind.DEPOSIT).fen
        if held:
            yield f"店铺 {shop_id} 已被强制关闭,保证金余额却为 {yuan(held)}"


def _held(tx: Tx) -> Iterator[str]:
    """Nothing of a banned shop's receivables is free but what two people have freed (CLS-10, DED-7, ambiguity 24)."""
    for shop_id in with_free_receivables(tx):
        free = ledger.shop_balance(tx, shop_id, AccountKind.RECEIVABLE)
        yield f"店铺 {shop_id} 已被强制关闭,却有未冻结的货款 {free}"
    freed = {
        transfer.credit_account: transfer.case_id
        for transfer in tx.exec(select(Transfer).where(Transfer.reason == "receivable.freed"))
    }
    query = select(Account.id).where(Account.kind == AccountKind.RECEIVABLE_FREED, Account.credit_fen > 0)
    for account in tx.exec(query.order_by(col(Account.id))):
        if freed.get(account) is None:
            yield f"账户 {account} 有货款解冻,却没有案件决定"


PROCESS = Process(name="ban", every_minute={"bans": sweep}, proves=check)
