"""Sessions at the terminal: opened by a code, for routine questions only, for the minutes that policy allows (none by
default), closed by their person, by a change of their roles or key, or by time."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from sqlmodel import col, select

from models.base import new_id
from models.reviews import Staff
from models.sessions import TerminalSession
from office.base.clock import clock
from office.base.db import Tx
from office.base.vault import same
from office.cases import judge
from office.record import audit, standing
from office.staff import staff
from policies.policy import policy_at


def open_session(tx: Tx, staff_id: str, code: str) -> tuple[str, str]:
    """A new session for whoever proves to be that person: its word and no sentence, or no word and why not."""
    if none := none_allowed(tx):
        return "", none
    minutes = policy_at(tx.now).staff.session_minutes
    if sentence := judge.unproved(tx, staff_id, code, weighty=False):
        return "", sentence
    close(tx, staff_id, f"staff/{staff_id}")
    word, now = secrets.token_urlsafe(32), clock().real()
    row = TerminalSession(
        id=new_id("TS", now),
        staff_id=staff_id,
        word_sha256=hashlib.sha256(word.encode()).hexdigest(),
        standing_sha256="",
        opened_at=now,
        until=now + timedelta(minutes=minutes),
    )
    row.standing_sha256 = _seal(row, staff.find(tx, staff_id))
    tx.add(row)
    audit.record(
        tx,
        f"staff/{staff_id}",
        "session.opened",
        actor=f"staff/{staff_id}",
        text=f"打开终端会话({minutes} 分钟,仅限日常任务)",
        session=row.id,
    )
    return word, ""


def none_allowed(tx: Tx) -> str:
    """Why nobody opens one now; empty where policy gives them minutes."""
    return "" if policy_at(tx.now).staff.session_minutes else "现行规则不允许终端会话,请逐次使用动态口令"


def unproved(tx: Tx, word: str, staff_id: str) -> str | None:
    """Why the session does not prove this person now."""
    hashed = hashlib.sha256(word.encode()).hexdigest()
    row = tx.exec(select(TerminalSession).where(TerminalSession.word_sha256 == hashed)).first()
    if row is None or row.staff_id != staff_id or row.closed_at is not None or clock().real() > row.until:
        return "终端会话不存在或已结束,请用动态口令重新打开"
    person = staff.find(tx, staff_id)
    if not person.active:
        return "该工号已停用"
    if not same(row.standing_sha256, _seal(row, person)):
        return "岗位或验证器已变更,终端会话已结束,请用动态口令重新打开"
    if not standing.holds(tx, person.id, row.id):
        standing.tell_revived(tx, person.id, row.id, "终端会话")
        return "终端会话不存在或已结束,请用动态口令重新打开"
    return standing.refusal(tx, person)


def close(tx: Tx, staff_id: str, by: str = "unproved") -> int:
    """End every session of that person; how many there were. It takes no proof, and says so."""
    query = select(TerminalSession).where(
        TerminalSession.staff_id == staff_id, col(TerminalSession.closed_at).is_(None)
    )
    found = list(tx.exec(query))
    for row in found:
        row.closed_at = clock().real()
        tx.add(row)
        audit.record(tx, f"staff/{staff_id}", "session.closed", actor=by, text="终端会话已结束", session=row.id)
    return len(found)


def _seal(row: TerminalSession, person: Staff) -> str:
    return standing.bound(person, row.id, row.word_sha256, row.opened_at.isoformat(), row.until.isoformat())
