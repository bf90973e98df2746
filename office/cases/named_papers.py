"""Which papers a case names: with its request, with every answer, and wherever else its process keeps some."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, cast, or_
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from models.cases import Case, CaseWait, WaitState
from models.requests import Papered
from office.base.db import Tx, prepared
from office.process import office
from office.record import outbox

Named = tuple[dict[str, Any], datetime | None, str]
"""A document as it was sent, when, and with what."""


def named(tx: Tx, case: Case) -> Iterator[Named]:
    """Every document the case names, first first."""
    for given in Papered.of(case).documents:
        yield given, case.received_at, "随申请提交"
    if papers := office().kinds[case.kind].papers:
        yield from papers(tx, case)
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
                holds(Case.request, sha256),
                select(CaseWait.id).where(CaseWait.case_id == Case.id, holds(CaseWait.answer, sha256)).exists(),
                *(one.names_file(sha256) for one in office().processes if one.names_file),
            ),
        )
    ):
        outbox.wake(tx, case)


def holds(column: Any, sha256: str) -> ColumnElement[bool]:
    """Whether what a column keeps as JSON names the hash anywhere: the case looks for itself where."""
    return cast(col(column), String).contains(sha256)
