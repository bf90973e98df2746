"""Windows: how long something may take, typed, so that seven days are never seven working days by accident."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from models.base import Frozen


class Minutes(Frozen):
    """``n`` times 60 s, inclusive like the others: how long a link or a code is good for (BND-2, BND-7)."""

    unit: Literal["minutes"] = "minutes"
    n: int


class Hours(Frozen):
    """``n`` times 3600 s. ``CalendarDays(n)`` of the appeal window is exactly ``Hours(24 * n)`` (ambiguity 9)."""

    unit: Literal["hours"] = "hours"
    n: int


class NaturalDays(Frozen):
    """``n`` × 24 h to the second, inclusive: a merchant acting at exactly the end is in time (ambiguity 9)."""

    unit: Literal["natural_days"] = "natural_days"
    n: int


class CalendarDays(Frozen):
    """Until 23:59:59 of the ``n``-th day after the day of the start, in Asia/Shanghai (CLS-8, ambiguity 9)."""

    unit: Literal["calendar_days"] = "calendar_days"
    n: int


class WorkingDays(Frozen):
    """Until 23:59:59 of the ``n``-th Chinese working day after the day of the start (REF-3)."""

    unit: Literal["working_days"] = "working_days"
    n: int


class Months(Frozen):
    """The same moment ``n`` calendar months later, clamped to the month's last day (REO-1, ambiguity 15)."""

    unit: Literal["months"] = "months"
    n: int


Window = Annotated[Minutes | Hours | NaturalDays | CalendarDays | WorkingDays | Months, Field(discriminator="unit")]


def _positive(window: Window) -> Window:
    if window.n < 1:
        raise ValueError(f"a window of {window.n} {window.unit} is over before it begins")
    return window


PositiveWindow = Annotated[Window, AfterValidator(_positive)]
PositiveHours = Annotated[Hours, AfterValidator(_positive)]
PositiveDays = Annotated[NaturalDays, AfterValidator(_positive)]
PositiveMinutes = Annotated[Minutes, AfterValidator(_positive)]


class Reckoned(Frozen):
    """A due time that can prove how it was reckoned."""

    start: datetime
    due: datetime
    window: Window
    clause: str
    calendar: str = ""
    """Which calendar data was used, for working days; empty otherwise."""
    provisional: bool = False
    """True when a working day in the window lies in a year the State Council has not published yet."""

    def text(self) -> str:
        """One Chinese sentence: start, window, clause, due."""
        from zoneinfo import ZoneInfo

        zone = ZoneInfo("Asia/Shanghai")
        words = {
            "minutes": "分钟",
            "hours": "小时",
            "natural_days": "个自然日(每日 24 小时)",
            "calendar_days": "个日历日(至当日 23:59:59)",
            "working_days": "个工作日",
            "months": "个自然月",
        }[self.window.unit]
        sentence = (
            f"自 {self.start.astimezone(zone):%Y-%m-%d %H:%M:%S} 起 {self.window.n} {words},"
            f"截至 {self.due.astimezone(zone):%Y-%m-%d %H:%M:%S}(北京时间;{self.clause}"
        )
        if self.calendar:
            sentence += f";日历:{self.calendar}"
        return sentence + (";暂定,待国务院公布节假日后复核)" if self.provisional else ")")


def in_words(window: Window) -> str:
    """A window in a form or a letter: ``7 个工作日``, ``3 天``."""
    units = {
        "minutes": "分钟",
        "hours": "小时",
        "natural_days": "天",
        "calendar_days": "天",
        "working_days": "个工作日",
        "months": "个月",
    }
    return f"{window.n} {units[window.unit]}"


def duration(span: timedelta) -> str:
    """The two largest units of a span that is not negative."""
    minutes = int(span.total_seconds() // 60)
    parts = [(minutes // 1440, "天"), (minutes // 60 % 24, "小时"), (minutes % 60, "分钟")]
    told = [f"{number} {unit}" for number, unit in parts if number][:2]
    return " ".join(told) or "不到 1 分钟"
