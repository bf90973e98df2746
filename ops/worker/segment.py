"""A warm process: Prefect and the flows imported, one segment at a time, told by the worker over a socket.

A copy of the worker (`copies.py`), or run as `python -m ops.worker.segment <socket fd> <parent pid>`. One JSON object a
line, both ways:

    worker → process   {"do": "start", "root", "entrypoints"}      what to import; again for one that had no root
                       {"do": "run", "token", "flow_run", "root", "entrypoint"}
                       {"do": "cancel" | "suspend", "token"}       about the segment running now
                       {"do": "stop"}                              leave when idle
    process → worker   {"is": "ready"}
                       {"is": "done" | "stale" | "fault", "token", "message", "rss_mb", "leaving"}

The worker's death closes the socket and ends this process at once.
"""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import json
import logging
import os
import queue
import signal
import socket
import sys
import threading
import time
from typing import Any, NoReturn
from uuid import UUID

from prefect._flow_run_suspension import mark_flow_run_suspension_requested
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import Abort, Pause
from prefect.flow_engine import run_flow
from prefect.flows import Flow
from prefect.logging import get_logger
from prefect.logging.handlers import APILogHandler
from prefect.logging.loggers import flow_run_logger
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.utilities.callables import get_call_parameters, parameters_to_args_kwargs

from ops.worker.engine import SegmentClient, SegmentClientContext, SegmentEngine, new_client
from ops.worker.loading import FlowShelf

PR_SET_PDEATHSIG = 1
logger = get_logger("worker.segment")


class SegmentProcess:
    """The loop of one warm process. Flows run in the main thread, where signals and timeouts work."""

    def __init__(self, link: socket.socket, client: SegmentClient) -> None:
        self._link, self._client = link, client
        self._orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._lock = threading.Lock()  # token, run and engine belong together
        self._token: int | None = None
        self._flow_run_id: UUID | None = None
        self._engine: SegmentEngine | None = None
        self._cancelled = False
        self._shelf = FlowShelf(None)

    def serve(self) -> None:
        """Until told to stop, or until a segment leaves the process in doubt."""
        signal.signal(signal.SIGTERM, self._on_sigterm)
        threading.Thread(target=self._listen, name="worker-link", daemon=True).start()
        while (order := self._orders.get())["do"] != "stop":
            if order["do"] == "start":
                self._warm_up(order)
                self._say({"is": "ready"})
            elif not self._run(order):
                return

    def _warm_up(self, order: dict[str, Any]) -> None:
        self._shelf = FlowShelf(order["root"])
        for entrypoint in order["entrypoints"]:
            try:
                self._shelf.load(entrypoint)
            except Exception:  # one broken flow must not keep the others from being warm
                logger.debug("Could not import %s ahead of time", entrypoint, exc_info=True)

    def _listen(self) -> None:
        for line in self._link.makefile("r", encoding="utf-8"):
            order = json.loads(line)
            if order["do"] in ("run", "start", "stop"):
                self._orders.put(order)
            else:
                self._interrupt(order)
        os._exit(1)  # the worker is gone; whoever comes next runs the segment again

    def _interrupt(self, order: dict[str, Any]) -> None:
        with self._lock:
            if order["token"] != self._token or self._flow_run_id is None:
                return  # about a segment that has left already
            if order["do"] == "suspend":
                state = State.model_validate(order["state"])
                mark_flow_run_suspension_requested(self._flow_run_id, state)
                return
            self._cancelled = True
            if self._engine is not None:
                self._engine.cancel_requested = True
            os.kill(os.getpid(), signal.SIGTERM)

    def _on_sigterm(self, *_: object) -> NoReturn:
        # Reached outside the engine, or after it has dealt with the signal: nothing is left to do here.
        raise SystemExit(0 if self._cancelled else 128 + signal.SIGTERM)

    def _say(self, message: dict[str, Any]) -> None:
        self._link.sendall(json.dumps(message).encode() + b"\n")

    def _run(self, order: dict[str, Any]) -> bool:
        """One segment; True when this process may take another."""
        if self._shelf.outdated():
            self._say({"is": "stale", "token": order["token"], "leaving": True})
            return False
        flow_run = FlowRun.model_validate_json(order["flow_run"])
        with self._lock:
            self._token, self._flow_run_id, self._cancelled = order["token"], flow_run.id, False
        before, began = _surroundings(), time.time_ns()
        os.environ["PREFECT__FLOW_RUN_ID"] = str(flow_run.id)
        try:
            fault = contextvars.copy_context().run(self._execute, order, flow_run)
        finally:
            with self._lock:
                self._token = self._flow_run_id = self._engine = None
        self._shelf.note_imports(began)
        clean = _restore(before)
        said = {"is": "fault" if fault else "done", "token": order["token"], "message": fault}
        self._say({**said, "rss_mb": _rss_mb(), "leaving": not clean})
        return clean

    def _execute(self, order: dict[str, Any], flow_run: FlowRun) -> str | None:
        """Run the flow. None when the engine brought the run to where it belongs, else what went wrong."""
        try:
            flow = self._shelf.load(order["entrypoint"])
        except Exception as error:  # noqa: BLE001 - any fault of the module is that run's
            flow_run_logger(flow_run).exception("The flow could not be loaded")
            return f"The flow could not be loaded: {type(error).__name__}: {error}"
        try:
            self._through_engine(flow, flow_run)
        except (Pause, Abort):
            return None  # suspended, or the server said that this run is not to go on
        except Exception as error:  # noqa: BLE001 - told to the worker, which decides
            return f"The segment ended with an unexpected fault: {type(error).__name__}: {error}"
        return None

    def _through_engine(self, flow: Flow[Any, Any], flow_run: FlowRun) -> None:
        if flow.isasync or flow.isgenerator:
            _run_stock(flow, flow_run)
            return
        args, kwargs = parameters_to_args_kwargs(flow.fn, flow_run.parameters)
        engine = SegmentEngine(flow=flow, flow_run=flow_run, parameters=get_call_parameters(flow.fn, args, kwargs))
        with self._lock:
            self._engine = engine
            engine.cancel_requested = self._cancelled
        self._client.begin(flow_run)
        with engine.start():
            while engine.is_running():
                with engine.run_context():
                    engine.call_flow_fn()


def _run_stock(flow: Flow[Any, Any], flow_run: FlowRun) -> None:
    """Asynchronous and generator flows take Prefect's own path, observer included."""
    outcome: Any = run_flow(flow, flow_run=flow_run, return_type="state")
    if flow.isasync and flow.isgenerator:

        async def drain() -> None:
            async for _ in outcome:
                pass

        asyncio.run(drain())
    elif flow.isasync:
        asyncio.run(outcome)
    else:
        for _ in outcome:
            pass


def _surroundings() -> tuple[dict[str, str], str, list[str], set[threading.Thread]]:
    return dict(os.environ), os.getcwd(), list(sys.path), set(threading.enumerate())  # noqa: PTH109


def _restore(before: tuple[dict[str, str], str, list[str], set[threading.Thread]]) -> bool:
    """Put back what a segment may have changed; False when it left threads behind that we cannot take back."""
    environment, folder, path, threads = before
    if os.environ != environment:
        os.environ.clear()
        os.environ.update(environment)
    os.chdir(folder)
    sys.path[:] = path
    return not any(t for t in threading.enumerate() if t not in threads and not t.daemon and t.is_alive())


def _rss_mb() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20
    except OSError:
        return 0


def _die_with_parent(parent: int) -> None:
    """Killed by the kernel when the worker dies, even while a flow holds the interpreter (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def live(descriptor: int, parent: int) -> None:
    """The life of a warm process."""
    _die_with_parent(parent)
    link = socket.socket(fileno=descriptor)
    # The worker sees a dead process at once; a heartbeat thread that each segment must wait for adds nothing.
    # Whoever sets the frequency explicitly gets heartbeats.
    chosen = "PREFECT_FLOWS_HEARTBEAT_FREQUENCY" in os.environ
    client = new_client()
    settings = temporary_settings({} if chosen else {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})
    with settings, SegmentClientContext(client):
        try:
            SegmentProcess(link, client).serve()
        finally:
            APILogHandler().flush()
            logging.shutdown()


if __name__ == "__main__":
    live(int(sys.argv[1]), int(sys.argv[2]))
