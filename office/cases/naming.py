"""Which papers a case names: with its request, with every answer, with the invoice it is about."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlmodel import col, select

from models.arbitration import EvidenceSubmission
from models.cases import Case, CaseKind, CaseWait, WaitState
from models.invoicing import Invoice
from office.base.db import Tx
from office.cases.cases import open_cases
from office.record import outbox

Named = tuple[dict[str, Any], datetime | None, str]
"""A document as it was sent, when, and with what."""


def named(tx: Tx, case: Case) -> Iterator[Named]:
    """Every document the case names, first first."""
    for given in case.request.get("documents", []):
        yield given, case.received_at, "随申请提交"
    if case.kind is CaseKind.INVOICE_REVIEW:
        for invoice in tx.exec(select(Invoice).where(Invoice.case_id == case.id)):
            for given in invoice.fields.get("documents", []):
                yield given, invoice.received_at, "随发票提交"
    answered = select(CaseWait).where(CaseWait.case_id == case.id, CaseWait.state == WaitState.ANSWERED)
    for wait in tx.exec(answered.order_by(col(CaseWait.id))):
        for given in (wait.answer or {}).get("documents", []):
            yield given, wait.closed_at, f"答复「{wait.question}」时提交"


def file_arrived(tx: Tx, shop_id: str, sha256: str) -> None:
    """Have every open case of the shop that names this file look again: its question is shown anew."""
    for case in open_cases(tx, shop_id):
        submitted = select(EvidenceSubmission.id).where(
            EvidenceSubmission.case_id == case.id, EvidenceSubmission.sha256 == sha256
        )
        if any(given.get("sha256") == sha256 for given, _, _ in named(tx, case)) or tx.exec(submitted).first():
            outbox.wake(tx, case)
