"""The watch: compares Prefect with what was deployed from here, puts back what somebody changed, and has people told.

It runs beside the door and not in Prefect, because whoever reaches Prefect's API can pause, limit or delete everything that
runs there. What each change can do to us stands in docs/engine-authority.md.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName, FlowFilter, FlowFilterName
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from models.audit import Installation
from models.text import shortened
from office.base.clock import clock
from office.base.db import in_transaction, reading
from office.base.settings import settings
from office.cases import alarms
from office.runs import engine
from office.runs.sweeps import SWEPT
from ops import deploy
from ops.deploy import DEPLOYMENTS, ROOT, Deployed
from ops.worker.authority import in_deployment, in_pool, same_place
from ops.worker.worker import DianwuWorker

logger = logging.getLogger("dianwu.watch")

EVERY_SECONDS = 60.0
SILENCE = timedelta(minutes=5)
"""The sweep runs every minute. So long without one, and somebody or something holds up everything that runs in Prefect."""
UNREACHED = (httpx.HTTPError, PrefectHTTPStatusError, ObjectNotFound)


def look() -> list[str]:
    """Hear silence, then compare once; returns what was found and put back. Raises while Prefect is out of reach.

    What cannot be compared was changed too, and keeps nothing else from being compared.
    """
    _hear_silence()
    found: list[str] = []
    standing: list[str] = []
    changed: set[str] = set()
    for what, compare in _comparisons():
        before = len(found)
        try:
            found += compare()
        except httpx.TransportError:
            raise
        except Exception:  # something of somebody's that Prefect or its client cannot read; told below
            logger.exception("%s could not be compared", what)
            found.append(f"{what} 无法比对")
        if len(found) > before:
            changed.add(what.partition(" ")[2])
    try:
        standing = list(_held_up())
    except Exception:
        logger.exception("what is paused could not be read")
    if found:
        done = _put_back(changed)
        for line in found:
            _tell("engine.put_back", line, kind=f"put-back/{line.partition('被换成')[0]}", done=done)
    for line in standing:
        _tell(
            "engine.held_up",
            line,
            kind=f"held-up/{line}",
            done=("未自动恢复，因为可能是本团队的操作。如不是，请恢复，并立即更换 Prefect 的口令。"),
        )
    return found


def _put_back(changed: set[str]) -> str:
    """Deploy anew what was changed; what to say of it."""
    try:
        deploy.deploy(changed)
    except Exception:  # told instead; the next look tries again
        logger.exception("what was changed could not be put back")
        return "未能全部恢复，将继续尝试。请执行 dianwu deploy 和 dianwu doctor 查明原因，并立即更换 Prefect 的口令。"
    return "已按本系统的部署恢复。如非本团队人员操作，说明有人能使用 Prefect 接口，请立即更换其口令。"


def _hear_silence() -> None:
    """Needs our database alone: whatever becomes of Prefect, silence is heard."""
    if silent := silence(_swept_at(), clock().real()):
        _tell(
            "engine.silent",
            silent,
            kind="silent",
            done=(
                "到期处理、提醒与投递可能已停顿。请检查：工作池与部署是否被暂停、并发限制是否被改动、执行端是否在运行（dianwu doctor）。"
            ),
        )


def silence(swept_at: datetime | None, now: datetime) -> str:
    """What to say when no sweep has run for too long; nothing when one has, or none ever did."""
    if swept_at is not None and swept_at - now > SILENCE:
        return "最近一次时限巡检的时间在将来，不是本系统所写：无法得知巡检是否在运行"
    if swept_at is None or now - swept_at <= SILENCE:
        return ""
    return f"时限巡检已有 {int((now - swept_at) / timedelta(minutes=1))} 分钟没有运行"


def _swept_at() -> datetime | None:
    with reading() as tx:
        kept = tx.get(Installation, SWEPT)
    try:
        return datetime.fromisoformat(kept.value).astimezone(UTC) if kept else None
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)  # not ours, like one of the future


def _tell(action: str, what: str, *, kind: str, done: str) -> None:
    in_transaction(lambda tx: alarms.raise_alarm(tx, action, what, kind=kind, matter="Prefect", done=done))


# ── what is compared ─────────────────────────────────────────────────────────


def _comparisons() -> Iterable[tuple[str, Callable[[], list[str]]]]:
    yield f"工作池 {settings().work_pool}", lambda: list(_pool())
    listed = _listed()
    for deployed in DEPLOYMENTS:
        yield f"部署 {deployed.flow.name}", lambda d=deployed: list(_deployment(d, listed))  # type: ignore[misc]


def _pool() -> Iterable[str]:
    name = settings().work_pool
    try:
        pool = engine.client().read_work_pool(name)
    except ObjectNotFound:
        yield f"工作池 {name} 不见了"
        return
    if pool.type != settings().worker_type:
        yield f"工作池 {name} 的类型被换成了 {shortened(pool.type, 64)}"
    elif pool.type == DianwuWorker.type and any(in_pool(pool.base_job_template)):
        yield f"工作池 {name} 的运行模板被改动"
    there = {queue.name for queue in engine.client().read_work_queues(work_pool_name=name)}
    for gone in sorted({deployed.queue for deployed in DEPLOYMENTS if deployed.queue} - there):
        yield f"工作池 {name} 的队列 {gone} 不见了"


def _held_up() -> Iterable[str]:
    """What keeps our runs from starting, and may be an operator's: pauses, and limits that let none through."""
    name = settings().work_pool
    pool = engine.client().read_work_pool(name)
    if pool.is_paused or pool.concurrency_limit == 0:
        yield f"工作池 {name} 被暂停"
    ours = {deployed.queue or engine.DEFAULT_QUEUE for deployed in DEPLOYMENTS}
    for queue in engine.client().read_work_queues(work_pool_name=name):
        if queue.name in ours and (queue.is_paused or queue.concurrency_limit == 0):
            yield f"队列 {queue.name} 被暂停"
    listed = _listed()
    for deployed in DEPLOYMENTS:
        if _read(deployed.flow.name, listed).paused:
            yield f"部署 {deployed.flow.name} 被暂停"


def _listed() -> dict[str, DeploymentResponse]:
    """Our deployments by their names, in two calls: none, where one keeps the others from being read with it."""
    names = [deployed.flow.name for deployed in DEPLOYMENTS]
    ours = FlowFilter(name=FlowFilterName(any_=names))
    named = DeploymentFilter(name=DeploymentFilterName(any_=names))
    try:
        flows = {flow.id: flow.name for flow in engine.client().read_flows(flow_filter=ours)}
        found = engine.client().read_deployments(flow_filter=ours, deployment_filter=named)
    except httpx.TransportError:
        raise
    except Exception:  # told of the one that it is, which is read by itself
        logger.exception("deployments could not be read together")
        return {}
    return {one.name: one for one in found if flows.get(one.flow_id) == one.name}


def _read(name: str, listed: dict[str, DeploymentResponse]) -> DeploymentResponse:
    return listed.get(name) or engine.client().read_deployment_by_name(f"{name}/{name}")


def _deployment(deployed: Deployed, listed: dict[str, DeploymentResponse]) -> Iterable[str]:
    name = deployed.flow.name
    try:
        found = _read(name, listed)
    except ObjectNotFound:
        yield f"部署 {name} 不见了"
        return
    changed = list(differences(deployed, found))
    if changed:
        _strip(found.id, deployed)
    yield from changed


def differences(deployed: Deployed, found: DeploymentResponse) -> Iterable[str]:
    """What a deployment says that was not deployed from here."""
    name = deployed.flow.name
    if found.entrypoint != deployed.entrypoint or not same_place(found.path, ROOT):
        yield f"部署 {name} 的代码位置被改动"
    if any(in_deployment(found)):
        yield f"部署 {name} 被加上了执行步骤、环境变量或存储"
    if found.work_pool_name != settings().work_pool or found.work_queue_name != (
        deployed.queue or engine.DEFAULT_QUEUE
    ):
        yield f"部署 {name} 被移到了别的工作池或队列"
    if (found.parameters or {}) != {}:
        yield f"部署 {name} 被加上了默认参数"
    asked = _bare(found.parameter_openapi_schema or {})
    if asked != _bare(deployed.parameter_schema) or not found.enforce_parameter_schema:
        yield f"部署 {name} 的参数格式被改动"
    ours = [] if deployed.schedule is None else [getattr(deployed.schedule, "cron", None)]
    theirs = [getattr(entry.schedule, "cron", None) for entry in found.schedules if entry.active]
    if theirs != ours:
        yield f"部署 {name} 的定时被改动"
    limit = found.global_concurrency_limit.limit if found.global_concurrency_limit else None
    if limit != (1 if deployed.alone else None):
        yield f"部署 {name} 的并发限制被改动"


def _bare(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without its empty parts, which come and go on the way."""
    return {name: part for name, part in schema.items() if part not in (None, {}, [])}


def _strip(deployment_id: UUID, deployed: Deployed) -> None:
    """Put back what deploying anew leaves where it is."""
    bare: dict[str, Any] = {
        "path": str(ROOT), "entrypoint": deployed.entrypoint, "pull_steps": [], "job_variables": {}, "parameters": {}, "storage_document_id": None,
        "infrastructure_document_id": None, "concurrency_limit": None, "work_pool_name": settings().work_pool,
        "work_queue_name": deployed.queue or engine.DEFAULT_QUEUE, "parameter_openapi_schema": deployed.parameter_schema,
        "enforce_parameter_schema": True,
    }  # fmt: skip
    engine.client().request("PATCH", "/deployments/{id}", path_params={"id": deployment_id}, json=bare)


class Watch:
    """A thread that compares every minute, beside the courier."""

    def __init__(self, step: Callable[[], object] = look, seconds: float = EVERY_SECONDS) -> None:
        self._step, self._seconds, self._stop = step, seconds, threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> Watch:
        self._thread.start()
        return self

    def stop(self, timeout: float = 10) -> None:
        self._stop.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self._step()
            except UNREACHED as away:
                logger.warning("Prefect could not be compared: %s", type(away).__name__)
            except Exception:  # whatever it was, a watch that has gone home sees nothing
                logger.exception("comparing failed; trying again")
