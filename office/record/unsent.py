"""Unsent: a message that SQL marked as delivered, or put off, leaves after all, and the supervisor hears of it.

Whoever only has the database can mark an alarm as delivered, so that nobody hears it, or put it off to another year. Messages
say in their envelope that their end is sealed and from when they may leave: of those of earlier versions, and of bulk
messages, whose words are made when they are sent, nothing is known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlmodel import col, or_, select

from models.cases import Case
from models.messages import OutboxMessage, OutboxState
from office.base.db import Tx
from office.base.vault import CannotUnseal
from office.record import alerts, envelopes
from office.record.outbox import HELD, MADE_WHEN_SENT

CLOSED = (OutboxState.SENT, OutboxState.SKIPPED)
LONGEST = timedelta(hours=13)
"""No failed attempt is followed by the next one later than that, nor is anything leased for so long."""
NEWEST = 2_000
"""Closed messages that each sweep looks at; the night looks at many more."""
OF_A_NIGHT = 200_000


def look(tx: Tx, newest: int = NEWEST) -> int:
    """Have what we did not close leave, and tell the supervisor; returns how many there were."""
    found = [*_closed_by_others(tx, newest), *_put_off(tx)]
    for row in found:
        halted = row.case_id is not None and (case := tx.get(Case, row.case_id)) is not None and case.halted is not None
        row.state, row.attempts, row.leased_until, row.next_at, row.note = OutboxState.NEW, 0, None, tx.now, ""
        row.closed_at = row.closing_seal = None
        if halted:
            row.state, row.closed_at, row.note = OutboxState.SKIPPED, tx.now, HELD
            row.closing_seal = envelopes.closing(row.key, row.state)
        tx.add(row)
    tx.flush()
    if found:
        named = "、".join(f"{row.topic}({row.key})" for row in found[:5])
        more = f"等 {len(found)} 条" if len(found) > 5 else ""
        once = hashlib.sha256("|".join(row.key for row in found).encode()).hexdigest()[:24]
        alerts.tell(
            tx, f"unsent/{once}/{tx.now.isoformat()}", where="发件箱",
            finding=f"消息 {named}{more}在数据库中被标为已发出、已跳过或推迟,而本系统没有这样做:有人绕过系统改动了数据库。",
            consequence="已重新排队发送(可能重复一次,编号不变);请立即排查谁改动了数据库。",
        )  # fmt: skip
    return len(found)


def _closed_by_others(tx: Tx, newest: int) -> Iterator[OutboxMessage]:
    query = select(OutboxMessage).where(col(OutboxMessage.state).in_(CLOSED)).order_by(col(OutboxMessage.id).desc())
    for row in tx.exec(query.limit(newest).execution_options(yield_per=500)):
        if not envelopes.closed_by_us(row) and _since(row) is not None:
            yield row


def _put_off(tx: Tx) -> Iterator[OutboxMessage]:
    late = tx.now + LONGEST
    query = select(OutboxMessage).where(
        OutboxMessage.state == OutboxState.NEW,
        or_(col(OutboxMessage.next_at) > late, col(OutboxMessage.leased_until) > late),
    )
    for row in tx.exec(query):
        since = _since(row)
        if since is not None and (row.next_at > max(since, late) or (row.leased_until or since) > max(since, late)):
            yield row


def _since(row: OutboxMessage) -> datetime | None:
    """From when the message may leave; nothing where nobody can tell."""
    if row.payload_sealed == MADE_WHEN_SENT:
        return None
    try:
        return envelopes.since(row.key, row.payload_sealed)
    except (CannotUnseal, ValueError):
        return None
