"""What the benchmarks by size share: a process for each size and database, a table, the floor, and another writer beside."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Rows = tuple[tuple[str, Callable[[dict[str, Any]], str]], ...]
"""What a row is called, and its cell for the figures of one size."""


def main(
    doc: str | None,
    module: str,
    sizes: list[int],
    run: Callable[[str, int, Path], dict[str, Any]],
    table: Callable[[list[dict[str, Any]]], str],
) -> None:
    """Run each size in a process of its own, on SQLite and, where one is given, PostgreSQL; print the table."""
    options = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--shops", type=int, action="append", help="size; may be given several times")
    options.add_argument("--postgres", default="", help="address of a PostgreSQL database that may be written to")
    options.add_argument("--cluster", action="store_true", help="start a PostgreSQL for it, as the tests do")
    options.add_argument("--folder", default="", help="where the SQLite files go; a temporary folder by default")
    options.add_argument("--json", action="store_true", help="print the figures as JSON")
    options.add_argument("--child", default="", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.child:
        print(json.dumps(run(given.child, given.shops[0], Path(given.folder))))
        return
    with cluster() if given.cluster else contextlib.nullcontext(given.postgres) as postgres:
        figures = []
        for address in ("sqlite", *([postgres] if postgres else [])):
            for shops in given.shops or sizes:
                with tempfile.TemporaryDirectory(dir=given.folder or None) as folder:
                    command = [sys.executable, "-m", module, "--child", address, "--shops", str(shops)]
                    done = subprocess.run([*command, "--folder", folder], check=True, stdout=subprocess.PIPE, text=True)
                    figures.append(json.loads(done.stdout.splitlines()[-1]))
    print(json.dumps(figures, indent=2) if given.json else table(figures))


def cluster() -> contextlib.AbstractContextManager[str]:
    from tests.postgres import binaries, cluster

    folder = binaries()
    return cluster(folder) if folder else contextlib.nullcontext("")


def table_of(title: str, rows: Rows, figures: list[dict[str, Any]]) -> str:
    """One table, a column for each database and size."""
    lines = [f"| {title} | " + " | ".join(f"{f['database']} {f['shops']:,}" for f in figures) + " |"]
    lines.append("|---|" + "---:|" * len(figures))
    lines += [f"| {name} | " + " | ".join(words(f) for f in figures) + " |" for name, words in rows]
    return "\n".join(lines)


def environment(address: str, folder: Path, name: str) -> str:
    """Settings of an installation of its own for what is measured; returns the address of the database of the floor."""
    from cryptography.fernet import Fernet

    postgres = address != "sqlite"
    os.environ |= {
        "DIANWU_HOME": str(folder),
        "DIANWU_CONFIG": str(folder / "none.toml"),
        "DIANWU_AUDIT_KEY": "bench",
        "DIANWU_ENCRYPTION_KEYS": json.dumps([Fernet.generate_key().decode()]),
        "DIANWU_DATABASE_URL": schema(address, f"bench_{name}") if postgres else f"sqlite:///{folder / f'{name}.db'}",
    }
    return schema(address, "bench_floor") if postgres else f"sqlite:///{folder / 'floor.db'}"


def schema(address: str, name: str) -> str:
    """A PostgreSQL schema of our own, emptied."""
    from sqlalchemy import create_engine, text

    engine = create_engine(address)
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA IF EXISTS {name} CASCADE"))
        connection.execute(text(f"CREATE SCHEMA {name}"))
    engine.dispose()
    return f"{address}?options=-csearch_path%3D{name}"


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Watch:
    """Seconds that passed, and seconds of this process's own CPU, which others on the machine disturb less."""

    def __init__(self) -> None:
        self.wall, self.cpu = 0.0, 0.0

    def __enter__(self) -> Watch:
        self._began = time.perf_counter(), time.thread_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter() - self._began[0]
        self.cpu += time.thread_time() - self._began[1]


def floor(url: str, tables: dict[str, str], *parents: str) -> tuple[Watch, int]:
    """Write the rows that the run wrote, with the driver's own executemany; what that alone took, and how many.

    ``tables``: table → which of its rows. ``parents`` are copied first and cost nothing.
    """
    from sqlmodel import SQLModel

    from office.base import db
    from tasks.invoicing import drafts

    target, source = db.make_engine(url), db.engine()
    SQLModel.metadata.create_all(target)
    mark = "%s" if target.dialect.name == "postgresql" else "?"
    watch, rows = Watch(), 0
    for name in (*parents, *tables):
        columns = [column.name for column in SQLModel.metadata.tables[name].columns]
        listed = ", ".join(columns)
        statement = f"INSERT INTO {name} ({listed}) VALUES ({', '.join(mark for _ in columns)})"
        order = SQLModel.metadata.tables[name].primary_key.columns.keys()[0]
        with source.connect().execution_options(stream_results=True, reading=True) as reader:
            plain = {"outbox": "'[]'", "shop": "'[]'"}.get(name)
            picked = ", ".join(
                plain if plain and c in {"reached", "categories", "capabilities"} else c for c in columns
            )
            found = reader.exec_driver_sql(f"SELECT {picked} FROM {name} {tables.get(name, '')} ORDER BY {order}")
            size = drafts.CHUNK * 3 if name in {"statement_line", "outbox"} else drafts.CHUNK
            while batch := [tuple(row) for row in found.fetchmany(size)]:
                with watch if name in tables else contextlib.nullcontext(), target.begin() as connection:
                    connection.connection.cursor().executemany(statement, batch)
                rows += len(batch) if name in tables else 0
    target.dispose()
    return watch, rows


class Others:
    """Another writer beside the run: how long each of its small transactions takes, in milliseconds."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def _write(self) -> None:
        from office.base import db
        from office.record import audit

        while not self._stop.wait(0.2):
            began = time.perf_counter()
            db.in_transaction(lambda tx: audit.record(tx, "system", "bench.beside"))
            self.waits.append((time.perf_counter() - began) * 1000)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def p95(self) -> float:
        ordered = sorted(self.waits)
        return ordered[int(len(ordered) * 0.95)] if ordered else 0.0
