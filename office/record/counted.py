"""Counted: how many lines the record has, as no line of ours ever goes: written into it every night, and remembered every minute.

A chain that SQL has put back to an earlier end of its own, with the seal it had then, is whole, and so is the record without
a chain that was taken away. Then lines are missing that were counted. What is counted goes by the time that stands in a line,
which its hash covers. How far the chain of counts goes each machine remembers (``seen``), and so it does how many lines there
were a minute ago of those that the last night has not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from sqlmodel import col, func, select

from models.audit import AuditEntry
from models.base import Frozen
from office.base.db import Tx
from office.record import audit, seen

COUNTED = "audit.counted"
SETTLED = timedelta(minutes=10)
"""Whatever was written so long ago was committed, on whichever machine."""
MANY, SELDOM = 20_000, timedelta(minutes=15)
"""So many lines since the last night are counted again every minute; more, which take longer, every quarter of an hour."""


def count(tx: Tx, gone: int = 0, at: datetime | None = None) -> None:
    """Count what there is, and say how many of those counted before are gone: by night, or (``gone``) at a moment since."""
    kept = _kept(tx) if gone else None
    until = tx.now - SETTLED
    gone = max(gone, _gone(tx))
    lines = _lines(tx, until)
    audit.record(
        tx,
        audit.COUNTS,
        COUNTED,
        text=f"审计记录共 {lines} 行" + (f",此前清点过的少了 {gone} 行" if gone else ""),
        until=until.isoformat(),
        lines=lines,
        gone=gone,
        counted_at=at.isoformat() if gone and at else "",
        night=kept.night.isoformat() if kept else "",
    )


def found_elsewhere(tx: Tx, gone: int) -> bool:
    """Whether another machine has found as many gone since the night that this one counts from, and told of it."""
    kept = _kept(tx)
    night = kept.night.isoformat() if kept else ""
    return any(line.detail.get("night", "") == night and line.detail["gone"] >= gone for line in _counts(tx))


def check(tx: Tx) -> Iterator[str]:
    """How many lines were found gone when they were counted again, and now; a sentence each, the same by day and by night."""
    counts = _counts(tx)
    for before, after in pairwise(counts):
        if not after.detail.get("counted_at"):
            yield from said(after.detail["gone"], before.at)
    for last in counts[-1:]:
        yield from said(_gone(tx), last.at)
    yield from found_by_day(tx)
    yield from said(*gone_since(tx))


def found_by_day(tx: Tx) -> Iterator[str]:
    """What was told when it was found, before the night came."""
    for line in _counts(tx):
        if line.detail.get("counted_at"):
            yield from said(line.detail["gone"], datetime.fromisoformat(line.detail["counted_at"]))


def said(gone: int, at: datetime) -> Iterator[str]:
    """What is told of it."""
    if gone:
        yield f"{gone} lines counted on {at:%Y-%m-%d %H:%M} are gone: a chain was put back or taken away"


def _gone(tx: Tx) -> int:
    last = next(reversed(_counts(tx)), None)
    return max(last.detail["lines"] - _lines(tx, datetime.fromisoformat(last.detail["until"])), 0) if last else 0


def _counts(tx: Tx) -> list[AuditEntry]:
    return [line for line in audit.found_whole(tx, audit.COUNTS) if line.action == COUNTED]


def _lines(tx: Tx, until: datetime) -> int:
    return tx.exec(select(func.count()).select_from(AuditEntry).where(col(AuditEntry.at) <= until)).one()


# ── since the last night ─────────────────────────────────────────────────────


class Since(Frozen):
    """What this machine counted last: lines numbered above one and written after a moment, until then and until it was settled."""

    born: str
    """The hash of the first count of all: by it another database's record is told apart."""
    night: datetime
    above: int
    until: tuple[tuple[datetime, int], ...]


def recount(tx: Tx) -> Since | None:
    """What was written since the last night, counted anew; ``None`` before the first of all."""
    last = next(reversed(_counts(tx)), None)
    if last is None:
        return None
    night = datetime.fromisoformat(last.detail["until"])
    before = select(AuditEntry.id).where(col(AuditEntry.at) <= night).order_by(col(AuditEntry.id).desc()).limit(1)
    above = tx.exec(before).first() or 0
    moments = (tx.now - SETTLED, tx.now)
    counts = _written(tx, night, above, moments)
    return Since(
        born=audit.born(tx, audit.COUNTS), night=night, above=above, until=tuple(zip(moments, counts, strict=True))
    )


def lately(tx: Tx) -> int | None:
    """How many there are, where that was counted so lately that it is not worth counting them again."""
    kept = _kept(tx)
    moment, lines = kept.until[-1] if kept else (tx.now, 0)
    return lines if lines > MANY and timedelta(0) <= tx.now - moment < SELDOM else None


def gone_since(tx: Tx) -> tuple[int, datetime]:
    """How many lines are gone that this machine has counted since the last night, and when it had."""
    kept = _kept(tx)
    if kept is None:
        return 0, tx.now
    now = _written(tx, kept.night, kept.above, [moment for moment, _ in kept.until])
    fewer = [(before - here, moment) for (moment, before), here in zip(kept.until, now, strict=True)]
    return max([(0, tx.now), *fewer])


def _kept(tx: Tx) -> Since | None:
    """What this machine remembers, if it is of this database."""
    try:
        kept = Since.model_validate_json(seen.lines() or "")
    except ValueError:
        return None
    return kept if kept.born == audit.born(tx, audit.COUNTS) else None


def remember(since: Since) -> None:
    seen.note_lines(since.model_dump_json())


def _written(tx: Tx, after: datetime, above: int, until: Sequence[datetime]) -> Sequence[int]:
    """How many lines with a number above one were written after a moment, until each of these."""
    of = [func.count().filter(col(AuditEntry.at) <= moment) for moment in until]
    return tuple(tx.execute(select(*of).where(col(AuditEntry.id) > above, col(AuditEntry.at) > after)).one())
