"""Bundles: what can wait a quarter of an hour reaches a role as one letter, not as one for each case.

The first letter about a waiting question leaves at once, and those that follow in the same quarter come together when it
is over; reminders and escalations always come as a list. A message that is nearly due, and every kind that asks for a
hand now, leaves by itself. What waits for its bundle stands in the outbox as skipped, with the bundle's key as its note.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sqlmodel import col, select

from models.cases import Case
from models.messages import Channel, OutboxMessage, OutboxState
from models.reviews import Review, Role
from notifications.catalogue import restore
from notifications.message import StaffMessage
from notifications.rendering import subject
from notifications.review import BundleEntry, StaffBundle
from office.base.db import Tx
from office.cases import links, merchants
from office.cases.gates import OPEN
from office.record import outbox
from office.record.sending import Item, Skip
from policies.policy import SHANGHAI, policy_at

MINUTE = "%Y-%m-%dT%H:%M"
INTO = "并入汇总"
NEARLY_DUE = timedelta(hours=1)
MOST = 200
"""Entries that a bundle lists; of the rest it says how many they are."""


def tell(tx: Tx, role: Role, message: StaffMessage, key: str, case: Case | None = None) -> None:
    """Tell everybody who holds a role, once per key: at once, or with the bundle of this quarter of an hour."""
    if outbox.written(tx, f"staff:{key}"):
        return
    minutes = policy_at(tx.now).staff.bundle_minutes
    until = _end(tx.now, minutes) if minutes and message.bundled and not _nearly_due(tx, message) else None
    if until is None or (message.first_at_once and _is_first(tx, role, until)):
        _put(tx, role, message, key, case)
        return
    while not _open(tx, role, until):  # it is leaving already: what comes now is for the next one
        until += timedelta(minutes=minutes)
    _put(tx, role, message, key, case, waits=until)


def _put(tx: Tx, role: Role, message: StaffMessage, key: str, case: Case | None, waits: datetime | None = None) -> None:
    outbox.put(
        tx,
        f"staff:{key}",
        Channel.STAFF,
        message.name,
        message.model_dump(mode="json"),
        case=case,
        audience=role,
        not_before=waits,
        bundled=_note(role, waits) if waits else "",
    )


def _nearly_due(tx: Tx, message: StaffMessage) -> bool:
    due = getattr(message, "due", None)
    return isinstance(due, datetime) and tx.now < due <= tx.now + NEARLY_DUE


def _end(now: datetime, minutes: int) -> datetime:
    span = minutes * 60
    return datetime.fromtimestamp((int(now.timestamp()) // span + 1) * span, UTC)


def _key(role: str, until: datetime) -> str:
    return f"bundle/{role}/{until:{MINUTE}}"


def _note(role: str, until: datetime) -> str:
    return f"{INTO} {_key(role, until)}"


def shown(note: str) -> str:
    """A message's note as people read it: which list it left with, by the time of Beijing."""
    if not note.startswith(INTO):
        return note
    until = note.rpartition("/")[2]
    at = datetime.strptime(until, MINUTE).replace(tzinfo=UTC).astimezone(SHANGHAI)
    return f"并入 {at:%m-%d %H:%M} 的汇总"


def _is_first(tx: Tx, role: Role, until: datetime) -> bool:
    """Whether nothing has been told to the role in this quarter; from now on something has."""
    key = f"{_key(role, until)}/first"
    return outbox.put(tx, key, Channel.STAFF, StaffBundle.name, {}, audience=role, bundled="本时段的第一条已单独发送")


def _open(tx: Tx, role: Role, until: datetime) -> bool:
    """Whether the bundle still takes messages, until this transaction ends: a courier leaves locked rows alone."""
    key = _key(role, until)
    outbox.put(tx, key, Channel.STAFF, StaffBundle.name, {}, audience=role, not_before=until)
    query = select(OutboxMessage).where(OutboxMessage.key == key)
    row = tx.exec(query.with_for_update(read=True) if tx.postgres else query).one()
    return row.state is OutboxState.NEW and row.attempts == 0


def message_of(tx: Tx, item: Item) -> StaffMessage:
    """The letter of a bundle: its only message, or all of them as one list. Raises ``Skip`` for an empty one.

    What was answered while it waited is not in it.
    """
    messages = list(_members(tx, item))
    if not messages:
        raise Skip("所列事项均已处理")
    if len(messages) == 1:
        return messages[0]
    context = merchants.context()
    entries = [
        BundleEntry(
            heading=one.bundled,
            link=getattr(one, "link", None),
            sentence=subject(one, context).removeprefix(f"【{context.product}】"),
        )
        for one in messages
    ]
    entries.sort(key=lambda entry: entry.heading)
    more, queue = max(0, len(entries) - MOST), links.of_queue(Role(item.audience))
    return StaffBundle(count=len(entries), entries=tuple(entries[:MOST]), more=more, link=queue)


def _members(tx: Tx, item: Item) -> Iterator[StaffMessage]:
    until = datetime.strptime(item.key.rpartition("/")[2], MINUTE).replace(tzinfo=UTC)
    query = select(OutboxMessage).where(
        OutboxMessage.state == OutboxState.SKIPPED,
        OutboxMessage.next_at == until,
        OutboxMessage.channel == Channel.STAFF,
        OutboxMessage.audience == item.audience,
        OutboxMessage.note == _note(item.audience, until),
    )
    rows = list(tx.exec(query.order_by(col(OutboxMessage.id))))
    asked = {row.id: row.key.removeprefix("staff:").partition("/")[0] for row in rows}
    answered = set(tx.exec(select(Review.id).where(col(Review.id).in_(asked.values()), col(Review.state).not_in(OPEN))))
    for row in rows:
        if asked[row.id] in answered:
            continue
        message = restore(row.topic, outbox.body(row))
        if isinstance(message, StaffMessage):
            yield message
