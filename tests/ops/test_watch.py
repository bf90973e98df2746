"""The watch: what somebody changed in Prefect is seen, and silence is heard."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect.client.schemas.objects import Flow
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound

from models.messages import Channel
from office.base.db import in_transaction
from office.record import outbox
from office.runs import engine, sweeps
from ops import watch
from ops.deploy import DEPLOYMENTS, ROOT
from ops.watch import SILENCE, Watch, differences, silence
from tests.play import Office

AT = datetime(2026, 11, 19, 2, 0, tzinfo=UTC)
CLOSURE = next(deployed for deployed in DEPLOYMENTS if deployed.flow.name == "closure")


def found(**changes: Any) -> DeploymentResponse:
    plain = {
        "name": "closure",
        "flow_id": uuid4(),
        "entrypoint": CLOSURE.entrypoint,
        "path": str(ROOT),
        "pull_steps": [],
        "work_pool_name": "dianwu",
        "work_queue_name": "default",
        "parameter_openapi_schema": CLOSURE.parameter_schema,
    }
    return DeploymentResponse.model_validate(plain | changes)


def test_a_deployment_as_we_made_it_differs_in_nothing(office: Office) -> None:
    assert list(differences(CLOSURE, found())) == []


@pytest.mark.parametrize("change", [
    {"entrypoint": "flows/closure.py:withdraw"}, {"path": "/tmp"}, {"path": None}, {"job_variables": {"env": {"A": "b"}}},
    {"pull_steps": [{"prefect.deployments.steps.run_shell_script": {"script": "true"}}]},
    {"path": "/x\x00y"}, {"work_queue_name": "limbo"}, {"work_queue_name": None}, {"parameter_openapi_schema": {"required": ["z"]}},
    {"parameter_openapi_schema": None}, {"enforce_parameter_schema": False},
    {"storage_document_id": str(uuid4())}, {"work_pool_name": "another"}, {"parameters": {"case_id": "x"}},
    {"schedules": [{"schedule": {"cron": "* * * * *"}, "active": True}]},
])  # fmt: skip
def test_each_change_is_seen(office: Office, change: dict[str, Any]) -> None:
    assert len(list(differences(CLOSURE, found(**change)))) == 1


@pytest.mark.parametrize(("ago", "heard"), [(SILENCE, False), (SILENCE + timedelta(minutes=1), True)])
def test_silence_is_heard_when_no_sweep_has_run_for_too_long(ago: timedelta, heard: bool) -> None:
    assert bool(silence(AT - ago, AT)) is heard
    assert silence(None, AT) == ""
    assert "将来" in silence(AT + timedelta(days=900), AT), "SQL does not silence the silence"


def told(office: Office) -> list[str]:
    return [outbox.body(row)["what"] for row in office.outbox(Channel.STAFF, "engine_alarm")]


def test_silence_is_heard_though_prefect_cannot_be_reached(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise httpx.ConnectError("nobody there")

    in_transaction(sweeps.note)
    office.clock.advance(timedelta(hours=5))
    monkeypatch.setattr(engine, "client", away)
    with pytest.raises(httpx.ConnectError):
        watch.look()
    assert told(office) == ["时限巡检已有 300 分钟没有运行"]


def test_what_cannot_be_compared_is_told_and_keeps_nothing_else_from_being_put_back(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable() -> list[str]:
        raise ValueError("embedded null byte")

    def broken(only: set[str]) -> None:
        assert only == {"closure", "appeal"}
        raise RuntimeError

    parts = [("部署 closure", unreadable), ("部署 appeal", lambda: ["部署 appeal 不见了"])]
    monkeypatch.setattr(watch, "_comparisons", lambda: parts)
    monkeypatch.setattr(watch, "_held_up", unreadable)
    monkeypatch.setattr(watch.deploy, "deploy", broken)
    assert watch.look() == ["部署 closure 无法比对", "部署 appeal 不见了"] == told(office)


class Together:
    """A Prefect that lists deployments, or cannot for one of them, and notes which are asked for by themselves."""

    def __init__(self, *listed: DeploymentResponse) -> None:
        self.listed, self.alone = listed, list[str]()

    def read_flows(self, flow_filter: Any) -> list[Flow]:
        return [Flow(id=one.flow_id, name=one.name) for one in self.listed[:1]]  # type: ignore[call-arg]

    def read_deployments(self, flow_filter: Any, deployment_filter: Any) -> list[DeploymentResponse]:
        if not self.listed:
            raise ValueError("embedded null byte")
        return list(self.listed)

    def read_deployment_by_name(self, name: str) -> DeploymentResponse:
        self.alone.append(name)
        raise ObjectNotFound(None)


def test_deployments_are_read_together_and_one_by_one_where_one_of_them_cannot_be_read(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = found(name="appeal")  # of a flow that is not called so
    for prefect, alone in ((Together(found(), foreign), len(DEPLOYMENTS) - 1), (Together(), len(DEPLOYMENTS))):
        monkeypatch.setattr(engine, "client", lambda prefect=prefect: prefect)
        compared = {what: compare() for what, compare in list(watch._comparisons())[1:]}
        assert len(prefect.alone) == alone and "appeal/appeal" in prefect.alone
        assert (compared["部署 closure"] == []) is (alone < len(DEPLOYMENTS))


def test_a_sweep_leaves_when_it_ran(office: Office) -> None:
    in_transaction(sweeps.note)
    assert watch._swept_at() == office.clock.real()


def test_a_watch_that_meets_a_fault_stays(office: Office) -> None:
    seen = threading.Semaphore(0)

    def step() -> None:
        seen.release()
        raise RuntimeError("once more")

    watch = Watch(step, seconds=0.001).start()
    assert all(seen.acquire(timeout=60) for _ in range(3))
    watch.stop()
