"""Anchors: the ends of all chains, written down where neither the database's writers nor the key's holder reach.

An anchor is a JSON document in a folder, a bucket or a mail. It names the last line of every chain that grew since the
anchor before it, and the SHA-256 of that anchor, so that whoever keeps the latest one can tell whether any was exchanged.
``dianwu audit verify`` compares: a line that was anchored must still be there, with the hash it had.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from pydantic import AwareDatetime, ValidationError
from sqlmodel import col, func, select

from models.audit import AuditEntry, AuditHead, Installation
from models.base import Frozen
from office.base.db import Tx, in_transaction, reading
from office.base.settings import settings
from office.record import audit
from tasks.sight import examination

if TYPE_CHECKING:
    import fsspec

OVERLAP = 10_000
"""Lines before the last anchor's end that the next one looks at again: what was numbered before and committed after."""
MAIL = ("mailto:", "mailtos:")
CHUNK = 500


class AnchorError(ValueError):
    """A target that cannot be written or read, in a sentence without its address's secrets."""


class End(Frozen):
    """What the next anchor has to know of one."""

    number: int
    until: int
    sha256: str


class Anchor(Frozen):
    """One document. ``since`` and ``until`` are numbers of audit lines; ``heads`` is chain → last line and its hash."""

    number: int
    at: AwareDatetime
    since: int
    until: int
    previous: str
    heads: dict[str, tuple[int, str]]
    broken: tuple[str, ...] = ()
    """Chains whose end was not sealed with our key at that time: nothing is said about them."""

    def text(self) -> str:
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, sort_keys=True, indent=1)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text().encode()).hexdigest()

    @property
    def end(self) -> End:
        return End(number=self.number, until=self.until, sha256=self.sha256)

    @property
    def name(self) -> str:
        return f"dianwu-anchor-{self.number:06}-{self.at:%Y%m%dT%H%M%SZ}.json"

    @classmethod
    def read(cls, text: str) -> Self:
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise AnchorError("not an anchor of ours") from error


def draw(tx: Tx, before: End | None) -> Anchor:
    """The anchor that follows another; the first names every chain."""
    since = max(before.until - OVERLAP, 0) if before else 0
    until = tx.exec(select(func.max(AuditEntry.id))).one() or 0
    grown = select(AuditEntry.stream).where(col(AuditEntry.id) > since, col(AuditEntry.id) <= until).distinct()
    heads = list(tx.exec(select(AuditHead).where(col(AuditHead.stream).in_(grown))))
    return Anchor(
        number=before.number + 1 if before else 1, at=tx.now, since=since, until=until,
        previous=before.sha256 if before else "", heads={h.stream: (h.seq, h.hash) for h in heads if audit.sealed(h)},
        broken=tuple(sorted(head.stream for head in heads if not audit.sealed(head))),
    )  # fmt: skip


def verify(tx: Tx, anchors: Sequence[Anchor]) -> Iterator[str]:
    """What contradicts the anchors, a sentence each."""
    ordered = sorted(anchors, key=lambda anchor: anchor.number)
    for before, after in itertools.pairwise(ordered):
        if after.number != before.number + 1:
            yield f"anchor {before.number + 1} is missing before anchor {after.number}"
        elif after.previous != before.sha256:
            yield f"anchor {after.number} does not follow from anchor {before.number}: one of them was exchanged"
        elif after.since > before.until:
            yield f"anchor {after.number} passes over lines {before.until + 1} to {after.since}"
    anchored = {(name, *end): anchor for anchor in ordered for name, end in anchor.heads.items()}
    names = sorted({name for name, _, _ in anchored})
    found: dict[tuple[str, int], str] = {}
    wanted = {(name, seq) for name, seq, _ in anchored}
    for start in range(0, len(names), CHUNK):
        lines = select(AuditEntry.stream, AuditEntry.seq, AuditEntry.hash).where(
            col(AuditEntry.stream).in_(names[start : start + CHUNK])
        )
        found |= {(name, seq): hash_ for name, seq, hash_ in tx.exec(lines) if (name, seq) in wanted}
    for (name, seq, hash_), anchor in anchored.items():
        there = found.get((name, seq))
        if there is None:
            yield f"{name}: line {seq}, anchored on {anchor.at:%Y-%m-%d %H:%M} UTC, is gone"
        elif there != hash_:
            yield f"{name}: line {seq} was rewritten after it was anchored on {anchor.at:%Y-%m-%d %H:%M} UTC"


# ── where they are kept ──────────────────────────────────────────────────────


def key_of(target: str) -> str:
    """A short name for a target, which may hold a password."""
    return hashlib.sha256(target.encode()).hexdigest()[:12]


def shown(target: str) -> str:
    return target.partition("://")[0] + "://…" if "://" in target else target


def write(target: str) -> Anchor:
    """Draw the next anchor of a target and put it there; raises :class:`AnchorError`."""
    before = _last(target)
    with reading() as tx:
        anchor = draw(tx, before)
    if target.startswith(MAIL):
        from notifications.documents import DocumentRefused, send  # brings Apprise with it; verifying needs none

        subject = f"店务审计锚点 {anchor.number}({len(anchor.heads)} 条链)"
        text = (
            f"附件是第 {anchor.number} 份审计锚点,SHA-256 {anchor.sha256}。\n请保留此邮件:日后用 dianwu audit verify --against "
            "附件 可以证明在此之前写下的审计记录没有被改写,包括被持有密钥的人改写。"
        )
        try:
            send(target, subject, text, anchor.name, anchor.text())
        except DocumentRefused as error:
            raise AnchorError(f"{shown(target)}: {error}") from error
    else:
        fs, root = _folder(target)
        place = f"{root}/{anchor.name}"
        try:
            fs.makedirs(root, exist_ok=True)
            if fs.exists(place):
                raise AnchorError(f"{shown(target)}: {anchor.name} is there already")
            fs.pipe_file(place, anchor.text().encode())
        except OSError as error:
            raise AnchorError(f"{shown(target)}: {type(error).__name__}") from error
    in_transaction(lambda tx: _keep(tx, target, anchor))
    return anchor


def read(target: str) -> list[Anchor]:
    """The anchors in a folder or bucket, or the one in a file (a mail's attachment)."""
    fs, root = _folder(target)
    try:
        places = [root] if fs.isfile(root) else sorted(fs.glob(f"{root}/dianwu-anchor-*.json"))
        return [Anchor.read(fs.cat_file(place).decode()) for place in places]
    except (OSError, UnicodeDecodeError) as error:
        raise AnchorError(f"{shown(target)}: {type(error).__name__}") from error


def _folder(target: str) -> tuple[fsspec.AbstractFileSystem, str]:
    import fsspec  # who reads no anchor does not wait for it

    try:
        fs, root = fsspec.core.url_to_fs(target)
    except (ImportError, ValueError) as error:
        raise AnchorError(f"{shown(target)}: {error}") from error
    return fs, root.rstrip("/")


def _last(target: str) -> End | None:
    """The anchor before: read where anchors can be read, because what our database says of it may have been changed."""
    if not target.startswith(MAIL):
        found = read(target)
        return max(found, key=lambda anchor: anchor.number).end if found else None
    with reading() as tx:
        kept = _kept(tx, target)
    return kept.end if kept else None


class Kept(Frozen):
    """When a target was last written, and what."""

    at: AwareDatetime
    end: End


def _kept(tx: Tx, target: str) -> Kept | None:
    row = tx.get(Installation, f"anchor/{key_of(target)}")
    return Kept.model_validate_json(row.value) if row else None


def _keep(tx: Tx, target: str, anchor: Anchor) -> None:
    key = f"anchor/{key_of(target)}"
    row = tx.get(Installation, key) or Installation(key=key, value="")
    row.value = Kept(at=anchor.at, end=anchor.end).model_dump_json()
    tx.add(row)
    audit.record(tx, "system", "audit.anchored", text=f"写出第 {anchor.number} 份审计锚点({len(anchor.heads)} 条链)",
                 target=key_of(target), number=anchor.number, sha256=anchor.sha256)  # fmt: skip


# ── by the clock ─────────────────────────────────────────────────────────────


def targets() -> list[str]:
    return [target.get_secret_value() for target in settings().audit_anchors]


def write_due() -> int:
    """Write what the settings ask for where it is due; a target that cannot be written is told, and tried again."""
    return sum(_write_if_due(target) for target in targets())


def _write_if_due(target: str) -> int:
    every = timedelta(hours=settings().audit_anchor_hours)
    with reading() as tx:
        kept = _kept(tx, target)
        if kept and tx.now - kept.at < every:
            return 0
    found: dict[str, str] = {}
    try:
        write(target)
    except AnchorError as error:
        found["failed"] = f"锚点未能写出:{error}"
    consequence = "审计记录仍在增长而没有新的外部锚点;系统会继续重试,请检查 audit_anchors 指向的位置。"
    in_transaction(lambda tx: examination.report(tx, f"anchor/{key_of(target)}", "审计锚点", found, consequence))
    return 0 if found else 1


def against(tx: Tx, places: Iterable[str]) -> Iterator[str]:
    """What contradicts the anchors kept in these places, each place by itself."""
    for place in places:
        yield from verify(tx, read(place))
