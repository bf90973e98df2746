"""The seven days of an appeal and the three of its evidence: which notice opens them, what is missing, what the merchant is shown."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import col, func, select

from models.arbitration import (
    AppealReason,
    CheckItem,
)
from models.cases import Case, CaseState, WaitState
from models.messages import OutboxMessage, OutboxState
from models.reviews import Review, ReviewState
from models.views import EvidenceShown
from models.windows import Reckoned
from office.base.db import Tx
from office.cases import cases, deadlines
from office.cases.cases import rules
from office.cases.reviews import decided
from office.record import outbox
from policies import appeal as rules_of_appeal
from policies.deadlines import in_time
from tasks.appeal import submissions
from tasks.appeal.request import AppealAsked

EVIDENCE = "re-evidence"
NOTICE = "rejection-notice"
"""Our own time to get the rejection notice out; the merchant's window starts when it is."""
NOTICE_LOOKS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(minutes=30))
"""When the case looks again whether the notice has gone out, after the first look at once."""


LOST = frozenset({CaseState.DISMISSED, CaseState.CLOSED_TIMEOUT})
"""How an appeal ends after which the merchant may turn elsewhere (ARB-10)."""


# ── what the rules see ───────────────────────────────────────────────────────


def reason_of(case: Case) -> AppealReason:
    return AppealAsked.of(case).reason


def checklist_of(tx: Tx, case: Case) -> tuple[CheckItem, ...]:
    """What is expected for the merchant's reason, and what of it has been submitted."""
    there = {row.evidence_id: row.kind for row, _ in submissions.submitted(tx, case.id)}
    return rules_of_appeal.checklist(reason_of(case), there, rules(case))


def expected_of(tx: Tx, case: Case) -> tuple[str, ...]:
    return tuple(item.kind.label for item in checklist_of(tx, case) if not item.satisfied)


def notice_key(case_id: str) -> str:
    return f"{case_id}/evidence-requested"


def notice_forms(case_id: str) -> tuple[str, str]:
    """Keys of the notice in the outbox: what the merchant reads, and its copy for the platform's own inbox."""
    return outbox.TO_MERCHANT + notice_key(case_id), outbox.COPY + notice_key(case_id)


def notice_sent_at(tx: Tx, case_id: str) -> datetime | None:
    """When the rejection notice left us: the first way by which it did (ARB-5: 平台驳回通知后).

    Where there is no way at all (no contact, no subscriber) it stands in the case from the moment that was found.
    ``None`` while it is still on its way, also after it was given up, until somebody has it sent again.
    """
    rows = list(tx.exec(select(OutboxMessage).where(col(OutboxMessage.key).in_(notice_forms(case_id)))))
    sent = [row.closed_at for row in rows if row.state is OutboxState.SENT and row.closed_at]
    if sent:
        return min(sent)
    skipped = [row.closed_at for row in rows if row.state is OutboxState.SKIPPED and row.closed_at]
    return max(skipped) if rows and len(skipped) == len(rows) else None


def window_of(tx: Tx, case: Case) -> Reckoned | None:
    """The merchant's second window; ``None`` while the notice has not gone out and nothing has begun to run.

    Once it runs it is what its deadline says: a notice sent again does not move it.
    """
    if begun := deadlines.find(tx, case.id, EVIDENCE):
        return Reckoned.model_validate(begun.reckoned)
    wait = cases.find_wait(tx, case.id, EVIDENCE)
    if wait is not None and wait.state is not WaitState.OPEN:
        return None  # answered before it began to run
    sent_at = notice_sent_at(tx, case.id)
    return rules_of_appeal.reevidence_window(sent_at, rules(case)) if sent_at else None


def last_of(tx: Tx, case: Case, gate: str) -> Review | None:
    """The review of that gate that was decided last."""
    rounds = select(func.max(Review.round)).where(
        Review.case_id == case.id, Review.gate == gate, Review.state == ReviewState.DECIDED
    )
    last = tx.exec(rounds).one()
    return decided(tx, case.id, gate, last) if last else None


# ── what the merchant sees ───────────────────────────────────────────────────


def view_extras(tx: Tx, case: Case) -> dict[str, Any]:
    """The appeal's own part of the case view: ``due_by``, ``past_due``, ``submission_count``, ``evidence``.
    Times are ISO 8601 in UTC. ``due_by`` is the merchant's own window, as the notice's
    sending opened it, also before the case has come to note it; null when nothing is asked of the merchant."""
    wait = cases.find_wait(tx, case.id, EVIDENCE)
    asked = wait is not None and case.outcome in {None, CaseState.CLOSED_TIMEOUT}
    window = window_of(tx, case) if asked else None
    past = window is not None and not in_time(tx.now, window.due)
    rows, items = submissions.submitted(tx, case.id), checklist_of(tx, case)
    return {
        "due_by": window.due.astimezone(UTC).isoformat() if window else None,
        "past_due": past and (wait is None or wait.state is not WaitState.ANSWERED),
        "submission_count": len({row.round for row, _ in rows}),
        "evidence": [
            {
                "kind": item.kind.value,
                "label": item.kind.label,
                "satisfied": item.satisfied,
                "items": [
                    {"id": row.evidence_id, "name": found.name, "sha256": row.sha256, "round": row.round}
                    for row, found in rows
                    if row.evidence_id in item.evidence_ids
                ],
            }
            for item in items
        ],
    }


def submitted(tx: Tx, case: Case) -> Iterable[EvidenceShown]:
    """What was submitted, with the hash it was bound to the moment it came in."""
    for row, item in submissions.submitted(tx, case.id):
        yield EvidenceShown(
            name=item.name,
            kind=row.kind.label,
            sha256=row.sha256,
            submitted_at=row.submitted_at,
            where=f"第 {row.round} 次举证",
        )
