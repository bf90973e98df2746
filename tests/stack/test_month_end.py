"""A real month of thousands of shops: its worker killed at every chunk, and another shop's closure answered meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from sqlalchemy import func
from sqlmodel import col, select

from benchmarks.month_end import LINES, fill
from models.invoicing import Period, Statement, StatementDocument, StatementState
from models.messages import OutboxMessage
from office.base.db import reading
from office.money import ledger
from office.record import audit
from office.runs import engine
from ops.scenes.closing import ClosureScene
from ops.scenes.invoicing import month_of
from ops.stack import Stack
from ops.worker.settings import WorkerSettings
from tasks.invoicing import freeze_proof
from tests.stack.conftest import running_stack

pytestmark = pytest.mark.engine
OWN_STACK = "its worker is killed at every chunk, and thousands of shops would be in the way of others"

SHOPS = 3_000
"""Two chunks to draft and two to issue."""


class ChunkKiller:
    """Kills the worker each time the month has got one chunk further, and waits until it is back."""

    def __init__(self, stack: Stack, period: str) -> None:
        self._stack, self._period = stack, period
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.kills: list[tuple[str, str]] = []

    def __enter__(self) -> ChunkKiller:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.005):
            with reading() as tx:
                period = tx.get(Period, self._period)
                at = (str(period.state), period.cursor) if period and period.cursor else None
            if at is None or at in self.kills:
                continue
            self._stack.kill("worker")
            self.kills.append(at)
            worker = self._stack.parts["worker"]
            while not self._stop.wait(0.05):
                if worker.process is not None and worker.process.poll() is None and worker.ready():
                    break


def test_a_month_whose_worker_dies_at_every_chunk_is_issued_once_and_other_cases_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.rehearsal.PATIENCE", 240.0)
    with running_stack(tmp_path / "home") as (stack, stage):
        with get_client(sync_client=True) as client:  # however many months are due, they take one place of several
            assert client.read_work_queue_by_name("month-end", stage.settings.work_pool).concurrency_limit == 1
        assert WorkerSettings.from_env().processes > 1
        closure = ClosureScene(stage)
        closure.set_up()
        period = month_of(stage.now(), 1)
        fill(SHOPS, period)
        with ChunkKiller(stack, period) as killer:
            stage.sweep()
            month = stage.wait(lambda: stage.read(lambda tx: tx.get_one(Period, period).case_id), "the month is opened")
            closure.play()
            stage.decide(month, "invoicing-release", "wang-fang", "放行出账", "已核对")
            stage.state(month, "ISSUED")
        assert {state for state, _ in killer.kills} >= {"DRAFTING", "ISSUING"}, killer.kills
        with reading() as tx:
            issued = select(func.count(), func.sum(Statement.total_fen)).where(
                Statement.period == period, Statement.state == StatementState.ISSUED
            )
            of_the_fill = sum(1_000 + n % 997 + line for n in range(SHOPS) for line in range(LINES))
            assert tuple(tx.exec(issued).one()) == (SHOPS, of_the_fill)
            numbers = list(tx.exec(select(Statement.number).where(col(Statement.number).is_not(None))))
            prefix = f"ZD{period.replace('-', '')}"
            assert sorted(str(n) for n in numbers) == [f"{prefix}-{n:06d}" for n in range(1, SHOPS + 1)]
            assert tx.exec(select(func.count()).select_from(StatementDocument)).one() == SHOPS
            events = select(func.count()).select_from(OutboxMessage).where(OutboxMessage.topic == "statement.issued")
            assert tx.exec(events).one() == SHOPS
            assert [*ledger.check(tx), *audit.verify(tx), *freeze_proof.check(tx)] == []
        artifacts = engine.client().read_artifacts(limit=200)
        (summary,) = {a.data for a in artifacts if a.key == f"invoicing-{period}"}
        assert "出账结果" in summary and "| ---" in summary and "█" in summary
        drawn = [a for a in artifacts if a.type == "progress"]
        assert {str(a.description).partition(" · ")[0] for a in drawn} == {"起草账单", "出具账单"}
