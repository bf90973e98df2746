"""When the sweep ran last: what those who watch it from outside Prefect go by."""

from __future__ import annotations

from models.audit import Installation
from office.base.clock import clock
from office.base.db import Tx

SWEPT = "swept_at"


def note(tx: Tx) -> None:
    """The sweep has run, by the time outside."""
    row = tx.get(Installation, SWEPT) or Installation(key=SWEPT, value="")
    row.value = clock().real().isoformat()
    tx.add(row)
