"""Appeals: what each step of the story does to the appeal, its evidence, the ruling and the merchant (ARB)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import col, func, select

from models.arbitration import (
    Appeal,
    AppealReason,
    CheckItem,
    EscalationNote,
    EvidenceItem,
    EvidenceKind,
    Ruling,
    VoidCause,
)
from models.arbitration_events import (
    AppealEvidenceSubmitted,
    AppealFiled,
    EscalationNoted,
    EvidenceRef,
    EvidenceWindowOpened,
    RulingEffective,
)
from models.base import Labelled
from models.cases import Case, CaseDeadline, CaseKind, CaseState, DeadlineState, Side, WaitState
from models.events import DepositDeducted
from models.messages import InboxMessage, OutboxMessage, OutboxState
from models.money import yuan
from models.outcomes import Refusal
from models.reviews import Review, ReviewState, Role, Staff
from models.views import EvidenceShown
from models.windows import Reckoned
from notifications import appeal as words
from office.base.calendar import work_calendar
from office.base.db import Tx, reading
from office.cases import approvals, cases, deadlines, dossier, merchants
from office.cases.cases import emit, rules
from office.cases.effects import effects_of
from office.cases.merchants import ground, shop_of
from office.cases.reviews import Answer, Dossier, Gate, decided
from office.files import evidence
from office.process import Process
from office.record import audit, outbox
from office.record.inbox import Later, Refused, behind
from office.staff import staff
from policies import appeal as rules_of_appeal
from policies.approvals import Seen
from policies.deadlines import in_time, reckon, reminder_times, seconds_left
from tasks.appeal.request import AppealAsked
from tasks.arbitration import arbitration, doudian
from tasks.arbitration.arbitration import appeal_of, lock_ruling, named, ruling_of, ruling_part, strike, the_ruling
from tasks.closure.closures import own_open_case, shop_part
from tasks.shops import shops

effect = effects_of("appeals")

EVIDENCE = "re-evidence"
EARLIER_SHOWN = 10
"""Earlier appeals that a dossier lists; how many more there are is said."""
"""The merchant's second window: the key of its wait, its deadline, and the kind of both."""
NOTICE = "rejection-notice"
"""Our own time to get the rejection notice out; the merchant's window starts when it is."""
NOTICE_LOOKS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(minutes=30))
"""When the case looks again whether the notice has gone out, after the first look at once."""


LOST = frozenset({CaseState.DISMISSED, CaseState.CLOSED_TIMEOUT})
"""How an appeal ends after which the merchant may turn elsewhere (ARB-10)."""


class AppealVerdict(Labelled):
    UPHOLD = "UPHOLD", "申诉成立"
    DISMISS = "DISMISS", "申诉不成立"
    INSUFFICIENT = "INSUFFICIENT", "举证不足,驳回补充"


class FinalVerdict(Labelled):
    UPHOLD = "UPHOLD", "申诉成立"
    DISMISS = "DISMISS", "申诉不成立"


# ── what the merchant sends ──────────────────────────────────────────────────


def file(tx: Tx, event: AppealFiled, message: InboxMessage) -> None:
    """A merchant appeals; everything filed becomes a case, also what will be refused (ARB-1 to ARB-4).

    A ruling we do not know, while one of the shop's is still to be read, is not unknown: the filing waits for it.
    """
    if tx.get(Ruling, event.object_id) is None and (
        behind(tx, message, RulingEffective.type, DepositDeducted.type) or doudian.asking(tx, message.shop_id)
    ):
        raise Later("an earlier ruling of the shop is not recorded yet")
    shop = shops.find_shop(tx, event.shop_id)
    cases.open_case(
        tx, CaseKind.APPEAL, origin=f"{message.source}/{message.message_id}", received_at=message.received_at, shop=shop,
        request={**named(event), "account_id": event.account_id, "reason": event.reason, "statement": event.statement,
                 "evidence": [ref.model_dump(mode="json") for ref in event.evidence]},
        actor=f"merchant/{event.account_id}", clause="ARB-1",
        text=f"商家提交申诉:{event.reason.label}({event.ruling_id or event.deduction_id})",
    )  # fmt: skip


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
    taken, foreign, over = evidence.own(tx, case, event.evidence)
    left_out = [*foreign, *over]
    if not taken:
        raise Refused("没有新的、本店上传的凭证;期限内可以重新提交", "ARB-4")
    evidence.submit(tx, case, 2, taken, message.received_at)
    statement = {"text": event.statement, "left_out": left_out, "received_at": message.received_at.isoformat()}
    cases.close_wait(tx, wait, WaitState.ANSWERED, statement)
    deadlines.stop(tx, case.id, EVIDENCE)
    for form in notice_forms(case.id):
        outbox.drop(tx, form, "商家已重新举证,无需再通知")
    told = words.AppealEvidenceReceived(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        received_at=message.received_at,
        accepted=_names(taken),
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
            case_id=case.id, channel=event.channel, note=event.note, noted_at=message.received_at,
            origin=f"{message.source}/{message.message_id}",
        )
    )  # fmt: skip
    audit.record(tx, case.id, "escalation.noted", actor="platform", clause="ARB-10", public=True, channel=event.channel,
                 text=f"登记外部维权:{event.channel.label}")  # fmt: skip


def _names(items: list[tuple[EvidenceItem, EvidenceKind]]) -> tuple[str, ...]:
    return tuple(f"{kind.label}:{item.name}" for item, kind in items)


# ── what the rules see ───────────────────────────────────────────────────────


def reason_of(case: Case) -> AppealReason:
    return AppealAsked.of(case).reason


def checklist_of(tx: Tx, case: Case) -> tuple[CheckItem, ...]:
    """What is expected for the merchant's reason, and what of it has been submitted."""
    there = {row.evidence_id: row.kind for row, _ in evidence.submitted(tx, case.id)}
    return rules_of_appeal.checklist(reason_of(case), there, rules(case))


def _expected(tx: Tx, case: Case) -> tuple[str, ...]:
    return tuple(item.kind.label for item in checklist_of(tx, case) if not item.satisfied)


def notice_key(case_id: str) -> str:
    return f"{case_id}/evidence-requested"


def notice_forms(case_id: str) -> tuple[str, str]:
    """Keys of the notice in the outbox: what the merchant reads, and its copy for the platform's own inbox."""
    return outbox.TO_MERCHANT + notice_key(case_id), outbox.COPY + notice_key(case_id)


def notice_sent_at(tx: Tx, case_id: str) -> datetime | None:
    """When the rejection notice left us: the first way by which it did (ARB-5: 平台驳回通知后).

    Where there is no way at all (no contact, no subscriber) it stands in the case from the moment that was found.
    ``None`` while it is still on its way, also after it was given up, until somebody has it sent again.
    """
    rows = list(tx.exec(select(OutboxMessage).where(col(OutboxMessage.key).in_(notice_forms(case_id)))))
    sent = [row.closed_at for row in rows if row.state is OutboxState.SENT and row.closed_at]
    if sent:
        return min(sent)
    skipped = [row.closed_at for row in rows if row.state is OutboxState.SKIPPED and row.closed_at]
    return max(skipped) if rows and len(skipped) == len(rows) else None


def window_of(tx: Tx, case: Case) -> Reckoned | None:
    """The merchant's second window; ``None`` while the notice has not gone out and nothing has begun to run.

    Once it runs it is what its deadline says: a notice sent again does not move it.
    """
    if begun := deadlines.find(tx, case.id, EVIDENCE):
        return Reckoned.model_validate(begun.reckoned)
    wait = cases.find_wait(tx, case.id, EVIDENCE)
    if wait is not None and wait.state is not WaitState.OPEN:
        return None  # answered before it began to run
    sent_at = notice_sent_at(tx, case.id)
    return rules_of_appeal.reevidence_window(sent_at, rules(case)) if sent_at else None


# ── the steps of the story ───────────────────────────────────────────────────


@effect("受理申诉")
def admit(tx: Tx, case: Case) -> Refusal | None:
    """Take the appeal up, or refuse it with the clause (ARB-1 to ARB-4, WDR-2). In time is when it was received."""
    shop, request = shop_of(tx, case), case.request
    ruling = lock_ruling(tx, request["object"])
    before = appeal_of(tx, ruling.id) if ruling else None
    refs = [EvidenceRef.model_validate(ref) for ref in request["evidence"]]
    taken, foreign, over = evidence.own(tx, case, refs)
    most = rules(case).appeal.evidence.max_items
    refusal = rules_of_appeal.refuse_filing(
        requester=request["account_id"], owner=shop.owner_account_id, ruling=ruling, shop_id=shop.id,
        received_at=case.received_at, earlier_appeal=before.case_id if before else None,
        arbitration_withdrawn=arbitration.is_withdrawn(tx, ruling), evidence=len(taken),
    )  # fmt: skip
    if refusal is not None or ruling is None:
        return _refuse(tx, case, refusal)
    tx.add(Appeal(ruling_id=ruling.id, case_id=case.id, reason=reason_of(case), admitted_at=tx.now))
    tx.flush()
    evidence.submit(tx, case, 1, taken, case.received_at)
    items = checklist_of(tx, case)
    cases.keep_findings(
        tx, case, "appeal/1", rules_of_appeal.evidence_findings(reason_of(case), items, foreign, tx.now, over, most)
    )
    cases.move(tx, case, CaseState.UNDER_REVIEW, "申诉已受理,等待仲裁员审核", clause="ARB-4")
    told = words.AppealReceived(
        shop_name=shop.name, case_id=case.id, ruling_id=request["named"], reason=reason_of(case).label,
        received_at=case.received_at, accepted=_names(taken), left_out=(*foreign, *over), most=most, still_expected=_expected(tx, case),
        review_due=reckon(tx.now, rules(case).appeal.review_sla, "ARB-4", work_calendar()).due,
    )  # fmt: skip
    merchants.tell(tx, told, f"{case.id}/received", case=case)
    doudian.pass_on(tx, case, ruling, 1, [item for item, _ in taken], request["statement"])
    return None


def _refuse(tx: Tx, case: Case, refusal: Refusal | None) -> Refusal:
    if refusal is None:
        raise AssertionError("a filing without a ruling is always refused")
    again = (
        "您可以在申诉期限内补齐凭证后重新提交。"
        if refusal.code == "no-evidence"
        else "如有疑问请联系平台客服,并提供案件编号。"
    )
    told = words.AppealRefused(
        shop_name=shop_of(tx, case).name, case_id=case.id, received_at=case.received_at, grounds=(ground(refusal),),
        next_step=again,
    )  # fmt: skip
    merchants.tell(tx, told, f"{case.id}/refused", case=case)
    cases.refuse(tx, case, refusal)
    return refusal


@effect("发出驳回通知")
def ask_for_evidence(tx: Tx, case: Case) -> bool:
    """Send the rejection notice and wait for evidence; what came right after the verdict is there already (ARB-5).

    ``False`` when the appeal has ended meanwhile.
    """
    if case.concluded_at is not None:
        return False
    wait = cases.open_wait(tx, case, EVIDENCE, EVIDENCE)
    if wait.state is not WaitState.OPEN:
        return True
    review = last_of(tx, case, REVIEW.name)
    cases.move(tx, case, CaseState.AWAITING_MERCHANT, "举证不足,等待商家重新举证", clause="ARB-5")
    now = rules_of_appeal.reevidence_window(tx.now, rules(case))
    told = words.AppealEvidenceRequested(
        shop_name=shop_of(tx, case).name, case_id=case.id, ruling_id=AppealAsked.of(case).named,
        reason=review.reason if review else "", still_expected=_expected(tx, case),
        window_hours=int((now.due - now.start) / timedelta(hours=1)), due_if_sent_now=now.due,
    )  # fmt: skip
    merchants.tell(tx, told, notice_key(case.id), case=case, wakes=True)  # when it has left, the window can be opened
    late = reckon(tx.now, rules(case).appeal.notice_within, "ARB-5")
    deadlines.start(tx, case, NOTICE, NOTICE, Side.PLATFORM, late, [tx.now + after for after in NOTICE_LOOKS])
    return True


def window_may_open(case_id: str) -> bool:
    """Whether the notice has gone out, or nothing waits for it any more."""
    with reading() as tx:
        case = tx.get(Case, case_id)
        wait = cases.find_wait(tx, case_id, EVIDENCE)
        waiting = wait is not None and wait.state is WaitState.OPEN
        return case is None or case.concluded_at is not None or not waiting or notice_sent_at(tx, case_id) is not None


@effect("开始重新举证期限")
def open_window(tx: Tx, case: Case) -> None:
    """Start the three days from the moment the notice was sent, however late we come to it (ARB-5)."""
    deadlines.stop(tx, case.id, NOTICE)
    wait, window = cases.find_wait(tx, case.id, EVIDENCE), window_of(tx, case)
    if case.concluded_at is not None or wait is None or wait.state is not WaitState.OPEN or window is None:
        return
    hours = list(rules(case).reminders.merchant_hours_before)
    ahead = reminder_times(window.due, hours, max(tx.now, window.start))
    deadlines.start(tx, case, EVIDENCE, EVIDENCE, Side.MERCHANT, window, ahead)
    event = EvidenceWindowOpened(shop_id=shop_of(tx, case).id, case_id=case.id, sent_at=window.start, due_at=window.due)
    emit(tx, event, f"{case.id}/evidence-window", case)


@effect("收到补充凭证,第二次审核")
def resume(tx: Tx, case: Case) -> None:
    if case.concluded_at is not None:
        return
    items = checklist_of(tx, case)
    wait = cases.find_wait(tx, case.id, EVIDENCE)
    left_out = ((wait.answer or {}) if wait else {}).get("left_out", [])
    own = {shop_item.id for shop_item in evidence.of_shop(tx, case.shop_id or "", left_out)}
    found = rules_of_appeal.evidence_findings(
        reason_of(case), items, [one for one in left_out if one not in own], tx.now,
        [one for one in left_out if one in own], rules(case).appeal.evidence.max_items,
    )  # fmt: skip
    cases.keep_findings(tx, case, "appeal/2", found)
    cases.move(tx, case, CaseState.SECOND_REVIEW, "已收到补充凭证,等待第二次审核", clause="ARB-5")


@effect("逾期未举证,关闭申诉")
def close_unanswered(tx: Tx, case: Case) -> None:
    """Silence closes the appeal for good (ARB-6)."""
    deadline = deadlines.find(tx, case.id, EVIDENCE)
    if case.concluded_at is not None or deadline is None:
        return
    told = words.AppealClosedTimeout(
        shop_name=shop_of(tx, case).name, case_id=case.id, ruling_id=AppealAsked.of(case).named, due=deadline.due_at
    )
    merchants.tell(tx, told, f"{case.id}/timeout", case=case)
    cases.conclude(tx, case, CaseState.CLOSED_TIMEOUT, "逾期未重新举证,申诉关闭,不能再次申诉", clause="ARB-6")


@effect("申诉成立,剔除判责")
def uphold(tx: Tx, case: Case) -> bool | None:
    """Strike the ruling (ARB-7); ``True`` when merchant service has to call about deducted money (ARB-8), ``None`` when
    the matter is no longer what the arbitrator saw, and nothing is done."""
    return _uphold(tx, case)


@effect("重新审核后申诉成立,剔除判责")
def uphold_again(tx: Tx, case: Case, attempt: int) -> bool | None:
    """The same after another look."""
    return _uphold(tx, case)


def _uphold(tx: Tx, case: Case) -> bool | None:
    if case.concluded_at is not None:
        return False
    if _changed(tx, case):
        return None
    ruling = the_ruling(tx, case)
    strike(tx, case, ruling.id, VoidCause.APPEAL_UPHELD)
    _record_decision(tx, case, AppealVerdict.UPHOLD)
    told = words.AppealUpheld(
        shop_name=shop_of(tx, case).name, case_id=case.id, ruling_id=AppealAsked.of(case).named, decided_at=tx.now,
        reason=_reason(tx, case), deduction_fen=ruling.deduction_fen,
    )  # fmt: skip
    merchants.tell(tx, told, f"{case.id}/upheld", case=case)
    if ruling.deduction_fen:
        cases.move(tx, case, CaseState.COMPENSATING, "申诉成立,商服联系商家处理赔付款", clause="ARB-8")
        return True
    _conclude_upheld(tx, case)
    return False


def _conclude_upheld(tx: Tx, case: Case) -> None:
    cases.conclude(tx, case, CaseState.UPHELD, "申诉成立,判责已剔除", clause="ARB-7")


@effect("申诉成立,办结")
def conclude_upheld(tx: Tx, case: Case) -> None:
    _conclude_upheld(tx, case)


@effect("申诉不成立")
def dismiss(tx: Tx, case: Case) -> bool | None:
    """Final (ARB-3): the message lists where the merchant may still turn (ARB-10). ``True`` when the matter is no longer
    what the arbitrator saw, and nothing is done; ``None`` is what earlier versions kept."""
    return _dismiss(tx, case)


@effect("重新审核后申诉不成立")
def dismiss_again(tx: Tx, case: Case, attempt: int) -> bool:
    """The same after another look."""
    return _dismiss(tx, case)


def _dismiss(tx: Tx, case: Case) -> bool:
    if case.concluded_at is not None:
        return False
    if _changed(tx, case):
        return True
    _record_decision(tx, case, AppealVerdict.DISMISS)
    told = words.AppealDismissed(
        shop_name=shop_of(tx, case).name, case_id=case.id, ruling_id=AppealAsked.of(case).named, decided_at=tx.now,
        reason=_reason(tx, case), channels=rules_of_appeal.channels_after_dismissal(),
    )  # fmt: skip
    merchants.tell(tx, told, f"{case.id}/dismissed", case=case)
    cases.conclude(tx, case, CaseState.DISMISSED, "申诉不成立,此为最终结果", clause="ARB-3")
    return False


def _reason(tx: Tx, case: Case) -> str:
    """What the last arbitrator wrote."""
    last = _final(tx, case)
    return last.reason if last else ""


def _final(tx: Tx, case: Case) -> Review | None:
    return last_of(tx, case, SECOND.name) or last_of(tx, case, REVIEW.name)


def last_of(tx: Tx, case: Case, gate: str) -> Review | None:
    """The review of that gate that was decided last."""
    rounds = select(func.max(Review.round)).where(
        Review.case_id == case.id, Review.gate == gate, Review.state == ReviewState.DECIDED
    )
    last = tx.exec(rounds).one()
    return decided(tx, case.id, gate, last) if last else None


def _changed(tx: Tx, case: Case) -> bool:
    """Whether the matter is no longer what the arbitrator saw who has judged it: then it is asked again (ambiguity 23)."""
    lock_ruling(tx, the_ruling(tx, case).id)
    given = _final(tx, case)
    if given is not None and approvals.stand([given], _dossier(tx, case, given).seen):
        return False
    again = CaseState.SECOND_REVIEW if given is not None and given.gate == SECOND.name else CaseState.UNDER_REVIEW
    cases.move(tx, case, again, "事实发生变化,等待仲裁员重新审核", clause="ARB-4")
    return True


def _record_decision(tx: Tx, case: Case, verdict: AppealVerdict) -> None:
    """The result with the hashes of all the evidence it rests on."""
    hashes = {row.evidence_id: row.sha256 for row, _ in evidence.submitted(tx, case.id)}
    audit.record(tx, case.id, "appeal.decided", clause="ARB-7" if verdict is AppealVerdict.UPHOLD else "ARB-3",
                 text=f"{verdict.label}(依据凭证 {len(hashes)} 项)", public=True, verdict=verdict, sha256=hashes)  # fmt: skip


# ── what reviewers see ───────────────────────────────────────────────────────


def evidence_part(tx: Tx, case: Case, until: datetime) -> str:
    """Submitted items with what each is, its hash and a link that expires."""
    damaged = damaged_items(tx, case)
    rows = [
        f"- {row.kind.label}:[{dossier.plain(item.name)}]({evidence.link(item.id, until)})"
        f"{' ⛔ **文件丢失或已损坏**' if item.id in damaged else ''}"
        f"({item.media_type.label},{max(1, item.size // 1024)} KiB,第 {row.round} 轮,{dossier.when(row.submitted_at)} 提交,"
        f"SHA-256 `{item.sha256}`)"
        for row, item in evidence.submitted(tx, case.id)
    ]
    if not rows:
        return "商家没有提交凭证。"
    return "\n".join(
        [*rows, "", f"点击文件名下载,链接有效至 {dossier.when(until)}。文件来自商家,请勿在工作电脑上运行其中任何程序。"]
    )


def damaged_items(tx: Tx, case: Case, *, whole: bool = False) -> dict[str, str]:
    """Submitted items (id → name) that nobody can open any more; ``whole`` reads every file to the end (ambiguity 26)."""
    there = evidence.intact if whole else evidence.present
    return {item.id: item.name for _, item in evidence.submitted(tx, case.id) if not there(item)}


def _evidence_is_here(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    """Nobody judges finally over evidence that cannot be opened; asking for it again is always possible."""
    if given.verdict not in arbitration.FINAL or not (gone := damaged_items(tx, case, whole=True)):
        return None
    return f"凭证「{'」「'.join(gone.values())}」的文件丢失或已损坏,无法查看,不能作出最终结论,请恢复文件或请商家重新上传原文件(ARB-4)"


def _may_be_said(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    """Evidence is asked for again so often and no more (ambiguity 10); a final verdict needs evidence that opens."""
    most = rules(case).appeal.max_reevidence
    if given.verdict == AppealVerdict.INSUFFICIENT and len(cases.waits(tx, case.id, EVIDENCE)) >= most:
        return f"重新举证只有 {most} 次,请作出最终结论(ARB-5)"
    return _evidence_is_here(tx, case, review, given)


def checklist_part(tx: Tx, case: Case) -> str:
    lines = [f"- {'✅' if item.satisfied else '⬜'} {item.kind.label}" for item in checklist_of(tx, case)]
    return f"申诉理由「{reason_of(case).label}」通常需要:\n\n" + "\n".join(lines)


def history_part(tx: Tx, case: Case) -> str:
    """What valid rulings the shop has, and how its earlier appeals ended."""
    earlier = select(Case).where(Case.shop_id == case.shop_id, Case.kind == CaseKind.APPEAL, Case.id != case.id)
    lines = [
        f"- {other.id}:{other.outcome.label if other.outcome else '审理中'}({dossier.when(other.received_at)})"
        for other in tx.exec(earlier.order_by(col(Case.received_at).desc()).limit(EARLIER_SHOWN))
    ]
    every = tx.exec(select(func.count()).select_from(earlier.subquery())).one()
    if every > EARLIER_SHOWN:
        lines.append(f"- 另有更早的申诉 {every - EARLIER_SHOWN} 件,见店铺案件列表。")
    return (
        arbitration.counters_text(tx, case.shop_id) + "\n\n" + ("\n".join(lines) if lines else "此前没有提交过申诉。")
    )


_TERMS = {
    "ruling": "判责", "voided": "判责状态", "deduction": "已扣赔付款", "evidence": "商家的凭证", "damaged": "凭证文件丢失或损坏",
}  # fmt: skip


def _dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    shop, ruling = shop_of(tx, case), the_ruling(tx, case)
    until = evidence.links_until(tx, review.opened_at)
    first = last_of(tx, case, REVIEW.name) if review.gate == SECOND.name else None
    again = cases.find_wait(tx, case.id, EVIDENCE)
    more = ((again.answer or {}).get("text") or "(无文字说明)") if again and again.answer else ""
    sides = (
        f"**买家:**\n{dossier.quoted(ruling.buyer_account)}\n\n**商家(仲裁时):**\n{dossier.quoted(ruling.merchant_account)}"
        f"\n\n**商家(申诉):**\n{dossier.quoted(AppealAsked.of(case).statement)}"
        + (f"\n\n**商家(重新举证):**\n{dossier.quoted(more)}" if more else "")
    )
    filed = dossier.table(
        {
            "收到时间": f"{dossier.when(case.received_at)}(截止 {dossier.when(ruling.appeal_until)},ARB-2)",
            "申诉理由": reason_of(case).label,
            "审核时限": f"{dossier.when(review.due_at)},剩余 {_left(tx, review.due_at)}(截至 {dossier.when(tx.now)})",
        }
    )
    money = f",已扣赔付款 {yuan(ruling.deduction_fen)} 转商服联系商家处理(ARB-8)" if ruling.deduction_fen else ""
    results = f"- **申诉成立**:判责自动剔除(ARB-7){money}。\n- **申诉不成立**:最终结果,商家不能再申诉(ARB-3)。"
    if review.gate == REVIEW.name:
        results += "\n- **举证不足**:发出驳回通知,商家有一次、3 天(自通知发出起)的重新举证机会(ARB-5)。"
    now = Seen.of(
        {
            "ruling": [ruling.id, ruling.kind], "voided": ruling.voided_at is not None, "deduction": ruling.deduction_fen,
            "evidence": [[row.evidence_id, row.kind, row.sha256] for row, _ in evidence.submitted(tx, case.id)],
            **({"damaged": sorted(gone)} if (gone := damaged_items(tx, case)) else {}),
        }
    )  # fmt: skip
    return dossier.assemble(
        f"仲裁申诉 · {dossier.plain(shop.name)} · {case.id}",
        (approvals.SINCE, approvals.changes_part(tx, case, review, now, _TERMS)),
        ("各结论的后果", results), ("申诉", filed), ("判责", ruling_part(ruling)), ("双方陈述", sides),
        ("凭证清单", checklist_part(tx, case)), ("凭证", evidence_part(tx, case, until)),
        ("第一次审核意见", dossier.quoted(first.reason) if first else ""), ("商家历史", history_part(tx, case)),
        ("店铺", shop_part(tx, shop)),
        facts=now.terms, links_until=until.isoformat(),
    )  # fmt: skip


def _left(tx: Tx, due: datetime | None) -> str:
    hours, rest = divmod(seconds_left(tx.now, due) if due else 0, 3600)
    return f"{hours} 小时 {rest // 60} 分"


def _made_the_ruling(tx: Tx, case: Case) -> set[str]:
    ruling = ruling_of(tx, case)
    return {ruling.ruled_by} if ruling and ruling.ruled_by else set()


def _not_for_the_second(tx: Tx, case: Case) -> set[str]:
    """By policy another arbitrator judges again, or the same one as long as that person is still with us."""
    barred = _made_the_ruling(tx, case)
    first = last_of(tx, case, REVIEW.name)
    if first is None or first.decided_by is None:
        return barred
    if rules(case).appeal.second_reviewer == "other":
        return barred | {first.decided_by}
    person = tx.get(Staff, first.decided_by)
    if person is None or not person.active:
        return barred
    return barred | {other.id for other in staff.with_role(tx, Role.ARBITRATOR) if other.id != person.id}


_RESULTS = {
    "UPHOLD": "判责自动剔除;有扣款的由商服联系商家处理",
    "DISMISS": "最终结果,商家不能再申诉,理由会告知商家",
    "INSUFFICIENT": "发出驳回通知,商家有一次 3 天内重新举证的机会",
}

REVIEW = Gate(
    name="appeal-review", title="仲裁申诉审核", roles=(Role.ARBITRATOR,), verdicts=AppealVerdict, dossier=_dossier,
    window=lambda case: rules(case).appeal.review_sla, clause="ARB-4", reason_required=frozenset(AppealVerdict),
    consequences=_RESULTS, excluded=_made_the_ruling, check=_may_be_said,
)  # fmt: skip

SECOND = Gate(
    name="appeal-second", title="仲裁申诉终审", roles=(Role.ARBITRATOR,), verdicts=FinalVerdict, dossier=_dossier,
    window=lambda case: rules(case).appeal.review_sla, clause="ARB-5", reason_required=frozenset(FinalVerdict),
    consequences=_RESULTS, excluded=_not_for_the_second, check=_evidence_is_here,
)  # fmt: skip


# ── what the merchant sees ───────────────────────────────────────────────────


def view_extras(tx: Tx, case: Case) -> dict[str, Any]:
    """The appeal's own part of the case view: ``due_by``, ``past_due``, ``submission_count``, ``evidence``.
    Times are ISO 8601 in UTC. ``due_by`` is the merchant's own window, as the notice's
    sending opened it, also before the case has come to note it; null when nothing is asked of the merchant."""
    wait = cases.find_wait(tx, case.id, EVIDENCE)
    asked = wait is not None and case.outcome in {None, CaseState.CLOSED_TIMEOUT}
    window = window_of(tx, case) if asked else None
    past = window is not None and not in_time(tx.now, window.due)
    rows, items = evidence.submitted(tx, case.id), checklist_of(tx, case)
    return {
        "due_by": window.due.astimezone(UTC).isoformat() if window else None,
        "past_due": past and (wait is None or wait.state is not WaitState.ANSWERED),
        "submission_count": len({row.round for row, _ in rows}),
        "evidence": [
            {
                "kind": item.kind.value, "label": item.kind.label, "satisfied": item.satisfied,
                "items": [
                    {"id": row.evidence_id, "name": found.name, "sha256": row.sha256, "round": row.round}
                    for row, found in rows if row.evidence_id in item.evidence_ids
                ],
            }
            for item in items
        ],
    }  # fmt: skip


def _may_send(tx: Tx, case: Case) -> Iterable[str]:
    wait, window = cases.find_wait(tx, case.id, EVIDENCE), window_of(tx, case)
    past = window is not None and not in_time(tx.now, window.due)
    if case.concluded_at is None and wait is not None and wait.state is WaitState.OPEN and not past:
        yield "appeal.evidence_submitted"
    if case.outcome in LOST:
        yield "escalation.noted"


def _submitted(tx: Tx, case: Case) -> Iterable[EvidenceShown]:
    """What was submitted, with the hash it was bound to the moment it came in."""
    for row, item in evidence.submitted(tx, case.id):
        yield EvidenceShown(
            name=item.name,
            kind=row.kind.label,
            sha256=row.sha256,
            submitted_at=row.submitted_at,
            where=f"第 {row.round} 次举证",
        )


# ── when time passes ─────────────────────────────────────────────────────────


def _remind_evidence(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    merchants.remind(tx, case, deadline, matter="为申诉补充凭证", silence="申诉将关闭,且不能再次申诉。")


def _evidence_lapsed(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    wait = cases.find_wait(tx, case.id, EVIDENCE)
    if wait is not None:
        cases.close_wait(tx, wait, WaitState.LAPSED)


def _look_for_notice(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    """Have the case look whether its notice is out; the outbox itself tells operators when one is given up."""
    if deadline.state is not DeadlineState.MET:
        outbox.wake(tx, case)


PROCESS = Process(
    name="appeal",
    kind=CaseKind.APPEAL,
    request=AppealAsked,
    clause="ARB-5",
    hears={AppealFiled: file, AppealEvidenceSubmitted: submit_evidence, EscalationNoted: note_escalation},
    asks=(REVIEW, SECOND),
    clocks={
        EVIDENCE: deadlines.Kind(remind=_remind_evidence, due=_evidence_lapsed),
        NOTICE: deadlines.Kind(
            remind=_look_for_notice,
            due=_look_for_notice,
            every=lambda case: timedelta(minutes=10),
            late_text="驳回通知仍未发出,商家的举证期限尚未开始",
        ),
    },
    waits={EVIDENCE: "商家补充举证"},
    may_send=_may_send,
    view=view_extras,
    evidence=_submitted,
)
