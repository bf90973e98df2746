"""An answer that lies behind a form before anybody has answered it is taken away and told; an honest one stays."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, FlowRunInput, State, StateDetails, StateType
from prefect.exceptions import ObjectNotFound
from prefect.input.run_input import keyset_from_base_key

from models.cases import Case
from office.base.db import in_transaction
from office.cases import judge
from office.runs import engine, planted, shown_forms, strays
from tests.play import Office


class Prefect:
    """What lies in it, by run and key; and the runs as they are when they are read."""

    def __init__(self) -> None:
        self.lies: dict[tuple[UUID, str], str] = {}
        self.runs: dict[UUID, FlowRun] = {}

    def filter_flow_run_input(self, run_id: UUID, prefix: str, limit: int, exclude: set[str]) -> list[FlowRunInput]:
        found = [(key, value) for (run, key), value in self.lies.items() if run == run_id and key.startswith(prefix)]
        return [FlowRunInput(flow_run_id=run_id, key=key, value=value) for key, value in found[:limit]]

    def read_flow_run_input(self, run_id: UUID, key: str) -> str:
        if (run_id, key) not in self.lies:
            raise ObjectNotFound(http_exc=None)  # type: ignore[arg-type]
        return self.lies[run_id, key]

    def delete_flow_run_input(self, run_id: UUID, key: str) -> None:
        del self.lies[run_id, key]


@pytest.fixture
def prefect(monkeypatch: pytest.MonkeyPatch) -> Prefect:
    made = Prefect()
    monkeypatch.setattr(engine, "client", lambda: made)
    monkeypatch.setattr(engine, "read_run", lambda run_id: made.runs.get(UUID(run_id)))
    return made


def run(run_id: UUID, type_: StateType, key: str) -> FlowRun:
    details = StateDetails(pause_key=key, run_input_keyset=dict(keyset_from_base_key(key)))
    state: State[Any] = State(type=type_, timestamp=datetime(2026, 11, 19, 2, tzinfo=UTC), state_details=details)
    return FlowRun(id=run_id, flow_id=uuid4(), state=state)


def shown(office: Office) -> tuple[str, UUID, str]:
    """A case whose run waits behind the form of its question: with the run, and the form's key."""
    office.open_shop()
    case_id, run_id = office.request_closure().id, uuid4()
    review_id = office.question(case_id).id

    def show(tx: Any) -> str:
        tx.get_one(Case, case_id).run_id = str(run_id)
        return judge.arm(tx, review_id)

    return case_id, run_id, in_transaction(show)


def test_an_answer_that_lies_behind_a_form_before_anybody_answered_is_taken_away_and_told(
    office: Office, prefect: Prefect
) -> None:
    case_id, run_id, key = shown(office)
    waiting = prefect.runs[run_id] = run(run_id, StateType.PAUSED, key)
    assert planted.look([waiting]) == 0, "nothing lies there"
    prefect.lies[run_id, f"{key}-response"] = "{}"
    assert [planted.look([waiting]) for _ in range(2)] == [1, 0]
    assert prefect.lies == {} and office.trail(case_id).count("answer.planted") == 1
    assert office.staff_told("engine_alarm") == ["supervisor"]


def test_what_came_with_a_resume_while_the_sweep_was_looking_stays_for_the_judge(
    office: Office, prefect: Prefect
) -> None:
    case_id, run_id, key = shown(office)
    before = run(run_id, StateType.PAUSED, key)
    prefect.lies[run_id, f"{key}-response"] = "{}"
    for now in (run(run_id, StateType.SCHEDULED, key), run(run_id, StateType.PAUSED, "another")):
        prefect.runs[run_id] = now
        assert planted.look([before]) == 0
    assert len(prefect.lies) == 1 and "answer.planted" not in office.trail(case_id)


@pytest.mark.parametrize("key", ["of somebody else's", ""])
def test_a_form_that_is_not_the_questions_is_not_looked_behind(office: Office, prefect: Prefect, key: str) -> None:
    case_id, run_id, _ = shown(office)
    prefect.lies[run_id, f"{key}-response"] = "{}"
    assert (
        planted.look([run(run_id, StateType.PAUSED, key)]) == 0 and office.trail(case_id).count("answer.planted") == 0
    )


@pytest.mark.parametrize("part", ["description", "schema"])
@pytest.mark.parametrize("to", ["另一段文字", None])
def test_a_form_that_is_not_there_as_we_wrote_it_is_shown_again_before_anybody_answers(
    office: Office, prefect: Prefect, part: str, to: str | None
) -> None:
    case_id, run_id, key = shown(office)
    review, keys = office.question(case_id), keyset_from_base_key(key)
    in_transaction(lambda tx: shown_forms.note(tx, review, str(run_id), key, "文字", "选项"))
    prefect.lies = {(run_id, keys["description"]): "文字", (run_id, keys["schema"]): "选项"}
    waiting = prefect.runs[run_id] = run(run_id, StateType.PAUSED, key)
    planted.look([waiting])
    assert "form.hidden" not in office.trail(case_id)
    prefect.lies[run_id, keys[part]] = to or ""  # type: ignore[literal-required]
    planted.look([waiting])
    assert office.trail(case_id).count("form.hidden") == 1 and office.staff_told("engine_alarm") == ["supervisor"]
    in_transaction(lambda tx: shown_forms.judged(tx, key))
    planted.look([waiting])
    assert office.trail(case_id).count("form.hidden") == 1, "one that was answered elsewhere is cleared"


def test_an_answer_in_a_replaced_run_is_told_however_much_somebody_put_there_before_it(
    office: Office, prefect: Prefect
) -> None:
    case_id, run_id, key = shown(office)
    review = office.question(case_id)
    in_transaction(lambda tx: shown_forms.note(tx, review, str(run_id), key, "文字", "选项"))
    prefect.lies = {(run_id, f"junk-{number}"): "1" for number in range(strays.MOST_INPUTS)}
    answer = json.dumps({"staff_id": "li-na", "code": office.code("li-na"), "task": review.id})
    prefect.lies[run_id, keyset_from_base_key(key)["response"]] = answer
    assert [strays.collect(str(run_id), case_id) for _ in range(2)] == [1, 0]
    assert office.trail(case_id).count("answer.stray") == 1 and office.staff_told("engine_alarm") == ["supervisor"]
    assert keyset_from_base_key(key)["response"] not in {name for _, name in prefect.lies}
