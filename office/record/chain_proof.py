"""Whether the chains are whole: every line follows from the one before, every end is sealed, nothing has gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlmodel import and_, col, func, select, true

from models.audit import AGAIN, AuditEntry, AuditHead
from models.cases import Case
from models.reviews import Staff
from office.base.db import Tx
from office.record.audit import GENESIS, PERSON, QUARANTINED, hash_of, intact, sealed, streams


def verify(tx: Tx, stream: str | None = None) -> Iterator[str]:
    """What is wrong with the chains, a sentence each; nothing when they are whole."""
    if stream:
        yield from _verify(tx, lambda name: col(name).in_(streams(tx, stream)))
    else:
        yield from _verify(tx, lambda name: true())
        yield from _without_a_record(tx)


def verify_part(tx: Tx, after: str, lines: int) -> tuple[list[str], str | None, int]:
    """What is wrong with the next chains in order of their names: about so many lines of them.

    Also returns after which name to go on (``None`` at the end), and how many lines were looked at.
    """
    sizes = select(AuditEntry.stream, func.count()).where(AuditEntry.stream > after).group_by(AuditEntry.stream)
    looked, last = 0, None
    for name, size in tx.exec(sizes.order_by(col(AuditEntry.stream)).limit(lines)):
        if looked and looked + size > lines:
            break
        looked, last = looked + size, name
    else:
        if last is None or looked < lines:
            rest = list(_verify(tx, lambda name: name > after))
            return [*rest, *_without_a_record(tx)], None, looked
    upto = last or after
    return list(_verify(tx, lambda name: and_(name > after, name <= upto))), upto, looked


def look_at(tx: Tx, *, after: int, limit: int) -> tuple[int, int, list[str]]:
    """The lines written since one: number of the last, how many, and what is wrong with them and their chains' ends."""
    wrong: list[str] = []
    top = tx.exec(select(func.max(AuditEntry.id))).one() or 0
    after = (
        after if after <= top else max(top - limit, 0)
    )  # SQL had given a line a number that none of ours has reached
    lines = list(
        tx.exec(select(AuditEntry).where(col(AuditEntry.id) > after).order_by(col(AuditEntry.id)).limit(limit))
    )
    hashes = {(line.stream, line.seq): line.hash for line in lines}
    for line in lines:
        before = hashes.get((line.stream, line.seq - 1)) or hash_of(tx, line.stream, line.seq - 1)
        if line.prev_hash != before:
            wrong.append(f"{line.stream}: line {line.seq} does not follow from line {line.seq - 1}")
        if not intact(line):
            wrong.append(f"{line.stream}: line {line.seq} was changed after it was written")
    names = sorted({line.stream for line in lines})
    for start in range(0, len(names), 500):
        heads = {
            head.stream: head
            for head in tx.exec(select(AuditHead).where(col(AuditHead.stream).in_(names[start : start + 500])))
        }
        for name in names[start : start + 500]:
            head = heads.get(name)
            if head is None:
                wrong.append(f"{name}: the chain has no head")
            elif not sealed(head):
                wrong.append(f"{name}: the end of the chain is not sealed with this installation's key")
    return (lines[-1].id or after) if lines else after, len(lines), wrong


def _verify(tx: Tx, among: Callable[[Any], Any]) -> Iterator[str]:
    query = select(AuditEntry).where(among(AuditEntry.stream)).order_by(col(AuditEntry.stream), col(AuditEntry.seq))
    heads = select(AuditHead).where(among(AuditHead.stream))
    last: dict[str, tuple[int, str]] = {}
    for entry in tx.exec(query.execution_options(yield_per=1000)):
        seq, previous = last.get(entry.stream, (0, GENESIS))
        if entry.seq != seq + 1:
            yield f"{entry.stream}: line {seq + 1} is missing before line {entry.seq}"
        elif entry.prev_hash != previous:
            yield f"{entry.stream}: line {entry.seq} does not follow from line {seq}"
        if not intact(entry):
            yield f"{entry.stream}: line {entry.seq} was changed after it was written"
        if entry.action == QUARANTINED:
            broken = entry.detail.get("stream", "?")
            yield f"{broken}: the chain was found broken on {entry.at:%Y-%m-%d %H:%M}, the record goes on in {entry.stream}"
        last[entry.stream] = (entry.seq, entry.hash)
    seen = set()
    for head in tx.exec(heads):
        seen.add(head.stream)
        if not sealed(head):
            yield f"{head.stream}: the end of the chain is not sealed with this installation's key"
        if last.get(head.stream, (0, GENESIS)) != (head.seq, head.hash):
            yield f"{head.stream}: the chain ends at line {last.get(head.stream, (0,))[0]}, its head says {head.seq}"
    for name in last.keys() - seen:
        yield f"{name}: the chain has no head"


def _without_a_record(tx: Tx) -> Iterator[str]:
    """Cases and people that exist although no line says how they came to be: the whole chain was taken away. And chains of
    cases and people that are not there any more: none of ours ever goes."""
    for case_id in tx.exec(select(Case.id).where(col(Case.id).not_in(select(AuditHead.stream)))):
        yield f"{case_id}: the case has no chain"
    for staff_id in tx.exec(select(Staff.id).where(("staff/" + col(Staff.id)).not_in(select(AuditHead.stream)))):
        yield f"staff/{staff_id}: the person has no chain"
    said = select(AuditEntry.stream).where(AuditEntry.seq == 1, AuditEntry.action == "case.opened")
    for case_id in tx.exec(said.where(col(AuditEntry.stream).not_in(select(Case.id)))):
        yield f"{case_id}: the case is gone, and its chain is there"
    known = select(AuditHead.stream).where(
        col(AuditHead.stream).startswith(PERSON), ~col(AuditHead.stream).contains(AGAIN)
    )
    for stream in tx.exec(known.where(col(AuditHead.stream).not_in(select(PERSON + col(Staff.id))))):
        yield f"{stream}: the person is gone, and their chain is there"
