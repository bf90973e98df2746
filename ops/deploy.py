"""Deployments: tell Prefect which flows there are, who runs them and when. Doing it again changes nothing."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import EntrypointType, RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Cron, Schedule
from prefect.workers.base import BaseWorker

import flows
from flows import deadlines, delivery, months
from flows.stories import STORIES
from office.base.db import in_transaction
from office.base.settings import settings
from office.cases import alarms
from ops.worker.authority import Authority, Known, Refusal, here
from ops.worker.worker import DianwuWorker

ROOT = Path(flows.__file__).resolve().parent.parent
"""Where the flows are found by a worker: the folder that holds the ``flows`` package."""

MONTHLY = Cron("0 2 1 * *", timezone="Asia/Shanghai")
TWICE_A_MONTH = Cron("0 4 1,16 * *", timezone="Asia/Shanghai")
EVERY_MINUTE = Cron("* * * * *", timezone="Asia/Shanghai")


@dataclass(frozen=True)
class Deployed:
    """One deployment: its flow, its schedule, and what operators filter by."""

    flow: Flow[Any, Any]
    tags: tuple[str, ...]
    schedule: Schedule | None = None
    alone: bool = False
    """Never two runs at once: the next one is skipped while one is under way."""
    queue: str | None = None
    """A work queue of its own, one run at a time, so that long work never takes the place of people's cases."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What a run of it may be given: name → the pattern of the whole value. Anything else is not run."""

    @property
    def entrypoint(self) -> str:
        """``flows/closure.py:close_shop``: where a worker finds the flow, from :data:`ROOT`."""
        told = self.flow.fn
        return f"{told.__module__.replace('.', '/')}.py:{told.__name__}"

    @property
    def parameter_schema(self) -> dict[str, Any]:
        """What Prefect checks a run's parameters by before it makes one."""
        return self.flow.parameters.model_dump_for_openapi()


CASE = {"case_id": r"[A-Z]{3}-[0-9]{6}-[0-9A-Z]{6}"}
MONTH = {"period": r"([0-9]{4}-[0-9]{2})?"}
HALF = {"half": r"([0-9]{4}-[0-9]{2}-[12])?"}

DEPLOYMENTS = (
    *(Deployed(story.tell, (kind.label,), queue=story.queue, parameters=CASE) for kind, story in STORIES.items()),
    Deployed(months.open_month, ("月度开票",), MONTHLY, alone=True, parameters=MONTH),
    Deployed(months.open_half, ("货款结算",), TWICE_A_MONTH, alone=True, parameters=HALF),
    Deployed(deadlines.keep_deadlines, ("巡检",), EVERY_MINUTE, alone=True),
    Deployed(delivery.deliver_everything, ("投递",), EVERY_MINUTE, alone=True),
)


def authority() -> Authority:
    """What our worker executes: these deployments and nothing else, whatever Prefect's API says of them or of others."""
    flows_ = {
        deployed.flow.name: Known(
            deployed.entrypoint, deployed.parameters, frozenset(deployed.flow.parameters.required)
        )
        for deployed in DEPLOYMENTS
    }
    return Authority(here(ROOT), flows_, _not_executed)


def _not_executed(refusal: Refusal) -> None:
    in_transaction(
        lambda tx: alarms.run_refused(tx, refusal.run_id, refusal.run_name, refusal.deployment, refusal.reason)
    )


def deploy(only: Container[str] | None = None) -> list[str]:
    """Create the work pool and every deployment, or those of these names, at the Prefect the settings name; their names."""
    given = settings()
    _work_pool(given.work_pool, given.worker_type)
    made = []
    for deployed in DEPLOYMENTS:
        name = deployed.flow.name
        if only is not None and name not in only:
            continue
        deployment = RunnerDeployment.from_flow(
            deployed.flow,
            name=name,
            description=deployed.flow.description,
            tags=["店务", *deployed.tags],
            schedule=deployed.schedule,
            work_pool_name=given.work_pool,
            work_queue_name=deployed.queue,
            entrypoint_type=EntrypointType.FILE_PATH,
            concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
            if deployed.alone
            else None,
        )
        deployment.entrypoint = deployed.entrypoint
        deployment._path = str(ROOT)
        deployment.apply(work_pool_name=given.work_pool)
        made.append(name)
    return made


def _work_pool(name: str, type_: str) -> None:
    """The pool, and the queues of their own."""
    worker = BaseWorker.get_worker_class_from_type(type_)
    template = worker.get_default_base_job_template() if worker else {}
    with get_client(sync_client=True) as client:
        try:
            pool = client.read_work_pool(name)
            if pool.type == DianwuWorker.type and pool.base_job_template != template:
                client.update_work_pool(name, WorkPoolUpdate(base_job_template=template))
        except ObjectNotFound:
            client.create_work_pool(WorkPoolCreate(name=name, type=type_, base_job_template=template))
        for queue in {deployed.queue for deployed in DEPLOYMENTS if deployed.queue}:
            try:
                client.read_work_queue_by_name(queue, work_pool_name=name)
            except ObjectNotFound:
                client.create_work_queue(queue, work_pool_name=name, concurrency_limit=1)


if __name__ == "__main__":
    deploy()
