"""A real Prefect, without a worker: what somebody did to it over its API, and what the watch and the sweep make of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.settings import PREFECT_SERVER_ALLOW_EPHEMERAL_MODE, temporary_settings

from models.messages import Channel
from office.base.settings import settings
from office.base.vault import opened_json
from office.runs import engine
from ops import deploy, watch
from ops.deploy import DEPLOYMENTS
from tests.play import Office
from tests.worker.conftest import Server

pytestmark = pytest.mark.engine


@pytest.fixture
def api(office: Office, prefect_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[SyncPrefectClient]:
    """Everything deployed, into a pool of this test."""
    monkeypatch.setenv("DIANWU_WORK_POOL", f"pool-{uuid4().hex[:8]}")
    settings.cache_clear()
    engine.client.cache_clear()
    engine.deployment_id.cache_clear()
    with temporary_settings({PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False}):
        deploy.deploy()
        for deployed in DEPLOYMENTS:
            _resume(engine.client(), deployed.flow.name)
        yield engine.client()
    engine.client.cache_clear()
    engine.deployment_id.cache_clear()


def _resume(api: SyncPrefectClient, name: str) -> None:
    api.request("POST", f"/deployments/{api.read_deployment_by_name(f'{name}/{name}').id}/resume_deployment")


def alarms(office: Office) -> list[str]:
    """What the supervisor read, in order."""
    return [opened_json(row, "payload_sealed")["what"] for row in office.outbox(Channel.STAFF, "engine_alarm")]


def change(api: SyncPrefectClient, name: str, **changes: Any) -> None:
    api.request("PATCH", f"/deployments/{api.read_deployment_by_name(f'{name}/{name}').id}", json=changes)


CHANGES: dict[str, dict[str, Any]] = {
    "a path that no file system knows": {"path": "/x\u0000y"},
    "another queue of our pool": {"work_queue_name": "limbo"},
    "parameters that nothing fits": {"parameter_openapi_schema": {"type": "object", "required": ["zzz"]}},
    "a schema that holds nobody up": {"enforce_parameter_schema": False},
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_nobody_compared_is_put_back_and_told(office: Office, api: SyncPrefectClient, what: str) -> None:
    assert watch.look() == []
    pool = {"work_pool_name": settings().work_pool} if "work_queue_name" in CHANGES[what] else {}
    change(api, "closure", **pool, **CHANGES[what])
    assert len(found := watch.look()) == 1
    assert watch.look() == [] and alarms(office) == found


def test_a_queue_of_our_pool_that_was_deleted_is_made_again(office: Office, api: SyncPrefectClient) -> None:
    pool = settings().work_pool
    queue = next(deployed.queue for deployed in DEPLOYMENTS if deployed.queue)
    api.request("DELETE", f"/work_pools/{pool}/queues/{queue}")
    assert f"工作池 {pool} 的队列 {queue} 不见了" in watch.look()
    assert watch.look() == []


def test_each_queue_is_paused_and_resumed_at_once_and_that_it_stands_still_is_told(
    office: Office, api: SyncPrefectClient
) -> None:
    """On SQLite, what told of a queue's new status once waited for the transaction that paused it, for a minute."""
    pool = settings().work_pool
    queues = [queue.name for queue in api.read_work_queues(work_pool_name=pool)]
    assert len(queues) > 1
    for queue in queues:
        began = time.monotonic()
        api.request("PATCH", f"/work_pools/{pool}/queues/{queue}", json={"is_paused": True})
        assert watch.look() == [] and f"队列 {queue} 被暂停" in alarms(office)
        api.request("PATCH", f"/work_pools/{pool}/queues/{queue}", json={"is_paused": False})
        api.request("PATCH", f"/work_pools/{pool}/queues/{queue}", json={"concurrency_limit": 0})
        api.request("PATCH", f"/work_pools/{pool}/queues/{queue}", json={"concurrency_limit": 1})
        assert time.monotonic() - began < 30  # it took sixty and more each


def test_a_pool_and_a_deployment_that_stand_still_are_told_and_not_undone(
    office: Office, api: SyncPrefectClient
) -> None:
    pool = settings().work_pool
    api.request("PATCH", f"/work_pools/{pool}", json={"is_paused": True})
    api.request("POST", f"/deployments/{api.read_deployment_by_name('closure/closure').id}/pause_deployment")
    assert watch.look() == []
    assert set(alarms(office)) == {f"工作池 {pool} 被暂停", "部署 closure 被暂停"}
    assert api.read_work_pool(pool).is_paused
