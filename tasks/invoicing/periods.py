"""Months: none is missed and none is done twice, whatever the schedule, the operators or the machine do."""

from __future__ import annotations

from sqlalchemy import func
from sqlmodel import col, select

from models.cases import Case, CaseKind, CaseState
from models.invoicing import BillableItem, Period, PeriodState
from office.base.db import Tx, in_transaction, reading
from office.cases import cases
from office.record.inbox import Refused
from policies.invoicing import next_period, oldest, over, read_period
from policies.policy import policy_at
from tasks.invoicing.billables import open_period

MOST_AT_ONCE = 12
"""Months that one catch-up opens; the next sweep goes on."""


def label(period: str) -> str:
    """``2026年10月``."""
    return f"{int(period[:4])}年{int(period[5:7])}月"


def open_month(tx: Tx, period: str, actor: str = "system") -> Case:
    """The case that draws up a month, opened once. Raises :class:`Refused` while the month is not over."""
    period, numbers = read_period(period), policy_at(tx.now).invoicing
    if period > over(tx.now, numbers):
        raise Refused(f"{label(period)}尚未结束,不能出账", "INV-1")
    if period < oldest(tx.now, numbers):
        raise Refused(f"{label(period)}早于 {numbers.oldest_item_months} 个月,请核对年份", "INV-1")
    case = cases.open_case(
        tx,
        CaseKind.INVOICING,
        origin=f"schedule/{CaseKind.INVOICING}/{period}",
        received_at=tx.now,
        subject=f"{label(period)}账单",
        state=CaseState.SUBMITTED,
        request={"period": period},
        actor=actor,
        clause="INV-1",
        text=f"开始{label(period)}出账",
    )
    row = tx.get(Period, period) or Period(id=period, state=PeriodState.OPEN)
    if row.case_id is None:
        row.case_id = case.id
        tx.add(row)
        tx.flush()
    return case


def missing(tx: Tx) -> list[str]:
    """Months that are over and have no case: from the first month with anything in it on, oldest first.

    Never further back than the policy bills at all.
    """
    first = tx.exec(select(func.min(BillableItem.own_period))).one()
    begun = tx.exec(select(func.min(Period.id)).where(col(Period.case_id).is_not(None))).one()
    start = min([month for month in (first, begun) if month], default=None)
    if start is None:
        return []
    taken = set(tx.exec(select(Period.id).where(col(Period.case_id).is_not(None))))
    numbers = policy_at(tx.now).invoicing
    start, last, found = max(start, oldest(tx.now, numbers)), over(tx.now, numbers), []
    while start <= last:
        if start not in taken:
            found.append(start)
        start = next_period(start)
    return found


def catch_up() -> list[str]:
    """Open every month that is over and was not opened; returns them. Run every minute, it usually only looks."""
    with reading() as tx:
        due = missing(tx)[:MOST_AT_ONCE]
    for period in due:
        in_transaction(lambda tx, period=period: open_month(tx, period))  # type: ignore[misc]
    return due


def next_open(tx: Tx, period: str) -> str:
    """The first month after ``period`` that still takes items."""
    return open_period(tx, next_period(period))
