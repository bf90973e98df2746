"""Prefect's own database layer on SQLite: two who write at the same time, without our plugin and with it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from uuid import uuid4

import pytest
from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy import event, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from office.record.witness import signature
from ops import prefect_plugin


@pytest.fixture
def plugin() -> Iterator[None]:
    prefect_plugin.setup_environment(ctx=None)
    yield
    event.remove(Engine, "before_cursor_execute", prefect_plugin.begin_as_writer)
    event.remove(Engine, "before_cursor_execute", prefect_plugin.sign_answers)
    for end in ("commit", "rollback"):
        event.remove(Engine, end, prefect_plugin.forget_states)


async def two_at_once(file: Path, patience: float) -> int:
    """One reads and then writes, as Prefect's resume does, while another writes; how many writes are there after.

    The one gives the other so many seconds to come between.
    """
    configuration = AioSqliteConfiguration(connection_url=f"sqlite+aiosqlite:///{file}")
    engine = await configuration.engine()
    one_has_read, other_has_written = asyncio.Event(), asyncio.Event()

    async def write(wait_for_other: bool) -> None:
        async with await configuration.session(engine) as session, configuration.begin_transaction(session):
            await session.execute(text("SELECT count(*) FROM written"))
            if wait_for_other:
                one_has_read.set()
                with suppress(TimeoutError):
                    await asyncio.wait_for(other_has_written.wait(), patience)
            await session.execute(text("INSERT INTO written VALUES (1)"))

    async def other() -> None:
        await one_has_read.wait()
        await write(wait_for_other=False)
        other_has_written.set()

    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE written (n INTEGER)"))
    await asyncio.gather(write(wait_for_other=True), other())
    async with engine.connect() as connection:
        count = (await connection.execute(text("SELECT count(*) FROM written"))).scalar_one()
    await engine.dispose()
    return int(count)


def test_as_prefect_comes_one_of_two_writers_is_turned_away(tmp_path: Path) -> None:
    with pytest.raises(OperationalError, match="database is locked"):
        asyncio.run(two_at_once(tmp_path / "prefect.db", patience=60))


def test_with_the_plugin_both_have_their_turn(tmp_path: Path, plugin: None) -> None:
    assert asyncio.run(two_at_once(tmp_path / "prefect.db", patience=0.05)) == 2


async def one_reads_within_its_own(file: Path) -> tuple[int, int]:
    """A request that has written reads in a session of its own, as what tells of a queue's status does; then writes again."""
    configuration = AioSqliteConfiguration(connection_url=f"sqlite+aiosqlite:///{file}", timeout=1)
    engine = await configuration.engine()
    async with engine.begin() as connection:
        await connection.execute(text("PRAGMA journal_mode = WAL"))
        await connection.execute(text("CREATE TABLE written (n INTEGER)"))
    for _ in range(2):
        async with await configuration.session(engine) as outer, configuration.begin_transaction(outer):
            await outer.execute(text("INSERT INTO written VALUES (1)"))
            async with await configuration.session(engine) as inner:
                seen = (await inner.execute(text("SELECT count(*) FROM written"))).scalar_one()
            await outer.execute(text("INSERT INTO written VALUES (1)"))
    async with engine.connect() as connection:
        count = (await connection.execute(text("SELECT count(*) FROM written"))).scalar_one()
    await engine.dispose()
    return int(seen), int(count)


def test_a_request_that_reads_beside_its_own_transaction_does_not_wait_for_itself(tmp_path: Path, plugin: None) -> None:
    assert asyncio.run(one_reads_within_its_own(tmp_path / "prefect.db")) == (2, 4)


RUN = uuid4()
ANSWER = text(
    "INSERT INTO flow_run_input (flow_run_id, key, value, sender) VALUES (:flow_run_id, :key, :value, :sender)"
)


async def written(file: Path, *transactions: tuple[str, ...], one_key: bool = False) -> list[str | None]:
    """Who signed each answer, when these are written in so many transactions: a state, an answer, or something that fails."""
    configuration = AioSqliteConfiguration(connection_url=f"sqlite+aiosqlite:///{file}")
    engine = await configuration.engine()
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE flow_run_state (n INTEGER)"))
        await connection.execute(text("CREATE TABLE flow_run_input (flow_run_id, key UNIQUE, value, sender)"))
    for number, acts in enumerate(transactions):
        with suppress(OperationalError):
            async with await configuration.session(engine) as session, configuration.begin_transaction(session):
                for act in acts:
                    key = "k-response" if one_key else f"k{number}-response"
                    given = {"flow_run_id": str(RUN), "key": key, "value": "{}", "sender": "somebody"}
                    statement = {
                        "state": text("INSERT INTO flow_run_state (n) VALUES (1)"),
                        "answer": ANSWER,
                        "fault": text("SELECT * FROM nothing"),
                    }[act]
                    await session.execute(statement, given if act == "answer" else {})
    async with engine.connect() as connection:
        senders = (await connection.execute(text("SELECT sender FROM flow_run_input ORDER BY key"))).scalars().all()
    await engine.dispose()
    return list(senders)


def test_only_an_answer_written_with_a_resumes_state_is_signed(tmp_path: Path, plugin: None) -> None:
    signed = signature(str(RUN), "k0-response", "{}")
    found = asyncio.run(written(tmp_path / "prefect.db", ("state", "answer"), ("answer",)))
    assert found == [signed, "somebody"] and signed


def test_an_answer_that_somebody_put_there_beforehand_makes_room_for_the_persons(tmp_path: Path, plugin: None) -> None:
    """Without the plugin, Prefect refuses the person's answer as a second one of the same key."""
    found = asyncio.run(written(tmp_path / "prefect.db", ("answer",), ("state", "answer"), one_key=True))
    assert found == [signature(str(RUN), "k-response", "{}")]


def test_a_state_of_a_transaction_that_came_to_nothing_signs_no_later_answer(tmp_path: Path, plugin: None) -> None:
    found = asyncio.run(written(tmp_path / "prefect.db", ("state", "fault"), ("answer",), ("state",), ("answer",)))
    assert found == ["somebody", "somebody"]


def test_prefect_finds_the_plugin_under_the_name_that_the_stack_allows() -> None:
    (found,) = [each for each in entry_points(group="prefect.plugins") if each.name == "dianwu"]
    assert found.load() is prefect_plugin
