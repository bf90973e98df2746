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


def packed(tx: Tx, given: Sequence[Mapping[str, Any]]) -> str:
    """The JSON array to bind for :func:`rows`. Times come out as the database stores them."""

    @cache  # most rows of a chunk have the same few
    def plain(value: Any) -> Any:
        if isinstance(value, datetime):
            utc = value.astimezone(UTC)
            return utc.isoformat() if tx.postgres else utc.strftime("%Y-%m-%d %H:%M:%S.%f")
        raise TypeError(f"{type(value).__name__} in a bulk row")

    return json.dumps(given, ensure_ascii=False, default=plain)


def empty_list(tx: Tx) -> str:
    """An empty JSON list, as SQL."""
    return "CAST('[]' AS json)" if tx.postgres else "'[]'"


def insert(tx: Tx, table: str, columns: Mapping[str, type], given: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows in one statement; a column that is a ``list`` holds JSON and is empty."""
    shape = {name: kind for name, kind in columns.items() if kind is not list}
    values = ", ".join(empty_list(tx) if kind is list else f"r.{name}" for name, kind in columns.items())
    tx.execute(text(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {rows(tx, 'given', shape)}"),  # noqa: S608
               {"given": packed(tx, given)})  # fmt: skip
