"""Enrolling, dismissing and standing in, from the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyotp
import pytest

from models.reviews import Staff
from office.base import settings as settings_module
from office.base.db import in_transaction, reading
from office.base.vault import opened
from office.staff import staff
from tests.play import Office

Done = Callable[..., str]


def word(office: Office, option: str = "--by") -> tuple[str, ...]:
    """How a supervisor vouches for what a command does."""
    return (option, "he-qiang", "--code", office.code("he-qiang"))


def secret_of(staff_id: str) -> str:
    with reading() as tx:
        return opened(staff.find(tx, staff_id), "totp_sealed")


def test_a_new_colleague_is_enrolled_with_a_picture_and_no_secret_on_the_screen(office: Office, done: Done) -> None:
    shown = done(
        "staff", "enrol", "qian-yu", "--name", "钱雨", "--role", "finance", "--role", "supervisor", *word(office)
    )
    assert "█" in shown and "已登记" in shown
    assert "otpauth" not in shown and secret_of("qian-yu") not in shown


def test_the_address_with_the_secret_is_shown_only_when_asked_for(office: Office, done: Done) -> None:
    shown = done("staff", "enrol", "qian-yu", "--name", "钱雨", "--role", "finance", "--show-uri", *word(office))
    assert f"secret={secret_of('qian-yu')}" in shown


def test_nobody_is_enrolled_twice_by_accident(office: Office, refused: Done) -> None:
    before = secret_of("wang-fang")
    assert "--rotate" in refused("staff", "enrol", "wang-fang", "--name", "王芳", "--role", "finance")
    assert secret_of("wang-fang") == before


def test_a_lost_device_gets_a_new_secret_and_keeps_name_and_roles(office: Office, done: Done, told: Done) -> None:
    before = secret_of("wang-fang")
    done("staff", "enrol", "wang-fang", "--rotate", *word(office))
    assert secret_of("wang-fang") != before
    person = next(one for one in told("staff", "list") if one["id"] == "wang-fang")
    assert (person["name"], person["roles"]) == ("王芳", ["finance"])  # type: ignore[index]


def test_rotating_does_not_bring_back_somebody_who_was_dismissed(office: Office, done: Done, refused: Done) -> None:
    done("staff", "dismiss", "wang-fang")
    assert "已停用" in refused("staff", "enrol", "wang-fang", "--rotate")


@pytest.mark.parametrize(
    "arguments",
    [
        ("Wang Fang", "--name", "王芳", "--role", "finance"),
        ("qian-yu", "--role", "finance"),
        ("qian-yu", "--name", "钱雨"),
        ("qian-yu", "--name", "钱雨", "--role", "emperor"),
    ],
)
def test_an_enrolment_that_makes_no_sense_is_a_usage_error(
    office: Office, dianwu: Callable[..., Any], arguments: tuple[str, ...]
) -> None:
    assert dianwu("staff", "enrol", *arguments).exit_code == 2


def test_dismissing_and_taking_back(office: Office, done: Done, refused: Done) -> None:
    done("staff", "dismiss", "wang-fang")
    assert "已停用" in done("staff", "list")
    assert "本来就" in refused("staff", "dismiss", "wang-fang")
    done("staff", "restore", "wang-fang", *word(office))
    assert "本来就" in refused("staff", "restore", "wang-fang")
    assert "没有工号" in refused("staff", "dismiss", "nobody")
    assert office.chains() == []


def test_a_substitute_is_named_until_the_end_of_a_day_in_beijing(office: Office, done: Done, refused: Done) -> None:
    shown = done(
        "staff", "substitute", "wang-fang", "--by", "chen-jie", "--until", "2026-12-01", *word(office, "--supervisor")
    )
    assert "2026-12-01 23:59:59" in shown
    assert "chen-jie" in done("staff", "list")
    assert "自己" in refused("staff", "substitute", "wang-fang", "--by", "wang-fang", "--until", "2026-12-01")
    assert "过去" in refused("staff", "substitute", "wang-fang", "--by", "chen-jie", "--until", "2026-11-01")
    assert "没有工号" in refused("staff", "substitute", "wang-fang", "--by", "nobody", "--until", "2026-12-01")


def test_a_date_nobody_can_read_is_a_usage_error(office: Office, dianwu: Callable[..., Any]) -> None:
    assert dianwu("staff", "substitute", "wang-fang", "--by", "chen-jie", "--until", "下周").exit_code == 2


def test_a_demonstration_shows_the_code_of_an_example_person(office: Office, done: Done) -> None:
    shown = done("staff", "code", "wang-fang").strip()
    assert in_transaction(lambda tx: staff.prove(tx, "wang-fang", shown)).ok
    fresh = done("staff", "code", "wang-fang").strip()
    assert fresh != shown  # a spent code is of no use to anybody
    assert in_transaction(lambda tx: staff.prove(tx, "wang-fang", fresh)).ok


def test_production_never_shows_a_code(office: Office, refused: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIANWU_PROFILE", "production")
    monkeypatch.setenv("DIANWU_PREFECT_AUTH", "ops:secret")
    monkeypatch.setenv("DIANWU_SANDBOX_BANK", "false")
    settings_module.settings.cache_clear()
    shown = refused("staff", "code", "wang-fang")
    assert "生产环境" in shown
    assert pyotp.TOTP(office.secrets["wang-fang"]).at(int(office.clock.at.timestamp())) not in shown


def test_a_locked_colleague_shows_as_locked(office: Office, done: Done) -> None:
    for _ in range(5):
        in_transaction(lambda tx: staff.prove(tx, "wang-fang", "000000"))
    with reading() as tx:
        assert tx.get(Staff, "wang-fang").locked_until is not None  # type: ignore[union-attr]
    assert "已锁定至" in done("staff", "list")


def lock(staff_id: str) -> None:
    for _ in range(5):
        in_transaction(lambda tx: staff.prove(tx, staff_id, "000000"))


def test_a_supervisor_opens_a_lock_by_their_own_code(office: Office, done: Done, refused: Done) -> None:
    lock("wang-fang")
    assert "只有主管" in refused("staff", "unlock", "wang-fang", "--by", "li-na", "--code", office.code("li-na"))
    done("staff", "unlock", "wang-fang", "--by", "he-qiang", "--code", office.code("he-qiang"))
    assert "已锁定" not in done("staff", "list")
    assert "未被锁定" in refused("staff", "unlock", "wang-fang", "--by", "he-qiang", "--code", office.code("he-qiang"))


def test_somebody_who_is_only_locked_is_not_restored_but_unlocked_by_a_supervisor(
    office: Office, refused: Done
) -> None:
    lock("wang-fang")
    assert "dianwu staff unlock" in refused("staff", "restore", "wang-fang", *word(office))


def test_who_has_the_shell_and_nobodys_word_changes_nobody(office: Office, refused: Done) -> None:
    before = secret_of("wang-fang")
    for command in (
        ("enrol", "qian-yu", "--name", "钱雨", "--role", "finance"),
        ("enrol", "wang-fang", "--rotate"),
        ("enrol", "wang-fang", "--rotate", "--alone"),
        ("dismiss", "he-qiang"),
        ("substitute", "wang-fang", "--by", "chen-jie", "--until", "2026-12-01"),
    ):
        assert "主管" in refused("staff", *command), command
    clerk = ("--by", "li-na", "--code", office.code("li-na"))
    assert "只有主管" in refused("staff", "enrol", "wang-fang", "--rotate", *clerk)
    assert "不能由本人" in refused("staff", "enrol", "he-qiang", "--rotate", *word(office))
    assert "不正确" in refused("staff", "enrol", "wang-fang", "--rotate", "--by", "he-qiang", "--code", "000000")
    assert secret_of("wang-fang") == before
