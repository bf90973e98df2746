"""Alerts: what the supervisor hears when the record, the books or the settings are not as they must be. Once per finding."""

from __future__ import annotations

import random

from sqlmodel import col, select

from models.messages import Channel, OutboxMessage
from models.reviews import Role
from notifications.message import StaffMessage
from notifications.operations import IntegrityBroken
from office.base.db import Tx
from office.record import audit, outbox

ALERT = "staff:integrity/"
STREAM, TOLD = "alerts", "alert.told"
"""The chain in which it stands what the supervisor was told, and the name of its lines."""
NEWEST = 100
"""Alerts that each sweep looks for, and as many of the older ones in turn."""


class Turns:
    """How far the older of many were looked at: kept by the process and in no row, so that nobody has it begin again."""

    def __init__(self) -> None:
        self._next = -1

    def start(self, of: int, size: int) -> int:
        """Where the next so many begin; somewhere at first, and at the beginning when all have had their turn."""
        start = self._next if self._next >= 0 else random.randrange(max(of, 1))
        start = start if start < of else 0
        self._next = start + size
        return start


_turns = Turns()


def doubled(count: int) -> bool:
    """Whether a number that grows is told again: each time it is twice what was told last, so that nobody floods anybody."""
    return count & (count - 1) == 0


def tell(tx: Tx, key: str, *, where: str, finding: str, consequence: str) -> bool:
    """Tell the supervisor; ``False`` when they have been told of this finding before."""
    message = IntegrityBroken(where=where, finding=finding, consequence=consequence, found_at=tx.now)
    body = message.model_dump(mode="json")
    told = outbox.put(tx, f"{ALERT}{key}", Channel.STAFF, message.name, body, audience=Role.SUPERVISOR)
    if told:
        remember(tx, f"{ALERT}{key}", message, f"告知主管:{where}")
    return told


def altered(tx: Tx, key: str, *, where: str, finding: str, done: str) -> bool:
    """Tell the supervisor that the database says what this system never wrote (``finding``), and what was ``done`` about it."""
    return tell(
        tx,
        key,
        where=where,
        finding=f"{finding}:有人绕过系统改动了数据库。",
        consequence=f"{done};请立即排查谁改动了数据库。",
    )


def remember(tx: Tx, key: str, message: StaffMessage, text: str) -> None:
    """Have it stand in the record that the supervisor is told this, so that whoever deletes the letter gains nothing."""
    said = message.model_dump(mode="json")
    audit.record(tx, STREAM, TOLD, text=text, key=key, topic=message.name, message=said)


def told_again(tx: Tx) -> int:
    """Write alerts anew that somebody has deleted before, or after, they left: of the newest, and of the older ones in turn.
    Returns how many."""
    # Of whole chains only: nothing that SQL has put there is said.
    lines = [line for line in audit.found_whole(tx, STREAM) if line.action == TOLD]
    older, newest = lines[:-NEWEST], lines[-NEWEST:]
    start = _turns.start(len(older), NEWEST)
    said = {str(line.detail["key"]): line.detail for line in (*older[start : start + NEWEST], *newest)}
    there = set(tx.exec(select(OutboxMessage.key).where(col(OutboxMessage.key).in_(said))))
    for key in said.keys() - there:
        topic = said[key].get("topic", IntegrityBroken.name)
        outbox.put(tx, key, Channel.STAFF, topic, said[key]["message"], audience=Role.SUPERVISOR)
    return len(said.keys() - there)
