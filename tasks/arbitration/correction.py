"""判责更正: a ruling is struck out on a court's or authority's word, by two people (ARB-12)."""

from __future__ import annotations

from dataclasses import replace

from models.arbitration import (
    VoidCause,
)
from models.arbitration_events import (
    RulingCorrectionProposed,
)
from models.base import Labelled
from models.cases import Case, CaseKind, CaseState
from models.dossier import Quote, Rows, Text
from models.messages import InboxMessage
from models.money import yuan
from models.outcomes import Refusal
from models.reviews import Review, Role
from models.shops import Shop
from notifications import appeal as words
from office.base.db import Tx
from office.cases import approvals, cases, dossier, merchants
from office.cases.cases import rules
from office.cases.effects import effects_of
from office.cases.gates import Dossier, Gate
from office.cases.locks import lock_case
from office.cases.merchants import shop_of
from office.cases.reviews import decided, last_decider
from office.files import papers
from office.staff import people
from policies import appeal as rules_of_appeal
from policies.approvals import Seen
from tasks.arbitration.request import CorrectionAsked
from tasks.arbitration.rulings import (
    appeal_of,
    end_appeal,
    lock_ruling,
    named,
    ruling_of,
    ruling_part,
    strike,
    the_ruling,
)
from tasks.shops import facts, proposals

effect = effects_of("arbitration")


class CorrectionVerdict(Labelled):
    CONFIRM = "CONFIRM", "同意更正"
    REJECT = "REJECT", "不予更正"


def propose_correction(tx: Tx, event: RulingCorrectionProposed, shop: Shop, message: InboxMessage) -> None:
    """A court's judgment against a ruling: two supervisors decide (ARB-10, ambiguity 11)."""
    if facts.not_yet(tx, event.judged_on, message):
        about = f"{event.type}/{event.shop_id}/{event.ruling_id}"
        raise facts.ahead("判决日期在未来,未受理;请核对判决日期", "ARB-10", about)
    cases.open_case(
        tx,
        CaseKind.CORRECTION,
        origin=message.origin,
        received_at=message.received_at,
        shop=shop,
        actor=f"platform/{event.proposed_by}",
        clause="ARB-10",
        request={
            **named(event),
            "court": event.court,
            "judgment_no": event.judgment_no,
            "judged_on": event.judged_on.isoformat(),
            "summary": event.summary,
            "proposed_by": event.proposed_by,
            "documents": [document.model_dump(mode="json") for document in event.documents],
        },
        text=f"提议依法院判决更正判责:{event.judgment_no}",
    )


@effect("受理判责更正")
def admit_correction(tx: Tx, case: Case) -> Refusal | None:
    refusal = rules_of_appeal.refuse_correction(ruling=ruling_of(tx, case), shop_id=case.shop_id or "")
    if refusal is not None:
        cases.refuse(tx, case, refusal)
        return refusal
    cases.move(tx, case, CaseState.UNDER_REVIEW, "主管审核中", clause="ARB-10")
    return None


@effect("提交第二位主管")
def correction_to_second(tx: Tx, case: Case) -> None:
    cases.move(tx, case, CaseState.SECOND_REVIEW, "等待第二位主管复核", clause="ARB-10")


@effect("不予更正判责")
def reject_correction(tx: Tx, case: Case) -> None:
    no = CorrectionVerdict.REJECT
    given = approvals.insist_last(tx, case, (CORRECTION, no), (CORRECTION_SECOND, no))
    cases.conclude(tx, case, CaseState.REJECTED, f"不予更正:{given.reason}", clause="ARB-10")


@effect("重新审核判责更正")
def correction_again(tx: Tx, case: Case, round: int) -> bool:
    """Both are asked again about what stands now; ``False`` when the ruling was struck meanwhile and nothing is left."""
    if the_ruling(tx, case).voided_at is not None:
        _conclude_needless(tx, case)
        return False
    cases.move(tx, case, CaseState.UNDER_REVIEW, "事实发生变化,主管重新审核", clause="ARB-10")
    return True


@effect("再次提交第二位主管")
def correction_to_second_again(tx: Tx, case: Case, round: int) -> None:
    cases.move(tx, case, CaseState.SECOND_REVIEW, "等待第二位主管复核", clause="ARB-10")


def _conclude_needless(tx: Tx, case: Case) -> None:
    cases.conclude(tx, case, CaseState.SUPERSEDED, "判责此前已剔除,无需更正", clause="ARB-7")


@effect("更正判责")
def correct(tx: Tx, case: Case) -> bool | None:
    """Strike the ruling as both supervisors saw it in the first round; ``True`` when there is deducted money to talk about.

    ``None`` when it is no longer what they saw (ambiguity 23). A dismissed appeal stays dismissed.
    """
    return _correct(tx, case, 1)


@effect("重新审核后更正判责")
def correct_again(tx: Tx, case: Case, round: int) -> bool | None:
    """The same in a later round."""
    return _correct(tx, case, round)


def _correct(tx: Tx, case: Case, round: int) -> bool | None:
    ruling = the_ruling(tx, case)
    lock_ruling(tx, ruling.id)
    if ruling.voided_at is not None:
        _conclude_needless(tx, case)
        return False
    yes = CorrectionVerdict.CONFIRM
    given = approvals.insist(tx, case, round, (CORRECTION, yes), (CORRECTION_SECOND, yes))
    if len(given) < 2 or not approvals.stand(tx, given, _correction_dossier(tx, case, given[-1]).seen):
        return None
    strike(tx, case, ruling.id, VoidCause.COURT_JUDGMENT)
    told = words.RulingCorrected(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        ruling_id=ruling.called,
        court=CorrectionAsked.of(case).court,
        judgment_no=CorrectionAsked.of(case).judgment_no,
        deduction_fen=ruling.deduction_fen,
    )
    merchants.tell(tx, told, f"{case.id}/corrected", case=case)
    appeal = appeal_of(tx, ruling.id)
    running = lock_case(tx, appeal.case_id) if appeal else None
    if running is not None and running.concluded_at is None:
        cause = f"判责已依法院判决 {CorrectionAsked.of(case).judgment_no} 更正"
        end_appeal(tx, running, ruling, cause, clause="ARB-10", outcome=CaseState.SUPERSEDED)
    if not ruling.deduction_fen:
        _conclude_correction(tx, case)
        return False
    cases.move(tx, case, CaseState.COMPENSATING, "判责已更正,商服处理赔付款", clause="ARB-8")
    return True


def _conclude_correction(tx: Tx, case: Case) -> None:
    cases.conclude(tx, case, CaseState.CORRECTED, "判责已依法院判决更正", clause="ARB-10")


@effect("判责更正办结")
def conclude_correction(tx: Tx, case: Case) -> None:
    _conclude_correction(tx, case)


_CORRECTION_TERMS = {
    "voided": "判责状态",
    "deduction": "扣款",
    "points": "记分",
    "conclusion": "结论",
    "appeal": "该判责的申诉",
}


def _correction_dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    shop, ruling = shop_of(tx, case), the_ruling(tx, case)
    asked = CorrectionAsked.of(case)
    judgment = Rows.of(
        {
            "法院": asked.court,
            "案号": asked.judgment_no,
            "判决日期": dossier.when(asked.judged_on),
            "提议人": asked.proposed_by,
        }
    )
    first = decided(tx, case.id, CORRECTION.name, review.round) if review.gate == CORRECTION_SECOND.name else None
    said = Quote.of(first.reason, f"{first.decided_by}:同意更正。") if first else None
    outcome = f"两位主管均同意后剔除判责;已扣赔付款 {yuan(ruling.deduction_fen)} 由商服与财务处理。"
    appeal = appeal_of(tx, ruling.id)
    heard = tx.get(Case, appeal.case_id) if appeal else None
    result = (heard.outcome.label if heard.outcome else "审理中,更正后终止") if heard else ""
    now = Seen.of(
        {
            "voided": ruling.voided_at is not None,
            "deduction": ruling.deduction_fen,
            "points": ruling.points,
            "conclusion": ruling.conclusion,
            "appeal": [heard.id, heard.outcome] if heard else None,
        },
        papers.blocking(tx, case, "ARB-10", needed=True),
    )
    return dossier.of(
        f"判责更正 · {shop.name} · {case.id}",
        (approvals.SINCE, approvals.changes_part(tx, case, review, now, _CORRECTION_TERMS)),
        ("同意后的结果", Text.of(outcome)),
        ("法院判决", judgment),
        ("判决摘要", Quote.of(asked.summary)),
        *papers.parts(tx, case, review, "ARB-10", needed=True),
        ("判责", ruling_part(ruling)),
        ("该判责的申诉", Text.of(f"{heard.id}:{result}") if heard else None),
        ("第一位主管意见", said),
        facts=now.terms,
        blocking=now.blocking,
        shown=proposals.shown(tx, case),
        links_until=papers.links_until(tx, case, review),
        sum_fen=ruling.deduction_fen,
    )


CORRECTION = Gate(
    name="correction",
    title="判责更正审核",
    roles=(Role.SUPERVISOR,),
    verdicts=CorrectionVerdict,
    dossier=_correction_dossier,
    window=lambda case: rules(case).appeal.correction_sla,
    clause="ARB-10",
    reason_required=frozenset(CorrectionVerdict),
    consequences={"CONFIRM": "两位主管均同意后剔除判责,不可撤销", "REJECT": "结束案件,判责继续有效"},
    check=proposals.refusal,
    excluded=lambda tx, case: people.meant(tx, CorrectionAsked.of(case).proposed_by),
)

CORRECTION_SECOND = replace(
    CORRECTION,
    name="correction-second",
    title="判责更正复核",
    excluded=lambda tx, case: (
        people.meant(tx, CorrectionAsked.of(case).proposed_by) | last_decider(tx, case, CORRECTION.name)
    ),
    rests_on=CORRECTION.name,
)
