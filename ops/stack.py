"""The stack on one machine: Prefect server, worker, door and desk, started in order, kept up, stopped together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import httpx

from office.base.settings import Settings, SettingsError
from ops import migrate
from ops.environment import environment
from ops.secrets import prepare
from ops.worker.launch import command, stop_with_parent

READY_SECONDS = 120
STOP_SECONDS = 40
TITLES = {"prefect": " Prefect", "door": "接入端", "desk": "工作台", "worker": "执行进程"}
LAST = "deployments/name/delivery/delivery"
"""The last deployment that ``ops.deploy`` makes: where it is, all are. What becomes of one later, the watch sees to."""


class StackError(RuntimeError):
    """A part of the stack did not come up; the sentence says which and where its log is."""


@dataclass
class Part:
    """One process of the stack. It is started again when it falls, later each time it falls soon."""

    name: str
    command: list[str]
    ready: Callable[[], bool]
    env: Mapping[str, str] = field(default_factory=dict)
    """What it finds in its environment beside what all find."""
    process: subprocess.Popen[bytes] | None = None
    falls: int = 0
    started: float = 0.0
    again: float = 0.0
    """When it is to be started after its last fall, on the monotonic clock."""


class Stack:
    """Everything that has to run. ``with Stack(settings) as stack`` starts it and stops what it started."""

    def __init__(self, given: Settings, *, say: Callable[[str], None] = lambda text: None) -> None:
        self.settings = given
        self.logs = given.home / "logs"
        self._say = say
        self._env = environment(given)
        self._stopping, self._starts_nothing, self._stopped = threading.Event(), threading.Event(), threading.Event()
        self._watcher: threading.Thread | None = None
        host, port = given.host, str(given.prefect_port)
        python = sys.executable
        self.parts = {
            "prefect": Part(
                "prefect",
                [python, "-m", "prefect", "server", "start", "--host", host, "--port", port],
                lambda: _answers(f"{given.prefect_api}/health", given),
                {"PREFECT_PLUGINS_ENABLED": "true", "PREFECT_PLUGINS_ALLOW": "dianwu"},
            ),
            "door": Part("door", [python, "-m", "ops.door"], lambda: _answers(f"{given.door_url}/readyz", given)),
            "desk": Part(
                "desk", [python, "-m", "ops.desk"], lambda: _answers(f"http://{host}:{given.desk_port}/healthz", given)
            ),
            "worker": Part("worker", self._worker_command(), lambda: True),
        }

    def _worker_command(self) -> list[str]:
        if self.settings.worker_type == "dianwu":
            return command(self.settings.work_pool, "dianwu")  # without its own supervisor: the stack is one
        return [sys.executable, "-m", "prefect", "worker", "start", "--type", "process",
                "--pool", self.settings.work_pool, "--name", "process"]  # fmt: skip

    def __enter__(self) -> Stack:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Migrate, start the server, deploy the flows, start worker, door and desk; returns when all are ready."""
        self.logs.mkdir(parents=True, exist_ok=True)
        migrate.upgrade()
        self._start("prefect")
        self._say("部署流程 …")
        if self._deploy() != 0:
            raise StackError(f"流程未能部署，详见 {self.logs / 'deploy.log'}")
        self._launch(self.parts["worker"])
        for name in ("door", "desk"):
            if name in self.parts:
                self._start(name)
        self._watcher = threading.Thread(target=self._watch, name="stack", daemon=True)
        self._watcher.start()

    def _deploy(self) -> int:
        """Tell Prefect our deployments; in a process of its own, because a failed import should not take us down."""
        with (self.logs / "deploy.log").open("ab") as log:
            return subprocess.run(
                [sys.executable, "-m", "ops.deploy"],
                env=self._env,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
                preexec_fn=stop_with_parent,
            ).returncode

    def _start(self, name: str) -> None:
        part = self.parts[name]
        self._say(f"启动{TITLES[name]} …")
        self._launch(part)
        self.wait(name)

    def wait(self, name: str) -> None:
        """Wait until a part answers."""
        part = self.parts[name]
        give_up = time.monotonic() + READY_SECONDS
        while not part.ready():
            if part.process is not None and part.process.poll() is not None and self._watcher is None:
                raise StackError(
                    f"{TITLES[name].strip()}启动后随即退出（代码 {part.process.returncode}），详见 {self._log(part)}"
                )
            if time.monotonic() > give_up:
                raise StackError(f"{TITLES[name].strip()}过了 {READY_SECONDS} 秒仍未就绪，详见 {self._log(part)}")
            time.sleep(0.1)

    def _log(self, part: Part) -> Path:
        return self.logs / f"{part.name}.log"

    def _launch(self, part: Part) -> None:
        part.started = time.monotonic()
        with self._log(part).open("ab") as log:
            part.process = subprocess.Popen(
                part.command,
                env={**self._env, **part.env},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=stop_with_parent,  # noqa: PLW1509 - one system call, so that nothing outlives a killed stack
            )

    def _watch(self) -> None:
        """Start again what fell, each part at its own time."""
        try:
            while not self._stopping.wait(0.2):
                for part in self.parts.values():
                    if part.process is not None and part.process.poll() is not None:
                        self._start_again(part)
        finally:
            self._starts_nothing.set()
            self._stopped.wait()  # a part is told to stop when the thread that started it ends

    def _start_again(self, part: Part) -> None:
        now = time.monotonic()
        if part.again <= part.started:  # this fall is new
            part.falls = 0 if now - part.started > 60 else part.falls + 1
            part.again = now + min(0.2 * 2**part.falls, 30)
        if now >= part.again:
            self._launch(part)
            if part.name == "prefect":
                threading.Thread(target=self._prefect_is_back, args=(part,), name="deploy again", daemon=True).start()

    def _prefect_is_back(self, part: Part) -> None:
        """Deploy again when the server has come back with another database."""
        give_up = time.monotonic() + READY_SECONDS
        while not part.ready() and time.monotonic() < give_up and not self._stopping.is_set():
            time.sleep(0.2)
        if not self._stopping.is_set() and not _answers(f"{self.settings.prefect_api}/{LAST}", self.settings):
            self._deploy()

    def kill(self, name: str) -> None:
        """Kill a part the hard way, with everything it started; the watcher starts it again, as after a first fall."""
        part = self.parts[name]
        part.falls, process = 0, part.process
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def stop(self) -> None:
        """Stop desk and door first, then the worker, which finishes what it runs, then the server."""
        self._stopping.set()
        if self._watcher is not None:
            self._starts_nothing.wait()
        for name in ("desk", "door", "worker", "prefect"):
            process = self.parts[name].process if name in self.parts else None
            if process is None or process.poll() is not None:
                continue
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._stopped.set()

    def run_until_stopped(self, greet: Callable[[], None]) -> None:
        """Stay up until Ctrl-C or SIGTERM; whoever is greeted may press it at once."""
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        greet()
        while not stop.wait(1):
            pass


@cache
def _http() -> httpx.Client:
    """One client: opening one costs more than asking, and whoever waits for a part asks ten times a second."""
    return httpx.Client(timeout=2)


def _answers(url: str, given: Settings) -> bool:
    auth = given.prefect_auth.get_secret_value()
    user, _, password = auth.partition(":")
    try:
        return _http().get(url, auth=(user, password) if auth else None).is_success
    except httpx.HTTPError:
        return False


PORTS = ("prefect_port", "door_port", "desk_port")


def _taken(host: str, port: int) -> bool:
    """Whether somebody listens there: a part of ours would fall at once, and the other one's answers pass for its own."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError:
        return True
    return False


def up() -> None:
    """`make up`: the stack for real use, until Ctrl-C."""
    from ops.commands import doctor

    given, say = prepare(), partial(print, flush=True)  # at once, into a pipe or a log file, too
    if not doctor.before_start(given):
        raise SettingsError("尚未启动任何服务：请先处理上面标 ✗ 的项目")
    if not given.loopback and not given.desk_url:
        raise SettingsError(
            f"尚未启动任何服务：host {given.host} 不是本机地址，须设置 desk_url（人们访问工作台的唯一地址）"
        )
    if taken := [setting for setting in PORTS if _taken(given.host, getattr(given, setting))]:
        ports = "、".join(f"{setting} = {getattr(given, setting)}" for setting in taken)
        raise SettingsError(f"尚未启动任何服务：{ports} 已被占用（店务可能已在运行）；请停止占用的程序，或改用其他端口")

    def greet(stack: Stack) -> None:
        doctor.after_start()
        say(
            f"店务已启动。工作台 {given.desk} · Prefect 界面 {given.prefect_ui}/v2/runs · 接入地址 {given.door_url} · 日志 {stack.logs}"
        )

    with Stack(given, say=say) as stack:
        stack.run_until_stopped(lambda: greet(stack))
        say("正在停止 …")
