"""Answers that are held until their author confirms them: which they are, their seal, their end."""

from __future__ import annotations

import json

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from models.cases import Case, DeadlineState
from models.confirmations import Confirmation, ConfirmationState
from models.reviews import Review, Staff
from office.base.db import Tx, prepared
from office.base.vault import keyed_hash
from office.cases import deadlines
from office.cases.confirmation_letters import key_of
from office.record import outbox


def open_of(tx: Tx, review_id: str) -> Confirmation | None:
    """The answer to this question that waits to be confirmed."""
    return _open(tx, review_id).first()


@prepared
def _open(review_id: str) -> SelectOfScalar[Confirmation]:
    return select(Confirmation).where(Confirmation.review_id == review_id, Confirmation.state == ConfirmationState.OPEN)


def waiting_for(tx: Tx, staff_id: str) -> list[tuple[Confirmation, str]]:
    """This person's answers that wait for their word, each with its gate, the one that has waited longest first."""
    query = (
        select(Confirmation, Review.gate)
        .join(Review, col(Review.id) == Confirmation.review_id)
        .where(Confirmation.staff_id == staff_id, Confirmation.state == ConfirmationState.OPEN)
        .order_by(col(Confirmation.held_at))
    )
    return list(tx.exec(query))


def authors(tx: Tx, review_ids: list[str]) -> dict[str, str]:
    """Review → the name of whoever answered it, for those of these whose answer waits to be confirmed."""
    query = select(Confirmation.review_id, Staff.name).join(Staff, col(Staff.id) == Confirmation.staff_id)
    open_ = col(Confirmation.review_id).in_(review_ids), Confirmation.state == ConfirmationState.OPEN
    return dict(tx.exec(query.where(*open_)).all())


def seal_of(held: Confirmation) -> str:
    parts = (
        held.id, held.review_id, held.case_id, held.revision, held.staff_id, held.verdict, held.reason, held.answer,
        held.holding.value, held.held_at.isoformat(), held.due_at.isoformat(),
    )  # fmt: skip
    return keyed_hash(f"confirmation|{json.dumps(parts, ensure_ascii=False, sort_keys=True)}")


def close(tx: Tx, case: Case, held: Confirmation, state: ConfirmationState, by: str, note: str) -> None:
    """End what is held, this way, with who ended it and what they said."""
    held.state, held.closed_at, held.closed_by, held.note = state, tx.now, by, note
    tx.add(held)
    tx.flush()
    met = state in {ConfirmationState.CONFIRMED, ConfirmationState.PASSED}
    deadlines.stop(tx, case.id, key_of(held), DeadlineState.MET if met else DeadlineState.CANCELLED)
    outbox.retag(tx, case)
