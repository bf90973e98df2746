"""Alembic's entry: our tables, our connection."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

import models
from models.base import Word
from office.base.db import engine

models.all_tables()


def render_item(kind: str, item: object, autogen_context: object) -> str | bool:
    """Write columns in plain SQLAlchemy words, so that an old migration never depends on today's classes."""
    if kind == "type" and isinstance(item, Word):
        return "sa.String(32)"
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.String({item.length or ''})"
    return False


def run(connection: object) -> None:
    context.configure(
        connection=connection,  # type: ignore[arg-type]
        target_metadata=SQLModel.metadata,
        compare_type=False,
        render_item=render_item,
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with engine().connect() as connection:
        run(connection)
        connection.commit()
