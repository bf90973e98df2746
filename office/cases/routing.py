"""Routing: what reached the inbox is acted on by the process that hears it, refused, kept, put off or given up.

Whoever sent it hears of a refusal; the supervisor of what is our own fault.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from pydantic import JsonValue
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from models.case_events import MessageRefused
from models.cases import Case
from models.messages import InboxMessage, InboxState
from models.reviews import Role
from models.shops import Shop
from models.wire import INBOUND
from notifications.operations import InboxConflict, InboxFailed
from office.base.db import Tx, in_transaction, is_contention, prepared
from office.base.vault import CannotUnseal, opened
from office.cases import kept, reviews
from office.cases.cases import emit
from office.cases.gates import Outcome
from office.process import office
from office.record import alerts, audit, inbox
from office.record.inbox import AGAIN, BACKOFF, Early, Kept, Later, Refused
from office.staff import staff
from policies.policy import policy_at

logger = logging.getLogger("dianwu.inbox")

Handler = Callable[[Tx, InboxMessage, dict[str, JsonValue]], None]
"""Acts on one message in the given transaction; raises Refused, Kept or Later to say why it did nothing."""


def handle(tx: Tx, message: InboxMessage, body: dict[str, Any]) -> None:
    """Act on one stored message, in the given transaction."""
    model = INBOUND.get(message.type)
    if model is None:
        raise kept.unmapped(message)
    event = model.model_validate(body["data"])
    office().handlers[model](tx, event, message)


def route_due(limit: int = 100, handle: Handler = handle) -> int:
    """Act on what is due, oldest first; returns how many messages were tried.

    A fault in one message sends that one back to wait and leaves the others alone.
    """

    def due(tx: Tx) -> list[int]:
        return [row for row in _due(tx, tx.now, limit) if row is not None]

    ids = in_transaction(due)
    for row_id in ids:
        _route(row_id, handle)
    return len(ids)


@prepared
def _due(now: datetime, limit: int) -> SelectOfScalar[Any]:
    waiting = select(InboxMessage.id).where(InboxMessage.state == InboxState.NEW, col(InboxMessage.next_at) <= now)
    return waiting.order_by(col(InboxMessage.received_at), col(InboxMessage.id)).limit(limit)


@prepared
def _still_new(row_id: int) -> SelectOfScalar[InboxMessage]:
    row = select(InboxMessage).where(InboxMessage.id == row_id, InboxMessage.state == InboxState.NEW)
    return row.with_for_update(skip_locked=True)


def _route(row_id: int, handle: Handler) -> None:
    def claim(tx: Tx) -> InboxMessage | None:
        row = _still_new(tx, row_id).first()
        if row is None or _comes_too_early(tx, row):
            return None
        _put_right(tx, row)
        return row

    def work(tx: Tx) -> None:
        row = claim(tx)
        if row is not None:
            handle(tx, row, _payload(row))
            _close(tx, row, InboxState.DONE, "")

    try:
        in_transaction(work)
    except Refused as refusal:
        sentence, clause, heard = str(refusal), refusal.clause, refusal.heard

        early = isinstance(refusal, Early)

        def refuse(tx: Tx) -> None:
            row = claim(tx)
            if row is not None and early and _may_wait(tx, row):
                row.note = f"{sentence};等待中"
                tx.add(row)
            elif row is not None:
                _close(tx, row, InboxState.REFUSED, sentence)
                _tell_refused(tx, row, sentence, clause)
                if heard is not None:
                    heard(tx, row)

        in_transaction(refuse)
    except Kept as kept:
        note, tell = str(kept), kept.tell

        def keep(tx: Tx) -> None:
            if row := claim(tx):
                _close(tx, row, InboxState.KEPT, note)
                if tell:
                    tell(tx, row)

        in_transaction(keep)
    except Later as later:
        reason = str(later)

        def wait(tx: Tx) -> None:
            if row := claim(tx):
                row.next_at, row.note = tx.now + AGAIN, reason
                tx.add(row)

        in_transaction(wait)
    except Exception as fault:
        if isinstance(fault, DBAPIError) and is_contention(fault):
            return  # still NEW: the next round takes it
        logger.exception("inbox message %s failed and will be tried again", row_id)
        label = type(fault).__name__

        def postpone(tx: Tx) -> None:
            if row := claim(tx):
                row.attempts += 1
                if row.attempts > len(BACKOFF):
                    _close(tx, row, InboxState.FAILED, label)
                    _tell_refused(tx, row, f"处理失败({label}),已停止重试", "")
                else:
                    row.next_at = tx.now + timedelta(seconds=BACKOFF[row.attempts - 1])
                    row.note = label
                    tx.add(row)

        in_transaction(postpone)


def _put_right(tx: Tx, row: InboxMessage) -> None:
    """What a message is, and whom it concerns, is what its sealed body says; where SQL has changed that, it is put right
    and the supervisor hears of it."""
    try:
        body = _payload(row)
    except (CannotUnseal, ValueError):  # nothing of it is acted on
        return
    said = body.get("type")
    if said not in INBOUND and row.type not in INBOUND:
        return
    true = {"type": said if said in INBOUND else f"{row.source}.{said}"}
    if said in INBOUND:
        with suppress(ValueError, KeyError):  # what does not fit is refused by whoever acts on it
            event = INBOUND[said].model_validate(body["data"])
            true |= {name: value for name in ("shop_id", "case_id") if (value := getattr(event, name, None))}
    if wrong := {name: getattr(row, name) for name, value in true.items() if getattr(row, name) != value}:
        for name in wrong:
            setattr(row, name, true[name])
        tx.add(row)
        key = hashlib.sha256(json.dumps(wrong, sort_keys=True).encode()).hexdigest()[:24]
        alerts.altered(
            tx,
            f"message/{row.id}/{key}",
            where=f"收到的消息 {row.source}/{row.message_id}",
            finding=f"消息在数据库中的{'、'.join(wrong)}({'、'.join(map(str, wrong.values()))})与其封存的原文不一致",
            done="已按封存的原文处理",
        )


def _may_wait(tx: Tx, row: InboxMessage) -> bool:
    """Put off, with growing pauses, a message whose shop or invoice may still come; ``False`` when it has waited enough."""
    over = row.received_at + timedelta(hours=policy_at(row.received_at).inbox.early_hours)
    if tx.now >= over:
        return False
    row.next_at = min(tx.now + max(AGAIN, (tx.now - row.received_at) / 8), over)
    return True


def _comes_too_early(tx: Tx, row: InboxMessage) -> bool:
    """Whether somebody else has an earlier message of the same shop in hand, such as its registration.

    The message then stays for the next round. One that waits after a fault holds up nobody.
    """
    return row.shop_id is not None and _earlier(tx, row.shop_id, row.id or 0, tx.now).first() is not None


@prepared
def _earlier(shop_id: str, row_id: int, now: datetime) -> SelectOfScalar[Any]:
    return (
        select(InboxMessage.id)
        .where(
            InboxMessage.shop_id == shop_id,
            InboxMessage.state == InboxState.NEW,
            col(InboxMessage.id) < row_id,
            col(InboxMessage.next_at) <= now,
        )
        .limit(1)
    )


def _payload(row: InboxMessage) -> dict[str, Any]:
    body = json.loads(opened(row, "body_sealed"))
    return body if isinstance(body, dict) else {"items": body}


def _close(tx: Tx, row: InboxMessage, state: InboxState, note: str) -> None:
    row.state, row.note, row.handled_at = state, note, tx.now
    tx.add(row)


# ── who hears of it ────────────────────────────────────────────────────────────


_THEIRS = "更正后请使用新的消息编号(webhook-id)重新发送,同一编号不会再次处理。"
_OURS = "这是平台后台的故障,排除后会继续处理,无需重新发送。"


def _tell_refused(tx: Tx, message: InboxMessage, sentence: str, clause: str) -> None:
    """Tell the platform that a message it sent was understood and refused, and why; our own faults also the supervisor."""
    event = MessageRefused(
        source=message.source,
        message_id=message.message_id,
        message_type=message.type,
        shop_id=message.shop_id,
        clause=clause,
        sentence=sentence,
        remedy=_OURS if message.state is InboxState.FAILED else _THEIRS,
    )
    known = message.shop_id if message.shop_id and tx.get(Shop, message.shop_id) else None
    emit(tx, event, f"refused/{message.origin}", shop_id=known)
    if message.state is InboxState.FAILED:
        _tell_failed(tx, message)
    elif tx.now - message.received_at >= timedelta(hours=policy_at(message.received_at).inbox.early_hours):
        kept.tell(tx, message, f"等待后仍未受理:{sentence}")
    about = tx.get(Case, message.case_id) if message.case_id else None
    if about is not None and not _of_another_shop(
        message, about
    ):  # one that has ended accepts nothing, and says what came
        audit.record(
            tx,
            about.id,
            "message.refused",
            clause=clause,
            public=True,
            text=f"未受理:{sentence}",
            type=message.type,
            received_at=message.received_at.isoformat(),
        )


def _of_another_shop(message: InboxMessage, case: Case) -> bool:
    """Whether a message names a case that is not its shop's: whose case it is reads nothing of it."""
    return None not in {message.shop_id, case.shop_id} and message.shop_id != case.shop_id


def _tell_failed(tx: Tx, message: InboxMessage) -> None:
    told = InboxFailed(
        number=message.id or 0,
        source=message.source,
        message_id=message.message_id,
        message_type=message.type,
        received_at=message.received_at,
        error=message.note,
    )
    reviews.notify_staff(
        tx, Role.SUPERVISOR, told, f"failed/{message.id}/{tx.now.isoformat()}"
    )  # again after each retry


def on_conflict(tx: Tx, message: InboxMessage) -> None:
    """Tell the supervisor that an id came again with other bytes; the first message stands."""
    told = InboxConflict(
        source=message.source,
        message_id=message.message_id,
        message_type=message.type,
        first_received_at=message.received_at,
        seen_at=tx.now,
        conflicts=message.conflicts,
        counted=max(0, message.conflicts - inbox.MOST_OTHERS),
    )
    reviews.notify_staff(tx, Role.SUPERVISOR, told, f"conflict/{message.origin}/{message.conflicts}")


def dismiss(tx: Tx, number: int, staff_id: str, code: str, reason: str) -> Outcome:
    """A supervisor gives up a failed message that nobody can mend, with a reason and their own code.

    It holds nothing up any more. A refusal is returned, not raised: the code is spent and counted whatever follows.
    """
    if sentence := staff.unauthorised(tx, staff_id, code, Role.SUPERVISOR, "放弃处理失败的消息", reason):
        return Outcome(accepted=False, sentence=sentence)
    row = tx.get(InboxMessage, number)
    if row is None or row.state is not InboxState.FAILED:
        return Outcome(accepted=False, sentence=f"没有编号为 {number} 的处理失败的消息")
    row.state, row.note, row.handled_at = InboxState.KEPT, f"{staff_id} 放弃处理:{reason.strip()}", tx.now
    tx.add(row)
    known = tx.get(Shop, row.shop_id) is not None if row.shop_id else False
    subject = row.case_id or (f"shop/{row.shop_id}" if known else "system")
    audit.record(
        tx,
        subject,
        "inbox.dismissed",
        actor=f"staff/{staff_id}",
        text=f"放弃处理消息 {row.type}:{reason.strip()}",
        source=row.source,
        message_id=row.message_id,
    )
    return Outcome(accepted=True, sentence=f"消息 {number} 不再处理,也不再暂停相关期限")
