"""Who reaches Prefect's API decides when our flows run, and never what this machine executes."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import DeploymentResponse

from models.cases import CaseKind
from models.messages import Channel
from office.base.db import in_transaction
from office.cases import alarms
from ops import deploy
from ops.deploy import DEPLOYMENTS, ROOT
from ops.worker.authority import Refusal, Refused, load
from ops.worker.due import Due
from ops.worker.in_hand import Segment
from ops.worker.pool import Phase
from ops.worker.settings import WorkerSettings
from ops.worker.worker import DianwuWorker
from tests.play import Office

SHELL = {"prefect.deployments.steps.run_shell_script": {"script": "cat secrets.toml"}}
NAMES_A_FOLDER = {"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}
TEMPLATE = DianwuWorker.get_default_base_job_template()


def a_deployment(kind: str = "closure", **changes: Any) -> DeploymentResponse:
    known = deploy.authority().flows[kind]
    plain: dict[str, Any] = {"name": kind, "flow_id": uuid4(), "entrypoint": known.entrypoint, "path": str(ROOT)}
    return DeploymentResponse.model_validate(plain | {"pull_steps": []} | changes)


def a_run(**changes: Any) -> FlowRun:
    plain: dict[str, Any] = {"flow_id": uuid4(), "parameters": {"case_id": "CLS-261122-7K3QM9"}}
    return FlowRun.model_validate(plain | changes)


def code_of(deployment: DeploymentResponse | None, run: FlowRun, template: Any = None) -> tuple[str, str]:
    return deploy.authority().code_of(TEMPLATE if template is None else template, deployment, run)


def test_what_may_run_is_what_we_deploy_and_the_worker_asks_nobody_else() -> None:
    assert WorkerSettings().authority == "ops.deploy:authority"
    allowed = load("ops.deploy:authority")
    assert set(allowed.flows) == {deployed.flow.name for deployed in DEPLOYMENTS}
    assert {root for root, _ in allowed.entrypoints()} == {str(ROOT)}


@pytest.mark.parametrize("kind", CaseKind)
def test_every_kind_of_case_runs_by_its_own_entrypoint(kind: CaseKind) -> None:
    _, entrypoint = code_of(a_deployment(kind.value), a_run())
    assert entrypoint == {d.flow.name: d.entrypoint for d in DEPLOYMENTS}[kind.value]


@pytest.mark.parametrize("name", ["deadlines", "delivery"])
def test_what_runs_by_itself_takes_no_parameter(name: str) -> None:
    assert code_of(a_deployment(name), a_run(parameters={}))
    with pytest.raises(Refused):
        code_of(a_deployment(name), a_run())


@pytest.mark.parametrize(("period", "taken"), [("", True), ("2026-10", True), ("2026-1", False), ("../etc", False)])
def test_a_month_is_opened_by_its_name_only(period: str, taken: bool) -> None:
    run = a_run(parameters={"period": period})
    if taken:
        assert code_of(a_deployment("open-invoicing-month"), run)
    else:
        with pytest.raises(Refused):
            code_of(a_deployment("open-invoicing-month"), run)


FOREIGN_DEPLOYMENTS: dict[str, dict[str, Any]] = {
    "steps before the flow": {"pull_steps": [SHELL]},
    "a step that only names our own folder": {"pull_steps": [NAMES_A_FOLDER]},
    "another file": {"entrypoint": "flows/other.py:close_shop"},
    "another function": {"entrypoint": "flows/closure.py:withdraw"},
    "a module": {"entrypoint": "os:system"},
    "another of our flows": {"entrypoint": "flows/refund.py:refund_deposit"},
    "no entrypoint": {"entrypoint": None},
    "another folder": {"path": "/tmp"},
    "a folder that no file system knows": {"path": "/x\x00y"},
    "no folder": {"path": None},
    "a folder beside ours": {"path": f"{ROOT}/../elsewhere"},
    "another name": {"name": "nimble"},
    "a storage block": {"storage_document_id": uuid4()},
    "an infrastructure block": {"infrastructure_document_id": uuid4()},
    "an environment": {"job_variables": {"env": {"LD_PRELOAD": "/tmp/x.so"}}},
    "a command": {"job_variables": {"command": "sh -c id"}},
    "a folder to work in": {"job_variables": {"working_dir": "/tmp"}},
    "an image": {"job_variables": {"image": "evil"}},
}


@pytest.mark.parametrize("changes", FOREIGN_DEPLOYMENTS.values(), ids=list(FOREIGN_DEPLOYMENTS))
def test_a_deployment_that_carries_anything_of_its_own_is_not_executed(changes: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        code_of(a_deployment(**changes), a_run())
    assert str(refused.value)


FOREIGN_RUNS: dict[str, dict[str, Any]] = {
    "an environment": {"job_variables": {"env": {"PYTHONSTARTUP": "/tmp/x.py"}}},
    "a command": {"job_variables": {"command": "sh"}},
    "an infrastructure block": {"infrastructure_document_id": uuid4()},
    "another parameter": {"parameters": {"case_id": "CLS-261122-7K3QM9", "more": "1"}},
    "no parameter": {"parameters": {}},
    "no text": {"parameters": {"case_id": ["CLS-261122-7K3QM9"]}},
    "a path": {"parameters": {"case_id": "../../etc/passwd"}},
    "two lines": {"parameters": {"case_id": "CLS-261122-7K3QM9\n"}},
    "something to evaluate": {"parameters": {"case_id": {"__prefect_kind": "jinja", "template": "{{ 1 }}"}}},
}


@pytest.mark.parametrize("changes", FOREIGN_RUNS.values(), ids=list(FOREIGN_RUNS))
def test_a_run_that_carries_anything_but_its_case_is_not_executed(changes: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        code_of(a_deployment(), a_run(**changes))


def test_a_run_of_no_deployment_is_not_executed() -> None:
    with pytest.raises(Refused):
        code_of(None, a_run())


def _with(configuration: dict[str, Any] | None = None, **properties: Any) -> dict[str, Any]:
    return {"job_configuration": configuration or {}, "variables": {"properties": properties}}


FOREIGN_POOLS = {
    "an environment": _with({"env": {"LD_PRELOAD": "/tmp/x.so"}}),
    "an environment by default": _with({"env": "{{ env }}"}, env={"type": "object", "default": {"A": "b"}}),
    "a command": _with({"command": "sh -c id"}),
    "another variable for the command": _with({"command": "{{ env }} sh"}),
    "a folder to work in": _with({"working_dir": "/tmp"}),
}


@pytest.mark.parametrize("template", FOREIGN_POOLS.values(), ids=list(FOREIGN_POOLS))
def test_a_work_pool_that_gives_its_runs_anything_lets_none_be_executed(template: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        code_of(a_deployment(), a_run(), template)


def test_the_pool_as_an_earlier_version_made_it_gives_nothing_and_is_taken() -> None:
    assert code_of(a_deployment(), a_run(), _with({"env": "{{ env }}"}, env={"type": "object", "title": "Env"}))


def test_a_refused_run_is_written_down_and_the_supervisor_told_once_an_hour_of_each_kind(office: Office) -> None:
    report = deploy.authority().report
    for n in range(3):
        report(Refusal(f"run-{n}", "nimble\x00-fox", "evil", "deployment 'evil' has pull steps"))
    report(Refusal("run-3", "nimble-fox", "evil", "the run has job variables: env"))
    assert office.trail("system").count("run.refused") == 4
    assert office.staff_told("engine_alarm") == ["supervisor"] * 2
    office.pass_time(hours=1)
    report(Refusal("run-4", "nimble-fox", "evil", "deployment 'evil' has pull steps"))
    assert office.staff_told("engine_alarm") == ["supervisor"] * 3
    assert all(row.channel is Channel.STAFF for row in office.outbox(topic="engine_alarm"))


def test_an_authority_judges_by_its_own_root_alone() -> None:
    elsewhere = replace(deploy.authority(), root="/srv/other")
    with pytest.raises(Refused, match="code root"):
        elsewhere.code_of(TEMPLATE, a_deployment(), a_run())


@pytest.mark.engine
def test_a_shell_in_a_deployment_made_over_http_is_never_run(standing, tmp_path) -> None:
    """As it was done: POST /deployments with steps that read the secrets, and a run of it."""
    secrets, stolen = tmp_path / "secrets.toml", tmp_path / "stolen"
    secrets.write_text("audit_key = 'x'")
    standing.write("flows/pulled.py", "@flow\ndef pulled():\n    note('pulled')\n")
    script = f"cp {secrets} {stolen}"
    step = {"prefect.deployments.steps.run_shell_script": {"script": f"sh -c '{script}'"}}
    attacks: list[dict[str, Any]] = [
        {"pull_steps": [step]},
        {"job_variables": {"env": {"BASH_ENV": str(secrets)}}},
        {"job_variables": {"command": f"sh -c '{script}'"}},
        {"path": str(tmp_path.parent.parent)},
    ]
    for n, attack in enumerate(attacks):
        deployment = standing.deploy("flows/pulled.py:pulled", **attack)
        run = standing.submit(deployment)
        state = standing.reaches(run, "Refused")
        assert state.is_failed() and state.message.startswith("Not executed"), n
        assert str(run.id) in (standing.home / "refused.txt").read_text()
        standing.client.delete_deployment(deployment)
    honest = standing.submit(standing.deploy("flows/pulled.py:pulled", pull_steps=[]))
    standing.reaches(honest, "Completed")
    assert not stolen.exists() and standing.lines() == ["pulled"]
    own = standing.client.create_flow_run_from_deployment(honest.deployment_id, job_variables={"env": {"A": "b"}})
    assert "job variables" in (standing.reaches(own, "Refused").message or "")


class Answering:
    """Prefect's client, as far as a worker asks it what is due."""

    def __init__(self, *runs: dict[str, Any]) -> None:
        self.runs = runs
        self.limits: list[int] = []

    async def request(self, *_: Any, json: dict[str, Any], **__: Any) -> httpx.Response:
        self.limits.append(json["limit"])
        pool = {"work_pool_id": str(uuid4()), "work_queue_id": str(uuid4())}
        return httpx.Response(200, json=[pool | {"flow_run": run} for run in self.runs])


def test_a_due_run_that_cannot_be_read_is_passed_over() -> None:
    """As it was done: a state whose data Prefect's server keeps and its client cannot read."""
    due = Due(logging.getLogger("worker"))
    good = a_run().model_dump(mode="json")
    bad = a_run().model_dump(mode="json") | {"state": {"type": "SCHEDULED", "data": {"storage_key": 5}}}
    asyncio.run(due.ask(cast(Any, Answering(bad, good)), "pool", (), timedelta(0), limit=2))
    assert [str(run.id) for run in due.runs] == [good["id"]]
    assert due.more  # what stands behind it is asked for


def test_runs_that_are_due_later_do_not_fill_the_list_of_what_is_due_now() -> None:
    """The minute's sweeps stand in it ahead of time: a list they filled was asked for twice at every decision."""
    soon = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    later = [a_run().model_dump(mode="json") | {"next_scheduled_start_time": soon} for _ in range(2)]
    due, asked = Due(logging.getLogger("worker")), Answering(*later)
    asyncio.run(due.ask(cast(Any, asked), "pool", (), timedelta(0), limit=2))
    assert due.more
    asked.runs = (*later, a_run().model_dump(mode="json"))
    asyncio.run(due.ask(cast(Any, asked), "pool", (), timedelta(0), limit=2))
    assert not due.more and due.first(but=())
    asyncio.run(due.ask(cast(Any, asked), "pool", (), timedelta(0), limit=200))
    assert asked.limits == [2, 4, 200]


@pytest.mark.parametrize("name", ["a", "it's", "'\"", "x: y"])
@pytest.mark.parametrize(
    "sentence",
    [
        "the run has a parameter that the flow does not take: {!r}",
        "{!r} was not deployed from here",
        "the work pool sets: {}",
        "deployment {!r} names another entrypoint than ours: {!r}",
    ],
)
def test_how_often_a_refusal_is_told_does_not_go_by_what_the_attacker_writes(
    office: Office, sentence: str, name: str
) -> None:
    """As it was done: another name each time, and the supervisor is buried in letters."""
    for text in ("something", name):
        in_transaction(lambda tx, t=text: alarms.run_refused(tx, "id", t, t, sentence.format(t, t)))  # type: ignore[misc]
    assert office.staff_told("engine_alarm") == ["supervisor"]


class Segments:
    """A worker with one segment in hand, and what Prefect says of its run."""

    def __init__(self, worker: DianwuWorker, state: StateType) -> None:
        self.told: list[str] = []
        self.run = a_run(state=State(type=state))
        self.segment = Segment(self.run, 1, cast(Any, self), 0.0)
        self.phase = Phase.BUSY
        worker._segments[1] = self.segment
        worker._client = cast(Any, self)

    def tell(self, what: str) -> None:
        self.told.append(what)

    def kill(self) -> None:
        self.told.append("kill")

    async def read_flow_run(self, run_id: UUID) -> FlowRun:
        return self.run


@pytest.mark.parametrize(("state", "told"), [(StateType.RUNNING, []), (StateType.CANCELLING, ["cancel", "kill"])])
def test_an_event_that_somebody_made_up_ends_no_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: StateType, told: list[str]
) -> None:
    monkeypatch.setenv("DIANWU_WORKER_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("DIANWU_WORKER_CANCEL_GRACE_SECONDS", "0.01")
    worker = DianwuWorker("pool")
    made = Segments(worker, state)
    asyncio.run(worker._cancel(made.segment))
    assert made.told == told
