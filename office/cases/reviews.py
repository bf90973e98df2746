"""Reviews: a question opened, shown, claimed, answered by one proved person, once.

``decide`` is the only judge of who answered, whichever face (the Prefect form, the command line) the answer came
through. The flow, the form and the deadline sweep all come back to the review row and read it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import defer
from sqlmodel import case as sql_case
from sqlmodel import col, func, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from models.base import new_id
from models.cases import Case, CaseWait, Side, WaitState
from models.confirmations import Confirmation, ConfirmationState
from models.dossier import CaseLink, Code, Items, Words
from models.payouts import BankContradiction
from models.reviews import Review, ReviewState, Role, Staff
from notifications.message import StaffMessage
from notifications.review import ReviewWaiting
from office.base.calendar import work_calendar
from office.base.db import Tx, prepared
from office.cases import bundles, deadlines
from office.cases.cases import rules
from office.cases.gates import DEADLINE, NOT_TAKEN, OPEN, Gate
from office.cases.links import link_to
from office.cases.locks import lock_case
from office.process import office
from office.record import audit, decision_seals, outbox
from office.staff import people, staff
from policies.deadlines import reckon, reminder_times
from policies.policy import SHANGHAI, policy_at


def open_review(tx: Tx, case: Case, gate: Gate, round: int = 1, seat: int = 1) -> Review:
    """Ask a question; the same gate, round and seat is the same question. Tells the roles that may answer."""
    before = _find(tx, case.id, gate.name, round, seat)
    if before is not None:
        return before
    due = reckon(tx.now, gate.window(case), gate.clause, work_calendar())
    review = Review(
        id=new_id("RV", tx.now),
        case_id=case.id,
        gate=gate.name,
        round=round,
        seat=seat,
        roles=[],
        verdicts=[],
        opened_at=tx.now,
        due_at=due.due,
    )
    _ask(tx, case, review, gate)
    tx.add(review)
    tx.flush()
    show_anew(tx, case, review, gate)
    audit.record(
        tx,
        case.id,
        "review.opened",
        clause=gate.clause,
        text=f"等待{gate.title}({people.roles_of(review)})",
        review=review.id,
        round=round,
        seat=seat,
        due_at=due.due.isoformat(),
        public=True,
    )
    ahead = reminder_times(due.due, list(rules(case).reminders.ours_hours_before), tx.now)
    deadlines.start(tx, case, f"{DEADLINE}/{review.id}", DEADLINE, Side.PLATFORM, due, ahead)
    for role in gate.roles:
        notify_staff(
            tx,
            role,
            ReviewWaiting(**about(case, review, gate), opened_at=tx.now, due=due.due),
            f"{review.id}/waiting/{role}",
            case,
        )
    _note_whether_stranded(tx, case, review, people.roster(tx), gate)
    return review


def asked(tx: Tx, case_id: str, gate: str, round: int, seat: int = 1) -> str:
    """Which question was opened at this gate; raises ``LookupError`` when there is none."""
    found = _find(tx, case_id, gate, round, seat)
    if found is None:
        raise LookupError(f"{case_id} has no question {gate}/{round}/{seat}")
    return found.id


def _find(tx: Tx, case_id: str, gate: str, round: int, seat: int) -> Review | None:
    return _question(tx, case_id, gate, round, seat).first()


@prepared
def _question(case_id: str, gate: str, round: int, seat: int) -> SelectOfScalar[Review]:
    return select(Review).where(
        Review.case_id == case_id, Review.gate == gate, Review.round == round, Review.seat == seat
    )


def _ask(tx: Tx, case: Case, review: Review, gate: Gate) -> None:
    """Say who may answer the question, and with what."""
    others = tx.exec(
        select(Review.decided_by).where(
            Review.case_id == case.id, Review.gate == gate.name, Review.round == review.round, Review.id != review.id
        )
    )
    review.roles, review.verdicts = [role.value for role in gate.roles], [verdict.value for verdict in gate.verdicts]
    review.excluded = sorted({*filter(None, others), *gate.excluded(tx, case)})


def keep_out(tx: Tx, case: Case, review: Review, gate: Gate) -> None:
    """What has come out about a question may make it nobody's to answer who could when it was asked (four eyes)."""
    found = gate.excluded(tx, case) - {*review.excluded}
    if not found:
        return
    review.excluded = sorted({*review.excluded, *found})
    if review.claimed_by in found:
        let_go(tx, case, review, "system", f"{staff.find(tx, review.claimed_by).name} 的认领失效:已参与本案")
    decision_seals.put_question(tx, review)
    _note_whether_stranded(tx, case, review, people.roster(tx), gate)


def keep_out_newcomer(tx: Tx, staff_id: str) -> None:
    """Somebody is enrolled, or is somebody again: the open questions about what others say they did are not theirs either."""
    query = select(Review).where(col(Review.state).in_(OPEN)).order_by(col(Review.id))
    for review in tx.exec(query.options(defer(Review.dossier))).all():  # type: ignore[arg-type]
        case, gate = tx.get_one(Case, review.case_id), gate_of(review)
        if staff_id not in review.excluded and staff_id in gate.excluded(tx, case):
            keep_out(tx, lock_case(tx, case.id), review, gate)


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
        _note_whether_stranded(tx, case, review, everybody, gate_of(review))


def wake_decided_by(tx: Tx, staff_id: str) -> None:
    """Somebody's standing has changed: cases that ask what rests on what they decided, or wait to act on it, look whether it
    still counts."""
    asked = select(Review.case_id).where(col(Review.state).in_(OPEN))
    waiting = select(CaseWait.case_id).where(CaseWait.state == WaitState.OPEN)
    theirs = select(Review.case_id).where(Review.decided_by == staff_id)
    query = select(Case).where(
        or_(col(Case.id).in_(asked), col(Case.id).in_(waiting)),
        col(Case.id).in_(theirs),
        col(Case.concluded_at).is_(None),
    )
    for case in tx.exec(query.order_by(col(Case.id))):
        outbox.wake(tx, case)


def gate_of(review: Review) -> Gate:
    """The gate a question was opened at."""
    return office().gates[review.gate]


def _held_too_long(tx: Tx, review: Review) -> int:
    """After how many hours this claim ends by itself, if it has lasted that long; nobody keeps a question to themselves."""
    hours = policy_at(tx.now).staff.claim_hours
    since = review.claimed_at or tx.now
    return hours if hours and tx.now - since > timedelta(hours=hours) else 0


def show_anew(tx: Tx, case: Case, review: Review, gate: Gate) -> None:
    """Put the current dossier into the review."""
    dossier = gate.dossier(tx, case, review)
    sheet = dossier.sheet
    others = others_part(tx, case)
    if others is not None:
        sheet = sheet.with_part(*others)
    review.dossier, review.dossier_sha256, review.facts_sha256 = sheet.kept, sheet.sha256, dossier.facts_sha256
    review.seen = dossier.seen.model_dump(mode="json")
    decision_seals.put_question(tx, review)
    tx.flush()


OTHERS = 20
"""Other cases of the shop named in a dossier; the rest is counted, and listed by ``dianwu cases list --shop``."""


def others_part(tx: Tx, case: Case) -> tuple[str, Items] | None:
    """The shop's other cases, those that are open first, then the newest, each with its link; none where there is none."""
    if case.shop_id is None:
        return None
    query = select(Case).where(Case.shop_id == case.shop_id, Case.id != case.id)
    open_first = sql_case((col(Case.concluded_at).is_(None), 0), else_=1)
    found = list(tx.exec(query.order_by(open_first, col(Case.received_at).desc(), col(Case.id)).limit(OTHERS)))
    if not found:
        return None
    named: list[Words] = [
        (CaseLink(text=f"{one.kind.label} · {one.id}", case_id=one.id, run_id=one.run_id or ""), f":{_standing(one)}")
        for one in found
    ]
    total = tx.exec(select(func.count()).select_from(Case).where(Case.shop_id == case.shop_id)).one() - 1
    if total > len(found):
        named.append(
            (f"另有 {total - len(found)} 个较早的未列出:", Code(text=f"dianwu cases list --shop {case.shop_id}"))
        )
    return f"该店铺的其他案件({total})", Items.of(named)


def _standing(other: Case) -> str:
    day = f"{other.received_at.astimezone(SHANGHAI):%Y-%m-%d} 收到"
    return f"{day},{(other.outcome or other.state).label}" + ("" if other.concluded_at else "(未办结)")


def about(case: Case, review: Review, gate: Gate) -> dict[str, Any]:
    return {
        "case_id": case.id,
        "case_kind": case.kind.label,
        "subject": case.subject or case.id,
        "gate": gate.title,
        "role": people.roles_of(review),
        "link": link_to(case, review),
        "rule": gate.clause,
    }


def _note_whether_stranded(
    tx: Tx, case: Case, review: Review, everybody: Sequence[people.Colleague], gate: Gate
) -> None:
    def tell(told: StaffMessage, key: str) -> None:
        notify_staff(tx, Role.SUPERVISOR, told, key, case)

    people.note_whether_stranded(tx, case, review, everybody, about(case, review, gate), tell)


def notify_staff(tx: Tx, role: Role, message: StaffMessage, key: str, case: Case | None = None) -> None:
    """Tell everybody who holds a role, once per key; what can wait comes with others of its quarter of an hour."""
    bundles.tell(tx, role, message, key, case)


def decided(tx: Tx, case_id: str, gate: str, round: int, seat: int = 1) -> Review | None:
    """The review of that gate and round, once it is decided."""
    found = _find(tx, case_id, gate, round, seat)
    return decision_seals.insist(found) if found and found.state is ReviewState.DECIDED else None


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


def restored(tx: Tx, case: Case, review: Review, gate: Gate) -> bool:
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
    show_anew(tx, case, review, gate)
    outbox.retag(tx, case)


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


def let_go(tx: Tx, case: Case, review: Review, actor: str, text: str) -> None:
    """End a claim: the task is everybody's again."""
    review.state, review.claimed_by, review.claimed_at = ReviewState.PENDING, None, None
    tx.add(review)
    audit.record(tx, review.case_id, "review.released", actor=actor, text=text, review=review.id)
    outbox.retag(tx, case)


def waiting(tx: Tx, role: str | None = None, case_id: str | None = None) -> list[Review]:
    """Open reviews, the most urgent first."""
    query = select(Review).where(col(Review.state).in_(OPEN))
    if case_id:
        query = query.where(Review.case_id == case_id)
    rows = tx.exec(query.order_by(col(Review.due_at), col(Review.opened_at)))
    return [review for review in rows if role is None or role in review.roles]


def wake_asking(tx: Tx, *shop_ids: str) -> None:
    """Something that questions about these shops show has changed: whoever reads one is shown it as it is now."""
    asked = select(Review.case_id).where(col(Review.state).in_(OPEN))
    inquiries = select(BankContradiction.inquiry_id).where(col(BankContradiction.shop_id).in_(shop_ids))
    theirs = or_(col(Case.shop_id).in_(shop_ids), col(Case.id).in_(inquiries))
    query = select(Case).where(theirs, col(Case.concluded_at).is_(None), col(Case.id).in_(asked))
    for case in tx.exec(query.order_by(col(Case.id))):
        outbox.wake(tx, case)


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
