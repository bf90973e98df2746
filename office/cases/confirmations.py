"""Confirmations: whoever decided is told what was recorded in their name, and has a say before a weighty answer counts.

An answer given through Prefect may be turned round on its way: a one-time code proves a person, and binds no content. So
the person hears over a channel of their own what was recorded and objects by one act; and where money, a ban or a second
look rests on it, the answer is held until they confirm it at the terminal, where only we listen, or, if policy and
settings say so, until they were told and the time to object is over. What is held decides nothing: facts that change, a
request taken back or an objection end it, and the question is asked again.
"""

from __future__ import annotations

from models.base import Frozen, new_id
from models.cases import Case, CaseDeadline, Side
from models.confirmations import Confirmation, ConfirmationState, Holding
from models.reviews import Decision, Review, Role, Staff
from models.text import shortened
from notifications.engine import ConfirmationLate
from office.base.calendar import work_calendar
from office.base.clock import clock
from office.base.db import Tx
from office.cases import alarms, deadlines, judge, recorded, reviews, signatures
from office.cases import gates as review_gates
from office.cases.confirmation_letters import (
    DEADLINE,
    in_name,
    key_of,
    tell_dropped,
    tell_perhaps_lost,
    tell_recorded,
    was_told,
)
from office.cases.gates import OPEN, Answer, Gate, Outcome
from office.cases.held_answers import close, open_of, seal_of
from office.cases.locks import lock_case
from office.cases.weights import holding
from office.process import Process
from office.record import audit, decision_seals, outbox
from office.staff import people, staff
from office.staff.guard import Place
from policies.deadlines import reckon
from policies.policy import SHANGHAI, policy_at

# ── taking an answer ─────────────────────────────────────────────────────────


def take_form_answer(tx: Tx, review_id: str, gate: Gate, answer: Answer) -> Outcome:
    """Judge an answer that came through the form; a weighty one is held.

    One that came after the question was settled elsewhere decides nothing: its author is told, and its code, which lay in
    Prefect, is spent.
    """
    review = reviews.get(tx, review_id)
    case = tx.get_one(Case, review.case_id)
    if review.state not in OPEN or case.withdrawn_at is not None or case.concluded_at is not None:
        look(tx, review_id, gate)  # which takes the question back, or asks anew what was forged: the answer comes after
    outcome = judge.take_answer(tx, review_id, gate, answer, _hold_or_record)
    review = reviews.get(tx, review_id)
    if not outcome.accepted and review.state not in OPEN:
        person = tx.get(Staff, answer.staff_id)
        if person is not None and staff.spend(tx, person.id, answer.code, answer.given_at or clock().real()):
            case = lock_case(tx, review.case_id)
            tell_dropped(tx, case, review, gate, person, outcome.sentence, f"late/{review.attempt}")
    return outcome


def take_terminal_answer(tx: Tx, gate: Gate, answer: Answer, *, proved: bool = False) -> Outcome:
    """Judge an answer given where only we listen: it counts at once, also in place of one that the same person has open."""
    return judge.decide(tx, answer, gate, _record, proved=proved)


def _hold_or_record(tx: Tx, case: Case, review: Review, gate: Gate, answer: Answer) -> Outcome:
    how = holding(tx, gate.name)
    if how is Holding.IMMEDIATE:
        return _record(tx, case, review, gate, answer)
    if (before := _of_somebody_else(tx, review, answer)) is not None:
        return before
    person = staff.find(tx, answer.staff_id)
    _drop_open(tx, case, review, gate, "您已重新作答")
    due = reckon(tx.now, policy_at(tx.now).decisions.objection, gate.clause, work_calendar())
    held = Confirmation(
        id=new_id("CF", tx.now),
        review_id=review.id,
        case_id=case.id,
        revision=review.revision,
        staff_id=person.id,
        verdict=answer.verdict,
        reason=judge.kept_reason(case, answer),
        answer=judge.masked_values(case, answer),
        holding=how,
        held_at=tx.now,
        due_at=due.due,
        seal="",
    )
    held.seal = seal_of(held)
    tx.add(held)
    tx.flush()
    audit.record(
        tx,
        case.id,
        "review.held",
        actor=f"staff/{person.id}",
        clause=gate.clause,
        text=f"{gate.title}:{gate.verdict(answer.verdict).label}(待本人确认,尚未生效)",
        review=review.id,
        confirmation=held.id,
        verdict=answer.verdict,
        reason=held.reason,
        shown_sha256=review.dossier_sha256,
        facts_sha256=review.facts_sha256,
        revision=review.revision,
        answer=held.answer,
        holding=how.value,
    )
    deadlines.start(tx, case, key_of(held), DEADLINE, Side.PLATFORM, due)
    until = f"{due.due.astimezone(SHANGHAI):%Y-%m-%d %H:%M}(北京时间)"
    confirm = f"dianwu review confirm {review.id} --as {person.id}"
    said = {
        Holding.WINDOW: f"该答复尚未生效。{until} 前您未提出异议即生效;也可在工作台打开该任务,或在终端执行 {confirm},立即确认。",
        Holding.CONFIRM: f"该答复尚未生效,须您本人在工作台打开该任务,或在终端执行 {confirm},加以确认。{until} 后仍未确认将告知主管。",
    }[how]
    tell_recorded(tx, case, review, gate, person, answer.verdict, held.reason, said, held.id)
    outbox.retag(tx, case)
    return Outcome(accepted=True, sentence="已记录,待您本人确认后生效")


def _record(tx: Tx, case: Case, review: Review, gate: Gate, answer: Answer) -> Outcome:
    if (before := _of_somebody_else(tx, review, answer)) is not None:
        return before
    outcome = judge.record(tx, case, review, gate, answer)
    if outcome.accepted:
        _drop_open(tx, case, review, gate, "您已在终端另行作出决定", told=False)
        person = staff.find(tx, answer.staff_id)
        tell_recorded(tx, case, review, gate, person, answer.verdict, review.reason, "该决定已生效。", review.id)
    return outcome


def refuse_doubtful(tx: Tx, review: Review, gate: Gate, answer: Answer, doubt: str, key: str) -> None:
    """Refuse an answer that cannot be what its author sent to the form we wrote: nothing in it is judged.

    The author, the supervisor and the audit hear of it, the code is spent, and the question is asked again. Whoever had the
    answer in hand may have put another name and code into it, or left none: so no code shown by now counts in a form any
    more, and if the one that came is not its author's, everybody who may answer hears of it.
    """
    case = lock_case(tx, review.case_id)
    review = reviews.get(tx, review.id)
    person = tx.get(Staff, answer.staff_id)
    theirs = person is not None and staff.spend(tx, person.id, answer.code, answer.given_at or clock().real())
    staff.pass_over_form_codes(tx)
    alarms.raise_alarm(
        tx,
        "answer.doubtful",
        f"{gate.title}:一份答复未予采用,{doubt}",
        kind=f"doubtful/{review.id}",
        matter=f"审核任务 {review.id},署名 {person.name if person else '不明人员'}",
        done="该答复未被评判,此刻之前的动态口令在表单中均已作废,问题已重新提出。若非更换了 Prefect 的数据库,说明有人能使用其接口"
        "改动表单、答复或运行,请核实并更换其口令。",
        case=case,
        review=review.id,
        staff=person.id if person else "",
        verdict=shortened(answer.verdict, 60),
        doubt=doubt,
        code_spent="yes" if theirs else "no",
    )
    review.pause_key = None
    if review.state in OPEN:
        notice = f"{review_gates.NOT_TAKEN}:{doubt}。请核对以下内容后用新的动态口令重新提交。"
        decision_seals.say(tx, review, notice, review.unaccepted)
    tx.add(review)
    if theirs and person is not None:
        tell_dropped(tx, case, review, gate, person, doubt, key)
    else:
        for one in people.left(review, people.roster(tx)):
            tell_perhaps_lost(tx, case, review, gate, staff.find(tx, one.id), doubt)


def _of_somebody_else(tx: Tx, review: Review, answer: Answer) -> Outcome | None:
    """The refusal, if a colleague's answer to this very question waits to be confirmed."""
    held = open_of(tx, review.id)
    if held is None or held.staff_id == answer.staff_id or held.revision != review.revision:
        return None
    who = staff.find(tx, held.staff_id)
    return Outcome(accepted=False, sentence=f"{who.name} 已对该任务作出答复,正待其本人确认")


# ── looking ──────────────────────────────────────────────────────────────────


class Held(Frozen):
    """The question has been answered, and the answer waits to be confirmed: there is nothing to show."""

    confirmation_id: str


def look(tx: Tx, review_id: str, gate: Gate) -> Decision | Review | Held:
    """As :func:`judge.look`, with what is held: facts that changed, or a request taken back, end it."""
    seen = judge.look(tx, review_id, gate)
    held = open_of(tx, review_id) if isinstance(seen, Review) or seen.verdict is None else None
    if held is None:
        return seen
    review = reviews.get(tx, review_id)
    case = lock_case(tx, review.case_id)
    if isinstance(seen, Decision):
        _drop(tx, case, review, gate, held, "该任务已撤回或失效,无需处理")
        return seen
    if held.revision != review.revision:
        _drop(tx, case, review, gate, held, review.notice)
        return seen
    return Held(confirmation_id=held.id)


# ── having a say ─────────────────────────────────────────────────────────────


def confirm(
    tx: Tx, review_id: str, staff_id: str, code: str, place: Place = Place.TERMINAL, signature: str = ""
) -> Outcome:
    """Whoever gave a held answer says, where only we listen, that it is theirs, by a code or by a passkey's signature over
    the very decision: it counts from now."""
    case, review, gate = about(tx, review_id)
    held = open_of(tx, review_id)
    if held is None:
        return Outcome(accepted=False, sentence="该任务没有待确认的答复")
    if held.staff_id != staff_id:
        return Outcome(accepted=False, sentence="只有作出该答复的本人可以确认")
    if sentence := _not_theirs(tx, case, review, gate, held, code, place, signature):
        return Outcome(accepted=False, sentence=sentence)
    if sentence := _settle(tx, case, review, gate, held, ConfirmationState.CONFIRMED, signature):
        return Outcome(accepted=False, sentence=sentence)
    return Outcome(accepted=True, sentence="已确认,决定生效")


def sign(tx: Tx, review_id: str, staff_id: str, session_id: str) -> str | None:
    """What the browser is to have signed to confirm their held answer, as JSON; none where they have none."""
    case, review, _ = about(tx, review_id)
    held = open_of(tx, review_id)
    if held is None or held.staff_id != staff_id:
        return None
    return signatures.begin(tx, review, judge.said(case, _as_given(held)), session_id)


def _not_theirs(
    tx: Tx, case: Case, review: Review, gate: Gate, held: Confirmation, code: str, place: Place, signature: str
) -> str | None:
    if not signature:
        return judge.unproved(tx, held.staff_id, code, place=place, weighty=judge.weighty(tx, gate))
    return signatures.unproved(tx, review, judge.said(case, _as_given(held)), signature, judge.rest_hours(tx, gate))


def about(tx: Tx, review_id: str) -> tuple[Case, Review, Gate]:
    case, review = reviews.locked(tx, review_id)
    return case, review, reviews.gate_of(review)


def _as_given(held: Confirmation, signature: str = "") -> Answer:
    """What was answered in the form, with the signature that confirms it."""
    return Answer(
        review_id=held.review_id,
        revision=held.revision,
        staff_id=held.staff_id,
        code="",
        verdict=held.verdict,
        reason=held.reason,
        extra=held.answer,
        through=Place.FORM,
        signature=signature,
    )


def _settle(
    tx: Tx, case: Case, review: Review, gate: Gate, held: Confirmation, how: ConfirmationState, signature: str = ""
) -> str | None:
    """Let a held answer count, as if it were given now; the sentence if it cannot any more, and then it is over."""
    answer = _as_given(held, signature)
    sentence = _forged(tx, case, held) or judge.unfit(tx, case, review, gate, answer)
    if sentence is None:
        outcome = judge.record(tx, case, review, gate, answer, confirmed=how.value, confirmation=held.id)
        sentence = None if outcome.accepted else outcome.sentence
    if sentence is None:
        close(tx, case, held, how, held.staff_id if how is ConfirmationState.CONFIRMED else "system", "")
    else:
        _drop(tx, case, review, gate, held, sentence)
    outbox.wake(tx, case)
    return sentence


def _forged(tx: Tx, case: Case, held: Confirmation) -> str | None:
    """Why a held answer is not what was given, when somebody has changed its row in the database."""
    if held.seal == seal_of(held) and recorded.waits(tx, case, held):
        return None
    why = "待确认的答复在数据库中被绕过系统改动"
    alarms.raise_alarm(
        tx,
        "review.held_forged",
        why,
        kind=f"held/{held.id}",
        matter=f"审核任务 {held.review_id}",
        done="该答复已作废,问题已重新提出。说明有人能直接改动数据库,请立即排查。",
        case=case,
        review=held.review_id,
        confirmation=held.id,
    )
    return why


def _drop_open(tx: Tx, case: Case, review: Review, gate: Gate, why: str, *, told: bool = True) -> None:
    held = open_of(tx, review.id)
    if held is not None:
        _drop(tx, case, review, gate, held, why, told=told)


def _drop(tx: Tx, case: Case, review: Review, gate: Gate, held: Confirmation, why: str, *, told: bool = True) -> None:
    """End a held answer that can count no more; whoever gave it hears why."""
    close(tx, case, held, ConfirmationState.DROPPED, "system", why)
    audit.record(
        tx,
        case.id,
        "review.dropped",
        clause=gate.clause,
        text=f"{gate.title}:待确认的答复已失效({why})",
        review=review.id,
        confirmation=held.id,
    )
    if told:
        tell_dropped(tx, case, review, gate, staff.find(tx, held.staff_id), why, held.id)


# ── when the time to object is over ──────────────────────────────────────────


def _due(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    """Held answers whose author was told and did not object count; of others the supervisor hears, every day."""
    held = tx.get(Confirmation, deadline.key.removeprefix(f"{DEADLINE}/"))
    if held is None or held.state is not ConfirmationState.OPEN:
        deadlines.stop(tx, case.id, deadline.key)
        return
    if tx.now < held.due_at:  # its clock was moved in the database: the answer's own time, which is sealed, counts
        deadlines.put_back(tx, deadline, held.due_at)
        alarms.raise_alarm(
            tx,
            "review.held_early",
            "异议期限在数据库中被绕过系统改动",
            kind=f"early/{held.id}",
            matter=f"审核任务 {held.review_id}",
            done="期限已恢复,该答复仍未生效。说明有人能直接改动数据库,请立即排查。",
            case=case,
            review=held.review_id,
            confirmation=held.id,
        )
        return
    review = reviews.get(tx, held.review_id)
    gate, person = reviews.gate_of(review), staff.find(tx, held.staff_id)
    if review.state not in OPEN:
        _drop(tx, case, review, gate, held, "该任务已撤回或失效,无需处理")
        return
    why = "须由本人确认"
    if held.holding is Holding.WINDOW:
        if was_told(tx, held):
            _settle(tx, case, review, gate, held, ConfirmationState.PASSED)
            return
        why = "通知未能送达本人(请用 dianwu staff contact 登记其联系方式),异议期不能视为已过,须由本人确认"
    message = ConfirmationLate(
        **in_name(case, review, gate, person),
        verdict=gate.verdict(held.verdict).label,
        due=held.due_at,
        why=why,
        link=reviews.link_to(case),
    )
    reviews.notify_staff(tx, Role.SUPERVISOR, message, f"{held.id}/late/{deadline.escalations}", case)


PROCESS = Process(
    name="confirmation",
    clocks={
        DEADLINE: deadlines.Kind(
            title="本人确认或异议", remind=lambda tx, case, deadline: None, due=_due, late_text="本人确认(异议)期限届满"
        )
    },
)
