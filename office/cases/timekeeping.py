"""Timekeeping: every deadline whose time has come is acted on as its kind says.

The sweep only narrows: it finds candidates with one indexed query, then looks at each again in its own
transaction, so a timer that fires after the answer does nothing.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from sqlmodel import col, select

from models.cases import Case, CaseDeadline, DeadlineState, Side
from models.reviews import Role
from notifications.operations import DeadlineStuck
from office.base.db import Tx, in_transaction, is_contention
from office.cases import reviews
from office.cases.deadlines import acts_at, next_action
from office.cases.locks import lock_case
from office.process import office
from office.record import audit, outbox
from office.record.inbox import unrouted_before
from policies.policy import policy

logger = logging.getLogger("dianwu.deadlines")

RETRY = timedelta(minutes=5)
"""When a deadline that met a fault is tried again; those behind it are not kept waiting."""


def sweep(limit: int = 1000) -> int:
    """Act on every deadline whose time has come; returns how many were acted on.

    A fault in one deadline sends that one back to wait and leaves the others alone.
    """

    def candidates(tx: Tx) -> list[int]:
        query = (
            select(CaseDeadline.id)
            .where(col(CaseDeadline.next_action_at).is_not(None), col(CaseDeadline.next_action_at) <= tx.now)
            .order_by(col(CaseDeadline.next_action_at))
            .limit(limit)
        )
        return [row for row in tx.exec(query) if row is not None]

    ids = in_transaction(candidates)
    return sum(_try(row) for row in ids)


def _try(deadline_id: int) -> bool:
    try:
        return in_transaction(lambda tx: _act(tx, deadline_id))
    except Exception as fault:
        if is_contention(fault):
            return False  # still due: the next sweep takes it
        logger.exception("deadline %s could not be acted on and will be tried again", deadline_id)
        label = type(fault).__name__

        def postpone(tx: Tx) -> None:
            deadline = tx.get(CaseDeadline, deadline_id)
            if deadline is None:
                return
            case = lock_case(tx, deadline.case_id)
            tx.refresh(deadline)
            if deadline.next_action_at is not None and deadline.next_action_at <= tx.now:
                deadline.next_action_at = tx.now + RETRY
                tx.add(deadline)
                _tell_stuck(tx, case, deadline, label)

        in_transaction(postpone)
        return False


def _act(tx: Tx, deadline_id: int) -> bool:
    found = tx.get(CaseDeadline, deadline_id)
    if found is None:
        return False
    case = lock_case(tx, found.case_id)
    deadline = tx.get(CaseDeadline, deadline_id, populate_existing=True)
    if deadline is None or deadline.next_action_at is None or deadline.next_action_at > tx.now:
        return False
    if case.concluded_at is not None:
        deadline.next_action_at = None
        tx.add(deadline)
        return False
    kind = office().clocks[deadline.kind]
    if tx.now < acts_at(case, deadline.due_at, deadline.side):
        passed = [moment for moment in deadline.reminders if datetime.fromisoformat(moment) <= tx.now]
        deadline.reminders = [moment for moment in deadline.reminders if moment not in passed]
        ahead = [datetime.fromisoformat(moment) for moment in deadline.reminders]
        deadline.next_action_at = next_action(case, ahead, deadline.due_at, deadline.side)
        tx.add(deadline)
        if not passed or tx.now > deadline.due_at:
            return False
        kind.remind(tx, case, deadline)  # several missed while we were down are one reminder
        return True
    if deadline.side is Side.MERCHANT:
        if unrouted_before(tx, case, deadline.due_at + timedelta(seconds=1)):
            return False  # something arrived in time and is not acted on yet: the next sweep looks again
        deadline.state, deadline.closed_at, deadline.next_action_at = DeadlineState.LAPSED, tx.now, None
        tx.add(deadline)
        audit.record(
            tx,
            case.id,
            "deadline.lapsed",
            clause=deadline.clause,
            public=True,
            key=deadline.key,
            text=f"期限届满未收到答复({deadline.clause})",
        )
        kind.due(tx, case, deadline)
        outbox.wake(tx, case)
        return True
    if deadline.state is DeadlineState.OPEN:
        deadline.state, deadline.closed_at = DeadlineState.LAPSED, tx.now
        audit.record(
            tx,
            case.id,
            "deadline.late",
            clause=deadline.clause,
            key=deadline.key,
            text=f"{kind.late_text}({deadline.clause})",
        )
    deadline.escalations += 1
    deadline.next_action_at = tx.now + (
        kind.every(case) if kind.every else timedelta(hours=policy(case.policy_version).reminders.escalate_every.n)
    )
    tx.add(deadline)
    kind.due(tx, case, deadline)
    return True


def _tell_stuck(tx: Tx, case: Case, deadline: CaseDeadline, fault: str) -> None:
    """Tell the supervisor, once, that a deadline meets a fault; it is tried again all the while."""
    told = DeadlineStuck(
        case_id=case.id,
        case_kind=case.kind.label,
        subject=case.subject or case.id,
        deadline=deadline.key,
        due=deadline.due_at,
        reason=fault,
        link=reviews.link_to(case),
    )
    reviews.notify_staff(tx, Role.SUPERVISOR, told, f"stuck/{case.id}/{deadline.key}", case)
