"""The windows, proved: every boundary, month and year ends, leap day, and times nobody thought of."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import NoResultFound
from sqlmodel import col, select

from models.arbitration import Conclusion, Ruling, RulingKind
from models.messages import InboxMessage, InboxState
from office.base.db import reading
from policies.appeal import appeal_window, reevidence_window, refuse_filing
from policies.deadlines import in_time
from policies.policy import SHANGHAI, policy
from tests.appeals.bench import Bench
from tests.appeals.test_one_matter import deduct
from tests.play import SILENCE
from tests.reading import read

POLICY = policy("2026-01-01")
WINDOW, AGAIN = timedelta(days=7), timedelta(days=3)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2060, 12, 31), timezones=st.just(UTC))
"""Any time to the microsecond, leap years and turns of the year among them."""
around = st.one_of(
    st.sampled_from([-1, 0, 1, 60, -60, 3600, -3600]).map(lambda n: timedelta(seconds=n)),
    st.timedeltas(timedelta(days=-10), timedelta(days=10)),
)


@pytest.mark.parametrize(("seconds", "taken"), [(-1, True), (0, True), (1, False)])
@pytest.mark.parametrize("what", ["ruling", "deduction", "judgment"])
def test_what_has_not_been_yet_takes_no_money_and_strikes_nothing(
    bench: Bench, what: str, seconds: int, taken: bool
) -> None:
    """ARB-2, ARB-10: five minutes, by which clocks may differ, are let pass. No appeal stays open for years by a date."""
    at = bench.now + timedelta(minutes=5, seconds=seconds)
    before = bench.money()["deposit"]
    match what:
        case "ruling":
            bench.rule(effective_at=at)
        case "deduction":
            deduct(bench, effective_at=at.isoformat())
        case _:
            bench.rule(deduction_fen=0)
            with suppress(NoResultFound):  # there is no case then
                bench.office.propose_correction(judged_on=at.isoformat())
    assert (bench.refusals() == []) is taken
    assert bench.office.staff_told("inbox_odd") == ([] if taken else ["supervisor"])
    assert what == "judgment" or (bench.money()["deposit"] < before) is taken


def ruling(effective_at: datetime) -> Ruling:
    return Ruling(
        id="r",
        kind=RulingKind.RULING,
        shop_id="s",
        conclusion=Conclusion.SHARED,
        decided="",
        effective_at=effective_at,
        recorded_at=effective_at,
        appeal_until=appeal_window(effective_at, POLICY).due,
        policy_version="2026-01-01",
        source="platform",
    )


def refused(effective_at: datetime, received_at: datetime) -> bool:
    found = refuse_filing(
        requester="a",
        owner="a",
        ruling=ruling(effective_at),
        shop_id="s",
        received_at=received_at,
        earlier_appeal=None,
        arbitration_withdrawn=False,
        evidence=1,
    )
    return found is not None and found.clause == "ARB-2"


def second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


@settings(max_examples=500)
@given(moments, around)
def test_a_filing_is_in_time_exactly_until_seven_times_24_hours_after_the_ruling(at: datetime, gap: timedelta) -> None:
    received = at + WINDOW + gap
    assert refused(at, received) == (second(received) > second(at + WINDOW))


@settings(max_examples=500)
@given(moments, around)
def test_evidence_is_in_time_exactly_until_three_times_24_hours_after_the_notice(at: datetime, gap: timedelta) -> None:
    window = reevidence_window(at, POLICY)
    assert window.due - window.start == AGAIN
    assert in_time(at + AGAIN + gap, window.due) == (second(at + AGAIN + gap) <= second(at + AGAIN))


@given(moments)
def test_a_later_ruling_never_ends_earlier_and_the_wall_clock_in_beijing_is_the_same(at: datetime) -> None:
    due = appeal_window(at, POLICY).due
    assert appeal_window(at + timedelta(seconds=1), POLICY).due > due
    assert due.astimezone(SHANGHAI).time() == at.astimezone(SHANGHAI).time()


def last_message() -> InboxState:
    """What became of the message that came last."""
    with reading() as tx:
        return tx.exec(select(InboxMessage).order_by(col(InboxMessage.id).desc()).limit(1)).one().state


SPECIAL = [
    datetime(2026, 11, 30, 15, 59, 59, tzinfo=UTC),  # the last second of a month in Beijing
    datetime(2026, 12, 31, 15, 59, 59, tzinfo=UTC),
    datetime(2026, 12, 31, 16, 0, 0, tzinfo=UTC),  # the first second of a year in Beijing
    datetime(2028, 2, 22, 2, 0, 0, tzinfo=UTC),  # ends on the leap day
    datetime(2028, 2, 28, 15, 59, 59, tzinfo=UTC),
    datetime(2027, 2, 21, 16, 0, 0, tzinfo=UTC),  # the same days in a year without one
]


@pytest.mark.parametrize("at", SPECIAL, ids=str)
@pytest.mark.parametrize("late_by", [-1, 0, 1])
def test_both_windows_hold_to_the_second_through_the_whole_office(bench: Bench, at: datetime, late_by: int) -> None:
    first, more = bench.stage(), bench.stage()
    bench.office.clock.at = at
    bench.rule(ruled_by="li-na")
    bench.office.clock.at = at + WINDOW + timedelta(seconds=late_by)
    case = bench.file(items=[first])
    assert (bench.outcome(case) == "REFUSED") == (late_by > 0)
    if late_by > 0:
        return
    bench.office.decide(case, "zhou-yan", "INSUFFICIENT")
    deadline = bench.office.deadline(case, "re-evidence")
    for offset in (1, late_by):  # what comes too late is not taken; what comes in time still is
        bench.office.clock.at = deadline.started_at + AGAIN + timedelta(seconds=offset)
        bench.send_more(case, [more])
    assert bench.office.case(case.id).state == "SECOND_REVIEW"
    assert bench.refusals() == ["ARB-6"]


@pytest.mark.parametrize("at", SPECIAL, ids=str)
@pytest.mark.parametrize("late_by", [-1, 0, 1])
@pytest.mark.parametrize("read_later", [0, 9])
def test_a_notice_sent_at_such_a_moment_gives_three_days_to_the_second_however_late_evidence_is_read(
    bench: Bench, at: datetime, late_by: int, read_later: int
) -> None:
    first, more = bench.stage(), bench.stage()
    bench.office.clock.at = at - timedelta(days=1)
    bench.rule(ruled_by="li-na")
    case = bench.file(items=[first])
    bench.office.clock.at = at - timedelta(seconds=30)  # the time it takes to type a code
    bench.office.decide(case, "zhou-yan", "INSUFFICIENT")
    bench.office.clock.at = at + AGAIN + timedelta(seconds=late_by)
    bench.office.receive("appeal.evidence_submitted", bench.more(case, [more]))
    bench.office.pass_time(days=read_later)
    bench.office.pass_time(seconds=SILENCE.total_seconds() + 2)
    found, message = bench.office.case(case.id), last_message()
    if late_by > 0:
        assert (found.outcome, found.outcome_clause, message) == ("CLOSED_TIMEOUT", "ARB-6", InboxState.REFUSED)
    else:
        assert (found.state, found.outcome, message) == ("SECOND_REVIEW", None, InboxState.DONE)


@settings(max_examples=12)
@given(data=st.data())
def test_whatever_the_gaps_in_time_is_heard_and_late_is_not(bench: Bench, data: st.DataObject) -> None:
    """Ruling after ruling in one office whose clock only goes forward."""
    item, more = bench.stage(), bench.stage()
    number = f"rul-{item}"
    bench.rule(number, ruled_by="li-na", deduction_fen=0)
    until = bench.ruling(number).appeal_until
    bench.office.clock.at += data.draw(st.timedeltas(timedelta(0), WINDOW + timedelta(days=1)), label="filed after")
    in_window = second(bench.now) <= second(until)
    case = bench.file(number, [item])
    assert (bench.outcome(case) is None) == in_window
    if not in_window:
        return
    bench.office.decide(case, "zhou-yan", "INSUFFICIENT")
    due = bench.now + AGAIN  # the notice has just left
    bench.office.clock.at += data.draw(st.timedeltas(timedelta(0), AGAIN + timedelta(days=1)), label="evidence after")
    in_window = second(bench.now) <= second(due)
    bench.office.receive("appeal.evidence_submitted", bench.more(case, [more]))
    bench.office.pass_time(days=data.draw(st.integers(0, 5), label="read days later"))
    bench.office.sweep()
    bench.office.pass_time(seconds=SILENCE.total_seconds() + 2)
    found, message = bench.office.case(case.id), last_message()
    if in_window:
        assert (found.state, message) == ("SECOND_REVIEW", InboxState.DONE)
    else:
        assert (found.outcome, message) == ("CLOSED_TIMEOUT", InboxState.REFUSED)


def test_people_read_the_windows_as_the_policy_in_force_has_them(
    bench: Bench, appeal_policy: Callable[..., None]
) -> None:
    """ARB-2, ARB-5: other numbers in the policy are other numbers in letters, forms and refusals."""
    appeal_policy(window={"unit": "natural_days", "n": 9}, reevidence={"unit": "natural_days", "n": 5})
    bench.rule()
    case = bench.file()
    assert "一次、5 天(自通知发出起)的重新举证机会" in read(bench.office.question(case))
    bench.office.decide(case, "zhou-yan", "INSUFFICIENT")
    assert bench.office.message("appeal_evidence_requested")["window_hours"] == 120
    bench.rule("rul-2", effective_at=bench.now - timedelta(days=9, seconds=1))
    late = bench.office.case(bench.file("rul-2").id)
    assert late.outcome_clause == "ARB-2" and "7 天" not in str(late.outcome_text)
