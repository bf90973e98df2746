"""The warm processes: started, handed one segment at a time, watched, replaced."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from ops.worker.copies import POSSIBLE, Copy
from ops.worker.settings import WorkerSettings

Ending = Literal["done", "fault", "stale", "died"]


@dataclass(frozen=True)
class Result:
    """How a segment left its process. `fault` and `died` carry a message for operators."""

    ending: Ending
    message: str = ""


@dataclass(frozen=True)
class Assignment:
    """What a process needs to run one segment."""

    flow_run: str
    root: str
    entrypoint: str


class Phase(Enum):
    """Where a process is in its life."""

    STARTING = "starting"
    IDLE = "idle"
    RESERVED = "reserved"
    BUSY = "busy"
    GONE = "gone"


class WarmProcess:
    """One child process and the line to it."""

    def __init__(self, root: str | None, copy: Copy | None = None) -> None:
        self.root = root
        self.phase = Phase.STARTING
        self.segments = 0
        self.outgoing = False
        """Its successor has been started; takes segments until that is warm."""
        self.succeeded = False
        """Its successor is warm: leaves as soon as it is idle."""
        self.process: asyncio.subprocess.Process | Copy | None = copy
        self._writer: asyncio.StreamWriter | None = None
        self._reader: asyncio.StreamReader | None = None
        self._token = 0
        self._result: asyncio.Future[Result] | None = None
        self.rss_mb = 0

    @property
    def pid(self) -> int:
        """The process id, for operators and for the run's `infrastructure_pid`."""
        return self.process.pid if self.process else 0

    async def start(self, entrypoints: Iterable[str], seconds: float) -> None:
        """Start the process, if it is not there yet, and wait until it is warm; raises if it dies or takes too long."""
        if self._reader is None:
            line = self.process.line if isinstance(self.process, Copy) else await self._born()
            self._reader, self._writer = await asyncio.open_connection(sock=line, limit=2**26)
        self._say({"do": "start", "root": self.root, "entrypoints": list(entrypoints)})
        said = await asyncio.wait_for(self._reader.readline(), seconds)
        if not said:
            raise RuntimeError(f"A warm process ended while starting: {await self._how_it_ended()}")
        self.phase = Phase.IDLE

    async def _born(self) -> socket.socket:
        """A new process; the line to it."""
        ours, theirs = socket.socketpair()
        try:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "ops.worker.segment",
                str(theirs.fileno()),
                str(os.getpid()),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the worker, which lets segments finish
            )
        finally:
            theirs.close()
        return ours

    async def run(self, assignment: Assignment) -> Result:
        """Run one segment. Returns when it has left, or when the process has died of it."""
        if self._reader is None:
            raise RuntimeError("The process was not started")
        self.phase, self._token, self.segments = Phase.BUSY, self._token + 1, self.segments + 1
        self._say({"do": "run", "token": self._token, **vars(assignment)})
        try:
            line = await self._reader.readline()
        except ConnectionError:  # killed before it had read its order
            line = b""
        if not line.endswith(b"\n"):
            self.phase = Phase.GONE
            return Result("died", await self._how_it_ended())
        said = json.loads(line)
        self.rss_mb = said.get("rss_mb", 0)
        self.phase = Phase.GONE if said["leaving"] else Phase.IDLE
        return Result(said["is"], said.get("message") or "")

    def tell(self, what: Literal["cancel", "suspend"], **more: Any) -> None:
        """A word about the segment running now."""
        self._say({"do": what, "token": self._token, **more})

    def kill(self) -> None:
        """End the process and whatever it started, at once."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    async def stop(self, seconds: float = 10) -> None:
        """Let an idle process leave, its last logs sent; kill it if it will not."""
        self.phase = Phase.GONE
        self._say({"do": "stop"})
        if self.process is not None:
            try:
                await asyncio.wait_for(self.process.wait(), seconds)
            except TimeoutError:
                self.kill()
                await self.process.wait()
        if self._writer is not None:
            self._writer.close()

    def _say(self, order: dict[str, Any]) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(json.dumps(order).encode() + b"\n")

    async def _how_it_ended(self) -> str:
        if self.process is None:
            return "it was never started"
        try:
            code = await asyncio.wait_for(self.process.wait(), 5)
        except TimeoutError:
            self.kill()
            code = await self.process.wait()
        if code >= 0:
            return f"process {self.pid} exited with status {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = "unknown"
        hint = " (out of memory, or killed by an operator)" if -code == signal.SIGKILL else ""
        return f"process {self.pid} was ended by signal {-code} {name}{hint}"


class WarmPool:
    """As many warm processes as asked for, each for one code root at a time."""

    def __init__(
        self, settings: WorkerSettings, on_idle: Callable[[], None], logger: logging.Logger | logging.LoggerAdapter[Any]
    ) -> None:
        self._settings, self._on_idle, self._logger = settings, on_idle, logger
        self._processes: list[WarmProcess] = []
        self._copies: list[Copy] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._known: dict[str | None, set[str]] = {}
        self._failures = 0
        self._closing = False
        self._starts = asyncio.Semaphore(os.cpu_count() or 1)
        """Starting is all CPU: more at once than there are cores would only make the first one late."""

    @property
    def processes(self) -> tuple[WarmProcess, ...]:
        """All that live, warm or not yet."""
        return tuple(self._processes)

    @property
    def idle(self) -> int:
        """Segments that could be taken now; a process about to be replaced does not count twice."""
        phases = [process.phase for process in self._processes]
        working = phases.count(Phase.BUSY) + phases.count(Phase.RESERVED)
        return max(0, min(phases.count(Phase.IDLE), self._settings.processes - working))

    def know(self, root: str | None, entrypoint: str) -> None:
        """Have processes started from now on import this flow ahead of time."""
        self._known.setdefault(root, set()).add(entrypoint)

    def copy(self) -> None:
        """Make copies of this process, to be its first warm ones: before anything is open that they would share."""
        if POSSIBLE:
            self._copies = [Copy() for _ in range(self._settings.processes)]

    def open(self) -> None:
        """Start the processes; they become idle one by one."""
        root = max(self._known, key=lambda r: len(self._known[r]), default=None)
        for _ in range(self._settings.processes):
            self._spawn(root)

    def reserve(self, root: str | None) -> WarmProcess | None:
        """An idle process for that code root, or None; then one may be on its way."""
        idle = [process for process in self._processes if process.phase is Phase.IDLE]
        for process in idle:
            if process.root == root:
                process.phase = Phase.RESERVED
                return process
        starting = any(p.phase is Phase.STARTING and p.root == root for p in self._processes)
        if idle and not starting:
            new = next((process for process in idle if process.root is None), None)
            if new is None:
                self._let_go(idle[0])
                self._spawn(root)
            else:  # it has been nowhere yet
                new.root, new.phase = root, Phase.STARTING
                self._background(self._bring_up(new, None))
        return None

    def release(self, process: WarmProcess) -> None:
        """Take a process back after its segment, or after a claim that came to nothing."""
        if process.phase is Phase.RESERVED:
            process.phase = Phase.IDLE
        if process.phase is Phase.GONE or process.succeeded:
            self._let_go(process)
            if not process.outgoing:
                self._spawn(process.root)
        elif process.outgoing:
            pass
        elif process.segments >= self._settings.recycle_after or process.rss_mb > self._settings.max_rss_mb:
            process.outgoing = True
            self._spawn(process.root, instead_of=process)
        if not self._closing:
            self._on_idle()

    def start_no_more(self) -> None:
        """Processes that leave are not replaced from now on."""
        self._closing = True

    async def close(self) -> None:
        """Stop all processes; idle ones leave by themselves, others are killed."""
        self.start_no_more()
        leaving = list(self._processes)
        for process in leaving:
            if process.phase is not Phase.IDLE:
                process.kill()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(process.stop() for process in leaving), return_exceptions=True)
        self._processes.clear()

    def _let_go(self, process: WarmProcess) -> None:
        if process in self._processes:
            self._processes.remove(process)
            self._background(process.stop())

    def _spawn(self, root: str | None, instead_of: WarmProcess | None = None) -> None:
        if not self._closing:
            process = WarmProcess(root, self._copies.pop() if self._copies else None)
            self._processes.append(process)
            self._background(self._bring_up(process, instead_of))

    async def _bring_up(self, process: WarmProcess, instead_of: WarmProcess | None) -> None:
        try:
            async with self._starts:
                await process.start(self._known.get(process.root, ()), self._settings.start_seconds)
        except Exception as error:  # noqa: BLE001 - a process that will not start must not end the worker
            process.kill()
            self._processes.remove(process)
            self._failures += 1
            pause = min(2**self._failures, 60)
            self._logger.error("A warm process did not start, trying again in %d s: %s", pause, error)
            await asyncio.sleep(pause)
            self._spawn(process.root, instead_of)
            return
        self._failures = 0
        if instead_of is not None:
            instead_of.succeeded = True
            if instead_of.phase is Phase.IDLE:
                self._let_go(instead_of)
        self._on_idle()

    def _background(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
