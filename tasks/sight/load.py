"""主管: who has how much before them, what is late, what has stopped; counted, and each with where it is looked at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median_low as median
from typing import Any

from sqlalchemy import ColumnElement, String, cast
from sqlmodel import case as sql_case
from sqlmodel import col, func, select

from models.base import Frozen
from models.cases import Case
from models.confirmations import Confirmation, ConfirmationState
from models.desk import PutOff
from models.messages import InboxMessage, InboxState, OutboxMessage, OutboxState
from models.reviews import Review, ReviewState, Role, Staff
from office.base.db import Tx
from office.cases.gates import OPEN
from office.process import office
from tasks.sight.queue import today


class OfRole(Frozen):
    """What waits for one role."""

    role: Role
    open: int
    unclaimed: int
    late: int
    stranded: int
    first_due: datetime | None


class OfPerson(Frozen):
    """One person: what they hold and have done today, and why they may be hindered."""

    id: str
    name: str
    roles: str
    claimed: int
    late: int
    decided: int
    put_off: int
    """Questions that are out of their list now."""
    put_off_times: int
    """How often they have put open questions off."""
    held: int
    """Answers of theirs that wait for their own word."""
    locked: bool
    state: str


class Stopped(Frozen):
    case_id: str
    subject: str
    why: str


class Undone(Frozen):
    """A message that could not be delivered, or acted on."""

    key: str
    what: str
    whom: str
    case_id: str
    at: datetime
    why: str


class OfGate(Frozen):
    """How long questions of one kind waited for their answer, among those decided in the last days."""

    title: str
    decided: int
    median: timedelta
    """From being asked to being decided, nights and holidays included."""
    longest: timedelta


class Load(Frozen):
    roles: tuple[OfRole, ...]
    people: tuple[OfPerson, ...]
    gates: tuple[OfGate, ...]
    stopped: tuple[Stopped, ...]
    more_stopped: int
    undelivered: int
    unheard: int
    letters: tuple[Undone, ...]
    """The first of those that could not be delivered, and (``events``) of those that could not be acted on."""
    events: tuple[Undone, ...]


STOPPED = 20
"""Stopped cases and faults listed; how many more there are is said."""


LATELY = timedelta(days=7)
MOST_TIMED = 5_000
"""Decisions that are timed, the newest first."""


def load(tx: Tx) -> Load:
    """The office as whoever supervises looks at it."""
    halted = select(Case).where(col(Case.halted).is_not(None), col(Case.concluded_at).is_(None))
    every = tx.exec(select(func.count()).select_from(halted.subquery())).one()
    stopped = tuple(
        Stopped(case_id=one.id, subject=one.subject or one.id, why=one.halted or "")
        for one in tx.exec(halted.order_by(col(Case.received_at)).limit(STOPPED))
    )
    return Load(
        roles=_roles(tx),
        people=_people(tx),
        gates=_gates(tx),
        stopped=stopped,
        more_stopped=every - len(stopped),
        undelivered=tx.exec(select(func.count()).where(OutboxMessage.state == OutboxState.DEAD)).one(),
        unheard=tx.exec(select(func.count()).where(InboxMessage.state == InboxState.FAILED)).one(),
        letters=_letters(tx),
        events=_events(tx),
    )


def _letters(tx: Tx) -> tuple[Undone, ...]:
    query = select(OutboxMessage).where(OutboxMessage.state == OutboxState.DEAD).order_by(col(OutboxMessage.id))
    return tuple(
        Undone(
            key=row.key,
            what=row.topic,
            whom=f"{row.channel.label} {row.audience}".strip(),
            case_id=row.case_id or "",
            at=row.created_at,
            why=row.note,
        )
        for row in tx.exec(query.limit(STOPPED))
    )


def _events(tx: Tx) -> tuple[Undone, ...]:
    query = select(InboxMessage).where(InboxMessage.state == InboxState.FAILED).order_by(col(InboxMessage.id))
    return tuple(
        Undone(
            key=str(row.id), what=row.type, whom=row.source, case_id=row.case_id or "", at=row.received_at, why=row.note
        )
        for row in tx.exec(query.limit(STOPPED))
    )


def _times(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(sql_case((condition, 1), else_=0)), 0)


def _roles(tx: Tx) -> tuple[OfRole, ...]:
    """Every role, out of one count of what is open to which roles together."""
    asked = cast(col(Review.roles), String)
    counts: tuple[Any, ...] = (
        func.count(),
        _times(col(Review.claimed_by).is_(None)),
        _times(col(Review.due_at) < tx.now),
        _times(col(Review.stranded_at).is_not(None)),
        func.min(Review.due_at),
    )
    counted = select(asked, *counts)
    found = [
        (json.loads(row[0]), row[1:]) for row in tx.exec(counted.where(col(Review.state).in_(OPEN)).group_by(asked))
    ]
    return tuple(_of_role(role, [counted for roles, counted in found if role in roles]) for role in Role)


def _of_role(role: Role, found: Sequence[Any]) -> OfRole:
    total, unclaimed, late, stranded = (sum(int(counts[n]) for counts in found) for n in range(4))
    first = min((counts[4] for counts in found if counts[4] is not None), default=None)
    return OfRole(role=role, open=total, unclaimed=unclaimed, late=late, stranded=stranded, first_due=first)


def _gates(tx: Tx) -> tuple[OfGate, ...]:
    """By how much is decided, most first."""
    query = (
        select(Review.gate, Review.opened_at, Review.decided_at)
        .where(Review.state == ReviewState.DECIDED, col(Review.decided_at) >= tx.now - LATELY)
        .order_by(col(Review.decided_at).desc())
        .limit(MOST_TIMED)
    )
    took: dict[str, list[timedelta]] = {}
    for gate, opened_at, decided_at in tx.exec(query):
        if decided_at is not None:
            took.setdefault(gate, []).append(decided_at - opened_at)
    timed = (
        OfGate(title=office().gates[gate].title, decided=len(all_), median=median(all_), longest=max(all_))
        for gate, all_ in took.items()
    )
    return tuple(sorted(timed, key=lambda one: (-one.decided, one.title)))


def _people(tx: Tx) -> tuple[OfPerson, ...]:
    claimed = _by(tx, col(Review.claimed_by), col(Review.state).in_(OPEN))
    late = _by(tx, col(Review.claimed_by), col(Review.state).in_(OPEN), col(Review.due_at) < tx.now)
    decided = _by(tx, col(Review.decided_by), Review.state == ReviewState.DECIDED, col(Review.decided_at) >= today(tx))
    open_ = select(Review.id).where(col(Review.state).in_(OPEN))
    off = select(PutOff.staff_id, func.count()).where(col(PutOff.until) > tx.now, col(PutOff.review_id).in_(open_))
    times = select(PutOff.staff_id, func.sum(PutOff.times)).where(col(PutOff.review_id).in_(open_))
    held = select(Confirmation.staff_id, func.count()).where(Confirmation.state == ConfirmationState.OPEN)
    put_off = dict(tx.exec(off.group_by(col(PutOff.staff_id))).all())
    how_often = dict(tx.exec(times.group_by(col(PutOff.staff_id))).all())
    waits = dict(tx.exec(held.group_by(col(Confirmation.staff_id))).all())
    return tuple(
        OfPerson(
            id=one.id,
            name=one.name,
            roles="、".join(Role(role).label for role in one.roles),
            claimed=claimed.get(one.id, 0),
            late=late.get(one.id, 0),
            decided=decided.get(one.id, 0),
            put_off=put_off.get(one.id, 0),
            put_off_times=int(how_often.get(one.id) or 0),
            held=waits.get(one.id, 0),
            locked=_locked(tx, one),
            state=_state(tx, one),
        )
        for one in tx.exec(select(Staff).where(col(Staff.active).is_(True)).order_by(col(Staff.id)))
    )


def _by(tx: Tx, person: Any, *conditions: ColumnElement[bool] | bool) -> dict[str, int]:
    query: Sequence[tuple[str | None, int]] = tx.exec(
        select(person, func.count()).select_from(Review).where(person.is_not(None), *conditions).group_by(person)
    ).all()
    return {str(who): count for who, count in query}


def _locked(tx: Tx, one: Staff) -> bool:
    return one.locked_until is not None and one.locked_until > tx.now


def _state(tx: Tx, one: Staff) -> str:
    if _locked(tx, one):
        return "口令已锁定"
    if one.away_until is not None and one.away_until > tx.now:
        return f"外出，由 {one.substitute_id} 代班" if one.substitute_id else "外出"
    return ""
