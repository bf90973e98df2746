"""Waiting: the only place where a run is suspended. What is awaited stands in our database and is read again.

A form's schema is stored before the run shows Suspended, so an answer given the moment the form appears is taken.
An answer is read raw (``flows.answers``) and judged by ``office.cases.reviews``: a wrong code asks again, it never fails the run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State
from prefect.client.schemas.responses import SetStateStatus
from prefect.context import FlowRunContext, SyncClientContext
from prefect.exceptions import Pause
from prefect.input.run_input import keyset_from_base_key
from prefect.states import Suspended

from flows.answers import LOST, Given, given_to
from flows.story import Resting
from models.cases import Case, WaitState
from models.confirmations import ShownForm
from models.reviews import Decision, Review
from office.base.db import Tx, in_transaction, reading
from office.cases import cases, confirmations, judge, reviews, weights
from office.cases.confirmations import Held
from office.cases.effects import effects_of
from office.cases.forms import form_description, form_schema, read_answer
from office.cases.gates import Gate
from office.cases.locks import lock_case
from office.process import office
from office.runs import planted, shown_forms, strays
from office.runs.engine import run_tags

effect = effects_of("waiting")


class NotSuspended(RuntimeError):
    """Prefect did not take the suspension; the run fails, and is restarted by the recovery sweep."""


@effect("提交人工审核")
def _open_review(tx: Tx, case: Case, gate: str, round: int, seat: int) -> str:
    return reviews.open_review(tx, case, office().gates[gate], round, seat).id


def ask(case_id: str, gate: Gate, *, round: int = 1, seat: int = 1) -> Decision:
    """Ask a person and wait for the answer. ``verdict`` is ``None`` when the request was taken back meanwhile."""
    _open_review(case_id, gate.name, round, seat)
    with reading() as tx:  # and not what that step kept, which anybody with the database can change
        review_id = reviews.asked(tx, case_id, gate.name, round, seat)
    while True:
        shown = _shown(review_id)
        forms = shown_forms.unread(shown)
        if any([_take_what_came(case_id, review_id, gate, form) for form in forms]):
            continue
        match in_transaction(lambda tx: confirmations.look(tx, review_id, gate)):
            case Decision() as decision:
                if forms:
                    in_transaction(partial(_pass_over, forms=forms))
                return decision
            case Held():
                _suspend(case_id)
            case Review() as review if _run() and shown_forms.gone(review, shown):
                in_transaction(partial(_miss, review_id=review_id, gate=gate))
            case Review() as review:
                _show_form(review, gate)


def _shown(review_id: str) -> list[ShownForm]:
    """The forms shown of the question, by whichever run."""
    with reading() as tx:
        forms = shown_forms.of(tx, review_id)
        tx.expunge_all()
    return forms


def _pass_over(tx: Tx, forms: list[ShownForm]) -> None:
    for form in forms:
        shown_forms.judged(tx, form.key)


def _miss(tx: Tx, review_id: str, gate: Gate) -> None:
    """The last form shown is not in our database any more: somebody may have answered it.

    Asked once more: another run of the case may have shown one since we looked.
    """
    review = reviews.get(tx, review_id)
    if not shown_forms.gone(review, shown_forms.of(tx, review_id)):
        return
    shown_forms.note_gone(tx, review)
    nothing = read_answer(review, gate, {}, None)
    confirmations.refuse_doubtful(tx, review, gate, nothing, LOST, review.form_key)


def _take_what_came(case_id: str, review_id: str, gate: Gate, form: ShownForm) -> bool:
    """Judge the answer to a form, if there is or was one, and take it out of Prefect; whether there was one."""
    run = _run()
    given = given_to(run[0], form, run[1]) if run else None
    if run is None or given is None:
        return False
    if not shown_forms.holds(form):
        form.run_id = str(run[1])
    in_transaction(lambda tx: _judge(tx, review_id, gate, form, given))
    shown_forms.take_out_answer(run[0], form)
    if given.doubt:
        strays.collect(form.run_id, case_id)  # what was answered there to a form of somebody else's
    return True


def _judge(tx: Tx, review_id: str, gate: Gate, form: ShownForm, given: Given) -> None:
    review = reviews.get(tx, review_id)
    answer = read_answer(review, gate, given.raw, given.given_at)
    if given.doubt:
        confirmations.refuse_doubtful(tx, review, gate, answer, given.doubt, form.key)
    else:
        confirmations.take_form_answer(tx, review_id, gate, answer)
    shown_forms.judged(tx, form.key, lay_in=form.run_id)


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


def _show_form(review: Review, gate: Gate) -> None:
    """Suspend the run behind a form; does not return."""
    run = _run()

    def rest(tx: Tx) -> tuple[str, str, str]:
        _rest(tx, review.case_id)
        key = judge.arm(tx, review.id)
        told = json.dumps(form_description(review, gate, weights.follows(tx, gate.name)))
        asked = json.dumps(form_schema(review, gate))
        if run is not None:
            shown_forms.note(tx, review, str(run[1]), key, told, asked)
        return key, told, asked

    key, description, schema = in_transaction(rest)
    if run is None:
        raise Resting
    client, run_id = run
    keyset = keyset_from_base_key(key)
    for part, content in ((keyset["description"], description), (keyset["schema"], schema)):
        planted.put(client, run_id, review.case_id, part, content)
    with reading() as tx:
        asked = reviews.tags(tx, review)
    _tag(client, run_id, cases.read_case(review.case_id), asked)
    state: State[None] = Suspended(timeout_seconds=None, pause_key=key)
    state.state_details.run_input_keyset = dict(keyset)  # type: ignore[arg-type]
    _propose(client, run_id, state)


def _suspend(case_id: str) -> None:
    """Suspend the run without a form; does not return."""
    in_transaction(lambda tx: _rest(tx, case_id))
    run = _run()
    if run is None:
        raise Resting
    client, run_id = run
    _tag(client, run_id, cases.read_case(case_id))
    _propose(client, run_id, Suspended(timeout_seconds=None, pause_key=f"wait-{uuid4().hex}"))


def _rest(tx: Tx, case_id: str) -> None:
    """Note that the case got as far as waiting."""
    case = lock_case(tx, case_id)
    case.run_seen_at, case.restarts = tx.now, 0
    tx.add(case)


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
