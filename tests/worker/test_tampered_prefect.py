"""A real Prefect, without a worker: what somebody did to it over its API, and what the watch and the sweep make of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.settings import PREFECT_SERVER_ALLOW_EPHEMERAL_MODE, temporary_settings

from models.messages import Channel
from office.base.settings import settings
from office.record import outbox
from office.runs import engine, recovery
from ops import deploy, watch
from ops.deploy import DEPLOYMENTS
from tests.play import Office
from tests.worker.conftest import Server

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def pool() -> str:
    """Where everything is deployed for these tests, once."""
    return f"pool-{uuid4().hex[:8]}"


@pytest.fixture
def api(
    office: Office, prefect_server: Server, pool: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SyncPrefectClient]:
    """Everything deployed and nothing paused, whatever an earlier test has done to it."""
    monkeypatch.setenv("DIANWU_WORK_POOL", pool)
    settings.cache_clear()
    engine.client.cache_clear()
    engine.deployment_id.cache_clear()
    with temporary_settings({PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False}):
        deploy.deploy([])
        engine.client().request("PATCH", f"/work_pools/{pool}", json={"is_paused": False})
        deploy.deploy({what.partition(" ")[2] for what, compare in watch._comparisons() if compare()})
        for name, deployment in watch._listed().items():
            if deployment.paused:
                _resume(engine.client(), name)
        yield engine.client()
    engine.client.cache_clear()
    engine.deployment_id.cache_clear()


def _resume(api: SyncPrefectClient, name: str) -> None:
    api.request("POST", f"/deployments/{api.read_deployment_by_name(f'{name}/{name}').id}/resume_deployment")


def alarms(office: Office) -> list[str]:
    """What the supervisor read, in order."""
    return [outbox.body(row)["what"] for row in office.outbox(Channel.STAFF, "engine_alarm")]


def change(api: SyncPrefectClient, name: str, **changes: Any) -> None:
    api.request("PATCH", f"/deployments/{api.read_deployment_by_name(f'{name}/{name}').id}", json=changes)


CHANGES: dict[str, dict[str, Any]] = {
    "steps": {"pull_steps": [{"prefect.deployments.steps.run_shell_script": {"script": "true"}}]},
    "an environment": {"job_variables": {"env": {"A": "b"}}},
    "another entrypoint": {"entrypoint": "flows/closure.py:withdraw"},
    "another folder": {"path": "/tmp"},
    "a parameter": {"parameters": {"case_id": "CLS-000000-AAAAAA"}},
    "a limit": {"concurrency_limit": 1},
    "a path that no file system knows": {"path": "/x\u0000y"},
    "another queue of our pool": {"work_queue_name": "limbo"},
    "parameters that nothing fits": {"parameter_openapi_schema": {"type": "object", "required": ["zzz"]}},
    "a schema that holds nobody up": {"enforce_parameter_schema": False},
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_deployment_of_ours_that_was_changed_is_put_back_and_told(
    office: Office, api: SyncPrefectClient, what: str
) -> None:
    assert watch.look() == []
    pool = {"work_pool_name": settings().work_pool} if "work_queue_name" in CHANGES[what] else {}
    change(api, "closure", **pool, **CHANGES[what])
    assert len(found := watch.look()) == 1
    assert watch.look() == [] and alarms(office) == found


def test_schedules_deployments_and_the_template_of_runs_that_are_gone_or_changed_are_put_back(
    office: Office, api: SyncPrefectClient
) -> None:
    assert watch.look() == []
    sweep = api.read_deployment_by_name("deadlines/deadlines")
    for schedule in sweep.schedules:
        api.delete_deployment_schedule(sweep.id, schedule.id)
    assert watch.look() == ["部署 deadlines 的定时被改动"]
    api.delete_deployment(api.read_deployment_by_name("appeal/appeal").id)
    assert watch.look() == ["部署 appeal 不见了"]
    pool = settings().work_pool
    template = {"job_configuration": {"env": {"A": "b"}}, "variables": {"type": "object", "properties": {}}}
    api.request("PATCH", f"/work_pools/{pool}", json={"base_job_template": template})
    assert watch.look() == [f"工作池 {pool} 的运行模板被改动"]
    assert watch.look() == [] and len(alarms(office)) == 3


def test_a_queue_of_our_pool_that_was_deleted_is_made_again(office: Office, api: SyncPrefectClient) -> None:
    pool = settings().work_pool
    queue = next(deployed.queue for deployed in DEPLOYMENTS if deployed.queue)
    api.request("DELETE", f"/work_pools/{pool}/queues/{queue}")
    assert f"工作池 {pool} 的队列 {queue} 不见了" in watch.look()
    assert watch.look() == []


def test_each_queue_is_paused_and_resumed_at_once_and_that_it_stands_still_is_told(
    office: Office, api: SyncPrefectClient
) -> None:
    """On SQLite, what told of a queue's new status once waited for the transaction that paused it, until its patience ended
    (tests/ops/test_prefect_plugin.py: nobody waits for their own transaction)."""
    pool = settings().work_pool
    ours = {deployed.queue or engine.DEFAULT_QUEUE for deployed in DEPLOYMENTS}
    queues = [queue.name for queue in api.read_work_queues(work_pool_name=pool) if queue.name in ours]
    assert len(queues) > 1
    for queue in queues:
        api.request("PATCH", f"/work_pools/{pool}/queues/{queue}", json={"is_paused": True})
        assert watch.look() == [] and f"队列 {queue} 被暂停" in alarms(office)
        api.request("PATCH", f"/work_pools/{pool}/queues/{queue}", json={"is_paused": False})
        api.request("PATCH", f"/work_pools/{pool}/queues/{queue}", json={"concurrency_limit": 0})
        api.request("PATCH", f"/work_pools/{pool}/queues/{queue}", json={"concurrency_limit": 1})


def test_a_pool_and_a_deployment_that_stand_still_are_told_and_not_undone(
    office: Office, api: SyncPrefectClient
) -> None:
    pool = settings().work_pool
    api.request("PATCH", f"/work_pools/{pool}", json={"is_paused": True})
    api.request("POST", f"/deployments/{api.read_deployment_by_name('closure/closure').id}/pause_deployment")
    assert watch.look() == []
    assert set(alarms(office)) == {f"工作池 {pool} 被暂停", "部署 closure 被暂停"}
    assert api.read_work_pool(pool).is_paused


UNREADABLE = {"storage_key": 5}
"""What Prefect's server keeps with a state, and its client cannot read."""


def carried(office: Office, shop_id: str) -> str:
    """A case that a run of this Prefect carries."""
    office.open_shop(shop_id)
    case = office.case(office.request_closure(shop_id).id)
    engine.start_run(case)
    return case.id


def run_of(office: Office, case_id: str) -> str:
    run_id = office.case(case_id).run_id
    assert run_id is not None
    return run_id


def enters(api: SyncPrefectClient, run_id: str, type_: str, **state: Any) -> None:
    api.request("POST", f"/flow_runs/{run_id}/set_state", json={"state": {"type": type_, **state}, "force": True})


def test_an_unreadable_state_keeps_no_other_run_from_being_mended(office: Office, api: SyncPrefectClient) -> None:
    cancelled, poisoned = carried(office, "shop-c"), carried(office, "shop-p")
    before = run_of(office, poisoned)
    enters(api, run_of(office, cancelled), "CANCELLED")
    enters(api, before, "RUNNING", data=UNREADABLE)
    recovery.recover()
    assert office.case(cancelled).run_id is None and office.case(poisoned).run_id is None
    assert "run.meddled" in office.trail(poisoned)
    recovery.end_strays()
    assert api.read_flow_run(UUID(before)).state_type is StateType.CANCELLED


def test_a_suspended_run_with_an_unreadable_state_is_woken(office: Office, api: SyncPrefectClient) -> None:
    case_id = carried(office, "shop-h")
    enters(api, run_of(office, case_id), "PAUSED", data=UNREADABLE)
    recovery.recover()
    recovery.end_strays()
    assert "form.hidden" in office.trail(case_id)
    engine.PrefectEngine().signal(case_id)
    assert api.read_flow_run(UUID(run_of(office, case_id))).state_type is StateType.SCHEDULED


def test_a_stranger_with_an_unreadable_state_is_ended(office: Office, api: SyncPrefectClient) -> None:
    case_id = carried(office, "shop-s")
    flow = api.read_deployment_by_name("closure/closure").flow_id
    made = _made(api, str(flow), case_id, "x")
    enters(api, made, "PAUSED", data=UNREADABLE)
    recovery.end_strays()
    assert api.read_flow_run(UUID(made)).state_type is StateType.CANCELLED
    assert "run.stranger" in office.trail(case_id)


def test_a_run_whose_pool_was_deleted_is_replaced_and_told(office: Office, api: SyncPrefectClient) -> None:
    case_id = carried(office, "shop-d")
    before = run_of(office, case_id)
    api.request("DELETE", f"/work_pools/{settings().work_pool}")
    assert watch.look() and watch.look() == []
    recovery.recover()
    assert office.case(case_id).run_id is None and "run.meddled" in office.trail(case_id)
    engine.PrefectEngine().signal(case_id)
    run = api.read_flow_run(UUID(run_of(office, case_id)))
    assert str(run.id) != before and run.work_pool_name == settings().work_pool and run.work_queue_name == "default"


def test_nobody_makes_the_next_run_of_a_case_beforehand(office: Office, api: SyncPrefectClient) -> None:
    case_id = carried(office, "shop-i")
    flow, attempt = api.read_deployment_by_name("closure/closure").flow_id, office.case(case_id).run_attempt + 1
    made = [
        _made(api, str(flow), case_id, f"{case_id}/{attempt}"),
        _made(api, str(flow), case_id, engine._key_of(office.case(case_id), attempt)),
    ]
    api.delete_flow_run(UUID(run_of(office, case_id)))
    recovery.recover()
    with pytest.raises(engine.EngineDown):  # the key was known after all: it is passed over, and told
        engine.PrefectEngine().signal(case_id)
    assert "run.planted" in office.trail(case_id)
    engine.PrefectEngine().signal(case_id)
    assert run_of(office, case_id) not in made


def _made(api: SyncPrefectClient, flow: str, case_id: str, key: str) -> str:
    asked = {
        "flow_id": flow,
        "name": "x",
        "parameters": {"case_id": case_id},
        "idempotency_key": key,
        "state": {"type": "PAUSED"},
    }
    return str(api.request("POST", "/flow_runs/", json=asked).json()["id"])
