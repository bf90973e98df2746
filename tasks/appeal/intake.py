"""What the merchant sends about an appeal: filed, evidence, escalation."""

from __future__ import annotations

from collections.abc import Iterable

from models.arbitration import (
    EscalationNote,
    EvidenceItem,
    EvidenceKind,
)
from models.arbitration_events import (
    AppealEvidenceSubmitted,
    AppealFiled,
    EscalationNoted,
    RulingEffective,
)
from models.cases import Case, CaseKind, WaitState
from models.messages import InboxMessage
from models.shop_events import DepositDeducted
from notifications import appeal as words
from office.base.db import Tx
from office.cases import cases, deadlines, merchants
from office.cases.cases import rules
from office.cases.merchants import shop_of
from office.record import audit, outbox
from office.record.inbox import Later, Refused, behind
from policies.deadlines import in_time
from tasks.appeal import submissions
from tasks.appeal.review import REVIEW, AppealVerdict
from tasks.appeal.window import EVIDENCE, LOST, last_of, notice_forms, window_of
from tasks.arbitration import doudian
from tasks.arbitration.rulings import find_ruling, named, the_ruling
from tasks.shops import shops
from tasks.shops.questions import own_open_case

# ── what the merchant sends ──────────────────────────────────────────────────


def file(tx: Tx, event: AppealFiled, message: InboxMessage) -> None:
    """A merchant appeals; everything filed becomes a case, also what will be refused (ARB-1 to ARB-4).

    A ruling we do not know, while one of the shop's is still to be read, is not unknown: the filing waits for it.
    """
    if find_ruling(tx, event.object_id) is None and (
        behind(tx, message, RulingEffective.type, DepositDeducted.type) or doudian.asking(tx, message.shop_id)
    ):
        raise Later("an earlier ruling of the shop is not recorded yet")
    shop = shops.find_shop(tx, event.shop_id)
    cases.open_case(
        tx,
        CaseKind.APPEAL,
        origin=message.origin,
        received_at=message.received_at,
        shop=shop,
        request={
            **named(event),
            "account_id": event.account_id,
            "reason": event.reason,
            "statement": event.statement,
            "evidence": [ref.model_dump(mode="json") for ref in event.evidence],
        },
        actor=f"merchant/{event.account_id}",
        clause="ARB-1",
        text=f"商家提交申诉:{event.reason.label}({event.ruling_id or event.deduction_id})",
    )


def submit_evidence(tx: Tx, event: AppealEvidenceSubmitted, message: InboxMessage) -> None:
    """Further evidence, once. In time is what reached the door in time, also before the notice or its wait exist."""
    case = own_open_case(tx, event.case_id, event.account_id, CaseKind.APPEAL, "ARB-6")
    first = last_of(tx, case, REVIEW.name)
    if first is None or first.verdict != AppealVerdict.INSUFFICIENT or first.decided_at is None:
        raise Refused("申诉当前不在重新举证阶段;凭证提交后不能追加或修改", "ARB-4")
    if message.received_at < first.decided_at:  # not what was asked for, so it does not use up the one round
        raise Refused("凭证在要求重新举证之前收到;凭证提交后不能追加,请按驳回通知在期限内重新提交", "ARB-4")
    wait = cases.open_wait(tx, case, EVIDENCE, EVIDENCE)
    if wait.state is not WaitState.OPEN:
        raise Refused("重新举证仅限一次,此前已提交或期限已过", "ARB-5")
    due = window_of(tx, case)
    if due is not None and not in_time(message.received_at, due.due):
        raise Refused("重新举证的期限已过,申诉将关闭", "ARB-6")
    taken, foreign, over = submissions.own(tx, case, event.evidence)
    left_out = [*foreign, *over]
    if not taken:
        raise Refused("没有新的、本店上传的凭证;期限内可以重新提交", "ARB-4")
    submissions.submit(tx, case, 2, taken, message.received_at)
    statement = {"text": event.statement, "left_out": left_out, "received_at": message.received_at.isoformat()}
    cases.close_wait(tx, wait, WaitState.ANSWERED, statement)
    deadlines.stop(tx, case.id, EVIDENCE)
    for form in notice_forms(case.id):
        outbox.drop(tx, form, "商家已重新举证,无需再通知")
    told = words.AppealEvidenceReceived(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        received_at=message.received_at,
        accepted=names_of(taken),
        left_out=tuple(left_out),
        most=rules(case).appeal.evidence.max_items,
    )
    merchants.tell(tx, told, f"{case.id}/evidence-received", case=case)
    doudian.pass_on(tx, case, the_ruling(tx, case), 2, [item for item, _ in taken], event.statement)
    outbox.wake(tx, case)


def note_escalation(tx: Tx, event: EscalationNoted, message: InboxMessage) -> None:
    """The merchant turned elsewhere after losing: a note with the case, whose result stays (ARB-10, ambiguity 11)."""
    case = tx.get(Case, event.case_id)
    if case is None or case.kind is not CaseKind.APPEAL or case.shop_id != event.shop_id:
        raise Refused(f"案件 {event.case_id} 不存在", "ARB-10")
    if case.outcome not in LOST:
        raise Refused("只有未获支持的申诉可以登记外部维权", "ARB-10")
    tx.add(
        EscalationNote(
            case_id=case.id,
            channel=event.channel,
            note=event.note,
            noted_at=message.received_at,
            origin=message.origin,
        )
    )
    audit.record(
        tx,
        case.id,
        "escalation.noted",
        actor="platform",
        clause="ARB-10",
        public=True,
        channel=event.channel,
        text=f"登记外部维权:{event.channel.label}",
    )


def names_of(items: list[tuple[EvidenceItem, EvidenceKind]]) -> tuple[str, ...]:
    return tuple(f"{kind.label}:{item.name}" for item, kind in items)


def may_send(tx: Tx, case: Case) -> Iterable[str]:
    wait, window = cases.find_wait(tx, case.id, EVIDENCE), window_of(tx, case)
    past = window is not None and not in_time(tx.now, window.due)
    if case.concluded_at is None and wait is not None and wait.state is WaitState.OPEN and not past:
        yield "appeal.evidence_submitted"
    if case.outcome in LOST:
        yield "escalation.noted"
