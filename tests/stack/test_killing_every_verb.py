"""The same before and after every effect of closure, refund and appeal: what takes too long for every change."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.scenes.appeals import AppealScene
from ops.scenes.closing import ClosureScene, RefundScene
from tests.stack.killer import EVERY_VERB, restless, settled, struck
from tests.stack.test_killing import closed_as_they_should, heard_as_they_should

pytestmark = [pytest.mark.engine, pytest.mark.nightly]
OWN_STACK = "its processes are killed all the time"


def test_closure_and_refund_end_as_they_should_while_worker_door_and_server_are_killed_at_every_boundary(
    tmp_path: Path, patient: None
) -> None:
    with restless(tmp_path / "home", EVERY_VERB) as (_, killer, watched):
        closure, refund = ClosureScene(watched), RefundScene(watched)
        for scene in (closure, refund):
            scene.set_up()
            scene.play()
        assert settled(watched) == []
        killer.rest()
        closed_as_they_should(watched, refund)
        assert struck(killer, watched, EVERY_VERB) == []


def test_appeals_end_as_they_should_while_worker_door_and_server_are_killed_at_every_boundary(
    tmp_path: Path, patient: None
) -> None:
    with restless(tmp_path / "home", EVERY_VERB) as (_, killer, watched):
        appeal = AppealScene(watched)
        appeal.set_up()
        appeal.play()
        assert settled(watched) == []
        killer.rest()
        heard_as_they_should(watched, appeal)
        assert struck(killer, watched, EVERY_VERB) == []
