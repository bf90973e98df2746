"""Prefect's own database layer on SQLite: two who write at the same time, without our plugin and with it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy import event, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from ops import prefect_plugin


@pytest.fixture
def plugin() -> Iterator[None]:
    prefect_plugin.setup_environment(ctx=None)
    yield
    event.remove(Engine, "before_cursor_execute", prefect_plugin.begin_as_writer)


async def two_at_once(file: Path) -> int:
    """One reads and then writes, as Prefect's resume does, while another writes; how many writes are there after."""
    configuration = AioSqliteConfiguration(connection_url=f"sqlite+aiosqlite:///{file}")
    engine = await configuration.engine()
    one_has_read = asyncio.Event()

    async def write(wait_for_other: bool) -> None:
        async with await configuration.session(engine) as session, configuration.begin_transaction(session):
            await session.execute(text("SELECT count(*) FROM written"))
            if wait_for_other:
                one_has_read.set()
                await asyncio.sleep(0.05)  # the other commits now, if nothing makes it wait
            await session.execute(text("INSERT INTO written VALUES (1)"))

    async def other() -> None:
        await one_has_read.wait()
        await write(wait_for_other=False)

    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE written (n INTEGER)"))
    await asyncio.gather(write(wait_for_other=True), other())
    async with engine.connect() as connection:
        count = (await connection.execute(text("SELECT count(*) FROM written"))).scalar_one()
    await engine.dispose()
    return int(count)


def test_as_prefect_comes_one_of_two_writers_is_turned_away(tmp_path: Path) -> None:
    with pytest.raises(OperationalError, match="database is locked"):
        asyncio.run(two_at_once(tmp_path / "prefect.db"))


def test_with_the_plugin_both_have_their_turn(tmp_path: Path, plugin: None) -> None:
    assert asyncio.run(two_at_once(tmp_path / "prefect.db")) == 2


def test_prefect_finds_the_plugin_under_the_name_that_the_stack_allows() -> None:
    (found,) = [each for each in entry_points(group="prefect.plugins") if each.name == "dianwu"]
    assert found.load() is prefect_plugin
