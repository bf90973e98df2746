"""The migrations bring an empty database to exactly the tables that this version's models declare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, Connection, inspect
from sqlmodel import SQLModel

from office.base import db
from ops import migrate

pytestmark = pytest.mark.both


def test_the_migrations_make_exactly_the_tables_that_the_models_declare(empty: None) -> None:
    assert migrate.pending()
    migrate.upgrade()
    assert not migrate.pending()
    with db.engine().connect() as connection:
        seen = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(seen, SQLModel.metadata) == []
        made = {name: {check["name"] for check in checks} for name, checks in checks_of(connection)}
    assert made == {
        table.name: {str(rule.name) for rule in table.constraints if isinstance(rule, CheckConstraint)}
        for table in SQLModel.metadata.tables.values()
    }


def checks_of(connection: Connection) -> Iterator[tuple[str, list[Any]]]:
    """The CHECKs of every table of ours, which the comparison above does not look at."""
    looking = inspect(connection)
    for name in SQLModel.metadata.tables:
        yield name, list(looking.get_check_constraints(name))


def test_migrating_again_changes_nothing(empty: None) -> None:
    migrate.upgrade()
    migrate.upgrade()
    assert not migrate.pending()
