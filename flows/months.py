"""Opening months (开账): the month that is over gets its case, on the first of the next or by hand."""

from __future__ import annotations

from typing import Annotated

from prefect import flow, get_run_logger

from flows.story import shown_as
from office.base.db import in_transaction
from tasks.invoicing import periods
from tasks.processes import open_office

Month = Annotated[str, shown_as("账期", "例如 2026-10;留空则补开所有已结束而未出账的月份")]


@flow(
    name="open-invoicing-month",
    description="每月初自动开始上月出账;也可手工指定已结束的账期。",
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
