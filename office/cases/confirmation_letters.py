"""What somebody is told of a decision in their name, over a channel of their own."""

from __future__ import annotations

from typing import Any

from sqlmodel import select

from models.cases import Case
from models.confirmations import Confirmation
from models.messages import Channel, OutboxMessage, OutboxState
from models.reviews import Review, Staff
from notifications.engine import DecisionDropped, DecisionRecorded, EngineAlarm
from notifications.message import StaffMessage
from office.base.db import Tx
from office.cases import reviews
from office.cases.gates import Gate
from office.record import outbox

DEADLINE = "confirmation"
"""The kind of deadline that a held answer has: ours."""


def key_of(held: Confirmation) -> str:
    return f"{DEADLINE}/{held.id}"


# ── telling ──────────────────────────────────────────────────────────────────


def tell(tx: Tx, person: Staff, message: StaffMessage, key: str, case: Case) -> None:
    """Tell one person, over a channel of their own."""
    outbox.put(
        tx,
        f"staff:{key}",
        Channel.STAFF,
        message.name,
        message.model_dump(mode="json"),
        case=case,
        audience=f"{outbox.PERSON}{person.id}",
    )


def tell_recorded(
    tx: Tx, case: Case, review: Review, gate: Gate, person: Staff, verdict: str, reason: str, said: str, about: str
) -> None:
    message = DecisionRecorded(
        **in_name(case, review, gate, person),
        verdict=gate.verdict(verdict).label,
        reason=reason or "（未填写）",
        recorded_at=tx.now,
        follows=said,
    )
    tell(tx, person, message, f"recorded/{about}", case)


def tell_dropped(tx: Tx, case: Case, review: Review, gate: Gate, person: Staff, why: str, key: str) -> None:
    """Tell somebody that an answer in their name does not count."""
    message = DecisionDropped(**in_name(case, review, gate, person), why=why, link=reviews.link_to(case))
    tell(tx, person, message, f"dropped/{review.id}/{key}", case)


def tell_perhaps_lost(tx: Tx, case: Case, review: Review, gate: Gate, person: Staff, why: str) -> None:
    """Tell somebody who may have answered, once an hour, that an answer of nobody knows whom does not count."""
    message = EngineAlarm(
        what=f"「{gate.title}」的一份答复未予采用:{why}",
        matter=f"审核任务 {review.id},无从判断是谁提交的",
        seen_at=tx.now,
        done="若是您提交的,该答复未被采用。问题仍待处理,请核对后重新提交;表单只认从现在起约一分钟后新显示的口令。其他任务上的答复"
        "若同样未见结果,请一并核对。",
        case_id=case.id,
        link=reviews.link_to(case),
    )
    tell(tx, person, message, f"lost/{person.id}/{tx.now:%Y-%m-%dT%H}", case)


def in_name(case: Case, review: Review, gate: Gate, person: Staff) -> dict[str, Any]:
    return {
        "review_id": review.id,
        "case_id": case.id,
        "case_kind": case.kind.label,
        "subject": case.subject or case.id,
        "gate": gate.title,
        "staff_id": person.id,
        "staff_name": person.name,
    }


def was_told(tx: Tx, held: Confirmation) -> bool:
    """Whether the notice of what was recorded reached its author."""
    key = f"staff:recorded/{held.id}"
    state = tx.exec(select(OutboxMessage.state).where(OutboxMessage.key == key)).first()
    return state is OutboxState.SENT
