"""Halves of months: which one a moment lies in, when it is cut off, when it may be drawn up (STL-1 to STL-4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.invoicing import NotAPeriod
from policies.policy import SHANGHAI, policy
from policies.settlement import (
    begins,
    cut_off,
    half_of,
    label,
    next_half,
    oldest,
    order_half,
    over,
    previous_half,
    read_half,
)

NUMBERS = policy("2026-12-01").settlement


def beijing(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).astimezone(UTC)


@pytest.mark.parametrize(
    ("moment", "half", "settled_on"),
    [
        ("2026-02-28 23:59:58", "2026-02-2", "2026-03-01"),
        ("2026-02-28 23:59:59", "2026-02-2", "2026-03-01"),
        ("2026-03-01 00:00:00", "2026-03-1", "2026-03-16"),
        ("2026-03-01 00:00:01", "2026-03-1", "2026-03-16"),
        ("2024-02-29 00:00:00", "2024-02-2", "2024-03-01"),
        ("2024-02-29 23:59:59", "2024-02-2", "2024-03-01"),
        ("2026-03-15 23:59:59", "2026-03-1", "2026-03-16"),
        ("2026-03-16 00:00:00", "2026-03-2", "2026-04-01"),
        ("2026-03-16 00:00:01", "2026-03-2", "2026-04-01"),
        ("2026-04-30 23:59:59", "2026-04-2", "2026-05-01"),
        ("2026-12-31 23:59:59", "2026-12-2", "2027-01-01"),
        ("2027-01-01 00:00:00", "2027-01-1", "2027-01-16"),
    ],
)
def test_a_moment_lies_in_the_half_that_is_settled_on_the_first_or_the_sixteenth_after(
    moment: str, half: str, settled_on: str
) -> None:
    """STL-2, STL-3, February and year ends."""
    assert half_of(beijing(moment)) == half
    assert cut_off(half) == beijing(f"{settled_on} 00:00:00")


@given(st.datetimes(datetime(2024, 1, 1), datetime(2031, 1, 1), timezones=st.just(UTC)))
def test_every_moment_lies_in_exactly_one_half_and_halves_follow_each_other_without_a_gap(at: datetime) -> None:
    half = half_of(at)
    assert begins(half) <= at < cut_off(half) == begins(next_half(half))
    assert previous_half(next_half(half)) == half < next_half(half)
    assert half_of(begins(half)) == half == half_of(cut_off(half) - timedelta(microseconds=1))


@pytest.mark.parametrize(
    ("now", "half"),
    [
        ("2026-03-01 03:59:59", "2026-02-1"),
        ("2026-03-01 04:00:00", "2026-02-2"),
        ("2026-03-01 04:00:01", "2026-02-2"),
        ("2026-03-16 03:59:59", "2026-02-2"),
        ("2026-03-16 04:00:00", "2026-03-1"),
        ("2026-01-01 04:00:00", "2025-12-2"),
    ],
)
def test_a_half_may_be_drawn_up_from_the_hour_of_the_run_on(now: str, half: str) -> None:
    assert over(beijing(now), NUMBERS) == half


@pytest.mark.parametrize(
    ("ended", "half"),
    [
        ([], "2026-03-1"),
        (["2026-03-10 12:00:00"], "2026-03-1"),
        (["2026-03-15 23:59:59"], "2026-03-1"),
        (["2026-03-16 00:00:00"], "2026-03-2"),
        (["2026-03-10 12:00:00", "2026-04-02 00:00:00"], "2026-04-1"),
        (["2026-03-10 12:00:00", None], None),
        (["2026-02-01 00:00:00"], "2026-03-1"),
    ],
)
def test_an_order_is_in_the_first_half_cut_off_after_its_last_after_sale_and_in_none_while_one_is_open(
    ended: list[str | None], half: str | None
) -> None:
    """STL-4, ambiguity 48."""
    assert order_half("2026-03-1", [beijing(one) if one else None for one in ended]) == half


def test_halves_are_read_named_and_bounded() -> None:
    assert read_half("2026-03-1") == "2026-03-1"
    assert (label("2026-03-1"), label("2026-12-2")) == ("2026年3月上半月", "2026年12月下半月")
    assert oldest(beijing("2026-03-20 00:00:00"), NUMBERS) == "2024-03-1"
    for wrong in ("2026-03", "2026-03-3", "2026-13-1", "x" * 200):
        with pytest.raises(NotAPeriod):
            read_half(wrong)
