"""Unrest: since when runs have not come to rest, by our own reckoning.

What Prefect says of a run's last state is new as often as somebody sets it anew; what the sweep has seen itself is not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from models.audit import Installation
from models.cases import Case
from office.base.clock import clock
from office.base.db import Tx

FOR_LONG = timedelta(minutes=15)
"""So long without having suspended itself once, and a run is held up or does not get on. A segment takes seconds."""
FORGOTTEN = timedelta(days=1)
KEY = "restless_runs"


def for_long(tx: Tx, looked_at: Iterable[Case], restless: Iterable[str]) -> set[str]:
    """Of the runs that these cases are carried by, those found restless now and whenever we looked for 15 minutes."""
    row = tx.get(Installation, KEY) or Installation(key=KEY, value="{}")
    known = _read(row.value)
    now, found, held = clock().real(), set(restless), set()
    for case in looked_at:
        run_id, seen = case.run_id or "", case.run_seen_at.isoformat() if case.run_seen_at else ""
        since, rested = known.pop(run_id, [now.isoformat(), seen])
        if run_id in found:
            known[run_id] = [since if rested == seen else now.isoformat(), seen]  # it has rested meanwhile
            if now - datetime.fromisoformat(known[run_id][0]) > FOR_LONG:
                held.add(run_id)
    row.value = json.dumps(
        {
            run_id: entry
            for run_id, entry in known.items()
            if now - datetime.fromisoformat(entry[0]) < FORGOTTEN or run_id in found
        }
    )
    tx.add(row)
    return held


def _read(noted: str) -> dict[str, list[str]]:
    """What was noted; nothing where it is not ours to read."""
    try:
        return {
            run_id: [datetime.fromisoformat(since).astimezone(UTC).isoformat(), seen]
            for run_id, (since, seen) in json.loads(noted).items()
        }
    except (ValueError, TypeError, AttributeError):
        return {}
