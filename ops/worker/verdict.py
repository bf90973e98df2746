"""What becomes of a run whose segment ended without saying how: the server's history decides."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import Abort, ObjectNotFound
from prefect.states import Cancelled, Crashed, Scheduled
from prefect.utilities.engine import propose_state

from ops.worker.journal import Claim

_IN_HAND = {StateType.PENDING, StateType.RUNNING}
_LEFT_OUR_HANDS = {
    StateType.SCHEDULED,
    StateType.PAUSED,
    StateType.COMPLETED,
    StateType.FAILED,
    StateType.CRASHED,
    StateType.CANCELLED,
}


async def still_ours(client: PrefectClient, claim: Claim) -> bool:
    """Whether the run is Pending or Running because of this very claim, and not of a later one.

    A run may be suspended, resumed and claimed again by anyone within milliseconds, so its present state alone
    proves nothing: what counts is that nothing but Pending and Running follows our own Pending state.
    """
    history = sorted(await client.read_flow_run_states(UUID(claim.flow_run_id)), key=lambda state: state.timestamp)
    if not history or history[-1].type not in _IN_HAND:
        return False
    after = _after_claim(history, claim)
    return after is not None and not any(state.type in _LEFT_OUR_HANDS for state in after)


def _after_claim(history: list[State], claim: Claim) -> list[State] | None:
    ids = [str(state.id) for state in history]
    if claim.pending_state_id in ids:
        return history[ids.index(claim.pending_state_id) :]
    if claim.from_state_id in ids:
        # Died between claiming and noting it: the Pending that follows can be ours, and nobody else speaks for it.
        return history[ids.index(claim.from_state_id) + 1 :]
    return None


async def undo_late_claim(client: PrefectClient, flow_run_id: UUID) -> bool:
    """Give a run its ending back if it was claimed after it had ended; True when it was.

    The server lets a worker whose list of due runs is a moment old claim a run that another worker has meanwhile
    brought to its end. A lawful claim is of a Scheduled run, so an ending after the last Scheduled state is the mark
    of a late one. Its own place in the history proves nothing: the server stamps a state when the request comes in
    and decides when it is the request's turn.
    """
    history = sorted(await client.read_flow_run_states(flow_run_id), key=lambda state: state.timestamp)
    scheduled = [place for place, state in enumerate(history) if state.type is StateType.SCHEDULED]
    endings = [state for state in history[scheduled[-1] + 1 :] if state.is_final()] if scheduled else []
    if not endings:
        return False
    run = await client.read_flow_run(flow_run_id)
    if run.state is not None and run.state.is_pending():
        ended = endings[-1]
        again: State[Any] = State(type=ended.type, name=ended.name, message=ended.message, data=ended.data)
        await client.set_flow_run_state(flow_run_id, again, force=True)
    return True


async def crash(client: PrefectClient, claim: Claim, message: str) -> bool:
    """Report the run as Crashed if it is still ours; True when it was."""
    try:
        if not await still_ours(client, claim):
            return False
        await propose_state(client, Crashed(message=message), flow_run_id=UUID(claim.flow_run_id))
    except (Abort, ObjectNotFound):
        return False
    return True


async def set_back(client: PrefectClient, claim: Claim, reason: str) -> bool:
    """Put the run back to run again from its first line if it is still ours; True when it was."""
    try:
        if not await still_ours(client, claim):
            return False
        state: State[Any] = Scheduled(name="AwaitingRetry", message=reason)
        await client.set_flow_run_state(UUID(claim.flow_run_id), state, force=True)
    except ObjectNotFound:
        return False
    return True


async def finish_cancelling(client: PrefectClient, flow_run_id: UUID) -> bool:
    """Mark the run Cancelled if it is still Cancelling; True when it was."""
    try:
        run = await client.read_flow_run(flow_run_id)
        if run.state is None or run.state.type is not StateType.CANCELLING:
            return False
        await client.set_flow_run_state(flow_run_id, Cancelled(message="Flow run was cancelled."), force=True)
    except ObjectNotFound:
        return False
    return True


async def cancelling_among(client: PrefectClient, flow_run_ids: list[UUID]) -> set[UUID]:
    """Which of these runs somebody has asked to end."""
    found = await client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            id=FlowRunFilterId(any_=flow_run_ids),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CANCELLING])),
        )
    )
    return {run.id for run in found}
