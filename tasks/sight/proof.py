"""Proof: what must be true between payouts, postings and cases, checked over the whole database.

``office.money.ledger.check`` proves that the books add up; this proves that they say what happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import assert_never

from sqlmodel import col, select

from models.books import Account, AccountKind, Transfer
from models.cases import Case, CaseKind, CaseState
from models.money import yuan
from models.payouts import BankContradiction, Payout, PayoutState, Permit
from models.shops import Shop, ShopState
from office.base.db import Tx
from office.money import ledger
from tasks.shops import bans

SETTLING = timedelta(minutes=10)
"""How long after the bank's answer a case may still be on its way to its end."""


def check(tx: Tx) -> Iterator[str]:
    """What is wrong, a Chinese sentence each; nothing when every invariant holds. Includes the ledger's own."""
    yield from ledger.check(tx)
    payouts = list(tx.exec(select(Payout).order_by(col(Payout.request_no))))
    for payout in payouts:
        yield from _postings_of(tx, payout)
        yield from _permit_of(tx, payout)
    yield from _clearing(tx, payouts)
    yield from _orphans(tx, payouts)
    yield from _refunds(tx, payouts)
    yield from _forfeited(tx)
    yield from _held(tx)


def _expected(state: PayoutState) -> tuple[set[str], set[str]]:
    """Which postings a payout must have in this state, and which it must not."""
    match state:
        case PayoutState.REQUESTED:
            return {"payout"}, {"settled", "returned", "reversed"}
        case PayoutState.SETTLED:
            return {"payout", "settled"}, {"returned", "reversed"}
        case PayoutState.FAILED:
            return {"payout", "reversed"}, {"settled", "returned"}
        case PayoutState.RETURNED:
            return {"payout", "reversed"}, set()
        case unknown:
            assert_never(unknown)


def _postings_of(tx: Tx, payout: Payout) -> Iterator[str]:
    must, must_not = (set[str](), set[str]()) if _corrected(tx, payout.case_id) else _expected(payout.state)
    found = {
        what: transfer
        for what in ("payout", "settled", "returned", "reversed")
        if (transfer := tx.get(Transfer, f"{payout.case_id}/{what}/{payout.attempt}")) is not None
    }
    for what in sorted(must - found.keys()):
        yield f"打款 {payout.request_no}({payout.state.label})缺少分录 {what}"
    for what in sorted(must_not & found.keys()):
        yield f"打款 {payout.request_no}({payout.state.label})不应有分录 {what}"
    if must and payout.state is PayoutState.RETURNED and ("settled" in found) != ("returned" in found):
        yield f"打款 {payout.request_no} 退票:到账与退回的分录不成对"
    for transfer in found.values():
        if transfer.amount_fen != payout.amount_fen:
            yield f"分录 {transfer.key} 为 {yuan(transfer.amount_fen)},打款指令为 {yuan(payout.amount_fen)}"


def _corrected(tx: Tx, case_id: str) -> bool:
    """Whether people brought the case's money to where the bank's proof said it is: its postings tell that story."""
    query = select(BankContradiction.id).where(
        BankContradiction.case_id == case_id, col(BankContradiction.verdict).in_(["ANSWER", "FULL"])
    )
    return tx.exec(query.limit(1)).first() is not None


def _permit_of(tx: Tx, payout: Payout) -> Iterator[str]:
    permit = tx.get(Permit, payout.permit_id)
    if permit is None or permit.used_at is None or permit.case_id != payout.case_id:
        yield f"打款 {payout.request_no} 没有对应的已使用许可"
    elif permit.amount_fen != payout.amount_fen:
        yield f"打款 {payout.request_no} 为 {yuan(payout.amount_fen)},许可为 {yuan(permit.amount_fen)}"


def _clearing(tx: Tx, payouts: list[Payout]) -> Iterator[str]:
    """Money in clearing is exactly the money that the bank has been told to pay and has not answered about."""
    under_way = sum(payout.amount_fen for payout in payouts if payout.state is PayoutState.REQUESTED)
    held = ledger.balance(tx, ledger.platform_account(AccountKind.CLEARING)).fen
    if held != under_way:
        yield f"清算在途余额 {yuan(held)},而等待银行回执的打款合计 {yuan(under_way)}"


def _orphans(tx: Tx, payouts: list[Payout]) -> Iterator[str]:
    known = {f"{payout.case_id}/payout/{payout.attempt}" for payout in payouts}
    for key in tx.exec(select(Transfer.key).where(Transfer.reason == "payout.requested").order_by(col(Transfer.key))):
        if key not in known:
            yield f"分录 {key} 没有对应的打款指令"


def _refunds(tx: Tx, payouts: list[Payout]) -> Iterator[str]:
    """A refund has ended when all it had to pay has arrived, and pays no more than that."""
    paid = {payout.case_id: [one for one in payouts if one.case_id == payout.case_id] for payout in payouts}
    ended = select(Case.id).where(Case.kind == CaseKind.REFUND, Case.outcome == CaseState.REFUNDED)
    for case_id in sorted({*paid, *tx.exec(ended)}):
        case, rows = tx.get(Case, case_id), paid.get(case_id, [])
        if case is None or case.kind is not CaseKind.REFUND:
            continue
        due = case.request.get("target_fen", case.request["amount_fen"])
        arrived = sum(row.amount_fen for row in rows if row.state is PayoutState.SETTLED)
        answered = max((row.answered_at for row in rows if row.answered_at), default=None)
        late = answered is None or tx.now - answered > SETTLING
        if rows and arrived == due and case.concluded_at is None and late:
            yield f"案件 {case.id} 的打款 {yuan(arrived)} 已全部到账,案件却没有办结"
        if case.outcome is CaseState.REFUNDED and arrived < due:
            yield f"案件 {case.id} 以「已退还」办结,应退 {yuan(due)},到账的打款只有 {yuan(arrived)}"
        if arrived > due and not _corrected(tx, case_id):
            yield f"案件 {case.id} 应退 {yuan(due)},到账的打款却有 {yuan(arrived)}"


def _forfeited(tx: Tx) -> Iterator[str]:
    """A shop closed by force has no deposit, whatever the bank sent back since (CLS-10, DED-6)."""
    for shop_id in tx.exec(select(Shop.id).where(Shop.state == ShopState.FORCED_CLOSED).order_by(col(Shop.id))):
        held = ledger.shop_balance(tx, shop_id, AccountKind.DEPOSIT).fen
        if held:
            yield f"店铺 {shop_id} 已被强制关闭,保证金余额却为 {yuan(held)}"


def _held(tx: Tx) -> Iterator[str]:
    """Nothing of a banned shop's receivables is free but what two people have freed (CLS-10, DED-7, ambiguity 24)."""
    for shop_id in bans.with_free_receivables(tx):
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
