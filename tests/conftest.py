"""A whole back office in one process: real database, virtual clock, stories played without Prefect."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from sqlalchemy import text
from sqlmodel import SQLModel

from flows.inline import InlineEngine
from notifications.scripted import ScriptedNotifier
from tasks import clock, db, delivery, merchants
from tasks import settings as settings_module
from tests.play import START, Office

hypothesis_settings.register_profile(
    "dianwu", deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
hypothesis_settings.load_profile("dianwu")

POSTGRES = os.environ.get("DIANWU_TEST_POSTGRES", "")
"""Address of a PostgreSQL database the tests may empty; without it they run on SQLite."""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings of its own for every test; nothing is read from the machine's environment."""
    for name in [name for name in os.environ if name.startswith("DIANWU_") and not name.startswith("DIANWU_TEST")]:
        monkeypatch.delenv(name)
    values = {
        "DIANWU_HOME": str(tmp_path / "home"),
        "DIANWU_CONFIG": str(tmp_path / "none.toml"),
        "DIANWU_ENCRYPTION_KEYS": f'["{Fernet.generate_key().decode()}"]',
        "DIANWU_AUDIT_KEY": "audit-key-of-the-tests",
        "DIANWU_PLATFORM_SECRETS": '["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]',
        "DIANWU_API_TOKENS": '["token-of-the-tests"]',
    }
    (tmp_path / "home").mkdir()
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    _forget()
    yield
    _forget()
    clock.use_clock(None)


def _forget() -> None:
    for function in (settings_module.settings, merchants.context, delivery.configured, delivery.http):
        function.cache_clear()
    delivery.use_notifier(None)
    db.dispose()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this process keeps an empty database with every table, made once and copied for every test."""
    return tmp_path_factory.mktemp("template")


@pytest.fixture
def database(_home: None, template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty database with every table: SQLite in the test's folder, or the PostgreSQL one, emptied."""
    import tasks.desk  # noqa: F401  (every table is declared by then)

    made = template / f"{len(SQLModel.metadata.tables)}.db"  # a test that declares more tables gets its own
    if POSTGRES:
        schema = f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
        monkeypatch.setenv("DIANWU_DATABASE_URL", f"{POSTGRES}?options=-csearch_path%3D{schema}")
        _forget()
        if not made.exists():
            with db.engine().begin() as connection:
                connection.execute(text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
                connection.execute(text(f"CREATE SCHEMA {schema}"))
            SQLModel.metadata.create_all(db.engine())
            made.touch()
        with db.engine().begin() as connection:
            names = ", ".join(f'"{name}"' for name in SQLModel.metadata.tables)
            connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
        return
    if not made.exists():
        SQLModel.metadata.create_all(db.engine())
        db.dispose()  # the last connection gone, everything is in the one file
        shutil.copyfile(settings_module.settings().home / "dianwu.db", made)
    else:
        shutil.copyfile(made, settings_module.settings().home / "dianwu.db")


@pytest.fixture
def notifier(database: None) -> ScriptedNotifier:
    """The channel through which people are told: it remembers, and nothing leaves the process."""
    channel = ScriptedNotifier()
    delivery.use_notifier(channel)
    return channel


@pytest.fixture
def office(database: None, notifier: ScriptedNotifier) -> Iterator[Office]:
    """The back office at ten o'clock on a Thursday morning, with its staff and no shop yet."""
    virtual = clock.VirtualClock(START)
    clock.use_clock(virtual)
    yield Office(virtual)


@pytest.fixture
def new_office(database: None, notifier: ScriptedNotifier) -> Callable[..., Office]:
    """Makes such an office, on an emptied database: for comparing how the same stories end."""

    def make(engine: InlineEngine | None = None) -> Office:
        with db.engine().begin() as connection:
            if connection.dialect.name == "sqlite":
                connection.execute(text("PRAGMA defer_foreign_keys=ON"))
            for table in reversed(SQLModel.metadata.sorted_tables):
                connection.execute(table.delete())
        virtual = clock.VirtualClock(START)
        clock.use_clock(virtual)
        return Office(virtual, engine)

    return make
