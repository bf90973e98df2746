"""Agreement: rows that decide what counts, compared with what was recorded when they were written.

Whoever only has the database can move a due time, end a case or open it again, and can take away the row that says a
one-time code was spent. The record, whose ends are sealed with a key they lack, says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

from sqlmodel import col, func, or_, select

from models.audit import AuditEntry, AuditHead
from models.cases import Case, CaseDeadline, DeadlineState
from models.desk import DeskSession
from models.passkeys import Passkey
from models.reviews import Review
from models.sessions import TerminalSession
from office.base.clock import clock
from office.base.db import Tx
from office.cases import recorded, signatures
from office.record import audit, counted, standing
from tasks.payouts import contradictions
from tasks.shops import states

ENDED_LATELY = timedelta(days=31)
"""Cases that ended longer ago are looked at by comparing their chains with an anchor only."""
CHUNK = 500
STATES = ("case.opened", "case.state", "case.concluded")
CLOCKS = ("deadline.started", "deadline.recounted")


def check(tx: Tx) -> Iterator[str]:
    """What does not agree, a sentence each."""
    yield from _states(tx)
    yield from _due_times(tx)
    yield from codes_used_twice(tx)
    yield from signatures.check(tx)
    yield from _revived(tx)
    yield from _questions(tx)
    yield from states.check(tx)
    yield from counted.check(tx)
    yield from (
        f"{row.inquiry_id}: {row.id} is closed, and nobody has decided so"
        for row in contradictions.closed_by_nobody(tx)
    )


def _questions(tx: Tx) -> Iterator[str]:
    """Questions of late cases that are in another state than the record says."""
    lately = or_(col(Case.concluded_at).is_(None), col(Case.concluded_at) > tx.now - ENDED_LATELY)
    asked = select(Review.case_id, Review.id, Review.state).join(Case, col(Case.id) == Review.case_id).where(lately)
    rows = iter(tx.exec(asked.order_by(col(Review.case_id))).all())
    while chunk := list(islice(rows, CHUNK)):
        cases = sorted({row[0] for row in chunk})
        for found in recorded.check(chunk, list(_lines(tx, cases, (*recorded.BECAME, recorded.ENDED)))):
            if _one_chain(tx, found.partition(":")[0]):
                yield found


def _revived(tx: Tx) -> Iterator[str]:
    """Keys and sessions that hold in the database, and that the record says have ended or were never given."""
    now = clock().real()
    keys = select(Passkey.staff_id, Passkey.credential_id).where(col(Passkey.ended_at).is_(None))
    desk = select(DeskSession.staff_id, DeskSession.id).where(
        col(DeskSession.ended_at).is_(None), DeskSession.until > now
    )
    terminal = select(TerminalSession.staff_id, TerminalSession.id).where(
        col(TerminalSession.closed_at).is_(None), TerminalSession.until > now
    )
    for table, query in (("passkey", keys), ("desk_session", desk), ("terminal_session", terminal)):
        for staff_id, what in tx.exec(query):
            if not standing.holds(tx, staff_id, what):
                yield f"staff/{staff_id}: {table} {what} holds in the database, and the record says it ended or was never given"


def codes_used_twice(tx: Tx, after: int = 0) -> Iterator[str]:
    """Codes of one person by which they acted at two moments: a code is valid once, so its mark was taken away."""
    step = col(AuditEntry.detail)[audit.CODE_STEP].as_integer()
    acts = select(AuditEntry.actor, AuditEntry.at, step.label("step")).where(col(AuditEntry.id) > after).subquery()
    twice = select(acts.c.actor, func.count(func.distinct(acts.c.at)), func.max(acts.c.at)).where(
        acts.c.step.is_not(None)
    )
    query = twice.group_by(acts.c.actor, acts.c.step).having(func.count(func.distinct(acts.c.at)) > 1)
    for actor, times, last in tx.exec(query.order_by(acts.c.actor, func.max(acts.c.at))):
        yield f"{actor}: one code of theirs was used {times} times, last at {last:%Y-%m-%d %H:%M}; the mark that it was spent was removed"


def _states(tx: Tx) -> Iterator[str]:
    """Cases that have ended otherwise, or not, than the record says."""
    lately = or_(col(Case.concluded_at).is_(None), col(Case.concluded_at) > tx.now - ENDED_LATELY)
    rows = iter(tx.exec(select(Case.id, Case.state, Case.outcome).where(lately).order_by(col(Case.id))).all())
    while chunk := list(islice(rows, CHUNK)):
        last = {line.stream: line for line in _lines(tx, [row[0] for row in chunk], STATES)}
        for case_id, state, outcome in chunk:
            line = last.get(case_id)
            said = line and (line.detail.get("outcome") or line.detail.get("state"))
            ended = line is not None and line.action == "case.concluded"
            if ended is (outcome is not None) and said in {None, state}:
                continue
            if _one_chain(tx, case_id):
                yield f"{case_id}: the row says {state}, the record {said or 'nothing of an end'}"


def _due_times(tx: Tx) -> Iterator[str]:
    """Open deadlines that are due at another moment than the record says."""
    running = select(CaseDeadline.case_id, CaseDeadline.key, CaseDeadline.due_at)
    rows = iter(
        tx.exec(running.where(CaseDeadline.state == DeadlineState.OPEN).order_by(col(CaseDeadline.case_id))).all()
    )
    while chunk := list(islice(rows, CHUNK)):
        lines = _lines(tx, sorted({row[0] for row in chunk}), CLOCKS)
        said = {(line.stream, line.detail["key"]): datetime.fromisoformat(line.detail["due_at"]) for line in lines}
        for case_id, key, due in chunk:
            if said.get((case_id, key)) != due and _one_chain(tx, case_id):
                yield f"{case_id}: {key} is due at {due.isoformat()}, the record says {said.get((case_id, key))}"


def _one_chain(tx: Tx, case_id: str) -> bool:
    """Whether the case has its chain: one that was broken or taken away is told by itself."""
    return tx.get(AuditHead, case_id) is not None and len(audit.streams(tx, case_id)) == 1


def _lines(tx: Tx, streams: Sequence[str], actions: Sequence[str]) -> Iterator[AuditEntry]:
    query = select(AuditEntry).where(col(AuditEntry.stream).in_(streams), col(AuditEntry.action).in_(actions))
    yield from tx.exec(query.order_by(col(AuditEntry.id)))
