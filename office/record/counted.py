"""Counted: how many lines the record had, written into it every night, as no line of ours ever goes.

A chain that SQL has put back to an earlier end of its own, with the seal it had then, is whole, and so is the record without
a chain that was taken away. Then lines are missing that were counted. What is counted goes by the time that stands in a line,
which its hash covers; how far the chain of counts goes each machine remembers (``seen``).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise

from sqlmodel import col, func, select

from models.audit import AuditEntry
from office.base.db import Tx
from office.record import audit

COUNTED = "audit.counted"
SETTLED = timedelta(minutes=10)
"""Whatever was written so long ago was committed, on whichever machine."""


def count(tx: Tx) -> None:
    """Count what there is, and say how many of those counted before are gone."""
    until = tx.now - SETTLED
    gone = _gone(tx)
    lines = _lines(tx, until)
    audit.record(
        tx,
        audit.COUNTS,
        COUNTED,
        text=f"审计记录共 {lines} 行" + (f",此前清点过的少了 {gone} 行" if gone else ""),
        until=until.isoformat(),
        lines=lines,
        gone=gone,
    )


def check(tx: Tx) -> Iterator[str]:
    """How many lines were found gone when they were counted again, and now; a sentence each, the same by day and by night."""
    counts = _counts(tx)
    found = [(before, after.detail["gone"]) for before, after in pairwise(counts)]
    for line, gone in [*found, *((line, _gone(tx)) for line in counts[-1:])]:
        if gone:
            yield f"{gone} lines counted on {line.at:%Y-%m-%d %H:%M} are gone: a chain was put back or taken away"


def _gone(tx: Tx) -> int:
    last = next(reversed(_counts(tx)), None)
    return max(last.detail["lines"] - _lines(tx, datetime.fromisoformat(last.detail["until"])), 0) if last else 0


def _counts(tx: Tx) -> list[AuditEntry]:
    return [line for line in audit.found_whole(tx, audit.COUNTS) if line.action == COUNTED]


def _lines(tx: Tx, until: datetime) -> int:
    return tx.exec(select(func.count()).select_from(AuditEntry).where(col(AuditEntry.at) <= until)).one()
