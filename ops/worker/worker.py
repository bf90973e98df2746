"""The worker: asks what is due, claims it, hands it to a warm process, and settles how it ended.

Prefect's `BaseWorker` gives heartbeats, the work pool and registration (`prefect worker start --type dianwu`).
Submission is ours: runs are claimed only when a warm process is free, so nothing waits in Pending and nothing
is lost when the worker ends; what waits, waits in Scheduled on the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import DeploymentResponse
from prefect.states import Cancelled, Failed
from prefect.workers.base import BaseJobConfiguration, BaseVariables, BaseWorker, BaseWorkerResult
from pydantic import ValidationError

from ops.worker import verdict
from ops.worker.authority import Refusal, Refused, load
from ops.worker.background import for_ever, on_stop_signals, quietly
from ops.worker.deployments import Deployments
from ops.worker.due import Due
from ops.worker.in_hand import Segment, claim, settle, take_up_what_was_left
from ops.worker.journal import Journal
from ops.worker.pool import Assignment, Phase, Result, WarmPool
from ops.worker.settings import WorkerSettings
from ops.worker.signals import listen

SUSPENSION_CHECK_SECONDS = 1.0
"""A run that suspends itself leaves within this time; one still here was suspended from outside."""
SETTLE_SECONDS = 15.0
"""How long the server may take to be told of what a stop cut off; what is left then is for the next start."""


class DianwuWorkerResult(BaseWorkerResult):
    """How one segment left its process."""


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
        self._wanted = asyncio.Event()
        self.pool = WarmPool(settings, self._wanted.set, self._logger)
        for root, entrypoint in self.authority.entrypoints():
            self.pool.know(root, entrypoint)
        self._journal: Journal | None = None
        self._segments: dict[int, Segment] = {}
        self._stopping = asyncio.Event()
        self._hurried = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._unsettled: list[tuple[Segment, Result]] = []
        self._refusing: set[UUID] = set()
        self.due = Due(self._logger)
        self._connected = False
        self._limited_queues: set[UUID] = set()
        self._deployments = Deployments()

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

    async def start(
        self, run_once: bool = False, with_healthcheck: bool = False, printer: Callable[..., None] = print
    ) -> None:
        """Work until told to stop; `run_once` takes what is due now, waits for it and returns."""
        self.pool.copy()
        with on_stop_signals(self._stop), contextlib.ExitStack() as stack:
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
            await take_up_what_was_left(self.client, self.journal, self._logger)

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
            asyncio.create_task(for_ever("heartbeat", self.heartbeat_interval_seconds, self._heartbeat, self._logger)),
            asyncio.create_task(for_ever("watch", 10, self._watch_long_segments, self._logger)),
            asyncio.create_task(for_ever("settling", 10, self._settle_again, self._logger)),
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

    def _stop(self) -> None:
        """Take no more and let what runs finish; asked a second time, do not wait for it."""
        if self._stopping.is_set():
            self._hurried.set()
        self._logger.info("Stopping; %d segment(s) still running", len(self._segments))
        self._stopping.set()

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

    def _on_connected(self, connected: bool) -> None:
        self._connected, self.due.unknown = connected, True
        self._wanted.set()

    def _on_signal(self, state_type: str, flow_run_id: UUID, occurred: datetime) -> None:
        if state_type == "SCHEDULED":
            self.due.unknown = True
            self._wanted.set()
            return
        for segment in self._segments.values():
            if segment.flow_run.id != flow_run_id or not segment.may_mean(occurred):
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
                self.due.unknown = True
                await asyncio.sleep(1)
            if until_empty and not self._segments and not self.due.runs and not self.due.unknown:
                return
            try:
                await asyncio.wait_for(self._wanted.wait(), pause)
            except TimeoutError:
                self.due.unknown = True

    async def _hand_out(self) -> float:
        """Give every idle process a due run; returns the seconds after which to look again by itself."""
        passed_over: set[UUID] = set()
        while self.pool.idle and not self._stopping.is_set():
            if self.due.out_of_date:
                await self._ask()
            flow_run = self._first_due(passed_over)
            if flow_run is None and self.due.more:
                # The page held only runs that are not due yet, still leaving or passed over: look behind them.
                await self._ask(limit=200)
                flow_run = self._first_due(passed_over)
            if flow_run is None:
                break
            if not await self._take(flow_run):
                passed_over.add(flow_run.id)  # its code is still being warmed; that of others may be warm
        poll = self.settings.poll_seconds
        return self.due.seconds_until_next(at_most=poll if self._connected else min(2.0, poll))

    def _first_due(self, passed_over: set[UUID]) -> FlowRun | None:
        # A run resumed while its last segment is still leaving waits here for the moment that takes.
        return self.due.first(but=passed_over | {segment.flow_run.id for segment in self._segments.values()})

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Ask once for due runs and hand out what there are idle processes for."""
        self.due.unknown = True
        await self._hand_out()
        return [segment.flow_run for segment in self._segments.values()]

    async def _ask(self, limit: int | None = None) -> None:
        # What can be taken now, plus runs to pass over: the client's own method would fetch up to 200.
        ahead, most = timedelta(seconds=self._prefetch_seconds), limit or self.pool.idle + len(self._segments) + 1
        await self.due.ask(self.client, self._work_pool_name, self._work_queues, ahead, most)
        self._last_polled_time = datetime.now(UTC)

    # -- one segment ---------------------------------------------------------------------------------------

    async def _take(self, flow_run: FlowRun) -> bool:
        """Claim one run for an idle process; False when no process for its code is free now."""
        deployment, fault = None, ""
        try:
            deployment = await self._deployments.read(self.client, flow_run.deployment_id)
        except ValidationError:
            fault = "its deployment cannot be read"
        if flow_run.deployment_id and deployment is None and not fault:
            self.due.drop(flow_run)
            state: State[Any] = Cancelled(message="The deployment of this run no longer exists.")
            await self.client.set_flow_run_state(flow_run.id, state, force=True)
            return True
        try:
            if fault:
                raise Refused(fault)
            root, entrypoint = self.authority.code_of(self.work_pool.base_job_template, deployment, flow_run)
        except Refused as refused:
            self.due.drop(flow_run)
            if flow_run.id not in self._refusing:
                self._refusing.add(flow_run.id)
                self._background(self._refuse(flow_run, deployment, str(refused)))
            return True
        self.pool.know(root, entrypoint)
        process = self.pool.reserve(root)
        if process is None:
            return False
        try:
            entry = self.journal.open(flow_run.id, flow_run.state_id)
        except OSError:  # a full disk, say: nothing is claimed, and the process is there for when there is room
            self.pool.release(process)
            raise
        self.due.take(flow_run)
        segment = self._segments[entry] = Segment(flow_run, entry, process, time.time())
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
            if await claim(self.client, segment, self.journal, self._logger):
                assignment = Assignment(segment.flow_run.model_dump_json(), root, entrypoint)
                result = await segment.process.run(assignment)
                await self._settle(segment, result)
            else:
                self.due.unknown = True  # what we knew of it was out of date
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
                self.due.unknown = True  # our leaving may let another run through the limit
            self.pool.release(segment.process)
            self._wanted.set()

    async def _settle_again(self) -> None:
        """Tell the server what it could not be told when a segment left us."""
        for segment, result in list(self._unsettled):
            await self._settle(segment, result)
            self.journal.close(segment.entry)
            self._unsettled.remove((segment, result))

    async def _settle(self, segment: Segment, result: Result) -> None:
        log = self.get_flow_run_logger(segment.flow_run)
        await settle(self.client, segment, self.journal.claim(segment.entry), result, log)

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
        cancelling = await verdict.cancelling_among(self.client, [segment.flow_run.id for segment in old])
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

    def _background(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(quietly(coroutine, self._logger))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
