"""Payouts: a permit given by people, used once; an instruction to the bank; what the bank answers (REF-3, REF-8)."""

from __future__ import annotations

import json
from datetime import datetime
from typing import assert_never

from sqlmodel import col, func, select

from models.base import new_id
from models.books import AccountKind
from models.cases import Case, CaseState, WaitState
from models.events import PayeeData, PayoutFailed, PayoutRequested, PayoutReturned, PayoutSettled, PayoutUpdated
from models.messages import InboxMessage
from models.money import Money
from models.payouts import Payee, Payout, PayoutState, Permit
from models.shops import ShopState
from tasks import audit, cases, deposits, ledger, outbox, shops
from tasks.cases import emit
from tasks.db import Tx
from tasks.effects import lock_case
from tasks.inbox import Refused
from tasks.ledger import platform_account, shop_account
from tasks.vault import keyed_hash, mask_accounts, opened_json, place, seal_json

BANK = "bank"
"""The kind of wait that ends when the bank answers."""

BankAnswer = PayoutSettled | PayoutFailed | PayoutReturned


class PermitRefused(RuntimeError):
    """Money was about to move without a permit that fits. A bug or an attack, never an outcome."""


def payee_hash(payee: Payee) -> str:
    return keyed_hash(json.dumps(payee.model_dump(mode="json"), sort_keys=True, ensure_ascii=False))


def grant(tx: Tx, case: Case, attempt: int, amount: Money, payee: Payee, granted_by: list[str]) -> Permit:
    """Give the single-use right to pay this amount to this payee."""
    permit = Permit(
        id=new_id("PM", tx.now), case_id=case.id, attempt=attempt, amount_fen=amount.fen, payee_sha256=payee_hash(payee),
        granted_by=",".join(granted_by), granted_at=tx.now,
    )  # fmt: skip
    tx.add(permit)
    tx.flush()
    audit.record(tx, case.id, "payout.permitted", clause="REF-7", text=f"已批准打款 {amount} 至 {payee.masked}",
                 permit=permit.id, by=granted_by, amount_fen=amount.fen)  # fmt: skip
    return permit


def revoke(tx: Tx, case: Case, attempt: int) -> None:
    """Take back a permit that was not used: what it was given for is no longer so."""
    permit = find_permit(tx, case.id, attempt)
    if permit is None or permit.used_at is not None:
        raise PermitRefused(f"{case.id}: no unused permit for attempt {attempt} to take back")
    tx.delete(permit)
    tx.flush()
    audit.record(
        tx, case.id, "payout.permit_revoked", clause="REF-7", text="事实发生变化,打款许可已收回", permit=permit.id
    )


def find_permit(tx: Tx, case_id: str, attempt: int) -> Permit | None:
    return tx.exec(select(Permit).where(Permit.case_id == case_id, Permit.attempt == attempt)).first()


def instruct(tx: Tx, case: Case, attempt: int, amount: Money, payee: Payee) -> Payout:
    """Use the permit, reserve the money and write the instruction to the bank, in one transaction.

    Raises :class:`PermitRefused` when there is no unused permit for exactly this amount and payee.
    """
    permit = find_permit(tx, case.id, attempt)
    if permit is None or permit.used_at is not None:
        raise PermitRefused(f"{case.id}: no unused permit for attempt {attempt}")
    if (permit.amount_fen, permit.payee_sha256) != (amount.fen, payee_hash(payee)):
        raise PermitRefused(f"{case.id}: the permit of attempt {attempt} is for another amount or payee")
    permit.used_at = tx.now
    tx.add(permit)
    request_no = f"{case.id}-P{attempt}"
    shop_id = case.shop_id or ""
    ledger.post(
        tx, f"{case.id}/payout/{attempt}", debit=shop_account(shop_id, AccountKind.DEPOSIT),
        credit=platform_account(AccountKind.CLEARING), amount=amount, reason="payout.requested", clause="REF-8",
        case_id=case.id,
    )  # fmt: skip
    payout = Payout(
        request_no=request_no, case_id=case.id, attempt=attempt, permit_id=permit.id, amount_fen=amount.fen,
        payee_sealed=seal_json(payee.model_dump(mode="json"), place(Payout, "payee_sealed", request_no)),
        payee_masked=payee.masked, requested_at=tx.now,
    )  # fmt: skip
    tx.add(payout)
    cases.open_wait(tx, case, f"{BANK}/{attempt}", BANK)
    data = PayeeData(method=payee.method, name=payee.name, account_no=payee.account_no, bank_name=payee.bank_name)
    order = PayoutRequested(shop_id=shop_id, case_id=case.id, request_no=request_no, amount_fen=amount.fen, payee=data)
    emit(tx, order, request_no, case)
    _tell_platform(tx, case, payout)
    cases.move(tx, case, CaseState.PAYING, f"已向银行提交打款 {amount} 至 {payee.masked}", clause="REF-7")
    return payout


def _tell_platform(tx: Tx, case: Case, payout: Payout) -> None:
    event = PayoutUpdated(
        shop_id=case.shop_id or "", case_id=case.id, request_no=payout.request_no, amount_fen=payout.amount_fen,
        payee=payout.payee_masked, state=payout.state, reason=payout.bank_reason, at=tx.now,
    )  # fmt: skip
    emit(tx, event, f"{payout.request_no}/{payout.state}", case)


def answered(tx: Tx, event: BankAnswer, message: InboxMessage) -> None:
    """The bank answers. The same answer again changes nothing; one that contradicts the last is refused.

    A return can follow a settlement (退票): the money is back, so the case is taken up again where it stands.
    """
    found = tx.get(Payout, event.request_no)
    if found is None:
        raise Refused(f"没有请求号为 {event.request_no} 的打款指令")
    case = lock_case(tx, found.case_id)
    payout = tx.get(Payout, event.request_no, populate_existing=True)
    if payout is None or payout.amount_fen != event.amount_fen:
        raise Refused(f"打款 {event.request_no} 的金额与指令不符,未入账")
    now = _state_after(payout.state, event)
    if now is payout.state:
        return
    before, payout.state = payout.state, now
    payout.answered_at, payout.bank_reason = tx.now, _masked(event.reason, payout)
    tx.add(payout)
    amount = Money(fen=payout.amount_fen)
    clearing, cash = platform_account(AccountKind.CLEARING), platform_account(AccountKind.CASH)
    if now is PayoutState.SETTLED:
        _post(tx, case, payout, "settled", clearing, cash, amount)
    else:
        if before is PayoutState.SETTLED:
            _post(tx, case, payout, "returned", cash, clearing, amount)
        _post(tx, case, payout, "reversed", clearing, shop_account(case.shop_id or "", AccountKind.DEPOSIT), amount)
        shop = shops.find_shop(tx, case.shop_id or "")
        if shop.state is ShopState.FORCED_CLOSED:
            deposits.forfeit(tx, shop, case, f"{case.id}/forfeit/{payout.attempt}")
    audit.record(tx, case.id, "payout.answered", actor="bank", clause="REF-3", public=True, state=now,
                 text=f"银行回执:{now.label}" + (f"({payout.bank_reason})" if payout.bank_reason else ""))  # fmt: skip
    _tell_platform(tx, case, payout)
    wait = cases.find_wait(tx, case.id, f"{BANK}/{payout.attempt}")
    if wait is not None:
        cases.close_wait(tx, wait, WaitState.ANSWERED, {"state": now})
    if case.concluded_at is not None and before is PayoutState.SETTLED:
        cases.reopen(tx, case, CaseState.UNDER_REVIEW, "退票:款项被退回,重新处理", clause="REF-3", actor="bank")
    outbox.wake(tx, case)


def _masked(reason: str, payout: Payout) -> str:
    """The bank's words without the account it was to pay to, nor any other."""
    payee = Payee.model_validate(opened_json(payout, "payee_sealed"))
    return mask_accounts(reason.replace(payee.account_no, payee.tail))


def _state_after(state: PayoutState, event: BankAnswer) -> PayoutState:
    match event:
        case PayoutSettled():
            told = PayoutState.SETTLED
        case PayoutFailed():
            told = PayoutState.FAILED
        case PayoutReturned():
            told = PayoutState.RETURNED
        case unknown:
            assert_never(unknown)
    possible = {
        PayoutState.REQUESTED: {PayoutState.SETTLED, PayoutState.FAILED, PayoutState.RETURNED},
        PayoutState.SETTLED: {PayoutState.SETTLED, PayoutState.RETURNED},
        PayoutState.FAILED: {PayoutState.FAILED},
        PayoutState.RETURNED: {PayoutState.RETURNED},
    }
    if told not in possible[state]:
        if told is PayoutState.SETTLED and state is PayoutState.RETURNED:
            return state  # a settlement delivered after the return it came before: the return stands
        raise Refused(f"打款 {event.request_no} 已是「{state.label}」,不能改为「{told.label}」,请人工核对银行流水")
    return told


def _post(tx: Tx, case: Case, payout: Payout, what: str, debit: str, credit: str, amount: Money) -> None:
    ledger.post(tx, f"{case.id}/{what}/{payout.attempt}", debit=debit, credit=credit, amount=amount,
                reason=f"payout.{what}", clause="REF-3", case_id=case.id)  # fmt: skip


def promised(tx: Tx, shop_id: str, since: datetime) -> Money:
    """What has been paid out for a shop since then, or is on its way."""
    query = select(func.sum(Payout.amount_fen)).join(Case, col(Case.id) == Payout.case_id).where(
        Case.shop_id == shop_id, col(Payout.requested_at) >= since,
        col(Payout.state).in_([PayoutState.REQUESTED, PayoutState.SETTLED]),
    )  # fmt: skip
    return Money(fen=int(tx.exec(query).one() or 0))


def of_case(tx: Tx, case_id: str) -> list[Payout]:
    """The case's payouts, first attempt first."""
    return list(tx.exec(select(Payout).where(Payout.case_id == case_id).order_by(col(Payout.attempt))))
