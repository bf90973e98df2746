"""Appointing: where nobody is left who may answer, a supervisor lets somebody answer this one question (ambiguity 37).

Four eyes stay four eyes: whoever has acted in the case is never appointed, nobody appoints themselves, and a supervisor
who has acted appoints only where there is no other.
"""

from __future__ import annotations

from models.cases import Case
from models.messages import Channel
from models.reviews import Review, Role, Staff
from notifications.review import ReviewAppointed
from office.base.db import Tx
from office.cases import gates as review_gates
from office.cases import reviews
from office.cases.gates import Outcome
from office.cases.locks import lock_case
from office.record import audit, decision_seals, outbox, standing
from office.staff import people, staff


def appoint(tx: Tx, review_id: str, to_staff_id: str, by_staff_id: str, code: str) -> Outcome:
    """A supervisor, who proves it with a one-time code, appoints somebody for this question, on the record."""
    found = tx.get(Review, review_id)
    if found is None:
        return _no(f"没有编号为 {review_id} 的审核任务")
    case = lock_case(tx, found.case_id)
    review = tx.get_one(Review, review_id, populate_existing=True)
    person, boss = staff.find(tx, to_staff_id), staff.find(tx, by_staff_id)
    proof = staff.prove(tx, by_staff_id, code)
    if not proof.ok:
        return _no(proof.sentence)
    if sentence := _refusal(tx, case, review, person, boss):
        return _no(sentence)
    gate = reviews.gate_of(review)
    review.appointed = sorted({*(review.appointed or ()), person.id})
    review.stranded_at = None
    decision_seals.put_question(tx, review)
    audit.record(
        tx,
        case.id,
        "review.appointed",
        actor=f"staff/{boss.id}",
        clause=gate.clause,
        review=review.id,
        staff=person.id,
        text=f"主管 {boss.name} 任命 {person.name} 处理本次{gate.title}",
        acted=boss.id in _acted(tx, case, review),
    )
    told = ReviewAppointed(**reviews.about(case, review, gate), person=f"{person.name}({person.id})", by=boss.name)
    for role in [*person.roles, *({Role.SUPERVISOR.value} - set(person.roles))]:
        outbox.put(
            tx,
            f"staff:{review.id}/appointed/{person.id}/{role}",
            Channel.STAFF,
            told.name,
            told.model_dump(mode="json"),
            case=case,
            audience=role,
        )
    outbox.retag(tx, case)
    return Outcome(accepted=True, sentence=f"已任命 {person.name} 处理该任务")


def _refusal(tx: Tx, case: Case, review: Review, person: Staff, boss: Staff) -> str | None:
    acted = _acted(tx, case, review)
    if Role.SUPERVISOR not in boss.roles:
        return "只有主管可以任命处理人"
    if review.state not in review_gates.OPEN:
        return "该任务已处理或已失效"
    if not decision_seals.question_holds(review):
        return decision_seals.REFUSAL
    able = [one.name for one in people.left(review, people.roster(tx))]
    if able:
        return f"该任务还可由 {'、'.join(able)} 处理,请用改派;无人可处理时才能任命"
    others = [one for one in staff.with_role(tx, Role.SUPERVISOR) if one.id not in acted and one.id != boss.id]
    if boss.id in acted and others:
        return f"您已参与本案,请由未参与的主管任命:{'、'.join(one.name for one in others)}"
    if person.id == boss.id:
        return "不能任命自己,请任命另一人(四眼原则)"
    if person.id in acted:
        return f"{person.name} 已参与本案的决定,不能再被任命(四眼原则)"
    if not person.active or standing.doubt(tx, person) is not None:
        return f"{person.name} 已停用或登记信息存疑,不能任命"
    if person.away_until is not None and person.away_until > tx.now:
        return f"{person.name} 外出中,不能任命"
    return None


def _acted(tx: Tx, case: Case, review: Review) -> set[str]:
    """Everybody who has decided or proposed something in this case."""
    return {*review.excluded, *reviews.reviewers_of(tx, case), *reviews.gate_of(review).excluded(tx, case)}


def _no(sentence: str) -> Outcome:
    return Outcome(accepted=False, sentence=sentence)
