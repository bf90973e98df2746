"""Kill −9 whatever runs, at every step of both stories: each effect once, no message lost, the case finished."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import pytest
from sqlmodel import select

from models.books import AccountKind
from models.cases import Effect
from models.messages import Channel, OutboxMessage, OutboxState
from ops.rehearsal import Rehearsal
from ops.scenes.closing import ClosureScene, RefundScene
from ops.scenes.stage import balance
from ops.stack import Stack
from tasks import audit, ledger
from tasks.db import Tx, reading
from tests.stack.conftest import running_stack

pytestmark = pytest.mark.engine


class Killer:
    """Kills one part of the stack each time an effect is recorded: worker, door, server, in turn.

    It waits until the part it killed last is back, so that every kill hits a running system.
    """

    def __init__(self, stack: Stack, parts: tuple[str, ...]) -> None:
        self._stack = stack
        self._turn = itertools.cycle(parts)
        self._seen: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.kills: list[tuple[str, str]] = []

    def __enter__(self) -> Killer:
        self._seen = set(self._effects())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _effects(self) -> list[str]:
        with reading() as tx:
            return list(tx.exec(select(Effect.key)))

    def _run(self) -> None:
        while not self._stop.wait(0.005):
            fresh = [key for key in self._effects() if key not in self._seen]
            if not fresh:
                continue
            self._seen.update(fresh)
            part = next(self._turn)
            self._stack.kill(part)
            self.kills.append((part, fresh[-1].partition("/")[2]))
            self._back(part)

    def _back(self, part: str) -> None:
        while not self._stop.wait(0.05):
            process = self._stack.parts[part].process
            if process is not None and process.poll() is None and self._stack.parts[part].ready():
                return


def wrong(tx: Tx) -> list[str]:
    """Everything that must hold after any number of deaths."""
    problems = [*ledger.check(tx), *audit.verify(tx)]
    for row in tx.exec(select(OutboxMessage).where(OutboxMessage.channel != Channel.RUN)):
        if row.state is not OutboxState.SENT and row.state is not OutboxState.SKIPPED:
            problems.append(f"{row.key} was not delivered: {row.state} {row.note}")
    return problems


def settled(stage: Rehearsal) -> list[str]:
    """Wait until nothing is left to deliver, then say what is wrong."""

    def nothing_left() -> bool:
        with reading() as tx:
            query = select(OutboxMessage.key).where(OutboxMessage.state == OutboxState.NEW)
            return tx.exec(query).first() is None

    stage.wait(nothing_left, "everything is delivered", patience=180)
    with reading() as tx:
        return wrong(tx)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restarting processes takes seconds each; what must happen still has to happen."""
    monkeypatch.setattr("ops.rehearsal.PATIENCE", 240.0)


def test_both_stories_end_as_they_should_while_worker_door_and_server_are_killed_in_turn(
    tmp_path: Path, patient: None
) -> None:
    with running_stack(tmp_path / "home") as (stack, stage):
        closure, refund = ClosureScene(stage), RefundScene(stage)
        with Killer(stack, ("worker", "door", "worker", "door", "prefect")) as killer:
            for scene in (closure, refund):
                scene.set_up()
                scene.play()
        assert {part for part, _ in killer.kills} == {"worker", "door", "prefect"}
        assert len(killer.kills) >= 10
        assert settled(stage) == []
        assert balance(stage, refund.shop_id) == 0
        paid = stage.read(lambda tx: ledger.balance(tx, ledger.platform_account(AccountKind.CLEARING)).fen)
        assert paid == 0


def test_cases_that_wait_survive_the_loss_of_prefects_whole_database(tmp_path: Path, patient: None) -> None:
    with running_stack(tmp_path / "home") as (stack, stage):
        closure, refund = ClosureScene(stage), RefundScene(stage)
        closure.set_up()
        refund.set_up()
        stage.wait(lambda: _anchored(stage), "the sweep has seen this Prefect", patience=120)
        stack.kill("prefect")
        for file in (tmp_path / "home" / "prefect").glob("prefect.db*"):
            file.unlink()
        closure.play()
        refund.play()
        assert settled(stage) == []


def _anchored(stage: Rehearsal) -> bool:
    from models.audit import Installation

    return bool(stage.read(lambda tx: tx.get(Installation, "prefect")))
