"""Deadlines of cases: opened with the proof of how they were reckoned, swept when something is due.

What happens when their time comes is in ``office.cases.timekeeping``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from models.base import Frozen
from models.cases import Case, CaseDeadline, DeadlineState, Side
from models.reviews import Review
from models.windows import Reckoned, WorkingDays
from office.base.calendar import work_calendar
from office.base.db import Tx, prepared
from office.cases.locks import lock_case
from office.record import audit, outbox
from policies.deadlines import lapses, reckon
from policies.policy import policy

Act = Callable[[Tx, Case, CaseDeadline], None]


@dataclass(frozen=True)
class Kind:
    """What a kind of deadline does when it reminds, and when it is due."""

    title: str
    """What is due, as people read it."""
    remind: Act
    due: Act
    every: Callable[[Case], timedelta] | None = None
    """For our own: how long until it is acted on again while it is late. Without it, as the policy escalates."""
    late_text: str = "平台处理已超时,已升级至主管"


def start(
    tx: Tx, case: Case, key: str, kind: str, side: Side, reckoned: Reckoned, reminders: Sequence[datetime] = ()
) -> CaseDeadline:
    """Start a deadline of the case; the same key is the same deadline. Reminders in the past are left away."""
    before = find(tx, case.id, key)
    if before is not None:
        return before
    ahead = sorted(moment.astimezone(UTC) for moment in reminders if tx.now < moment < reckoned.due)
    deadline = CaseDeadline(
        case_id=case.id,
        key=key,
        kind=kind,
        side=side,
        clause=reckoned.clause,
        started_at=reckoned.start,
        due_at=reckoned.due,
        reckoned=reckoned.model_dump(mode="json"),
        provisional=reckoned.provisional,
        reminders=[moment.isoformat() for moment in ahead],
        next_action_at=next_action(case, ahead, reckoned.due, side),
    )
    tx.add(deadline)
    tx.flush()
    audit.record(
        tx,
        case.id,
        "deadline.started",
        clause=reckoned.clause,
        text=reckoned.text(),
        public=True,
        key=key,
        due_at=reckoned.due.isoformat(),
        side=side,
    )
    return deadline


def acts_at(case: Case, due: datetime, side: Side) -> datetime:
    """When something is done about a deadline. What reached the door in a merchant's last second, and is still being
    read or waits for the database, must be in the inbox before anybody speaks of silence."""
    if side is not Side.MERCHANT:
        return due
    return lapses(due, policy(case.policy_version).deadlines)


def next_action(case: Case, reminders: Sequence[datetime], due: datetime, side: Side) -> datetime:
    return min([*reminders, acts_at(case, due, side)])


def find(tx: Tx, case_id: str, key: str) -> CaseDeadline | None:
    return _deadline(tx, case_id, key).first()


@prepared
def _deadline(case_id: str, key: str) -> SelectOfScalar[CaseDeadline]:
    return select(CaseDeadline).where(CaseDeadline.case_id == case_id, CaseDeadline.key == key)


def stop(tx: Tx, case_id: str, key: str, state: DeadlineState = DeadlineState.MET) -> None:
    """Stop the clock. A deadline that has lapsed stays lapsed, and is not escalated again."""
    deadline = find(tx, case_id, key)
    if deadline is None:
        return
    if deadline.state is DeadlineState.OPEN:
        deadline.state, deadline.closed_at = state, tx.now
    deadline.next_action_at = None
    tx.add(deadline)
    outbox.drop_reminders(tx, case_id, key, "已无需提醒")  # one may be waiting for the morning


def resume(tx: Tx, case: Case, key: str) -> None:
    """Let a deadline run on whose being met was undone; its due time stays. One that still runs, or is late, stays so."""
    deadline = find(tx, case.id, key)
    if deadline is None or deadline.state not in {DeadlineState.MET, DeadlineState.CANCELLED}:
        return
    ahead = [moment for text in deadline.reminders if (moment := datetime.fromisoformat(text)) > tx.now]
    deadline.state, deadline.closed_at = DeadlineState.OPEN, None
    deadline.next_action_at = next_action(case, ahead, deadline.due_at, deadline.side)
    tx.add(deadline)


def put_back(tx: Tx, deadline: CaseDeadline, due: datetime) -> None:
    """Let a deadline run to its own due time again that somebody had moved."""
    deadline.state, deadline.closed_at, deadline.due_at, deadline.next_action_at = DeadlineState.OPEN, None, due, due
    deadline.escalations = 0
    tx.add(deadline)


def next_due(tx: Tx, case_id: str, side: Side | None = None) -> CaseDeadline | None:
    """The open deadline of a case that comes first."""
    query = select(CaseDeadline).where(CaseDeadline.case_id == case_id, CaseDeadline.state == DeadlineState.OPEN)
    if side:
        query = query.where(CaseDeadline.side == side)
    return tx.exec(query.order_by(col(CaseDeadline.due_at)).limit(1)).first()


# ── when a year is published ─────────────────────────────────────────────────


class Recounted(Frozen):
    """An open deadline that the calendar moved or settled. Still ``provisional`` when a year is still missing."""

    case_id: str
    key: str
    before: datetime
    after: datetime
    provisional: bool


def recount(tx: Tx) -> list[Recounted]:
    """Reckon every open provisional deadline again with the calendar as it is now; returns those that changed.

    Start, window and clause stay as they were; a question that is open goes by the new time too.
    """
    query = select(CaseDeadline.id, CaseDeadline.case_id).where(
        CaseDeadline.state == DeadlineState.OPEN, col(CaseDeadline.provisional).is_(True)
    )
    found = list(tx.exec(query.order_by(col(CaseDeadline.case_id), col(CaseDeadline.id))))
    return [moved for row, case_id in found if row is not None and (moved := _recount(tx, row, lock_case(tx, case_id)))]


def corrected(tx: Tx) -> list[Recounted]:
    """Open deadlines that were settled, and that the calendar as it is now would move: a published year was corrected.

    A merchant's window that would become shorter is not among them: what they were told stands.
    """
    query = select(CaseDeadline).where(
        CaseDeadline.state == DeadlineState.OPEN, col(CaseDeadline.provisional).is_(False)
    )
    rows = tx.exec(query.order_by(col(CaseDeadline.case_id), col(CaseDeadline.id)))
    return [moved for row in rows if (moved := _correction(row)) is not None]


def _correction(deadline: CaseDeadline) -> Recounted | None:
    old = Reckoned.model_validate(deadline.reckoned)
    if not isinstance(old.window, WorkingDays):
        return None
    new = reckon(old.start, old.window, old.clause, work_calendar())
    if new.due == old.due or (deadline.side is Side.MERCHANT and new.due < old.due):
        return None
    return Recounted(
        case_id=deadline.case_id, key=deadline.key, before=old.due, after=new.due, provisional=new.provisional
    )


def correct(tx: Tx) -> list[Recounted]:
    """Move what :func:`corrected` names; returns what was moved."""
    moved = []
    for found in corrected(tx):
        case = lock_case(tx, found.case_id)
        row = find(tx, found.case_id, found.key)
        if row is None:
            continue
        tx.refresh(row)
        if row.state is DeadlineState.OPEN and (still := _correction(row)):
            old = Reckoned.model_validate(row.reckoned)
            _move(tx, row, case, old, reckon(old.start, old.window, old.clause, work_calendar()), "更正后")
            moved.append(still)
    return moved


def _recount(tx: Tx, deadline_id: int, case: Case) -> Recounted | None:
    deadline = tx.get(CaseDeadline, deadline_id, populate_existing=True)
    if deadline is None or deadline.state is not DeadlineState.OPEN or not deadline.provisional:
        return None
    old = Reckoned.model_validate(deadline.reckoned)
    new = reckon(old.start, old.window, old.clause, work_calendar())
    if new == old:
        return None
    _move(tx, deadline, case, old, new, "最新公布")
    return Recounted(case_id=case.id, key=deadline.key, before=old.due, after=new.due, provisional=new.provisional)


def _move(tx: Tx, deadline: CaseDeadline, case: Case, old: Reckoned, new: Reckoned, calendar: str) -> None:
    ahead = [moment for moment in _moved_reminders(case, deadline, new.due) if tx.now < moment < new.due]
    deadline.reckoned, deadline.due_at, deadline.provisional = new.model_dump(mode="json"), new.due, new.provisional
    deadline.reminders = [moment.isoformat() for moment in ahead]
    deadline.next_action_at = next_action(case, ahead, new.due, deadline.side)
    tx.add(deadline)
    review = tx.get(Review, deadline.key.removeprefix("review/"))
    if review is not None:
        review.due_at = new.due
        tx.add(review)
    audit.record(
        tx,
        case.id,
        "deadline.recounted",
        clause=new.clause,
        public=True,
        key=deadline.key,
        text=f"按{calendar}的放假安排重新计算:{new.text()}",
        before=old.due.isoformat(),
        due_at=new.due.isoformat(),
    )


def _moved_reminders(case: Case, deadline: CaseDeadline, due: datetime) -> list[datetime]:
    """Reminders that stand so many hours before the due time move with it; one reckoned by itself stays."""
    rules = policy(case.policy_version).reminders
    before_due = {timedelta(hours=n) for n in (*rules.merchant_hours_before, *rules.ours_hours_before)}
    moments = (datetime.fromisoformat(moment) for moment in deadline.reminders)
    return sorted(
        due - (deadline.due_at - moment) if deadline.due_at - moment in before_due else moment for moment in moments
    )
