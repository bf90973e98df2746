"""Somebody who has the database and nothing else: no key, no code, no command of ours; and what is said to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event, text

from office.base import db


def write(statement: str, **values: object) -> None:
    with db.engine().begin() as connection:
        connection.execute(text(statement), values)


def read(statement: str, **values: object) -> list[Any]:
    with db.engine().connect() as connection:
        return list(connection.execute(text(statement), values).scalars())


@contextmanager
def said() -> Iterator[list[str]]:
    """Every statement said to the database meanwhile, in order."""
    heard: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        heard.append(" ".join(statement.split()))

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        event.remove(Engine, "before_cursor_execute", hear)
