"""A segment that a worker has in hand: claimed, given to one of its processes, and settled once it has left that."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import Abort, ObjectNotFound
from prefect.states import Pending
from prefect.utilities.engine import propose_state

from ops.worker import verdict
from ops.worker.background import Logger
from ops.worker.journal import Claim, Journal
from ops.worker.pool import Result, WarmProcess


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

    def may_mean(self, occurred: datetime) -> bool:
        """Whether what happened to the run at that moment happened to this segment of it."""
        state = self.flow_run.state
        return state is None or occurred >= state.timestamp


async def take_up_what_was_left(client: PrefectClient, journal: Journal, log: Logger) -> None:
    """Runs that our former self, or a dead worker of this machine, had in hand run again from the top."""
    for path, claims in journal.left_behind():
        for left in claims:
            with contextlib.suppress(ObjectNotFound):
                await verdict.undo_late_claim(client, UUID(left.flow_run_id))
            if await verdict.set_back(client, left, "The worker died during this segment."):
                log.warning("Took up run %s, left by a worker that died", left.flow_run_id)
            await verdict.finish_cancelling(client, UUID(left.flow_run_id))
        journal.forget(path)


async def claim(client: PrefectClient, segment: Segment, journal: Journal, log: Logger) -> bool:
    """Propose Pending: of several workers one gets it, and deployment limits are honoured.

    Nothing of the flow has run before this returns True; a claim that came too late is undone.
    """
    run = segment.flow_run
    try:
        state = await propose_state(client, Pending(), flow_run_id=run.id)
    except (Abort, ObjectNotFound) as refusal:
        log.debug("Run %s is not for us: %s", run.id, refusal)
        return False
    if not state.is_pending():
        return False
    if await verdict.undo_late_claim(client, run.id):
        log.info("Run %s had ended elsewhere before we claimed it; its ending stands", run.id)
        return False
    run.state, run.state_id = state, state.id
    run.state_type, run.state_name = state.type, state.name
    journal.claimed(segment.entry, state.id)
    return True


async def settle(client: PrefectClient, segment: Segment, claimed: Claim, result: Result, log: Logger) -> None:
    """What the server must still be told, if anything."""
    run = segment.flow_run
    if segment.cancelling:
        await verdict.finish_cancelling(client, run.id)
        return
    match result.ending:
        case "done":
            pass
        case "stale":
            await verdict.set_back(client, claimed, "New code was deployed; starting with it.")
        case "died" if segment.cut_off:
            if await verdict.set_back(client, claimed, "The worker stopped during this segment."):
                log.info("Set back: not finished when the worker stopped")
            else:
                await verdict.finish_cancelling(client, run.id)
        case "fault" | "died":
            message = result.message
            if result.ending == "died":
                message = f"The process running this flow run died: {message}."
            if await verdict.crash(client, claimed, message):
                log.error("Reported as crashed: %s", message)
            else:
                await verdict.finish_cancelling(client, run.id)
