"""The one judge of answers, from form, terminal and desk alike: whose, to which form, complete, still true, and then recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlmodel import col

from models.cases import Case
from models.reviews import Decision, Review, ReviewState, Staff
from models.text import has_text, shortened, too_long
from office.base.db import Tx
from office.base.vault import opened_json
from office.cases import deadlines, looks, recorded, refusals, signatures
from office.cases.gates import DEADLINE, MOST_KEPT, NOT_TAKEN, OBJECTED, OPEN, Answer, Gate, Outcome
from office.cases.locks import lock_case
from office.cases.reviews import decided, get, keep_out, restored, show_anew
from office.record import audit, decision_seals, outbox, standing
from office.staff import desk_sessions, people, staff
from office.staff.guard import Place
from policies.approvals import holds
from policies.masking import mask_accounts
from policies.policy import policy_at

# ── what the flow reads and does ─────────────────────────────────────────────


def look(tx: Tx, review_id: str, gate: Gate) -> Decision | Review:
    """The decision if there is one, else the review as it is to be shown.

    A case whose request was taken back withdraws its question. Facts that changed since they were shown are shown
    anew under the next revision.
    """
    review = get(tx, review_id)
    case = lock_case(tx, review.case_id)
    review = get(tx, review_id)
    recorded.put_right(tx, case, review)
    if review.state in OPEN and (case.withdrawn_at is not None or case.concluded_at is not None):
        review.state = ReviewState.WITHDRAWN
        tx.add(review)
        deadlines.stop(tx, case.id, f"{DEADLINE}/{review.id}")
        audit.record(tx, case.id, "review.withdrawn", text=f"{gate.title}已撤回", review=review.id)
    if review.state is ReviewState.DECIDED and not decision_seals.holds(review):
        decision_seals.reopen(tx, case, review)
    match review.state:
        case ReviewState.DECIDED:
            return Decision(
                review_id=review.id,
                verdict=review.verdict,
                decided_by=review.decided_by,
                decided_at=review.decided_at,
                reason=review.reason,
                answer=review.answer,
            )
        case ReviewState.WITHDRAWN:
            return Decision(review_id=review.id, verdict=None)
        case ReviewState.SUPERSEDED:
            return Decision(review_id=review.id, verdict=None, overtaken=True)
        case ReviewState.PENDING | ReviewState.CLAIMED:
            if _overtaken(tx, case, review, gate):
                return Decision(review_id=review.id, verdict=None, overtaken=True)
            refresh(tx, case, review, gate)
            tx.flush()
            return review


def refresh(tx: Tx, case: Case, review: Review, gate: Gate) -> bool:
    """Show the facts as they are now; ``True`` if those that matter have changed, which makes a new revision."""
    if restored(tx, case, review, gate):
        return True
    dossier = gate.dossier(tx, case, review)
    if dossier.facts_sha256 == review.facts_sha256:
        if review.seen is None:  # shown by a version that did not keep it: the same facts, so this is what was seen
            review.seen = dossier.seen.model_dump(mode="json")
            decision_seals.put_question(tx, review)
        return False
    review.revision += 1
    review.notice = "事实已发生变化,请核对下方最新内容后重新决定。"
    keep_out(tx, case, review, gate)
    show_anew(tx, case, review, gate)
    audit.record(
        tx,
        case.id,
        "review.revised",
        text=f"{gate.title}:事实变化,已更新展示内容",
        review=review.id,
        revision=review.revision,
        shown_sha256=review.dossier_sha256,
    )
    return True


def _overtaken(tx: Tx, case: Case, review: Review, gate: Gate) -> bool:
    """Take the question back when whoever decided what it rests on has not seen what stands now (ambiguity 23), or may not
    decide it any more."""
    if not gate.rests_on:
        return False
    first = decided(tx, case.id, gate.rests_on, review.round)  # none when it was found forged and is asked anew
    gone = first is not None and bool(people.lost(tx, [first]))
    if first is not None and not gone and holds(first.seen, gate.dossier(tx, case, review).seen):
        return False
    review.state = ReviewState.SUPERSEDED
    tx.add(review)
    deadlines.stop(tx, case.id, f"{DEADLINE}/{review.id}")
    why = "审核人员有变动" if gone else "事实发生变化"
    audit.record(
        tx,
        case.id,
        "review.overtaken",
        clause=gate.clause,
        public=True,
        review=review.id,
        text=f"{why},{gate.title}退回重新审核",
    )
    outbox.wake(tx, case)
    return True


def arm(tx: Tx, review_id: str) -> str:
    """A fresh pause key for the form about to be shown, recorded before it is."""
    review = get(tx, review_id)
    review.attempt += 1
    review.pause_key = review.form_key
    tx.add(review)
    return review.pause_key


Finish = Callable[[Tx, Case, Review, Gate, Answer], Outcome]
"""What becomes of an answer that was found good: recorded as the decision, or held until it is confirmed."""


def take_answer(tx: Tx, review_id: str, gate: Gate, answer: Answer, finish: Finish) -> Outcome:
    """Judge an answer that came through the form, and remember why if it was refused. Whoever may not answer puts no words into
    the form of those who may."""
    outcome = decide(tx, answer, gate, finish)
    review = get(tx, review_id)
    case = tx.get_one(Case, review.case_id)
    review.pause_key = None
    if not outcome.accepted and review.state in OPEN:
        theirs = not outcome.proved or people.unfit(tx, review, staff.find(tx, answer.staff_id)) is None
        last = {
            "staff_id": answer.staff_id,
            "verdict": answer.verdict,
            "reason": shortened(_masked(case, answer.reason), MOST_KEPT),
            "answer": masked_values(case, answer),
            "proved": outcome.proved,
        }
        decision_seals.say(tx, review, f"{NOT_TAKEN}:{outcome.sentence}", last if theirs else None)
    tx.add(review)
    return outcome


# ── the judge ────────────────────────────────────────────────────────────────


def decide(tx: Tx, answer: Answer, gate: Gate, finish: Finish, *, proved: bool = False) -> Outcome:
    """Take one person's answer, or say in a sentence why not.

    ``proved``: the caller has had the person proved for this very question (``office.cases.bundles``).

    A good answer is handed to ``finish``. Order: the question is still open (an answer that comes too late is noted, its
    code neither checked nor spent) and is the one that was shown; the person is who they say (the code is spent here,
    whatever follows); they may answer; the answer is complete; the facts are still those that were shown.
    Everything happens in the caller's transaction, also the counting of wrong codes, so commit on a refusal too.
    """
    found = tx.get(Review, answer.review_id)
    if found is None:
        return Outcome(accepted=False, sentence=f"没有编号为 {answer.review_id} 的审核任务")
    case = lock_case(tx, found.case_id)
    review = get(tx, answer.review_id)
    recorded.put_right(tx, case, review)
    if review.state is ReviewState.DECIDED:
        who = tx.get(Staff, review.decided_by)
        first = who.name if who else review.decided_by
        return _refused(tx, case, review, answer, f"该任务已由 {first} 处理完毕,无需重复提交", proved=False)
    if review.state not in OPEN or case.withdrawn_at is not None or case.concluded_at is not None:
        return _refused(tx, case, review, answer, "该任务已撤回或失效,无需处理", proved=False)
    if not proved and (why := _unproved_by(tx, case, review, gate, answer)):
        return _refused(tx, case, review, answer, why, proved=False)
    if sentence := _too_long(gate, answer) or unfit(tx, case, review, gate, answer):
        return _refused(tx, case, review, answer, sentence)
    outcome = finish(tx, case, review, gate, answer)
    return outcome if outcome.accepted else _refused(tx, case, review, answer, outcome.sentence)


def _unproved_by(tx: Tx, case: Case, review: Review, gate: Gate, answer: Answer) -> str | None:
    """Why neither the answer's signature nor its code nor its session proves its author."""
    rules = policy_at(tx.now)
    if answer.signature:
        return signatures.unproved(tx, review, said(case, answer), answer.signature, rest_hours(tx, gate))
    if gate.name in rules.decisions.signed_only:
        return signatures.only(gate.title)
    if answer.session and not answer.code.strip():
        if session_is_enough(tx, review, gate):
            return desk_sessions.unproved(tx, answer.session, answer.staff_id)
        if stale := _not_the_form_shown(review, answer):
            return stale  # what they saw may have asked for no code
    return unproved(tx, answer.staff_id, answer.code, answer.given_at, answer.through, weighty=weighty(tx, gate))


def rest_hours(tx: Tx, gate: Gate) -> int:
    """How many hours a key must have been enrolled before it signs answers of this gate."""
    return policy_at(tx.now).staff.passkey_rest_hours if weighty(tx, gate) else 0


def weighty(tx: Tx, gate: Gate) -> bool:
    """Whether much rests on answers of this gate."""
    return gate.name not in policy_at(tx.now).decisions.routine


def said(case: Case, answer: Answer) -> signatures.Said:
    """What an answer says, as it will be kept."""
    return signatures.Said(
        staff_id=answer.staff_id,
        verdict=answer.verdict,
        reason=kept_reason(case, answer),
        fields=masked_values(case, answer),
    )


def session_is_enough(tx: Tx, review: Review, gate: Gate) -> bool:
    """Whether this question may be answered on a session alone: by policy, and while nothing blocks."""
    return gate.name in policy_at(tx.now).decisions.by_session and not (review.seen or {}).get("blocking")


def unfit(tx: Tx, case: Case, review: Review, gate: Gate, answer: Answer) -> str | None:
    """Why a proved person's answer cannot be taken as things stand; facts that have changed are shown anew."""
    person = staff.find(tx, answer.staff_id)
    if disputed(tx, case):
        return "本案有决定被提出异议,已停止;主管核实之前不受理新的决定"
    if restored(tx, case, review, gate):
        return decision_seals.ASKED_ANEW
    if sentence := _not_the_form_shown(review, answer) or may_not_answer(tx, review, person):
        return sentence
    if _overtaken(tx, case, review, gate):
        return "前一位审核人没有看到新的情况,或已不能再作此决定:已退回重新审核,之后会再请您复核"
    if sentence := _incomplete(gate, review, answer) or gate.check(tx, case, review, answer):
        return sentence
    if sentence := not_looked_at(tx, review, gate, answer.staff_id):
        return sentence
    return review.notice if refresh(tx, case, review, gate) else None


def not_looked_at(tx: Tx, review: Review, gate: Gate, staff_id: str) -> str | None:
    """Which papers this person has yet to see, where policy wants every one of them seen before a decision."""
    if gate.name not in policy_at(tx.now).decisions.papers_first:
        return None
    left = [f"{one.label}({one.id})" for one in looks.papers_seen(tx, review, staff_id) if not one.seen]
    return f"还没有看完材料{'、'.join(left)}:请在工作台看过每一页,或下载原件,再作决定" if left else None


def disputed(tx: Tx, case: Case) -> bool:
    """Whether an objection is what halts the case, whatever its row says: then a supervisor lets it go on, by their code."""
    return (case.halted or "").endswith(OBJECTED) or recorded.objected(tx, case) is not None


def kept_reason(case: Case, answer: Answer) -> str:
    """The reason as it is kept: it is read by the merchant, in messages and for years."""
    return _masked(case, answer.reason.strip())


def record(tx: Tx, case: Case, review: Review, gate: Gate, answer: Answer, **how: Any) -> Outcome:
    """Write an answer down as the decision, if nobody else has been quicker. ``how`` it came to count goes into the audit."""
    reason, values = kept_reason(case, answer), masked_values(case, answer)
    won = tx.execute(
        update(Review)
        .where(col(Review.id) == review.id, col(Review.state).in_(OPEN), col(Review.revision) == answer.revision)
        .values(
            state=ReviewState.DECIDED,
            decided_by=answer.staff_id,
            decided_at=tx.now,
            verdict=answer.verdict,
            reason=reason,
            answer=values,
            notice="",
            unaccepted=None,
            question_seal=decision_seals.once_decided(review),
        )
        .execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    if won != 1:
        return Outcome(accepted=False, sentence="该任务刚刚已由他人处理")
    tx.refresh(review)
    decision_seals.put(tx, review)
    deadlines.stop(tx, case.id, f"{DEADLINE}/{review.id}")
    audit.record(
        tx,
        case.id,
        "review.decided",
        actor=f"staff/{answer.staff_id}",
        clause=gate.clause,
        text=f"{gate.title}:{gate.verdict(answer.verdict).label}",
        public=False,
        review=review.id,
        round=review.round,
        seat=review.seat,
        verdict=answer.verdict,
        reason=reason,
        shown_sha256=review.dossier_sha256,
        facts_sha256=review.facts_sha256,
        revision=review.revision,
        answer=values,
        through=answer.through.value,
        proof=answer.proof,
        **_seen_and_signed(tx, case, review, answer),
        **how,
    )
    return Outcome(accepted=True, sentence="已提交")


def _seen_and_signed(tx: Tx, case: Case, review: Review, answer: Answer) -> dict[str, Any]:
    """What of the papers its author was handed at the desk, as they signed it or as it stands; and the signature."""
    if answer.signature:
        return signatures.kept(tx, review, said(case, answer), answer.signature)
    found = looks.papers_seen(tx, review, answer.staff_id) if answer.through is Place.DESK else ()
    return {"papers": [[one.id, one.sha256, one.seen] for one in found]} if found else {}


def _masked(case: Case, text: str) -> str:
    """Text that will be read by others for years: without accounts, and with the numbers this case is about."""
    payees = opened_json(case, "request_sealed").get("payees", ()) if case.request_sealed else ()
    numbers = re.findall(r"\d{8,}", json.dumps(case.request))
    return mask_accounts(text, ours=numbers, secret=[payee["account_no"] for payee in payees])


def masked_values(case: Case, answer: Answer) -> dict[str, Any]:
    return {name: _masked(case, value) if isinstance(value, str) else value for name, value in answer.extra.items()}


def _refused(tx: Tx, case: Case, review: Review, answer: Answer, sentence: str, proved: bool = True) -> Outcome:
    refusals.note(tx, case, review, answer, sentence, proved=proved)
    return Outcome(accepted=False, sentence=sentence, proved=proved)


def _not_the_form_shown(review: Review, answer: Answer) -> str | None:
    if answer.revision != review.revision:
        return "您看到的内容已过期,请核对最新内容后重新提交"
    return None


def may_not_answer(tx: Tx, review: Review, person: Staff) -> str | None:
    """Why this person may not answer this question now; ``None`` when they may."""
    if sentence := people.unfit(tx, review, person):
        return sentence
    holder = tx.get(Staff, review.claimed_by) if review.claimed_by else None
    if holder is not None and holder.id != person.id and not _stands_in(holder, person, tx):
        return f"该任务已由 {holder.name} 认领,请先由其释放或由主管改派"
    return None


def _stands_in(holder: Staff, person: Staff, tx: Tx) -> bool:
    if standing.doubt(tx, holder) is not None:
        return False
    away = holder.away_until is not None and holder.away_until > tx.now
    return not holder.active or (away and holder.substitute_id == person.id)


def _incomplete(gate: Gate, review: Review, answer: Answer) -> str | None:
    if answer.verdict not in review.verdicts:
        return "请选择一个结论"
    if answer.verdict in gate.reason_required and not has_text(answer.reason, 2):
        return f"选择「{gate.verdict(answer.verdict).label}」时必须填写理由"
    return None


def _too_long(gate: Gate, answer: Answer) -> str | None:
    """The sentence when more was written than is kept. What is held is not measured again: masking changes lengths."""
    if sentence := too_long(answer.reason, "理由"):
        return sentence
    for name, schema in gate.fields.items():
        given = answer.extra.get(name)
        if isinstance(given, str) and (
            sentence := too_long(given, schema["title"], schema.get("maxLength", MOST_KEPT))
        ):
            return sentence
    return None


def unproved(
    tx: Tx,
    staff_id: str,
    code: str,
    given_at: datetime | None = None,
    place: Place = Place.TERMINAL,
    *,
    weighty: bool = True,
) -> str | None:
    """Why the code does not prove that they are who they say. An empty one is no wrong one."""
    if not code.strip():
        return "没有填写动态口令:请填写验证器应用中当前显示的 6 位数字"
    proof = staff.prove(tx, staff_id, code, given_at, place, weighty=weighty)
    return None if proof.ok else proof.sentence
