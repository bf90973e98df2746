"""Proof of payouts: every one has the postings of its state and a used permit, and money in clearing is what is under way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from sqlmodel import col, select

from models.books import AccountKind, Transfer
from models.money import yuan
from models.payouts import BankContradiction, Payout, PayoutState, Permit
from office.base.db import Tx
from office.money import ledger


def check(tx: Tx) -> Iterator[str]:
    """What is wrong, a Chinese sentence each."""
    payouts = list(tx.exec(select(Payout).order_by(col(Payout.request_no))))
    for payout in payouts:
        yield from _postings_of(tx, payout)
        yield from _permit_of(tx, payout)
    yield from _clearing(tx, payouts)
    yield from _orphans(tx, payouts)


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
    must, must_not = (set[str](), set[str]()) if corrected(tx, payout.case_id) else _expected(payout.state)
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


def corrected(tx: Tx, case_id: str) -> bool:
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
