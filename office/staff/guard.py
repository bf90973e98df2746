"""The guard: wrong one-time codes counted where they are typed, and what a lock asks for.

Whoever types a wrong code is nobody we know, so it counts against the place it came from (the form, a terminal), not
against the person named. Too many lock that place for that person for a while. A lock is no wall: two right codes one
after the other, which nobody guesses, open it at once, so that the holder loses one code and not a quarter of an hour.
A first right code is answered like a wrong one: whoever guesses learns nothing from it.

Whoever has the database can take away what was counted. Each wrong code stands in its person's chain, too: so many of them
in so short a time lock a place whatever its row says.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import takewhile

from sqlmodel import col, or_, select

from models.audit import AuditEntry
from models.base import Labelled
from models.messages import Channel
from models.reviews import CodeGuard, Role, Staff
from notifications.review import StaffLocked
from office.base.db import Tx
from office.record import audit, outbox
from policies.policy import policy_at

WRONGLY, FIRST, UNLOCKED = ("staff.wrong_code", "staff.locked"), "staff.first_code", "staff.unlocked"


class Place(Labelled):
    """Where a code is typed: as much as can be told of who types it."""

    FORM = "form", "表单"
    TERMINAL = "terminal", "终端"
    DESK = "desk", "工作台"


ROUNDS = 3
"""How many times as many wrong codes as lock a place are too many in the time of a lock, whatever the place's row says."""


def locked_until(tx: Tx, person: Staff, place: Place, moment: datetime) -> datetime | None:
    """Until when this place asks for two codes in a row, if it does."""
    found = tx.get(CodeGuard, (person.id, place.value), with_for_update=tx.postgres or None)
    if found and found.locked_until and found.locked_until > moment:
        return found.locked_until
    last = _too_many(tx, person, place)
    until = last and moment + timedelta(minutes=policy_at(tx.now).staff.lock_minutes) - (tx.now - last)
    return until if until and until > moment else None


def _too_many(tx: Tx, person: Staff, place: Place) -> datetime | None:
    """Since when there are so many wrong codes in the chain that the place is locked whatever its row says."""
    wrongly = [line.at for line in _recorded(tx, person, place) if line.action != FIRST]
    return dict(enumerate(wrongly, 1)).get(ROUNDS * policy_at(tx.now).staff.max_wrong_codes)


def _recorded(tx: Tx, person: Staff, place: Place) -> list[AuditEntry]:
    """What was typed here in somebody's name lately, as it stands in their chain, since it was last unlocked; newest first."""
    rules = policy_at(tx.now).staff
    here = col(AuditEntry.detail)["place"].as_string()
    lines = select(AuditEntry).where(
        AuditEntry.stream == audit.streams(tx, f"staff/{person.id}")[-1],
        AuditEntry.at > tx.now - timedelta(minutes=rules.lock_minutes),
        col(AuditEntry.action).in_((*WRONGLY, FIRST, UNLOCKED)),
        or_(here.is_(None), here == place.value),
    )
    newest = lines.order_by(col(AuditEntry.seq).desc()).limit(2 * ROUNDS * rules.max_wrong_codes)
    return list(takewhile(lambda line: line.action != UNLOCKED, tx.exec(newest)))


def wrong(tx: Tx, person: Staff, place: Place, moment: datetime) -> bool:
    """Count one wrong code; whether it was the one too many, of which the supervisors are told."""
    rules = policy_at(tx.now).staff
    found = _of(tx, person, place)
    locked = found.locked_until is not None and found.locked_until > moment
    found.wrong += 0 if locked else 1
    now_locked = found.wrong >= rules.max_wrong_codes or (
        not locked and locked_until(tx, person, place, moment) is not None
    )
    if now_locked:
        found.wrong, found.first_step = 0, None
        found.locked_until = person.locked_until = moment + timedelta(minutes=rules.lock_minutes)
        tx.add(person)
    tx.add(found)
    tx.flush()
    text = f"有人以该工号在{place.label}输入错误口令(未证明身份)" + (",此处已锁定" if now_locked else "")
    audit.record(
        tx,
        f"staff/{person.id}",
        "staff.locked" if now_locked else "staff.wrong_code",
        actor="unproved",
        text=text,
        place=place.value,
    )
    if now_locked and found.locked_until is not None:
        told = StaffLocked(
            staff_id=person.id,
            staff_name=person.name,
            failed_codes=rules.max_wrong_codes,
            place=place.label,
            locked_until=found.locked_until,
        )
        key = f"staff:locked/{person.id}/{place.value}/{found.locked_until:%Y-%m-%dT%H:%M}"
        outbox.put(tx, key, Channel.STAFF, told.name, told.model_dump(mode="json"), audience=Role.SUPERVISOR)
    return now_locked


def right(tx: Tx, person: Staff, place: Place, step: int, step_seconds: int, moment: datetime) -> bool:
    """Whether a right code of this time step opens the place: at once, or, while it is locked, as the second in a row."""
    rules = policy_at(tx.now).staff
    found = _of(tx, person, place)
    if locked_until(tx, person, place, moment) is not None:
        known = {line.detail["step"] for line in _recorded(tx, person, place) if line.action == FIRST}
        first, found.first_step = (found.first_step if found.first_step in known else None), step
        tx.add(found)
        audit.record(
            tx,
            f"staff/{person.id}",
            FIRST,
            actor="unproved",
            text=f"{place.label}已锁定时输入的第一个正确口令",
            place=place.value,
            step=step,
        )
        if first is None or not 0 < (step - first) * step_seconds <= rules.second_code_minutes * 60:
            return False
        text = f"连续两个正确口令,解除{place.label}锁定"
        audit.record(tx, f"staff/{person.id}", UNLOCKED, text=text, place=place.value)
    _open(tx, found)
    return True


def unlock(tx: Tx, person: Staff, by: str) -> bool:
    """Open every place for this person and forget what was counted; ``False`` when none was locked."""
    found = list(tx.exec(select(CodeGuard).where(CodeGuard.staff_id == person.id)))
    was = any(one.locked_until is not None for one in found) or any(_too_many(tx, person, place) for place in Place)
    for one in found:
        _open(tx, one)
    person.locked_until = None
    tx.add(person)
    if was:
        audit.record(tx, f"staff/{person.id}", UNLOCKED, actor=by, text="解除口令锁定")
    return was


def _open(tx: Tx, found: CodeGuard) -> None:
    found.wrong, found.locked_until, found.first_step = 0, None, None
    tx.add(found)
    tx.flush()


def _of(tx: Tx, person: Staff, place: Place) -> CodeGuard:
    key = (person.id, place.value)
    return tx.get(CodeGuard, key) or CodeGuard(staff_id=person.id, place=place.value)
