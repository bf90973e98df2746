"""Kill −9 whatever runs, at every boundary of closure and refund: each effect once, no message lost, cases finished."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.books import AccountKind
from ops.scenes.closing import ClosureScene, RefundScene
from ops.scenes.stage import balance
from tasks import ledger
from tests.stack.conftest import running_stack
from tests.stack.killer import restless, settled, together

pytestmark = pytest.mark.engine


def test_closure_and_refund_end_as_they_should_while_worker_door_and_server_are_killed_at_every_boundary(
    tmp_path: Path, patient: None
) -> None:
    with running_stack(tmp_path / "home") as (stack, stage):
        with restless(stack, stage) as (killer, watched):
            closure, refund = ClosureScene(watched), RefundScene(watched)
            together(closure.set_up, refund.set_up)
            together(closure.play, refund.play)
        assert len(killer.kills) >= 10
        assert settled(stage) == []
        assert balance(stage, refund.shop_id) == 0
        paid = stage.read(lambda tx: ledger.balance(tx, ledger.platform_account(AccountKind.CLEARING)).fen)
        assert paid == 0
