"""Later: somebody puts a question off until a time. It comes back by itself, and is never out of sight when it is due."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement
from sqlmodel import and_, col, or_, select

from models.desk import PutOff
from models.reviews import Review
from office.base.db import Tx
from office.cases.gates import OPEN, Outcome
from office.cases.hands import nobody
from office.cases.reviews import locked
from office.record import audit
from office.staff import staff
from policies.policy import SHANGHAI

BEFORE = timedelta(hours=2)
"""So long before it is due a question is back in any case."""
LONGEST = timedelta(days=7)
MOST_TIMES = 20
"""Times that one person puts one question off; each stands in the case's record."""


def put_off(tx: Tx, review_id: str, staff_id: str, until: datetime, code: str = "", session: str = "") -> Outcome:
    """Leave a question out of one's own list until then; colleagues see it as before, and its time runs on."""
    (_, review), person = locked(tx, review_id), staff.find(tx, staff_id)
    if sentence := nobody(tx, staff_id, code, session):
        return Outcome(accepted=False, sentence=sentence)
    if review.state not in OPEN:
        return Outcome(accepted=False, sentence="该任务已处理或已失效")
    if until <= tx.now:
        return Outcome(accepted=False, sentence="请选择一个将来的时间")
    if until > tx.now + LONGEST:
        return Outcome(accepted=False, sentence=f"最多推后 {LONGEST.days} 天")
    back = until if review.due_at is None else min(until, review.due_at - BEFORE)
    if back <= tx.now:
        return Outcome(accepted=False, sentence=f"距到期不足 {BEFORE.seconds // 3600} 小时或已超时,不能推后")
    row = tx.get(PutOff, (review_id, staff_id))
    if row is not None and row.times >= MOST_TIMES:
        return Outcome(accepted=False, sentence=f"该任务您已推后 {MOST_TIMES} 次,不能再推后")
    if row is None:
        row = PutOff(review_id=review_id, staff_id=staff_id, revision=review.revision, until=back)
    else:
        row.revision, row.until, row.times = review.revision, back, row.times + 1
    tx.add(row)
    said = f"{back.astimezone(SHANGHAI):%m-%d %H:%M}"
    audit.record(
        tx,
        review.case_id,
        "review.put_off",
        actor=f"staff/{staff_id}",
        text=f"{person.name} 稍后再看,至 {said}",
        review=review_id,
        until=back.isoformat(),
        times=row.times,
    )
    sooner = "(到期前 2 小时)" if back != until else ""
    return Outcome(accepted=True, sentence=f"{said} 会回到您的待办{sooner}")


def take_up(tx: Tx, review_id: str, staff_id: str, code: str = "", session: str = "") -> Outcome:
    """Have it back in one's list now."""
    (_, review), person = locked(tx, review_id), staff.find(tx, staff_id)
    if sentence := nobody(tx, staff_id, code, session):
        return Outcome(accepted=False, sentence=sentence)
    row = tx.get(PutOff, (review_id, staff_id))
    if row is None or row.until <= tx.now:
        return Outcome(accepted=False, sentence="该任务没有被推后")
    row.until = tx.now
    tx.add(row)
    audit.record(
        tx,
        review.case_id,
        "review.taken_up",
        actor=f"staff/{staff_id}",
        text=f"{person.name} 取回待办",
        review=review_id,
    )
    return Outcome(accepted=True, sentence="已回到您的待办")


def of(tx: Tx, review_id: str, staff_id: str) -> PutOff | None:
    """Until when this person has put the question off, while that holds."""
    row = tx.get(PutOff, (review_id, staff_id))
    review = tx.get(Review, review_id)
    holds = row is not None and review is not None and row.until > tx.now and row.revision == review.revision
    return row if holds else None


def hidden_from(tx: Tx, staff_id: str) -> ColumnElement[bool]:
    """Whether a question (of ``Review``) is out of this person's list now: until its time has come, while its facts are as
    they were, and while it is not about to be due."""
    put_off = (
        select(PutOff.review_id)
        .join(Review, col(Review.id) == PutOff.review_id)
        .where(PutOff.staff_id == staff_id, col(PutOff.until) > tx.now, PutOff.revision == Review.revision)
    )  # few, so they are looked up once and not for each that is open
    return and_(
        col(Review.id).in_(put_off.correlate(None)),
        or_(col(Review.due_at).is_(None), col(Review.due_at) > tx.now + BEFORE),
    )
