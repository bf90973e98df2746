"""Addresses in the settings: a slip is refused by the setting's name before anything starts, and by the doctor."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from notifications.apprise_addresses import EXAMPLE, fault_of
from notifications.text import full_width
from office.base import settings as settings_module
from office.base.settings import SettingsError
from ops import secrets, setting_forms
from ops.commands import doctor
from ops.commands.health import Health

MAIL = "mailtos://user:password@mail.example.com/?from=noreply@example.com"
HOOK = "json://erp.example.com/hook"

WRONG = [
    *(("mail_relay", wrong) for wrong in (
        "mail.example.com", "smtp://user:password@mail.example.com", "mailto//user:password@mail.example.com", HOOK, f" {MAIL}", f"{MAIL}\n",
        "mailtos://user:password@/?form=a@example.com", MAIL.replace("from=", "form="), MAIL.replace("from=noreply@example.com", "from=noreply"),
        "mailtos://mail.example.com", f"{MAIL}&mode=tls1", "mailtos://", "noreply@example.com",
    )),
    *((f"staff_channels.{tag}", {tag: [wrong]}) for tag in ("staff", "finance") for wrong in (
        "ops@example.com", "mailtoss://user:password@mail.example.com", f"{MAIL}&to=ops.example.com", f"{MAIL}&too=ops@example.com", "wecombot://", "dingtalk://",
        "", "json:/erp.example.com", f"{HOOK} ", "feishu:token-of-the-robot", "企业微信", "nonsense://x", "https://erp.example.com/hook",
    )),
    *(("staff_channels", {tag: [HOOK]}) for tag in ("财务", "Finance", "finances", "person", "closure_reviewer", "")),
    *(("audit_anchors", [wrong]) for wrong in (
        "anchors", "./anchors", "s3:/bucket/anchors", "s3//bucket", "S3://bucket", "s4://bucket/anchors", "https://bucket.example.com/anchors",
        "memory://anchors", "file://", "", " /var/anchors", f"{MAIL}&to=auditor", "mailto:auditor@example.com", "auditor@example.com",
        "oss://bucket/anchors",
    )),
    *(("evidence_url", wrong) for wrong in ("evidence", "s3:/bucket", "s4://bucket", "https://bucket.example.com/x")),
    *((name, wrong) for name in ("desk_url", "public_url", "doudian_api") for wrong in (
        "desk.example.com", "https:/desk.example.com", "https//desk.example.com", "https://", "ftp://desk.example.com", "https://desk.example.com:port",
        " https://desk.example.com", "https://desk.example .com",
    )),
    ("desk_url", "https://example.com/desk"),
    *(("prefect_api_url", wrong) for wrong in ("http://127.0.0.1:4200", "127.0.0.1:4200/api", "http://prefect:4200/v2/runs")),
    *(("subscribers.bank", {"bank": wrong}) for wrong in ("bank.example.com", "htps://bank.example.com", "http://", "")),
    *((name, wrong) for name in ("rate_limit", "signed_rate_limit") for wrong in ("600", "600/min-ute", "many/minute", "")),
]  # fmt: skip


def settle(monkeypatch: pytest.MonkeyPatch, name: str, value: Any) -> settings_module.Settings:
    monkeypatch.setenv(f"DIANWU_{name.upper()}", value if isinstance(value, str) else json.dumps(value))
    settings_module.settings.cache_clear()
    return settings_module.settings()


@pytest.mark.parametrize(("name", "value"), WRONG, ids=[f"{name} {value}" for name, value in WRONG])
def test_a_slip_in_an_address_is_refused_by_the_settings_name_and_nothing_of_it_is_shown(
    _home: None, monkeypatch: pytest.MonkeyPatch, name: str, value: Any
) -> None:
    given = settle(monkeypatch, name.partition(".")[0], value)
    (fault,) = setting_forms.faults(given)
    assert fault.setting == name and "password" not in str(fault) and "token-of" not in str(fault)
    with pytest.raises(SettingsError, match=name):
        secrets.prepare()
    (check,) = doctor.addresses_of(given)
    assert check.health is Health.BAD and name in check.sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mail_relay", MAIL), ("mail_relay", "mailto://127.0.0.1:25?from=dianwu@example.cn"),
        ("mail_relay", f"{MAIL}&name=店务&mode=starttls&to=a@example.com"),
        ("mail_relay", "mailtos://user:pa%40ss%2Fword@mail.example.com:587/?from=noreply@example.com&reply=help@example.com"),
        ("mail_relay", "mailtos://user:password@mail.example.com?from=店务<noreply@example.com>&smtp=10.0.0.1&verify=no"),
        ("staff_channels", {"staff": [f"{MAIL}&to=a@example.com,b@example.com&cc=c@example.com", HOOK], "merchant": [], "finance": ["wecombot://KEY"]}),
        ("audit_anchors", ["/var/anchors", "~/anchors", "file:///var/anchors", f"{MAIL}&to=auditor@example.com"]),
        ("evidence_url", "file:///var/evidence"), ("subscribers", {"bank": "http://10.0.0.1:8080/hook"}), ("rate_limit", "10 per 2 second"),
        ("desk_url", "https://desk.example.com/"), ("prefect_api_url", "http://prefect:4200/api/"), ("doudian_api", ""),
        ("database_url", "postgresql+psycopg://dianwu@db.internal/dianwu"),
    ],
)  # fmt: skip
def test_an_address_as_it_is_documented_is_taken(
    _home: None, monkeypatch: pytest.MonkeyPatch, name: str, value: Any
) -> None:
    assert [str(fault) for fault in setting_forms.faults(settle(monkeypatch, name, value))] == []


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("door_prot = 8787", "没有 door_prot 这一项，是否应为 door_port"), ("foo = 1", "没有 foo 这一项"),
        ('door_port = "many"', "door_port（须为整数）"), ('profile = "prod"', "profile（只能是 'demo' 或 'production'）"),
        ("audit_anchor_hours = -1", "audit_anchor_hours（须大于 0）"), ('sandbox_bank = "maybe"', "sandbox_bank（须为 true 或 false）"),
        ("[staff_channels]\nfinance = 'json://h/x'", "staff_channels.finance（须为列表"), ("subscribers = []", "subscribers（须为表"),
        ("service_contact = 400", "service_contact（须为文字"), ('host = "0.0.0.0"', "prefect_auth"),
        ("[access_tokens.portal]\ntoken = 'a-token-of-sixteen'", "access_tokens.portal.may（缺少）"),
        *((f'database_url = "{wrong}"', "database_url：须为 postgresql+psycopg://") for wrong in (
            "postgresql://db/dianwu", "postgres://db/dianwu", "mysql://db/dianwu", "/var/lib/dianwu.db", "sqlite3:///a.db", "sqlite:/a.db",
        )),
    ],
)  # fmt: skip
def test_what_a_settings_file_cannot_say_is_told_in_chinese_with_the_name_and_what_is_expected(
    _home: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, refused: Any, written: str, said: str
) -> None:
    (file := tmp_path / "dianwu.toml").write_text(written, encoding="utf-8")
    monkeypatch.setenv("DIANWU_CONFIG", str(file))
    settings_module.settings.cache_clear()
    assert said in refused("cases", "list")
    assert said in (check := next(doctor.examine())).sentence and check.health is Health.BAD


def test_every_address_that_we_show_as_an_example_is_one_that_is_taken() -> None:
    """With the signs in which it is shown: a colon of Chinese in it, and who copies it is refused."""
    shown = [full_width(f"{EXAMPLE}，{setting_forms.RELAY}")]
    shown += [page.read_text(encoding="utf-8") for page in (*Path("docs").rglob("*.md"), *Path().glob("README*.md"))]
    found = {address for text in shown for address in re.findall(r'mailtos?://[^\s"`，；…]+', text)}
    assert len(found) > 4
    assert {address: fault for address in found if (fault := fault_of(address))} == {}
