"""Opening months and halves (开账): what is over gets its case, by the calendar or by hand."""

from __future__ import annotations

from typing import Annotated

from prefect import flow, get_run_logger

from flows.story import shown_as
from office.base.db import in_transaction
from tasks.invoicing import periods
from tasks.processes import open_office
from tasks.settlement import halves

Month = Annotated[str, shown_as("账期", "例如 2026-10；留空则补开所有已结束而未出账的月份")]


@flow(
    name="open-invoicing-month",
    description="每月初自动开始上月出账；也可手工指定已结束的账期。",
    persist_result=False,
)
def open_month(period: Month = "") -> list[str]:
    """Open the month's case, or every month that is missing; returns the months opened. Twice does nothing more."""
    open_office()
    if period:
        in_transaction(lambda tx: periods.open_month(tx, period))
        opened = [period]
    else:
        opened = periods.catch_up()
    get_run_logger().info("opened: %s", opened)
    return opened


Half = Annotated[
    str, shown_as("结算期", "例如 2026-03-1（1 日至 15 日）或 2026-03-2；留空则补开已结束而未结算的结算期")
]


@flow(
    name="open-settlement-half",
    description="每月 1 日和 16 日 04:00 开始上一结算期的货款结算；也可手工指定已结束的结算期。",
    persist_result=False,
)
def open_half(half: Half = "") -> list[str]:
    """Open the half's case, or the one that is missing; returns the halves opened. Twice does nothing more."""
    open_office()
    if half:
        in_transaction(lambda tx: halves.begin_half(tx, half))
        opened = [half]
    else:
        opened = halves.catch_up()
    get_run_logger().info("opened: %s", opened)
    return opened
