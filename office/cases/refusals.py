"""Refusals: that an answer was not taken, and why, on the record of its case; not without end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlmodel import col, func, select

from models.audit import AuditEntry
from models.cases import Case
from models.reviews import Review
from office.base.db import Tx
from office.cases.gates import Answer
from office.record import audit

MOST = 50
"""Lines an hour that say of one case what was not taken from one person: whoever sends more fills nobody's record."""
REFUSED = "review.refused"


def note(tx: Tx, case: Case, review: Review, answer: Answer, sentence: str, *, proved: bool) -> None:
    """Note it in the name of whoever gave it, if they have proved who they are; anybody can write an id into a form."""
    who = f"staff/{answer.staff_id}" if proved else "unproved"
    claim: dict[str, Any] = {} if proved else {"claimed_id": answer.staff_id[:32]}
    if (lately := _lately(tx, case, who)) >= MOST:
        return
    more = ";一小时内的更多次不再逐次记录" if lately == MOST - 1 else ""
    text = f"未受理的答复:{sentence}{more}"
    audit.record(tx, case.id, REFUSED, actor=who, review=review.id, text=text, **claim)


def _lately(tx: Tx, case: Case, who: str) -> int:
    streams = audit.streams(tx, case.id)
    query = select(func.count()).where(col(AuditEntry.stream).in_(streams), AuditEntry.action == REFUSED)
    return tx.exec(query.where(AuditEntry.actor == who, AuditEntry.at > tx.now - timedelta(hours=1))).one()
