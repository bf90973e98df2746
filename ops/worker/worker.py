"""The worker: asks what is due, claims it, hands it to a warm process, and settles how it ended.

Prefect's `BaseWorker` gives heartbeats, the work pool and registration (`prefect worker start --type dianwu`).
Submission is ours: runs are claimed only when a warm process is free, so nothing waits in Pending and nothing
is lost when the worker ends; what waits, waits in Scheduled on the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import DeploymentResponse, WorkerFlowRunResponse
from prefect.exceptions import Abort, ObjectNotFound
from prefect.states import Cancelled, Failed, Pending
from prefect.utilities.engine import propose_state
from prefect.workers.base import BaseJobConfiguration, BaseVariables, BaseWorker, BaseWorkerResult
from pydantic import ValidationError

from ops.worker import verdict
from ops.worker.authority import Refusal, Refused, load
from ops.worker.journal import Claim, Journal
from ops.worker.pool import Assignment, Phase, Result, WarmPool, WarmProcess
from ops.worker.settings import WorkerSettings
from ops.worker.signals import listen

DEPLOYMENT_SECONDS = 2.0
"""How long what a deployment says is taken as current; changed files are noticed at every segment."""
BACKLOG_SECONDS = 0.05
"""How long a list of due runs may be used. An older one costs claims in vain (`verdict.undo_late_claim`)."""
SUSPENSION_CHECK_SECONDS = 1.0
"""A run that suspends itself leaves within this time; one still here was suspended from outside."""
SETTLE_SECONDS = 15.0
"""How long the server may take to be told of what a stop cut off; what is left then is for the next start."""
REMEMBERED_STATES = 20_000


class DianwuWorkerResult(BaseWorkerResult):
    """How one segment left its process."""


@dataclass
class Segment:
    """One segment in hand."""

    flow_run: FlowRun
    entry: int
    process: WarmProcess
    since: float
    cancelling: bool = False
    cut_off: bool = False
    """We killed its process because the worker stops: not the run's fault."""


class DianwuWorker(BaseWorker[BaseJobConfiguration, BaseVariables, DianwuWorkerResult]):
    """Runs flow-run segments in warm processes of this machine."""

    type = "dianwu"
    job_configuration = BaseJobConfiguration
    job_configuration_variables = BaseVariables
    _description = "Runs flow runs in warm, isolated processes, started the moment they are due."
    _display_name = "Dianwu"

    def __init__(self, work_pool_name: str, **options: Any) -> None:
        # A stable name keeps one worker in the UI across restarts; Prefect's default is a new one each time.
        options["name"] = options.get("name") or f"dianwu-{socket.gethostname()}"
        super().__init__(work_pool_name, **options)
        settings = WorkerSettings.from_env()
        if self._limit is not None and self._limit < settings.processes:
            settings = WorkerSettings(**{**vars(settings), "processes": self._limit})
        self.settings = settings
        self.authority = load(settings.authority)
        self.pool = WarmPool(settings, self._wake, self._logger)
        for root, entrypoint in self.authority.entrypoints():
            self.pool.know(root, entrypoint)
        self._journal: Journal | None = None
        self._segments: dict[int, Segment] = {}
        self._wanted = asyncio.Event()
        self._stopping = asyncio.Event()
        self._hurried = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._unsettled: list[tuple[Segment, Result]] = []
        self._refusing: set[UUID] = set()
        self._due_unknown = True
        self._connected = False
        self._limited_queues: set[UUID] = set()
        self._backlog: list[FlowRun] = []
        self._backlog_read = 0.0
        self._more_due = False
        self._taken_states: OrderedDict[UUID, None] = OrderedDict()
        self._deployments: dict[UUID, tuple[float, DeploymentResponse]] = {}

    @classmethod
    def get_default_base_job_template(cls) -> dict[str, Any]:
        """Nothing can be set: what runs, and in which environment, is this machine's business (`authority.py`)."""
        return {"job_configuration": {"env": {}}, "variables": {"type": "object", "properties": {}}}

    @property
    def journal(self) -> Journal:
        """What this worker has in hand, on disk. Open while it works."""
        if self._journal is None:
            raise RuntimeError("The worker has not been started")
        return self._journal

    # -- life ----------------------------------------------------------------------------------------------

    async def start(
        self,
        run_once: bool = False,
        with_healthcheck: bool = False,
        printer: Callable[..., None] = print,
    ) -> None:
        """Work until told to stop; `run_once` takes what is due now, waits for it and returns."""
        with self._stop_on_signals(), contextlib.ExitStack() as stack:
            if with_healthcheck:
                from prefect.workers.server import _run_healthcheck_server

                alive = partial(self.is_worker_still_polling, query_interval_seconds=self.settings.poll_seconds)
                stack.enter_context(_run_healthcheck_server(alive))
            async with self:
                self._journal = Journal(self.settings.state_dir, self._work_pool_name, self.name)
                try:
                    await self._work(run_once, printer)
                finally:
                    self.journal.release()
        printer(f"Worker {self.name!r} stopped!")

    async def _begin(self) -> bool:
        """Learn what must be known before the first run; ``False`` if we were told to stop before that was possible."""

        async def learn() -> None:
            await self._synchronise_first()
            await self._take_up_what_was_left()

        learning, stop = asyncio.create_task(learn()), asyncio.create_task(self._stopping.wait())
        await asyncio.wait([learning, stop], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not learning.done():
            learning.cancel()
            await asyncio.gather(learning, return_exceptions=True)
            return False
        await learning
        return True

    async def _work(self, run_once: bool, printer: Callable[..., None]) -> None:
        if not await self._begin():
            return
        self.pool.open()
        self._started_event = await self._emit_worker_started_event()
        loops = [
            asyncio.create_task(self._for_ever("heartbeat", self.heartbeat_interval_seconds, self._heartbeat)),
            asyncio.create_task(self._for_ever("watch", 10, self._watch_long_segments)),
            asyncio.create_task(self._for_ever("settling", 10, self._settle_again)),
            asyncio.create_task(listen(self.work_pool.id, self._on_signal, self._on_connected, self._logger)),
            asyncio.create_task(self._take_while_due(until_empty=run_once)),
        ]
        printer(f"Worker {self.name!r} started!")
        try:
            stop = asyncio.create_task(self._stopping.wait())
            await asyncio.wait([loops[-1], stop], return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await asyncio.shield(self._wind_up())

    async def _wind_up(self) -> None:
        """Let running segments finish within the grace period; what is left is cut off and set back, to run again."""
        self.pool.start_no_more()
        gone = asyncio.create_task(self._until_none_is_left())
        hurried = asyncio.create_task(self._hurried.wait())
        await asyncio.wait([gone, hurried], timeout=self.settings.grace_seconds, return_when=asyncio.FIRST_COMPLETED)
        for segment in self._segments.values():
            segment.cut_off = True
            segment.process.kill()
        await asyncio.wait([gone], timeout=SETTLE_SECONDS)
        if self._segments or self._unsettled:
            self._logger.warning("The server was not told of every segment; the next start here sees to them")
        for task in (gone, hurried, *self._tasks):
            task.cancel()
        await asyncio.gather(gone, hurried, *self._tasks, return_exceptions=True)
        await self.pool.close()

    async def _until_none_is_left(self) -> None:
        while self._segments:
            self._wanted.clear()
            await self._wanted.wait()

    @contextlib.contextmanager
    def _stop_on_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT stop gracefully; a second one ends the grace period."""
        loop = asyncio.get_running_loop()

        def stop() -> None:
            if self._stopping.is_set():
                self._hurried.set()
            self._logger.info("Stopping; %d segment(s) still running", len(self._segments))
            self._stopping.set()

        # Prefect's command line cancels the event loop on these signals, which would cut segments off.
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            for number in before:
                loop.add_signal_handler(number, stop)
        except (ValueError, RuntimeError, NotImplementedError):
            before = {}  # not in the main thread, as in embedding programs: they call `stop`
        try:
            yield
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)

    async def _synchronise_first(self) -> None:
        """The work pool must be known before anything else; wait for the server as long as it takes."""
        pause = 1.0
        while self._work_pool is None:
            self._logger.warning("Work pool %r is not known yet, asking again", self._work_pool_name)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 30)
            with contextlib.suppress(Exception):
                await self.sync_with_backend()

    async def _heartbeat(self) -> None:
        await self.sync_with_backend()
        queues = await self.client.read_work_queues(work_pool_name=self._work_pool_name)
        self._limited_queues = {queue.id for queue in queues if queue.concurrency_limit is not None}

    async def _for_ever(self, what: str, seconds: float, step: Callable[[], Any]) -> None:
        """Repeat a step; a failing step is reported and tried again, it never ends the worker."""
        while True:
            try:
                await step()
            except Exception as error:  # noqa: BLE001 - the server may be away for a while
                self._logger.warning("Worker %s failed, will try again: %s", what, error)
            await asyncio.sleep(seconds)

    async def _take_up_what_was_left(self) -> None:
        """Runs that our former self, or a dead worker of this machine, had in hand run again from the top."""
        for path, claims in self.journal.left_behind():
            for claim in claims:
                with contextlib.suppress(ObjectNotFound):
                    await verdict.undo_late_claim(self.client, UUID(claim.flow_run_id))
                if await verdict.set_back(self.client, claim, "The worker died during this segment."):
                    self._logger.warning("Took up run %s, left by a worker that died", claim.flow_run_id)
                await verdict.finish_cancelling(self.client, UUID(claim.flow_run_id))
            self.journal.forget(path)

    # -- learning of work ----------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._wanted.set()

    def _on_connected(self, connected: bool) -> None:
        self._connected, self._due_unknown = connected, True
        self._wake()

    def _on_signal(self, state_type: str, flow_run_id: UUID, occurred: datetime) -> None:
        if state_type == "SCHEDULED":
            self._due_unknown = True
            self._wake()
            return
        for segment in self._segments.values():
            if segment.flow_run.id != flow_run_id or not _since(segment, occurred):
                continue
            if state_type == "CANCELLING":
                self._background(self._cancel(segment))
            else:
                self._background(self._suspend_from_outside(segment))

    async def _take_while_due(self, until_empty: bool) -> None:
        """Hand out due runs for ever; woken by events, by processes becoming idle, and by the clock."""
        while not self._stopping.is_set():
            self._wanted.clear()
            pause: float = self.settings.poll_seconds
            try:
                pause = await self._hand_out()
            except Exception as error:  # noqa: BLE001 - the server may be away for a while
                self._logger.warning("Could not ask for due runs, will try again: %s", error)
                self._due_unknown = True
                await asyncio.sleep(1)
            if until_empty and not self._segments and not self._backlog and not self._due_unknown:
                return
            try:
                await asyncio.wait_for(self._wanted.wait(), pause)
            except TimeoutError:
                self._due_unknown = True

    async def _hand_out(self) -> float:
        """Give every idle process a due run; returns the seconds after which to look again by itself."""
        passed_over: set[UUID] = set()
        while self.pool.idle and not self._stopping.is_set():
            old = time.monotonic() - self._backlog_read > BACKLOG_SECONDS
            if self._due_unknown or (old and (self._backlog or self._more_due)):
                await self._poll()
            flow_run = self._next_due(passed_over)
            if flow_run is None and self._more_due:
                # The page held only runs that are not due yet, still leaving or passed over: look behind them.
                await self._poll(limit=200)
                flow_run = self._next_due(passed_over)
            if flow_run is None:
                break
            if not await self._take(flow_run):
                passed_over.add(flow_run.id)  # its code is still being warmed; that of others may be warm
        return self._seconds_until_next()

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Ask once for due runs and hand out what there are idle processes for."""
        self._due_unknown = True
        await self._hand_out()
        return [segment.flow_run for segment in self._segments.values()]

    async def _poll(self, limit: int | None = None) -> None:
        """Ask the server what is due. It honours priorities, pauses and the limits of pool and queues."""
        self._due_unknown = False
        # What can be taken now, plus runs to pass over: the client's own method would fetch up to 200.
        limit = limit or self.pool.idle + len(self._segments) + 1
        before = datetime.now(UTC) + timedelta(seconds=self._prefetch_seconds)
        body: dict[str, Any] = {"scheduled_before": before.isoformat(), "limit": limit}
        if self._work_queues:
            body["work_queue_names"] = sorted(self._work_queues)
        response = await self.client.request(
            "POST",
            "/work_pools/{name}/get_scheduled_flow_runs",
            path_params={"name": self._work_pool_name},
            json=body,
        )
        self._last_polled_time = datetime.now(UTC)
        self._backlog_read = time.monotonic()
        found = response.json()
        self._more_due = len(found) >= limit
        due = [run for entry in found if (run := self._readable(entry)) is not None]
        self._backlog = [run for run in due if run.state_id not in self._taken_states]

    def _readable(self, entry: dict[str, Any]) -> FlowRun | None:
        """A due run; none if somebody gave it what Prefect keeps and its client cannot read. Whoever deploys sees to it."""
        try:
            return WorkerFlowRunResponse.model_validate(entry).flow_run
        except ValidationError:
            self._logger.warning("A due run cannot be read and is passed over: %s", entry.get("flow_run", {}).get("id"))
            return None

    def _next_due(self, passed_over: set[UUID]) -> FlowRun | None:
        now = datetime.now(UTC)
        here = passed_over | {segment.flow_run.id for segment in self._segments.values()}
        for flow_run in self._backlog:
            # A run resumed while its last segment is still leaving waits here for the moment that takes.
            if _due_at(flow_run) <= now and flow_run.id not in here:
                return flow_run
        return None

    def _seconds_until_next(self) -> float:
        waits = [(_due_at(flow_run) - datetime.now(UTC)).total_seconds() for flow_run in self._backlog]
        soonest = min((wait for wait in waits if wait > 0), default=self.settings.poll_seconds)
        net = self.settings.poll_seconds if self._connected else min(2.0, self.settings.poll_seconds)
        return max(0.01, min(soonest, net))

    # -- one segment ---------------------------------------------------------------------------------------

    async def _take(self, flow_run: FlowRun) -> bool:
        """Claim one run for an idle process; False when no process for its code is free now."""
        deployment, fault = None, ""
        try:
            deployment = await self._deployment(flow_run.deployment_id)
        except ValidationError:
            fault = "its deployment cannot be read"
        if flow_run.deployment_id and deployment is None and not fault:
            self._backlog.remove(flow_run)
            state: State[Any] = Cancelled(message="The deployment of this run no longer exists.")
            await self.client.set_flow_run_state(flow_run.id, state, force=True)
            return True
        try:
            if fault:
                raise Refused(fault)
            root, entrypoint = self.authority.code_of(self.work_pool.base_job_template, deployment, flow_run)
        except Refused as refused:
            self._backlog.remove(flow_run)
            if flow_run.id not in self._refusing:
                self._refusing.add(flow_run.id)
                self._background(self._refuse(flow_run, deployment, str(refused)))
            return True
        self.pool.know(root, entrypoint)
        process = self.pool.reserve(root)
        if process is None:
            return False
        self._backlog.remove(flow_run)
        if flow_run.state_id is not None:
            self._taken_states[flow_run.state_id] = None
            if len(self._taken_states) > REMEMBERED_STATES:
                self._taken_states.popitem(last=False)
        entry = self.journal.open(flow_run.id, flow_run.state_id)
        segment = Segment(flow_run, entry, process, time.time())
        self._segments[entry] = segment
        self._background(self._run_segment(segment, root, entrypoint))
        return True

    async def _refuse(self, flow_run: FlowRun, deployment: DeploymentResponse | None, reason: str) -> None:
        """Fail a run that must not be executed, once somebody has been told; until that is possible it stays where it is."""
        try:
            self._logger.warning("Run %s (%s) is not executed: %s", flow_run.id, flow_run.name, reason)
            told = Refusal(str(flow_run.id), flow_run.name, deployment.name if deployment else "", reason)
            await asyncio.to_thread(self.authority.report, told)
            state: State[Any] = Failed(name="Refused", message=f"Not executed: {reason}.")
            await self.client.set_flow_run_state(flow_run.id, state, force=True)
        finally:
            self._refusing.discard(flow_run.id)

    async def _run_segment(self, segment: Segment, root: str, entrypoint: str) -> None:
        result = None
        try:
            if await self._claim_on_server(segment):
                assignment = Assignment(segment.flow_run.model_dump_json(), root, entrypoint)
                result = await segment.process.run(assignment)
                await self._settle(segment, result)
            self.journal.close(segment.entry)
        except Exception:
            # Its entry stays in the journal, so that the run is not forgotten, whatever becomes of us.
            self._logger.exception("Run %s: the worker could not settle its segment", segment.flow_run.id)
            if result is not None:
                self._unsettled.append((segment, result))
        finally:
            del self._segments[segment.entry]
            limited = segment.flow_run.work_queue_id in self._limited_queues
            if limited or self.work_pool.concurrency_limit is not None:
                self._due_unknown = True  # our leaving may let another run through the limit
            self.pool.release(segment.process)
            self._wake()

    async def _settle_again(self) -> None:
        """Tell the server what it could not be told when a segment left us."""
        for segment, result in list(self._unsettled):
            await self._settle(segment, result)
            self.journal.close(segment.entry)
            self._unsettled.remove((segment, result))

    async def _claim_on_server(self, segment: Segment) -> bool:
        """Propose Pending: of several workers one gets it, and deployment limits are honoured.

        Nothing of the flow has run before this returns True; a claim that came too late is undone.
        """
        flow_run = segment.flow_run
        try:
            state = await propose_state(self.client, Pending(), flow_run_id=flow_run.id)
        except (Abort, ObjectNotFound) as refusal:
            self._logger.debug("Run %s is not for us: %s", flow_run.id, refusal)
            return False
        if not state.is_pending():
            self._due_unknown = True
            return False
        if await verdict.undo_late_claim(self.client, flow_run.id):
            self._logger.info("Run %s had ended elsewhere before we claimed it; its ending stands", flow_run.id)
            self._due_unknown = True
            return False
        flow_run.state, flow_run.state_id = state, state.id
        flow_run.state_type, flow_run.state_name = state.type, state.name
        self.journal.claimed(segment.entry, state.id)
        return True

    async def _settle(self, segment: Segment, result: Result) -> None:
        """What the server must still be told, if anything."""
        run, claim = segment.flow_run, self._claim(segment)
        log = self.get_flow_run_logger(run)
        if segment.cancelling:
            await verdict.finish_cancelling(self.client, run.id)
            return
        match result.ending:
            case "done":
                pass
            case "stale":
                await verdict.set_back(self.client, claim, "New code was deployed; starting with it.")
            case "died" if segment.cut_off:
                if await verdict.set_back(self.client, claim, "The worker stopped during this segment."):
                    log.info("Set back: not finished when the worker stopped")
                else:
                    await verdict.finish_cancelling(self.client, run.id)
            case "fault" | "died":
                message = result.message
                if result.ending == "died":
                    message = f"The process running this flow run died: {message}."
                if await verdict.crash(self.client, claim, message):
                    log.error("Reported as crashed: %s", message)
                else:
                    await verdict.finish_cancelling(self.client, run.id)

    async def _cancel(self, segment: Segment) -> None:
        """Ask the flow to end, kill its process if it will not, and see that the run is marked Cancelled."""
        run = await self.client.read_flow_run(segment.flow_run.id)  # an event alone may be anybody's
        cancelling = run.state is not None and run.state.is_cancelling()
        if not cancelling or segment.cancelling or segment.entry not in self._segments:
            return
        segment.cancelling = True
        if segment.process.phase is Phase.BUSY:
            segment.process.tell("cancel")
        await asyncio.sleep(self.settings.cancel_grace_seconds)
        if segment.entry in self._segments:
            self._logger.warning("Run %s does not end by itself, killing its process", segment.flow_run.id)
            segment.process.kill()

    async def _suspend_from_outside(self, segment: Segment) -> None:
        """Someone suspended a running run: its flow stops at the next task or state, as with stock workers."""
        await asyncio.sleep(SUSPENSION_CHECK_SECONDS)
        if segment.entry not in self._segments:
            return
        run = await self.client.read_flow_run(segment.flow_run.id)
        if run.state is not None and run.state.is_paused() and segment.entry in self._segments:
            self.get_flow_run_logger(run).info("Suspended from outside; the flow has been told to suspend")
            segment.process.tell("suspend", state=json.loads(run.state.model_dump_json()))

    async def _watch_long_segments(self) -> None:
        """The net under cancellation: segments here for some time are looked up, should an event be lost."""
        old = [s for s in self._segments.values() if time.time() - s.since > 5 and not s.cancelling]
        if not old:
            return
        found = await self.client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                id=FlowRunFilterId(any_=[segment.flow_run.id for segment in old]),
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CANCELLING])),
            )
        )
        cancelling = {run.id for run in found}
        for segment in old:
            if segment.flow_run.id in cancelling:
                self._background(self._cancel(segment))

    async def run(
        self, flow_run: FlowRun, configuration: BaseJobConfiguration, task_status: Any = None
    ) -> DianwuWorkerResult:
        """Part of Prefect's contract for ad-hoc submission, which this worker does not offer."""
        raise NotImplementedError("The dianwu worker takes runs from its work pool only.")

    async def kill_infrastructure(
        self, infrastructure_pid: str, configuration: BaseJobConfiguration, grace_seconds: int = 30
    ) -> None:
        """Kill the process with that id if it is one of ours and busy."""
        for process in self.pool.processes:
            if str(process.pid) == infrastructure_pid and process.phase is Phase.BUSY:
                process.kill()

    # -- deployments ---------------------------------------------------------------------------------------

    async def _deployment(self, deployment_id: UUID | None) -> DeploymentResponse | None:
        if deployment_id is None:
            return None
        read, deployment = self._deployments.get(deployment_id, (0.0, None))
        if deployment is None or time.monotonic() - read > DEPLOYMENT_SECONDS:
            try:
                deployment = await self.client.read_deployment(deployment_id)
            except ObjectNotFound:
                self._deployments.pop(deployment_id, None)
                return None
            self._deployments[deployment_id] = (time.monotonic(), deployment)
        return deployment

    def _claim(self, segment: Segment) -> Claim:
        return self.journal.claim(segment.entry)

    def _background(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(_quietly(coroutine, self._logger))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _quietly(coroutine: Any, logger: logging.Logger | logging.LoggerAdapter[Any]) -> None:
    """One segment's trouble is reported and must not end the worker."""
    try:
        await coroutine
    except Exception:
        logger.exception("Unexpected fault in the worker")


def _due_at(flow_run: FlowRun) -> datetime:
    return flow_run.next_scheduled_start_time or flow_run.expected_start_time or datetime.now(UTC)


def _since(segment: Segment, occurred: datetime) -> bool:
    state = segment.flow_run.state
    return state is None or occurred >= state.timestamp
