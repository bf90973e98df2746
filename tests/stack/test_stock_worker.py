"""Who prefers Prefect's own process worker sets `worker_type`; the product's flows run there all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client

from office.base.db import reading
from office.money import ledger
from office.record import audit
from ops.rehearsal import Rehearsal
from ops.scenes.closing import ClosureScene
from ops.scenes.stage import register
from tests.stack.conftest import running_stack

pytestmark = pytest.mark.engine
OWN_STACK = "it has another kind of worker"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    monkeypatch.setattr("ops.rehearsal.PATIENCE", 240.0)  # it starts three interpreters for each segment
    stock = {"DIANWU_WORKER_TYPE": "process", "PREFECT_WORKER_QUERY_SECONDS": "1"}
    with running_stack(tmp_path / "home", **stock) as (_, stage):
        with get_client(sync_client=True) as client:
            assert client.read_work_pool(stage.settings.work_pool).type == "process"
        yield stage
        with reading() as tx:
            assert [*ledger.check(tx), *audit.verify(tx)] == []


def test_a_case_asks_and_hears_the_answer_on_prefects_own_worker(stage: Rehearsal) -> None:
    register(stage, "shop-1", "晨光文具", "ENTERPRISE", 400_000, "BANK", "3301040160000121234")
    stage.send("closure.requested", {
        "shop_id": "shop-1", "account_id": "acct-shop-1", "reason": "STRATEGY_CHANGE", "reason_text": "转做线下门店",
    })  # fmt: skip
    case_id = stage.case_of("shop-1", "closure")
    stage.decide(case_id, "closure-review", "li-na", "驳回申请", "资料不符")
    assert stage.state(case_id, "REJECTED").outcome == "REJECTED"


@pytest.mark.nightly
def test_a_closure_is_played_to_its_end_by_prefects_own_worker(stage: Rehearsal) -> None:
    closure = ClosureScene(stage)
    closure.set_up()
    closure.play()
