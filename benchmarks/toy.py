"""What a bare segment costs, without any of our own work: CPU of worker, its processes and the server, stock and ours.

    python -m benchmarks.toy                       # both worker types on one server, scratch SQLite
    python -m benchmarks.toy --cases 200 --only dianwu --database postgresql+asyncpg://…
    python -m benchmarks.toy --without observer,heartbeat   # put back what we leave away

One case is two segments: the flow suspends for input, is resumed, and ends. CPU comes from /proc (user and
system time of live and reaped processes), so the figures hold whatever else the machine does; latencies do not.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

from benchmarks.processes import cpu_seconds
from ops.worker.authority import Authority, Known, here

FLOW = """
from prefect import flow, suspend_flow_run
from prefect.input import RunInput

class Decision(RunInput):
    approved: bool

@flow
def case(n: str):
    suspend_flow_run(wait_for_input=Decision, key="review", timeout=None)
"""
UNDO = {
    "observer": "from ops.worker.engine import SegmentEngine as E; del E.setup_flow_run_suspension_request",
    "known": "from ops.worker.engine import SegmentClient as C; del C.read_flow_run, C.update_flow_run",
}
"""Put into the measured flow's file, which a warm process imports before its first segment."""

CODE = "DIANWU_TOY_CODE"


def authority() -> Authority:
    """What the measured worker executes."""
    return Authority(here(Path(os.environ[CODE])), {"toy": Known("case.py:case", {"n": "[0-9]+"})})


@contextmanager
def running(arguments: list[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A Prefect command, ended with the block."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", *arguments],
            env={**os.environ, **env},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def wait(question: Callable[[], bool], seconds: float = 600, pause: float = 0.02) -> None:
    """Poll until true; raises after `seconds`."""
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(pause)


def healthy(url: str) -> bool:
    """Whether the server answers."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2):
            return True
    except OSError:
        return False


def measure(
    kind: str, cases: int, folder: Path, server: subprocess.Popen[bytes], env: dict[str, str]
) -> dict[str, object]:
    """CPU of `cases` cases handed in at once, latencies of a few one by one, on a worker of one type."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate

    name = f"{kind}-{uuid4().hex[:6]}"
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=name, type=kind))
        deployment = client.create_deployment(
            flow_id=client.create_flow_from_name("case"),
            name="toy",
            entrypoint="case.py:case",
            path=str(folder),
            work_pool_name=name,
        )

        def submit(n: int) -> UUID:
            return client.create_flow_run_from_deployment(deployment, parameters={"n": str(n)}).id

        def resume(run: UUID) -> None:
            wait(lambda: client.resume_flow_run(run, run_input={"approved": True}).status.value == "ACCEPT")

        def reached(state: str, count: int, pause: float) -> None:
            pool_runs = {
                "flow_runs": {"state": {"name": {"any_": [state]}}},
                "work_pools": {"name": {"any_": [name]}},
            }
            wait(lambda: client.request("POST", "/flow_runs/count", json=pool_runs).json() >= count, pause=pause)

        arguments = ["worker", "start", "--type", kind, "--pool", name]
        with running(arguments, env, folder / f"{kind}.log") as worker:
            waits: list[tuple[float, float]] = []
            singles = 8 if kind == "dianwu" else 2
            for n in range(singles):
                begun = time.monotonic()
                run = submit(n)
                reached("Suspended", 1, 0.02)
                shown = time.monotonic()
                resume(run)
                decided = time.monotonic()
                reached("Completed", n + 1, 0.02)
                waits.append((shown - begun, time.monotonic() - decided))
            time.sleep(4)
            before, started = (cpu_seconds(worker.pid), cpu_seconds(server.pid)), time.monotonic()
            runs = [submit(n) for n in range(cases)]
            reached("Suspended", cases, 0.5)
            for run in runs:
                resume(run)
            reached("Completed", singles + cases, 0.5)
            took = time.monotonic() - started
            time.sleep(4)  # logs and events still on their way belong to the cost
            after = cpu_seconds(worker.pid), cpu_seconds(server.pid)
    client_cpu, server_cpu = ((b - a) / (2 * cases) for a, b in zip(before, after, strict=True))
    return {
        "worker": kind,
        "worker_cpu_per_segment": round(client_cpu, 3),
        "server_cpu_per_segment": round(server_cpu, 3),
        "total_cpu_per_segment": round(client_cpu + server_cpu, 3),
        "submit_to_suspended_p50": round(statistics.median(w[0] for w in waits[1:]), 2),
        "decision_to_done_p50": round(statistics.median(w[1] for w in waits[1:]), 2),
        "segments_per_second": round(2 * cases / took, 1),
    }


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--only", choices=["process", "dianwu"])
    parser.add_argument("--database", help="URL for Prefect's server (postgresql+asyncpg://…), else SQLite")
    parser.add_argument("--without", default="", help="what to put back: observer,heartbeat,known")
    chosen = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        env = {
            "PREFECT_HOME": str(folder / "home"),
            "PREFECT_API_URL": url,
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DIANWU_WORKER_PROCESSES": "2",
            "DIANWU_WORKER_AUTHORITY": "benchmarks.toy:authority",
            CODE: str(folder / "code"),
        }
        if chosen.database:
            env["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = chosen.database
        undo = [name for name in chosen.without.split(",") if name]
        if "heartbeat" in undo:
            env["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] = "180"
        os.environ.update(env)
        server = ["server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"]
        (folder / "code").mkdir()
        head = "\n".join(UNDO[name] for name in undo if name in UNDO)
        (folder / "code" / "case.py").write_text(f"{head}\n{FLOW}", encoding="utf-8")
        with running(server, env, folder / "server.log") as process:
            wait(lambda: healthy(url), 120)
            for kind in [chosen.only] if chosen.only else ["dianwu", "process"]:
                cases = chosen.cases if kind == "dianwu" else max(3, chosen.cases // 8)
                print(json.dumps(measure(kind, cases, folder / "code", process, env)), flush=True)


if __name__ == "__main__":
    main()
