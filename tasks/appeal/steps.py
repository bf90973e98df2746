"""申诉, step by step (ARB)."""

from __future__ import annotations

from datetime import timedelta

from models.arbitration import (
    Appeal,
    VoidCause,
)
from models.arbitration_events import (
    EvidenceRef,
    EvidenceWindowOpened,
)
from models.cases import Case, CaseState, Side, WaitState
from models.outcomes import Refusal
from models.reviews import Review
from notifications import appeal as words
from office.base.calendar import work_calendar
from office.base.db import Tx, reading
from office.cases import approvals, cases, deadlines, merchants
from office.cases.cases import emit, rules
from office.cases.effects import effects_of
from office.cases.merchants import ground, shop_of
from office.files import evidence
from office.record import audit
from policies import appeal as rules_of_appeal
from policies.deadlines import reckon, reminder_times
from tasks.appeal import submissions
from tasks.appeal.intake import names_of
from tasks.appeal.request import AppealAsked
from tasks.appeal.review import REVIEW, SECOND, AppealVerdict, appeal_dossier
from tasks.appeal.window import (
    EVIDENCE,
    NOTICE,
    NOTICE_LOOKS,
    checklist_of,
    expected_of,
    last_of,
    notice_key,
    notice_sent_at,
    reason_of,
    window_of,
)
from tasks.arbitration import doudian, rulings
from tasks.arbitration.rulings import appeal_of, lock_ruling, strike, the_ruling

effect = effects_of("appeals")


# ── the steps of the story ───────────────────────────────────────────────────


@effect("受理申诉")
def admit(tx: Tx, case: Case) -> Refusal | None:
    """Take the appeal up, or refuse it with the clause (ARB-1 to ARB-4, WDR-2). In time is when it was received."""
    shop, asked = shop_of(tx, case), AppealAsked.of(case)
    ruling = lock_ruling(tx, asked.object)
    before = appeal_of(tx, ruling.id) if ruling else None
    taken, foreign, over = submissions.own(tx, case, [EvidenceRef(id=one.id, kind=one.kind) for one in asked.evidence])
    most = rules(case).appeal.evidence.max_items
    refusal = rules_of_appeal.refuse_filing(
        requester=asked.account_id,
        owner=shop.owner_account_id,
        ruling=ruling,
        shop_id=shop.id,
        received_at=case.received_at,
        earlier_appeal=before.case_id if before else None,
        arbitration_withdrawn=rulings.is_withdrawn(tx, ruling),
        evidence=len(taken),
    )
    if refusal is not None or ruling is None:
        return _refuse(tx, case, refusal)
    tx.add(Appeal(ruling_id=ruling.id, case_id=case.id, reason=reason_of(case), admitted_at=tx.now))
    tx.flush()
    submissions.submit(tx, case, 1, taken, case.received_at)
    items = checklist_of(tx, case)
    cases.keep_findings(
        tx, case, "appeal/1", rules_of_appeal.evidence_findings(reason_of(case), items, foreign, tx.now, over, most)
    )
    cases.move(tx, case, CaseState.UNDER_REVIEW, "申诉已受理,等待仲裁员审核", clause="ARB-4")
    told = words.AppealReceived(
        shop_name=shop.name,
        case_id=case.id,
        ruling_id=asked.named,
        reason=reason_of(case).label,
        received_at=case.received_at,
        accepted=names_of(taken),
        left_out=(*foreign, *over),
        most=most,
        still_expected=expected_of(tx, case),
        review_due=reckon(tx.now, rules(case).appeal.review_sla, "ARB-4", work_calendar()).due,
    )
    merchants.tell(tx, told, f"{case.id}/received", case=case)
    doudian.pass_on(tx, case, ruling, 1, [item for item, _ in taken], asked.statement)
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
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        received_at=case.received_at,
        grounds=(ground(refusal),),
        next_step=again,
    )
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
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        ruling_id=AppealAsked.of(case).named,
        reason=review.reason if review else "",
        still_expected=expected_of(tx, case),
        window_hours=int((now.due - now.start) / timedelta(hours=1)),
        due_if_sent_now=now.due,
    )
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
        reason_of(case),
        items,
        [one for one in left_out if one not in own],
        tx.now,
        [one for one in left_out if one in own],
        rules(case).appeal.evidence.max_items,
    )
    cases.keep_findings(tx, case, "appeal/2", found)
    cases.move(tx, case, CaseState.SECOND_REVIEW, "已收到补充凭证,等待第二次审核", clause="ARB-5")


@effect("逾期未举证,关闭申诉")
def close_unanswered(tx: Tx, case: Case) -> None:
    """Silence closes the appeal for good (ARB-6)."""
    deadline = deadlines.find(tx, case.id, EVIDENCE)
    if case.concluded_at is not None or deadline is None:
        return
    told = words.AppealClosedTimeout(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        ruling_id=AppealAsked.of(case).named,
        due=deadline.due_at,
        channels=rules_of_appeal.channels_after_dismissal(),
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
    if _changed(tx, case, AppealVerdict.UPHOLD):
        return None
    ruling = the_ruling(tx, case)
    strike(tx, case, ruling.id, VoidCause.APPEAL_UPHELD)
    _record_decision(tx, case, AppealVerdict.UPHOLD)
    told = words.AppealUpheld(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        ruling_id=AppealAsked.of(case).named,
        decided_at=tx.now,
        reason=_reason(tx, case),
        deduction_fen=ruling.deduction_fen,
    )
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
    if _changed(tx, case, AppealVerdict.DISMISS):
        return True
    _record_decision(tx, case, AppealVerdict.DISMISS)
    told = words.AppealDismissed(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        ruling_id=AppealAsked.of(case).named,
        decided_at=tx.now,
        reason=_reason(tx, case),
        channels=rules_of_appeal.channels_after_dismissal(),
    )
    merchants.tell(tx, told, f"{case.id}/dismissed", case=case)
    cases.conclude(tx, case, CaseState.DISMISSED, "申诉不成立,此为最终结果", clause="ARB-3")
    return False


def _reason(tx: Tx, case: Case) -> str:
    """What the last arbitrator wrote."""
    last = _final(tx, case)
    return last.reason if last else ""


def _final(tx: Tx, case: Case) -> Review | None:
    return last_of(tx, case, SECOND.name) or last_of(tx, case, REVIEW.name)


def _changed(tx: Tx, case: Case, verdict: AppealVerdict) -> bool:
    """Whether the matter is no longer what the arbitrator saw who has judged it: then it is asked again (ambiguity 23)."""
    lock_ruling(tx, the_ruling(tx, case).id)
    given = _final(tx, case)
    if given is not None and approvals.stand(
        tx, [approvals.says(tx, case, given, verdict)], appeal_dossier(tx, case, given).seen
    ):
        return False
    again = CaseState.SECOND_REVIEW if given is not None and given.gate == SECOND.name else CaseState.UNDER_REVIEW
    cases.move(tx, case, again, "事实发生变化,等待仲裁员重新审核", clause="ARB-4")
    return True


def _record_decision(tx: Tx, case: Case, verdict: AppealVerdict) -> None:
    """The result with the hashes of all the evidence it rests on."""
    hashes = {row.evidence_id: row.sha256 for row, _ in submissions.submitted(tx, case.id)}
    audit.record(
        tx,
        case.id,
        "appeal.decided",
        clause="ARB-7" if verdict is AppealVerdict.UPHOLD else "ARB-3",
        text=f"{verdict.label}(依据凭证 {len(hashes)} 项)",
        public=True,
        verdict=verdict,
        sha256=hashes,
    )
