"""A real Prefect server for the session, a work pool and a folder of flows for each test, workers on demand."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import FlowRun, State
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling

from ops.worker import start_worker
from tests.ports import free_port
from tests.prefect_home import furnish
from tests.worker import anything

PATIENCE = 90.0
"""Seconds after which a test gives up waiting; never what a test asserts."""

SLOW_POLL = {"DIANWU_WORKER_POLL_SECONDS": "3600"}
"""No poll within a test's lifetime: whatever runs was learned of by an event."""

STANDING = 2
"""Processes of the worker that the tests of a test process share, and so runs that it has in hand at one time."""

PAUSING = """
    @flow
    def pausing(rounds: int = 1):
        for n in range(rounds):
            note(f"before {n}")
            suspend_flow_run(key=f"round-{n}", timeout=None)
        note("through")
"""

WAITING = """
    @flow
    def waiting():
        note(f"up {os.getpid()}")
        wait_for("go")
        note("through")
"""

STUBBORN = """
    @flow
    def stubborn():
        note("up")
        while True:
            try:
                time.sleep(3600)
            except BaseException:
                note("ignored")
"""

T = TypeVar("T")


def alive(pid: int) -> bool:
    """Whether the process runs still (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(question: Callable[[], T], patience: float = PATIENCE) -> T:
    """Ask again and again, ever less often, until the answer is true, or give up with the last answer.

    Most ask the server, which has to answer with what the worker waits for, too.
    """
    deadline, pause = time.monotonic() + patience, 0.02
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise AssertionError(f"Still {answer!r} after {patience:.0f} s")
        time.sleep(pause)
        pause = min(pause * 1.3, 0.5)
    return answer


@dataclass(frozen=True)
class Server:
    """A running Prefect server and the environment that points to it."""

    url: str
    env: dict[str, str]
    process: subprocess.Popen[bytes]


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server on a free port, with a database of its own."""
    home = tmp_path_factory.mktemp("prefect-home")
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    env = {
        "PREFECT_HOME": str(furnish(home) / "prefect"),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_PLUGINS_ENABLED": "true",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_CLI_PROMPT": "false",
        "NO_COLOR": "1",
    }
    arguments = ("server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui")
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", *arguments],
            env={**os.environ, **env},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until(lambda: _healthy(url) or process.poll() is not None)
        assert process.poll() is None, (home / "server.log").read_text()
        with temporary_settings({PREFECT_API_URL: url}):
            yield Server(url, env, process)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@dataclass
class Bench:
    """A work pool, a folder of flow code and the workers of one test."""

    server: Server
    client: SyncPrefectClient
    folder: Path
    """Where this test's flows write, and look for what they wait for."""
    home: Path
    """Where code and the worker's state are; shared by tests that share a worker."""
    pool: str
    part: str = ""
    """This test's part of shared code."""
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @staticmethod
    def until(question: Callable[[], T]) -> T:
        """Ask again and again until the answer is true, or give up."""
        return until(question)

    @property
    def code(self) -> Path:
        """The root of the deployed code."""
        return self.home / "code"

    @property
    def log(self) -> Path:
        """Where test flows write what they did, a line each."""
        return self.folder / "log.txt"

    def lines(self) -> list[str]:
        """What test flows have written so far."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def write(self, file: str, body: str) -> None:
        """Put flow code on disk. `note(text)` appends a line to the test's log."""
        head = f"""
            import os, signal, time
            from pathlib import Path
            from prefect import flow, get_run_logger, suspend_flow_run, task

            def note(text):
                with open({str(self.log)!r}, "a") as log:
                    log.write(text + "\\n")

            def wait_for(name):
                while not (Path({str(self.folder)!r}) / name).exists():
                    time.sleep(0.02)
        """
        path = self.code / self.part / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(head) + textwrap.dedent(body))

    def allow(self, name: str) -> None:
        """Let flows go on that `wait_for(name)`."""
        (self.folder / name).touch()

    def deploy(self, entrypoint: str, **options: Any) -> UUID:
        """A deployment of `file.py:function` as the product makes them: path and entrypoint, no pull steps."""
        function = entrypoint.rpartition(":")[2]
        flow_id = self.client.create_flow_from_name(function.replace("_", "-"))
        return self.client.create_deployment(
            flow_id=flow_id,
            name=f"{function}-{self.part or self.pool}",
            entrypoint=str(Path(self.part) / entrypoint),
            work_pool_name=self.pool,
            **{"path": str(self.code), **options},
        )

    def submit(self, deployment: UUID, **parameters: Any) -> FlowRun:
        """A run, due now."""
        return self.client.create_flow_run_from_deployment(deployment, parameters=parameters)

    def state(self, run: FlowRun) -> State:
        """The run's present state."""
        state = self.client.read_flow_run(run.id).state
        assert state is not None
        return state

    def reaches(self, run: FlowRun, *names: str, patience: float = PATIENCE) -> State:
        """Wait until the run's state bears one of the names; a different final state fails at once."""

        def there() -> State | None:
            state = self.state(run)
            assert state.name in names or not state.is_final(), f"{state.name}: {state.message}"
            return state if state.name in names else None

        return until(there, patience)

    def logs(self, run: FlowRun) -> str:
        """What the UI shows as the run's log."""
        chosen = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id]))
        return "\n".join(log.message for log in self.client.read_logs(chosen))

    def history(self, run: FlowRun) -> list[str]:
        """Names of all states of the run, oldest first."""
        states = sorted(self.client.read_flow_run_states(run.id), key=lambda state: state.timestamp)
        return [state.name or "" for state in states]

    def work(
        self, name: str = "w1", *, processes: int = 1, supervised: bool = False, **env: str
    ) -> subprocess.Popen[bytes]:
        """Start a worker on this test's pool."""
        worker = start_worker(
            self.pool,
            name,
            env={
                **self.server.env,
                "PYTHONDONTWRITEBYTECODE": "1",  # flows are written and changed within a second, which bytecode does not see
                "DIANWU_WORKER_PROCESSES": str(processes),
                "DIANWU_WORKER_STATE_DIR": str(self.home / "state"),
                "DIANWU_WORKER_AUTHORITY": "tests.worker.anything:authority",
                anything.ROOTS: str(self.home),
                anything.TOLD: str(self.home / "refused.txt"),
                **env,
            },
            supervised=supervised,
        )
        self.workers.append(worker)
        return worker

    def stock_work(self) -> subprocess.Popen[bytes]:
        """Prefect's own process worker on this test's pool; it needs nothing of ours but the deployment."""
        arguments = ("worker", "start", "--type", "process", "--pool", self.pool)
        env = {**os.environ, **self.server.env, "PREFECT_WORKER_QUERY_SECONDS": "1"}
        worker = subprocess.Popen([sys.executable, "-m", "prefect", *arguments], env=env)
        self.workers.append(worker)
        return worker

    def workers_online(self) -> list[dict[str, Any]]:
        """Workers of this pool with a recent heartbeat."""
        answer = self.client.request("POST", f"/work_pools/{self.pool}/workers/filter", json={})
        return [worker for worker in answer.json() if worker["status"] == "ONLINE"]

    def cancel(self, run: FlowRun) -> None:
        """What the Cancel button does."""
        self.client.set_flow_run_state(run.id, Cancelling())

    def idle(self) -> bool:
        """Whether no worker has a run in hand, by their journals."""
        journals = list((self.home / "state").glob("*.json"))
        return all(journal.read_text() == "[]" for journal in journals)

    def children(self, worker: subprocess.Popen[bytes]) -> list[int]:
        """Process ids of a worker's warm processes."""
        listing = Path(f"/proc/{worker.pid}/task/{worker.pid}/children")
        return [int(pid) for pid in listing.read_text().split()] if listing.exists() else []

    def stop(self, worker: subprocess.Popen[bytes]) -> int:
        """SIGTERM, and wait for the end."""
        worker.terminate()
        return worker.wait(PATIENCE)


@contextmanager
def opened(server: Server, home: Path) -> Iterator[Bench]:
    """A fresh work pool of our type and an empty code folder; its workers are ended with the block."""
    with get_client(sync_client=True) as client:
        bench = Bench(server, client, home, home, f"pool-{uuid4().hex[:8]}")
        bench.code.mkdir()
        client.create_work_pool(WorkPoolCreate(name=bench.pool, type="dianwu"))
        try:
            yield bench
        finally:
            for worker in bench.workers:
                if worker.poll() is None:
                    worker.kill()
                    worker.wait(PATIENCE)


@pytest.fixture
def bench(prefect_server: Server, tmp_path: Path) -> Iterator[Bench]:
    """For tests that start, stop or kill workers of their own."""
    with opened(prefect_server, tmp_path) as bench:
        yield bench


@pytest.fixture(scope="session")
def standing_bench(prefect_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The one worker of the fixture `standing`. It takes seconds to start."""
    with opened(prefect_server, tmp_path_factory.mktemp("standing")) as bench:
        bench.work("standing", processes=STANDING, **SLOW_POLL)
        yield bench


@pytest.fixture
def standing(standing_bench: Bench, tmp_path: Path) -> Iterator[Bench]:
    """For tests that need any worker at all: one for all, that learns of work by events and outlives every test."""
    yield replace(standing_bench, folder=tmp_path, part=tmp_path.name)
    assert [worker.poll() for worker in standing_bench.workers] == [None]


class Relay:
    """A way to the server that can be closed: for everything, or for requests whose first line has certain words."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._closed: bytes | None = None
        self._moment = threading.Lock()
        self._open: list[tuple[bytes, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/api"
        self.turned_away: list[bytes] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close_for(self, words: bytes | None) -> None:
        """Cut what is open and turn away what comes; None opens the way again."""
        with self._moment:
            self._closed, self.turned_away = words, []
            before = list(self._open)
        for head, line in before:
            if words is not None and words in head:
                with suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """No new connections."""
        self.close_for(b"")
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[line], daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        with line, suppress(OSError):
            head = line.recv(2**16)
            with self._moment:  # either closed for it, or open and then cut with the others
                if self._closed is not None and self._closed in head:
                    self.turned_away.append(head)
                    return
                self._open.append((head, line))
            with socket.create_connection(("127.0.0.1", self._port)) as server:
                server.sendall(head)
                back = threading.Thread(target=_pass_on, args=[server, line], daemon=True)
                back.start()
                _pass_on(line, server)
                back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(2**16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def relay(prefect_server: Server) -> Iterator[Relay]:
    """A closable way to the server, open."""
    relay = Relay(int(prefect_server.url.rpartition(":")[2].partition("/")[0]))
    yield relay
    relay.end()
