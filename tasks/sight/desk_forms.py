"""The desk's forms: each may be sent once and from its own session only, and what is typed is kept until it is sent.

A form carries a token made for one session, one question, one revision and one text. Whoever holds another session, or
has seen something else, cannot send it; sent a second time it brings back what became of the first.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlmodel import col, delete

from models.base import Frozen
from models.desk import DeskAnswer, DeskDraft
from models.reviews import Review
from office.base.clock import clock
from office.base.db import Tx
from office.base.vault import keyed_hash, opened_json, place_in, seal_json
from office.cases import decisions, looks, reviews
from office.cases.gates import OPEN, Answer, Outcome
from office.staff import passkeys

KEPT = timedelta(days=30)
"""How long a draft and the answer to a form are kept."""
NOT_OURS = "表单已失效，请核对后重新提交"


def token(session_id: str, purpose: str) -> str:
    """A fresh token for one form of this session."""
    nonce = secrets.token_urlsafe(16)
    return f"{nonce}.{_mark(session_id, purpose, nonce)}"


def fits(given: str, session_id: str, purpose: str) -> bool:
    """Whether a token was made for this session and purpose."""
    nonce, _, mark = given.partition(".")
    return hmac.compare_digest(mark.encode(), _mark(session_id, purpose, nonce).encode())


def _mark(session_id: str, purpose: str, nonce: str) -> str:
    return keyed_hash(f"desk form|{session_id}|{purpose}|{nonce}")[:43]


def about(review: Review) -> str:
    """What the token of a question's form is bound to besides its session."""
    return f"decide {review.id}#{review.revision} {review.dossier_sha256}"


class Sent(Frozen):
    """What became of a form: ``again`` when this is the answer its first sending got."""

    outcome: Outcome
    again: bool = False


def decide(tx: Tx, given: str, session_id: str, answer: Answer) -> Sent:
    """Take the answer in a form that was sent, once: everything about it is the judge's, who is ``office.cases.decisions.decide``."""
    reviews.locked(tx, answer.review_id)  # whoever presses twice at once waits here for the first
    key = hashlib.sha256(given.encode()).hexdigest()
    before = tx.get(DeskAnswer, key)
    if before is not None:
        return Sent(outcome=Outcome(accepted=before.accepted, sentence=before.sentence), again=True)
    outcome = decisions.decide(tx, answer)
    tx.add(
        DeskAnswer(
            key=key,
            session_id=session_id,
            review_id=answer.review_id,
            accepted=outcome.accepted,
            sentence=outcome.sentence,
            at=clock().real(),
        )
    )
    if outcome.accepted:
        forget_draft(tx, answer.staff_id, answer.review_id)
    return Sent(outcome=outcome)


# ── drafts ───────────────────────────────────────────────────────────────────


class Draft(Frozen):
    """What was typed about a question: the parts of its form, never a code."""

    version: int
    saved_at: datetime
    fields: dict[str, Any]


def draft(tx: Tx, staff_id: str, review_id: str) -> Draft | None:
    row = tx.get(DeskDraft, (staff_id, review_id))
    if row is None:
        return None
    return Draft(version=row.version, saved_at=row.saved_at, fields=opened_json(row, "body_sealed"))


def save_draft(tx: Tx, staff_id: str, review_id: str, after: int, fields: dict[str, Any]) -> Draft | None:
    """Keep what was typed after version ``after``; ``None`` when something newer is there, or nothing is asked any more."""
    review = tx.get(Review, review_id)
    if review is None or review.state not in OPEN:
        return None
    row = DeskDraft(staff_id=staff_id, review_id=review_id, version=after + 1, body_sealed="", saved_at=tx.now)
    row.body_sealed = seal_json(fields, place_in(row, "body_sealed"))
    saved = Draft(version=row.version, saved_at=row.saved_at, fields=fields)
    if after == 0 and tx.get(DeskDraft, (staff_id, review_id)) is None:
        tx.add(row)
        tx.flush()
        return saved
    won = tx.execute(
        update(DeskDraft)
        .where(
            col(DeskDraft.staff_id) == staff_id, col(DeskDraft.review_id) == review_id, col(DeskDraft.version) == after
        )
        .values(version=row.version, saved_at=row.saved_at, body_sealed=row.body_sealed)
        .execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    return saved if won == 1 else None


def forget_draft(tx: Tx, staff_id: str, review_id: str) -> None:
    row = tx.get(DeskDraft, (staff_id, review_id))
    if row is not None:
        tx.delete(row)


def forget_old(tx: Tx) -> None:
    """Drop drafts and answers of forms that nobody comes back to."""
    tx.exec(delete(DeskDraft).where(col(DeskDraft.saved_at) < tx.now - KEPT))
    passkeys.forget_old(tx)
    looks.forget_old(tx)
    tx.exec(delete(DeskAnswer).where(col(DeskAnswer.at) < clock().real() - KEPT))
