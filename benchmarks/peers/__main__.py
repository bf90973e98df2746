"""Others on the same case (check, a person's review, effect), each in an environment of its own, on PostgreSQL.

    python -m benchmarks.peers                  DBOS and Apache Airflow's human-in-the-loop operators
    python -m benchmarks.peers --only dbos --cases 100

Environments are made in ``build/peers`` from the pinned and hashed files beside this one. Every decision is prompt:
given once, the moment the question can be seen. A peer that cannot be had is reported with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from benchmarks.processes import cpu_seconds, memory_mb
from benchmarks.site import databases, times, until

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE.parent.parent / "build" / "peers"


def environment(name: str) -> Path:
    """The Python of a peer, installed from its pins when it is not there yet."""
    folder = ENVIRONMENTS / name
    python, stamp = folder / "bin" / "python", folder / ".installed"
    pins = HERE / f"{name}.txt"
    if not stamp.exists() or stamp.read_bytes() != pins.read_bytes():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(python), "--no-deps"]
        subprocess.run([*install, "--require-hashes", "-r", str(pins)], check=True)
        shutil.copy(pins, stamp)
    return python


def version(python: Path, package: str) -> str:
    code = f"import importlib.metadata as m; print(m.version('{package}'))"
    return subprocess.run([str(python), "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def dbos(cases: int) -> dict[str, Any]:
    python = environment("dbos")
    with tempfile.TemporaryDirectory() as folder, databases("postgres", Path(folder)) as found:
        before = cpu_seconds(found.server)
        command = [str(python), str(HERE / "dbos_case.py"), found.own, str(cases)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=600)
        served = cpu_seconds(found.server) - before
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    everything = cases + 23  # PostgreSQL also served the ones before
    figures["cpu_per_case"] = round(figures.pop("cpu_client") / cases + served / everything, 3)
    return figures | {"version": version(python, "dbos")}


def airflow(cases: int) -> dict[str, Any]:
    python = environment("airflow")
    cases = max(4, cases // 5)
    with tempfile.TemporaryDirectory() as scratch, databases("postgres", Path(scratch)) as found:
        folder = Path(scratch)
        (folder / "dags").mkdir()
        shutil.copy(HERE / "airflow_dag.py", folder / "dags" / "case.py")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
            "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "true",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": found.own.replace("postgresql", "postgresql+psycopg2"),
        }
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([str(python.parent / "airflow"), "standalone"], env=env, stdout=log, stderr=log)
        try:
            return _airflow(process, url, cases, found.server) | {"version": version(python, "apache-airflow")}
        except Exception:
            sys.stderr.write((folder / "log").read_text(errors="replace")[-3000:])
            raise
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def _airflow(process: subprocess.Popen[bytes], url: str, cases: int, postmaster: int) -> dict[str, Any]:
    client = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def token() -> str | None:
        try:
            answer = client.get("/auth/token")
            return answer.json()["access_token"] if answer.is_success else None
        except httpx.HTTPError:
            return None

    client.headers["authorization"] = f"Bearer {until(token, 'Airflow answers', 300, 0.5)}"
    until(lambda: client.get("/api/v2/dags/case").is_success, "Airflow has read the DAG", 300, 0.5)

    def one(_: int) -> tuple[float, float, bool]:
        began = time.monotonic()
        run = client.post("/api/v2/dags/case/dagRuns", json={"logical_date": None}).raise_for_status().json()
        tasks = f"/api/v2/dags/case/dagRuns/{run['dag_run_id']}/taskInstances"
        form = f"{tasks}/review/-1/hitlDetails"
        until(lambda: client.get(form).is_success, "the question is shown", 300)
        shown = time.monotonic()
        client.patch(form, json={"chosen_options": ["Approve"]}).raise_for_status()
        decided = time.monotonic()
        try:
            until(lambda: client.get(f"{tasks}/effect").json().get("state") == "success", "the effect", 90, 0.02)
        except TimeoutError:
            return shown - began, 90.0, False
        return shown - began, time.monotonic() - decided, True

    def used() -> float:
        return cpu_seconds(process.pid) + cpu_seconds(postmaster)

    one(0)
    single = [one(number) for number in range(5)]
    before, began = used(), time.monotonic()
    with ThreadPoolExecutor(8) as hands:
        many = list(hands.map(one, range(cases)))
    took = time.monotonic() - began
    everything = [*single, *many]
    return {
        "peer": "Apache Airflow",
        **times("shown", [each[0] for each in single]),
        **times("done", [each[1] for each in single if each[2]]),
        "cpu_per_case": round((used() - before) / cases, 3),
        "cases": cases,
        "cases_per_s": round(cases / took, 2),
        "prompt": len(everything),
        "lost": sum(not each[2] for each in everything),
        "memory_mb": round(memory_mb(process.pid)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["dbos", "airflow"])
    parser.add_argument("--cases", type=int, default=100)
    given = parser.parse_args()
    peers = []
    for name, measure in (("dbos", dbos), ("airflow", airflow)):
        if given.only in {None, name}:
            try:
                peers.append(measure(given.cases))
            except Exception as error:
                peers.append({"peer": name, "failed": f"{type(error).__name__}: {error}"[:500]})
    print(json.dumps({"part": "peers", "peers": peers}))


if __name__ == "__main__":
    main()
