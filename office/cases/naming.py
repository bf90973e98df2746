"""Which papers a case names: with its request, with every answer, with the invoice it is about."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, cast, or_
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from models.arbitration import EvidenceSubmission
from models.cases import Case, CaseKind, CaseWait, WaitState
from models.invoicing import Invoice
from models.requests import Papered
from office.base.db import Tx, prepared
from office.record import outbox

Named = tuple[dict[str, Any], datetime | None, str]
"""A document as it was sent, when, and with what."""


def named(tx: Tx, case: Case) -> Iterator[Named]:
    """Every document the case names, first first."""
    for given in Papered.of(case).documents:
        yield given, case.received_at, "随申请提交"
    if case.kind is CaseKind.INVOICE_REVIEW:
        for invoice in tx.exec(select(Invoice).where(Invoice.case_id == case.id)):
            for given in invoice.fields.get("documents", []):
                yield given, invoice.received_at, "随发票提交"
    for wait in _answered(tx, case.id):
        for given in (wait.answer or {}).get("documents", []):
            yield given, wait.closed_at, f"答复「{wait.question}」时提交"


@prepared
def _answered(case_id: str) -> SelectOfScalar[CaseWait]:
    answered = select(CaseWait).where(CaseWait.case_id == case_id, CaseWait.state == WaitState.ANSWERED)
    return answered.order_by(col(CaseWait.id))


def file_arrived(tx: Tx, shop_id: str, sha256: str) -> None:
    """Have every open case of the shop that names this file look again: its question is shown anew."""
    for case in tx.exec(
        select(Case).where(
            Case.shop_id == shop_id,
            col(Case.concluded_at).is_(None),
            or_(
                _holds(Case.request, sha256),
                select(Invoice.id).where(Invoice.case_id == Case.id, _holds(Invoice.fields, sha256)).exists(),
                select(CaseWait.id).where(CaseWait.case_id == Case.id, _holds(CaseWait.answer, sha256)).exists(),
                select(EvidenceSubmission.id)
                .where(EvidenceSubmission.case_id == Case.id, EvidenceSubmission.sha256 == sha256)
                .exists(),
            ),
        )
    ):
        outbox.wake(tx, case)


def _holds(column: Any, sha256: str) -> ColumnElement[bool]:
    """Whether what a column keeps as JSON names the hash anywhere: the case looks for itself where."""
    return cast(col(column), String).contains(sha256)
