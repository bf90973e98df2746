"""The working-day calendar: the State Council's year when it is out, a marked guess until then."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.workdays import DEFAULT, PublishedYear, WorkCalendar, packaged_overrides, read_overrides

PUBLISHED_2027 = {
    2027: PublishedYear(
        year=2027,
        holidays=frozenset({date(2027, 1, 1), date(2027, 1, 4)}),
        makeup_days=frozenset({date(2027, 1, 9)}),
    )
}


@pytest.mark.parametrize(
    ("start", "seventh"),
    [
        (date(2026, 2, 10), date(2026, 2, 26)),
        (date(2026, 9, 18), date(2026, 9, 29)),
        (date(2026, 9, 24), date(2026, 10, 12)),
        (date(2026, 9, 30), date(2026, 10, 15)),
        (date(2026, 4, 30), date(2026, 5, 13)),
        (date(2026, 11, 20), date(2026, 12, 1)),
    ],
)
def test_seven_working_days_in_2026_follow_the_published_year(start, seventh):
    day, source, provisional = DEFAULT.add_working_days(start, 7)
    assert (day, provisional) == (seventh, False)
    assert source.startswith("chinesecalendar")


@pytest.mark.parametrize("day", ["01-04", "02-14", "02-28", "05-09", "09-20", "10-10"])
def test_the_make_up_weekends_of_2026_are_worked(day):
    assert DEFAULT.is_working_day(date.fromisoformat(f"2026-{day}")).working


def test_seven_working_days_from_christmas_2026_are_counted_and_marked_provisional():
    day, source, provisional = DEFAULT.add_working_days(date(2026, 12, 25), 7)
    assert day == date(2027, 1, 5)
    assert provisional
    assert "2027 年放假安排未公布" in source


def test_when_the_year_is_published_the_same_window_is_counted_again_and_is_final():
    calendar = DEFAULT.with_overrides(PUBLISHED_2027)
    day, source, provisional = calendar.add_working_days(date(2026, 12, 25), 7)
    assert day == date(2027, 1, 7)  # four days in December, then 5, 6 and 7 January
    assert not provisional
    assert source.endswith("人工维护的 2027 年放假安排")


def test_a_window_that_only_begins_in_an_unpublished_year_is_provisional_all_the_same():
    calendar = DEFAULT.with_overrides({2028: PublishedYear(year=2028)})
    day, _, provisional = calendar.add_working_days(date(2027, 12, 29), 7)
    assert day.year == 2028
    assert provisional


def test_a_window_that_ends_on_the_last_published_day_is_not_provisional():
    day, _, provisional = DEFAULT.add_working_days(date(2026, 12, 25), 4)
    assert (day, provisional) == (date(2026, 12, 31), False)


def test_our_own_table_outranks_the_library_for_the_whole_year():
    plain = DEFAULT.with_overrides({2026: PublishedYear(year=2026)})
    assert not plain.is_working_day(date(2026, 10, 10)).working  # a make-up Saturday to the library
    assert plain.is_working_day(date(2026, 10, 1)).working


def test_a_make_up_saturday_of_our_table_is_worked():
    assert DEFAULT.with_overrides(PUBLISHED_2027).is_working_day(date(2027, 1, 9)).working


def test_an_unpublished_weekend_is_free_and_says_that_it_is_a_guess():
    sunday = DEFAULT.is_working_day(date(2027, 1, 3))
    assert not sunday.working
    assert sunday.provisional


def test_years_before_the_librarys_first_do_not_crash_either():
    assert DEFAULT.is_working_day(date(1999, 10, 1)).provisional


def test_coverage_grows_with_each_year_in_a_row_and_not_over_a_gap():
    assert DEFAULT.coverage() == 2026
    assert DEFAULT.with_overrides(PUBLISHED_2027).coverage() == 2027
    assert DEFAULT.with_overrides({2028: PublishedYear(year=2028)}).coverage() == 2026


def test_a_notice_names_days_of_its_neighbours_and_they_count_there():
    table = "[2027]\nholidays = [2026-12-31, 2027-01-01, 2028-01-03]\nmakeup_days = [2026-12-26, 2028-01-08]\n"
    calendar = DEFAULT.with_overrides(read_overrides(table))
    for day, working in (
        (date(2026, 12, 31), False),
        (date(2026, 12, 26), True),
        (date(2027, 1, 1), False),
        (date(2028, 1, 3), False),
        (date(2028, 1, 8), True),
        (date(2026, 12, 30), True),
        (date(2026, 12, 27), False),
    ):
        judged = calendar.is_working_day(day)
        assert (judged.working, judged.provisional) == (working, False), day
    assert calendar.is_working_day(date(2028, 1, 4)).provisional, "2028 itself is not published"
    assert not DEFAULT.is_working_day(date(2026, 12, 26)).working


def test_of_two_notices_that_name_a_day_the_later_one_counts():
    calendar = DEFAULT.with_overrides(
        read_overrides("[2026]\nholidays = [2026-12-31]\n[2027]\nmakeup_days = [2026-12-26]\nholidays = [2026-12-30]\n")
    )
    assert not calendar.is_working_day(date(2026, 12, 31)).working
    assert not calendar.is_working_day(date(2026, 12, 30)).working
    assert calendar.is_working_day(date(2026, 12, 26)).working
    earlier = read_overrides("[2026]\nholidays = [2026-12-31]\n[2027]\nmakeup_days = []\nholidays = [2027-01-01]\n")
    assert not DEFAULT.with_overrides(earlier).is_working_day(date(2026, 12, 31)).working


def test_the_zeroth_working_day_is_no_day():
    with pytest.raises(ValueError, match="0-th"):
        DEFAULT.add_working_days(date(2026, 1, 5), 0)


def test_the_packaged_table_is_readable_and_its_example_works_once_uncommented():
    assert packaged_overrides() == {}
    table = read_overrides('[2027]\nnotice = "通知"\nholidays = [2027-01-01]\nmakeup_days = []\n')
    assert not WorkCalendar(table).is_working_day(date(2027, 1, 1)).working


def test_a_parsed_file_can_be_laid_over_a_calendar_as_it_is():
    calendar = DEFAULT.with_overrides({"2027": {"holidays": [date(2027, 1, 1)], "makeup_days": []}})
    assert not calendar.is_working_day(date(2027, 1, 1)).working
    assert calendar.coverage() == 2027


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[2027]\nholidays = [2026-11-30]", "2026-11-30 不属于 2027 年"),
        ("[2027]\nholidays = [2027-01-02]\nmakeup_days = [2027-01-02]", "既列为放假又列为上班"),
        ("[2027]\nmakeup_days = [2027-01-01]", "不是周末"),
        ("[2027]\nholiday = [2027-01-01]", "holiday"),
        ("holidays = [2027-01-01]", "不是年份"),
        ("[next]\nholidays = []", "不是年份"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused_with_the_day(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        read_overrides(text)


@given(st.dates(date(2015, 1, 1), date(2035, 1, 1)), st.integers(1, 40))
def test_the_nth_working_day_is_worked_and_has_n_worked_days_up_to_it(start, n):
    day, _, _ = DEFAULT.add_working_days(start, n)
    between = [date.fromordinal(i) for i in range(start.toordinal() + 1, day.toordinal() + 1)]
    assert DEFAULT.is_working_day(day).working
    assert sum(DEFAULT.is_working_day(one).working for one in between) == n
