"""The desk: every question people are asked, every clock that runs, every event that is acted on, in one list each.

A new process adds its module here and is then known to the forms, the sweep, the inbox and the command line.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from models.arbitration_events import (
    AppealEvidenceSubmitted,
    AppealFiled,
    ArbitrationApplied,
    ArbitrationProgressed,
    ArbitrationWithdrawalRequested,
    EscalationNoted,
    RulingCorrectionProposed,
    RulingEffective,
)
from models.cases import Case, CaseDeadline
from models.events import (
    INBOUND,
    ClosureRequested,
    ClosureWithdrawn,
    DepositDeducted,
    DepositPaid,
    DepositSetOff,
    Event,
    ForcedClosureProposed,
    MerchantAnswered,
    MessageRefused,
    PayoutFailed,
    PayoutReturned,
    PayoutSettled,
    RefundPayeeCorrected,
    RefundRequested,
    RefundWithdrawn,
    ShopRegistered,
    ShopSnapshotTaken,
    ShopUpdated,
)
from models.invoicing_events import (
    BillablesRecorded,
    InvoiceRedLetter,
    InvoiceSubmitted,
    ReceivablePaidOut,
    ReceivableSettled,
)
from models.messages import InboxMessage, InboxState
from models.reviews import Review, Role
from models.shops import Shop
from models.text import unfit_reason
from notifications.operations import DeadlineStuck, InboxConflict, InboxFailed
from office.base.db import Tx
from office.cases import confirmations, deadlines, kept, reviews
from office.cases.cases import emit
from office.cases.reviews import Answer, Gate, Outcome
from office.record import audit, outbox
from office.staff import staff
from office.staff.guard import Place
from policies.policy import policy_at
from tasks.appeal import appeals
from tasks.arbitration import arbitration, compensation
from tasks.closure import closures
from tasks.forced_closure import forced_closures, held_receivables
from tasks.invoicing import billables, freezes, invoices, releases
from tasks.payouts import bank_inquiries, payouts
from tasks.refund import refunds
from tasks.shops import demands, deposits, facts, shops

GATES: dict[str, Gate] = {
    gate.name: gate
    for module in (
        closures,
        forced_closures,
        held_receivables,
        refunds,
        bank_inquiries,
        demands,
        appeals,
        arbitration,
        compensation,
        releases,
        invoices,
    )
    for gate in module.GATES
}

DEADLINES: dict[str, deadlines.Kind] = {
    reviews.DEADLINE: reviews.deadline_kind(GATES), confirmations.DEADLINE: confirmations.deadline_kind(GATES),
    **closures.DEADLINES, **refunds.DEADLINES,
    **appeals.DEADLINES, **facts.DEADLINES, **demands.DEADLINES,
}  # fmt: skip


def _about_shop(act: Callable[[Tx, Any, Shop, InboxMessage], None]) -> Callable[[Tx, Any, InboxMessage], None]:
    """For handlers that need the shop itself, locked; an unknown shop is refused before they are asked."""
    return lambda tx, event, message: act(tx, event, shops.find_shop(tx, event.shop_id), message)


HANDLERS: dict[type[Event], Callable[[Tx, Any, InboxMessage], None]] = {
    ShopRegistered: shops.register,
    ShopUpdated: shops.update,
    ShopSnapshotTaken: facts.take_snapshot,
    DepositPaid: _about_shop(deposits.pay),
    DepositDeducted: _about_shop(arbitration.deduct),
    DepositSetOff: _about_shop(deposits.set_off),
    ClosureRequested: closures.request,
    ClosureWithdrawn: closures.withdraw_request,
    MerchantAnswered: closures.answer,
    ForcedClosureProposed: forced_closures.propose,
    RefundRequested: refunds.request,
    RefundPayeeCorrected: refunds.correct_payee,
    RefundWithdrawn: refunds.withdraw_request,
    PayoutSettled: payouts.answered,
    PayoutFailed: payouts.answered,
    PayoutReturned: payouts.answered,
    BillablesRecorded: billables.take_batch,
    InvoiceSubmitted: _about_shop(invoices.submit),
    InvoiceRedLetter: _about_shop(invoices.reverse),
    ReceivableSettled: _about_shop(freezes.receive),
    ReceivablePaidOut: _about_shop(freezes.pay_out),
    ArbitrationApplied: _about_shop(arbitration.apply),
    ArbitrationProgressed: _about_shop(arbitration.progress),
    RulingEffective: _about_shop(arbitration.rule),
    AppealFiled: appeals.file,
    AppealEvidenceSubmitted: appeals.submit_evidence,
    ArbitrationWithdrawalRequested: _about_shop(arbitration.request_withdrawal),
    RulingCorrectionProposed: _about_shop(arbitration.propose_correction),
    EscalationNoted: appeals.note_escalation,
}


def handle(tx: Tx, message: InboxMessage, body: dict[str, Any]) -> None:
    """Act on one stored message, in the given transaction."""
    model = INBOUND.get(message.type)
    if model is None:
        raise kept.unmapped(message)
    event = model.model_validate(body["data"])
    HANDLERS[model](tx, event, message)


_THEIRS = "更正后请使用新的消息编号(webhook-id)重新发送,同一编号不会再次处理。"
_OURS = "这是平台后台的故障,排除后会继续处理,无需重新发送。"


def on_refused(tx: Tx, message: InboxMessage, sentence: str, clause: str) -> None:
    """Tell the platform that a message it sent was understood and refused, and why; our own faults also the supervisor."""
    event = MessageRefused(
        source=message.source, message_id=message.message_id, message_type=message.type, shop_id=message.shop_id,
        clause=clause, sentence=sentence, remedy=_OURS if message.state is InboxState.FAILED else _THEIRS,
    )  # fmt: skip
    known = message.shop_id if message.shop_id and tx.get(Shop, message.shop_id) else None
    emit(tx, event, f"refused/{message.source}/{message.message_id}", shop_id=known)
    if message.state is InboxState.FAILED:
        _tell_failed(tx, message)
    elif tx.now - message.received_at >= timedelta(hours=policy_at(message.received_at).inbox.early_hours):
        kept.tell(tx, message, f"等待后仍未受理:{sentence}")
    about = tx.get(Case, message.case_id) if message.case_id else None
    if about is not None:  # a case that has ended accepts nothing, and says what came
        audit.record(tx, about.id, "message.refused", clause=clause, public=True, text=f"未受理:{sentence}",
                     type=message.type, received_at=message.received_at.isoformat())  # fmt: skip


def _tell_failed(tx: Tx, message: InboxMessage) -> None:
    told = InboxFailed(
        number=message.id or 0, source=message.source, message_id=message.message_id, message_type=message.type,
        received_at=message.received_at, error=message.note,
    )  # fmt: skip
    reviews.notify_staff(
        tx, Role.SUPERVISOR, told, f"failed/{message.id}/{tx.now.isoformat()}"
    )  # again after each retry


def dismiss(tx: Tx, number: int, staff_id: str, code: str, reason: str) -> Outcome:
    """A supervisor gives up a failed message that nobody can mend, with a reason and their own code.

    It holds nothing up any more. A refusal is returned, not raised: the code is spent and counted whatever follows.
    """
    proof = staff.prove(tx, staff_id, code)
    if not proof.ok:
        return Outcome(accepted=False, sentence=proof.sentence)
    if Role.SUPERVISOR not in staff.find(tx, staff_id).roles:
        return Outcome(accepted=False, sentence="只有主管可以放弃处理失败的消息")
    if sentence := unfit_reason(reason, "放弃处理必须填写理由"):
        return Outcome(accepted=False, sentence=sentence)
    row = tx.get(InboxMessage, number)
    if row is None or row.state is not InboxState.FAILED:
        return Outcome(accepted=False, sentence=f"没有编号为 {number} 的处理失败的消息")
    row.state, row.note, row.handled_at = InboxState.KEPT, f"{staff_id} 放弃处理:{reason.strip()}", tx.now
    tx.add(row)
    known = tx.get(Shop, row.shop_id) is not None if row.shop_id else False
    subject = row.case_id or (f"shop/{row.shop_id}" if known else "system")
    audit.record(
        tx, subject, "inbox.dismissed", actor=f"staff/{staff_id}", text=f"放弃处理消息 {row.type}:{reason.strip()}",
        source=row.source, message_id=row.message_id,
    )  # fmt: skip
    return Outcome(accepted=True, sentence=f"消息 {number} 不再处理,也不再暂停相关期限")


def on_conflict(tx: Tx, message: InboxMessage) -> None:
    """Tell the supervisor that an id came again with other bytes; the first message stands."""
    told = InboxConflict(
        source=message.source, message_id=message.message_id, message_type=message.type,
        first_received_at=message.received_at, seen_at=tx.now, conflicts=message.conflicts,
    )  # fmt: skip
    reviews.notify_staff(
        tx, Role.SUPERVISOR, told, f"conflict/{message.source}/{message.message_id}/{message.conflicts}"
    )


def on_stuck(tx: Tx, case: Case, deadline: CaseDeadline, fault: str) -> None:
    """Tell the supervisor, once, that a deadline meets a fault; it is tried again all the while."""
    told = DeadlineStuck(
        case_id=case.id, case_kind=case.kind.label, subject=case.subject or case.id, deadline=deadline.key,
        due=deadline.due_at, reason=fault, link=reviews.link_to(case),
    )  # fmt: skip
    reviews.notify_staff(tx, Role.SUPERVISOR, told, f"stuck/{case.id}/{deadline.key}", case)


def look_after(tx: Tx) -> None:
    """End claims whose holders may no longer answer, and tell the supervisors where nobody is left (ambiguity 37)."""
    reviews.look_after(tx, GATES)


def decide(tx: Tx, answer: Answer) -> Outcome:
    """Take an answer that came from anywhere but the form, and wake the case (the form's own resume does that)."""
    review = tx.get(Review, answer.review_id)
    if review is None:
        return Outcome(accepted=False, sentence=f"没有编号为 {answer.review_id} 的审核任务")
    outcome = confirmations.take_terminal_answer(tx, GATES[review.gate], answer)
    case = tx.get(Case, review.case_id)
    if case is not None and outcome.accepted:
        outbox.wake(tx, case)
    return outcome


def confirm(tx: Tx, review_id: str, staff_id: str, code: str, place: Place = Place.TERMINAL) -> Outcome:
    """Whoever gave a held answer confirms it."""
    return confirmations.confirm(tx, review_id, staff_id, code, GATES, place)


def dispute(tx: Tx, review_id: str, staff_id: str, code: str, words: str, place: Place = Place.TERMINAL) -> Outcome:
    """Somebody objects to what was recorded in their name."""
    return confirmations.dispute(tx, review_id, staff_id, code, words, GATES, place)
