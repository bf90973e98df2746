"""The office that the previous version has left behind, laid out in an empty database: SQLite or PostgreSQL."""

from __future__ import annotations

import base64
import json
import lzma
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from alembic import command
from sqlalchemy import JSON, Boolean, Connection, Date, DateTime, LargeBinary, MetaData, Table, inspect, select, text

from office.base import db
from office.base.settings import settings
from ops import migrate

REVISION = "0001"
"""What its database was migrated to."""


@lru_cache(maxsize=1)
def kept() -> dict[str, Any]:
    """When it was left, the secrets of its staff, its rows and its files."""
    packed = Path(__file__).with_name("office.json.xz").read_bytes()
    found: dict[str, Any] = json.loads(lzma.decompress(packed))
    return found


def lay_out() -> None:
    """Tables as they were then, every row, and the files of the evidence."""
    for name, content in kept()["files"].items():
        file = settings().home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(content))
    with db.engine().connect() as connection:
        made = migrate.config()
        made.attributes["connection"] = connection
        command.upgrade(made, REVISION)
        connection.commit()
    with db.engine().begin() as connection:
        then = MetaData()
        then.reflect(connection)
        for table in then.sorted_tables:
            _fill(connection, table)


def _fill(connection: Connection, table: Table) -> None:
    rows = kept()["tables"][table.name]
    if not rows or table.name == "alembic_version":
        return
    connection.execute(table.insert(), [{name: _value(table, name, row[name]) for name in row} for row in rows])
    number = table.autoincrement_column
    if number is not None and connection.dialect.name == "postgresql":
        counter = f"pg_get_serial_sequence('\"{table.name}\"', '{number.name}')"
        connection.execute(text(f'SELECT setval({counter}, max("{number.name}")) FROM "{table.name}"'))


def _value(table: Table, column: str, value: Any) -> Any:
    """What SQLite keeps, as Python has it."""
    kind = table.columns[column].type
    if value is None:
        return None
    if isinstance(kind, JSON):
        return json.loads(value) if isinstance(value, str) else value  # SQLite keeps a number in it as a number
    if isinstance(kind, Boolean):
        return bool(value)
    if isinstance(kind, DateTime):
        at = datetime.fromisoformat(value)
        return at.replace(tzinfo=UTC) if kind.timezone else at
    if isinstance(kind, Date):
        return date.fromisoformat(value)
    if isinstance(kind, LargeBinary):
        return base64.b64decode(value["base64"])
    return value


def keys() -> dict[str, set[tuple[Any, ...]]]:
    """By table of the previous version: the primary keys of every row that is there now."""
    found = {}
    with db.engine().connect() as connection:
        there = inspect(connection)
        for name in set(kept()["tables"]) & set(there.get_table_names()):
            table = Table(name, MetaData(), autoload_with=connection)
            found[name] = {tuple(row) for row in connection.execute(select(*table.primary_key.columns))}
    return found
