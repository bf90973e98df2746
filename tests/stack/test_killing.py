"""Kill −9 whatever runs, at every kind of boundary, while closure, refund and appeal are played together: each effect once,
no message lost, cases finished. The loss of Prefect's whole database while cases wait. And a month of hundreds of shops."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from prefect.client.orchestration import get_client
from sqlalchemy import func
from sqlmodel import col, select

from benchmarks.month_end import LINES, fill
from models.arbitration import EvidenceSubmission, MoneyReturn
from models.audit import Installation
from models.books import AccountKind
from models.invoicing import Period, Statement, StatementDocument, StatementState
from models.messages import OutboxMessage
from office.base.db import reading
from office.money import ledger
from office.record import chain_proof
from office.runs import engine
from ops.rehearsal import Rehearsal
from ops.scenes.appeals import AppealScene
from ops.scenes.closing import ClosureScene, RefundScene
from ops.scenes.invoicing import month_of
from ops.scenes.stage import Scene, balance, side_by_side
from ops.stack import Stack
from ops.worker.settings import WorkerSettings
from tasks.invoicing import freeze_proof
from tests.stack.killer import EVERY_KIND, Killer, Watched, restless, settled, struck

pytestmark = pytest.mark.engine
OWN_STACK = "its processes are killed, and its database is lost"


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Killer, Watched]]:
    with restless(tmp_path_factory.mktemp("killing") / "home", EVERY_KIND) as alive:
        yield alive


def test_cases_end_as_they_should_while_worker_door_and_server_are_killed_at_every_kind_of_boundary(
    mortal: tuple[Stack, Killer, Watched], patient: None
) -> None:
    _, killer, watched = mortal
    closure, refund, appeal = ClosureScene(watched), RefundScene(watched), AppealScene(watched)
    side_by_side(*(scene.set_up for scene in (closure, refund, appeal)))
    side_by_side(*(scene.play for scene in (closure, refund, appeal)))
    killer.rest()
    assert settled(watched) == []
    assert struck(killer, watched, EVERY_KIND) == []
    closed_as_they_should(watched, refund)
    heard_as_they_should(watched, appeal)


def closed_as_they_should(watched: Watched, refund: RefundScene) -> None:
    assert balance(watched, refund.shop_id) == 0
    paid = watched.read(lambda tx: ledger.balance(tx, ledger.platform_account(AccountKind.CLEARING)).fen)
    assert paid == 0


def heard_as_they_should(watched: Watched, appeal: AppealScene) -> None:
    assert balance(watched, appeal.shop_id) == 1_000_000
    kept = watched.read(lambda tx: ledger.balance(tx, ledger.platform_account(AccountKind.COMPENSATION)).fen)
    assert kept == 0, "what one appeal won came back, once"
    upheld, _, asked, _ = appeal.cases()
    again = select(EvidenceSubmission.case_id).where(col(EvidenceSubmission.round) == 2)
    assert watched.read(lambda tx: list(tx.exec(again))) == [asked], "further evidence was taken once"
    assert watched.read(lambda tx: list(tx.exec(select(MoneyReturn.case_id)))) == [upheld]


def test_cases_that_wait_survive_the_loss_of_prefects_whole_database(
    mortal: tuple[Stack, Killer, Watched], patient: None
) -> None:
    stack, killer, watched = mortal
    killer.rest()
    scenes: list[Scene] = [ClosureScene(watched, shop_id="shop-2001"), RefundScene(watched, shop_id="shop-2002")]
    side_by_side(*(scene.set_up for scene in scenes))
    watched.sweep()
    watched.wait(lambda: _anchored(watched), "the sweep has seen this Prefect", patience=120)
    stack.kill("prefect")
    for file in (watched.settings.home / "prefect").glob("prefect.db*"):
        file.unlink()
    watched.sweep()  # as one does each minute
    side_by_side(*(scene.play for scene in scenes))
    assert settled(watched) == []


def _anchored(stage: Rehearsal) -> bool:
    return bool(stage.read(lambda tx: tx.get(Installation, "prefect")))


SHOPS = 900
"""Two chunks to draft and two to issue (``mortal/sitecustomize.py``). Last here: so many shops would be in the way of others."""


class ChunkKiller:
    """Kills the worker when the month has got a chunk further, once in each of its states or each time; waits until it is back."""

    def __init__(self, stack: Stack, period: str, every: bool) -> None:
        self._stack, self._period, self._every = stack, period, every
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
        while not self._stop.wait(0.02):
            with reading() as tx:
                period = tx.get(Period, self._period)
                at = (str(period.state), period.cursor if self._every else "") if period and period.cursor else None
            if at is None or at in self.kills:
                continue
            self._stack.kill("worker")
            self.kills.append(at)
            worker = self._stack.parts["worker"]
            while not self._stop.wait(0.05):
                if worker.process is not None and worker.process.poll() is None and worker.ready():
                    break


@pytest.mark.parametrize(
    "every", [False, pytest.param(True, marks=pytest.mark.nightly)], ids=["once", "at every chunk"]
)
def test_a_month_whose_worker_dies_while_it_is_drafted_and_issued_is_issued_once_and_other_cases_go_on(
    mortal: tuple[Stack, Killer, Watched], patient: None, every: bool
) -> None:
    stack, killer, stage = mortal
    killer.rest()
    with get_client(sync_client=True) as client:  # however many months are due, they take one place of several
        assert client.read_work_queue_by_name("month-end", stage.settings.work_pool).concurrency_limit == 1
    assert WorkerSettings.from_env().processes > 1
    closure = ClosureScene(stage, shop_id="shop-2003")
    closure.set_up()
    period = month_of(stage.now(), 1)
    fill(SHOPS, period)
    with ChunkKiller(stack, period, every) as chunks:
        stage.sweep()
        month = stage.wait(lambda: stage.read(lambda tx: tx.get_one(Period, period).case_id), "the month is opened")
        closure.play()
        stage.decide(month, "invoicing-release", "wang-fang", "放行出账", "已核对")
        stage.state(month, "ISSUED")
    assert {state for state, _ in chunks.kills} >= {"DRAFTING", "ISSUING"}, chunks.kills
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
        assert [*ledger.check(tx), *chain_proof.verify(tx), *freeze_proof.check(tx)] == []
    artifacts = engine.client().read_artifacts(limit=200)
    (summary,) = {a.data for a in artifacts if a.key == f"invoicing-{period}"}
    assert "出账结果" in summary and "| ---" in summary and "█" in summary
    drawn = [a for a in artifacts if a.type == "progress"]
    assert {str(a.description).partition(" · ")[0] for a in drawn} == {"起草账单", "出具账单"}
