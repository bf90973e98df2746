"""Databases for tests: one engine per process, and offices that are copied instead of furnished again.

SQLAlchemy keeps what it has compiled with its engine, so a test process keeps one; a connection leads to the database
that the settings name at the moment it is taken. A furnished office is made once, by the real thing, and copied after.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event, make_url, text
from sqlalchemy.exc import DisconnectionError
from sqlmodel import SQLModel

import models
from office.base import db
from office.base.settings import settings
from tasks.processes import open_office

POSTGRES = os.environ.get("DIANWU_TEST_POSTGRES", "")
"""Address of a PostgreSQL database the tests may empty; without it they run on SQLite."""
SCHEMA = f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"


def in_schema(name: str) -> str:
    """The address of a schema of the PostgreSQL database."""
    return f"{POSTGRES}?options=-csearch_path%3D{name}"


@lru_cache(maxsize=2)
def _engine(sqlite: bool) -> Engine:
    engine = db.make_engine("sqlite:///test.db" if sqlite else POSTGRES)

    @event.listens_for(engine, "do_connect")
    def _lead_to_the_database_of_the_settings(_: Any, record: Any, given: list[Any], named: dict[str, Any]) -> None:
        record.info["database"] = settings().database
        url = make_url(settings().database)
        if sqlite:
            given[:] = [url.database]
        else:
            named |= url.query

    @event.listens_for(engine, "checkout")
    def _is_it_still_that_one(_connection: Any, record: Any, _proxy: Any) -> None:
        if record.info["database"] != settings().database:
            raise DisconnectionError("the settings name another database by now")

    @event.listens_for(engine, "commit")
    def _count(_connection: Any) -> None:
        COMMITS[0] += 1

    return engine


COMMITS = [0]
"""How often this process has changed a database."""


def files() -> list[tuple[str, int, int]]:
    """What lies beside the database in the office's folder, and since when."""
    found = [file for file in settings().home.rglob("*") if not file.name.startswith("dianwu.db") and file.is_file()]
    return sorted((str(file), (told := file.stat()).st_mtime_ns, told.st_size) for file in found)


def kept_engine() -> Engine:
    """The one engine of this process for the kind of database that the settings name."""
    return _engine(_on_sqlite())


def close() -> None:
    """Close what is open to the file of the test before; no settings are read for it, as most tests need none."""
    if _engine.cache_info().currsize:
        _engine(True).dispose()


def _on_sqlite() -> bool:
    return settings().database.startswith("sqlite")


class Storeroom:
    """Databases as they once were, to be laid out again: files, or on PostgreSQL schemas beside the test's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._scripts: dict[str, str] = {}

    def empty(self) -> None:
        """A database with every table and nothing in it."""
        models.all_tables()
        open_office()
        if "empty" not in self:
            make_tables()
            self.keep("empty")
        self.lay_out("empty")

    def __contains__(self, name: str) -> bool:
        return self._named(name) in self._scripts

    def keep(self, name: str) -> bool:
        """Keep database and files as they are now; not while somebody has the database open."""
        keep = self._keep_file if _on_sqlite() else self._keep_rows
        if (script := keep(self._named(name))) is None:
            return False
        self._scripts[self._named(name)] = script
        if files():
            shutil.copytree(settings().home, self._beside(name), ignore=shutil.ignore_patterns("dianwu.db*"))
        return True

    def forget(self, name: str) -> None:
        """Keep it no longer."""
        script = self._scripts.pop(self._named(name))
        shutil.rmtree(self._beside(name), ignore_errors=True)
        if _on_sqlite():
            Path(script).unlink()

    def _beside(self, name: str) -> Path:
        return self._folder / f"{self._named(name)}.files"

    def lay_out(self, name: str) -> None:
        """Make database and files what they were then."""
        kept = self._scripts[self._named(name)]
        if (beside := self._beside(name)).exists():
            shutil.copytree(beside, settings().home, dirs_exist_ok=True)
        if _on_sqlite():
            db.dispose()
            for left in settings().home.glob("dianwu.db*"):  # whoever holds it open keeps the old one
                left.unlink()
            shutil.copyfile(kept, settings().home / "dianwu.db")
        else:
            with db.engine().connect().execution_options(no_parameters=True) as connection, connection.begin():
                connection.exec_driver_sql(kept)

    def _named(self, name: str) -> str:
        kind = "sqlite" if _on_sqlite() else "postgres"
        return f"{name}_{kind}_{len(SQLModel.metadata.tables)}"  # a test that declares more tables has its own

    def _keep_file(self, name: str) -> str | None:
        db.dispose()  # the last connection gone, everything is in the one file
        if (settings().home / "dianwu.db-wal").exists():
            return None
        kept = self._folder / f"{name}.db"
        shutil.copyfile(settings().home / "dianwu.db", kept)
        return str(kept)

    def _keep_rows(self, name: str) -> str:
        """What empties the test's schema and fills it from one kept beside it."""
        kept = f"{SCHEMA}_{name}"
        tables = SQLModel.metadata.sorted_tables
        script = [f"DELETE FROM {_quoted(table.name)}" for table in reversed(tables)]  # four times as quick as TRUNCATE
        with db.engine().begin() as connection:
            connection.execute(text(f"DROP SCHEMA IF EXISTS {kept} CASCADE"))
            connection.execute(text(f"CREATE SCHEMA {kept}"))
            for table in tables:
                named, numbered = _quoted(table.name), table.autoincrement_column
                if numbered is not None:
                    counter = f"pg_get_serial_sequence('{named}', '{numbered.name}')"
                    last = connection.execute(text(f"SELECT max({_quoted(numbered.name)}) FROM {named}")).scalar()
                    script.append(f"SELECT setval({counter}, {last or 1}, {bool(last)})")
                if connection.execute(text(f"SELECT 1 FROM {named} LIMIT 1")).first() is not None:
                    every = ", ".join(
                        _quoted(column.name) for column in table.columns
                    )  # whose order a migration changes
                    connection.execute(text(f"CREATE TABLE {kept}.{named} AS SELECT * FROM {named}"))
                    script.append(f"INSERT INTO {named} ({every}) SELECT {every} FROM {kept}.{named}")
        return "; ".join(script)


def _quoted(name: str) -> str:
    return f'"{name}"'


def make_tables() -> None:
    """Every table, in a database that has none."""
    if not _on_sqlite():
        with db.engine().begin() as connection:
            connection.execute(text(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))
            connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
    for module in pkgutil.iter_modules(models.__path__):  # also those that no test of this process has met
        importlib.import_module(f"models.{module.name}")
    SQLModel.metadata.create_all(db.engine())
