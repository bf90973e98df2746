"""Secrets: one that a library would read as another key is refused before anything starts, by the setting's name."""

from __future__ import annotations

import base64
import errno
import json
import os
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from office.base import secret_forms
from office.base import settings as settings_module
from office.base.settings import SettingsError
from ops.secrets import FILE, ensure, prepare
from webhooks.app import create_app

KEY = bytes(range(240, 256)) + bytes(range(16))
"""Thirty-two bytes whose base64 holds ``+`` and ``/``."""
FERNET = base64.urlsafe_b64encode(KEY).decode()
STANDARD = "whsec_" + base64.b64encode(KEY).decode()
URL_SAFE = "whsec_" + base64.urlsafe_b64encode(KEY).decode()

WRONG = [
    URL_SAFE, f"v1,{STANDARD}", STANDARD.removeprefix("whsec_"), STANDARD.rstrip("="), f"{STANDARD} ", f" {STANDARD}", STANDARD + "\n",
    STANDARD[:20] + " " + STANDARD[20:], "whsec_YQ==", "whsec_", "whsec_correct horse battery staple", "correcthorsebatterystaple",
    "whsec_password", "whsec_" + base64.b64encode(b"." * 23).decode(), "whsec_" + base64.b64encode(b"." * 65).decode(),
    "whsec_密钥", STANDARD + "=", "WHSEC_" + STANDARD[6:], f'"{STANDARD}"', KEY.hex(),
]  # fmt: skip


PASSWORDS = [
    "user",
    ":password",
    "user:",
    "user:pass word",
    "user:password\n",
    '"user:password"',
    "用户:密码",
    "v1 user:password",
    "user：password",
]
TOKENS = [
    '"a-token-of-sixteen"',
    "a-token-of-sixteen\n",
    "a token of sixteen characters",
    "十六个汉字的令牌十六个汉字的令牌",
    "a-token-of-sixteen\ufeff",
    "’a-token-of-sixteen’",
]


def settle(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> settings_module.Settings:
    monkeypatch.setenv(f"DIANWU_{name.upper()}", value)
    settings_module.settings.cache_clear()
    return settings_module.settings()


def test_a_url_safe_key_is_another_key_to_the_library() -> None:
    assert Webhook(URL_SAFE)._whsecret != KEY == Webhook(STANDARD)._whsecret


@pytest.mark.parametrize("secret", WRONG)
@pytest.mark.parametrize(
    ("name", "shown", "wrap"),
    [("platform_secrets", "platform_secrets", list), ("subscriber_secrets", "subscriber_secrets.bank", dict)],
)
def test_nothing_starts_under_a_secret_that_would_be_another_key(
    monkeypatch: pytest.MonkeyPatch, secret: str, name: str, shown: str, wrap: type
) -> None:
    given = settle(monkeypatch, name, json.dumps([secret] if wrap is list else {"bank": secret}))
    for start in (prepare, lambda: create_app(given)):
        with pytest.raises(SettingsError, match=shown) as refused:
            start()
        assert len(secret) < 7 or secret[6:] not in str(refused.value)


def test_a_secret_of_the_bank_that_is_the_platforms_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settle(monkeypatch, "platform_secrets", json.dumps([STANDARD]))
    settle(monkeypatch, "bank_secrets", json.dumps([STANDARD]))
    with pytest.raises(SettingsError, match="bank_secrets"):
        prepare()


@pytest.mark.parametrize("size", [24, 32, 64])
def test_a_secret_as_the_specification_has_it_is_the_key_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    key = (KEY * 2)[:size]
    given = settle(monkeypatch, "platform_secrets", json.dumps(["whsec_" + base64.b64encode(key).decode()]))
    assert secret_forms.webhook_key(given.platform_secrets[0], "platform_secrets") == key
    prepare()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("encryption_keys", json.dumps(["kurz"])), ("encryption_keys", json.dumps([FERNET + ","])),
        ("encryption_keys", json.dumps([FERNET.rstrip("=")])),
        ("encryption_keys", json.dumps([" " + FERNET])), ("encryption_keys", json.dumps(["a b" * 20])),
        ("audit_key", "x"), ("audit_key", "audit-key-of-the-tests\n"), ("api_tokens", json.dumps(["x"])),
        ("api_tokens", json.dumps(["token-of-the-tests "])), ("api_tokens", json.dumps(["token-of\nthe-tests-and-more"])),
        ("doudian_apps", json.dumps({"app": ""})),
        *(("prefect_auth", wrong) for wrong in PASSWORDS),
        *((name, json.dumps({"app": wrong})) for name in ("doudian_apps", "tiktok_apps") for wrong in ("'secret'", "secret\n", "\ufeffsecret")),
        *(("api_tokens", json.dumps([wrong])) for wrong in TOKENS), 
        *(("audit_key", wrong) for wrong in ("'audit-key-of-ours'", "“审计密钥审计密钥”", "audit\ufeffkey")),
        *(("access_tokens", json.dumps({"a": {"token": wrong, "may": ["cases"]}})) for wrong in TOKENS),
        *(("encryption_keys", json.dumps([wrong])) for wrong in WRONG if wrong != STANDARD[6:]), ("tiktok_apps", json.dumps({"app": " secret"})),
    ],
)  # fmt: skip
def test_the_other_secrets_are_refused_by_name_too(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    settle(monkeypatch, name, value)
    with pytest.raises(SettingsError, match=name):
        prepare()


def test_what_an_installation_makes_for_itself_is_well_formed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENCRYPTION_KEYS", "AUDIT_KEY", "PLATFORM_SECRETS", "API_TOKENS"):
        monkeypatch.delenv(f"DIANWU_{name}")
    settings_module.settings.cache_clear()
    ensure(settings_module.settings().home, subscribers=True)
    settings_module.settings.cache_clear()
    given = prepare()
    assert given.encryption_keys and given.subscriber_secrets
    assert list(secret_forms.faults(given)) == []


def test_secrets_that_found_no_room_are_not_half_there_at_the_next_start(monkeypatch: pytest.MonkeyPatch) -> None:
    home = settings_module.settings().home
    opened, room = os.fdopen, [False, True]

    def kept(*given: Any, **more: Any) -> Any:
        if not room.pop(0):
            raise OSError(errno.ENOSPC, "full")
        return opened(*given, **more)

    monkeypatch.setattr("ops.secrets.os.fdopen", kept)
    with pytest.raises(OSError):
        ensure(home, subscribers=True)
    assert not (home / FILE).exists() and not list(home.glob(f".{FILE}*"))
    first = ensure(home, subscribers=True).read_text()
    assert ensure(home, subscribers=True).read_text() == first
    assert (home / FILE).stat().st_mode & 0o777 == 0o600


def test_a_setting_that_cannot_be_used_never_prints_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError) as refused:
        settle(monkeypatch, "door_port", "many")
    assert "token-of-the-tests" not in str(refused.value) and "whsec_" not in str(refused.value)


def test_the_password_of_prefect_is_taken_as_it_is_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(secret_forms.faults(settle(monkeypatch, "prefect_auth", "user:pass:word+/=_-"))) == []
