"""Kill −9 whatever runs, before and after every effect of closure and refund, while a form waits and as it is answered:
each effect once, no message lost, cases finished."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.books import AccountKind
from ops.scenes.closing import ClosureScene, RefundScene
from ops.scenes.stage import balance
from tasks import ledger
from tests.stack.killer import restless, settled

pytestmark = pytest.mark.engine


def test_closure_and_refund_end_as_they_should_while_worker_door_and_server_are_killed_at_every_boundary(
    tmp_path: Path, patient: None
) -> None:
    with restless(tmp_path / "home") as (_, watched):
        closure, refund = ClosureScene(watched), RefundScene(watched)
        for scene in (closure, refund):
            scene.set_up()
            scene.play()
        assert settled(watched) == []
        assert balance(watched, refund.shop_id) == 0
        paid = watched.read(lambda tx: ledger.balance(tx, ledger.platform_account(AccountKind.CLEARING)).fen)
        assert paid == 0
