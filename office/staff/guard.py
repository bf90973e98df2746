"""The guard: wrong one-time codes counted where they are typed, and what a lock asks for.

Whoever types a wrong code is nobody we know, so it counts against the place it came from (the form, a terminal), not
against the person named. Too many lock that place for that person for a while. A lock is no wall: two right codes one
after the other, which nobody guesses, open it at once, so that the holder loses one code and not a quarter of an hour.
A first right code is answered like a wrong one: whoever guesses learns nothing from it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import select

from models.base import Labelled
from models.messages import Channel
from models.reviews import CodeGuard, Role, Staff
from notifications.review import StaffLocked
from office.base.db import Tx
from office.record import audit, outbox
from policies.policy import policy_at


class Place(Labelled):
    """Where a code is typed: as much as can be told of who types it."""

    FORM = "form", "表单"
    TERMINAL = "terminal", "终端"
    DESK = "desk", "工作台"


def locked_until(tx: Tx, person: Staff, place: Place, moment: datetime) -> datetime | None:
    """Until when this place asks for two codes in a row, if it does."""
    found = tx.get(CodeGuard, (person.id, place.value), with_for_update=tx.postgres or None)
    return found.locked_until if found and found.locked_until and found.locked_until > moment else None


def wrong(tx: Tx, person: Staff, place: Place, moment: datetime) -> bool:
    """Count one wrong code; whether it was the one too many, of which the supervisors are told."""
    rules = policy_at(tx.now).staff
    found = _of(tx, person, place)
    locked = found.locked_until is not None and found.locked_until > moment
    found.wrong += 0 if locked else 1
    now_locked = found.wrong >= rules.max_wrong_codes
    if now_locked:
        found.wrong, found.first_step = 0, None
        found.locked_until = person.locked_until = moment + timedelta(minutes=rules.lock_minutes)
        tx.add(person)
    tx.add(found)
    tx.flush()
    text = f"有人以该工号在{place.label}输入错误口令(未证明身份)" + (",此处已锁定" if now_locked else "")
    audit.record(tx, f"staff/{person.id}", "staff.locked" if now_locked else "staff.wrong_code", actor="unproved",
                 text=text, place=place.value)  # fmt: skip
    if now_locked and found.locked_until is not None:
        told = StaffLocked(
            staff_id=person.id, staff_name=person.name, failed_codes=rules.max_wrong_codes, place=place.label,
            locked_until=found.locked_until,
        )  # fmt: skip
        key = f"staff:locked/{person.id}/{place.value}/{found.locked_until.isoformat()}"
        outbox.put(tx, key, Channel.STAFF, told.name, told.model_dump(mode="json"), audience=Role.SUPERVISOR)
    return now_locked


def right(tx: Tx, person: Staff, place: Place, step: int, step_seconds: int, moment: datetime) -> bool:
    """Whether a right code of this time step opens the place: at once, or, while it is locked, as the second in a row."""
    rules = policy_at(tx.now).staff
    found = _of(tx, person, place)
    if found.locked_until is not None and found.locked_until > moment:
        first, found.first_step = found.first_step, step
        tx.add(found)
        tx.flush()
        if first is None or not 0 < (step - first) * step_seconds <= rules.second_code_minutes * 60:
            return False
    _open(tx, found)
    return True


def unlock(tx: Tx, person: Staff, by: str) -> bool:
    """Open every place for this person and forget what was counted; ``False`` when none was locked."""
    found = list(tx.exec(select(CodeGuard).where(CodeGuard.staff_id == person.id)))
    was = any(one.locked_until is not None for one in found)
    for one in found:
        _open(tx, one)
    person.locked_until = None
    tx.add(person)
    if was:
        audit.record(tx, f"staff/{person.id}", "staff.unlocked", actor=by, text="解除口令锁定")
    return was


def _open(tx: Tx, found: CodeGuard) -> None:
    found.wrong, found.locked_until, found.first_step = 0, None, None
    tx.add(found)
    tx.flush()


def _of(tx: Tx, person: Staff, place: Place) -> CodeGuard:
    key = (person.id, place.value)
    return tx.get(CodeGuard, key) or CodeGuard(staff_id=person.id, place=place.value)
