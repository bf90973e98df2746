"""The real stack, one for all tests that do it no harm: Prefect server, worker, door and courier as processes of their own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from prefect.settings import temporary_settings
from sqlmodel import col, delete

from models.audit import Installation
from office.base import db
from office.base.db import in_transaction
from office.base.settings import Settings, settings
from office.runs import engine
from office.staff import staff
from ops.environment import prefect_settings
from ops.rehearsal import PEOPLE, Rehearsal
from ops.secrets import prepare
from ops.stack import Stack
from tasks.processes import open_office
from tests.ports import free_port
from tests.prefect_home import furnish


@contextmanager
def settings_of(home: Path, **more: str) -> Iterator[Settings]:
    """For this process: the settings of the installation in that folder, and no others."""
    kept = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("DIANWU_") and not name.startswith("DIANWU_TEST")]:
        del os.environ[name]
    os.environ |= {"DIANWU_HOME": str(home), "DIANWU_CONFIG": str(home / "none.toml"), **more}
    _forget()
    open_office()
    try:
        yield prepare()
    finally:
        os.environ.clear()
        os.environ.update(kept)
        _forget()


@contextmanager
def looking_at(home: Path, **more: str) -> Iterator[Settings]:
    """For this process: that installation, and the Prefect that belongs to it."""
    with settings_of(home, **more) as given, temporary_settings(updates=prefect_settings(given)):
        yield given


def places() -> dict[str, str]:
    """Free ports for a stack, and two warm processes for its worker, as others test too."""
    return {
        **{f"DIANWU_{part}_PORT": str(free_port()) for part in ("PREFECT", "DOOR", "DESK")},
        "DIANWU_WORKER_PROCESSES": "2",
    }


def deskless(given: Settings) -> Stack:
    """A stack without the desk: nobody sits down at it here."""
    stack = Stack(given)
    del stack.parts["desk"]
    return stack


@contextmanager
def running_stack(home: Path, **more: str) -> Iterator[tuple[Stack, Rehearsal]]:
    """A stack in its own folder, with everybody enrolled. A file that starts one says why in its ``OWN_STACK``."""
    own = {**places(), "PREFECT_SERVER_UI_ENABLED": "false", **more}  # nobody looks at it
    with looking_at(furnish(home), **own) as given, deskless(given) as stack:
        rehearsal = Rehearsal(given)
        rehearsal.enrol_everybody()
        yield stack, rehearsal


@contextmanager
def standing_stack(home: Path) -> Iterator[Callable[[], AbstractContextManager[Rehearsal]]]:
    """A stack that outlives a test; what it yields makes this process look at it while a test lasts."""
    own = places()
    with looking_at(furnish(home), **own) as given:
        stack, rehearsal = deskless(given), Rehearsal(given)
        stack.start()
        rehearsal.enrol_everybody()

    @contextmanager
    def on_it() -> Iterator[Rehearsal]:
        with looking_at(home, **own):
            codes_count_in_forms_again()
            yield rehearsal

    try:
        yield on_it
    finally:
        stack.stop()


def _forget() -> None:
    settings.cache_clear()
    db.dispose()
    engine.client.cache_clear()
    engine.deployment_id.cache_clear()


def codes_count_in_forms_again() -> None:
    """After an answer that nobody can be told of no code shown by then counts in a form: tests do not wait for the next."""
    in_transaction(lambda tx: tx.exec(delete(Installation).where(col(Installation.key) == staff.FORM_FLOOR)))


@pytest.fixture(autouse=True)
def _home() -> Iterator[None]:
    """In place of the fixture that gives every test settings of its own: here the stack's settings count."""
    yield


@pytest.fixture
def stage(standing: Callable[[], AbstractContextManager[Rehearsal]]) -> Iterator[Rehearsal]:
    """The outside world of the stack that all tests share which do it no harm; shops of a test have ids of their own."""
    with standing() as rehearsal:
        yield rehearsal


_twins = itertools.count(2)


def twin(stage: Rehearsal, staff_id: str) -> str:
    """Somebody of the same name and roles, whose codes nobody else spends: else tests wait half a minute for the next one."""
    name, roles = PEOPLE[staff_id]
    new = f"{staff_id}-only-{next(_twins)}"
    stage.enrol(new, name, roles)
    return new


@pytest.fixture
def reviewer(stage: Rehearsal) -> str:
    """Who reviews closures in this test, and in no other."""
    return twin(stage, "li-na")


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restarting processes takes seconds each; what must happen still has to happen."""
    monkeypatch.setattr("ops.rehearsal.PATIENCE", 240.0)
