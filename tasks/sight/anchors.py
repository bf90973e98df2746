"""Anchors: the ends of all chains, written down where neither the database's writers nor the key's holder reach.

An anchor is a JSON document in a folder, a bucket or a mail. It names the last line of every chain that grew since the
anchor before it, and the SHA-256 of that anchor, so that whoever keeps the latest one can tell whether any was exchanged.
``dianwu audit verify`` compares: a line that was anchored must still be there, with the hash it had.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from datetime import timedelta
from typing import TYPE_CHECKING, Self, TypeVar

from pydantic import AwareDatetime, ValidationError
from sqlmodel import col, func, or_, select, tuple_

from models.audit import AuditEntry, AuditHead
from models.base import Frozen
from office.base.db import Tx, in_transaction, reading
from office.base.settings import settings
from office.cases.dossier import when
from office.record import audit
from tasks.sight import examination

if TYPE_CHECKING:
    import fsspec

Answer = TypeVar("Answer")
OVERLAP, LATE = 10_000, timedelta(hours=1)
"""Lines before the last anchor's end that the next one looks at again, and for how long: numbered before, committed after."""
PATIENCE = 30.0
"""Seconds that a place has to answer; a sweep waits for it no longer."""
ANCHORED = "audit.anchored"
FAILED = "审计记录仍在增长而没有新的外部锚点；系统会继续重试，请检查 audit_anchors 指向的位置。"
LEFT = "之前的锚点不再参与自动核对。若不是有意更改，请恢复设置；否则请保留原处的锚点，可用 dianwu audit verify --against 核对。"
CONTRADICTED = "锚定之后有人改写或退回了审计记录，或动了锚点本身；持有密钥的人也做得到前者。请保留现场与锚点，用 dianwu audit verify 查看全部。"
MAIL = ("mailto:", "mailtos:")
CHUNK = 500


class AnchorError(ValueError):
    """A target that cannot be written or read, in a sentence without its address's secrets."""


class End(Frozen):
    """What the next anchor has to know of one."""

    number: int
    at: AwareDatetime
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
        return End(number=self.number, at=self.at, until=self.until, sha256=self.sha256)

    @property
    def name(self) -> str:
        return f"dianwu-anchor-{self.number:06}-{self.at:%Y%m%dT%H%M%SZ}.json"

    @classmethod
    def read(cls, text: str | bytes) -> Self:
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise AnchorError("不是本系统写出的锚点，或已残缺") from error


def draw(tx: Tx, before: End | None) -> Anchor:
    """The anchor that follows another; the first names every chain.

    What grew is told by the lines' numbers, and by their times: SQL can give a line another number, and no other time.
    """
    since = max(before.until - OVERLAP, 0) if before else 0
    until = tx.exec(select(func.max(AuditEntry.id))).one() or 0
    grown = select(AuditEntry.stream).distinct()
    if before:
        grown = grown.where(or_(col(AuditEntry.id) > since, col(AuditEntry.at) > before.at - LATE))
    heads = list(tx.exec(select(AuditHead).where(col(AuditHead.stream).in_(grown))))
    return Anchor(
        number=before.number + 1 if before else 1,
        at=tx.now,
        since=since,
        until=until,
        previous=before.sha256 if before else "",
        heads={h.stream: (h.seq, h.hash) for h in heads if audit.sealed(h)},
        broken=tuple(sorted(head.stream for head in heads if not audit.sealed(head))),
    )


def verify(tx: Tx, anchors: Iterable[Anchor]) -> Iterator[str]:
    """What contradicts the anchors, a sentence each. Two of one number were written at the same time, and both hold."""
    ordered = sorted(anchors, key=lambda anchor: (anchor.number, anchor.at))
    numbered: dict[int, dict[str, Anchor]] = {}
    for anchor in ordered:
        numbered.setdefault(anchor.number, {})[anchor.sha256] = anchor
    for number in sorted(numbered)[1:]:
        if number - 1 not in numbered:
            yield f"anchor {number - 1} is missing before anchor {number}"
            continue
        for anchor in numbered[number].values():
            before = numbered[number - 1].get(anchor.previous)
            if before is None:
                yield f"anchor {number} does not follow from anchor {number - 1}: one of them was exchanged"
            elif anchor.since > before.until:
                yield f"anchor {number} passes over lines {before.until + 1} to {anchor.since}"
    anchored = {(name, *end): anchor for anchor in ordered for name, end in anchor.heads.items()}
    wanted = sorted({(name, seq) for name, seq, _ in anchored})
    found: dict[tuple[str, int], str] = {}
    for start in range(0, len(wanted), CHUNK):
        lines = select(AuditEntry.stream, AuditEntry.seq, AuditEntry.hash).where(
            tuple_(col(AuditEntry.stream), col(AuditEntry.seq)).in_(wanted[start : start + CHUNK])
        )
        found |= {(name, seq): hash_ for name, seq, hash_ in tx.exec(lines)}
    for (name, seq, hash_), anchor in anchored.items():
        there = found.get((name, seq))
        if there is None:
            yield f"{name}: line {seq}, anchored on {anchor.at:%Y-%m-%d %H:%M} UTC, is gone"
        elif there != hash_:
            yield f"{name}: line {seq} was rewritten after it was anchored on {anchor.at:%Y-%m-%d %H:%M} UTC"


# ── where they are kept ──────────────────────────────────────────────────────


class Place(Frozen):
    """What lies where anchors are kept."""

    anchors: tuple[Anchor, ...] = ()
    odd: tuple[str, ...] = ()
    """Names of those that are none of ours, cut off or changed."""


def key_of(target: str) -> str:
    """A short name for a target, which may hold a password."""
    return hashlib.sha256(target.encode()).hexdigest()[:12]


def shown(target: str) -> str:
    return target.partition("://")[0] + "://…" if "://" in target else target


def write(target: str, *, due: bool = False) -> Anchor:
    """Draw the next anchor of a target and put it there; raises :class:`AnchorError`."""
    before = _last(target)
    with reading() as tx:
        anchor = draw(tx, before)
    _asked(target, lambda: (_send if target.startswith(MAIL) else _put)(target, anchor))
    in_transaction(lambda tx: _keep(tx, target, anchor, due))
    return anchor


def _send(target: str, anchor: Anchor) -> None:
    from notifications.documents import DocumentRefused, send  # brings Apprise with it; verifying needs none

    subject = f"店务审计锚点 {anchor.number}（{len(anchor.heads)} 条链）"
    text = (
        f"附件是第 {anchor.number} 份审计锚点，SHA-256 {anchor.sha256}。\n请保留此邮件：日后用 dianwu audit verify --against "
        "附件 可以证明在此之前写下的审计记录没有被改写，包括被持有密钥的人改写。"
    )
    try:
        send(target, subject, text, anchor.name, anchor.text())
    except DocumentRefused as error:
        raise AnchorError(str(error)) from error


def _put(target: str, anchor: Anchor) -> None:
    fs, root = _folder(target)
    place, text = f"{root}/{anchor.name}", anchor.text().encode()
    fs.makedirs(root, exist_ok=True)
    if fs.exists(place):
        raise AnchorError(f"{anchor.name} 已经存在")
    fs.pipe_file(place, text)
    if fs.cat_file(place) != text:
        raise AnchorError("写入后读回的内容不同")


def look(target: str) -> Place:
    """The anchors in a folder or bucket, or the one in a file (a mail's attachment)."""
    return _asked(target, lambda: _look(target))


def _look(target: str) -> Place:
    fs, root = _folder(target)
    if fs.isfile(root):
        return Place(anchors=(Anchor.read(fs.cat_file(root)),))
    found: list[Anchor] = []
    odd: list[str] = []
    names = sorted(fs.glob(f"{root}/dianwu-anchor-*.json"))
    for place, content in (fs.cat(names, on_error="return") if names else {}).items():
        if isinstance(content, OSError) and not isinstance(content, IsADirectoryError):
            raise content
        try:
            found.append(Anchor.read(content))
        except AnchorError:
            odd.append(place.rpartition("/")[2])
    return Place(anchors=tuple(found), odd=tuple(odd))


def _folder(target: str) -> tuple[fsspec.AbstractFileSystem, str]:
    import fsspec  # who reads no anchor does not wait for it

    try:
        fs, root = fsspec.core.url_to_fs(target)
    except (ImportError, ValueError) as error:
        raise AnchorError(str(error)) from error
    fs.invalidate_cache()  # somebody else writes there, too
    return fs, root.rstrip("/")


def _asked(target: str, ask: Callable[[], Answer]) -> Answer:
    """What a place outside answers. It has so long, on a thread that nobody waits for; whatever its client raises is said."""
    answer: Future[Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is waited for
            answer.set_exception(error)

    threading.Thread(target=run, name="anchor", daemon=True).start()
    try:
        return answer.result(PATIENCE)
    except TimeoutError as error:
        raise AnchorError(f"{shown(target)}:{PATIENCE:g} 秒内没有答复") from error
    except Exception as error:  # each kind of place has its own
        said = str(error) if isinstance(error, AnchorError) else type(error).__name__
        raise AnchorError(f"{shown(target)}:{said}") from error


def _last(target: str) -> End | None:
    """The anchor before: read where anchors can be read, because what our database says of it may have been changed."""
    if not target.startswith(MAIL):
        found = look(target).anchors
        return max(found, key=lambda anchor: (anchor.number, anchor.at)).end if found else None
    with reading() as tx:
        return _kept(tx, target)


def _kept(tx: Tx, target: str) -> End | None:
    """What was last written there, if it is we who noted it: SQL puts off no anchor, and has none pass over anything."""
    value = examination.kept(tx, f"anchor/{key_of(target)}")
    return End.model_validate_json(value) if value else None


def _keep(tx: Tx, target: str, anchor: Anchor, due: bool) -> None:
    examination.keep(tx, f"anchor/{key_of(target)}", anchor.end.model_dump_json())
    audit.record(
        tx,
        audit.SYSTEM,
        ANCHORED,
        text=f"写出第 {anchor.number} 份审计锚点（{len(anchor.heads)} 条链）",
        target=key_of(target),
        number=anchor.number,
        sha256=anchor.sha256,
        due=due,
    )


def _written(tx: Tx) -> list[AuditEntry]:
    """What the record says of anchors, oldest first."""
    return [line for line in audit.timeline(tx, audit.SYSTEM, ANCHORED) if audit.intact(line)]


# ── by the clock ─────────────────────────────────────────────────────────────


def targets() -> list[str]:
    return [target.get_secret_value() for target in settings().audit_anchors]


def write_due() -> int:
    """Write what the settings ask for where it is due, and compare with what lies there; what fails is told, and tried again."""
    in_transaction(lambda tx: examination.report(tx, "anchors/left", "审计锚点", _left(tx), LEFT))
    return sum([_write_if_due(target) for target in targets()])


def _left(tx: Tx) -> dict[str, str]:
    """Places that anchors went to by the clock, and that the settings do not name any more."""
    named = {key_of(target) for target in targets()}
    last = {line.detail["target"]: line for line in _written(tx) if line.detail.get("due")}
    return {
        key: f"此前定期写出锚点的一处（{key}，第 {line.detail['number']} 份写于 {when(line.at)}）已不在设置 audit_anchors 中"
        for key, line in last.items()
        if key not in named
    }


def _write_if_due(target: str) -> int:
    every = timedelta(hours=settings().audit_anchor_hours)
    with reading() as tx:
        kept = _kept(tx, target)
        if kept and tx.now - kept.at < every:
            return 0
    failed: dict[str, str] = {}
    try:
        write(target, due=True)
        if not target.startswith(MAIL):
            contradicts = contradictions([target])
            in_transaction(
                lambda tx: examination.report(
                    tx,
                    f"anchored/{key_of(target)}",
                    "审计链与外部锚点",
                    {one: one for one in contradicts},
                    CONTRADICTED,
                )
            )
    except AnchorError as error:
        failed["failed"] = f"锚点未能写出或核对：{error}"
    in_transaction(lambda tx: examination.report(tx, f"anchor/{key_of(target)}", "审计锚点", failed, FAILED))
    return 0 if failed else 1


def contradictions(places: Iterable[str]) -> list[str]:
    """What contradicts the anchors kept in these places, each place by itself; raises :class:`AnchorError`."""
    return [sentence for place in places for sentence in against(place, look(place))]


def against(target: str, place: Place) -> list[str]:
    """What contradicts what lies in a place: the chains, the anchors among themselves, and what the record says was put there."""
    there = {anchor.sha256 for anchor in place.anchors}
    with reading() as tx:
        written = [line for line in _written(tx) if line.detail["target"] == key_of(target)]
        return [
            *(f"{name} is no anchor of ours, or was cut off" for name in place.odd),
            *(
                f"anchor {line.detail['number']}, written on {line.at:%Y-%m-%d %H:%M} UTC, is not there as it was written"
                for line in written
                if line.detail["sha256"] not in there
            ),
            *verify(tx, place.anchors),
        ]


def overdue(tx: Tx) -> list[str]:
    """Places to which no anchor went for twice as long as the settings say."""
    late = timedelta(hours=2 * settings().audit_anchor_hours)
    return [shown(one) for one in targets() if not (kept := _kept(tx, one)) or tx.now - kept.at > late]
