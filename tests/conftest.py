"""A whole back office in one process: real database, virtual clock, stories played without Prefect."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from office.base import clock, db
from office.base import settings as settings_module
from tests import statements
from tests.furniture import POSTGRES, SCHEMA, Storeroom, close, in_schema, kept_engine

if TYPE_CHECKING:  # what plays stories imports Prefect; whoever tests rules does without
    from notifications.scripted import ScriptedNotifier
    from ops.rehearsal import Rehearsal
    from tests.play import Office

hypothesis_settings.register_profile(
    "dianwu",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
hypothesis_settings.load_profile("dianwu")

KEY = Fernet.generate_key().decode()
"""One for the session, so that what a kept office has sealed can be opened."""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings of its own for every test; nothing is read from the machine's environment."""
    for name in [name for name in os.environ if name.startswith("DIANWU_") and not name.startswith("DIANWU_TEST")]:
        monkeypatch.delenv(name)
    values = {
        "DIANWU_HOME": str(tmp_path / "home"),
        "DIANWU_CONFIG": str(tmp_path / "none.toml"),
        "DIANWU_ENCRYPTION_KEYS": f'["{KEY}"]',
        "DIANWU_AUDIT_KEY": "audit-key-of-the-tests",
        "DIANWU_PLATFORM_SECRETS": '["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]',
        "DIANWU_API_TOKENS": '["token-of-the-tests"]',
    }
    (tmp_path / "home").mkdir()
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    from tasks.processes import open_office

    open_office()  # whichever test a process begins with
    _forget()
    db.use_engine(kept_engine)
    if not POSTGRES:
        close()  # on PostgreSQL the next test goes on with the same connections
    yield
    _forget()
    db.use_engine(None)  # without asking the settings, which a test may have left in no usable state
    clock.use_clock(None)


def _forget() -> None:
    from office.cases import merchants
    from tasks import delivery

    for function in (settings_module.settings, merchants.context, delivery.configured, delivery.http):
        function.cache_clear()
    delivery.use_notifier(None)


@pytest.fixture(scope="session")
def storeroom(tmp_path_factory: pytest.TempPathFactory) -> Storeroom:
    """Where this process keeps databases: empty, with staff, with a shop; made once and copied for every test."""
    return Storeroom(tmp_path_factory.mktemp("storeroom"))


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this run of tests share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture
def database(_home: None, storeroom: Storeroom, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty database with every table: SQLite in the test's folder, or the PostgreSQL one, emptied."""
    if POSTGRES:
        monkeypatch.setenv("DIANWU_DATABASE_URL", in_schema(SCHEMA))
        settings_module.settings.cache_clear()
    storeroom.empty()


@pytest.fixture
def notifier(database: None) -> ScriptedNotifier:
    """The channel through which people are told: it remembers, and nothing leaves the process."""
    from notifications.scripted import ScriptedNotifier
    from tasks import delivery

    channel = ScriptedNotifier()
    delivery.use_notifier(channel)
    return channel


@pytest.fixture
def new_office(
    database: None,
    notifier: ScriptedNotifier,
    storeroom: Storeroom,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Office]:
    """Makes an office as below, on an emptied database: for comparing how the same stories end."""
    from tests.furnished import office_in

    reads_the_log = "caplog" in request.fixturenames

    def put_aside() -> bool:
        others = [of for of, _, _ in monkeypatch._setitem if of is not os.environ]
        return reads_the_log or bool(monkeypatch._setattr or others)

    return lambda engine=None: office_in(storeroom, notifier, engine, put_aside)


@pytest.fixture
def office(new_office: Callable[..., Office]) -> Office:
    """The back office at ten o'clock on a Thursday morning, with its staff and no shop yet."""
    return new_office()


@pytest.fixture(scope="session")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], AbstractContextManager[Rehearsal]]]:
    """The one real stack of this process, for every test that does it no harm; see tests/stack/conftest.py."""
    from tests.stack.conftest import standing_stack

    with standing_stack(tmp_path_factory.mktemp("standing") / "home") as on_it:
        yield on_it


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what else PostgreSQL has to hear beside what is marked so by hand."""
    statements.mark(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where whole scopes go to one process (``--dist loadscope``), the scope is what shares processes."""
    from tests.sharing import ByWhatIsShared

    return ByWhatIsShared(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_configure(config: pytest.Config) -> None:
    """Note what is said to the database, where that is asked for."""
    statements.listen(config)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector of garbage need not look at it again, which is a tenth of all its work."""
    gc.collect()
    gc.freeze()
