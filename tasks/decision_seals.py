"""Seals on decisions: what a person decided counts as long as the row says what it said when they did.

The seal is made with a key that the database does not hold, in the update that decides. Whoever writes a decision into the
table, or changes one, cannot make it; then the question is open again, and the supervisor hears of it.
"""

from __future__ import annotations

import hmac
import json
from typing import Any

from models.cases import Case
from models.reviews import Review, ReviewState
from tasks import alerts, audit
from tasks.db import Tx
from tasks.vault import keyed_hash

NOTICE = "此前记录的决定没有可信的来源,已作废并通知主管;请核对材料后重新决定"


class DecisionForged(RuntimeError):
    """A decision that is relied on is not the one that was made; the case goes no further."""


def seal(
    review_id: str, by: str | None, verdict: str | None, reason: str, answer: dict[str, Any], revision: int
) -> str:
    """Over everything that follows from a decision."""
    return keyed_hash(
        json.dumps([review_id, by, verdict, reason, answer, revision], ensure_ascii=False, sort_keys=True)
    )


def put(tx: Tx, review: Review) -> None:
    """Seal what was decided just now, as the database gives it back."""
    review.decision_seal = _seal_of(review)
    tx.add(review)


def holds(review: Review) -> bool:
    """Whether the decision in this row was made by the judge of answers, and is as it was made."""
    return review.decision_seal is not None and hmac.compare_digest(review.decision_seal, _seal_of(review))


def _seal_of(review: Review) -> str:
    return seal(review.id, review.decided_by, review.verdict, review.reason, review.answer, review.revision)


def insist(review: Review) -> Review:
    if not holds(review):
        raise DecisionForged(f"{review.id}: the decision is not the one that was recorded")
    return review


def reopen(tx: Tx, case: Case, review: Review) -> None:
    """Nobody has decided this: ask again, and tell."""
    said = f"{review.decided_by}:{review.verdict}"
    review.state, review.decided_by, review.verdict, review.decided_at = ReviewState.PENDING, None, None, None
    review.reason, review.answer, review.decision_seal, review.notice = "", {}, None, NOTICE
    review.claimed_by = review.claimed_at = None
    tx.add(review)
    tx.flush()
    audit.record(tx, case.id, "review.forged", text=f"库中的决定({said})没有封印,不予采信,重新提问", review=review.id)
    alerts.tell(
        tx, f"decision/{review.id}/{tx.now.isoformat()}", where=f"案件 {case.id} 的决定",
        finding=f"审核任务 {review.id} 在数据库中被写成已决定({said}),但没有本系统的封印:有人绕过系统改动了数据库。",
        consequence="该决定不予采信,任务已重新打开等待处理;请立即排查谁改动了数据库。",
    )  # fmt: skip
