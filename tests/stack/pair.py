"""Two of everything on one machine, as deploy/ says: PostgreSQL, Redis, two API servers and the services of Prefect, two
workers, two doors, each a process of its own. Their environment is taken word for word from deploy/compose.yaml."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import yaml

from tests import postgres
from tests.packages import install, may_install
from tests.ports import free_port

COMPOSE = yaml.safe_load((Path(__file__).resolve().parents[2] / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
LEAST_RIGHTS = (Path(__file__).resolve().parents[2] / "deploy" / "README.md").read_text(encoding="utf-8")
LEAST_RIGHTS = LEAST_RIGHTS.partition("```sql")[2].partition("```")[0]
"""What the page takes from the doors' and workers' role in our database."""
PASSWORDS = {
    "DIANWU_OWNER_PASSWORD": "owner",
    "DIANWU_APP_PASSWORD": "app",
    "PREFECT_DB_PASSWORD": "prefect",
    "PREFECT_AUTH": "dianwu:of-the-test",
    "DOOR_HOST": "door.example.com",
    "PREFECT_HOST": "prefect.example.com",
    "DESK_HOST": "desk.example.com",
    "PREFECT_PUBLIC_API": "https://prefect.example.com/api",
}
"""What `.env` holds beside compose.yaml. Nobody listens under the public names: no process may depend on them."""


def redis_server() -> str:
    """Where ``redis-server`` is; installed from Debian's packages where that is possible."""
    if not shutil.which("redis-server") and may_install():
        install("redis-server")
    return shutil.which("redis-server") or ""


@dataclass
class Pair:
    """The running parts. ``kill`` takes one down the hard way and starts it again."""

    home: Path
    ports: Mapping[str, int]
    database: str
    """``host:port`` of PostgreSQL."""
    started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ours: dict[str, str] = field(default_factory=dict)
    """The environment of our own processes, without which server and which port."""

    def words(self, block: str) -> dict[str, str]:
        """One block of compose.yaml as environment, its names of hosts replaced by where the parts are here."""
        said = {}
        for name, value in COMPOSE[block].items():
            text = re.sub(r"\$\{(\w+)(?::\?[^}]*)?\}", lambda found: PASSWORDS[found[1]], str(value))
            text = text.replace("postgres:5432", self.database).replace(
                "redis:6379", f"127.0.0.1:{self.ports['redis']}"
            )
            said[name] = text
        if "PREFECT_REDIS_MESSAGING_HOST" in said:
            said |= {
                "PREFECT_REDIS_MESSAGING_HOST": "127.0.0.1",
                "PREFECT_REDIS_MESSAGING_PORT": str(self.ports["redis"]),
            }
        return said

    def start(self, name: str) -> None:
        """Start a part, or start it again."""
        command, more = self._parts()[name]
        with (self.home / f"{name}.log").open("ab") as log:
            self.started[name] = subprocess.Popen(
                command, env={**_plain(), **more}, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def _parts(self) -> dict[str, tuple[list[str], dict[str, str]]]:
        python = [sys.executable, "-m"]
        prefect = {**self.words("x-prefect"), "PREFECT_HOME": str(self.home / "prefect")}
        parts: dict[str, tuple[list[str], dict[str, str]]] = {
            "redis": (
                [redis_server(), "--port", str(self.ports["redis"]), "--bind", "127.0.0.1", "--appendonly", "yes",
                 "--dir", str(self.home), "--logfile", ""], {},
            ),
            "services": ([*python, "prefect", "server", "services", "start"], prefect),
        }  # fmt: skip
        for side in ("a", "b"):
            api = self.ports[f"api-{side}"]
            ours = {**self.ours, "PREFECT_API_URL": f"http://127.0.0.1:{api}/api"}
            server = [*python, "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(api), "--no-services"]
            parts[f"api-{side}"] = server, prefect
            parts[f"door-{side}"] = [*python, "ops.door"], {**ours, "DIANWU_DOOR_PORT": str(self.ports[f"door-{side}"])}
            state = {"DIANWU_WORKER_STATE_DIR": str(self.home / f"worker-{side}"), "DIANWU_WORKER_PROCESSES": "1"}
            parts[f"worker-{side}"] = [*python, "ops.worker", "--pool", "dianwu", "--name", side], {**ours, **state}
        return parts

    def ready(self, name: str) -> bool:
        path = {"api": "/api/health", "door": "/readyz"}.get(name.partition("-")[0])
        if path is None:
            return self.started[name].poll() is None
        try:
            auth = tuple(PASSWORDS["PREFECT_AUTH"].split(":"))
            return httpx.get(f"http://127.0.0.1:{self.ports[name]}{path}", timeout=2, auth=auth).is_success  # type: ignore[arg-type]
        except httpx.HTTPError:
            return False

    def wait(self, name: str) -> None:
        give_up = time.monotonic() + 180
        while not self.ready(name):
            if time.monotonic() > give_up or self.started[name].poll() is not None:
                raise AssertionError(f"{name} is not ready:\n{(self.home / f'{name}.log').read_text()[-2000:]}")
            time.sleep(0.2)  # asks again; how soon it comes is not what is tested

    def once(self, *command: str, **more: str) -> None:
        """Run one command of the set-up to its end."""
        done = subprocess.run(command, env={**_plain(), **more}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    def kill(self, name: str) -> None:
        """Kill a part with everything it started, and start it again."""
        os.killpg(self.started[name].pid, signal.SIGKILL)
        self.started[name].wait()
        self.start(name)

    def stop(self) -> None:
        for process in reversed(list(self.started.values())):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.started.values():
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _plain() -> dict[str, str]:
    """The machine's environment without any setting of ours or of Prefect's."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("DIANWU_", "PREFECT_"))}


@contextmanager
def running_pair(home: Path, settings_file: Path) -> Iterator[Pair]:
    """All parts, started in the documented order, the two API servers at the same moment on an empty database."""
    binaries = postgres.binaries()
    assert binaries is not None and redis_server(), "PostgreSQL and Redis come from the system's packages"
    names = ("redis", "api-a", "api-b", "door-a", "door-b")
    with postgres.cluster(binaries) as address:
        database = address.rpartition("@")[2].partition("/")[0]
        pair = Pair(home, {name: free_port() for name in names}, database)
        _make_databases(binaries, database)
        pair.ours = {
            **pair.words("x-ours"),
            "DIANWU_CONFIG": str(settings_file),
            "DIANWU_HOME": str(home / "dianwu"),
            "DIANWU_HOST": "127.0.0.1",
            "PREFECT_HOME": str(home / "prefect"),
        }
        try:
            pair.start("redis")
            prefect = {**pair.words("x-prefect"), "PREFECT_HOME": str(home / "prefect")}
            pair.once(sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y", **prefect)
            for name in ("api-a", "api-b", "services"):
                pair.start(name)
            for name in ("api-a", "api-b"):
                pair.wait(name)
            owner = {**pair.ours, "PREFECT_API_URL": f"http://127.0.0.1:{pair.ports['api-a']}/api"}
            owner["DIANWU_DATABASE_URL"] = owner["DIANWU_DATABASE_URL"].replace("dianwu_app:app", "dianwu_owner:owner")
            dianwu = str(Path(sys.executable).parent / "dianwu")
            for step in ("migrate", "deploy"):
                pair.once(dianwu, step, **owner)
            pair.once(str(binaries / "psql"), owner["DIANWU_DATABASE_URL"].replace("+psycopg", ""), "-c", LEAST_RIGHTS)
            for name in ("worker-a", "worker-b", "door-a", "door-b"):
                pair.start(name)
            for name in ("door-a", "door-b"):
                pair.wait(name)
            yield pair
        finally:
            pair.stop()


def _make_databases(binaries: Path, database: str) -> None:
    """The roles and databases that compose.yaml makes, by its own script."""
    host, _, port = database.partition(":")
    script = COMPOSE["configs"]["databases"]["content"].replace("$$", "$")
    where = {**os.environ, **PASSWORDS, "PGHOST": host, "PGPORT": port, "PATH": f"{binaries}:{os.environ['PATH']}"}
    superuser = ["psql", "-q", "-U", "dianwu", "-d", "postgres", "-c", "CREATE ROLE postgres SUPERUSER LOGIN"]
    subprocess.run(superuser, env=where, check=True, capture_output=True)
    subprocess.run(["sh", "-c", script], env=where, check=True, capture_output=True)
