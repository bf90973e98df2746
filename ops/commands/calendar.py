"""``dianwu calendar``: which days are worked, and counting again when a year has been published."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import typer

from office.base.calendar import standing
from office.base.db import in_transaction, reading
from ops.commands.terminal import JSON_OPTION, misuse, print_json, refuse, say, table, when

if TYPE_CHECKING:
    from office.cases.deadlines import Recounted

app = typer.Typer(no_args_is_help=True)

_WEEKDAYS = "一二三四五六日"
_SATURDAY = 5


@app.command("show")
def show(year: int = typer.Argument(..., metavar="年份", help="例如 2026"), as_json: bool = JSON_OPTION) -> None:
    """显示某年的放假与调休上班日。"""
    if not 2004 <= year <= 2100:
        misuse(f"{year} 不在 2004 至 2100 年之间")
    calendar = standing().calendar
    days = [date(year, 1, 1) + timedelta(days=n) for n in range((date(year + 1, 1, 1) - date(year, 1, 1)).days)]
    judged = [(day, calendar.is_working_day(day)) for day in days]
    special = [(day, found) for day, found in judged if found.working == (day.weekday() >= _SATURDAY)]
    provisional = any(found.provisional for _, found in judged)
    if as_json:
        print_json(
            {
                "year": year,
                "provisional": provisional,
                "working_days": sum(found.working for _, found in judged),
                "holidays": [day.isoformat() for day, found in special if not found.working],
                "makeup_days": [day.isoformat() for day, found in special if found.working],
            }
        )
        return
    table(
        f"{year} 年（工作日 {sum(found.working for _, found in judged)} 天）",
        ["日期", "星期", "安排", "依据"],
        [
            [day, f"周{_WEEKDAYS[day.weekday()]}", "调休上班" if found.working else "放假", found.source]
            for day, found in special
        ],
        empty="没有节假日安排，按周末规则计算",
    )
    if fault := standing().fault:
        say(f"⚠ {fault}", "yellow")
    if provisional:
        say(
            f"⚠ {year} 年放假安排尚未公布或尚未录入，期限按周末规则暂定；录入后请执行 dianwu calendar recount", "yellow"
        )


@app.command("recount")
def recount(
    corrected: bool = typer.Option(False, "--corrected", help="同时改动已确定、但按更正后的安排不同的期限"),
    as_json: bool = JSON_OPTION,
) -> None:
    """放假安排公布并录入后，重新计算暂定的期限；已公布的安排有更正时，列出会变动的期限。"""
    from office.cases import deadlines

    found = in_transaction(deadlines.recount) + (in_transaction(deadlines.correct) if corrected else [])
    with reading() as tx:
        left = deadlines.corrected(tx)
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    table("重新计算的期限", COLUMNS, _rows(found), empty="没有需要改动的暂定期限")
    if left:
        table("放假安排有更正，会变动的期限（尚未改动）", COLUMNS, _rows(left))
        say("确认后请执行 dianwu calendar recount --corrected；商家的期限只会延长，不会缩短", "yellow")
    if fault := standing().fault:
        say(f"⚠ {fault}", "yellow")


COLUMNS = ["案件", "期限", "原截止", "现截止", "状态"]


def _rows(found: list[Recounted]) -> list[list[object]]:
    return [
        [one.case_id, one.key, when(one.before), when(one.after), "仍为暂定" if one.provisional else "已确定"]
        for one in found
    ]


@app.command("adopt")
def adopt() -> None:
    """以 calendar.toml 现在的内容为准，包括其中已经删去的年份。"""
    from office.base import calendar

    try:
        years = calendar.adopt()
    except calendar.Faulty as fault:
        refuse(f"calendar.toml {fault}")
    named = "、".join(f"{year} 年" for year in sorted(years)) or "没有任何年份"
    say(f"✓ 已采用：{named}。随后请执行 dianwu calendar recount", "green")
