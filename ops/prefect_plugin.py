"""What Prefect's server needs on SQLite so that nobody's click on Resume is answered with an error.

Prefect opens its writing transactions as readers, and SQLite refuses at once to let a reader write when somebody else
wrote meanwhile: the server answers 503, clients try again two seconds later, and a browser shows the error. Begun as
writers, transactions wait for their turn, which takes milliseconds. ``tests/ops/test_prefect_plugin.py`` shows it.
"""

from __future__ import annotations

from typing import Any

from prefect.plugins import register_hook
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine


@register_hook
def setup_environment(*, ctx: object) -> None:
    """Called by Prefect as it starts, where its plugins are enabled: in the server that ``dianwu`` starts."""
    event.listen(Engine, "before_cursor_execute", begin_as_writer, retval=True)


def begin_as_writer(
    connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
) -> tuple[str, Any]:
    """Take the write lock with the transaction that will need it. Prefect's reads are in no transaction."""
    return ("BEGIN IMMEDIATE" if statement == "BEGIN DEFERRED" else statement), parameters
