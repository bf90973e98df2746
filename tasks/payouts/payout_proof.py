"""Proof of payouts: every one has the postings of its state and a used permit, and money in clearing is what is under way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import assert_never

from sqlalchemy import ColumnElement, String, cast
from sqlalchemy.orm import aliased
from sqlmodel import col, func, select

from models.books import AccountKind, Transfer
from models.money import yuan
from models.payouts import BankContradiction, Payout, PayoutState, Permit
from office.base.db import Tx
from office.money import ledger

POSTINGS = ("payout", "settled", "returned", "reversed")


def check(tx: Tx) -> Iterator[str]:
    """What is wrong, a Chinese sentence each."""
    query = select(Payout, Permit, *(posted.amount_fen for posted in _TRANSFERS)).outerjoin(
        Permit, col(Permit.id) == Payout.permit_id
    )
    for what, posted in zip(POSTINGS, _TRANSFERS, strict=True):
        query = query.outerjoin(posted, col(posted.key) == _key(what))
    put_right = _corrected(tx)
    for payout, permit, *fen in tx.execute(
        query.order_by(col(Payout.request_no)), execution_options={"yield_per": 1_000}
    ):
        found = {what: amount for what, amount in zip(POSTINGS, fen, strict=True) if amount is not None}
        yield from _postings_of(payout, found, corrected=payout.case_id in put_right)
        yield from _permit_of(payout, permit)
    yield from _clearing(tx)
    yield from _orphans(tx)


_TRANSFERS = tuple(aliased(Transfer, name=f"posted_{what}") for what in POSTINGS)


def _key(what: str) -> ColumnElement[str]:
    return col(Payout.case_id) + f"/{what}/" + cast(col(Payout.attempt), String)


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


def _postings_of(payout: Payout, found: Mapping[str, int], *, corrected: bool) -> Iterator[str]:
    must, must_not = (set[str](), set[str]()) if corrected else _expected(payout.state)
    for what in sorted(must - found.keys()):
        yield f"打款 {payout.request_no}({payout.state.label})缺少分录 {what}"
    for what in sorted(must_not & found.keys()):
        yield f"打款 {payout.request_no}({payout.state.label})不应有分录 {what}"
    if must and payout.state is PayoutState.RETURNED and ("settled" in found) != ("returned" in found):
        yield f"打款 {payout.request_no} 退票:到账与退回的分录不成对"
    for what, fen in found.items():
        if fen != payout.amount_fen:
            yield f"分录 {payout.case_id}/{what}/{payout.attempt} 为 {yuan(fen)},打款指令为 {yuan(payout.amount_fen)}"


_PUT_RIGHT = col(BankContradiction.verdict).in_(["ANSWER", "FULL"])


def _corrected(tx: Tx) -> set[str | None]:
    return set(tx.exec(select(BankContradiction.case_id).where(_PUT_RIGHT)))


def corrected(tx: Tx, case_id: str) -> bool:
    """Whether people brought the case's money to where the bank's proof said it is: its postings tell that story."""
    query = select(BankContradiction.id).where(BankContradiction.case_id == case_id, _PUT_RIGHT)
    return tx.exec(query.limit(1)).first() is not None


def _permit_of(payout: Payout, permit: Permit | None) -> Iterator[str]:
    if permit is None or permit.used_at is None or permit.case_id != payout.case_id:
        yield f"打款 {payout.request_no} 没有对应的已使用许可"
    elif permit.amount_fen != payout.amount_fen:
        yield f"打款 {payout.request_no} 为 {yuan(payout.amount_fen)},许可为 {yuan(permit.amount_fen)}"


def _clearing(tx: Tx) -> Iterator[str]:
    """Money in clearing is exactly the money that the bank has been told to pay and has not answered about."""
    waiting = select(func.coalesce(func.sum(Payout.amount_fen), 0)).where(Payout.state == PayoutState.REQUESTED)
    under_way = int(tx.exec(waiting).one())
    held = ledger.balance(tx, ledger.platform_account(AccountKind.CLEARING)).fen
    if held != under_way:
        yield f"清算在途余额 {yuan(held)},而等待银行回执的打款合计 {yuan(under_way)}"


def _orphans(tx: Tx) -> Iterator[str]:
    number = func.replace(col(Transfer.key), "/payout/", "-P")
    query = select(Transfer.key).outerjoin(Payout, col(Payout.request_no) == number)
    query = query.where(Transfer.reason == "payout.requested", col(Payout.request_no).is_(None))
    for key in tx.exec(query.order_by(col(Transfer.key))):
        yield f"分录 {key} 没有对应的打款指令"
