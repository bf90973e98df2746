"""Secrets of an embedded installation: made at the first start, kept in the home folder, readable by nobody else."""

from __future__ import annotations

import base64
import json
import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet

from tasks.secret_forms import insist
from tasks.settings import Settings, settings

FILE = "secrets.toml"


def _webhook_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def ensure(home: Path, *, subscribers: bool) -> Path:
    """Write ``secrets.toml`` (mode 0600) unless it is there. ``subscribers`` adds the two sandbox ones."""
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    file = home / FILE
    if file.exists():
        return file
    lines = [
        "# Made by Dianwu at the first start. Whoever reads this file can sign events and read sealed data.",
        f'encryption_keys = ["{Fernet.generate_key().decode()}"]',
        f'audit_key = "{secrets.token_urlsafe(32)}"',
        f'platform_secrets = ["{_webhook_secret()}"]',
        f'api_tokens = ["{secrets.token_urlsafe(32)}"]',
    ]
    if subscribers:
        lines += ["[subscriber_secrets]", f'bank = "{_webhook_secret()}"', f'platform = "{_webhook_secret()}"']
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write("\n".join(lines) + "\n")
    return file


def prepare() -> Settings:
    """The settings of this installation, with secrets made where a demonstration has none.

    Production makes nothing up: :class:`tasks.settings.SettingsError` names what is missing, and a secret in a form
    that would be read as another key, whoever made it.
    """
    given = settings()
    if not given.production:
        ensure(given.home, subscribers=given.sandbox_bank)
        settings.cache_clear()
        given = settings()
        if given.sandbox_bank and not given.subscribers:
            local = {"bank": f"{given.door_url}/sandbox/bank", "platform": f"{given.door_url}/sandbox/platform"}
            os.environ["DIANWU_SUBSCRIBERS"] = json.dumps(local)
            settings.cache_clear()
            given = settings()
    return insist(given)
