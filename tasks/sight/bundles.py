"""批量: what somebody decided one after another by one proof, as the record tells it afterwards."""

from __future__ import annotations

from sqlmodel import col, select

from models.audit import AuditEntry
from models.base import Frozen
from models.cases import Case
from models.reviews import Review, ReviewState
from office.base.db import Tx
from office.cases import reviews


class Line(Frozen):
    """One question of a bundle, and what became of it."""

    review_id: str
    case_id: str
    subject: str
    accepted: bool
    text: str


def of(tx: Tx, staff_id: str, bundle: str) -> list[Line] | None:
    """The questions of this person's bundle in the order they were shown; ``None`` when there is no such bundle."""
    lines = select(AuditEntry).where(AuditEntry.stream == f"staff/{staff_id}", AuditEntry.action == "review.bundle")
    found = next(
        (one for one in tx.exec(lines.order_by(col(AuditEntry.id).desc())) if one.detail.get("bundle") == bundle), None
    )
    return None if found is None else [_line(tx, staff_id, found, one[0]) for one in found.detail["shown"]]


def _line(tx: Tx, staff_id: str, bundle: AuditEntry, review_id: str) -> Line:
    review = tx.get_one(Review, review_id)
    case = tx.get_one(Case, review.case_id)
    mine = review.state is ReviewState.DECIDED and review.decided_by == staff_id
    if mine and review.verdict:
        text = reviews.gate_of(review).verdict(review.verdict).label
    else:
        refused = (
            select(AuditEntry)
            .where(
                AuditEntry.stream == case.id,
                AuditEntry.action == "review.refused",
                AuditEntry.actor == f"staff/{staff_id}",
                col(AuditEntry.id) > bundle.id,
            )
            .order_by(col(AuditEntry.id))
        )
        why = next((one for one in tx.exec(refused) if one.detail.get("review") == review_id), None)
        text = why.text if why else "未作决定，请打开查看"
    return Line(review_id=review_id, case_id=case.id, subject=case.subject or case.id, accepted=mine, text=text)
