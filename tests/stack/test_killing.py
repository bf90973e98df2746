"""Kill −9 whatever runs, at every kind of boundary, while closure, refund and appeal are played together: each effect once,
no message lost, cases finished. And the loss of Prefect's whole database while cases wait."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlmodel import col, select

from models.arbitration import EvidenceSubmission, MoneyReturn
from models.audit import Installation
from models.books import AccountKind
from office.money import ledger
from ops.rehearsal import Rehearsal
from ops.scenes.appeals import AppealScene
from ops.scenes.closing import ClosureScene, RefundScene
from ops.scenes.stage import Scene, balance, side_by_side
from ops.stack import Stack
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
    watched.wait(lambda: _anchored(watched), "the sweep has seen this Prefect", patience=120)
    stack.kill("prefect")
    for file in (watched.settings.home / "prefect").glob("prefect.db*"):
        file.unlink()
    side_by_side(*(scene.play for scene in scenes))
    assert settled(watched) == []


def _anchored(stage: Rehearsal) -> bool:
    return bool(stage.read(lambda tx: tx.get(Installation, "prefect")))
