"""Ten thousand waiting cases out of one: every row that carries it, in our database and in Prefect's, copied.

The one case is a real one, brought to its form through the door and a real run. Each copy gets ids of its own in
every row, text and JSON value, so that keys, indexes and sizes are those of so many real cases; only the digests of
the audit chains are not theirs.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from typing import Any, Protocol
from uuid import UUID, uuid4

IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
AT_ONCE = 500
SHARED = {"artifact", "artifact_collection", "installation"}
"""Tables of which a row may name a case without being its own: the board, the sweep's bookmark."""

Row = dict[str, Any]


class Store(Protocol):
    """What a copy needs of a database; rows are dictionaries of what JSON can hold."""

    def tables(self) -> list[str]: ...
    def rows(self, table: str) -> Iterator[Row]: ...
    def write(self, table: str, rows: list[Row]) -> None: ...
    def close(self) -> None: ...


class SqliteStore:
    def __init__(self, file: str) -> None:
        self._connection = sqlite3.connect(file, timeout=60)
        self._connection.row_factory = sqlite3.Row

    def tables(self) -> list[str]:
        found = self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return [row[0] for row in found if not row[0].startswith("sqlite_")]

    def rows(self, table: str) -> Iterator[Row]:
        yield from (dict(row) for row in self._connection.execute(f'SELECT * FROM "{table}"'))

    def write(self, table: str, rows: list[Row]) -> None:
        columns = ", ".join(f'"{name}"' for name in rows[0])
        marks = ", ".join("?" for _ in rows[0])
        with self._connection:
            values = [tuple(row.values()) for row in rows]
            self._connection.executemany(f'INSERT INTO "{table}" ({columns}) VALUES ({marks})', values)

    def close(self) -> None:
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()


class PostgresStore:
    def __init__(self, address: str) -> None:
        import psycopg

        self._connection = psycopg.connect(address, autocommit=True)
        self._connection.execute("SET session_replication_role = replica")  # rows refer to one another in circles

    def tables(self) -> list[str]:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        return [row[0] for row in self._connection.execute(query)]

    def rows(self, table: str) -> Iterator[Row]:
        yield from (row[0] for row in self._connection.execute(f'SELECT row_to_json(whole) FROM "{table}" whole'))

    def write(self, table: str, rows: list[Row]) -> None:
        query = f'INSERT INTO "{table}" SELECT * FROM json_populate_recordset(NULL::"{table}", %s::json)'
        self._connection.execute(query, (json.dumps(rows),))

    def close(self) -> None:
        tables = [table for table in self.tables() if self._counts(table)]
        for table in tables:
            query = f"""SELECT setval(pg_get_serial_sequence('"{table}"', 'id'), (SELECT max(id) FROM "{table}"))"""
            self._connection.execute(query)
        self._connection.execute("CHECKPOINT")
        self._connection.close()

    def _counts(self, table: str) -> bool:
        query = (
            "SELECT 1 FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s "
            "AND column_name = 'id' AND (column_default LIKE 'nextval%%' OR is_identity = 'YES')"
        )
        return self._connection.execute(query, (table,)).fetchone() is not None


def open_store(address: str) -> Store:
    return PostgresStore(address) if address.startswith("postgresql") else SqliteStore(address)


class Copier:
    """Copies one case. ``names`` are its ids that are no UUIDs: case, review, message."""

    def __init__(self, names: list[str], run_id: str) -> None:
        self._names = names
        self._run_id = run_id
        self._runs: list[str] = []

    def copy(self, store: Store, count: int) -> int:
        """Write so many copies of every row that carries one of the ids; returns rows per case."""
        carrying: dict[str, list[Row]] = {}
        numbers: dict[str, int] = {}
        for table in sorted(set(store.tables()) - SHARED):
            everything = list(store.rows(table))
            found = [row for row in everything if self._carries(json.dumps(row, default=str))]
            if found:
                carrying[table] = found
                numbers[table] = max((row["id"] for row in everything if isinstance(row.get("id"), int)), default=0)
        own = {str(row["id"]) for rows in carrying.values() for row in rows if IDS.fullmatch(str(row.get("id", "")))}
        for start in range(0, count, AT_ONCE):
            span = range(start, min(start + AT_ONCE, count))
            maps = [self._map(number, own) for number in span]
            for table, rows in carrying.items():
                made = []
                for new in maps:
                    for row in rows:
                        copy = json.loads(_replace(json.dumps(row), new))
                        if isinstance(row.get("id"), int):
                            numbers[table] += 1
                            copy["id"] = numbers[table]
                        made.append(copy)
                store.write(table, made)
        return sum(map(len, carrying.values()))

    def _carries(self, text: str) -> bool:
        return any(name in text for name in (*self._names, self._run_id))

    def _map(self, number: int, own: set[str]) -> dict[str, str]:
        """Old id → new id of one copy. The run's is remembered, so that both databases name the same one."""
        while len(self._runs) <= number:
            self._runs.append(str(uuid4()))
        fresh = {old: str(UUID(int=uuid4().int)) for old in own} | {self._run_id: self._runs[number]}
        for name in self._names:
            fresh[name] = f"{name[:-5]}{number + 1:05}"
            fresh[name.lower()] = fresh[name].lower()
        return fresh


def _replace(text: str, new: dict[str, str]) -> str:
    for old, fresh in new.items():
        text = text.replace(old, fresh)
    return text
