"""Decisions that come from anywhere but the form."""

from __future__ import annotations

from models.cases import Case
from models.reviews import Review
from office.base.db import Tx
from office.cases import confirmations, reviews
from office.cases.gates import Answer, Outcome
from office.record import outbox


def decide(tx: Tx, answer: Answer) -> Outcome:
    """Take an answer that came from anywhere but the form, and wake the case (the form's own resume does that)."""
    review = tx.get(Review, answer.review_id)
    if review is None:
        return Outcome(accepted=False, sentence=f"没有编号为 {answer.review_id} 的审核任务")
    outcome = confirmations.take_terminal_answer(tx, reviews.gate_of(review), answer)
    case = tx.get(Case, review.case_id)
    if case is not None and outcome.accepted:
        outbox.wake(tx, case)
    return outcome
