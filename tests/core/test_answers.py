"""What came back to a form is judged only if it is what a resume wrote to the form that we wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import FlowRunInput, State, StateDetails, StateType
from prefect.exceptions import ObjectNotFound
from prefect.input.run_input import keyset_from_base_key

from flows.answers import NOT_HERE, TAKEN_AWAY, VANISHED, WITH_IT, Given, given_to
from models.confirmations import ShownForm
from office.base.settings import settings
from office.record.witness import signature
from office.runs.shown_forms import digest, sealed

AT = datetime(2026, 11, 19, 2, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
KEY = "refund-review-1-1-rv-261119-aaaaaa-1"
KEYS = keyset_from_base_key(KEY)


@dataclass
class Server:
    """What Prefect would say of one run: its inputs and its history."""

    run_id: UUID = field(default_factory=uuid4)
    inputs: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    states: list[State[Any]] = field(default_factory=list)
    sent: str = json.dumps({"verdict": "驳回申请"})
    """What the person sent."""

    def filter_flow_run_input(self, run_id: UUID, prefix: str, limit: int, exclude: set[str]) -> list[FlowRunInput]:
        return [
            FlowRunInput(flow_run_id=run_id, key=key, value=value, created=at, sender=self.signed(key, value))
            for key, (value, at) in self.inputs.items()
            if key.startswith(prefix)
        ][:limit]

    def signed(self, key: str, value: str) -> str | None:
        """As the server signs what came with a resume, if it is still what came."""
        return signature(str(self.run_id), key, value) if value == self.sent else None

    def read_flow_run_states(self, run_id: UUID) -> list[State[Any]]:
        return self.states

    def enters(self, type_: StateType, name: str, at: datetime, **details: Any) -> None:
        self.states.append(State(type=type_, name=name, timestamp=at, state_details=StateDetails(**details)))


@pytest.fixture
def server() -> Server:
    """A form was shown, and a person has sent it a minute later."""
    made = Server()
    made.inputs = {KEYS["description"]: ('"请审核"', AT), KEYS["schema"]: ('{"a":1}', AT)}
    made.enters(StateType.RUNNING, "Running", AT - SECOND)
    made.enters(StateType.PAUSED, "Suspended", AT + SECOND, pause_key=KEY, run_input_keyset=dict(KEYS))
    made.enters(StateType.SCHEDULED, "Resuming", AT + 60 * SECOND, scheduled_time=AT)
    made.inputs[KEYS["response"]] = (json.dumps({"verdict": "驳回申请"}), AT + 60 * SECOND)
    return made


def form(server: Server) -> ShownForm:
    return as_shown(server, '"请审核"', '{"a":1}')


def as_shown(server: Server, description: str, schema: str) -> ShownForm:
    made = ShownForm(
        key=KEY,
        review_id="RV-261119-AAAAAA",
        case_id="REF-261119-AAAAAA",
        run_id=str(server.run_id),
        shown_at=AT,
        description_sha256=description and digest(description),
        schema_sha256=schema and digest(schema),
    )
    return sealed(made)


def judged(server: Server, carrier: UUID | None = None) -> Given | None:
    return given_to(server, form(server), carrier or server.run_id)  # type: ignore[arg-type]


def doubt(server: Server) -> str:
    given = judged(server)
    assert given is not None
    return given.doubt


def test_what_a_resume_wrote_is_taken_with_the_time_the_server_stamped(server: Server) -> None:
    given = judged(server)
    assert given is not None and given.doubt == ""
    assert given.raw == {"verdict": "驳回申请"}
    assert given.given_at == AT + 60 * SECOND  # and not the time that the state says it is due


def woken(server: Server) -> None:
    """Nobody answered; the run was woken, because something else had happened."""
    del server.inputs[KEYS["response"]]
    server.states.pop()
    server.enters(StateType.SCHEDULED, "Scheduled", AT + 60 * SECOND)
    server.enters(StateType.PENDING, "Pending", AT + 61 * SECOND)
    server.enters(StateType.RUNNING, "Running", AT + 62 * SECOND)


def test_without_an_answer_there_is_nothing_to_judge(server: Server) -> None:
    woken(server)
    assert judged(server) is None


def test_a_form_that_was_written_and_never_shown_was_answered_by_nobody(server: Server) -> None:
    del server.inputs[KEYS["response"]]
    server.states = [state for state in server.states if not state.is_paused()]
    assert judged(server) is None


def test_an_answer_that_was_deleted_is_a_doubt(server: Server) -> None:
    del server.inputs[KEYS["response"]]
    assert doubt(server) == TAKEN_AWAY
    server.enters(StateType.SCHEDULED, "Scheduled", AT + 63 * SECOND)
    assert doubt(server) == TAKEN_AWAY


@pytest.mark.parametrize("resumed", [(StateType.SCHEDULED, "Resuming"), (StateType.RUNNING, "Running")])
@pytest.mark.parametrize("foreign", [{"run_input_keyset": {"response": "x", "schema": "y"}}, {"pause_key": KEY}, {}])
def test_so_is_one_given_to_a_form_that_somebody_else_put_into_our_run(
    server: Server, foreign: dict[str, Any], resumed: tuple[StateType, str]
) -> None:
    """Wherever they had it written, and however their suspension was to be resumed."""
    woken(server)
    server.enters(StateType.PAUSED, "Suspended", AT + 70 * SECOND, **foreign)
    server.enters(*resumed, AT + 71 * SECOND)
    assert doubt(server) == TAKEN_AWAY


def test_a_run_that_vanished_with_its_form_is_a_doubt(server: Server) -> None:
    server.states, server.inputs = [], {}
    assert doubt(server) == VANISHED


@pytest.mark.parametrize("fault", ["unreadable", "not found"])
def test_so_is_one_that_cannot_be_read(server: Server, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    def read(run_id: UUID) -> list[State[Any]]:
        if fault == "not found":
            raise ObjectNotFound(Exception("404"))
        return [State.model_validate({"type": "PAUSED", "data": {"storage_key": 5}})]

    monkeypatch.setattr(server, "read_flow_run_states", read)
    assert doubt(server) == VANISHED


def test_an_answer_in_a_run_that_was_replaced_is_a_doubt(server: Server) -> None:
    given = judged(server, uuid4())
    assert given is not None and given.doubt == NOT_HERE


def test_a_wake_up_of_ours_after_the_resume_and_a_restart_of_the_worker_are_no_doubt(server: Server) -> None:
    server.enters(StateType.SCHEDULED, "Scheduled", AT + 61 * SECOND)
    server.enters(StateType.PENDING, "Pending", AT + 62 * SECOND)
    server.enters(StateType.SCHEDULED, "AwaitingRetry", AT + 63 * SECOND)
    server.enters(StateType.RUNNING, "Running", AT + 64 * SECOND)
    assert doubt(server) == ""


def test_an_earlier_form_of_the_same_run_is_no_doubt(server: Server) -> None:
    server.enters(StateType.PAUSED, "Suspended", AT - 30 * SECOND, pause_key="another-1", run_input_keyset={})
    server.enters(StateType.SCHEDULED, "Resuming", AT - 20 * SECOND)
    assert doubt(server) == ""


@pytest.mark.parametrize("part", ["description", "schema"])
def test_a_text_or_choices_that_are_not_ours_are_a_doubt(server: Server, part: str) -> None:
    key = KEYS[part]  # type: ignore[literal-required]
    server.inputs[key] = ('"请同意"', AT)
    assert "不一致" in doubt(server)
    del server.inputs[key]
    assert "不一致" in doubt(server)


def test_an_answer_hidden_behind_whatever_else_somebody_put_there_is_a_doubt_and_no_silence(server: Server) -> None:
    planted = {f"{KEY}-{number}": ("x", AT - SECOND) for number in range(20)}
    server.inputs = planted | server.inputs
    assert doubt(server) == TAKEN_AWAY


@pytest.mark.parametrize(
    ("apart", "doubted"),
    [
        (timedelta(0), False),
        (WITH_IT, False),
        (WITH_IT + timedelta(milliseconds=1), True),
        (-60 * SECOND, True),
    ],
)
def test_an_answer_not_written_with_the_resume_is_a_doubt(server: Server, apart: timedelta, doubted: bool) -> None:
    value, at = server.inputs[KEYS["response"]]
    server.inputs[KEYS["response"]] = (value, at + apart)
    assert bool(doubt(server)) is doubted


def test_an_answer_rewritten_in_the_very_moment_of_the_resume_is_a_doubt(server: Server) -> None:
    server.inputs[KEYS["response"]] = (json.dumps({"verdict": "同意退还"}), AT + 60 * SECOND)
    assert "改写" in doubt(server)


def test_of_a_prefect_that_is_not_ours_only_the_times_are_compared(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIANWU_PREFECT_API_URL", "https://prefect.example.cn/api")
    settings.cache_clear()
    server.inputs[KEYS["response"]] = (json.dumps({"verdict": "同意退还"}), AT + 60 * SECOND)
    assert doubt(server) == ""


def test_a_form_shown_by_an_earlier_version_can_still_be_answered(server: Server) -> None:
    old = as_shown(server, "", "")
    server.inputs[KEYS["response"]] = (json.dumps({"verdict": "同意退还"}), AT + 60 * SECOND)
    given = given_to(server, old, server.run_id)  # type: ignore[arg-type]
    assert given is not None and given.doubt == ""


def test_an_answer_without_a_resume_is_a_doubt(server: Server) -> None:
    server.states[-1] = State(type=StateType.SCHEDULED, name="Scheduled", timestamp=AT + 60 * SECOND)
    assert "经由" in doubt(server)
    server.states.pop()
    assert "经由" in doubt(server)


def test_a_run_suspended_again_behind_our_back_is_a_doubt(server: Server) -> None:
    server.enters(StateType.PAUSED, "Suspended", AT + 70 * SECOND, pause_key=KEY, run_input_keyset=dict(KEYS))
    server.enters(StateType.SCHEDULED, "Resuming", AT + 80 * SECOND)
    assert "挂起" in doubt(server)


def test_a_suspension_that_points_to_another_form_is_a_doubt(server: Server) -> None:
    suspended = next(state for state in server.states if state.is_paused())
    suspended.state_details.run_input_keyset = dict(KEYS) | {"description": "another-description"}
    assert doubt(server)


@pytest.mark.parametrize("value", ["", "no json", "[1]", "null", '"x"'])
def test_an_answer_that_is_no_form_reads_as_empty(server: Server, value: str) -> None:
    server.inputs[KEYS["response"]] = (value, AT + 60 * SECOND)
    server.sent = value
    given = judged(server)
    assert given is not None and given.raw == {}


@pytest.mark.parametrize("sent", ["[" * 100_000, '{"verdict": ' + "[" * 900 + "]" * 900 + "}"])
def test_an_answer_nested_beyond_all_says_nothing_and_holds_up_nobody(server: Server, sent: str) -> None:
    server.inputs[KEYS["response"]] = (sent, AT + 60 * SECOND)
    given = judged(server)
    assert given is not None and given.raw == {}
