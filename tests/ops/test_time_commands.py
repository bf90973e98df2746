"""The clock of a demonstration, the calendar, and deadlines counted again when a year is published."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.audit import ClockOffset
from models.cases import Case
from models.windows import duration
from office.base import clock
from office.base import settings as settings_module
from office.base.db import in_transaction, reading
from office.cases import deadlines
from ops.commands.terminal import parse_span
from tests.play import Office

Done = Callable[..., str]

NEW_YEAR = """
[2027]
notice = "国务院办公厅关于2027年部分节假日安排的通知"
holidays = [2027-01-01]
makeup_days = []
"""


def production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIANWU_PROFILE", "production")
    monkeypatch.setenv("DIANWU_PREFECT_AUTH", "ops:secret")
    monkeypatch.setenv("DIANWU_SANDBOX_BANK", "false")
    settings_module.settings.cache_clear()
    clock.use_clock(None)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("7 天", timedelta(days=7)),
        ("２小时", timedelta(hours=2)),
        ("1天30分钟", timedelta(days=1, minutes=30)),
        ("7d", timedelta(days=7)),
        ("36h", timedelta(hours=36)),
        ("90m", timedelta(minutes=90)),
        (" 1D12h ", timedelta(days=1, hours=12)),
    ],
)
def test_durations_are_read_as_people_write_them(text: str, span: timedelta) -> None:
    assert parse_span(text) == span


def test_a_span_is_told_in_its_two_largest_units() -> None:
    assert duration(timedelta(days=2, hours=3, minutes=4)) == "2 天 3 小时"
    assert duration(timedelta(minutes=61)) == "1 小时 1 分钟"
    assert duration(timedelta(seconds=59)) == "不到 1 分钟"


@pytest.mark.parametrize("text", ["", "7", "d", "-7d", "1w", "1h1d"])
def test_anything_else_is_a_usage_error(database: None, dianwu: Any, text: str) -> None:
    assert dianwu("clock", "advance", "--", text).exit_code == 2


def test_a_demonstration_moves_forward_for_everybody(database: None, done: Done, told: Any) -> None:
    before = datetime.now(UTC)
    done("clock", "advance", "7d")
    done("clock", "advance", "36h")
    shown = told("clock", "show")
    assert shown["ahead_seconds"] == int(timedelta(days=8, hours=12).total_seconds())
    assert datetime.fromisoformat(shown["now"]) >= before + timedelta(days=8, hours=12)
    assert "快 8 天 12 小时" in done("clock", "show")
    done("audit", "verify", "--stream", "system")


def test_the_clock_stands_still_for_nothing(database: None, refused: Done) -> None:
    assert "向前" in refused("clock", "advance", "0d")


def test_production_moves_no_clock(database: None, refused: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    production(monkeypatch)
    assert "不能拨动" in refused("clock", "advance", "7d")
    with reading() as tx:
        assert tx.get(ClockOffset, 1) is None


# ── calendar ─────────────────────────────────────────────────────────────────


def test_the_calendar_shows_days_off_and_days_made_up(database: None, done: Done, told: Any) -> None:
    shown = done("calendar", "show", "2026")
    assert "2026-10-10" in shown and "调休上班" in shown and "放假" in shown
    assert "2026-10-10" in told("calendar", "show", "2026")["makeup_days"]
    assert told("calendar", "show", "2026")["provisional"] is False


def test_a_year_nobody_has_published_says_so(database: None, done: Done, dianwu: Any) -> None:
    assert "暂定" in done("calendar", "show", "2027")
    assert dianwu("calendar", "show", "1999").exit_code == 2


@pytest.fixture
def over_new_year(office: Office) -> Case:
    """A refund applied for so late in the year that its seven working days reach into the next."""
    office.closed_shop()
    office.clock.at = datetime(2026, 12, 25, 2, 0, tzinfo=UTC)
    return office.request_refund()


def publish() -> None:
    (settings_module.settings().home / "calendar.toml").write_text(NEW_YEAR, encoding="utf-8")


def test_a_published_year_moves_and_settles_what_was_provisional(
    office: Office, over_new_year: Case, done: Done, told: Any
) -> None:
    guessed = office.deadline(over_new_year, "refund-due")
    assert guessed.provisional and guessed.due_at == datetime(2027, 1, 5, 15, 59, 59, tzinfo=UTC)
    assert told("calendar", "recount") == []

    publish()
    moved = {row["key"]: row for row in told("calendar", "recount")}
    settled = office.deadline(over_new_year, "refund-due")
    assert not settled.provisional and settled.due_at == datetime(2027, 1, 6, 15, 59, 59, tzinfo=UTC)
    assert moved["refund-due"]["after"] == "2027-01-06T15:59:59Z"
    assert "deadline.recounted" in office.trail(over_new_year.id)
    assert "2027 年放假安排" in done("cases", "show", over_new_year.id)
    assert told("calendar", "recount") == []  # nothing is provisional any more
    assert office.chains() == []


def test_a_task_goes_by_the_new_time_and_is_reminded_of_it(office: Office) -> None:
    office.closed_shop()
    office.clock.at = datetime(2026, 12, 30, 2, 0, tzinfo=UTC)
    case = office.request_refund()
    before = office.question(case)
    reminders = office.deadline(case, f"review/{before.id}").reminders
    publish()
    in_transaction(deadlines.recount)
    after, deadline = office.question(case), office.deadline(case, f"review/{before.id}")
    assert before.due_at is not None and after.due_at == deadline.due_at > before.due_at
    gap = deadline.due_at - before.due_at
    assert [datetime.fromisoformat(moment) for moment in deadline.reminders] == [
        datetime.fromisoformat(moment) + gap for moment in reminders
    ]


def test_the_early_reminder_stays_where_it_was_reckoned(office: Office, over_new_year: Case) -> None:
    before = office.deadline(over_new_year, "refund-due").reminders
    publish()
    in_transaction(deadlines.recount)
    assert office.deadline(over_new_year, "refund-due").reminders == before != []


def test_what_has_been_met_or_is_over_is_not_counted_again(office: Office, over_new_year: Case) -> None:
    office.decide(over_new_year, "wang-fang", "REJECT")
    publish()
    assert in_transaction(deadlines.recount) == []
