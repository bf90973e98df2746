"""Audit: append one line to a stream's hash chain in the caller's transaction; read a stream's lines.

What is appended to is looked at first: a chain whose end is not sealed with our key was written by somebody else. It is
left as it was found, for whoever looks into it, the supervisor is told, and the record goes on in a new stream, ``<name>~2``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from itertools import count, islice, takewhile
from typing import Any

from sqlmodel import col, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from models.audit import AGAIN, AuditEntry, AuditHead
from office.base.db import Tx, prepared
from office.base.vault import keyed_hash, same
from office.record import seen

GENESIS = "0" * 64
PERSON = "staff/"
"""How the names of people's chains begin."""
SYSTEM, ALERTS, COUNTS = "system", "alerts", "counts"
COMMON = (SYSTEM, ALERTS, COUNTS)
"""Chains that are nobody's. Like people's, each machine remembers how far it has seen them go."""
QUARANTINED = "audit.quarantined"
CODE_STEP = "code_step"
"""Under which name a line says by which code its actor proved who they are: the number of its half minute."""


def _digest(entry: AuditEntry) -> str:
    content = {
        "stream": entry.stream,
        "seq": entry.seq,
        "at": entry.at.isoformat(),
        "actor": entry.actor,
        "action": entry.action,
        "clause": entry.clause,
        "text": entry.text,
        "detail": entry.detail,
        "public": entry.public,
        "prev": entry.prev_hash,
    }
    packed = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(packed.encode()).hexdigest()


def _seal(head: AuditHead) -> str:
    return keyed_hash(f"{head.stream}|{head.seq}|{head.hash}")


def sealed(head: AuditHead) -> bool:
    """Whether it was we who wrote this end."""
    return same(head.seal, _seal(head))


def record(
    tx: Tx,
    stream: str,
    action: str,
    *,
    actor: str = "system",
    clause: str = "",
    text: str = "",
    public: bool = False,
    at: datetime | None = None,
    **detail: Any,
) -> AuditEntry:
    """Append a line. ``text`` is Chinese for people; ``detail`` JSON values for machines; no personal data in either."""
    if (step := tx.proved.get(actor)) is not None:
        detail[CODE_STEP] = step
    return _append(
        tx,
        _end(tx, stream),
        at=at or tx.now,
        actor=actor,
        action=action,
        clause=clause,
        text=text,
        detail=detail,
        public=public,
    )


def _append(tx: Tx, head: AuditHead, **line: Any) -> AuditEntry:
    entry = AuditEntry(stream=head.stream, seq=head.seq + 1, prev_hash=head.hash, hash="", **line)
    entry.hash = _digest(entry)
    head.seq, head.hash = entry.seq, entry.hash
    head.seal = _seal(head)
    tx.add(entry)
    tx.add(head)
    tx.flush()
    return entry


def _end(tx: Tx, stream: str) -> AuditHead:
    """The end to append to, locked: of the stream, or of the one in which it goes on since its chain was broken."""
    found = AuditHead(stream=stream, seq=0, hash=GENESIS, seal="")
    for name in _names(stream):
        head = _locked(tx, name).first()
        fresh = AuditHead(stream=name, seq=0, hash=GENESIS, seal="")
        if head is None and _lines_of(tx, name) is None and not _goes_on(tx, stream, name):
            return fresh if name == stream else _quarantined(tx, found, fresh)
        if head is not None and sealed(head) and not _put_back(tx, head):
            return head
        found = head or fresh
    raise AssertionError("unreachable")


AHEAD = 8
"""In how many later chains of somebody's it is looked for when one was taken away."""


def _goes_on(tx: Tx, stream: str, missing: str) -> bool:
    """Whether somebody's record goes on after a chain that is not there."""
    if not stream.startswith(PERSON):
        return False
    here = int(missing.partition(AGAIN)[2] or 1)
    later = [f"{stream}{AGAIN}{number}" for number in range(here + 1, here + 1 + AHEAD)]
    return tx.exec(select(AuditHead.stream).where(col(AuditHead.stream).in_(later)).limit(1)).first() is not None


@prepared
def _locked(name: str) -> SelectOfScalar[AuditHead]:
    return select(AuditHead).where(AuditHead.stream == name).with_for_update()


def _put_back(tx: Tx, head: AuditHead) -> bool:
    """Whether a person's chain, or a common one, ends before where this machine has seen it end."""
    if not head.stream.startswith(PERSON) and first_of(head.stream) not in COMMON:
        return False
    number, line, _ = seen.far(remembered_as(head.stream)) or (0, 0, "")
    here, end, _ = far(head, "")
    return (here, end) < (number, line) and seen.behind(remembered_as(head.stream), far(head, born(tx, head.stream)))


def first_of(name: str) -> str:
    """The stream that a chain belongs to."""
    return name.partition(AGAIN)[0]


def remembered_as(name: str) -> str:
    """Under which name a machine remembers a chain: a person's id, which no ``/`` begins."""
    stream = first_of(name)
    return stream.removeprefix(PERSON) if stream.startswith(PERSON) else f"/{stream}"


def far(head: AuditHead, born: str) -> seen.Far:
    """How far a person's record goes with this end."""
    return int(head.stream.partition(AGAIN)[2] or 1), head.seq, born


def born(tx: Tx, name: str) -> str:
    """The hash of the very first line of the stream that a chain belongs to."""
    return hash_of(tx, first_of(name), 1) or ""


def common_ends(tx: Tx) -> dict[str, seen.Far]:
    """How far the common chains go, by the names they are remembered as."""
    ends = [tx.get(AuditHead, streams(tx, stream)[-1]) for stream in COMMON]
    return {
        remembered_as(end.stream): far(end, born(tx, end.stream)) for end in ends if end is not None and sealed(end)
    }


def common_gone(tx: Tx) -> list[str]:
    """Common chains that this machine has seen, and whose beginning is not there any more."""
    seen_here = {stream: seen.far(remembered_as(stream)) for stream in COMMON}
    return [stream for stream, there in seen_here.items() if there and there[2] != born(tx, stream)]


def look_after_common(tx: Tx) -> None:
    """Leave those that somebody broke or put back, and have their record go on, before there is something to be written."""
    for stream in COMMON:
        _end(tx, stream)


def _names(stream: str) -> Iterator[str]:
    """A stream and those in which it goes on, one after the other."""
    yield stream
    for number in count(2):
        yield f"{stream}{AGAIN}{number}"


def _lines_of(tx: Tx, name: str) -> int | None:
    return tx.exec(select(AuditEntry.seq).where(AuditEntry.stream == name).limit(1)).first()


def _quarantined(tx: Tx, broken: AuditHead, fresh: AuditHead) -> AuditHead:
    """Begin the stream in which a broken one goes on, by saying what was found; the supervisor is told."""
    from office.record import alerts  # a message is a row in the outbox, and the outbox records here

    why = "早于本机此前所见,可能被退回" if sealed(broken) else "没有本系统的封印"
    text = f"审计链 {broken.stream} 的末端(第 {broken.seq} 行){why},已原样封存,后续记录写入 {fresh.stream}"
    _append(
        tx,
        fresh,
        at=tx.now,
        actor="system",
        action=QUARANTINED,
        clause="",
        text=text,
        public=False,
        detail={"stream": broken.stream, "seq": broken.seq, "hash": broken.hash, "seal": broken.seal},
    )
    alerts.tell(
        tx,
        f"chain/{fresh.stream}/{broken.seal}",
        where=f"审计链 {broken.stream}",
        finding=text,
        consequence="业务继续进行;封存链中的内容不能再作为证据,请立即排查谁改动了数据库,并用 dianwu audit verify 与外部锚点核对。",
    )
    return fresh


def hash_of(tx: Tx, stream: str, seq: int) -> str | None:
    if seq == 0:
        return GENESIS
    return tx.exec(select(AuditEntry.hash).where(AuditEntry.stream == stream, AuditEntry.seq == seq)).first()


def streams(tx: Tx, stream: str) -> list[str]:
    """The stream, and those in which it goes on."""
    return [stream, *takewhile(lambda name: tx.get(AuditHead, name) is not None, islice(_names(stream), 1, None))]


def timeline(tx: Tx, stream: str, *actions: str, public_only: bool = False) -> list[AuditEntry]:
    """A stream's lines, oldest first: all of them, or those of these actions."""
    query = select(AuditEntry).where(col(AuditEntry.stream).in_(streams(tx, stream))).order_by(col(AuditEntry.id))
    if actions:
        query = query.where(col(AuditEntry.action).in_(actions))
    if public_only:
        query = query.where(col(AuditEntry.public).is_(True))
    return list(tx.exec(query))


def whole(tx: Tx, name: str) -> list[AuditEntry] | None:
    """The lines of one chain, oldest first, if every one is as it was written and they lead to an end that we sealed.

    What this process has found whole before is not read again: it is what the chain's later lines follow from.
    """
    head = tx.get(AuditHead, name)
    if head is None or not sealed(head):
        return None
    before = _found_whole.get(name, ())
    found = _led_to(tx, head, before) or (_led_to(tx, head, ()) if before else None)
    if found is None:
        return None
    if len(_found_whole) >= _KEPT:
        _found_whole.clear()
    _found_whole[name] = found
    return list(found)


_found_whole: dict[str, tuple[AuditEntry, ...]] = {}
"""The lines of chains that were read already. Where later ones do not follow from them, all are read again."""
_KEPT = 200


def _led_to(tx: Tx, head: AuditHead, lines: tuple[AuditEntry, ...]) -> tuple[AuditEntry, ...] | None:
    """These lines and those after them, if they lead to this end."""
    last, seq = (lines[-1].hash, lines[-1].seq) if lines else (GENESIS, 0)
    if last == head.hash:
        return lines
    new = _after(tx, head.stream, seq).all()
    for line in new:
        if line.prev_hash != last or not intact(line):
            return None
        last = line.hash
    if last != head.hash:
        return None
    for line in new:
        tx.expunge(line)
    return (*lines, *new)


@prepared
def _after(name: str, seq: int) -> SelectOfScalar[AuditEntry]:
    return select(AuditEntry).where(AuditEntry.stream == name, AuditEntry.seq > seq).order_by(col(AuditEntry.seq))


def found_whole(tx: Tx, stream: str) -> list[AuditEntry]:
    """A stream's lines, oldest first, of those of its chains that are whole."""
    second = f"{stream}{AGAIN}2"
    heads = {head.stream: head for head in _ends(tx, stream, second)}  # held, so that they are not asked for again
    return [line for name in (streams(tx, stream) if second in heads else [stream]) for line in whole(tx, name) or ()]


@prepared
def _ends(first: str, second: str) -> SelectOfScalar[AuditHead]:
    return select(AuditHead).where(or_(AuditHead.stream == first, AuditHead.stream == second))


def intact(entry: AuditEntry) -> bool:
    """Whether a line says what it said when it was written, as long as its hash does."""
    return entry.hash == _digest(entry)
