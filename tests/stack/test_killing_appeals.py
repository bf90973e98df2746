"""The same for appeals; and the loss of Prefect's whole database while cases of every kind wait."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlmodel import col, select

from models.arbitration import EvidenceSubmission, MoneyReturn
from models.audit import Installation
from models.books import AccountKind
from ops.rehearsal import Rehearsal
from ops.scenes.appeals import AppealScene
from ops.scenes.closing import ClosureScene, RefundScene
from ops.scenes.stage import Scene, balance
from tasks import ledger
from tests.stack.conftest import running_stack
from tests.stack.killer import restless, settled, together

pytestmark = pytest.mark.engine


def test_appeals_end_as_they_should_while_worker_door_and_server_are_killed_at_every_boundary(
    tmp_path: Path, patient: None
) -> None:
    with restless(tmp_path / "home") as (_, watched):
        appeal = AppealScene(watched)
        appeal.set_up()
        appeal.play()
        assert settled(watched) == []
        assert balance(watched, appeal.shop_id) == 1_000_000
        kept = watched.read(lambda tx: ledger.balance(tx, ledger.platform_account(AccountKind.COMPENSATION)).fen)
        assert kept == 0, "what one appeal won came back, once"
        upheld, _, asked, _ = appeal.cases()
        again = select(EvidenceSubmission.case_id).where(col(EvidenceSubmission.round) == 2)
        assert watched.read(lambda tx: list(tx.exec(again))) == [asked], "further evidence was taken once"
        assert watched.read(lambda tx: list(tx.exec(select(MoneyReturn.case_id)))) == [upheld]


def test_cases_that_wait_survive_the_loss_of_prefects_whole_database(tmp_path: Path, patient: None) -> None:
    with running_stack(tmp_path / "home") as (stack, stage):
        scenes: list[Scene] = [ClosureScene(stage), RefundScene(stage)]
        together(*(scene.set_up for scene in scenes))
        stage.wait(lambda: _anchored(stage), "the sweep has seen this Prefect", patience=120)
        stack.kill("prefect")
        for file in (tmp_path / "home" / "prefect").glob("prefect.db*"):
            file.unlink()
        together(*(scene.play for scene in scenes))
        assert settled(stage) == []


def _anchored(stage: Rehearsal) -> bool:
    return bool(stage.read(lambda tx: tx.get(Installation, "prefect")))
