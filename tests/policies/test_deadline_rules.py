"""Deadlines: boundaries to the second, month ends, leap days, and reminders that come in time."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.windows import CalendarDays, Hours, Months, NaturalDays, WorkingDays
from policies.deadline_numbers import QuietHours
from policies.deadlines import in_time, outside_quiet_hours, reckon, reminder_times, seconds_left
from policies.workdays import DEFAULT, PublishedYear

SHANGHAI = ZoneInfo("Asia/Shanghai")
SECOND = timedelta(seconds=1)
NIGHT = QuietHours(start=time(22), end=time(8))


def local(text: str) -> datetime:
    """A wall-clock time in Shanghai."""
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def due(start: str, window) -> datetime:
    return reckon(local(start), window, "CLS-1").due


WINDOWS = st.one_of(
    st.integers(1, 400).map(lambda n: Hours(n=n)),
    st.integers(1, 60).map(lambda n: NaturalDays(n=n)),
    st.integers(1, 60).map(lambda n: CalendarDays(n=n)),
    st.integers(1, 30).map(lambda n: WorkingDays(n=n)),
    st.integers(1, 24).map(lambda n: Months(n=n)),
)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2034, 12, 31), timezones=st.just(UTC))


def test_natural_days_are_24_hours_each_to_the_second_ambiguity_9():
    assert due("2026-03-01T10:20:30", NaturalDays(n=7)) == local("2026-03-08T10:20:30")


def test_natural_days_ignore_weekends_and_holidays_ambiguity_9():
    assert due("2026-09-30T09:00:00", NaturalDays(n=7)) == local("2026-10-07T09:00:00")


@pytest.mark.parametrize(("late", "accepted"), [(-SECOND, True), (0 * SECOND, True), (SECOND, False)])
def test_the_deadline_itself_is_in_time_and_one_second_later_is_not_ambiguity_9(late, accepted):
    end = due("2026-03-01T10:20:30", NaturalDays(n=7))
    assert in_time(end + late, end) is accepted


def test_calendar_days_run_until_the_last_second_of_the_fifth_day_ambiguity_9():
    end = due("2026-12-29T00:00:00", CalendarDays(n=5))
    assert end == local("2027-01-03T23:59:59")
    assert end == due("2026-12-29T23:59:59", CalendarDays(n=5))
    assert in_time(local("2027-01-03T23:59:59"), end)
    assert not in_time(local("2027-01-04T00:00:00"), end)


def test_who_is_told_until_23_59_59_has_that_second_to_its_end():
    end = due("2026-03-01T10:00:00", CalendarDays(n=1))
    assert in_time(end + timedelta(microseconds=999_999), end)


def test_the_day_of_the_start_is_shanghais_and_not_utcs():
    evening_in_utc = datetime(2026, 3, 1, 17, 0, tzinfo=UTC)  # already 2 March in Shanghai
    assert reckon(evening_in_utc, CalendarDays(n=1), "CLS-8").due == local("2026-03-03T23:59:59")


def test_seven_working_days_over_national_day_end_on_the_fifteenth_and_say_which_calendar():
    reckoned = reckon(local("2026-09-30T18:00:00"), WorkingDays(n=7), "REF-3")
    assert reckoned.due == local("2026-10-15T23:59:59")
    assert reckoned.calendar.startswith("chinesecalendar")
    assert not reckoned.provisional
    assert "7 个工作日" in reckoned.text()


def test_a_working_day_window_into_an_unpublished_year_is_provisional_until_it_is_recounted():
    start = local("2026-12-25T12:00:00")
    guess = reckon(start, WorkingDays(n=7), "REF-3")
    assert guess.provisional
    assert "暂定" in guess.text()
    published = {2027: PublishedYear(year=2027, holidays=frozenset({date(2027, 1, 1)}))}
    final = reckon(start, WorkingDays(n=7), "REF-3", DEFAULT.with_overrides(published))
    assert not final.provisional
    assert final.due == local("2027-01-06T23:59:59")


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2025-08-31T15:00:00", 6, "2026-02-28T15:00:00"),
        ("2027-08-31T15:00:00", 6, "2028-02-29T15:00:00"),
        ("2028-02-29T00:00:00", 12, "2029-02-28T00:00:00"),
        ("2026-01-31T23:59:59", 1, "2026-02-28T23:59:59"),
        ("2026-03-15T08:00:00", 1, "2026-04-15T08:00:00"),
    ],
)
def test_months_keep_the_wall_clock_and_clamp_to_the_months_last_day(start, months, end):
    assert due(start, Months(n=months)) == local(end)


def test_a_month_is_shanghais_month_when_it_is_still_yesterday_in_utc():
    start = local("2026-03-01T02:00:00")  # 28 February in UTC
    assert reckon(start, Months(n=1), "INV-7").due == local("2026-04-01T02:00:00")


def test_hours_are_hours():
    assert due("2026-03-01T10:00:00", Hours(n=48)) == local("2026-03-03T10:00:00")


def test_a_naive_datetime_is_refused_everywhere():
    naive, aware = datetime(2026, 3, 1), datetime(2026, 3, 1, tzinfo=UTC)
    for call in (
        lambda: reckon(naive, NaturalDays(n=1), "CLS-1"),
        lambda: in_time(naive, aware),
        lambda: in_time(aware, naive),
        lambda: seconds_left(naive, aware),
        lambda: reminder_times(naive, [1], aware),
        lambda: reminder_times(aware, [1], naive),
        lambda: outside_quiet_hours(naive, NIGHT, aware),
    ):
        with pytest.raises(ValueError, match="naive"):
            call()


def test_seconds_left_count_down_to_zero_and_stay_there():
    end = local("2026-03-08T10:00:00")
    assert [seconds_left(end - SECOND, end), seconds_left(end, end), seconds_left(end + SECOND, end)] == [
        1,
        0,
        0,
    ]
    assert seconds_left(end - timedelta(milliseconds=1500), end) == 1


def test_a_seven_day_window_reminds_three_times_and_a_three_day_one_twice():
    opened = local("2026-03-01T10:00:00")
    week, three = opened + timedelta(days=7), opened + timedelta(days=3)
    assert reminder_times(week, [72, 24, 2], opened) == [week - timedelta(hours=n) for n in (72, 24, 2)]
    assert reminder_times(three, [72, 24, 2], opened) == [three - timedelta(hours=n) for n in (24, 2)]


def test_a_reminder_after_the_deadline_is_a_mistake_in_the_policy():
    with pytest.raises(ValueError, match="before the deadline"):
        reminder_times(local("2026-03-08T10:00:00"), [24, 0], local("2026-03-01T10:00:00"))


@pytest.mark.parametrize(
    ("moment", "sent"),
    [
        ("2026-03-01T21:59:59", "2026-03-01T21:59:59"),
        ("2026-03-01T22:00:00", "2026-03-02T08:00:00"),
        ("2026-03-02T00:00:00", "2026-03-02T08:00:00"),
        ("2026-03-02T07:59:59", "2026-03-02T08:00:00"),
        ("2026-03-02T08:00:00", "2026-03-02T08:00:00"),
    ],
)
def test_a_merchant_is_not_reminded_between_ten_at_night_and_eight_in_the_morning(moment, sent):
    assert outside_quiet_hours(local(moment), NIGHT, local("2026-03-05T12:00:00")) == local(sent)


def test_a_reminder_that_would_come_too_late_is_sent_at_night():
    assert outside_quiet_hours(local("2026-03-02T05:00:00"), NIGHT, local("2026-03-02T07:00:00")) == local(
        "2026-03-02T05:00:00"
    )


def test_quiet_hours_within_a_day_and_switched_off():
    noon = QuietHours(start=time(12), end=time(14))
    far = local("2026-03-05T12:00:00")
    assert outside_quiet_hours(local("2026-03-01T13:00:00"), noon, far) == local("2026-03-01T14:00:00")
    assert outside_quiet_hours(local("2026-03-01T23:00:00"), noon, far) == local("2026-03-01T23:00:00")
    off = QuietHours(start=time(0), end=time(0))
    assert outside_quiet_hours(local("2026-03-01T00:00:00"), off, far) == local("2026-03-01T00:00:00")


@given(MOMENTS, WINDOWS)
def test_every_window_ends_after_it_begins_and_the_same_in_any_zone(start, window):
    reckoned = reckon(start, window, "ARB-2")
    assert reckoned.due > reckoned.start == start
    elsewhere = start.astimezone(timezone(timedelta(hours=-9)))
    assert reckon(elsewhere, window, "ARB-2") == reckoned


@given(MOMENTS, MOMENTS, WINDOWS)
def test_who_starts_later_is_never_due_earlier(one, other, window):
    first, second = sorted((one, other))
    assert reckon(first, window, "ARB-2").due <= reckon(second, window, "ARB-2").due


@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(days=30)), st.lists(st.integers(1, 900), max_size=6))
def test_reminders_lie_strictly_between_opening_and_deadline_in_order(opened, length, hours):
    end = opened + length
    times = reminder_times(end, hours, opened)
    assert times == sorted(set(times))
    assert all(opened < moment < end for moment in times)


@given(MOMENTS, st.timedeltas(timedelta(seconds=1), timedelta(days=5)))
def test_quiet_hours_never_push_a_reminder_past_its_deadline_nor_forward_in_time(moment, left):
    sent = outside_quiet_hours(moment, NIGHT, moment + left)
    assert moment <= sent < moment + left
