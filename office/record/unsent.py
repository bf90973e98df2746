"""Unsent: a message that SQL marked as delivered, put off or made unreadable leaves after all, and the supervisor hears of it.

Whoever only has the database can mark an alarm as delivered, so that nobody hears it, put it off to another year, or write into
one row what no process of ours can read, so that nothing leaves. Messages say in their envelope where they go, that their end
is sealed and from when they may leave: of those of earlier versions, and of bulk messages, whose words are made when they are
sent, nothing is known. Only columns that hold plain text are read here: no row keeps another from being looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, String, func, type_coerce, update
from sqlalchemy import select as sql_select
from sqlmodel import and_, col, or_, select

from models.cases import Case
from models.messages import Channel, OutboxMessage, OutboxState
from office.base.db import Tx, in_transaction, reading
from office.base.vault import CannotUnseal
from office.record import alerts, envelopes
from office.record.outbox import HELD, MADE_WHEN_SENT, anew, closed
from office.record.sending import Item

CLOSED = (OutboxState.SENT, OutboxState.SKIPPED, OutboxState.DEAD)
LONGEST = timedelta(hours=13)
"""No failed attempt is followed by the next one later than that, nor is anything leased for so long."""
OVERDUE = timedelta(hours=1)
"""What has waited so long for a courier may be a row that none of them finds or can read."""
NEWEST = 2_000
"""Closed messages that each sweep looks at, and as many of the older ones in turn; the night looks at many more."""
OF_A_NIGHT = 200_000
AT_ONCE = 500
"""Rows that one question to the database names, or brings."""
_turns = alerts.Turns()

_state = type_coerce(col(OutboxMessage.state), String)
_unknown_state = or_(
    _state < min(OutboxState),
    *(and_(_state > one, _state < other) for one, other in pairwise(sorted(OutboxState))),
    _state > max(OutboxState),
)
"""A state that no message is ever in; by ranges, which the index answers."""


class Found(NamedTuple):
    """What is read of a row, as plain text."""

    key: str
    topic: str
    case_id: str | None
    state: str
    sealed: str
    closing: str | None


def look(newest: int = NEWEST) -> int:
    """Have what we did not close leave, and tell the supervisor; returns how many there were. Nobody waits while it looks."""
    mended = mend(OVERDUE)
    with reading() as tx:
        found = [*_closed_by_others(tx, newest), *_put_off(tx)]
    return mended + (in_transaction(partial(_put_right, keys=found)) if found else 0)


def _put_right(tx: Tx, keys: Sequence[str]) -> int:
    found = [
        row
        for start in range(0, len(keys), AT_ONCE)
        for row in _rows(tx, col(OutboxMessage.key).in_(keys[start : start + AT_ONCE]), lock=True)
        if _closed_otherwise(row) or _late(tx, row)
    ]
    for row in found:
        case = tx.get(Case, row.case_id) if row.case_id else None
        halted = case is not None and case.halted is not None
        kept_back = closed(tx, row.key, OutboxState.SKIPPED, HELD) if halted else {}
        _write(tx, col(OutboxMessage.key) == row.key, {**anew(tx), "leased_until": None, **kept_back})
    if found:
        named = "、".join(f"{row.topic}({row.key})" for row in found[:5])
        more = f"等 {len(found)} 条" if len(found) > 5 else ""
        _tell(
            tx,
            "unsent",
            [row.key for row in found],
            f"消息 {named}{more}在数据库中被标为已发出、已跳过、已停止或推迟,而本系统没有这样做",
        )
    return len(found)


def _tell(tx: Tx, what: str, keys: Sequence[str], finding: str) -> None:
    once = hashlib.sha256("|".join(keys).encode()).hexdigest()[:24]
    alerts.altered(
        tx,
        f"{what}/{once}/{tx.now.isoformat()}",
        where="发件箱",
        finding=finding,
        done="已重新排队发送(可能重复一次,编号不变)",
    )


def _write(tx: Tx, which: ColumnElement[bool], values: dict[str, Any]) -> None:
    tx.execute(update(OutboxMessage).where(which).values(values).execution_options(synchronize_session=False))


def _rows(tx: Tx, *which: ColumnElement[bool], lock: bool = False) -> Iterator[Found]:
    columns = (OutboxMessage.key, OutboxMessage.topic, OutboxMessage.case_id, _state)
    query = sql_select(*columns, OutboxMessage.payload_sealed, OutboxMessage.closing_seal).where(*which)  # type: ignore[call-overload]
    query = query.order_by(col(OutboxMessage.id).desc())
    for row in tx.execute(query.with_for_update() if lock else query.execution_options(yield_per=AT_ONCE)):
        yield Found(*row)


def _closed_by_others(tx: Tx, newest: int) -> Iterator[str]:
    """Of the newest, of older ones in turn, and of those in a state that nobody knows."""
    ids, last = col(OutboxMessage.id), tx.execute(sql_select(func.max(OutboxMessage.id))).scalar() or 0
    start = _turns.start(last - newest, newest)
    closed_ = _state.in_(CLOSED)
    for part in ((closed_, ids > last - newest), (closed_, ids > start, ids <= start + newest), (_unknown_state,)):
        yield from (row.key for row in _rows(tx, *part) if _closed_otherwise(row))


def _closed_otherwise(row: Found) -> bool:
    ours = row.state in CLOSED and envelopes.closed_so(row.key, row.state, row.closing)
    return row.state != OutboxState.NEW and not ours and _since(row) is not None


def _put_off(tx: Tx) -> Iterator[str]:
    return (row.key for row in _rows(tx, *_later(tx)) if _late(tx, row))


def _later(tx: Tx) -> tuple[ColumnElement[bool], ...]:
    late = tx.now + LONGEST
    return _state == OutboxState.NEW, or_(col(OutboxMessage.next_at) > late, col(OutboxMessage.leased_until) > late)


def _late(tx: Tx, row: Found) -> bool:
    """Whether a message that has not left is to leave, or to come back from a courier, later than we ever say."""
    since = _since(row)
    if row.state != OutboxState.NEW or since is None:
        return False
    latest = max(since, tx.now + LONGEST)
    later = or_(col(OutboxMessage.next_at) > latest, col(OutboxMessage.leased_until) > latest)
    return tx.exec(select(OutboxMessage.key).where(OutboxMessage.key == row.key, later)).first() is not None


def _since(row: Found) -> datetime | None:
    """From when the message may leave; nothing where nobody can tell."""
    if row.sealed == MADE_WHEN_SENT:
        return None
    try:
        return envelopes.since(row.key, row.sealed)
    except (CannotUnseal, ValueError):
        return None


# ── what no process can read ─────────────────────────────────────────────────


def mend(overdue: timedelta = timedelta(0)) -> int:
    """Make readable again what has been due for so long and is not; returns how many rows there were.

    What a message says and where it goes lies sealed in it; the rest of its row begins anew.
    """
    with reading() as tx:
        due = _state == OutboxState.NEW, col(OutboxMessage.next_at) <= tx.now - overdue
        ids = [one for one in tx.exec(select(OutboxMessage.id).where(*due)) if one is not None]
    broken = [one for start in range(0, len(ids), AT_ONCE) for one in _unreadable(ids[start : start + AT_ONCE])]
    return in_transaction(partial(_made_readable, ids=broken)) if broken else 0


def _unreadable(ids: Sequence[int]) -> Iterable[int]:
    try:
        with reading() as tx:
            for row in tx.exec(select(OutboxMessage).where(col(OutboxMessage.id).in_(ids))):
                Item.of(row)
    except (LookupError, TypeError, ValueError):
        return ids if len(ids) == 1 else [one for half in (0, 1) for one in _unreadable(ids[half::2])]
    return []


def _made_readable(tx: Tx, ids: Sequence[int]) -> int:
    keys = []
    for row_id in ids:
        which = col(OutboxMessage.id) == row_id
        for row in list(_rows(tx, which, lock=True)):
            keys.append(row.key)
            _write(
                tx,
                which,
                {**anew(tx), "created_at": tx.now, "leased_until": None, "reached": [], "twice": None, **_to(tx, row)},
            )
    if keys:
        _tell(tx, "unreadable", keys, f"发件箱有 {len(keys)} 条消息被写成无法读取的内容({'、'.join(keys[:5])})")
    return len(keys)


def _to(tx: Tx, row: Found) -> dict[str, Any]:
    """Where the message goes; one that we did not write goes nowhere."""
    try:
        _, to = envelopes.opened(row.key, row.sealed)
    except (CannotUnseal, ValueError):
        to = None
    return to or {"channel": Channel.STAFF, **closed(tx, row.key, OutboxState.DEAD, "不是本系统所写")}
