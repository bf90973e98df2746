"""Migrations: bring the database to the shape this version expects."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import migrations
from office.base.db import engine
from office.base.settings import settings

FOLDER = Path(migrations.__file__).parent


def config() -> Config:
    """Alembic's configuration, without a file: the database comes from our settings."""
    made = Config()
    made.set_main_option("script_location", str(FOLDER))
    return made


def upgrade() -> None:
    """Apply what is missing; does nothing when the database is up to date. A file of SQLite is its owner's alone."""
    if file := settings().database_file:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(mode=0o600)
    with engine().connect() as connection:
        made = config()
        made.attributes["connection"] = connection
        command.upgrade(made, "head")
        connection.commit()


def pending() -> bool:
    """Whether the database is behind this version."""
    head = ScriptDirectory.from_config(config()).get_current_head()
    with engine().connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() != head
