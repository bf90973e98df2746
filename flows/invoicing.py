"""Monthly invoicing (月度开票): what every shop has to invoice is drawn up, released by finance, and issued.

    month over ─▶ drafted in chunks ─▶ totals, anomalies ─▶ finance ─┬─▶ released ─▶ (many anomalies: second person)
                        ▲                                            │                         │
                        └──────────── drafted again ◀────────────────┘         issued in chunks, without gaps ─▶ summary

Rules and numbers:       policies/invoicing.py      INV-1, INV-5, INV-7, ambiguity 15
What the merchant reads: notifications/invoicing.py, notifications/documents/statement.html.j2
When nobody answers:     flows/deadlines.py; what comes after the due time: tasks/invoicing/freezes.py
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Annotated, assert_never

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext

from flows.story import shown_as, story
from flows.waiting import ask
from models.cases import CaseKind
from models.money import yuan
from office.base.db import in_transaction, reading
from office.cases import cases
from tasks.invoicing import periods, releases, statements
from tasks.invoicing.releases import ReleaseVerdict, SecondRelease


@story(CaseKind.INVOICING, "月度开票:按月起草账单,财务放行,编号出具并通知商家(INV-1 至 INV-7)。")
def invoice_month(case_id: str) -> None:
    """Take one month from its last day to statements that every shop has been told about."""
    for round in count(1):
        statements.begin(case_id, round)
        show("起草账单", case_id, statements.draft(case_id))
        statements.total_up(case_id, round)
        decision = ask(case_id, releases.RELEASE, round=round)
        match decision.read(ReleaseVerdict):
            case None:
                raise RuntimeError(f"{case_id}: a month cannot be withdrawn")
            case ReleaseVerdict.REDRAFT:
                continue
            case ReleaseVerdict.RELEASE:
                pass
            case unknown:
                assert_never(unknown)
        if statements.to_second(case_id, round):  # four eyes over many anomalies
            second = ask(case_id, releases.SECOND, round=round)
            if second.verdict != SecondRelease.CONFIRM:
                continue
        break

    statements.release(case_id, round)
    show("出具账单", case_id, statements.issue(case_id))
    summarise(case_id)  # before the month ends: whoever dies here comes back
    statements.finish(case_id)


def show(title: str, case_id: str, steps: Iterable[tuple[int, int]]) -> None:
    """Take the steps, with a progress bar in the Prefect UI while a run carries them; none where nothing is left."""
    artifact = None
    for done, of in steps:
        progress = min(100.0, 100.0 * done / max(of, 1))
        if artifact is not None:
            update_progress_artifact(artifact, progress=progress)  # type: ignore[arg-type]
        elif FlowRunContext.get() is not None:
            artifact = create_progress_artifact(progress=progress, description=f"{title} · {case_id}")
    if artifact is not None:
        update_progress_artifact(artifact, progress=100.0)  # type: ignore[arg-type]


def summarise(case_id: str) -> None:
    """The month in one page: totals, charts, the shops that changed most."""
    period = cases.read_case(case_id).request["period"]
    with reading() as tx:
        totals = statements.issued(tx, statements.period_row(tx, period))
    page = "\n\n".join(
        [
            f"# {periods.label(period)}出账结果",
            f"已出账 **{totals['issued']:,}** 份({yuan(totals['issued_fen'])}),"
            f"暂缓 **{totals['held']:,}** 份({yuan(totals['held_fen'])})。",
            releases.totals_part(period, totals),
            releases.charts_part(totals),
            "## 变化最大的店铺",
            releases.movers_part(totals),
        ]
    )
    if FlowRunContext.get() is not None:
        create_markdown_artifact(page, key=f"invoicing-{period}", description=f"{periods.label(period)}出账结果")


Month = Annotated[str, shown_as("账期", "例如 2026-10;留空则补开所有已结束而未出账的月份")]


@flow(
    name="open-invoicing-month",
    description="每月 1 日 02:00 开始上月出账;也可手工指定已结束的账期。",
    persist_result=False,
)
def open_month(period: Month = "") -> list[str]:
    """Open the month's case, or every month that is missing; returns the months opened. Twice does nothing more."""
    if period:
        in_transaction(lambda tx: periods.open_month(tx, period))
        opened = [period]
    else:
        opened = periods.catch_up()
    get_run_logger().info("opened: %s", opened)
    return opened
