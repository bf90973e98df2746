"""Whole days of Asia/Shanghai, for figures that are counted by day (ambiguity 50)."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from policies.policy import SHANGHAI


def days_before(now: datetime, n: int) -> tuple[date, date]:
    """The first and the last of the ``n`` complete days before today; today is in no window."""
    today = now.astimezone(SHANGHAI).date()
    return today - timedelta(days=n), today - timedelta(days=1)


def ends_at(day: date) -> datetime:
    """The first moment after the day: what was reported from then on is about the whole of it."""
    return datetime.combine(day + timedelta(days=1), datetime.min.time(), tzinfo=SHANGHAI)


def begins_at(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), tzinfo=SHANGHAI)
