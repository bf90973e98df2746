"""`dianwu up` stays up until Ctrl-C. Who prefers Prefect's own process worker sets `worker_type`; flows run there all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client

from office.base.db import reading
from office.money import ledger
from office.record import chain_proof
from ops.rehearsal import PEOPLE, Rehearsal
from ops.scenes.closing import ClosureScene
from ops.scenes.stage import ask_to_close, register
from tests.prefect_home import furnish
from tests.stack.conftest import looking_at
from tests.stack.typed import environment, until_interrupted

pytestmark = pytest.mark.engine
OWN_STACK = "it is the command that starts and stops one, with another kind of worker"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    monkeypatch.setattr("ops.rehearsal.PATIENCE", 240.0)  # it starts three interpreters for each segment
    home = furnish(tmp_path / "home")
    env = environment(home, DIANWU_WORKER_TYPE="process", PREFECT_WORKER_QUERY_SECONDS="1")
    with until_interrupted("up", env, when="店务已启动") as said:
        own = {name: value for name, value in env.items() if name.startswith("DIANWU_")}
        with looking_at(home, **own) as given:
            with get_client(sync_client=True) as client:
                assert client.read_work_pool(given.work_pool).type == "process"
                for name in ("deadlines", "delivery"):  # of each minute, and six seconds of a processor a time there
                    client.pause_deployment(client.read_deployment_by_name(f"{name}/{name}").id)
            stage = Rehearsal(given)
            for who in ("li-na", "he-qiang"):
                stage.enrol(who, *PEOPLE[who])
            yield stage
            with reading() as tx:
                assert [*ledger.check(tx), *chain_proof.verify(tx)] == []
    assert "正在停止" in "".join(said)


def test_a_case_asks_and_hears_the_answer_on_prefects_own_worker_until_somebody_presses_ctrl_c(
    stage: Rehearsal,
) -> None:
    register(stage, "shop-1", "晨光文具", "ENTERPRISE", 400_000, "BANK", "3301040160000121234")
    case_id = ask_to_close(stage, "shop-1")
    stage.decide(case_id, "closure-review", "li-na", "驳回申请", "资料不符")
    assert stage.state(case_id, "REJECTED").outcome == "REJECTED"


@pytest.mark.nightly
def test_a_closure_is_played_to_its_end_by_prefects_own_worker(stage: Rehearsal) -> None:
    closure = ClosureScene(stage)
    closure.set_up()
    closure.play()
