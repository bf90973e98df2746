"""What each test says to the database, noted while SQLite is tried, so that PostgreSQL hears every word of it.

With ``DIANWU_TEST_STATEMENTS=FOLDER`` a run on SQLite notes there the shapes of the statements of every test. A run on
PostgreSQL then marks as `both`, beside what is marked so by hand, tests enough for every shape to be said there too.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine, event

from tests.furniture import POSTGRES

NOTES = os.environ.get("DIANWU_TEST_STATEMENTS", "")
LISTENING = [0]
"""How many listen for the whole run, and not to see what a test does."""

_SEVERAL = re.compile(r"\(\?(?:, \?)*\)(?:, \(\?(?:, \?)*\))*")
_CHANGED = re.compile(r"(?<= SET )[\w\"]+=\?(?:, [\w\"]+=\?)*")


@cache
def shape(statement: str) -> str:
    """A short name of the statement, whatever number of values it has and whichever columns happen to have changed."""
    plain = _CHANGED.sub("…", _SEVERAL.sub("(…)", " ".join(statement.split())))
    return hashlib.blake2b(plain.encode(), digest_size=8).hexdigest()


class Heard(NamedTuple):
    """What one test said, and how many seconds it took over it."""

    seconds: float
    shapes: list[str]


class Notes:
    """Listens while tests run, and writes down at the end what it heard."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._now: set[str] = set()
        self._heard: dict[str, Heard] = {}
        event.listen(Engine, "before_cursor_execute", self._hear)
        LISTENING[0] += 1

    def _hear(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self._now.add(shape(statement))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._now, began = set(), time.perf_counter()
        try:
            return (yield)
        finally:
            self._heard[item.nodeid] = Heard(time.perf_counter() - began, sorted(self._now))

    def pytest_sessionfinish(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        said = {test: heard for test, heard in self._heard.items() if heard.shapes}
        self._file.write_text(json.dumps(said, ensure_ascii=False), encoding="utf-8")


def listen(config: pytest.Config) -> None:
    """Note what this process says, where that is asked for and PostgreSQL is not what is tried."""
    if NOTES and not POSTGRES:
        config.pluginmanager.register(Notes(Path(NOTES) / f"{os.environ.get('PYTEST_XDIST_WORKER', 'main')}.json"))


def mark(items: list[pytest.Item]) -> None:
    """Mark as `both` the tests that say to PostgreSQL what nothing marked so by hand says."""
    if not (NOTES and POSTGRES):
        return
    noted = [json.loads(file.read_text(encoding="utf-8")) for file in Path(NOTES).glob("*.json")]
    heard = {test: Heard(*of_it) for notes in noted for test, of_it in notes.items()}
    if not heard:
        raise pytest.UsageError(f"{NOTES} holds no notes: run the tests on SQLite first, as `make test` does")
    by_hand = [heard[item.nodeid].shapes for item in items if item.get_closest_marker("both") and item.nodeid in heard]
    others = {item.nodeid: item for item in items if item.nodeid in heard}
    for test in enough({test: heard[test] for test in others}, set(chain.from_iterable(by_hand))):
        others[test].add_marker(pytest.mark.both)


def enough(heard: Mapping[str, Heard], said: Collection[str]) -> list[str]:
    """Tests that together say everything that any of them says and is not said already, in little time, if not in least."""
    missing = set(chain.from_iterable(one.shapes for one in heard.values())) - set(said)
    chosen = []
    while missing:
        best = max(sorted(heard), key=lambda test: len(missing.intersection(heard[test].shapes)) / heard[test].seconds)
        chosen.append(best)
        missing.difference_update(heard[best].shapes)
    return chosen
