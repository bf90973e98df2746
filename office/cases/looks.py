"""Looks: who has a question before them now, and which papers were handed to whom.

A paper is seen when every page of it was handed out at full size, or the original. That is what a decision says of it, and
no more: nobody can know where eyes have been.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import update
from sqlmodel import col, delete, select

from models.audit import AuditEntry, AuditHead
from models.base import Frozen
from models.cases import Case
from models.desk import DeskPresence, PaperLook, PaperRead
from models.dossier import Sheet
from models.evidence import EvidenceItem
from models.reviews import Review, Staff
from office.base.clock import clock
from office.base.db import Tx
from office.base.vault import keyed_hash
from office.record import audit

HERE = timedelta(seconds=90)
"""How long after their page was heard of last somebody is said to be looking."""
ORIGINAL = 0
"""The page number of the file itself."""
AT_TERMINAL = timedelta(minutes=15)
READ = ("evidence.read", "dossier.read", "shop.read")
"""What the record says of who looked at somebody's matters."""


# ── papers ───────────────────────────────────────────────────────────────────


class PaperSeen(Frozen):
    """A paper of a question, and whether all of it was handed to the person."""

    id: str
    label: str
    sha256: str
    seen: bool


def handed_out(
    tx: Tx, item: EvidenceItem, staff_id: str, session_id: str, page: int, pages: int, *, whole: bool = True
) -> None:
    """A page of a paper (or the original) goes to somebody: on the record of the shop, once in a session; at full size
    (``whole``) also as what they have seen of it."""
    if (noted := tx.get(PaperRead, (session_id, item.id))) is None:
        tx.add(PaperRead(session_id=session_id, evidence_id=item.id, at=clock().real()))
        tx.flush()
    if noted is None or not _on_record(tx, item, staff_id, session_id):
        audit.record(
            tx,
            f"shop/{item.shop_id}",
            "evidence.read",
            actor=f"staff/{staff_id}",
            text=f"在工作台查看材料 {item.id}",
            evidence=item.id,
            sha256=item.sha256,
            session=session_id,
        )
    before = tx.get(PaperLook, (staff_id, item.sha256, page)) if whole else None
    if before is not None and before.seal != _seal(before):  # of an earlier version, or of nobody of ours
        tx.delete(before)
        tx.flush()
        before = None
    if whole and before is None:
        look = PaperLook(staff_id=staff_id, sha256=item.sha256, page=page, pages=pages, at=clock().real())
        look.seal = _seal(look)
        tx.add(look)


def _on_record(tx: Tx, item: EvidenceItem, staff_id: str, session_id: str) -> bool:
    """Whether the record knows what a row says, that a paper was handed out in a session: SQL hides nobody's reading."""
    if (session_id, item.id) in _known:
        return True
    streams = audit.streams(tx, f"shop/{item.shop_id}")
    query = select(AuditEntry).where(col(AuditEntry.stream).in_(streams), AuditEntry.action == "evidence.read")
    lines = tx.exec(query.where(AuditEntry.actor == f"staff/{staff_id}"))
    if not any(line.detail.get("session") == session_id and line.detail.get("evidence") == item.id for line in lines):
        return False
    if len(_known) > MOST_KNOWN:
        _known.clear()
    _known.add((session_id, item.id))
    return True


_known: set[tuple[str, str]] = set()
"""Sessions with the papers that this process has found on record."""
MOST_KNOWN = 10_000


def dossier_read(tx: Tx, case: Case, staff_id: str, session_id: str) -> None:
    """Somebody who is not asked reads what is shown of a case: on the record of its shop, whose matters they are."""
    audit.record(
        tx,
        _stream(case),
        "dossier.read",
        actor=f"staff/{staff_id}",
        text=f"在工作台查看案件 {case.id} 的材料",
        case=case.id,
        session=session_id,
    )


def shop_read(tx: Tx, shop_id: str, staff_id: str, session_id: str) -> None:
    """Somebody reads a shop's page: its cases, its money, its accounts."""
    audit.record(
        tx,
        f"shop/{shop_id}",
        "shop.read",
        actor=f"staff/{staff_id}",
        text="在工作台查看店铺",
        session=session_id,
    )


def read_at_terminal(tx: Tx, case: Case, account: str, doing: str) -> bool:
    """Somebody reads a case at the terminal, where nobody proves who they are: it is whose shell the machine says it is.
    Once in a quarter of an hour, so that a program that asks every minute fills nobody's record. ``False`` where the record's end
    is not sealed with the keys of this shell: by looking nobody has a record go on in a new chain."""
    end = tx.get(AuditHead, audit.streams(tx, _stream(case))[-1])
    if end is not None and not audit.sealed(end):
        return False
    actor, text = f"terminal/{account}", f"在终端{doing}案件 {case.id}"
    before = select(AuditEntry.id).where(AuditEntry.stream == _stream(case), AuditEntry.action == "dossier.read")
    same = before.where(AuditEntry.actor == actor, AuditEntry.text == text, AuditEntry.at > tx.now - AT_TERMINAL)
    if tx.exec(same.limit(1)).first() is None:
        audit.record(tx, _stream(case), "dossier.read", actor=actor, text=text, case=case.id)
    return True


def _stream(case: Case) -> str:
    return f"shop/{case.shop_id}" if case.shop_id else case.id


def readings(tx: Tx, *, who: str = "", shop_id: str = "", since: datetime, limit: int) -> list[AuditEntry]:
    """Who has looked at what, the latest first: of one person or account, about one shop, or of all."""
    query = select(AuditEntry).where(col(AuditEntry.action).in_(READ), AuditEntry.at >= since)
    if who:
        query = query.where(col(AuditEntry.actor).in_([f"staff/{who}", f"terminal/{who}"]))
    if shop_id:
        query = query.where(col(AuditEntry.stream).in_(audit.streams(tx, f"shop/{shop_id}")))
    return list(tx.exec(query.order_by(col(AuditEntry.id).desc()).limit(limit)))


def papers_seen(tx: Tx, review: Review, staff_id: str) -> tuple[PaperSeen, ...]:
    """The papers a question shows, in its order, each with whether all of it was handed to this person."""
    sheet = Sheet.read(review.dossier)
    ids, labels = sheet.files(), sheet.labels()
    if not ids:
        return ()
    items = {item.id: item for item in tx.exec(select(EvidenceItem).where(col(EvidenceItem.id).in_(ids)))}
    whole = seen_whole(tx, staff_id, [item.sha256 for item in items.values()])
    return tuple(
        PaperSeen(id=one, label=labels.get(one, "材料"), sha256=items[one].sha256, seen=items[one].sha256 in whole)
        for one in ids
        if one in items
    )


def seen_whole(tx: Tx, staff_id: str, hashes: Iterable[str]) -> set[str]:
    """Which of these contents were handed to this person to their last page."""
    looked: dict[str, dict[int, int]] = {}
    wanted = sorted({*hashes})
    query = select(PaperLook).where(PaperLook.staff_id == staff_id, col(PaperLook.sha256).in_(wanted))
    for look in tx.exec(query) if wanted else ():
        if look.seal == _seal(look):
            looked.setdefault(look.sha256, {})[look.page] = look.pages
    return {sha256 for sha256, pages in looked.items() if _all_of(pages)}


def _seal(look: PaperLook) -> str:
    return keyed_hash(f"look|{look.staff_id}|{look.sha256}|{look.page}|{look.pages}|{look.at.isoformat()}")


def _all_of(pages: dict[int, int]) -> bool:
    """Whether these pages (each with how many the file has) are the whole of it."""
    if ORIGINAL in pages:
        return True
    most = max(pages.values(), default=0)
    return 0 < most <= len(pages)


# ── presence ─────────────────────────────────────────────────────────────────


def here(tx: Tx, review_id: str, staff_id: str) -> None:
    """Somebody has this question before them."""
    now = clock().real()
    kept = tx.execute(
        update(DeskPresence)
        .where(col(DeskPresence.review_id) == review_id, col(DeskPresence.staff_id) == staff_id)
        .values(at=now)
        .execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    if not kept and tx.get(Review, review_id) is not None:
        tx.add(DeskPresence(review_id=review_id, staff_id=staff_id, at=now))


def who_is_here(tx: Tx, review_ids: Iterable[str], but: str = "") -> dict[str, tuple[str, ...]]:
    """The names of those who have each of these questions before them, other than ``but``."""
    wanted = list(review_ids)
    query = (
        select(DeskPresence.review_id, Staff.name)
        .join(Staff, col(Staff.id) == DeskPresence.staff_id)
        .where(col(DeskPresence.at) > clock().real() - HERE, DeskPresence.staff_id != but)
        .order_by(col(Staff.name))
    )
    found: dict[str, tuple[str, ...]] = {}
    for review_id, name in tx.exec(query.where(col(DeskPresence.review_id).in_(wanted))) if wanted else ():
        found[review_id] = (*found.get(review_id, ()), name)
    return found


def now_here(tx: Tx) -> tuple[tuple[str, str], ...]:
    """Every question that somebody looks at, with whom: what the pulse compares."""
    query = select(DeskPresence.review_id, DeskPresence.staff_id).where(col(DeskPresence.at) > clock().real() - HERE)
    return tuple(sorted(tx.exec(query)))


def forget_old(tx: Tx) -> None:
    """Drop who looked at what an hour ago."""
    tx.exec(delete(DeskPresence).where(col(DeskPresence.at) < clock().real() - timedelta(hours=1)))
