"""Deadlines: from a start and a typed window to a due time that can prove itself, and who is in time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import assert_never

from dateutil.relativedelta import relativedelta

from models.windows import CalendarDays, Hours, Minutes, Months, NaturalDays, Reckoned, Window, WorkingDays
from policies.deadline_numbers import DeadlinePolicy, QuietHours
from policies.policy import SHANGHAI
from policies.workdays import DEFAULT, WorkCalendar

_LAST_SECOND = time(23, 59, 59)


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"naive datetime {moment!r}: say which zone it is in")
    return moment


def _end_of(day: date) -> datetime:
    return datetime.combine(day, _LAST_SECOND, tzinfo=SHANGHAI)


def reckon(start: datetime, window: Window, clause: str, calendar: WorkCalendar = DEFAULT) -> Reckoned:
    """When ``window``, begun at the aware ``start``, is over; ``start`` and ``due`` come back in UTC.

    Natural days are n × 24 h to the second; calendar and working days end at 23:59:59 in Asia/Shanghai with
    the day of the start as day 0; months keep the wall-clock time there, clamped to the month's end
    (ambiguity 9).
    """
    local = _aware(start).astimezone(SHANGHAI)
    sources, provisional = "", False
    match window:
        case Minutes(n=n):
            due = start.astimezone(UTC) + timedelta(minutes=n)
        case Hours(n=n):
            due = start.astimezone(UTC) + timedelta(hours=n)
        case NaturalDays(n=n):
            due = start.astimezone(UTC) + timedelta(hours=24 * n)
        case CalendarDays(n=n):
            due = _end_of(local.date() + timedelta(days=n))
        case WorkingDays(n=n):
            day, sources, provisional = calendar.add_working_days(local.date(), n)
            due = _end_of(day)
        case Months(n=n):
            due = local + relativedelta(months=n)
        case unknown:
            assert_never(unknown)
    return Reckoned(
        start=start.astimezone(UTC),
        due=due.astimezone(UTC),
        window=window,
        clause=clause,
        calendar=sources,
        provisional=provisional,
    )


def lapses(due: datetime, policy: DeadlinePolicy) -> datetime:
    """When a due time, which itself does not move, counts as missed: what was on its way then is in the inbox."""
    return due + timedelta(seconds=policy.lapse_after_seconds)


def in_time(moment: datetime, due: datetime) -> bool:
    """Whether something received at ``moment`` keeps the deadline. The second of ``due`` itself still counts.

    Both are read to the whole second (ambiguity 9): who is told "until 23:59:59" has that second to its end.
    """
    return _aware(moment).replace(microsecond=0) <= _aware(due).replace(microsecond=0)


def seconds_left(now: datetime, due: datetime) -> int:
    """Whole seconds from ``now`` until ``due``, rounded down; 0 when it is reached or over."""
    return max(0, int((_aware(due) - _aware(now)) // timedelta(seconds=1)))


def reminder_times(due: datetime, hours_before: Iterable[int], opened: datetime) -> list[datetime]:
    """When to remind of ``due``: so many hours before it, in UTC, soonest first.

    Only times strictly after ``opened``: a three-day window sends no reminder "72 hours before" at its start.
    Raises ValueError for hours that are not before the deadline at all.
    """
    hours = set(hours_before)
    if any(n <= 0 for n in hours):
        raise ValueError(f"reminders come before the deadline: {sorted(hours)}")
    times = (_aware(due).astimezone(UTC) - timedelta(hours=n) for n in hours)
    return sorted(moment for moment in times if moment > _aware(opened))


def outside_quiet_hours(moment: datetime, quiet: QuietHours, due: datetime | None = None) -> datetime:
    """``moment``, or the end of the quiet hours it falls into; in UTC.

    A reminder that would then come too late for ``due`` keeps its time: being woken is better than missing
    it.
    """
    local = _aware(moment).astimezone(SHANGHAI)
    clock = local.time()
    over_midnight = quiet.start > quiet.end
    within = (clock >= quiet.start or clock < quiet.end) if over_midnight else quiet.start <= clock < quiet.end
    if not within:
        return moment.astimezone(UTC)
    next_day = over_midnight and clock >= quiet.start
    day = local.date() + timedelta(days=next_day)
    ends = datetime.combine(day, quiet.end, tzinfo=SHANGHAI).astimezone(UTC)
    return ends if due is None or ends < _aware(due) else moment.astimezone(UTC)
