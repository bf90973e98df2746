"""The database: one engine per process, and the one place that commits.

``with transaction() as tx`` is the only way to a session. Callees take ``tx`` and never commit.
SQLite writers take their turn from the first statement (BEGIN IMMEDIATE), so they wait instead of failing.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache, lru_cache, wraps
from inspect import signature
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, bindparam, create_engine, event
from sqlalchemy import inspect as mapper_of
from sqlalchemy.engine import ScalarResult
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlmodel import Session, select
from sqlmodel.sql.expression import SelectOfScalar

from office.base.clock import read_now
from office.base.settings import settings

P = ParamSpec("P")
R = TypeVar("R")

RETRIES = 8
"""How often a transaction that lost to another is tried again before the fault is reported."""

BREATH = 0.02
"""Seconds between two chunks of a long piece of work, in which other writers of SQLite get their turn: each looks again
after at most :data:`LOOK_AGAIN`."""
LOOK_AGAIN = 0.01
"""SQLite's own waiting comes to look every tenth of a second, and can miss every gap between the chunks of somebody else."""
PATIENCE = 30.0
"""Seconds a writer waits for its turn."""
CHUNK_SECONDS = 0.2
"""How long one transaction of a long piece of work should take."""


class Tx(Session):
    """A transaction under way. ``now`` is read once, so everything in it happens at the same moment."""

    _now: datetime | None = None

    @property
    def proved(self) -> dict[str, int]:
        """Who has proved who they are in this transaction (``staff/<id>``), and by the code of which half minute."""
        found: dict[str, int] = self.info.setdefault("proved", {})
        return found

    @property
    def now(self) -> datetime:
        if self._now is None:
            with self.no_autoflush:  # asking the time must not write half of a change
                self._now = read_now(self)
        return self._now

    @property
    def postgres(self) -> bool:
        return self.get_bind().dialect.name == "postgresql"

    def get(self, entity: type[R], ident: Any, *, populate_existing: bool = False, **more: Any) -> R | None:  # type: ignore[override]
        """The row with this key, by a statement made once per table: SQLAlchemy's own makes it anew each time."""
        named = ident if isinstance(ident, tuple) else (ident,)
        here = None if populate_existing else self.identity_map.get(self.identity_key(entity, named))
        if here is not None or any(more.values()):
            return super().get(entity, ident, populate_existing=populate_existing, **more)
        anew = {"populate_existing": True} if populate_existing else {}
        key = {f"key_{place}": value for place, value in enumerate(named)}
        return self.exec(_by_key(mapper_of(entity)), params=key, execution_options=anew).first()


@cache
def _by_key(mapper: Any) -> SelectOfScalar[Any]:
    keys = mapper.primary_key
    return select(mapper.class_).where(*(column == bindparam(f"key_{place}") for place, column in enumerate(keys)))


def prepared(put: Callable[P, SelectOfScalar[R]]) -> Callable[Concatenate[Tx, P], ScalarResult[R]]:
    """A query that is put into words once, with a place for each argument, and asked many times: SQLite has answered
    before SQLAlchemy has built a statement and found that it knows it. What it says may not depend on the arguments.
    """
    names = list(signature(put).parameters)

    @lru_cache(maxsize=1)
    def words() -> SelectOfScalar[R]:
        return put(*map(bindparam, names))  # type: ignore[call-arg, arg-type]

    @wraps(put)
    def ask(tx: Tx, *given: P.args, **_: P.kwargs) -> ScalarResult[R]:
        return tx.exec(words(), params=dict(zip(names, given, strict=True)))

    return ask


def make_engine(url: str) -> Engine:
    """An engine with the settings each database needs to be safe under parallel writers."""
    if url.startswith("sqlite"):
        engine = create_engine(url, connect_args={"timeout": 30, "check_same_thread": False}, pool_size=10)

        @event.listens_for(engine, "connect")
        def _pragmas(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # we say BEGIN ourselves, below
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute("PRAGMA foreign_keys=ON")
            cursor.execute(_WAIT)
            cursor.close()

        @event.listens_for(engine, "begin")
        def _begin(connection: Any) -> None:
            if connection.get_execution_options().get("reading"):
                connection.exec_driver_sql("BEGIN")
            else:
                _take_turn(connection)

        return engine
    return create_engine(url, pool_size=10, max_overflow=20, pool_pre_ping=True)


_WAIT = f"PRAGMA busy_timeout={PATIENCE * 1000:.0f}"


def _take_turn(connection: Connection) -> None:
    """Begin to write, as soon as no other writer of SQLite is at it."""
    until = time.monotonic() + PATIENCE
    driver = connection.connection.cursor()
    driver.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            except OperationalError as error:
                if not is_contention(error) or time.monotonic() > until:
                    raise
                time.sleep(random.uniform(LOOK_AGAIN / 5, LOOK_AGAIN))
            else:
                return
    finally:
        driver.execute(_WAIT)
        driver.close()


@lru_cache(maxsize=4)
def _engine(url: str) -> Engine:
    return make_engine(url)


_chosen: list[Callable[[], Engine]] = []


def use_engine(of: Callable[[], Engine] | None) -> None:
    """Choose whose engine this process uses (tests keep one for all their databases); ``None``: the settings' own."""
    _chosen[:] = [of] if of else []


def engine() -> Engine:
    """The engine of this process."""
    return _chosen[0]() if _chosen else _engine(settings().database)


_open = threading.local()


@contextmanager
def transaction() -> Iterator[Tx]:
    """One transaction: commits when the block ends, rolls back when it raises. Never nested in a thread."""
    if getattr(_open, "tx", None) is not None:
        raise RuntimeError("a transaction inside a transaction: pass tx to the callee instead")
    with Tx(engine(), expire_on_commit=False) as tx:
        _open.tx = tx
        try:
            yield tx
            tx.commit()
        finally:
            _open.tx = None


@contextmanager
def reading() -> Iterator[Tx]:
    """A transaction that only looks: it never waits for SQLite's writer and is rolled back at the end."""
    if getattr(_open, "tx", None) is not None:
        raise RuntimeError("a transaction inside a transaction: pass tx to the callee instead")
    with engine().connect().execution_options(reading=True) as connection, Tx(connection) as tx:
        _open.tx = tx
        try:
            yield tx
        finally:
            _open.tx = None


def read_only(tx: Tx) -> bool:
    """Whether nothing can be written where this reads: a file or a folder that is not ours to write, a disk gone read-only, a
    PostgreSQL that stands by for another. Takes no lock."""
    if (file := settings().database_file) is not None:
        return not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK))
    asked = "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on'"
    return bool(tx.connection().exec_driver_sql(asked).scalar_one())


def is_contention(error: BaseException) -> bool:
    """Whether another transaction merely got there first: locked, deadlock, serialization."""
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None) or ""
    return state in {"40001", "40P01", "55P03"} or (
        isinstance(error, OperationalError) and "locked" in str(error.orig).lower()
    )


def in_transaction(work: Callable[[Tx], R]) -> R:
    """Run ``work`` in one transaction, again with jitter when it lost to another one."""
    for attempt in range(RETRIES):
        try:
            with transaction() as tx:
                return work(tx)
        except DBAPIError as error:
            if attempt == RETRIES - 1 or not is_contention(error):
                raise
            time.sleep(random.uniform(0, 0.02 * 2**attempt))
    raise AssertionError("unreachable")


def breathe() -> None:
    """Let others write, between two chunks of a long piece of work; on PostgreSQL nobody waits for it."""
    if engine().dialect.name == "sqlite":
        time.sleep(BREATH)


class Pace:
    """How much of a long piece of work goes into one transaction: as much as takes about :data:`CHUNK_SECONDS` here and now,
    and never less than ``least``: each transaction costs something of its own, however little is in it."""

    def __init__(self, least: int) -> None:
        self.size = self._least = least

    def chunk(self, work: Callable[[Tx, int], R]) -> R:
        """Do a chunk in a transaction of its own; the next is larger or smaller by how long it took, at most twofold."""
        began = 0.0

        def timed(tx: Tx) -> R:
            nonlocal began
            tx.connection()  # its turn has come: how long others let it wait says nothing about its size
            began = time.perf_counter()
            return work(tx, self.size)

        done = in_transaction(timed)
        self.after(time.perf_counter() - began)
        return done

    def after(self, seconds: float) -> None:
        fitting = int(self.size * min(max(CHUNK_SECONDS / max(seconds, 1e-6), 0.5), 2.0))
        self.size = max(self._least, fitting)


def dispose() -> None:
    """Close every pooled connection (before a fork, at the end of a test)."""
    if _chosen or _engine.cache_info().currsize:
        engine().dispose()
    _engine.cache_clear()
