"""Bulk: a chunk of rows handed to the database as one JSON value, so that one statement works on all of them.

The same SQL runs on SQLite and PostgreSQL, whatever the driver costs per row; a chunk is one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import TextClause, bindparam, text

from models.base import UTCDateTime
from office.base.db import Tx

CHUNK = 2_000
"""Rows in one transaction: short enough that other writers get their turn, long enough to be fast."""

_TYPES = {str: "text", int: "bigint", bool: "boolean", datetime: "timestamptz"}


def sql(words: str, **moments: datetime | None) -> TextClause:
    """A statement whose parameters named in ``moments`` are times, bound as the columns store them."""
    return text(words).bindparams(*(bindparam(name, at, type_=UTCDateTime()) for name, at in moments.items()))


def rows(tx: Tx, name: str, columns: Mapping[str, type]) -> str:
    """A FROM item ``r`` over the JSON array bound as ``:name``, with the given columns (SQLite asks for no types)."""
    if tx.postgres:
        shape = ", ".join(f"{column} {_TYPES[kind]}" for column, kind in columns.items())
        return f"json_to_recordset(CAST(:{name} AS json)) AS r({shape})"
    picked = ", ".join(f"json_extract(value, '$.{column}') AS {column}" for column in columns)
    return f"(SELECT {picked} FROM json_each(:{name})) AS r"  # noqa: S608  (columns are ours, never anybody's text)


def ids(tx: Tx) -> str:
    """A subquery of the ids in the JSON array bound as ``:ids``."""
    return f"SELECT r.id FROM {rows(tx, 'ids', {'id': str})}"  # noqa: S608


def packed(tx: Tx, given: Sequence[Mapping[str, Any]]) -> str:
    """The JSON array to bind for :func:`rows`. Times come out as the database stores them."""

    def plain(value: Any) -> Any:
        if isinstance(value, datetime):
            return stored(tx, value)
        raise TypeError(f"{type(value).__name__} in a bulk row")

    return json.dumps(given, ensure_ascii=False, default=plain)


def stored(tx: Tx, at: datetime) -> str:
    """A time as the database stores it."""
    utc = at.astimezone(UTC)
    return utc.isoformat() if tx.postgres else f"{utc:%Y-%m-%d %H:%M:%S}.{utc.microsecond:06d}"


def empty_list(tx: Tx) -> str:
    """An empty JSON list, as SQL."""
    return "CAST('[]' AS json)" if tx.postgres else "'[]'"


def insert(tx: Tx, table: str, columns: Mapping[str, type], given: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; a column that is a ``list`` holds JSON and is empty.

    PostgreSQL takes them as one value in one statement; SQLite, which nothing lies between, row by row: it reads a value
    from a tuple several times faster than from JSON.
    """
    names = ", ".join(columns)
    if tx.postgres:
        shape = {name: kind for name, kind in columns.items() if kind is not list}
        values = ", ".join(empty_list(tx) if kind is list else f"r.{name}" for name, kind in columns.items())
        words = f"INSERT INTO {table} ({names}) SELECT {values} FROM {rows(tx, 'given', shape)}"  # noqa: S608
        tx.execute(text(words), {"given": packed(tx, given)})
    elif given:
        marks = ", ".join(empty_list(tx) if kind is list else "?" for kind in columns.values())
        _each(tx, f"INSERT INTO {table} ({names}) VALUES ({marks})", columns, given)  # noqa: S608


def update(tx: Tx, table: str, columns: Mapping[str, type], given: Sequence[Mapping[str, Any]]) -> None:
    """Set the columns of the rows that the first of them, the key, names."""
    key, *others = columns
    if tx.postgres:
        changes = ", ".join(f"{name} = r.{name}" for name in others)
        source = f"FROM {rows(tx, 'given', columns)} WHERE {table}.{key} = r.{key}"
        tx.execute(text(f"UPDATE {table} SET {changes} {source}"), {"given": packed(tx, given)})  # noqa: S608
    elif given:
        changes = ", ".join(f"{name} = ?" for name in others)
        shape = {name: columns[name] for name in (*others, key)}
        _each(tx, f"UPDATE {table} SET {changes} WHERE {key} = ?", shape, given)  # noqa: S608


def _each(tx: Tx, words: str, columns: Mapping[str, type], given: Sequence[Mapping[str, Any]]) -> None:
    picked = [name for name, kind in columns.items() if kind is not list]
    times = [place for place, name in enumerate(picked) if columns[name] is datetime]
    values = [[row[name] for name in picked] for row in given]

    @cache  # most rows of a chunk have the same few
    def plain(at: datetime | None) -> str | None:
        return stored(tx, at) if at else None

    for row in values:
        for place in times:
            row[place] = plain(row[place])
    tx.connection().exec_driver_sql(words, [tuple(row) for row in values])
