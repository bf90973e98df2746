"""Unsent: a message that SQL marked as delivered, or put off, leaves after all, and the supervisor hears of it.

Whoever only has the database can mark an alarm as delivered, so that nobody hears it, or put it off to another year. Messages
say in their envelope that their end is sealed and from when they may leave: of those of earlier versions, and of bulk
messages, whose words are made when they are sent, nothing is known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial

from sqlmodel import col, or_, select

from models.cases import Case
from models.messages import OutboxMessage, OutboxState
from office.base.db import Tx, in_transaction, reading
from office.base.vault import CannotUnseal
from office.record import alerts, envelopes
from office.record.outbox import HELD, MADE_WHEN_SENT, anew, closed

CLOSED = (OutboxState.SENT, OutboxState.SKIPPED)
LONGEST = timedelta(hours=13)
"""No failed attempt is followed by the next one later than that, nor is anything leased for so long."""
NEWEST = 2_000
"""Closed messages that each sweep looks at; the night looks at many more."""
OF_A_NIGHT = 200_000
AT_ONCE = 500
"""Rows that one question to the database names, or brings."""


def look(newest: int = NEWEST) -> int:
    """Have what we did not close leave, and tell the supervisor; returns how many there were. Nobody waits while it looks."""
    with reading() as tx:
        found = [*_closed_by_others(tx, newest), *_put_off(tx)]
    return in_transaction(partial(_put_right, keys=found)) if found else 0


def _put_right(tx: Tx, keys: Sequence[str]) -> int:
    rows = (row for start in range(0, len(keys), AT_ONCE) for row in _locked(tx, keys[start : start + AT_ONCE]))
    found = [row for row in rows if _closed_otherwise(row) or _late(row, tx.now)]
    for row in found:
        case = tx.get(Case, row.case_id) if row.case_id else None
        kept_back = (
            closed(tx, row.key, OutboxState.SKIPPED, HELD) if case is not None and case.halted is not None else {}
        )
        tx.add(row.sqlmodel_update({**anew(tx), "leased_until": None, **kept_back}))
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


def _locked(tx: Tx, keys: Sequence[str]) -> Iterable[OutboxMessage]:
    return tx.exec(select(OutboxMessage).where(col(OutboxMessage.key).in_(keys)).with_for_update())


def _closed_by_others(tx: Tx, newest: int) -> Iterator[str]:
    query = select(OutboxMessage).where(col(OutboxMessage.state).in_(CLOSED)).order_by(col(OutboxMessage.id).desc())
    rows = tx.exec(query.limit(newest).execution_options(yield_per=AT_ONCE))
    return (row.key for row in rows if _closed_otherwise(row))


def _closed_otherwise(row: OutboxMessage) -> bool:
    return row.state in CLOSED and not envelopes.closed_by_us(row) and _since(row) is not None


def _put_off(tx: Tx) -> Iterator[str]:
    late = tx.now + LONGEST
    query = select(OutboxMessage).where(
        OutboxMessage.state == OutboxState.NEW,
        or_(col(OutboxMessage.next_at) > late, col(OutboxMessage.leased_until) > late),
    )
    return (row.key for row in tx.exec(query) if _late(row, tx.now))


def _late(row: OutboxMessage, now: datetime) -> bool:
    """Whether a message that has not left is to leave, or to come back from a courier, later than we ever say."""
    since = _since(row)
    if row.state is not OutboxState.NEW or since is None:
        return False
    latest = max(since, now + LONGEST)
    return row.next_at > latest or (row.leased_until or since) > latest


def _since(row: OutboxMessage) -> datetime | None:
    """From when the message may leave; nothing where nobody can tell."""
    if row.payload_sealed == MADE_WHEN_SENT:
        return None
    try:
        return envelopes.since(row.key, row.payload_sealed)
    except (CannotUnseal, ValueError):
        return None
