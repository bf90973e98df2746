"""Payouts: a permit given by people, used once; an instruction to the bank; what the bank answers (REF-3, REF-8).

The same for every kind of case that pays: what is its own, it says once (:class:`office.process.Pays`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import assert_never

from sqlalchemy import ColumnElement
from sqlmodel import and_, col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from models.books import AccountKind, Transfer
from models.cases import Case, CaseState, WaitState
from models.event_parts import PayeeData
from models.messages import InboxMessage
from models.money import Money, yuan
from models.payout_events import PayoutFailed, PayoutReturned, PayoutSettled
from models.payouts import Order, Payee, Payout, PayoutState, Permit
from models.reviews import Role
from models.shops import Shop
from notifications.operations import PaymentCameBack
from office.base.db import Tx, prepared
from office.base.vault import place, seal_json
from office.cases import cases, reviews
from office.cases.cases import emit
from office.cases.locks import lock_case
from office.money import ledger
from office.money.ledger import platform_account
from office.process import Process
from office.record import audit, outbox
from office.record.inbox import Refused
from policies.masking import mask_accounts
from policies.payees import Account, account_of
from tasks.payouts import contradictions, payout_proof, sources
from tasks.payouts.permits import payee_hash, unused
from tasks.payouts.sources import PermitRefused, pays
from tasks.shops import states

BANK = "bank"
"""The kind of wait that ends when the bank answers."""

OUT = (PayoutState.REQUESTED, PayoutState.SETTLED)
"""Money that has left: with the bank, or with the payee."""

BankAnswer = PayoutSettled | PayoutFailed | PayoutReturned


def instruct(
    tx: Tx,
    case: Case,
    turn: int,
    orders: Sequence[Order],
    source: AccountKind = AccountKind.DEPOSIT,
    *,
    says: str = "",
) -> list[Payout]:
    """Use the permits, reserve the money and write the instructions to the bank, all in one transaction.

    The money is that of the case's shop in ``source``, or the platform's own. ``says`` is the line that both sides read.
    Raises :class:`PermitRefused` unless the unused permits are for exactly these amounts and payees.
    """
    if case.halted:  # an objection that came between the steps of a run
        raise PermitRefused(f"{case.id} is halted: {case.halted}")
    contradictions.put_right(tx)
    if contradictions.open_for(tx, case.shop_id):
        raise PermitRefused(f"{case.id}: the bank contradicts itself about this shop's money")
    permits = unused(tx, case.id)
    if not orders or len(permits) != len(orders):
        raise PermitRefused(f"{case.id}: {len(permits)} unused permits for {len(orders)} payments")
    for permit, order in zip(permits, orders, strict=True):
        if (permit.amount_fen, permit.payee_sha256) != (order.amount.fen, payee_hash(order.payee)):
            raise PermitRefused(f"{case.id}: the permit of attempt {permit.attempt} is for another amount or payee")
    if case.shop_id:
        states.insist(tx, tx.get_one(Shop, case.shop_id))
    ledger.prove(tx, sources.account_of(source, case.shop_id or ""))
    paid = [_send(tx, case, turn, permit, order, source) for permit, order in zip(permits, orders, strict=True)]
    amount = (
        "(金额保密)" if any(order.covered_by_fen for order in orders) else f" {Money(fen=sum(o.fen for o in orders))}"
    )
    cases.move(
        tx,
        case,
        CaseState.PAYING,
        says or f"已向银行提交打款{amount} 至 {masked([order.payee for order in orders])}",
        clause=pays(case).permitted_under or pays(case).clause,
    )
    return paid


def masked(payees: Sequence[Payee]) -> str:
    """All of them as a form, a message or an artifact may name them."""
    return "、".join(payee.masked for payee in payees)


def _send(tx: Tx, case: Case, turn: int, permit: Permit, order: Order, source: AccountKind) -> Payout:
    """One instruction: its permit used, its money in clearing, its order on the way to the bank."""
    permit.used_at = tx.now
    tx.add(permit)
    shop_id, attempt, payee = case.shop_id or "", permit.attempt, order.payee
    request_no = f"{case.id}-P{attempt}"
    sources.fund(tx, case, attempt, source, order.amount)
    ledger.post(
        tx,
        f"{case.id}/payout/{attempt}",
        debit=sources.account_of(source, shop_id),
        credit=platform_account(AccountKind.CLEARING),
        amount=order.amount,
        reason="payout.requested",
        clause=pays(case).clause,
        case_id=case.id,
    )
    sealed = payee.model_dump(mode="json") | ({"fen": order.fen} if order.covered_by_fen else {})
    payout = Payout(
        request_no=request_no,
        case_id=case.id,
        shop_id=case.shop_id,
        attempt=attempt,
        turn=turn,
        permit_id=permit.id,
        amount_fen=order.amount.fen,
        covered=order.covered_by_fen > 0,
        payee_sealed=seal_json(sealed, place(Payout, "payee_sealed", request_no)),
        payee_masked=payee.masked,
        source=source,
        requested_at=tx.now,
    )
    tx.add(payout)
    tx.flush()
    cases.open_wait(tx, case, f"{BANK}/{attempt}", BANK)
    sent = pays(case).asks_bank(
        shop_id=sources.shop_told(payout),
        case_id=case.id,
        request_no=request_no,
        amount_fen=order.fen,
        payee=as_told(payee),
    )
    emit(tx, sent, payout.request_no, case)
    tell_how_it_stands(tx, case, payout)
    return payout


def as_told(payee: Payee) -> PayeeData:
    """As the bank is told. As it was taken, also under the rules of an earlier version: the permit is for this very account."""
    return PayeeData.model_construct(
        method=payee.method, name=payee.name, account_no=payee.account_no, bank_name=payee.bank_name
    )


def tell_how_it_stands(tx: Tx, case: Case, payout: Payout) -> None:
    if (tells := pays(case).tells) is None:
        return
    event = tells(
        shop_id=payout.shop_id or "",
        case_id=case.id,
        request_no=payout.request_no,
        amount_fen=payout.amount_fen,
        payee=payout.payee_masked,
        state=payout.state,
        reason=payout.bank_reason,
        at=tx.now,
    )
    emit(tx, event, f"{payout.request_no}/{payout.state}", case)


def answered(tx: Tx, event: BankAnswer, message: InboxMessage) -> None:
    """The bank answers. The same answer again changes nothing; one that contradicts what we know stands nowhere but in
    a row of its own, and is told to people (ambiguity 38).

    A return can follow a settlement (退票): the money is back, so the case is taken up again where it stands.
    """
    said = _said(event)
    found = tx.get(Payout, event.request_no)
    if found is None:
        raise _contradicted(f"没有请求号为 {event.request_no} 的打款指令,未入账,已请人工核对银行流水", event, said)
    case = lock_case(tx, found.case_id)
    payout = tx.get(Payout, event.request_no, populate_existing=True) or found
    if (proved := contradictions.proved(tx, payout)) is not None:
        if (said, event.amount_fen, event.shop_id) == (payout.state, proved, sources.shop_told(payout)):
            return
        raise _contradicted(
            f"打款 {event.request_no} 已凭银行证明更正,与这次回执不符,未入账,已请人工核对银行流水", event, said
        )
    if sources.amount_of(payout) != event.amount_fen:
        raise _contradicted(f"打款 {event.request_no} 的金额与指令不符,未入账,已请人工核对银行流水", event, said)
    if event.shop_id != sources.shop_told(payout):
        raise _contradicted(
            f"打款 {event.request_no} 不是店铺 {event.shop_id} 的,未入账,已请人工核对银行流水", event, said
        )
    paid_after_all = (
        (payout.state, said) == (PayoutState.RETURNED, PayoutState.SETTLED)
        and payout.answered_at is not None
        and event.at > payout.answered_at
    )  # money that was back has left once more: no late report of what came before the return
    if not paid_after_all and (said is payout.state or (payout.state, said) in SAME):
        return
    if (payout.state, said) not in FOLLOWS:
        raise _contradicted(
            f"打款 {event.request_no} 已是「{payout.state.label}」,不能改为「{said.label}」,已请人工核对银行流水",
            event,
            said,
        )
    take(tx, case, payout, said, _masked(event.reason, payout))


FOLLOWS = {
    (PayoutState.REQUESTED, PayoutState.SETTLED),
    (PayoutState.REQUESTED, PayoutState.FAILED),
    (PayoutState.REQUESTED, PayoutState.RETURNED),
    (PayoutState.SETTLED, PayoutState.RETURNED),
}
"""What the bank may say after what it said before."""

SAME = {
    (PayoutState.RETURNED, PayoutState.SETTLED),
    (PayoutState.RETURNED, PayoutState.FAILED),
    (PayoutState.FAILED, PayoutState.RETURNED),
}
"""Answers that tell nothing new of the money: a settlement delivered after the return it came before, and two words for
money that is back."""


def _said(event: BankAnswer) -> PayoutState:
    match event:
        case PayoutSettled():
            return PayoutState.SETTLED
        case PayoutFailed():
            return PayoutState.FAILED
        case PayoutReturned():
            return PayoutState.RETURNED
        case unknown:
            assert_never(unknown)


def _contradicted(sentence: str, event: BankAnswer, said: PayoutState) -> Refused:
    """The refusal of an answer that contradicts what we know; finance and supervisor hear it as it is refused."""

    def heard(tx: Tx, message: InboxMessage) -> None:
        payout = tx.get(Payout, event.request_no)
        reason = _masked(event.reason, payout) if payout else mask_accounts(event.reason)
        contradictions.record(tx, message, event, said, reason)

    return Refused(sentence, "REF-3", heard=heard)


def take(tx: Tx, case: Case, payout: Payout, now: PayoutState, reason: str, actor: str = "bank") -> None:
    """The instruction ends so: the money is out, or back in the account it was taken from."""
    before, payout.state = payout.state, now
    payout.answered_at, payout.bank_reason = tx.now, reason
    tx.add(payout)
    amount = Money(fen=payout.amount_fen)
    clearing, cash = platform_account(AccountKind.CLEARING), platform_account(AccountKind.CASH)
    if now is PayoutState.SETTLED:
        _post(tx, case, payout, "settled", clearing, cash, amount)
        sources.settled(tx, case, payout)
    else:
        if before is PayoutState.SETTLED:
            _post(tx, case, payout, "returned", cash, clearing, amount)
        sources.cover_again(tx, case, payout)
        _post(tx, case, payout, "reversed", clearing, sources.account_of(payout.source, payout.shop_id or ""), amount)
    audit.record(
        tx,
        about(case, payout),
        "payout.answered",
        actor=actor,
        clause=_answered_under(case),
        public=True,
        state=now,
        text=f"银行回执:{now.label}" + (f"({payout.bank_reason})" if payout.bank_reason else ""),
    )
    tell_how_it_stands(tx, case, payout)
    wait = cases.find_wait(tx, case.id, f"{BANK}/{payout.attempt}")
    if wait is not None:
        cases.close_wait(tx, wait, WaitState.ANSWERED, {"state": now})
    if (taken := pays(case).taken) is not None:
        taken(tx, case, payout, before)
    if case.concluded_at is None:
        outbox.wake(tx, case)
    if payout.shop_id:
        reviews.wake_asking(tx, payout.shop_id)


def nobody_waits(tx: Tx, case: Case, payout: Payout, then: str) -> None:
    """Have finance hear of money that is back, or has arrived, though its case waits for it no more; ``then`` says what
    becomes of it."""
    told = PaymentCameBack(
        case_id=case.id,
        subject=case.subject or case.id,
        state=case.state.label,
        request_no=payout.request_no,
        amount=contradictions.COVERED if payout.covered else yuan(sources.amount_of(payout)),
        payee=payout.payee_masked,
        bank_reason=payout.bank_reason or payout.state.label,
        arrived=payout.state is PayoutState.SETTLED,
        then=then,
        link=reviews.link_to(case),
    )
    reviews.notify_staff(tx, Role.FINANCE, told, f"{payout.request_no}/{payout.state}/{tx.now:%Y%m%d%H%M%S%f}", case)


def about(case: Case, payout: Payout) -> str:
    """Where it is recorded: a case that pays many shops leaves each its own line."""
    return case.id if case.shop_id or not payout.shop_id else f"shop/{payout.shop_id}"


def _answered_under(case: Case) -> str:
    return pays(case).answered_under or pays(case).clause


def _masked(reason: str, payout: Payout) -> str:
    """The bank's words without the account it was to pay to, nor any other."""
    payee = sources.payee_of(payout)
    return mask_accounts(reason.replace(payee.account_no, payee.tail))


def _post(tx: Tx, case: Case, payout: Payout, what: str, debit: str, credit: str, amount: Money) -> None:
    key = f"{case.id}/{what}/{payout.attempt}"
    if tx.get(Transfer, key):  # posted before a correction undid it: this is another event
        key = f"{key}/{tx.now.isoformat()}"
    ledger.post(
        tx,
        key,
        debit=debit,
        credit=credit,
        amount=amount,
        reason=f"payout.{what}",
        clause=_answered_under(case),
        case_id=case.id,
    )


def total(payouts: Iterable[Payout], *states: PayoutState) -> int:
    """How much, in fen, is in one of these states."""
    return sum(payout.amount_fen for payout in payouts if payout.state in states)


def paid_back(tx: Tx, shop_id: str) -> dict[Account, int]:
    """What each account has got of a shop's deposit so far, or is about to get (ambiguity 25)."""
    got: dict[Account, int] = {}
    for payout in _from_deposit(tx, shop_id):
        account = account_of(sources.payee_of(payout))
        got[account] = got.get(account, 0) + payout.amount_fen
    return got


def _of_deposit(shop_id: str) -> ColumnElement[bool]:
    return and_(col(Payout.shop_id) == shop_id, col(Payout.source) == AccountKind.DEPOSIT, col(Payout.state).in_(OUT))


@prepared
def _from_deposit(shop_id: str) -> SelectOfScalar[Payout]:
    return select(Payout).where(_of_deposit(shop_id))


def promised(tx: Tx, shop_id: str, since: datetime) -> Money:
    """What has been paid out of a shop's deposit since then, or is on its way."""
    query = select(func.sum(Payout.amount_fen)).where(_of_deposit(shop_id), col(Payout.requested_at) >= since)
    return Money(fen=int(tx.exec(query).one() or 0))


def of_case(tx: Tx, case_id: str) -> list[Payout]:
    """The case's payouts, first instruction first."""
    return list(_of_case(tx, case_id))


@prepared
def _of_case(case_id: str) -> SelectOfScalar[Payout]:
    return select(Payout).where(Payout.case_id == case_id).order_by(col(Payout.attempt))


PROCESS = Process(
    name="payout",
    hears={PayoutSettled: answered, PayoutFailed: answered, PayoutReturned: answered},
    waits={BANK: "银行回执"},
    proves=payout_proof.check,
)
