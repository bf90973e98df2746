"""The file with the settings: read with a byte-order mark, refused by name when it cannot be right, never shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from office.base import settings as settings_module
from ops.commands import doctor
from ops.commands.keys import home_of

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
FILES = [
    ('service_contact = "客服"\nprofile = ', "写法有误或没有保存完整"),
    ("service_contact = 客服", "写法有误或没有保存完整"),
    ('service_contact = "客服"'.encode("gbk"), "UTF-8"),
    ('service_contact = "客服"'.encode("utf-16"), "UTF-8"),
    ('audit_key = "not-for-anybody\n', "写法有误"),
    ('home = "a"\nhome = "b"', "写法有误"),
    (b"\x00", "写法有误"),
    ("a = " + "[" * 3_000, "写法有误"),
]


@pytest.mark.parametrize("name", ["dianwu.toml", "secrets.toml"])
def test_a_settings_file_may_begin_with_a_byte_order_mark(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    file = settings_file(monkeypatch, name)
    file.write_text('service_contact = "客服"\n', encoding="utf-8-sig")
    assert settings_module.settings().service_contact == "客服"
    file.write_text(f'home = "{file.parent}/there"\n', encoding="utf-8-sig")
    monkeypatch.delenv("DIANWU_HOME")
    assert home_of().name == ("there" if name == "dianwu.toml" else ".dianwu")


@pytest.mark.parametrize(("written", "why"), FILES)
@pytest.mark.parametrize("name", ["dianwu.toml", "secrets.toml"])
def test_a_settings_file_that_cannot_be_read_is_named_and_none_of_it_shown(
    monkeypatch: pytest.MonkeyPatch, refused: Any, name: str, written: str | bytes, why: str
) -> None:
    file = settings_file(monkeypatch, name)
    file.write_bytes(written if isinstance(written, bytes) else written.encode())
    for line in (["cases", "list"], ["up"], ["doctor"], ["migrate"]):
        settings_module.settings.cache_clear()
        said = refused(*line).replace("\n", "")
        assert "not-for-anybody" not in said, line
        assert (why in said and name in said) or line == ["doctor"], line  # whose table folds where the path makes it
    (check,) = doctor.examine()
    assert name in check.sentence and why in check.sentence


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("SERVICE_CONTACT", os.fsdecode("商家客服".encode("gbk")), "UTF-8"),
        ("PLATFORM_NAME", "示例\u202e平台", "U+202E"),
        ("SERVICE_CONTACT", "客服\x07", "U+0007"),
        ("STAFF_CHANNELS", '{"staff": ["json://h/\\u0000"]}', "U+0000"),
        ("ACCESS_TOKENS", '{"a": {"token": "not-for-anybody", "may": ["cases"], "shops": ["s\\u2066"]}}', "U+2066"),
    ],
)
def test_what_no_letter_and_no_database_takes_is_refused_in_a_setting_by_its_name(
    monkeypatch: pytest.MonkeyPatch, refused: Any, name: str, value: str, why: str
) -> None:
    monkeypatch.setenv(f"DIANWU_{name}", value)
    settings_module.settings.cache_clear()
    said = refused("cases", "list")
    assert name.lower() in said and why in said and "not-for-anybody" not in said


def test_a_list_in_the_environment_that_is_no_json_is_refused_by_the_settings_name(
    monkeypatch: pytest.MonkeyPatch, refused: Any
) -> None:
    monkeypatch.setenv("DIANWU_PLATFORM_SECRETS", SECRET)
    settings_module.settings.cache_clear()
    said = refused("cases", "list")
    assert "platform_secrets" in said and "JSON" in said and SECRET not in said


def settings_file(monkeypatch: pytest.MonkeyPatch, name: str) -> Path:
    settings_module.settings.cache_clear()
    file = Path(os.environ["DIANWU_HOME"]) / name
    if name == "dianwu.toml":
        monkeypatch.setenv("DIANWU_CONFIG", str(file))
    return file
