"""Waiting: the only place where a run is suspended. What is awaited stands in our database and is read again.

A form's schema is stored before the run shows Suspended, so an answer given the moment the form appears is taken.
An answer is read raw and judged by ``tasks.reviews``: a wrong code asks again, it never fails the run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State
from prefect.client.schemas.responses import SetStateStatus
from prefect.context import FlowRunContext, SyncClientContext
from prefect.exceptions import ObjectNotFound, Pause, PrefectHTTPStatusError
from prefect.input.run_input import keyset_from_base_key
from prefect.states import Suspended

from flows.forms import form_description, form_schema, read_answer
from flows.story import Resting
from models.cases import Case, WaitState
from models.reviews import Decision, Review
from tasks import cases, reviews
from tasks.db import Tx, in_transaction, reading
from tasks.desk import GATES
from tasks.effects import effect, lock_case
from tasks.engine import run_tags
from tasks.reviews import Gate


class NotSuspended(RuntimeError):
    """Prefect did not take the suspension; the run fails, and is restarted by the recovery sweep."""


@effect("提交人工审核")
def _open_review(tx: Tx, case: Case, gate: str, round: int, seat: int) -> str:
    return reviews.open_review(tx, case, GATES[gate], round, seat).id


def ask(case_id: str, gate: Gate, *, round: int = 1, seat: int = 1) -> Decision:
    """Ask a person and wait for the answer. ``verdict`` is ``None`` when the request was taken back meanwhile."""
    review_id = _open_review(case_id, gate.name, round, seat)
    while True:
        seen = in_transaction(lambda tx: reviews.look(tx, review_id, gate))
        if isinstance(seen, Decision):
            return seen
        answer = _answer_given(seen)
        if answer is None:
            _show_form(seen, gate)
        given = read_answer(seen, gate, answer, _resumed_at())
        in_transaction(lambda tx, given=given: reviews.take_answer(tx, review_id, gate, given))  # type: ignore[misc]


def wait_for(case_id: str, key: str) -> WaitState:
    """Wait until the wait with this key has ended, and say how. It must have been opened by an effect before."""
    while True:
        state = cases.wait_state(case_id, key)
        if state is None:
            raise LookupError(f"{case_id} has no wait {key!r}")
        if state is not WaitState.OPEN:
            return state
        _suspend(case_id)


def wait_until(case_id: str, reached: Callable[[], bool]) -> None:
    """Wait until ``reached`` is true; it is asked again after every wake-up."""
    while not reached():
        _suspend(case_id)


# ── Prefect ──────────────────────────────────────────────────────────────────


def _run() -> tuple[SyncPrefectClient, UUID] | None:
    """The client and id of the current Prefect run; ``None`` when the story is played without Prefect."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return None
    with SyncClientContext.get_or_create() as shared:
        return shared.client, context.flow_run.id


def _answer_given(review: Review) -> dict[str, Any] | None:
    """The answer to the form shown last, if this run has one that was not judged yet."""
    run = _run()
    if run is None or review.pause_key is None:
        return None
    client, run_id = run
    try:
        raw = client.read_flow_run_input(run_id, keyset_from_base_key(review.pause_key)["response"])
    except (ObjectNotFound, PrefectHTTPStatusError) as error:
        if isinstance(error, PrefectHTTPStatusError) and error.response.status_code != 404:
            raise
        return None
    answer = json.loads(raw)
    return answer if isinstance(answer, dict) else None


def _resumed_at() -> datetime | None:
    """When the form was sent: a resumed run is due from that moment. ``None`` if Prefect does not say."""
    context, run = FlowRunContext.get(), _run()
    if context is None or context.flow_run is None or run is None:
        return None
    if context.flow_run.next_scheduled_start_time is not None:  # as the run was claimed: known without asking
        return context.flow_run.next_scheduled_start_time
    client, run_id = run
    states = client.read_flow_run_states(run_id)
    return max((state.timestamp for state in states if state.is_scheduled() and state.timestamp), default=None)


def _show_form(review: Review, gate: Gate) -> None:
    """Suspend the run behind a form; does not return."""
    key = in_transaction(lambda tx: _rest(tx, review.case_id, review.id))
    run = _run()
    if run is None or key is None:
        raise Resting
    client, run_id = run
    keyset = keyset_from_base_key(key)
    client.create_flow_run_input(run_id, keyset["description"], json.dumps(form_description(review, gate)))
    client.create_flow_run_input(run_id, keyset["schema"], json.dumps(form_schema(review, gate)))
    with reading() as tx:
        asked = reviews.tags(tx, review)
    _tag(client, run_id, cases.read_case(review.case_id), asked)
    state: State[None] = Suspended(timeout_seconds=None, pause_key=key)
    state.state_details.run_input_keyset = dict(keyset)  # type: ignore[arg-type]
    _propose(client, run_id, state)


def _suspend(case_id: str) -> None:
    """Suspend the run without a form; does not return."""
    in_transaction(lambda tx: _rest(tx, case_id, None))
    run = _run()
    if run is None:
        raise Resting
    client, run_id = run
    _tag(client, run_id, cases.read_case(case_id))
    _propose(client, run_id, Suspended(timeout_seconds=None, pause_key=f"wait-{uuid4().hex}"))


def _rest(tx: Tx, case_id: str, review_id: str | None) -> str | None:
    """Note that the case got as far as waiting; the fresh pause key of the review, if it waits for one."""
    case = lock_case(tx, case_id)
    case.run_seen_at, case.restarts = tx.now, 0
    tx.add(case)
    return reviews.arm(tx, review_id) if review_id else None


def _tag(client: SyncPrefectClient, run_id: UUID, case: Case, asked: Sequence[str] = ()) -> None:
    """Let the run list be filtered by who is awaited; a run that waits for no person has no such tag."""
    tags = run_tags(case, asked)
    context = FlowRunContext.get()
    if context and context.flow_run and set(context.flow_run.tags) != set(tags):
        client.update_flow_run(run_id, tags=tags)


def _propose(client: SyncPrefectClient, run_id: UUID, state: Any) -> None:
    result = client.set_flow_run_state(run_id, state)
    if result.status is not SetStateStatus.ACCEPT:
        raise NotSuspended(f"{result.status}: {getattr(result.details, 'reason', '')}")
    raise Pause(state=result.state or state)
