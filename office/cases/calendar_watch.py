"""Watching the calendar: every minute, whether its file counts, and what a corrected year would move."""

from __future__ import annotations

import hashlib

from models.reviews import Role
from notifications.operations import CalendarCorrected, CalendarFileFaulty
from office.base import calendar
from office.base.db import Tx, in_transaction
from office.cases import deadlines, reviews

NAMED = 10
"""Cases that the message names; of more it says how many they are."""


def watch() -> int:
    """Tell the supervisor what is wrong with the file or would be moved by it, once a day each; how much that was."""
    return in_transaction(_tell)


def _tell(tx: Tx) -> int:
    fault = calendar.standing().fault
    if fault:
        told = CalendarFileFaulty(fault=fault, seen_at=tx.now)
        reviews.notify_staff(tx, Role.SUPERVISOR, told, _key(tx, fault))
    moved = deadlines.corrected(tx)
    if moved:
        cases = sorted({found.case_id for found in moved})
        named = "、".join(cases[:NAMED]) + (f" 等 {len(cases)} 件" if len(cases) > NAMED else "")
        corrected = CalendarCorrected(
            count=len(moved),
            cases=named,
            seen_at=tx.now,
        )
        reviews.notify_staff(
            tx, Role.SUPERVISOR, corrected, _key(tx, *(f"{m.case_id}/{m.key}/{m.after}" for m in moved))
        )
    return bool(fault) + len(moved)


def _key(tx: Tx, *what: str) -> str:
    return f"calendar/{hashlib.sha256('|'.join(what).encode()).hexdigest()[:16]}/{tx.now:%Y-%m-%d}"
