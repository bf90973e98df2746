"""Alerts: what the supervisor hears when the record, the books or the settings are not as they must be. Once per finding."""

from __future__ import annotations

from sqlmodel import col, select

from models.messages import Channel, OutboxMessage
from models.reviews import Role
from notifications.operations import IntegrityBroken
from office.base.db import Tx
from office.record import audit, outbox

ALERT = "staff:integrity/"
STREAM, TOLD = "alerts", "alert.told"
"""The chain in which it stands what the supervisor was told, and the name of its lines."""
NEWEST = 100
"""Alerts that each sweep looks for."""


def tell(tx: Tx, key: str, *, where: str, finding: str, consequence: str) -> bool:
    """Tell the supervisor; ``False`` when they have been told of this finding before."""
    message = IntegrityBroken(where=where, finding=finding, consequence=consequence, found_at=tx.now)
    body = message.model_dump(mode="json")
    told = outbox.put(tx, f"{ALERT}{key}", Channel.STAFF, message.name, body, audience=Role.SUPERVISOR)
    if told:
        audit.record(tx, STREAM, TOLD, text=f"告知主管:{where}", key=f"{ALERT}{key}", message=body)
    return told


def told_again(tx: Tx) -> int:
    """Write the newest alerts anew that somebody has deleted before, or after, they left; returns how many."""
    # Of whole chains only: nothing that SQL has put there is said.
    lines = [line for line in audit.found_whole(tx, STREAM) if line.action == TOLD]
    said = {str(line.detail["key"]): line.detail["message"] for line in lines[-NEWEST:]}
    there = set(tx.exec(select(OutboxMessage.key).where(col(OutboxMessage.key).in_(said))))
    for key in said.keys() - there:
        outbox.put(tx, key, Channel.STAFF, IntegrityBroken.name, said[key], audience=Role.SUPERVISOR)
    return len(said.keys() - there)
