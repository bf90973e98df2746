"""When nobody answers a question: who is reminded, and who hears that it is late."""

from __future__ import annotations

from models.cases import Case, CaseDeadline
from models.reviews import Role
from notifications.message import hours_between
from notifications.review import ReviewOverdue, ReviewReminder
from office.base.db import Tx
from office.cases import deadlines
from office.cases.gates import DEADLINE
from office.cases.reviews import about, gate_of, get, notify_staff
from office.process import Process
from office.record import outbox

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
        **about(case, review, gate_of(review)),
        due=deadline.due_at,
        claimed_by=review.claimed_by or "",
        hours_late=hours_between(deadline.due_at, tx.now),
    )
    notify_staff(tx, Role.SUPERVISOR, message, f"{review.id}/overdue/{deadline.escalations}", case)
    if deadline.escalations == 1:
        outbox.retag(tx, case)


PROCESS = Process(name="review", clocks={DEADLINE: deadlines.Kind(title="审核", remind=_remind, due=_late)})
