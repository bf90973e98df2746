"""The file of working days in the middle of being written, with a slip, or corrected: nobody's deadline flickers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from models.cases import Side
from models.windows import WorkingDays
from office.base import calendar
from office.base import settings as settings_module
from office.base.db import in_transaction
from office.cases import calendar_watch, deadlines
from policies.deadlines import reckon
from tests.ops.test_doctor import ailing, found
from tests.play import Office

Done = Callable[..., str]
GOOD = "[2027]\nnotice = '国务院办公厅通知'\nholidays = [2027-01-01, 2027-02-08]\nmakeup_days = [2027-02-20]\n"
SPRING = date(2027, 2, 8)

BROKEN = {
    "empty": "",
    "cut in the middle": GOOD[:60],
    "cut between the lines": GOOD[: GOOD.index("makeup")],
    "no year": "# 2027\n",
    "a slip": GOOD.replace("2027-02-08", "2027-02-31"),
    "a word": GOOD.replace("[2027]", "[二〇二七]"),
    "another year only": GOOD.replace("2027", "2028").replace("2028-02-20", "2028-02-19"),
    "no list": GOOD.replace("[2027-02-20]", "5"),
    "a working day made up": GOOD.replace("2027-02-20", "2027-02-22"),
    "a misspelt name": GOOD.replace("notice", "note"),
}


def file() -> Path:
    return settings_module.settings().home / "calendar.toml"


def off() -> bool:
    return not calendar.work_calendar().is_working_day(SPRING).working


def test_a_byte_order_mark_says_nothing(office: Office) -> None:
    file().write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert off() and calendar.standing().fault == ""


@pytest.mark.parametrize("written", BROKEN.values(), ids=BROKEN)
def test_what_was_read_last_counts_while_the_file_cannot_be_right_and_people_are_told_once(
    office: Office, written: str
) -> None:
    file().write_text(GOOD, encoding="utf-8")
    assert off()
    file().write_text(written, encoding="utf-8")
    calendar._standing.cache_clear()  # as after a restart
    assert off() and "calendar.toml" in calendar.standing().fault and "2027" in calendar.standing().fault
    assert "calendar.toml" in ailing("工作日历文件").sentence
    for _ in range(2):
        calendar_watch.watch()
    office.settle()
    assert len(office.staff_told("calendar_file_faulty")) == 1
    file().write_text(GOOD + "[2028]\nholidays = [2028-01-03]\nmakeup_days = []\n", encoding="utf-8")
    assert off() and calendar.standing().fault == "" and found("工作日历文件") == []
    assert not calendar.work_calendar().is_working_day(date(2028, 1, 3)).working


SLIPS = [
    f"[2027]\nholidays = [{holiday}]\nmakeup_days = []\n".encode()
    for holiday in (
        "",
        "1798761600",
        "20270101",
        "2027-01-01T00:00:00",
        "2027-02-30",
        "1.5",
        "true",
        "'01.01.2027'",
        "[" * 3_000,
    )
]
"""A number is no day, and none is counted from 1970."""


@pytest.mark.parametrize("content", [GOOD.encode("gbk"), b"\xff\xfe" + GOOD.encode("utf-16-le"), b"\x00" * 40, *SLIPS])
def test_another_encoding_or_an_empty_disk_block_is_a_fault_too(office: Office, content: bytes) -> None:
    file().write_text(GOOD, encoding="utf-8")
    assert off()
    file().write_bytes(content)
    assert off() and calendar.standing().fault


def test_a_first_file_that_is_broken_leaves_the_packaged_days(office: Office) -> None:
    file().write_text(BROKEN["cut in the middle"], encoding="utf-8")
    assert not off() and "程序自带" in calendar.standing().fault


def test_a_year_is_taken_away_only_by_saying_so(office: Office, done: Done, refused: Done) -> None:
    file().write_text(GOOD, encoding="utf-8")
    assert off()
    file().unlink()
    assert off() and "不见了" in calendar.standing().fault
    file().write_text("[2027]\nholidays = 5\n", encoding="utf-8")
    assert "calendar.toml" in refused("calendar", "adopt")
    file().unlink()
    done("calendar", "adopt")
    assert not off() and calendar.standing().fault == ""


def test_a_corrected_year_says_what_it_would_move_and_moves_it_when_told_to(
    office: Office, done: Done, told: Any
) -> None:
    file().write_text("[2026]\nholidays = [2026-01-01]\nmakeup_days = []\n", encoding="utf-8")
    office.open_shop()
    case = office.request_closure()
    start = datetime(2026, 11, 19, 2, 0, tzinfo=UTC)
    for key, side in (("ours", Side.PLATFORM), ("theirs", Side.MERCHANT)):
        reckoned = reckon(start, WorkingDays(n=3), "CLS-5", calendar.work_calendar())
        in_transaction(
            lambda tx, key=key, side=side, r=reckoned: deadlines.start(tx, case, key, "exit-invoice", side, r)
        )  # type: ignore[misc]
    before = office.deadline(case, "ours").due_at
    assert before == datetime(2026, 11, 24, 15, 59, 59, tzinfo=UTC)

    file().write_text("[2026]\nholidays = [2026-11-20]\nmakeup_days = []\n", encoding="utf-8")
    shown = done("calendar", "recount")
    assert "尚未改动" in shown and "--corrected" in shown and "ours" in shown and "theirs" in shown
    assert office.deadline(case, "ours").due_at == before
    assert "会变动" in ailing("更正的放假安排").sentence
    for _ in range(2):
        calendar_watch.watch()
    office.settle()
    assert len(office.staff_told("calendar_corrected")) == 1
    moved = {row["key"]: row["after"] for row in told("calendar", "recount", "--corrected")}
    assert moved["ours"] == moved["theirs"] == "2026-11-25T15:59:59Z"
    assert told("calendar", "recount", "--corrected") == [] and found("更正的放假安排") == []
    assert "更正后的放假安排" in done("cases", "show", case.id)

    file().write_text("[2026]\nholidays = [2026-01-01]\nmakeup_days = []\n", encoding="utf-8")
    assert {row["key"] for row in told("calendar", "recount", "--corrected")} >= {"ours"}
    assert office.deadline(case, "ours").due_at == before
    assert office.deadline(case, "theirs").due_at > before, "what a merchant was told is never shortened"
    assert office.chains() == []
