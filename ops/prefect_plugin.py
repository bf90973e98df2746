"""What our stack adds to Prefect's server: no click on Resume is answered with an error, and its answers are signed.

On SQLite, Prefect opens its writing transactions as readers, and SQLite refuses at once to let a reader write when somebody else
wrote meanwhile: the server answers 503, clients try again two seconds later, and a browser shows the error. Begun as
writers, transactions wait for their turn, which takes milliseconds; one within another of the same request stays a reader.

An answer that came with a resume and one that somebody wrote over HTTP look alike in Prefect's database. Only a resume
writes a state and an answer in one transaction; what it writes is signed with a key that Prefect's API does not give
away, and ``flows.answers`` takes nothing else. ``tests/ops/test_prefect_plugin.py`` shows both.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID
from weakref import WeakSet

from prefect.plugins import register_hook
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import Engine

from office.record.witness import signature


@register_hook
def setup_environment(*, ctx: object) -> None:
    """Called by Prefect as it starts, where its plugins are enabled: in the server that ``dianwu`` starts."""
    event.listen(Engine, "before_cursor_execute", begin_as_writer, retval=True)
    event.listen(Engine, "before_cursor_execute", sign_answers, retval=True)
    for end in ("commit", "rollback"):
        event.listen(Engine, end, forget_states)


def begin_as_writer(
    connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
) -> tuple[str, Any]:
    """Take the write lock with the transaction that will need it. Prefect's reads are in no transaction.

    But for those that it begins while the same request is in one: what tells of a queue's new status reads beside the
    transaction that pauses the queue, and would wait for it for ever, and it for that.
    """
    request = _task()
    if statement != "BEGIN DEFERRED" or (request is not None and request in WRITING):
        return statement, parameters
    if request is not None:
        WRITING.add(request)
        connection.info[WRITER] = request
    return "BEGIN IMMEDIATE", parameters


WRITER = "dianwu_writer"
WRITING: WeakSet[asyncio.Task[Any]] = WeakSet()
"""The requests that hold the write lock."""


def _task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop: not the server
        return None


STATE_WRITTEN = "dianwu_state_written"
COLUMNS = re.compile(r"INSERT INTO flow_run_input \(([^)]*)\)", re.IGNORECASE)


def sign_answers(
    connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
) -> tuple[str, Any]:
    """Sign an answer that is written in the transaction of the state that a resume leaves, in the place of any other."""
    if statement.startswith("INSERT INTO flow_run_state "):
        connection.info[STATE_WRITTEN] = True
        return statement, parameters
    found = COLUMNS.match(statement)
    if found is None or many or not connection.info.get(STATE_WRITTEN):
        return statement, parameters
    names = [name.strip().strip('"') for name in found[1].split(",")]
    named = isinstance(parameters, Mapping)  # SQLite's driver takes names, PostgreSQL's takes the order of the columns
    values = dict(parameters) if named else dict(zip(names, parameters, strict=True))
    run_id = str(UUID(str(values["flow_run_id"])))
    # What somebody put there beforehand would have the person's answer refused as a second one.
    same = {"run": run_id, "key": values["key"]}  # as text: PostgreSQL compares no identifier with one
    connection.execute(
        text("DELETE FROM flow_run_input WHERE key = :key AND CAST(flow_run_id AS VARCHAR(36)) = :run"), same
    )
    values["sender"] = signature(run_id, values["key"], values["value"])
    return statement, values if named else tuple(values[name] for name in names)


def forget_states(connection: Connection) -> None:
    """The transaction is over: what is written next is another request's."""
    connection.info.pop(STATE_WRITTEN, None)
    if (request := connection.info.pop(WRITER, None)) is not None:
        WRITING.discard(request)
