"""Working days in China: our own table, then the library, then weekends as a marked guess.

The State Council publishes each year's holidays in the autumn before. Until then a date in that year is
judged by the weekend rule and everything that used it is *provisional*: it is shown as such and counted again
once the year is in the table or the library. The guess takes no public holiday for granted, so it errs on the
early side: a promise of ours reckoned with it is never later than the one that will be binding, unless a
make-up day comes.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Self

import chinese_calendar
from chinese_calendar.constants import holidays as library_holidays
from pydantic import Field, model_validator

from models.base import Frozen
from models.wire import AnyDay

_SATURDAY = 5


class Day(Frozen):
    """Whether a day is worked, who says so (Chinese, for people), and whether that may still change."""

    working: bool
    source: str
    provisional: bool


class PublishedYear(Frozen):
    """One year as published. Days off and make-up working days; every other day follows the weekend.

    A notice names days of its neighbours, too: New Year's holiday may begin in December or have its make-up day there.
    """

    year: int
    notice: str = ""
    holidays: frozenset[AnyDay] = Field(default=frozenset())
    makeup_days: frozenset[AnyDay] = Field(default=frozenset())

    @model_validator(mode="after")
    def _is_a_calendar(self) -> Self:
        for day in sorted(self.holidays | self.makeup_days):
            if day.year != self.year and (day.year, day.month) not in {(self.year - 1, 12), (self.year + 1, 1)}:
                raise ValueError(f"{day} 不属于 {self.year} 年的通知")
        if both := self.holidays & self.makeup_days:
            raise ValueError(f"{min(both)} 既列为放假又列为上班")
        if weekdays := [day for day in self.makeup_days if day.weekday() < _SATURDAY]:
            raise ValueError(f"{min(weekdays)} 不是周末,不能列为调休上班日")
        return self

    def named(self, day: date) -> bool | None:
        """Whether a day that the notice names is worked; ``None`` for one that it does not name."""
        return day in self.makeup_days if day in self.makeup_days | self.holidays else None


def published_years(tables: Mapping[int, PublishedYear] | Mapping[str, Any]) -> dict[int, PublishedYear]:
    """Years from what an override file parses to (as in ``calendar/overrides.toml``), or from years as read.

    Raises ValueError naming the entry or day that cannot be right.
    """
    found: dict[int, PublishedYear] = {}
    for name, table in tables.items():
        if isinstance(table, PublishedYear):
            found[table.year] = table
        elif re.fullmatch("[0-9]{4}", str(name)) and isinstance(table, Mapping):
            found[int(name)] = PublishedYear.model_validate({**table, "year": int(name)})
        else:
            raise ValueError(f"{name!r} 不是年份:须写成 [2027],其下是 holidays 与 makeup_days")
    return found


def read_overrides(text: str) -> dict[int, PublishedYear]:
    """The years in the text of an override file; raises ValueError for what is not TOML or not a calendar."""
    return published_years(tomllib.loads(text))


@cache
def packaged_overrides() -> Mapping[int, PublishedYear]:
    """The override table that ships with the rules."""
    table = files("policies").joinpath("calendar", "overrides.toml")
    return read_overrides(table.read_text(encoding="utf-8"))


@cache
def _library_years() -> tuple[int, int, str]:
    years = [day.year for day in library_holidays]
    return min(years), max(years), f"chinesecalendar {version('chinesecalendar')}"


class WorkCalendar:
    """A working-day calendar: ``overrides`` first, then the library, then the weekend rule.

    Without ``overrides`` the packaged table is used. A calendar never changes; ``with_overrides`` makes
    another.
    """

    def __init__(self, overrides: Mapping[int, PublishedYear] | None = None) -> None:
        self._given = overrides

    @property
    def overrides(self) -> Mapping[int, PublishedYear]:
        return packaged_overrides() if self._given is None else self._given

    def with_overrides(self, overrides: Mapping[int, PublishedYear] | Mapping[str, Any]) -> WorkCalendar:
        """This calendar with more published years, given as years or as an override file parses.

        A year given here replaces one already known; ValueError as in ``published_years``.
        """
        return WorkCalendar({**self.overrides, **published_years(overrides)})

    def is_working_day(self, day: date) -> Day:
        """Whether ``day`` (a date in Asia/Shanghai) is worked. Never raises, also not for years to come."""
        weekday = day.weekday() < _SATURDAY
        for year in (day.year + 1, day.year, day.year - 1):  # of two notices that name a day, the later one counts
            published = self.overrides.get(year)
            named = published.named(day) if published else None
            if published and (named is not None or year == day.year):
                working = weekday if named is None else named
                return Day(working=working, source=f"人工维护的 {year} 年放假安排", provisional=False)
        first, last, library = _library_years()
        if first <= day.year <= last:
            return Day(working=chinese_calendar.is_workday(day), source=library, provisional=False)
        return Day(working=weekday, source=f"周末规则({day.year} 年放假安排未公布)", provisional=True)

    def add_working_days(self, start: date, n: int) -> tuple[date, str, bool]:
        """The ``n``-th working day after ``start``, the sources used, and whether the result is provisional.

        ``start`` itself never counts. Provisional when any day counted over is; ``n`` below 1 is a
        ValueError.
        """
        if n < 1:
            raise ValueError(f"the {n}-th working day after {start} is not a day")
        day, left, sources, provisional = start, n, dict[str, None](), False
        while left:
            day += timedelta(days=1)
            judged = self.is_working_day(day)
            left -= judged.working
            sources[judged.source] = None
            provisional = provisional or judged.provisional
        return day, ";".join(sources), provisional

    def coverage(self) -> int:
        """The last year before the first that is not published: from there on, dates are provisional."""
        _, year, _ = _library_years()
        while year + 1 in self.overrides:
            year += 1
        return year


DEFAULT = WorkCalendar()
"""The packaged table over the library. Its data is read when it is first asked, not on import."""
