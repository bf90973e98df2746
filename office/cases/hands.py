"""Who holds a question: claimed, given back, handed over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import update
from sqlmodel import col, func, select

from models.audit import AuditEntry
from models.desk import PutOff
from models.reviews import Review, ReviewState, Role
from office.base.db import Tx, in_transaction
from office.cases.gates import OPEN, Outcome
from office.cases.judge import may_not_answer, unproved
from office.cases.reviews import let_go, locked
from office.record import audit, outbox
from office.staff import desk_sessions, people, staff

MOST_CLAIMS = 20
"""Times an hour that one person may take questions of one case."""


def claim(tx: Tx, review_id: str, staff_id: str, code: str = "", session: str = "") -> Outcome:
    """Say "this one is mine", so that two people do not read the same dossier.

    It keeps everybody else from deciding, so it takes a one-time code or a session at the desk: without, anybody could
    set a colleague's name before whatever they would have delayed.
    """
    (case, review), person = locked(tx, review_id), staff.find(tx, staff_id)
    if sentence := nobody(tx, staff_id, code, session):
        return Outcome(accepted=False, sentence=sentence)
    if review.state is ReviewState.CLAIMED and review.claimed_by == staff_id:
        return Outcome(accepted=True, sentence="您已认领该任务")
    if sentence := may_not_answer(tx, review, person):
        return Outcome(accepted=False, sentence=sentence)
    if _claimed_lately(tx, review.case_id, staff_id) >= MOST_CLAIMS:
        return Outcome(accepted=False, sentence="您一小时内反复认领同一案件的次数过多,请稍后再试")
    won = tx.execute(
        update(Review)
        .where(col(Review.id) == review_id, col(Review.state) == ReviewState.PENDING)
        .values(state=ReviewState.CLAIMED, claimed_by=staff_id, claimed_at=tx.now)
        .execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    if won != 1:
        return Outcome(accepted=False, sentence="该任务已被认领或已处理")
    audit.record(
        tx, review.case_id, "review.claimed", actor=f"staff/{staff_id}", text=f"{person.name} 认领", review=review_id
    )
    outbox.retag(tx, case)
    return Outcome(accepted=True, sentence="已认领")


def _claimed_lately(tx: Tx, case_id: str, staff_id: str) -> int:
    """How often somebody took a case's questions in the last hour: taken and given back without end, they fill its record."""
    query = select(func.count()).where(AuditEntry.stream == case_id, AuditEntry.action == "review.claimed")
    mine = query.where(AuditEntry.actor == f"staff/{staff_id}", AuditEntry.at > tx.now - timedelta(hours=1))
    return tx.exec(mine).one()


def release(tx: Tx, review_id: str, staff_id: str, code: str = "", session: str = "") -> Outcome:
    """Give a claimed task back to everybody; only its holder may, or a supervisor, by a one-time code or a session."""
    (case, review), person = locked(tx, review_id), staff.find(tx, staff_id)
    if review.claimed_by != staff_id and Role.SUPERVISOR not in person.roles:
        return Outcome(accepted=False, sentence="只有认领人或主管可以释放该任务")
    if sentence := nobody(tx, staff_id, code, session):
        return Outcome(accepted=False, sentence=sentence)
    if review.state is not ReviewState.CLAIMED:
        return Outcome(accepted=False, sentence="该任务当前未被认领")
    let_go(tx, case, review, f"staff/{staff_id}", f"{person.name} 释放")
    return Outcome(accepted=True, sentence="已释放")


def nobody(tx: Tx, staff_id: str, code: str, session: str) -> str | None:
    """Why neither a code nor a session at the desk proves them."""
    return desk_sessions.unproved(tx, session, staff_id) if session else unproved(tx, staff_id, code, weighty=False)


def reassign(tx: Tx, review_id: str, to_staff_id: str, by_staff_id: str, code: str) -> Outcome:
    """A supervisor, who proves it with a one-time code, hands a task to somebody who may answer it."""
    if sentence := _no_supervisor(tx, by_staff_id, code):
        return Outcome(accepted=False, sentence=sentence)
    return _hand(tx, review_id, to_staff_id, by_staff_id)


def reassign_all(review_ids: Sequence[str], to_staff_id: str, by_staff_id: str, code: str) -> list[Outcome]:
    """Several tasks to one colleague by one code, each looked at and handed over by itself."""
    if sentence := in_transaction(lambda tx: _no_supervisor(tx, by_staff_id, code)):
        return [Outcome(accepted=False, sentence=sentence) for _ in review_ids]
    return [in_transaction(lambda tx, one=one: _hand(tx, one, to_staff_id, by_staff_id)) for one in review_ids]  # type: ignore[misc]


def _no_supervisor(tx: Tx, staff_id: str, code: str) -> str | None:
    if Role.SUPERVISOR not in staff.find(tx, staff_id).roles:
        return "只有主管可以改派任务"
    return unproved(tx, staff_id, code, weighty=False)


def _hand(tx: Tx, review_id: str, to_staff_id: str, by_staff_id: str) -> Outcome:
    (case, review), person = locked(tx, review_id), staff.find(tx, to_staff_id)
    if review.state not in OPEN:
        return Outcome(accepted=False, sentence="该任务已处理或已失效")
    if sentence := people.unfit(tx, review, person):
        return Outcome(accepted=False, sentence=f"{person.name}:{sentence}")
    review.state, review.claimed_by, review.claimed_at = ReviewState.CLAIMED, person.id, tx.now
    tx.add(review)
    if put_off := tx.get(PutOff, (review_id, person.id)):
        tx.delete(put_off)  # what is handed to somebody is in their list
    audit.record(
        tx,
        review.case_id,
        "review.reassigned",
        actor=f"staff/{by_staff_id}",
        text=f"改派给 {person.name}",
        review=review_id,
    )
    outbox.retag(tx, case)
    return Outcome(accepted=True, sentence=f"已改派给 {person.name}")
