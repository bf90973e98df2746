"""A database as a migration finds it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from office.base import db
from office.base.settings import settings
from tests.furniture import POSTGRES, SCHEMA, in_schema


@pytest.fixture
def empty(_home: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A database without any table: a file of the test's own, or a schema of its own in the PostgreSQL one."""
    if not POSTGRES:
        yield
        return
    schema = f"{SCHEMA}_empty"
    monkeypatch.setenv("DIANWU_DATABASE_URL", in_schema(schema))
    settings.cache_clear()
    with db.engine().begin() as connection:
        connection.execute(text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    yield
    with db.engine().begin() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
