"""Sessions at the desk: opened by a one-time code, listed, ended by their person, by time, or by a change of role or key."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from math import floor

from sqlmodel import col, select

from models.base import new_id
from models.desk import DeskSession
from models.reviews import Staff
from office.base.clock import clock
from office.base.db import Tx
from office.base.vault import same
from office.record import audit, standing
from office.staff import passkeys, staff
from office.staff.guard import Place
from policies.policy import policy_at

WRONG = "工号或动态口令不正确"
"""The same for somebody unknown and for a wrong code: nobody learns here who works with us."""
ENDED = "登录已过期,请重新登录"
LOG_IN = "log in"
"""What a passkey is asked for at the door of the desk."""
TOUCHED_EVERY = timedelta(minutes=1)
"""How exactly it is kept when somebody was last at the desk."""


def log_in(tx: Tx, staff_id: str, code: str, agent: str = "") -> tuple[str, str]:
    """A new session for whoever proves to be that person: its word and no sentence, or no word and why not."""
    proof = staff.prove(tx, staff_id, code, place=Place.DESK, weighty=False)
    if not proof.ok:
        return "", WRONG if proof.sentence in {staff.UNKNOWN, staff.WRONG_CODE} else proof.sentence
    return _open(tx, staff_id, agent, "动态口令"), ""


def log_in_by_key(tx: Tx, credential: str, agent: str = "") -> tuple[str, str]:
    """The same for whoever signs with a passkey that was asked for nothing but this."""
    key, _, sentence = passkeys.take(tx, LOG_IN, credential)
    if key is None:
        return "", sentence
    if sentence := standing.refusal(tx, staff.find(tx, key.staff_id)) or "":
        return "", sentence
    return _open(tx, key.staff_id, agent, "通行密钥"), ""


def _open(tx: Tx, staff_id: str, agent: str, how: str) -> str:
    rules = policy_at(tx.now).staff
    word, now = secrets.token_urlsafe(32), clock().real()
    row = DeskSession(
        id=new_id("DS", now),
        staff_id=staff_id,
        word_sha256=_hash(word),
        standing_sha256="",
        agent=agent[:80],
        opened_at=now,
        seen_at=now,
        until=now + timedelta(hours=rules.desk_hours),
    )
    row.standing_sha256 = _seal(row, staff.find(tx, staff_id))
    tx.add(row)
    audit.record(
        tx,
        f"staff/{staff_id}",
        "desk.opened",
        actor=f"staff/{staff_id}",
        text=f"以{how}登录工作台({agent or '未知浏览器'})",
        session=row.id,
    )
    return word


def live(tx: Tx, word: str) -> DeskSession | None:
    """The session this word belongs to, if it holds now."""
    found = whose(tx, word)
    return found[0] if found else None


def whose(tx: Tx, word: str) -> tuple[DeskSession, Staff] | None:
    """The same with its person."""
    row = tx.exec(select(DeskSession).where(DeskSession.word_sha256 == _hash(word))).first() if word else None
    person = _holder(tx, row) if row is not None else None
    return (row, person) if row is not None and person is not None else None


def _holder(tx: Tx, row: DeskSession) -> Staff | None:
    """Whose session it is, if it holds."""
    if row.ended_at is not None or lasts(tx, row) < 0:
        return None
    person = staff.find(tx, row.staff_id)
    fits = same(row.standing_sha256, _seal(row, person))
    return person if person.active and fits and standing.stands(tx, person, row.id) else None


def unproved(tx: Tx, word: str, staff_id: str) -> str | None:
    """Why the session does not prove this person now."""
    row = live(tx, word)
    return None if row is not None and row.staff_id == staff_id else ENDED


def lasts(tx: Tx, row: DeskSession, *, touched: bool = False) -> int:
    """How many seconds a session holds if nothing more is done in it; ``touched``: from now on. Below 0 it has ended."""
    now = clock().real()
    idle = timedelta(minutes=policy_at(tx.now).staff.desk_idle_minutes)
    return floor(min(row.until, (now if touched else row.seen_at) + idle).timestamp() - now.timestamp())


def touch(tx: Tx, session_id: str) -> None:
    """Its person is there: the time in which nothing happens begins again."""
    row = tx.get(DeskSession, session_id)
    if row is not None and row.ended_at is None:
        row.seen_at = max(row.seen_at, clock().real())
        tx.add(row)


def touched_long_ago(row: DeskSession) -> bool:
    return clock().real() - row.seen_at >= TOUCHED_EVERY


def end(tx: Tx, session_id: str, staff_id: str) -> bool:
    """End one of this person's sessions; whether there was one."""
    row = tx.get(DeskSession, session_id)
    if row is None or row.staff_id != staff_id or row.ended_at is not None:
        return False
    row.ended_at = clock().real()
    tx.add(row)
    audit.record(tx, f"staff/{staff_id}", "desk.closed", actor=f"staff/{staff_id}", text="退出工作台", session=row.id)
    return True


def of(tx: Tx, staff_id: str) -> list[DeskSession]:
    """Those of this person's that hold, the newest first."""
    query = select(DeskSession).where(DeskSession.staff_id == staff_id, col(DeskSession.ended_at).is_(None))
    return [row for row in tx.exec(query.order_by(col(DeskSession.opened_at).desc())) if _holder(tx, row)]


def _seal(row: DeskSession, person: Staff) -> str:
    return standing.bound(person, row.id, row.word_sha256, row.opened_at.isoformat(), row.until.isoformat())


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
