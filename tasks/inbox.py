"""The inbox: what reached the door, once per source and message id; acted on later, in order, or kept."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from pydantic import JsonValue
from sqlalchemy import and_, or_
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import col, select

from models.base import Frozen, Labelled
from models.messages import InboxMessage, InboxState
from tasks import audit
from tasks.db import Tx, in_transaction, is_contention
from tasks.vault import seal, unseal

logger = logging.getLogger("dianwu.inbox")

BACKOFF = [1, 5, 30, 120, 600, 3600]


class Arrival(Frozen):
    """A verified message as an adapter hands it over. ``body`` are the raw bytes as signed."""

    source: str
    message_id: str
    type: str
    shop_id: str | None = None
    case_id: str | None = None
    body: bytes


class Receipt(Labelled):
    NEW = "NEW", "已收下"
    SAME = "SAME", "重复消息"
    CONFLICT = "CONFLICT", "编号相同内容不同"


class Refused(Exception):
    """A message understood and refused: ``str`` is the Chinese sentence, ``clause`` where it comes from."""

    def __init__(self, sentence: str, clause: str = "") -> None:
        super().__init__(sentence)
        self.clause = clause


class Kept(Exception):
    """A message acknowledged and kept, with nothing to do."""


def receive(arrival: Arrival, on_conflict: Callable[[Tx, InboxMessage], None]) -> Receipt:
    """Store a message before it is answered. The same id with other bytes is kept as a conflict and alerted."""
    digest = hashlib.sha256(arrival.body).hexdigest()

    def known(tx: Tx) -> InboxMessage | None:
        return tx.exec(
            select(InboxMessage).where(
                InboxMessage.source == arrival.source, InboxMessage.message_id == arrival.message_id
            )
        ).first()

    def work(tx: Tx) -> Receipt:
        before = known(tx)
        if before is None:
            tx.add(
                InboxMessage(
                    source=arrival.source, message_id=arrival.message_id, type=arrival.type, shop_id=arrival.shop_id,
                    case_id=arrival.case_id, body_sealed=seal(arrival.body.decode("utf-8")),
                    body_sha256=digest, received_at=tx.now, next_at=tx.now,
                )
            )  # fmt: skip
            tx.flush()
            return Receipt.NEW
        if before.body_sha256 == digest:
            return Receipt.SAME
        before.conflicts += 1
        tx.add(before)
        audit.record(
            tx, "system", "inbox.conflict", text="同一消息编号收到不同内容", source=arrival.source,
            message_id=arrival.message_id, sha256=digest, first_sha256=before.body_sha256,
        )  # fmt: skip
        on_conflict(tx, before)
        return Receipt.CONFLICT

    try:
        return in_transaction(work)
    except IntegrityError:  # two copies of one message at the same moment: the second reads what the first wrote
        return in_transaction(work)


Handler = Callable[[Tx, InboxMessage, dict[str, JsonValue]], None]
"""Acts on one message in the given transaction; raises Refused or Kept to say why it did nothing."""


OnRefused = Callable[[Tx, InboxMessage, str, str], None]
"""Told of a message refused or given up: the sentence and its clause."""


def route_due(handle: Handler, on_refused: OnRefused, limit: int = 100) -> int:
    """Act on what is due, oldest first; returns how many messages were tried.

    A fault in one message sends that one back to wait and leaves the others alone.
    """

    def due(tx: Tx) -> list[int]:
        query = (
            select(InboxMessage.id)
            .where(InboxMessage.state == InboxState.NEW, col(InboxMessage.next_at) <= tx.now)
            .order_by(col(InboxMessage.received_at), col(InboxMessage.id))
            .limit(limit)
        )
        return [row for row in tx.exec(query) if row is not None]

    ids = in_transaction(due)
    for row_id in ids:
        _route(row_id, handle, on_refused)
    return len(ids)


def _route(row_id: int, handle: Handler, on_refused: OnRefused) -> None:
    def claim(tx: Tx) -> InboxMessage | None:
        query = select(InboxMessage).where(InboxMessage.id == row_id, InboxMessage.state == InboxState.NEW)
        return tx.exec(query.with_for_update(skip_locked=True) if tx.postgres else query).first()

    def work(tx: Tx) -> None:
        row = claim(tx)
        if row is not None:
            handle(tx, row, _payload(row))
            _close(tx, row, InboxState.DONE, "")

    try:
        in_transaction(work)
    except Refused as refusal:
        sentence, clause = str(refusal), refusal.clause

        def refuse(tx: Tx) -> None:
            if row := claim(tx):
                _close(tx, row, InboxState.REFUSED, sentence)
                on_refused(tx, row, sentence, clause)

        in_transaction(refuse)
    except Kept as kept:
        note = str(kept)

        def keep(tx: Tx) -> None:
            if row := claim(tx):
                _close(tx, row, InboxState.KEPT, note)

        in_transaction(keep)
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
                    on_refused(tx, row, f"处理失败({label}),已停止重试", "")
                else:
                    row.next_at = tx.now + timedelta(seconds=BACKOFF[row.attempts - 1])
                    row.note = label
                    tx.add(row)

        in_transaction(postpone)


def _payload(row: InboxMessage) -> dict[str, Any]:
    body = json.loads(unseal(row.body_sealed))
    return body if isinstance(body, dict) else {"items": body}


def _close(tx: Tx, row: InboxMessage, state: InboxState, note: str) -> None:
    row.state, row.note, row.handled_at = state, note, tx.now
    tx.add(row)


def unrouted_before(tx: Tx, shop_id: str | None, moment: datetime) -> bool:
    """Whether something that reached the door by ``moment`` and may concern the shop is still not acted on.

    While it is, no window of that shop lapses: our being slow is never the merchant's silence.
    """
    query = select(InboxMessage.id).where(
        InboxMessage.state == InboxState.NEW,
        col(InboxMessage.received_at) <= moment,
        or_(col(InboxMessage.shop_id).is_(None), and_(col(InboxMessage.shop_id) == shop_id)),
    )
    return tx.exec(query.limit(1)).first() is not None
