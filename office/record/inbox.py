"""The inbox: what reached the door, once per source and message id; acted on later, in order, or kept."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from pydantic import TypeAdapter
from sqlalchemy import and_, or_
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from models.base import Frozen, Labelled
from models.cases import Case
from models.messages import InboxMessage, InboxState
from models.wire import Moment
from office.base.clock import clock
from office.base.db import RETRIES, Tx, in_transaction, prepared
from office.base.vault import opened, place, place_in, seal
from office.record import alerts, audit
from office.record.sameness import same_event

logger = logging.getLogger("dianwu.inbox")

ODD = "odd"
"""``<source>.odd`` is the type of an entry in a sender's batch that is no event: kept as it came, beside the good ones."""
AGAIN = timedelta(seconds=30)
"""When a message that waits for an earlier one is looked at again."""
BACKOFF = [1, 5, 30, 120, 600, 3600]


MOST_OTHERS = 20
"""Other contents under one id that are kept, recorded and told; of further ones their number is told as it doubles."""

_MOMENT = TypeAdapter[datetime](Moment)


class Arrival(Frozen):
    """A verified message as an adapter hands it over. ``body`` are the raw bytes as signed."""

    source: str
    message_id: str
    type: str
    shop_id: str | None = None
    case_id: str | None = None
    body: bytes
    earlier_id: str = ""
    """Under which id earlier versions stored the same message, where that is another one."""


def said_at(message: InboxMessage) -> datetime:
    """When its sender says that it happened, never after it reached us; when it reached us, where it does not say."""
    body = json.loads(opened(message, "body_sealed"))
    said = body.get("timestamp") if isinstance(body, dict) else None
    return min(_MOMENT.validate_python(said), message.received_at) if said else message.received_at


class Receipt(Labelled):
    NEW = "NEW", "已收下"
    SAME = "SAME", "重复消息"
    REFUSED = "REFUSED", "重复消息,此前已拒绝"
    """The same again, after it was refused: it is not looked at any more. Corrected, it needs an id of its own."""
    CONFLICT = "CONFLICT", "编号相同内容不同"


class Refused(Exception):
    """A message understood and refused: ``str`` is the Chinese sentence, ``clause`` where it comes from.

    A sentence that asks for a person says in ``heard`` how a person hears it, in the transaction that refuses.
    """

    def __init__(
        self, sentence: str, clause: str = "", *, heard: Callable[[Tx, InboxMessage], None] | None = None
    ) -> None:
        super().__init__(sentence)
        self.clause, self.heard = clause, heard


class Early(Refused):
    """Refused only because what it names (its shop, its blue invoice) is not known yet: that may still be on its way.

    It waits as long as policy says, and is refused when that is over.
    """


class Later(Exception):
    """A message that an earlier one, not acted on yet, has to go before. It waits, and that counts as no fault."""


class Kept(Exception):
    """A message acknowledged and kept, with nothing to do. ``tell`` lets a person hear of it."""

    def __init__(self, note: str, tell: Callable[[Tx, InboxMessage], None] | None = None) -> None:
        super().__init__(note)
        self.tell = tell


def receive(arrival: Arrival, on_conflict: Callable[[Tx, InboxMessage], None], since: float | None = None) -> Receipt:
    """Store a message before it is answered. The same id with another content is kept as a conflict and alerted."""
    return receive_all([arrival], on_conflict, since)[0]


def receive_all(
    arrivals: Sequence[Arrival], on_conflict: Callable[[Tx, InboxMessage], None], since: float | None = None
) -> list[Receipt]:
    """Store the messages of one request, all or none, in the order in which they stand there.

    ``since`` is what ``clock().ticks()`` said when the request reached the door: that is when they were received,
    however long their body, our queue or the database's writer then took.
    """
    ids = [one for arrival in arrivals for one in (arrival.message_id, arrival.earlier_id) if one]

    def work(tx: Tx) -> list[Receipt]:
        moment = tx.now - timedelta(seconds=clock().ticks() - since if since is not None else 0)
        known = {(row.source, row.message_id): row for row in _known(tx, ids)}
        receipts = []
        for arrival in arrivals:
            digest = hashlib.sha256(arrival.body).hexdigest()
            before = known.get((arrival.source, arrival.message_id))
            earlier = known.get((arrival.source, arrival.earlier_id))
            if before is None and earlier is not None and _says(earlier, arrival, digest):
                before = earlier
            if before is None:
                known[arrival.source, arrival.message_id] = row = _row(arrival, digest, moment, tx.now)
                tx.add(row)
                receipts.append(Receipt.NEW)
            elif _says(before, arrival, digest):
                receipts.append(Receipt.REFUSED if before.state is InboxState.REFUSED else Receipt.SAME)
            else:
                _keep_conflict(tx, before, arrival, digest)
                if before.conflicts <= MOST_OTHERS or alerts.doubled(before.conflicts):
                    on_conflict(tx, before)
                receipts.append(Receipt.CONFLICT)
        tx.flush()
        return receipts

    for _ in range(RETRIES):
        try:
            return in_transaction(work)
        except IntegrityError:  # copies of one message at the same moment: who comes second reads what the first wrote
            continue
    return in_transaction(work)


def _says(before: InboxMessage, arrival: Arrival, digest: str) -> bool:
    """Whether the message that is there says what has come."""
    return before.body_sha256 == digest or same_event(arrival.body, opened(before, "body_sealed").encode())


@prepared
def _known(ids: Sequence[str]) -> SelectOfScalar[InboxMessage]:
    return select(InboxMessage).where(col(InboxMessage.message_id).in_(ids))


def _row(arrival: Arrival, digest: str, received_at: datetime, now: datetime) -> InboxMessage:
    where = place(InboxMessage, "body_sealed", arrival.source, arrival.message_id)
    return InboxMessage(
        source=arrival.source,
        message_id=arrival.message_id,
        type=arrival.type,
        shop_id=arrival.shop_id,
        case_id=arrival.case_id,
        body_sealed=seal(arrival.body.decode("utf-8"), where),
        body_sha256=digest,
        received_at=received_at,
        next_at=now,
    )


def _keep_conflict(tx: Tx, before: InboxMessage, arrival: Arrival, digest: str) -> None:
    before.conflicts += 1
    tx.add(before)
    if before.conflicts > MOST_OTHERS:  # counted, so that nobody fills the row, the record and people's post by one id
        tx.flush()
        return
    if digest not in before.others:
        before.others = {
            **before.others,
            digest: seal(arrival.body.decode("utf-8"), place_in(before, "others", digest)),
        }
    tx.add(before)
    tx.flush()
    audit.record(
        tx,
        "system",
        "inbox.conflict",
        text="同一消息编号收到不同内容",
        source=arrival.source,
        message_id=arrival.message_id,
        sha256=digest,
        first_sha256=before.body_sha256,
    )


def look_again(tx: Tx, shop_id: str) -> None:
    """What waits for this shop is due now: it is known, or one of its invoices is."""
    query = select(InboxMessage).where(InboxMessage.shop_id == shop_id, InboxMessage.state == InboxState.NEW)
    for row in tx.exec(query.where(col(InboxMessage.next_at) > tx.now, InboxMessage.attempts == 0)):
        row.next_at = tx.now
        tx.add(row)


def unrouted_before(tx: Tx, case: Case, moment: datetime) -> bool:
    """Whether something that reached the door by ``moment`` and may concern the case is still not acted on.

    While it is, no window of the case lapses: our being slow, or our fault, is never the merchant's silence. What we
    gave up on holds the case and the shop it names until somebody has mended or dismissed it; one that names no shop
    holds nobody.
    """
    row = InboxMessage
    waiting = or_(col(row.shop_id).is_(None), col(row.shop_id) == case.shop_id, col(row.case_id) == case.id)
    given_up = or_(col(row.shop_id) == case.shop_id, col(row.case_id) == case.id)
    query = select(row.id).where(
        col(row.received_at) <= moment,
        or_(
            and_(col(row.state) == InboxState.NEW, waiting),
            and_(col(row.state) == InboxState.FAILED, given_up),
        ),
    )
    return tx.exec(query.limit(1)).first() is not None


def behind(tx: Tx, message: InboxMessage, *types: str) -> bool:
    """Whether an earlier message of the same shop, of one of these types, still waits or was given up by us."""
    row = InboxMessage
    query = select(row.id).where(
        row.shop_id == message.shop_id,
        col(row.type).in_(types),
        col(row.received_at) <= message.received_at,
        col(row.state).in_([InboxState.NEW, InboxState.FAILED]),
        col(row.id) != message.id,
    )
    return tx.exec(query.limit(1)).first() is not None


def retry(tx: Tx, number: int, actor: str = "system") -> str:
    """Act on a failed message again, as of when it was received; the sentence if it may not be."""
    row = tx.get(InboxMessage, number)
    if row is None:
        return f"没有编号为 {number} 的消息"
    if row.state is not InboxState.FAILED:
        return f"该消息的状态是「{row.state.label}」,只有处理失败的消息可以重试"
    row.state, row.attempts, row.next_at, row.handled_at, row.note = InboxState.NEW, 0, tx.now, None, ""
    tx.add(row)
    audit.record(
        tx,
        row.case_id or "system",
        "inbox.retried",
        actor=actor,
        text=f"重新处理消息:{row.type}",
        source=row.source,
        message_id=row.message_id,
    )
    return ""
