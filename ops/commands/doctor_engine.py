"""The doctor looks at Prefect: its version, pool, deployments, messaging and services."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from uuid import uuid4

import httpx

from models.windows import duration
from office.base.settings import Settings
from ops.commands.doctor_office import SKEW
from ops.commands.health import Check, bad, good, warn

PREFECT_VERSION = "3.8."
"""What this version was measured on; the engine facts it relies on hold for these releases."""


# ── Prefect ──────────────────────────────────────────────────────────────────


def deployments() -> list[str]:
    """Flows that must be deployed: all that ``dianwu deploy`` deploys."""
    from ops.deploy import DEPLOYMENTS

    return [deployed.flow.name for deployed in DEPLOYMENTS]


def prefect(given: Settings) -> Iterator[Check]:
    """Reachable, of the right release, with our pool, a live worker and every deployment."""
    user, _, password = given.prefect_auth.get_secret_value().partition(":")
    here: dict[str, None] = dict.fromkeys(("all://127.0.0.1", "all://localhost", "all://[::1]"))  # never by a proxy
    start = "dianwu up（或检查 prefect_api_url、prefect_auth）"
    try:
        auth = (user, password) if user else None
        with httpx.Client(base_url=given.prefect_api, timeout=5, auth=auth, mounts=here) as client:
            answer = client.get("/admin/version")
            if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
                yield bad("Prefect", "拒绝了我们的访问凭据", "核对 prefect_auth 与服务器的设置")
                return
            answer.raise_for_status()
            yield _version(str(answer.json()))
            yield from _skew(answer)
            yield from _pool(client, given)
            yield from _deployed(client, deployments())
            yield from _carried(client)
            yield from _kept_ahead(client)
    except (httpx.HTTPError, ValueError) as error:
        yield bad("Prefect", f"{given.prefect_api} 没有正常应答（{type(error).__name__}）", start)


def _version(version: str) -> Check:
    if version.startswith(PREFECT_VERSION):
        return good("Prefect", f"可用，版本 {version}")
    return bad(
        "Prefect", f"版本是 {version}，本程序只在 {PREFECT_VERSION}x 上验证过", "按 constraints.txt 安装 Prefect"
    )


def _skew(answer: httpx.Response) -> Iterator[Check]:
    stamp = answer.headers.get("date")
    apart = abs(datetime.now(UTC) - parsedate_to_datetime(stamp)) if stamp else timedelta(0)
    if apart > SKEW:
        yield warn("机器时间", f"与 Prefect 服务器相差 {duration(apart)}", "在每台机器上启用时间同步（NTP）")


def _pool(client: httpx.Client, given: Settings) -> Iterator[Check]:
    answer = client.get(f"/work_pools/{given.work_pool}")
    if answer.status_code == httpx.codes.NOT_FOUND:
        yield bad("工作池", f"没有名为 {given.work_pool} 的工作池", "dianwu deploy")
        return
    pool = answer.raise_for_status().json()
    if pool.get("is_paused"):
        yield bad("工作池", f"工作池 {given.work_pool} 已暂停，案件不会前进", "在 Prefect 界面恢复该工作池")
    elif pool["type"] != given.worker_type:
        sentence = f"类型是 {pool['type']}，设置为 {given.worker_type}"
        yield warn("工作池", sentence, "改设置中的 worker_type，或换一个 work_pool")
    else:
        yield good("工作池", f"{given.work_pool}({pool['type']})")
    workers = client.post(f"/work_pools/{given.work_pool}/workers/filter", json={}).raise_for_status().json()
    online = [worker["name"] for worker in workers if worker.get("status") == "ONLINE"]
    if online:
        yield good("执行进程", f"{len(online)} 个在线：{'、'.join(online[:5])}{' 等' if len(online) > 5 else ''}")
    else:
        yield bad("执行进程", "没有在线的执行进程，案件不会前进", "dianwu up，或另行启动执行进程")


def _deployed(client: httpx.Client, names: Iterable[str]) -> Iterator[Check]:
    missing, paused = [], []
    for name in names:
        answer = client.get(f"/deployments/name/{name}/{name}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            missing.append(name)
        elif answer.raise_for_status().json().get("paused"):
            paused.append(name)
    if missing:
        yield bad("部署", f"缺少 {'、'.join(missing)}", "dianwu deploy")
    if paused:
        yield bad("部署", f"{'、'.join(paused)} 已暂停", "在 Prefect 界面恢复")
    if not missing and not paused:
        yield good("部署", "全部流程都已部署")


PATIENCE = 30.0
"""Seconds for Prefect to say whether it reached Redis: it tries for some eight before it says no."""


def _carried(client: httpx.Client) -> Iterator[Check]:
    """Whether Prefect can pass messages on, which with several servers takes Redis: one that nobody keeps."""
    word = {
        "id": str(uuid4()),
        "event": "dianwu.doctor.looked",
        "occurred": datetime.now(UTC).isoformat(),
        "resource": {"prefect.resource.id": "dianwu.doctor"},
    }
    try:
        alone = {"connection": "close"}  # after such an answer the server hangs up: what is asked next is asked anew
        said = client.post("/events", json=[word], timeout=PATIENCE, headers=alone).status_code
    except httpx.TimeoutException:
        said = httpx.codes.GATEWAY_TIMEOUT
    if not httpx.codes.is_success(said):
        sentence = f"Prefect 不能传递消息（应答 {said:d}），案件不会前进"
        yield bad("消息通道", sentence, "检查 Redis 是否在运行（PREFECT_REDIS_MESSAGING_HOST），恢复后案件自动继续")
    else:
        yield good("消息通道", "Prefect 能传递消息")


AHEAD = timedelta(minutes=50)
"""Prefect's services plan an hour ahead and look each minute: less than this is left when they have been away for ten."""


def _kept_ahead(client: httpx.Client) -> Iterator[Check]:
    """Whether Prefect's background services plan the runs that keep time; with several servers they are apart."""
    asked = {
        "deployments": {"name": {"any_": ["deadlines"]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
        "sort": "EXPECTED_START_TIME_DESC",
        "limit": 1,
    }
    planned = client.post("/flow_runs/filter", json=asked).raise_for_status().json()
    until = datetime.fromisoformat(planned[0]["expected_start_time"]) if planned else None
    if until is not None and until - datetime.now(UTC) >= AHEAD:
        yield good("后台服务", "Prefect 的后台服务在排定巡检")
    else:
        yield bad(
            "后台服务",
            "Prefect 没有排定后续的巡检，期限与补投将停摆",
            "确认后台服务在运行（prefect server services start；单机即 dianwu up）；刚启动的请稍后再查",
        )
