"""The outbox: what must reach somebody, written with the change that causes it, delivered at least once."""

from __future__ import annotations

import hashlib
import logging
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

from sqlalchemy import ColumnElement, Delete, Executable, Update, bindparam, delete, or_, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from models.cases import Case
from models.messages import Channel, OutboxMessage, OutboxState
from office.base.clock import clock
from office.base.db import Tx, in_transaction, prepared
from office.record import audit, envelopes

logger = logging.getLogger("dianwu.outbox")

RUN, TAGS = "run", "tags"
"""What is told of a case's run: to start or wake up, to show anew whose question it is."""
TO_MERCHANT, COPY = "merchant:", "platform:message/"
"""How the keys of one message to a merchant begin: of what goes to them, and of its copy for their platform inbox."""
PERSON = "@"
"""How the audience of a message to one person begins, over a channel of their own."""
_WIRE_ID = re.compile(r"[A-Za-z0-9._:/-]{1,200}")
"""What the key of an event is made of: it leaves as its ``webhook-id``, and receivers refuse any other."""
MADE_WHEN_SENT = ""
"""What lies sealed in a bulk message: nothing. Its words are made from the statement when it leaves (``tasks.words``)."""
HELD = "决定被提出异议,案件停止期间扣住不发"
PLANTED = "staff:integrity/planted/"
"""How the keys of alarms begin that say that a message was there, or went elsewhere, by somebody else's hand."""
LEASE = timedelta(seconds=60)
SLOW = LEASE.total_seconds() / 3
"""Seconds after which a courier gives back what it has not come to, long before others may take it too."""
PATIENCE = [0.1, 0.3, 1, 2, 4, 8, 15, 15]
"""Seconds after which the result of a delivery is written again while the database is away, less than a lease together."""
BACKOFF = [1, 5, 30, 120, 600, 3600, 4 * 3600, 12 * 3600]
"""Seconds after each failed attempt; when they are used up the message is dead and an operator is told."""


class Skip(Exception):
    """Nothing to deliver, for a reason worth keeping (no channel, the case has ended)."""


class NotYet(Exception):
    """Not an error: try again very soon (the run to wake is still busy)."""


class Undeliverable(Exception):
    """An attempt failed; ``str`` says why, without any address. ``reached`` are the services that did take it."""

    def __init__(self, why: str, reached: tuple[str, ...] = ()) -> None:
        super().__init__(why)
        self.reached = reached


@dataclass(frozen=True)
class Item:
    """A leased message."""

    key: str
    channel: Channel
    topic: str
    audience: str
    case_id: str | None
    shop_id: str | None
    payload_sealed: str = field(repr=False)
    attempts: int
    created_at: datetime
    reached: tuple[str, ...] = ()
    wakes: str | None = None

    @classmethod
    def of(cls, row: OutboxMessage) -> Item:
        return cls(
            row.key, row.channel, row.topic, row.audience, row.case_id, row.shop_id, row.payload_sealed, row.attempts,
            row.created_at, tuple(row.reached), row.wakes,
        )  # fmt: skip

    @property
    def payload(self) -> Any:
        """What is to be delivered; raises ``CannotUnseal``."""
        return envelopes.opened(self.key, self.payload_sealed)[0]

    @property
    def last(self) -> bool:
        """Whether this attempt is the last: when it fails, the message is given up."""
        return self.attempts > len(BACKOFF)


def body(row: OutboxMessage) -> Any:
    """What lies sealed in a row; raises ``CannotUnseal``."""
    return envelopes.opened(row.key, row.payload_sealed)[0]


def written(tx: Tx, key: str) -> bool:
    """Whether a message of this key is there and it was we who wrote it: nobody keeps it from being written beforehand."""
    row = tx.exec(select(OutboxMessage).where(OutboxMessage.key == key)).first()
    return row is not None and envelopes.ours(row)


def put(
    tx: Tx,
    key: str,
    channel: Channel,
    topic: str,
    payload: Any,
    *,
    case: Case | None = None,
    shop_id: str | None = None,
    audience: str = "",
    not_before: datetime | None = None,
    wakes: bool = False,
    bundled: str = "",
) -> bool:
    """Write one message; ``False`` if it is there already (then nothing is written). One that is there and is not ours was
    put there to silence it: it is written in its place.

    ``wakes`` has the case's run woken when the message has left. ``bundled`` says with what it leaves: by itself it
    does not.
    """
    if channel is Channel.EVENT and not _WIRE_ID.fullmatch(key):
        raise ValueError(f"{key!r} cannot be a webhook-id: letters, digits and . _ : / - only")
    to: dict[str, Any] = {
        "channel": channel, "topic": topic, "audience": audience, "case_id": case.id if case else None,
        "shop_id": shop_id or (case.shop_id if case else None),
    }  # fmt: skip
    row: dict[str, Any] = {
        "key": key, **to, "payload_sealed": envelopes.sealed(key, payload, to, not_before or tx.now),
        "created_at": tx.now, "state": OutboxState.NEW, "attempts": 0, "next_at": not_before or tx.now, "note": "",
        "reached": [], "wakes": case.id if case and wakes else None, "closing_seal": None,
    }  # fmt: skip
    if bundled:
        row |= closed(tx, key, OutboxState.SKIPPED, bundled)
    tx.flush()
    if tx.connection().execute(_written_once(tx.postgres), row).first() is not None:
        return True
    if channel is Channel.RUN or written(tx, key):
        return False
    tx.execute(update(OutboxMessage).where(col(OutboxMessage.key) == key).values(row | {"leased_until": None}))
    _tell_planted(tx, key, topic)
    return True


_rows: Any = OutboxMessage.__table__  # type: ignore[attr-defined]
_this = _rows.c.key == bindparam("which")


@cache
def _written_once(postgres: bool) -> Executable:
    insert = (postgres_insert if postgres else sqlite_insert)(_rows)
    return insert.on_conflict_do_nothing(index_elements=["key"]).returning(_rows.c.id)


def _tell_planted(tx: Tx, key: str, topic: str) -> None:
    """The supervisor hears that a message was there which we had not written; of an alarm of this kind, no further one."""
    from office.record import alerts  # an alarm is a message in the outbox

    if not key.startswith(PLANTED):
        alerts.tell(
            tx, f"planted/{hashlib.sha256(key.encode()).hexdigest()[:24]}/{tx.now.isoformat()}", where="发件箱",
            finding=f"消息「{topic}」({key})在写入之前已被人以同一编号写入数据库,内容或去向不是本系统所写。",
            consequence="已改为系统应发的内容,照常发送;请立即排查谁改动了数据库。",
        )  # fmt: skip


def wake(tx: Tx, case: Case) -> None:
    """Have the case's run started or woken. A wake-up not yet picked up serves for this one too."""
    if _not_picked_up(tx, case.id).first() is None:
        put(tx, f"run/{case.id}/{uuid.uuid4().hex}", Channel.RUN, RUN, {}, case=case)


@prepared
def _not_picked_up(case_id: str) -> SelectOfScalar[str]:
    return select(OutboxMessage.key).where(
        OutboxMessage.case_id == case_id, OutboxMessage.channel == Channel.RUN, OutboxMessage.topic == RUN,
        OutboxMessage.state == OutboxState.NEW, OutboxMessage.attempts == 0,
    )  # fmt: skip


def retag(tx: Tx, case: Case) -> None:
    """Have the run list show anew whose question the case is."""
    put(tx, f"tags/{case.id}/{uuid.uuid4().hex}", Channel.RUN, TAGS, {}, case=case)


@prepared
def _due(now: datetime, channels: Sequence[Channel], limit: int) -> SelectOfScalar[OutboxMessage]:
    due = select(OutboxMessage).where(
        OutboxMessage.state == OutboxState.NEW, col(OutboxMessage.channel).in_(channels), col(OutboxMessage.next_at) <= now,
        or_(col(OutboxMessage.leased_until).is_(None), col(OutboxMessage.leased_until) < now),
    )  # fmt: skip
    in_turn = due.order_by(col(OutboxMessage.next_at), col(OutboxMessage.id)).limit(limit)
    return in_turn.with_for_update(skip_locked=True)


def lease(tx: Tx, limit: int, channels: Sequence[Channel] = tuple(Channel)) -> list[Item]:
    """Take up to ``limit`` due messages for a minute; nobody else gets them meanwhile."""
    rows = list(_due(tx, tx.now, channels, limit))
    for row in rows:
        if row.leased_until is not None:  # whoever had it never said how it went
            row.twice = (row.twice or 0) + 1
        row.leased_until = tx.now + LEASE
        row.attempts = max(row.attempts, 0) + 1
        tx.add(row)
    tx.flush()
    return [Item.of(row) for row in rows]


_GONE: Delete = delete(_rows).where(_this)
_CHANGED: Update = update(_rows).where(_this)


def closed(tx: Tx, key: str, state: OutboxState, note: str) -> dict[str, Any]:
    """What stands in the row of a message that has left, or will not."""
    return {"state": state, "closed_at": tx.now, "note": note, "closing_seal": envelopes.closing(key, state)}


def anew(tx: Tx) -> dict[str, Any]:
    """What stands in the row of a message that is to leave, from its first attempt on."""
    return {
        "state": OutboxState.NEW, "attempts": 0, "next_at": tx.now, "closed_at": None, "note": "", "closing_seal": None,
    }  # fmt: skip


def settle(tx: Tx, item: Item, outcome: Exception | None, note: str = "") -> OutboxState:
    """Record how a delivery went: sent, skipped with a reason, tried again later, or dead; wake the case it was to wake.

    What had a case's run woken is of no more use once it has: its row goes, so that a waiting case keeps none.
    """
    if item.channel is Channel.RUN and (outcome is None or isinstance(outcome, Skip)):
        tx.connection().execute(_GONE, {"which": item.key})
        return OutboxState.SKIPPED if outcome else OutboxState.SENT
    values: dict[str, Any] = {"leased_until": None}
    match outcome:
        case None:
            values |= closed(tx, item.key, OutboxState.SENT, note)
        case Skip():
            values |= closed(tx, item.key, OutboxState.SKIPPED, str(outcome))
        case NotYet():
            values |= {"next_at": tx.now + timedelta(milliseconds=300), "attempts": 0, "note": str(outcome)}
        case _ if item.channel is Channel.RUN:  # a case is never given up; Prefect being down is not its fault
            values |= {"next_at": tx.now + timedelta(seconds=min(BACKOFF[min(item.attempts, 4) - 1], 30))}
            values |= {"note": str(outcome)}
        case _ if item.last:
            values |= closed(tx, item.key, OutboxState.DEAD, str(outcome))
        case _:
            values |= {"next_at": tx.now + timedelta(seconds=BACKOFF[item.attempts - 1]), "note": str(outcome)}
    if isinstance(outcome, Undeliverable) and outcome.reached:
        values["reached"] = sorted({*item.reached, *outcome.reached})
    tx.connection().execute(_CHANGED, {"which": item.key, **values})
    state = OutboxState(values.get("state", OutboxState.NEW))
    if item.wakes and state is not OutboxState.NEW and (case := tx.get(Case, item.wakes)):
        wake(tx, case)
    if state == OutboxState.DEAD:
        audit.record(
            tx, item.case_id or "system", "outbox.dead", text=f"投递失败已停止重试:{item.topic}", key=item.key,
            topic=item.topic,
        )  # fmt: skip
    return state


Deliverer = Callable[[Item], str]
"""Delivers one message; returns a note on how it went when it arrived, raises Skip, NotYet or Undeliverable otherwise."""


def deliver_due(
    deliverers: Mapping[Channel, Deliverer], on_dead: Callable[[Tx, Item, str], None], limit: int = 50
) -> int:
    """Deliver what is due now; returns how many were tried. Safe to run in several places at once."""
    began = clock().ticks()
    taken = partial(in_transaction, lambda tx: lease(tx, limit, tuple(deliverers)))
    try:
        items = taken()
    except (LookupError, TypeError, ValueError):  # a row that somebody has made unreadable holds up no other
        from office.record import unsent

        unsent.mend()
        items = taken()
    for position, item in enumerate(items):
        if clock().ticks() - began > SLOW:
            _give_back(items[position:])
            return position
        outcome: Exception | None = None
        note = ""
        try:
            _insist(item)
            note = deliverers[item.channel](item)
        except (Skip, NotYet, Undeliverable) as raised:
            outcome = raised
        except Exception as fault:  # one message with a fault in it waits, and never holds up the others
            logger.exception("outbox message %s failed and will be tried again", item.key)
            outcome = Undeliverable(type(fault).__name__)
        _settle(item, outcome, note, on_dead)
    return len(items)


def _insist(item: Item) -> None:
    """Send nothing elsewhere than it was written for: an address that was changed is put right, told, and comes again."""
    if item.channel is Channel.RUN or item.payload_sealed == MADE_WHEN_SENT:
        return
    _, to = envelopes.opened(item.key, item.payload_sealed)
    if to is not None and to != envelopes.address(item):
        readdress(item, **to)


def readdress(item: Item, **to: Any) -> None:
    """Have a message go where it was written for; raises ``NotYet``, so that it is taken up again."""

    def work(tx: Tx) -> None:
        tx.execute(update(OutboxMessage).where(col(OutboxMessage.key) == item.key).values(**to))
        _tell_planted(tx, item.key, item.topic)

    in_transaction(work)
    raise NotYet("its address was changed in the database")


def _give_back(items: Sequence[Item]) -> None:
    """Let others have what was taken and not tried, unless they took it already; it counts as no attempt."""

    def work(tx: Tx) -> None:
        for item in items:
            ours = (col(OutboxMessage.key) == item.key, col(OutboxMessage.attempts) == item.attempts)
            tx.execute(update(OutboxMessage).where(*ours).values(leased_until=None, attempts=item.attempts - 1))

    in_transaction(work)


def _settle(item: Item, outcome: Exception | None, note: str, on_dead: Callable[[Tx, Item, str], None]) -> None:
    def work(tx: Tx) -> None:
        if settle(tx, item, outcome, note) == OutboxState.DEAD:
            on_dead(tx, item, str(outcome))

    for pause in PATIENCE:
        try:
            return in_transaction(work)
        except (OperationalError, InterfaceError):
            logger.warning("the database is away: how %s went is written down as soon as it is back", item.key)
            time.sleep(pause)
    in_transaction(work)


def drop(tx: Tx, prefix: str, why: str) -> None:
    """Skip what has not left yet and whose key begins so: what it says is no longer true."""
    _skip(tx, why, col(OutboxMessage.key).startswith(prefix, autoescape=True))


def hold(tx: Tx, case: Case) -> None:
    """Keep back what the case says and orders to the outside and that has not left yet, until :func:`let_go`."""
    outside = col(OutboxMessage.channel).in_([Channel.EVENT, Channel.MERCHANT])
    _skip(tx, HELD, col(OutboxMessage.case_id) == case.id, outside)


def _skip(tx: Tx, why: str, *which: ColumnElement[bool]) -> None:
    waiting = col(OutboxMessage.state) == OutboxState.NEW, col(OutboxMessage.leased_until).is_(None)
    keys = list(tx.exec(select(OutboxMessage.key).where(*which, *waiting).with_for_update()))
    if keys:
        rows = [{"which": key, **closed(tx, key, OutboxState.SKIPPED, why)} for key in keys]
        tx.connection().execute(_CHANGED, rows)


def let_go(tx: Tx, case: Case) -> None:
    """Have what was kept back leave, in the order in which it was written."""
    kept = col(OutboxMessage.case_id) == case.id, col(OutboxMessage.note) == HELD
    tx.execute(update(OutboxMessage).where(*kept).values(**anew(tx)))


def drop_reminders(tx: Tx, case_id: str, deadline: str, why: str) -> None:
    """Skip the merchant's reminders of a deadline that have not left yet: to their contacts, and to the platform."""
    for to in (TO_MERCHANT, COPY):
        drop(tx, f"{to}{case_id}/{deadline}/remind/", why)


def resend(tx: Tx, key: str, actor: str = "system") -> str:
    """Send a dead or skipped message again, from the first attempt; the sentence if it may not be.

    What an objection keeps back leaves when a supervisor lets the case go on, and not before.
    """
    row = tx.exec(select(OutboxMessage).where(OutboxMessage.key == key)).first()
    if row is None:
        return f"没有键为 {key} 的消息"
    if row.state not in {OutboxState.DEAD, OutboxState.SKIPPED}:
        return f"该消息的状态是「{row.state.label}」,只有投递失败或已跳过的消息可以重发"
    case = tx.get(Case, row.case_id) if row.case_id else None
    if row.note == HELD or (case is not None and case.halted):
        return f"案件 {row.case_id} 已停止,其消息不予重发;核实后执行 dianwu cases retry {row.case_id},扣住的随之发出"
    tx.add(row.sqlmodel_update(anew(tx)))
    audit.record(tx, row.case_id or "system", "outbox.resent", actor=actor, text=f"重新投递:{row.topic}", key=key)
    return ""
