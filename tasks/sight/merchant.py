"""What the merchant's side reads about its case."""

from __future__ import annotations

from sqlmodel import col, select

from models.cases import Case, CaseDeadline, DeadlineState
from models.reviews import Review, Role, Staff
from models.views import CaseView, TimelineLine
from office.base.db import Tx, reading
from office.base.settings import settings
from office.cases import cases, deadlines, held_answers, reviews
from office.cases import gates as review_gates
from office.cases.locks import UnknownCase
from office.process import office
from office.record import audit
from policies.deadlines import in_time, seconds_left
from tasks.shops import questions

# ── what a case waits for ────────────────────────────────────────────────────


def read_case(tx: Tx, case_id: str) -> Case:
    case = tx.get(Case, case_id)
    if case is None:
        raise UnknownCase(case_id)
    return case


def open_reviews(tx: Tx, case_id: str) -> list[Review]:
    """Questions of the case that nobody has answered yet."""
    query = select(Review).where(Review.case_id == case_id, col(Review.state).in_(review_gates.OPEN))
    return list(tx.exec(query.order_by(col(Review.opened_at))))


def waits_for(tx: Tx, case: Case, *, inside: bool) -> str:
    """Who or what the case waits for, in Chinese; empty when it is over. ``inside`` names gates, roles and holders."""
    if case.concluded_at is not None:
        return ""
    if case.halted:
        return f"人工处理故障：{case.halted}" if inside else "平台处理"
    questions = open_reviews(tx, case.id)
    if questions and not inside:
        return "平台审核"
    awaited = [_question(tx, review) for review in questions]
    awaited += [office().waits.get(wait.kind, wait.question or wait.kind) for wait in cases.open_waits(tx, case.id)]
    return "、".join(awaited) or "系统处理"


def _question(tx: Tx, review: Review) -> str:
    holder = f"，{staff_name(tx, review.claimed_by)}已认领" if review.claimed_by else ""
    if held := held_answers.open_of(tx, review.id):
        holder = f"，{staff_name(tx, held.staff_id)}已答复，待本人确认"
    return f"{reviews.gate_of(review).title}({'、'.join(Role(role).label for role in review.roles)}{holder})"


def next_deadline(tx: Tx, case: Case) -> CaseDeadline | None:
    """The deadline that comes first, one of ours that has passed and still runs included; none when it is over."""
    if case.concluded_at is not None:
        return None
    running = select(CaseDeadline).where(
        CaseDeadline.case_id == case.id,
        (col(CaseDeadline.state) == DeadlineState.OPEN) | col(CaseDeadline.next_action_at).is_not(None),
    )
    return tx.exec(running.order_by(col(CaseDeadline.due_at)).limit(1)).first()


# ── what the merchant may do ─────────────────────────────────────────────────


def allowed_actions(tx: Tx, case: Case) -> tuple[str, ...]:
    """What the merchant's side may send about the case at this moment, reckoned from where it stands."""
    found = [
        "merchant.answered"
        for wait in cases.open_waits(tx, case.id, questions.QUESTION)
        if (due := deadlines.find(tx, case.id, wait.key)) is None or in_time(tx.now, due.due_at)
    ]
    if may_send := office().kinds[case.kind].may_send:
        found += may_send(tx, case)
    return tuple(dict.fromkeys(found))


def merchant_view(case_id: str) -> CaseView:
    """Where a case stands, fit for the merchant's eyes; raises :class:`UnknownCase`."""
    with reading() as tx:
        case = read_case(tx, case_id)
        deadline = next_deadline(tx, case)
        view = office().kinds[case.kind].view
        own = view(tx, case) if view else {}
        late = deadline is not None and not in_time(tx.now, deadline.due_at)
        return CaseView(
            id=case.id,
            kind=case.kind,
            kind_label=case.kind.label,
            shop_id=case.shop_id,
            state=case.state,
            state_label=case.state.label,
            waits_for=waits_for(tx, case, inside=False),
            due_at=deadline.due_at if deadline else None,
            seconds_left=seconds_left(tx.now, deadline.due_at) if deadline else None,
            allowed_actions=allowed_actions(tx, case),
            outcome=case.outcome,
            outcome_clause=case.outcome_clause,
            outcome_text=case.outcome_text,
            service_contact=settings().service_contact,
            timeline=tuple(
                TimelineLine(at=line.at, text=line.text, clause=line.clause)
                for line in audit.timeline(tx, case.id, public_only=True)
            ),
            **{"past_due": late, **own},
        )


def staff_name(tx: Tx, staff_id: str | None) -> str:
    """``王芳(wang-fang)``; the bare id of somebody unknown, nothing for nobody."""
    person = tx.get(Staff, staff_id) if staff_id else None
    return f"{person.name}({person.id})" if person else staff_id or ""
