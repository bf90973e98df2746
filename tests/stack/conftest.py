"""The real stack, started once: Prefect server, worker, door and courier as processes of their own."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prefect.settings import temporary_settings

from ops.environment import prefect_settings
from ops.rehearsal import Rehearsal
from ops.secrets import prepare
from ops.stack import Stack
from tasks import db, engine
from tasks.settings import Settings, settings


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def settings_of(home: Path, **more: str) -> Iterator[Settings]:
    """For this process: the settings of the installation in that folder, and no others."""
    kept = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("DIANWU_") and not name.startswith("DIANWU_TEST")]:
        del os.environ[name]
    os.environ |= {"DIANWU_HOME": str(home), "DIANWU_CONFIG": str(home / "none.toml"), **more}
    _forget()
    try:
        yield prepare()
    finally:
        os.environ.clear()
        os.environ.update(kept)
        _forget()


@contextmanager
def running_stack(home: Path, **more: str) -> Iterator[tuple[Stack, Rehearsal]]:
    """A stack in its own folder on free ports, with everybody enrolled; with two warm processes, as others test too."""
    own = {
        "DIANWU_PREFECT_PORT": str(free_port()), "DIANWU_DOOR_PORT": str(free_port()), "DIANWU_WORKER_PROCESSES": "2",
    }  # fmt: skip
    with (
        settings_of(home, **{**own, **more}) as given,
        temporary_settings(updates=prefect_settings(given)),
        Stack(given) as stack,
    ):
        rehearsal = Rehearsal(given)
        rehearsal.enrol_everybody()
        yield stack, rehearsal


def _forget() -> None:
    settings.cache_clear()
    db.dispose()
    engine.client.cache_clear()
    engine.deployment_id.cache_clear()


@pytest.fixture(autouse=True)
def _home() -> Iterator[None]:
    """In place of the fixture that gives every test settings of its own: here the stack's settings count."""
    yield


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restarting processes takes seconds each; what must happen still has to happen."""
    monkeypatch.setattr("ops.rehearsal.PATIENCE", 240.0)
