"""Audit: append one line to a stream's hash chain in the caller's transaction; verify whole chains."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlmodel import col, select

from models.audit import AuditEntry, AuditHead
from tasks.db import Tx
from tasks.vault import keyed_hash

GENESIS = "0" * 64


def _digest(entry: AuditEntry) -> str:
    content = {
        "stream": entry.stream, "seq": entry.seq, "at": entry.at.isoformat(), "actor": entry.actor,
        "action": entry.action, "clause": entry.clause, "text": entry.text, "detail": entry.detail,
        "public": entry.public, "prev": entry.prev_hash,
    }  # fmt: skip
    packed = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(packed.encode()).hexdigest()


def _seal(head: AuditHead) -> str:
    return keyed_hash(f"{head.stream}|{head.seq}|{head.hash}")


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
    query = select(AuditHead).where(AuditHead.stream == stream)
    head = tx.exec(query.with_for_update() if tx.postgres else query).first()
    if head is None:
        head = AuditHead(stream=stream, seq=0, hash=GENESIS, seal="")
    entry = AuditEntry(
        stream=stream, seq=head.seq + 1, at=at or tx.now, actor=actor, action=action, clause=clause, text=text,
        detail=detail, public=public, prev_hash=head.hash, hash="",
    )  # fmt: skip
    entry.hash = _digest(entry)
    head.seq, head.hash = entry.seq, entry.hash
    head.seal = _seal(head)
    tx.add(entry)
    tx.add(head)
    tx.flush()
    return entry


def timeline(tx: Tx, stream: str, *, public_only: bool = False) -> list[AuditEntry]:
    """A stream's lines, oldest first."""
    query = select(AuditEntry).where(AuditEntry.stream == stream).order_by(col(AuditEntry.seq))
    if public_only:
        query = query.where(col(AuditEntry.public).is_(True))
    return list(tx.exec(query))


def verify(tx: Tx, stream: str | None = None) -> Iterator[str]:
    """What is wrong with the chains, a sentence each; nothing when they are whole."""
    query = select(AuditEntry).order_by(col(AuditEntry.stream), col(AuditEntry.seq))
    heads = select(AuditHead)
    if stream:
        query, heads = query.where(AuditEntry.stream == stream), heads.where(AuditHead.stream == stream)
    last: dict[str, tuple[int, str]] = {}
    for entry in tx.exec(query.execution_options(yield_per=1000)):
        seq, previous = last.get(entry.stream, (0, GENESIS))
        if entry.seq != seq + 1:
            yield f"{entry.stream}: line {seq + 1} is missing before line {entry.seq}"
        elif entry.prev_hash != previous:
            yield f"{entry.stream}: line {entry.seq} does not follow from line {seq}"
        if entry.hash != _digest(entry):
            yield f"{entry.stream}: line {entry.seq} was changed after it was written"
        last[entry.stream] = (entry.seq, entry.hash)
    seen = set()
    for head in tx.exec(heads):
        seen.add(head.stream)
        if head.seal != _seal(head):
            yield f"{head.stream}: the end of the chain is not sealed with this installation's key"
        if last.get(head.stream, (0, GENESIS)) != (head.seq, head.hash):
            yield f"{head.stream}: the chain ends at line {last.get(head.stream, (0,))[0]}, its head says {head.seq}"
    for name in last.keys() - seen:
        yield f"{name}: the chain has no head"
