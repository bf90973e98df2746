"""What a closing shop still has to invoice, by our books and by what the platform reports (CLS-8, INV-9)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlmodel import col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from models.cases import Case
from models.invoicing import BillableItem, ExitObligation, ExitState, Statement, StatementState
from office.base.db import Tx, prepared
from policies.policy import SHANGHAI
from tasks.shops import shops

EVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
UNDECIDED = (StatementState.DRAFT, StatementState.HELD)
OPEN = (StatementState.ISSUED, StatementState.OVERDUE, *UNDECIDED)


def reported_by_platform(tx: Tx, shop_id: str) -> int:
    """What the platform's newest facts call not invoiced, in fen; nothing where it never sent any."""
    known, _ = shops.facts_of(tx, shop_id)
    return known.uninvoiced_fen if known else 0


def window_of(case: Case, year: int) -> tuple[datetime, datetime]:
    """Between which moments, both inclusive, a fee of the duty was incurred."""
    return datetime(year, 1, 1, tzinfo=SHANGHAI).astimezone(UTC), case.received_at


def duty(tx: Tx, case: Case, year: int) -> tuple[int, list[str]]:
    """What of the closure's duty no accepted invoice covers, in fen, and the statements it is on."""
    since, until = window_of(case, year)
    return outstanding(tx, case.shop_id or "", since, until)


def outstanding(
    tx: Tx, shop_id: str, since: datetime | None = None, until: datetime | None = None
) -> tuple[int, list[str]]:
    """What of the fees incurred then (``None``: ever) no accepted invoice covers, in fen, and the statements it is on.

    Of a statement that also bills other fees it is at most what those of this time come to.
    """
    incurred = {str(period): int(fen) for period, fen in _incurred(tx, shop_id, since or EVER[0], until or EVER[1])}
    statements = list(_statements(tx, shop_id))
    billed = {statement.period for statement in statements}
    found = [
        (statement, fen)
        for statement in sorted(statements, key=lambda one: (one.due_at is None, one.due_at or one.id, one.id))
        if statement.state in OPEN and (fen := min(statement.open_fen, incurred.get(statement.period, 0))) > 0
    ]
    unbilled = sum(fen for period, fen in incurred.items() if period not in billed)
    named = [one.number or f"{one.period} 账单(尚未出账,出账后开票)" for one, _ in found]
    return sum(fen for _, fen in found) + max(unbilled, 0), named


@prepared
def _incurred(shop_id: str, since: datetime, until: datetime) -> SelectOfScalar[Any]:
    then = col(BillableItem.settled_at) >= since, col(BillableItem.settled_at) <= until
    fees: Any = select(BillableItem.period, func.sum(BillableItem.amount_fen))
    return fees.where(BillableItem.shop_id == shop_id, *then).group_by(col(BillableItem.period))


@prepared
def _statements(shop_id: str) -> SelectOfScalar[Statement]:
    return select(Statement).where(Statement.shop_id == shop_id)


def pending(tx: Tx, case: Case) -> tuple[int, int]:
    """What of the exit invoices still keeps the shop from closing, in fen: by our books, and by what the platform reports.

    A waiver covers as much of each as the supervisor saw, and no further (ambiguity 23).
    """
    obligation, reported = tx.get(ExitObligation, case.id), reported_by_platform(tx, case.shop_id or "")
    if obligation is None:
        return 0, reported
    uninvoiced, _ = duty(tx, case, obligation.year)
    return _beyond(uninvoiced, obligation, obligation.waived_fen), _beyond(
        reported, obligation, obligation.waived_reported_fen
    )


def _beyond(fen: int, obligation: ExitObligation, waived: int | None) -> int:
    """What of it no waiver covers. Where nobody noted how far a waiver goes it covers all."""
    if obligation.state is not ExitState.WAIVED:
        return fen
    return 0 if waived is None else max(fen - waived, 0)


def reported_after_closing(tx: Tx, shop_id: str) -> int:
    """For a refund: what the platform reports as not invoiced, beyond what was waived at the shop's last closure (REF-8)."""
    reported, last = reported_by_platform(tx, shop_id), last_of(tx, shop_id)
    return reported if last is None else _beyond(reported, last, last.waived_reported_fen)


def last_of(tx: Tx, shop_id: str) -> ExitObligation | None:
    """The duty of the shop's last closure."""
    return _duties(tx, shop_id).first()


@prepared
def _duties(shop_id: str) -> SelectOfScalar[ExitObligation]:
    of_shop = select(ExitObligation).where(ExitObligation.shop_id == shop_id)
    return of_shop.order_by(col(ExitObligation.opened_at).desc()).limit(1)
