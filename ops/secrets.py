"""Secrets of an embedded installation: made at the first start, kept in the home folder, readable by nobody else."""

from __future__ import annotations

import base64
import json
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet

from office.base.secret_forms import insist
from office.base.settings import Settings, SettingsError, settings
from ops import setting_forms

FILE = "secrets.toml"


def _webhook_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def ensure(home: Path, *, subscribers: bool, prefect: bool = False) -> Path:
    """Write ``secrets.toml`` (mode 0600) unless it is there.

    ``subscribers`` adds those with which we sign for platform and bank, ``prefect`` the password of Prefect.
    """
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
        f'bank_secrets = ["{_webhook_secret()}"]',
        f'api_tokens = ["{secrets.token_urlsafe(32)}"]',
    ]
    if prefect:
        lines.append(f'prefect_auth = "dianwu:{secrets.token_urlsafe(24)}"')
    if subscribers:
        lines += ["[subscriber_secrets]", f'bank = "{_webhook_secret()}"', f'platform = "{_webhook_secret()}"']
    draft = file.with_name(f".{FILE}.{os.getpid()}")  # half of it would be taken for all of it at the next start
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write("\n".join(lines) + "\n")
        with suppress(FileExistsError):  # whoever starts at the same moment was first: theirs are the secrets
            os.link(draft, file)
    finally:
        draft.unlink(missing_ok=True)
    return file


def open_to_others(given: Settings) -> list[Path]:
    """Which of the files that hold secrets or people's data somebody else on this machine may read or write."""
    return [file for file in private_files(given) if stat.S_IMODE(file.stat().st_mode) & 0o077]


def home_open_to_others(given: Settings) -> bool:
    """Whether everybody on this machine walks into the home folder. Evidence, statements, pictures, logs and the database of an
    embedded Prefect lie there, as readable as whoever's umask made them."""
    return given.home.is_dir() and bool(stat.S_IMODE(given.home.stat().st_mode) & 0o007)


def private_files(given: Settings) -> list[Path]:
    """The settings file, the secrets, and the database of the embedded default, as far as they are there."""
    config = Path(os.environ.get("DIANWU_CONFIG", "dianwu.toml"))
    files = [config, given.home / FILE, given.database_file]
    return [file for file in files if file is not None and file.is_file()]


def prepare() -> Settings:
    """The settings of this installation, with secrets made where a demonstration has none.

    Production makes nothing up: :class:`office.base.settings.SettingsError` names what is missing, a secret in a form that would
    be read as another key, an address that leads nowhere, and a file that others may read. A demonstration closes such a file.
    """
    given = settings()
    for file in open_to_others(given):
        if given.production:
            raise SettingsError(f"{file} 可被他人读取，请先执行 chmod 600 {file}")
        file.chmod(0o600)
    if not given.production:
        ensure(given.home, subscribers=given.sandbox_bank)
        settings.cache_clear()
        given = settings()
        if given.sandbox_bank and not given.subscribers:
            local = {"bank": f"{given.door_url}/sandbox/bank", "platform": f"{given.door_url}/sandbox/platform"}
            os.environ["DIANWU_SUBSCRIBERS"] = json.dumps(local)
            settings.cache_clear()
            given = settings()
    return setting_forms.insist(insist(given))
