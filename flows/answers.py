"""Answers: what came back to a form in Prefect, and whether it is what a person sent to the form that we wrote.

Whoever reaches Prefect's API can rewrite an answer, a form's text and its choices. So before an answer is judged, what is
stored is compared with what we stored, and the run's history with what a resume leaves: one suspension of ours, then a
resume, and the answer written with it, signed by the server that took it. What does not fit is not judged; it is refused,
recorded, and told. So is an answer that is not there any more though the history says that somebody gave one, or does not
say that nobody did: whoever took it away may know its one-time code.

Times are those the server stamped on what it wrote itself, never one that a caller may choose.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRunInput, State
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.input.run_input import keyset_from_base_key
from pydantic import ValidationError

from models.base import Frozen
from models.confirmations import ShownForm
from office.base.settings import settings
from office.record.witness import signature
from office.runs.shown_forms import digest, holds, run_of
from office.runs.strays import values_of

REWRITTEN = "答复在提交之后被改写"
TAKEN_AWAY = "有人提交过答复，答复却被删去"
VANISHED = "显示表单的运行不见了或无法读取，不能确认有没有人在其中提交过答复"
CHANGED = "系统留存的表单记录在数据库中被改动，不能确认展示的内容和有没有人提交过答复"
LOST = "系统留存的表单记录在数据库中被删去，不能确认有没有人提交过答复"
NOT_HERE = "提交答复的表单属于一次已被替换的运行"
RESUMED = "Resuming"
"""The name of the state that Prefect's resume leaves."""
WITH_IT = timedelta(seconds=1)
"""The server stamps a resume's state and its answer one after the other; so far apart they were not written together."""


class Given(Frozen):
    """An answer as it came back; ``doubt`` says in Chinese why it cannot be what a person sent."""

    raw: dict[str, Any]
    given_at: datetime | None
    doubt: str = ""


def given_to(client: SyncPrefectClient, form: ShownForm, carrier: UUID) -> Given | None:
    """The answer to a form, or the doubt that there was one; ``None`` when nobody answered.

    ``carrier`` is the run that carries the case now: what was answered in another one counts for nothing.
    """
    ours, keys = holds(form), keyset_from_base_key(form.key)
    run_id = (run_of(form) if ours else None) or carrier
    try:
        found = {row.key: row for row in client.filter_flow_run_input(run_id, f"{form.key}-", 10, set())}
        states = sorted(client.read_flow_run_states(run_id), key=lambda state: state.timestamp)
    except (ObjectNotFound, ValidationError):
        found, states = {}, []
    except PrefectHTTPStatusError as error:
        if error.response.status_code != httpx.codes.NOT_FOUND:
            raise
        found, states = {}, []
    response = found.get(keys["response"])
    if not ours:
        return Given(raw=values_of(response.value) if response else {}, given_at=None, doubt=CHANGED)
    if response is None:
        doubt = (TAKEN_AWAY if _resumed(states, form.key) else "") if states else VANISHED
        return Given(raw={}, given_at=None, doubt=doubt) if doubt else None
    resume = _resume(states, form.key)
    return Given(
        raw=values_of(response.value),
        given_at=resume.timestamp if resume else None,
        doubt=("" if run_id == carrier else NOT_HERE)
        or _form_differs(found, keys, form)
        or _not_by_resume(states, form.key, keys, response, resume)
        or ("" if not form.schema_sha256 or witnessed(response) else REWRITTEN),
    )


def witnessed(response: FlowRunInput) -> bool:
    """Whether the server that took the resume has signed what it wrote (``ops.prefect_plugin``).

    The one that our stack starts does; of another one only the times can be compared.
    """
    if settings().prefect_api_url:
        return True
    return response.sender == signature(str(response.flow_run_id), response.key, response.value)


def _form_differs(found: dict[str, FlowRunInput], keys: Any, form: ShownForm) -> str:
    for part, ours in (("description", form.description_sha256), ("schema", form.schema_sha256)):
        row = found.get(keys[part])
        if ours and (row is None or digest(row.value) != ours):
            return "表单的文字或选项与系统所写的不一致"
    return ""


def _suspensions(states: list[State[Any]], key: str) -> list[int]:
    """Where in the history the run was suspended, from our own suspension behind this form on."""
    first = next((n for n, state in enumerate(states) if state.state_details.pause_key == key), None)
    return [] if first is None else [n for n, state in enumerate(states) if n >= first and state.is_paused()]


def _resumed(states: list[State[Any]], key: str) -> bool:
    """Whether anything that suspended the run since our form was shown, ours or another's, was resumed as by a person.

    A wake-up of ours leaves another state. What stands in the history can be added to, and not changed, over the API.
    """
    after = [state for n in _suspensions(states, key) for state in states[n + 1 : n + 2]]
    return any(state.name == RESUMED or state.is_running() for state in after)


def _resume(states: list[State[Any]], key: str) -> State[Any] | None:
    """The state that followed our suspension, if it is one that makes a run due."""
    places = _suspensions(states, key)
    after = states[places[0] + 1 : places[0] + 2] if places else []
    return next((state for state in after if state.is_scheduled()), None)


def _not_by_resume(
    states: list[State[Any]], key: str, keys: Any, response: FlowRunInput, resume: State[Any] | None
) -> str:
    places = _suspensions(states, key)
    if len(places) != 1:
        return "表单显示之后，运行又被人挂起过"
    suspended = states[places[0]]
    if suspended.state_details.run_input_keyset != dict(keys):
        return "运行所指的表单不是系统所写的"
    if resume is None or resume.name != RESUMED:
        return "答复不是经由提交表单而来"
    written = response.created
    if written is None or not resume.timestamp - WITH_IT <= written <= resume.timestamp + WITH_IT:
        return REWRITTEN
    return ""
