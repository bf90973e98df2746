"""Who prefers Prefect's own process worker sets `worker_type`; the product's flows run there all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect.client.orchestration import get_client

from office.base.db import reading
from office.money import ledger
from office.record import audit
from ops.scenes.closing import ClosureScene
from tests.stack.conftest import running_stack

pytestmark = pytest.mark.engine
OWN_STACK = "it has another kind of worker"


def test_a_closure_is_played_to_its_end_by_prefects_own_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.rehearsal.PATIENCE", 240.0)  # it starts three interpreters for each segment
    stock = {"DIANWU_WORKER_TYPE": "process", "PREFECT_WORKER_QUERY_SECONDS": "1"}
    with running_stack(tmp_path / "home", **stock) as (_, stage):
        with get_client(sync_client=True) as client:
            assert client.read_work_pool(stage.settings.work_pool).type == "process"
        closure = ClosureScene(stage)
        closure.set_up()
        closure.play()
        with reading() as tx:
            assert [*ledger.check(tx), *audit.verify(tx)] == []
