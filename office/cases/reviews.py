"""Reviews: a question opened, shown, claimed, answered by one proved person, once.

``decide`` is the only judge of who answered, whichever face (the Prefect form, the command line) the answer came
through. The flow, the form and the deadline sweep all come back to the review row and read it again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field as Values
from pydantic import model_validator
from sqlalchemy import update
from sqlalchemy.orm import defer
from sqlmodel import case as sql_case
from sqlmodel import col, func, select

from models.base import Frozen, Labelled, new_id
from models.cases import Case, CaseDeadline, Finding, Side
from models.confirmations import Confirmation, ConfirmationState
from models.reviews import Decision, Review, ReviewState, Role, Staff
from models.text import has_text, shortened, too_long, typed
from models.windows import Window
from notifications.message import StaffMessage, hours_between
from notifications.review import ReviewOverdue, ReviewReminder, ReviewWaiting
from office.base.calendar import work_calendar
from office.base.db import Tx
from office.base.settings import settings
from office.base.vault import opened_json
from office.cases import bundles, deadlines, signatures
from office.cases.cases import rules
from office.cases.locks import lock_case
from office.process import Process, office
from office.record import audit, decision_seals, outbox, standing
from office.staff import desk_sessions, people, staff
from office.staff.guard import Place
from policies.approvals import Seen, holds
from policies.deadlines import reckon, reminder_times
from policies.masking import mask_accounts
from policies.policy import SHANGHAI, policy_at

DEADLINE = "review"
"""The kind of deadline a review has: ours, so it is escalated and never lapses."""

OPEN = (ReviewState.PENDING, ReviewState.CLAIMED)

MOST_KEPT = 25_000
"""Characters of a text that was not taken, kept to be brought back into the form."""

OBJECTED = "的决定提出异议"
"""How the reason ends for which an objection halts a case."""

NOT_TAKEN = "上次答复未采纳"
"""How a question's notice begins when somebody has answered it in vain."""


class Dossier(Frozen):
    """What a reviewer is shown, and the facts in it that may not change between the look and the decision."""

    markdown: str
    facts: dict[str, Any] = Values(default_factory=dict)
    blocking: tuple[Finding, ...] = ()
    shown: dict[str, Any] = Values(default_factory=dict)
    """Facts that are shown anew when they move, and are no term: whoever decided before need not decide again."""
    links_until: str = ""
    """Until when its links open what they name. It is shown anew when that moves, and is no term of the decision."""

    @property
    def seen(self) -> Seen:
        """What somebody who decides on this has seen, as it can be compared later (ambiguity 23)."""
        return Seen.of(self.facts, self.blocking)

    @property
    def markdown_sha256(self) -> str:
        return hashlib.sha256(self.markdown.encode()).hexdigest()

    @property
    def facts_sha256(self) -> str:
        blocking = [[one.code, one.value, *one.extent, *one.items] for one in self.blocking]
        facts = {"blocking": blocking, **self.facts, **self.shown} | (
            {"links_until": self.links_until} if self.links_until else {}
        )
        return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


class Answer(Frozen):
    """What a person answered. ``extra`` holds the gate's own fields, as the form delivered them."""

    review_id: str
    revision: int
    staff_id: str
    code: str
    verdict: str
    reason: str = ""
    extra: dict[str, Any] = Values(default_factory=dict)
    given_at: datetime | None = None
    """When the person pressed the button, real time; ``None`` means now. Their code is judged by it."""
    through: Place = Place.TERMINAL
    """Where it was given: in Prefect, where others may have had their hands on it, or where only we listen."""
    session: str = ""
    """The word of a session at the desk, which proves its person where policy lets it."""

    signature: str = ""
    """A passkey's answer to the statement of this decision, as the browser gave it."""

    @property
    def proof(self) -> str:
        """What its author is proved by; nothing, when the caller has had that done."""
        if self.signature:
            return "signature"
        return "code" if self.code.strip() else "session" if self.session else ""

    @model_validator(mode="before")
    @classmethod
    def _as_typed(cls, fields: Any) -> Any:
        """No database takes every character that a form or a terminal lets pass, and what was sent is not asked again."""
        return typed(fields)


Check = Callable[[Tx, Case, Review, Answer], str | None]
"""A gate's own condition on an answer: a Chinese sentence when it is not met."""


def no_check(tx: Tx, case: Case, review: Review, answer: Answer) -> str | None:
    """For gates whose verdicts need nothing but the person."""
    return None


@dataclass(frozen=True)
class Gate:
    """A kind of question: who may answer it, with which verdicts, on what dossier, until when."""

    name: str
    """``[a-z0-9-]``: part of the pause key."""
    title: str
    roles: tuple[Role, ...]
    verdicts: type[Labelled]
    dossier: Callable[[Tx, Case, Review], Dossier]
    window: Callable[[Case], Window]
    clause: str
    reason_required: frozenset[str] = frozenset()
    """Verdicts that need a written reason."""
    consequences: Mapping[str, str] = field(default_factory=dict)
    """What each verdict will do, in Chinese, shown beside the choices."""
    fields: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """The gate's own form fields: name → JSON Schema with Chinese title and limits; none is required by schema."""
    check: Check = no_check
    excluded: Callable[[Tx, Case], set[str]] = lambda tx, case: set()
    """Staff who may not answer besides those who decided another seat of the same question."""
    rests_on: str = ""
    """The gate whose decision of the same round this one confirms: it is taken back when that one no longer holds."""

    def verdict(self, code: str) -> Labelled:
        return self.verdicts(code)


class Outcome(Frozen):
    """Whether an answer was taken; otherwise the sentence its author reads."""

    accepted: bool
    sentence: str = ""


def open_review(tx: Tx, case: Case, gate: Gate, round: int = 1, seat: int = 1) -> Review:
    """Ask a question; the same gate, round and seat is the same question. Tells the roles that may answer."""
    before = tx.exec(
        select(Review).where(
            Review.case_id == case.id, Review.gate == gate.name, Review.round == round, Review.seat == seat
        )
    ).first()
    if before is not None:
        return before
    due = reckon(tx.now, gate.window(case), gate.clause, work_calendar())
    review = Review(
        id=new_id("RV", tx.now), case_id=case.id, gate=gate.name, round=round, seat=seat, roles=[], verdicts=[],
        opened_at=tx.now, due_at=due.due,
    )  # fmt: skip
    _ask(tx, case, review, gate)
    tx.add(review)
    tx.flush()
    _show(tx, case, review, gate)
    audit.record(tx, case.id, "review.opened", clause=gate.clause, text=f"等待{gate.title}({people.roles_of(review)})",
                 review=review.id, round=round, seat=seat, due_at=due.due.isoformat(), public=True)  # fmt: skip
    ahead = reminder_times(due.due, list(rules(case).reminders.ours_hours_before), tx.now)
    deadlines.start(tx, case, f"{DEADLINE}/{review.id}", DEADLINE, Side.PLATFORM, due, ahead)
    for role in gate.roles:
        notify_staff(
            tx, role, ReviewWaiting(**about(case, review, gate), opened_at=tx.now, due=due.due),
            f"{review.id}/waiting/{role}", case,
        )  # fmt: skip
    people.note_whether_stranded(tx, case, review, people.roster(tx), about(case, review, gate))
    return review


def _ask(tx: Tx, case: Case, review: Review, gate: Gate) -> None:
    """Say who may answer the question, and with what."""
    others = tx.exec(
        select(Review.decided_by).where(
            Review.case_id == case.id, Review.gate == gate.name, Review.round == review.round, Review.id != review.id
        )
    )
    review.roles, review.verdicts = [role.value for role in gate.roles], [verdict.value for verdict in gate.verdicts]
    review.excluded = sorted({*filter(None, others), *gate.excluded(tx, case)})


def look_after(tx: Tx) -> None:
    """Somebody came, went or lost a role: end claims whose holders may no longer answer, tell where nobody is left.

    Called wherever that is recorded, and by every sweep for what time alone brings about (ambiguity 37).
    """
    everybody = people.roster(tx)
    query = select(Review).where(col(Review.state).in_(OPEN)).order_by(col(Review.id))
    for review in tx.exec(query.options(defer(Review.dossier))):  # type: ignore[arg-type]
        if not decision_seals.question_holds(review):
            case = lock_case(tx, review.case_id)
            _restore(tx, case, review, gate_of(review), "处理资格或内容")
            outbox.wake(tx, case)
        able = {one.id for one in people.left(review, everybody)}
        holder = tx.get(Staff, review.claimed_by) if review.claimed_by and review.claimed_by not in able else None
        gone = people.unfit(tx, review, holder) if holder is not None else None
        if review.claimed_by and gone is None and (hours := _held_too_long(tx, review)):
            holder, gone = tx.get_one(Staff, review.claimed_by), f"已超过 {hours} 小时"
        if gone is None and bool(able) is (review.stranded_at is None):
            continue
        case = tx.get_one(Case, review.case_id)
        if holder is not None and gone is not None:
            let_go(tx, case, review, "system", f"{holder.name} 的认领失效:{gone}")
        people.note_whether_stranded(tx, case, review, everybody, about(case, review, gate_of(review)))


def gate_of(review: Review) -> Gate:
    """The gate a question was opened at."""
    return office().gates[review.gate]


def _held_too_long(tx: Tx, review: Review) -> int:
    """After how many hours this claim ends by itself, if it has lasted that long; nobody keeps a question to themselves."""
    hours = policy_at(tx.now).staff.claim_hours
    since = review.claimed_at or tx.now
    return hours if hours and tx.now - since > timedelta(hours=hours) else 0


def _show(tx: Tx, case: Case, review: Review, gate: Gate) -> None:
    """Put the current dossier into the review."""
    dossier = gate.dossier(tx, case, review)
    shown = dossier.model_copy(update={"markdown": dossier.markdown + others_part(tx, case)})
    review.dossier = shown.markdown
    review.dossier_sha256, review.facts_sha256 = shown.markdown_sha256, shown.facts_sha256
    review.seen = dossier.seen.model_dump(mode="json")
    decision_seals.put_question(tx, review)
    tx.flush()


OTHERS = 20
"""Other cases of the shop named in a dossier; the rest is counted, and listed by ``dianwu cases list --shop``."""


def others_part(tx: Tx, case: Case) -> str:
    """The shop's other cases, those that are open first, then the newest, each with its link."""
    if case.shop_id is None:
        return ""
    query = select(Case).where(Case.shop_id == case.shop_id, Case.id != case.id)
    open_first = sql_case((col(Case.concluded_at).is_(None), 0), else_=1)
    found = list(tx.exec(query.order_by(open_first, col(Case.received_at).desc(), col(Case.id)).limit(OTHERS)))
    if not found:
        return ""
    lines = [f"- [{other.kind.label} · {other.id}]({link_to(other)}):{_standing(other)}" for other in found]
    total = tx.exec(select(func.count()).select_from(Case).where(Case.shop_id == case.shop_id)).one() - 1
    if total > len(found):
        lines.append(f"- 另有 {total - len(found)} 个较早的未列出:`dianwu cases list --shop {case.shop_id}`")
    return "\n".join(["", f"#### 该店铺的其他案件({total})", "", *lines, ""])


def _standing(other: Case) -> str:
    day = f"{other.received_at.astimezone(SHANGHAI):%Y-%m-%d} 收到"
    return f"{day},{(other.outcome or other.state).label}" + ("" if other.concluded_at else "(未办结)")


def about(case: Case, review: Review, gate: Gate) -> dict[str, Any]:
    return {
        "case_id": case.id, "case_kind": case.kind.label, "subject": case.subject or case.id, "gate": gate.title,
        "role": people.roles_of(review), "link": link_to(case, review), "rule": gate.clause,
    }  # fmt: skip


def link_to(case: Case, review: Review | None = None) -> str:
    """Where an operator finds the case, or this question of it: at the desk where the settings say its address, else in the
    Prefect UI, of which ``/v2`` is the default one, whose dialog shows most."""
    if settings().desk_url:
        return f"{settings().desk}/r/{review.id}" if review else f"{settings().desk}/c/{case.id}"
    runs = f"{settings().prefect_ui}/v2/runs"
    return f"{runs}/flow-run/{case.run_id}" if case.run_id else runs


def notify_staff(tx: Tx, role: Role, message: StaffMessage, key: str, case: Case | None = None) -> None:
    """Tell everybody who holds a role, once per key; what can wait comes with others of its quarter of an hour."""
    bundles.tell(tx, role, message, key, case)


def decided(tx: Tx, case_id: str, gate: str, round: int, seat: int = 1) -> Review | None:
    """The review of that gate and round, once it is decided."""
    query = select(Review).where(
        Review.case_id == case_id, Review.gate == gate, Review.round == round, Review.seat == seat,
        Review.state == ReviewState.DECIDED,
    )  # fmt: skip
    found = tx.exec(query).first()
    return decision_seals.insist(found) if found else None


def last_decider(tx: Tx, case: Case, gate: str) -> set[str]:
    """Who decided the gate in its last round, who may not be the second person too. Earlier rounds exclude nobody:
    when facts change or the bank returns the money, two people must be enough to decide again."""
    query = select(Review.decided_by).where(
        Review.case_id == case.id, Review.gate == gate, Review.state == ReviewState.DECIDED
    )
    last = tx.exec(query.order_by(col(Review.round).desc())).first()
    return {last} if last else set()


def reviewers_of(tx: Tx, case: Case) -> set[str]:
    """Everybody who has decided something in the case: none of them can be the second person."""
    query = select(Review.decided_by).where(Review.case_id == case.id, col(Review.decided_by).is_not(None))
    return {staff_id for staff_id in tx.exec(query) if staff_id}


# ── what the flow reads and does ─────────────────────────────────────────────


def look(tx: Tx, review_id: str, gate: Gate) -> Decision | Review:
    """The decision if there is one, else the review as it is to be shown.

    A case whose request was taken back withdraws its question. Facts that changed since they were shown are shown
    anew under the next revision.
    """
    review = get(tx, review_id)
    case = lock_case(tx, review.case_id)
    review = get(tx, review_id)
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
                review_id=review.id, verdict=review.verdict, decided_by=review.decided_by,
                decided_at=review.decided_at, reason=review.reason, answer=review.answer,
            )  # fmt: skip
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
    if _restored(tx, case, review, gate):
        return True
    dossier = gate.dossier(tx, case, review)
    if dossier.facts_sha256 == review.facts_sha256:
        if review.seen is None:  # shown by a version that did not keep it: the same facts, so this is what was seen
            review.seen = dossier.seen.model_dump(mode="json")
            decision_seals.put_question(tx, review)
        return False
    review.revision += 1
    review.notice = "事实已发生变化,请核对下方最新内容后重新决定。"
    _show(tx, case, review, gate)
    audit.record(tx, case.id, "review.revised", text=f"{gate.title}:事实变化,已更新展示内容",
                 review=review.id, revision=review.revision, shown_sha256=review.dossier_sha256)  # fmt: skip
    return True


def _restored(tx: Tx, case: Case, review: Review, gate: Gate) -> bool:
    """Whether the question had to be put right, because somebody had changed it in the database."""
    if not decision_seals.question_holds(review):
        _restore(tx, case, review, gate, "处理资格或内容")
    elif not decision_seals.text_holds(review):
        _restore(tx, case, review, gate, "展示内容")
    else:
        return False
    return True


def _restore(tx: Tx, case: Case, review: Review, gate: Gate, what: str) -> None:
    """Ask it anew as the rules say it, of whom they say; an appointment and a claim are to be made again."""
    review.revision += 1
    _ask(tx, case, review, gate)
    review.appointed, review.notice, review.unaccepted = None, decision_seals.ASKED_ANEW, None
    review.state, review.claimed_by, review.claimed_at = ReviewState.PENDING, None, None
    decision_seals.tell_changed(tx, case, review, what)
    _show(tx, case, review, gate)
    outbox.retag(tx, case)


def _overtaken(tx: Tx, case: Case, review: Review, gate: Gate) -> bool:
    """Take the question back when whoever decided what it rests on has not seen what stands now (ambiguity 23)."""
    if not gate.rests_on:
        return False
    first = decided(tx, case.id, gate.rests_on, review.round)  # none when it was found forged and is asked anew
    if first is not None and holds(first.seen, gate.dossier(tx, case, review).seen):
        return False
    review.state = ReviewState.SUPERSEDED
    tx.add(review)
    deadlines.stop(tx, case.id, f"{DEADLINE}/{review.id}")
    audit.record(tx, case.id, "review.overtaken", clause=gate.clause, public=True, review=review.id,
                 text=f"事实发生变化,{gate.title}退回前一位审核人重新审核")  # fmt: skip
    outbox.wake(tx, case)
    return True


def arm(tx: Tx, review_id: str) -> str:
    """A fresh pause key for the form about to be shown, recorded before it is."""
    review = get(tx, review_id)
    review.attempt += 1
    review.pause_key = f"{review.gate}-{review.round}-{review.seat}-{review.id.lower()}-{review.attempt}"
    tx.add(review)
    return review.pause_key


Finish = Callable[[Tx, Case, Review, Gate, Answer], Outcome]
"""What becomes of an answer that was found good: recorded as the decision, or held until it is confirmed."""


def take_answer(tx: Tx, review_id: str, gate: Gate, answer: Answer, finish: Finish) -> Outcome:
    """Judge an answer that came through the form, and remember why if it was refused."""
    outcome = decide(tx, answer, gate, finish)
    review = get(tx, review_id)
    case = tx.get_one(Case, review.case_id)
    review.pause_key = None
    if not outcome.accepted and review.state in OPEN:
        review.notice = f"{NOT_TAKEN}:{outcome.sentence}"
        review.unaccepted = {
            "staff_id": answer.staff_id, "verdict": answer.verdict, "reason": shortened(_masked(case, answer.reason), MOST_KEPT),
            "answer": masked_values(case, answer),
        }  # fmt: skip
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
        rest = 0 if gate.name in rules.decisions.routine else rules.staff.passkey_rest_hours
        return signatures.unproved(tx, review, said(case, answer), answer.signature, rest)
    if gate.name in rules.decisions.signed_only:
        return f"「{gate.title}」须在工作台用通行密钥签名"
    if answer.session and not answer.code.strip():
        if session_is_enough(tx, review, gate):
            return desk_sessions.unproved(tx, answer.session, answer.staff_id)
        if stale := _not_the_form_shown(review, answer):
            return stale  # what they saw may have asked for no code
    return unproved(tx, answer.staff_id, answer.code, answer.given_at, answer.through)


def said(case: Case, answer: Answer) -> signatures.Said:
    """What an answer says, as it will be kept."""
    return signatures.Said(
        staff_id=answer.staff_id, verdict=answer.verdict, reason=kept_reason(case, answer),
        fields=masked_values(case, answer),
    )  # fmt: skip


def session_is_enough(tx: Tx, review: Review, gate: Gate) -> bool:
    """Whether this question may be answered on a session alone: by policy, and while nothing blocks."""
    return gate.name in policy_at(tx.now).decisions.by_session and not (review.seen or {}).get("blocking")


def unfit(tx: Tx, case: Case, review: Review, gate: Gate, answer: Answer) -> str | None:
    """Why a proved person's answer cannot be taken as things stand; facts that have changed are shown anew."""
    person = staff.find(tx, answer.staff_id)
    if disputed(case):
        return "本案有决定被提出异议,已停止;主管核实之前不受理新的决定"
    if _restored(tx, case, review, gate):
        return decision_seals.ASKED_ANEW
    if sentence := _not_the_form_shown(review, answer) or may_not_answer(tx, review, person):
        return sentence
    if _overtaken(tx, case, review, gate):
        return "前一位审核人没有看到新的情况,已退回其重新审核,之后会再请您复核"
    if sentence := _incomplete(gate, review, answer) or gate.check(tx, case, review, answer):
        return sentence
    return review.notice if refresh(tx, case, review, gate) else None


def disputed(case: Case) -> bool:
    """Whether an objection is what halts the case: then a supervisor lets it go on, by their code."""
    return (case.halted or "").endswith(OBJECTED)


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
            state=ReviewState.DECIDED, decided_by=answer.staff_id, decided_at=tx.now, verdict=answer.verdict,
            reason=reason, answer=values, notice="", unaccepted=None,
        )
        .execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]  # fmt: skip
    if won != 1:
        return Outcome(accepted=False, sentence="该任务刚刚已由他人处理")
    tx.refresh(review)
    decision_seals.put(tx, review)
    deadlines.stop(tx, case.id, f"{DEADLINE}/{review.id}")
    audit.record(
        tx, case.id, "review.decided", actor=f"staff/{answer.staff_id}", clause=gate.clause,
        text=f"{gate.title}:{gate.verdict(answer.verdict).label}", public=False, review=review.id, round=review.round,
        seat=review.seat, verdict=answer.verdict, reason=reason, shown_sha256=review.dossier_sha256,
        facts_sha256=review.facts_sha256, revision=review.revision, answer=values, through=answer.through.value,
        proof=answer.proof, **(signatures.kept(tx, answer.signature) if answer.signature else {}), **how,
    )  # fmt: skip
    return Outcome(accepted=True, sentence="已提交")


def _masked(case: Case, text: str) -> str:
    """Text that will be read by others for years: without accounts, and with the numbers this case is about."""
    payees = opened_json(case, "request_sealed").get("payees", ()) if case.request_sealed else ()
    numbers = re.findall(r"\d{8,}", json.dumps(case.request))
    return mask_accounts(text, ours=numbers, secret=[payee["account_no"] for payee in payees])


def masked_values(case: Case, answer: Answer) -> dict[str, Any]:
    return {name: _masked(case, value) if isinstance(value, str) else value for name, value in answer.extra.items()}


def _refused(tx: Tx, case: Case, review: Review, answer: Answer, sentence: str, proved: bool = True) -> Outcome:
    """Note it in the name of whoever gave it, if they have proved who they are; anybody can write an id into a form."""
    who = f"staff/{answer.staff_id}" if proved else "unproved"
    claim: dict[str, Any] = {} if proved else {"claimed_id": answer.staff_id[:32]}
    audit.record(tx, case.id, "review.refused", actor=who, review=review.id, text=f"未受理的答复:{sentence}", **claim)
    return Outcome(accepted=False, sentence=sentence)


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
    tx: Tx, staff_id: str, code: str, given_at: datetime | None = None, place: Place = Place.TERMINAL
) -> str | None:
    """Why the code does not prove that they are who they say. An empty one is no wrong one."""
    if not code.strip():
        return "没有填写动态口令:请填写验证器应用中当前显示的 6 位数字"
    proof = staff.prove(tx, staff_id, code, given_at, place)
    return None if proof.ok else proof.sentence


def get(tx: Tx, review_id: str) -> Review:
    review = tx.get(Review, review_id, populate_existing=True)
    if review is None:
        raise LookupError(f"no review {review_id}")
    return review


# ── claim, release, reassign ─────────────────────────────────────────────────


def locked(tx: Tx, review_id: str) -> tuple[Case, Review]:
    """The review as it is under its case's lock, so that nobody decides it meanwhile."""
    case = lock_case(tx, get(tx, review_id).case_id)
    return case, get(tx, review_id)


def claim(tx: Tx, review_id: str, staff_id: str, code: str = "", session: str = "") -> Outcome:
    """Say "this one is mine", so that two people do not read the same dossier.

    It keeps everybody else from deciding, so it takes a one-time code or a session at the desk: without, anybody could
    set a colleague's name before whatever they would have delayed.
    """
    (case, review), person = locked(tx, review_id), staff.find(tx, staff_id)
    if sentence := _nobody(tx, staff_id, code, session):
        return Outcome(accepted=False, sentence=sentence)
    if review.state is ReviewState.CLAIMED and review.claimed_by == staff_id:
        return Outcome(accepted=True, sentence="您已认领该任务")
    if sentence := may_not_answer(tx, review, person):
        return Outcome(accepted=False, sentence=sentence)
    won = tx.execute(
        update(Review)
        .where(col(Review.id) == review_id, col(Review.state) == ReviewState.PENDING)
        .values(state=ReviewState.CLAIMED, claimed_by=staff_id, claimed_at=tx.now)
        .execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    if won != 1:
        return Outcome(accepted=False, sentence="该任务已被认领或已处理")
    audit.record(
        tx, review.case_id, "review.claimed", actor=f"staff/{staff_id}", text=f"{person.name} 认领", review=review_id
    )
    outbox.retag(tx, case)
    return Outcome(accepted=True, sentence="已认领")


def release(tx: Tx, review_id: str, staff_id: str, code: str = "", session: str = "") -> Outcome:
    """Give a claimed task back to everybody; only its holder may, or a supervisor, by a one-time code or a session."""
    (case, review), person = locked(tx, review_id), staff.find(tx, staff_id)
    if review.claimed_by != staff_id and Role.SUPERVISOR not in person.roles:
        return Outcome(accepted=False, sentence="只有认领人或主管可以释放该任务")
    if sentence := _nobody(tx, staff_id, code, session):
        return Outcome(accepted=False, sentence=sentence)
    if review.state is not ReviewState.CLAIMED:
        return Outcome(accepted=False, sentence="该任务当前未被认领")
    let_go(tx, case, review, f"staff/{staff_id}", f"{person.name} 释放")
    return Outcome(accepted=True, sentence="已释放")


def _nobody(tx: Tx, staff_id: str, code: str, session: str) -> str | None:
    """Why neither a code nor a session at the desk proves them."""
    return desk_sessions.unproved(tx, session, staff_id) if session else unproved(tx, staff_id, code)


def let_go(tx: Tx, case: Case, review: Review, actor: str, text: str) -> None:
    """End a claim: the task is everybody's again."""
    review.state, review.claimed_by, review.claimed_at = ReviewState.PENDING, None, None
    tx.add(review)
    audit.record(tx, review.case_id, "review.released", actor=actor, text=text, review=review.id)
    outbox.retag(tx, case)


def reassign(tx: Tx, review_id: str, to_staff_id: str, by_staff_id: str, code: str) -> Outcome:
    """A supervisor, who proves it with a one-time code, hands a task to somebody who may answer it."""
    (case, review), person, boss = locked(tx, review_id), staff.find(tx, to_staff_id), staff.find(tx, by_staff_id)
    if Role.SUPERVISOR not in boss.roles:
        return Outcome(accepted=False, sentence="只有主管可以改派任务")
    if sentence := unproved(tx, by_staff_id, code):
        return Outcome(accepted=False, sentence=sentence)
    if review.state not in OPEN:
        return Outcome(accepted=False, sentence="该任务已处理或已失效")
    if sentence := people.unfit(tx, review, person):
        return Outcome(accepted=False, sentence=f"{person.name}:{sentence}")
    review.state, review.claimed_by, review.claimed_at = ReviewState.CLAIMED, person.id, tx.now
    tx.add(review)
    audit.record(tx, review.case_id, "review.reassigned", actor=f"staff/{by_staff_id}",
                 text=f"改派给 {person.name}", review=review_id)  # fmt: skip
    outbox.retag(tx, case)
    return Outcome(accepted=True, sentence=f"已改派给 {person.name}")


def waiting(tx: Tx, role: str | None = None, case_id: str | None = None) -> list[Review]:
    """Open reviews, the most urgent first."""
    query = select(Review).where(col(Review.state).in_(OPEN))
    if case_id:
        query = query.where(Review.case_id == case_id)
    rows = tx.exec(query.order_by(col(Review.due_at), col(Review.opened_at)))
    return [review for review in rows if role is None or role in review.roles]


def tags(tx: Tx, review: Review) -> list[str]:
    """What the run list shows of an open question, to look at and to filter by: whose, how urgent, taken by whom."""
    own = deadlines.find(tx, review.case_id, f"{DEADLINE}/{review.id}")
    late = ["⚠️ 逾期升级"] if own and own.escalations else []
    held = select(Confirmation.staff_id).where(
        Confirmation.review_id == review.id, Confirmation.state == ConfirmationState.OPEN
    )
    if author := tx.exec(held).first():
        return [f"待确认:{staff.find(tx, author).name}", *late]
    taken = [f"认领:{staff.find(tx, review.claimed_by).name}"] if review.claimed_by else []
    vain = [f"⚠️ {NOT_TAKEN}"] if review.notice.startswith(NOT_TAKEN) else []
    nobody = ["⚠️ 无人可处理"] if review.stranded_at else []
    return [*vain, *(f"岗位:{Role(role).label}" for role in review.roles), *late, *nobody, *taken]


# ── reminders and escalation ─────────────────────────────────────────────────


def _remind(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    """Remind the roles that are asked."""
    review = get(tx, deadline.key.removeprefix(f"{DEADLINE}/"))
    gate = gate_of(review)
    left = hours_between(tx.now, deadline.due_at)
    for role in gate.roles:
        message = ReviewReminder(
            **about(case, review, gate), due=deadline.due_at, hours_left=left, claimed_by=review.claimed_by or ""
        )
        notify_staff(tx, role, message, f"{review.id}/remind/{role}/{left}", case)


def _late(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    """Tell the supervisor, every day it is late."""
    review = get(tx, deadline.key.removeprefix(f"{DEADLINE}/"))
    message = ReviewOverdue(
        **about(case, review, gate_of(review)), due=deadline.due_at, claimed_by=review.claimed_by or "",
        hours_late=hours_between(deadline.due_at, tx.now),
    )  # fmt: skip
    notify_staff(tx, Role.SUPERVISOR, message, f"{review.id}/overdue/{deadline.escalations}", case)
    if deadline.escalations == 1:
        outbox.retag(tx, case)


PROCESS = Process(name="review", clocks={DEADLINE: deadlines.Kind(remind=_remind, due=_late)})
