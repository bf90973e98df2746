"""Somebody who has the database and nothing else: no key, no code, no command of ours."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from office.base import db


def write(statement: str, **values: object) -> None:
    with db.engine().begin() as connection:
        connection.execute(text(statement), values)


def read(statement: str, **values: object) -> list[Any]:
    with db.engine().connect() as connection:
        return list(connection.execute(text(statement), values).scalars())
