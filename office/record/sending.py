"""What is in the outbox leaves: leased, delivered at least once, and written down how it went."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Delete, delete, or_, update
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from models.cases import Case
from models.messages import Channel, OutboxMessage, OutboxState
from office.base.clock import clock
from office.base.db import Tx, in_transaction, prepared
from office.record import audit, envelopes
from office.record.outbox import CHANGED, MADE_WHEN_SENT, TABLE, THIS, closed, tell_planted, wake

logger = logging.getLogger("dianwu.outbox")

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
            row.key,
            row.channel,
            row.topic,
            row.audience,
            row.case_id,
            row.shop_id,
            row.payload_sealed,
            row.attempts,
            row.created_at,
            tuple(row.reached),
            row.wakes,
        )

    @property
    def payload(self) -> Any:
        """What is to be delivered; raises ``CannotUnseal``."""
        return envelopes.opened(self.key, self.payload_sealed)[0]

    @property
    def last(self) -> bool:
        """Whether this attempt is the last: when it fails, the message is given up."""
        return self.attempts > len(BACKOFF)


@prepared
def _due(now: datetime, channels: Sequence[Channel], limit: int) -> SelectOfScalar[OutboxMessage]:
    due = select(OutboxMessage).where(
        OutboxMessage.state == OutboxState.NEW,
        col(OutboxMessage.channel).in_(channels),
        col(OutboxMessage.next_at) <= now,
        or_(col(OutboxMessage.leased_until).is_(None), col(OutboxMessage.leased_until) < now),
    )
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


_GONE: Delete = delete(TABLE).where(THIS)


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
    tx.connection().execute(CHANGED, {"which": item.key, **values})
    state = OutboxState(values.get("state", OutboxState.NEW))
    if item.wakes and state is not OutboxState.NEW and (case := tx.get(Case, item.wakes)):
        wake(tx, case)
    if state == OutboxState.DEAD:
        audit.record(
            tx,
            item.case_id or "system",
            "outbox.dead",
            text=f"投递失败已停止重试:{item.topic}",
            key=item.key,
            topic=item.topic,
        )
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
        tell_planted(tx, item.key, item.topic)

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
