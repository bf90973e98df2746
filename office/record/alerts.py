"""Alerts: what the supervisor hears when the record, the books or the settings are not as they must be. Once per finding."""

from __future__ import annotations

from models.messages import Channel
from models.reviews import Role
from notifications.operations import IntegrityBroken
from office.base.db import Tx
from office.record import outbox


def tell(tx: Tx, key: str, *, where: str, finding: str, consequence: str) -> bool:
    """Tell the supervisor; ``False`` when they have been told of this finding before."""
    message = IntegrityBroken(where=where, finding=finding, consequence=consequence, found_at=tx.now)
    return outbox.put(
        tx, f"staff:integrity/{key}", Channel.STAFF, message.name, message.model_dump(mode="json"),
        audience=Role.SUPERVISOR,
    )  # fmt: skip
