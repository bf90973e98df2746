"""The evidence of an appeal: whose it is, how much is taken at a time, and what was submitted in which round (ARB-4, ARB-5)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import ColumnElement
from sqlmodel import col, select

from models.arbitration import EvidenceKind, EvidenceSubmission
from models.arbitration_events import EvidenceRef
from models.cases import Case
from models.evidence import EvidenceItem
from office.base.db import Tx
from office.record import audit
from policies.policy import policy_at


def own(
    tx: Tx, case: Case, refs: Iterable[EvidenceRef]
) -> tuple[list[tuple[EvidenceItem, EvidenceKind]], list[str], list[str]]:
    """Of the items named, those that are the shop's own and new to the case; the ids that are not its own; and the ids
    beyond as many as the policy allows at a time, which are named and not lost silently. An item named twice counts once.
    """
    known = {row.evidence_id for row, _ in submitted(tx, case.id)}
    most = policy_at(case.received_at).appeal.evidence.max_items
    taken: dict[str, tuple[EvidenceItem, EvidenceKind]] = {}
    foreign: list[str] = []
    over: list[str] = []
    for ref in refs:
        item = tx.get(EvidenceItem, ref.id)
        if item is None or item.shop_id != case.shop_id:
            foreign.append(ref.id)
        elif ref.id in known or ref.id in taken:
            continue
        elif len(taken) < most:
            taken[ref.id] = (item, ref.kind)
        else:
            over.append(ref.id)
    return list(taken.values()), sorted(set(foreign)), list(dict.fromkeys(over))


def submit(tx: Tx, case: Case, round: int, items: Iterable[tuple[EvidenceItem, EvidenceKind]], at: datetime) -> None:
    """Submit items; from here on nothing about them changes."""
    hashes = {}
    for item, kind in items:
        tx.add(
            EvidenceSubmission(
                case_id=case.id, round=round, evidence_id=item.id, kind=kind, sha256=item.sha256, submitted_at=at
            )
        )
        hashes[item.id] = item.sha256
    tx.flush()
    audit.record(
        tx,
        case.id,
        "evidence.submitted",
        actor="merchant",
        clause="ARB-4" if round == 1 else "ARB-5",
        public=True,
        text=f"提交凭证 {len(hashes)} 项",
        round=round,
        sha256=hashes,
    )


def submitted(tx: Tx, case_id: str) -> list[tuple[EvidenceSubmission, EvidenceItem]]:
    """What was submitted in a case, in order."""
    query = (
        select(EvidenceSubmission, EvidenceItem)
        .join(EvidenceItem, col(EvidenceItem.id) == EvidenceSubmission.evidence_id)
        .where(EvidenceSubmission.case_id == case_id)
        .order_by(col(EvidenceSubmission.id))
    )
    return [(row, item) for row, item in tx.exec(query)]


def names_file(sha256: str) -> ColumnElement[bool]:
    """What is true of an appeal in which the file of this hash was submitted."""
    named = select(EvidenceSubmission.id).where(
        EvidenceSubmission.case_id == Case.id, EvidenceSubmission.sha256 == sha256
    )
    return named.exists()
