"""Together: one proof for several routine questions. Each is named by what was shown, checked again, and decided by itself.

One proof saves waiting for a code, not looking: the questions are of one gate, routine by policy, and clean; the hash of
each dossier that was shown goes into the record before the first is decided; a question whose facts have changed since is
refused alone, and the others go on.
"""

from __future__ import annotations

from collections.abc import Sequence

from models.base import Frozen, new_id
from models.confirmations import Weight
from models.reviews import Review
from office.base.db import Tx, in_transaction, reading
from office.cases import confirmations, judge, reviews, sessions, signatures, weights
from office.cases import gates as review_gates
from office.cases.gates import Answer
from office.process import office
from office.record import audit, outbox
from office.staff import desk_sessions
from office.staff.guard import Place
from policies.policy import policy_at

MOST = 50
"""Questions by one proof: more than anybody can have read is no decision."""


class NotTogether(ValueError):
    """These questions cannot be decided by one proof; the sentence says which and why. Nothing was spent."""


class Asked(Frozen):
    """A question as it was shown: another revision or another dossier is another question."""

    review_id: str
    revision: int
    shown_sha256: str


class Result(Frozen):
    """What became of one question that was asked together."""

    review_id: str
    case_id: str
    accepted: bool
    sentence: str


def shown(tx: Tx, review_ids: Sequence[str]) -> list[Asked]:
    """The questions as they stand now, to be shown and then decided."""
    found = [reviews.get(tx, review_id) for review_id in review_ids]
    return [Asked(review_id=one.id, revision=one.revision, shown_sha256=one.dossier_sha256) for one in found]


def why_not(tx: Tx, asked: Sequence[Asked], verdict: str) -> str:
    """Why these cannot be decided together; empty when they can."""
    found = [tx.get(Review, one.review_id) for one in asked]
    gates = office().gates
    names = {review.gate for review in found if review is not None}
    if None in found or not found:
        return "有任务编号不存在,请核对"
    if len({one.review_id for one in asked}) != len(asked):
        return "有任务重复列出,请核对"
    if len(asked) > MOST:
        return f"一次最多处理 {MOST} 个任务,请分批"
    if len(names) != 1:
        return "只能一次处理同一种任务:" + "、".join(sorted(gates[name].title for name in names))
    (name,) = names
    if weights.weight(name, policy_at(tx.now).decisions) is not Weight.ROUTINE:
        return f"「{gates[name].title}」涉及资金、封店或复核,须逐个凭动态口令决定"
    if verdict not in {one.value for one in gates[name].verdicts}:
        return "请选择一个该任务可选的结论"
    blocked = [
        review.id
        for review, one in zip(found, asked, strict=True)
        if review is not None and review.revision == one.revision and (review.seen or {}).get("blocking")
    ]  # one that was shown otherwise is refused by itself
    if blocked:
        return f"存在阻断事项的任务须逐个决定:{'、'.join(blocked)}"
    return ""


def decide(
    asked: Sequence[Asked],
    staff_id: str,
    verdict: str,
    reason: str,
    *,
    code: str = "",
    session: str = "",
    desk: str = "",
    bundle: str = "",
    signature: str = "",
) -> list[Result]:
    """Decide them all, each in a transaction of its own, by one code, within a session at the terminal or the ``desk``, or by
    a passkey's ``signature`` over the list of them. What was decided under the name of a ``bundle`` is not decided again under it.

    Raises NotTogether, before anything is spent or decided, when they do not go together or the proof does not hold.
    """
    with reading() as tx:
        if why := why_not(tx, asked, verdict):
            raise NotTogether(why)
    if unproved := in_transaction(lambda tx: _prove(tx, asked, staff_id, code, session, desk, bundle, signature)):
        raise NotTogether(unproved)
    place = Place.DESK if desk else Place.TERMINAL
    answers = [_answer(one, staff_id, verdict, reason, place, signature) for one in asked]
    return [
        in_transaction(lambda tx, one=one, answer=answer: _one(tx, one, answer))  # type: ignore[misc]
        for one, answer in zip(asked, answers, strict=True)
    ]


def sign(tx: Tx, asked: Sequence[Asked], staff_id: str, verdict: str, reason: str, session_id: str) -> str:
    """What the browser is to have signed for these, as JSON; one that is not as it was shown is not in the list."""
    said = []
    for one in asked:
        case, review = reviews.locked(tx, one.review_id)
        if (review.revision, review.dossier_sha256) == (one.revision, one.shown_sha256):
            said.append((review, judge.said(case, _answer(one, staff_id, verdict, reason, Place.DESK))))
    return signatures.begin_together(tx, said, staff_id, session_id)


def _prove(
    tx: Tx, asked: Sequence[Asked], staff_id: str, code: str, session: str, desk: str, bundle: str, signature: str
) -> str | None:
    """Why the person is not proved; otherwise what they were shown is on record before anything is decided."""
    sentence: str | None
    gate = reviews.gate_of(reviews.get(tx, asked[0].review_id))
    if signature:
        sentence = signatures.unproved_together(tx, staff_id, gate.name, signature, judge.rest_hours(tx, gate))
    elif gate.name in policy_at(tx.now).decisions.signed_only:
        sentence = signatures.only(gate.title)
    elif session:
        sentence = sessions.unproved(tx, session, staff_id)
    elif desk and not code.strip():
        sentence = _not_at_the_desk(tx, asked, staff_id, desk)
    elif not code.strip():
        sentence = "没有填写动态口令"
    else:
        place = Place.DESK if desk else Place.TERMINAL
        sentence = judge.unproved(tx, staff_id, code, place=place, weighty=False)
    if sentence:
        return sentence
    audit.record(
        tx,
        f"staff/{staff_id}",
        "review.bundle",
        actor=f"staff/{staff_id}",
        bundle=bundle or new_id("BN", tx.now),
        text=f"一次处理 {len(asked)} 个日常任务({_how(code, session, signature)})",
        shown=[[one.review_id, one.revision, one.shown_sha256] for one in asked],
    )
    return None


def _how(code: str, session: str, signature: str) -> str:
    if signature:
        return "一次通行密钥签名"
    return "终端会话" if session else "一个动态口令" if code.strip() else "工作台会话"


def _not_at_the_desk(tx: Tx, asked: Sequence[Asked], staff_id: str, desk: str) -> str | None:
    """Why a session at the desk does not prove them for these: by policy, or because it has ended."""
    found = [(one, reviews.get(tx, one.review_id)) for one in asked]
    as_shown = [review for one, review in found if review.revision == one.revision]  # another is refused by itself
    by_session = policy_at(tx.now).decisions.by_session
    if any(review.gate not in by_session for _, review in found) or not all(
        judge.session_is_enough(tx, review, reviews.gate_of(review)) for review in as_shown
    ):
        return "没有填写动态口令"
    return desk_sessions.unproved(tx, desk, staff_id)


def _answer(one: Asked, staff_id: str, verdict: str, reason: str, place: Place, signature: str = "") -> Answer:
    return Answer(
        review_id=one.review_id,
        revision=one.revision,
        staff_id=staff_id,
        code="",
        verdict=verdict,
        reason=reason,
        through=place,
        signature=signature,
    )


def _one(tx: Tx, one: Asked, answer: Answer) -> Result:
    case, review = reviews.locked(tx, one.review_id)
    sentence = ""
    if review.state in review_gates.OPEN and review.revision == one.revision:
        if review.dossier_sha256 != one.shown_sha256:
            sentence = "材料与所展示的不一致,未作决定"
        elif answer.signature and not signatures.lists(tx, review, judge.said(case, answer), answer.signature):
            sentence = signatures.NOT_THIS
    if sentence:
        return Result(review_id=review.id, case_id=case.id, accepted=False, sentence=sentence)
    outcome = confirmations.take_terminal_answer(tx, reviews.gate_of(review), answer, proved=True)
    if outcome.accepted:
        outbox.wake(tx, case)
    return Result(review_id=review.id, case_id=case.id, accepted=outcome.accepted, sentence=outcome.sentence)
