"""What our waiting relies on inside a real Prefect, and what people and accidents can do to a run that waits."""

from __future__ import annotations

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import PrefectHTTPStatusError
from prefect.input.run_input import keyset_from_base_key
from prefect.states import Cancelled, Scheduled

from models.cases import Case
from models.reviews import Review
from office.record import audit
from office.runs import engine
from ops.rehearsal import Rehearsal
from ops.scenes.stage import ask_to_close, register
from tests.stack.conftest import codes_count_in_forms_again

pytestmark = pytest.mark.engine
GATE = "closure-review"
_numbers = itertools.count(1)


@pytest.fixture
def case_id(stage: Rehearsal) -> str:
    """A closure that shows its form."""
    shop = f"shop-w{next(_numbers)}"
    register(stage, shop, "晨光文具", "ENTERPRISE", 400_000, "BANK", "3301040160000121234")
    case_id = ask_to_close(stage, shop)
    stage.asks(case_id, GATE)
    return case_id


def prefect() -> SyncPrefectClient:
    return engine.client()


def run_of(stage: Rehearsal, case_id: str) -> UUID:
    return UUID(stage.read(lambda tx: tx.get(Case, case_id).run_id))


def token_of(run: UUID, review: Review) -> str:
    """The token that the form shown now carries."""
    assert review.pause_key is not None
    schema = json.loads(prefect().read_flow_run_input(run, keyset_from_base_key(review.pause_key)["schema"]))
    token: str = schema["properties"]["task"]["default"]
    return token


def rejection(stage: Rehearsal, token: str, reviewer: str, **more: Any) -> dict[str, Any]:
    return {
        "task": token,
        "staff_id": reviewer,
        "code": stage.code(reviewer),
        "verdict": "驳回申请",
        "reason": "资料不符",
    } | more


def resume(run: UUID, answer: dict[str, Any]) -> SetStateStatus | int:
    """What Prefect says, or with which HTTP status it refused."""
    try:
        return prefect().resume_flow_run(run, run_input=answer).status
    except PrefectHTTPStatusError as refused:
        return refused.response.status_code


def test_an_answer_to_a_form_shown_before_the_facts_changed_is_refused_by_the_server_and_changes_nothing(
    stage: Rehearsal, case_id: str, reviewer: str
) -> None:
    run, shown = run_of(stage, case_id), stage.asks(case_id, GATE)
    stale = token_of(run, shown)
    stage.snapshot(stage.read(lambda tx: tx.get(Case, case_id).shop_id), open_orders=2)
    stage.wait(lambda: stage.asks(case_id, GATE).revision > shown.revision, "the new facts are shown")
    again = stage.asks(case_id, GATE)
    assert token_of(run, again) != stale
    before = stage.read(lambda tx: len(audit.timeline(tx, case_id)))
    for wrong in (stale, None):
        answer = rejection(stage, stale, reviewer, task=wrong)
        if wrong is None:
            del answer["task"]
        assert resume(run, answer) is not SetStateStatus.ACCEPT
    assert stage.asks(case_id, GATE).attempt == again.attempt
    assert stage.read(lambda tx: len(audit.timeline(tx, case_id))) == before


def test_of_many_who_press_at_once_one_is_taken(stage: Rehearsal, case_id: str, reviewer: str) -> None:
    run, shown = run_of(stage, case_id), stage.asks(case_id, GATE)
    answer = rejection(stage, token_of(run, shown), reviewer)
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda _: resume(run, answer), range(8)))
    assert said.count(SetStateStatus.ACCEPT) == 1, said
    assert stage.state(case_id, "REJECTED").outcome == "REJECTED"
    decisions = stage.read(
        lambda tx: [line for line in audit.timeline(tx, case_id) if line.actor == f"staff/{reviewer}"]
    )
    assert len(decisions) == 1


def test_a_run_woken_without_an_answer_shows_its_form_again_and_takes_the_answer(
    stage: Rehearsal, case_id: str, reviewer: str
) -> None:
    run, shown = run_of(stage, case_id), stage.asks(case_id, GATE)
    for _ in range(2):
        key = shown.pause_key
        assert prefect().set_flow_run_state(run, Scheduled(), force=True).status is SetStateStatus.ACCEPT
        stage.wait(lambda key=key: stage.asks(case_id, GATE).pause_key != key, "the form is shown anew")
        shown = stage.asks(case_id, GATE)
    stage.decide(case_id, GATE, reviewer, "驳回申请", "资料不符")
    stage.state(case_id, "REJECTED")
    assert run_of(stage, case_id) == run


@pytest.mark.parametrize("accident", ["cancelled by hand", "deleted by hand"])
def test_a_waiting_run_that_somebody_removes_comes_back_and_finishes(
    stage: Rehearsal, case_id: str, reviewer: str, accident: str
) -> None:
    run = run_of(stage, case_id)
    if accident == "cancelled by hand":
        prefect().set_flow_run_state(run, Cancelled(), force=True)
    else:
        prefect().delete_flow_run(run)
    stage.sweep()
    stage.wait(lambda: stage.read(lambda tx: tx.get(Case, case_id).run_id) not in (None, str(run)), "another run")
    stage.asks(case_id, GATE)  # by now it has said that no code shown so far counts
    codes_count_in_forms_again()
    stage.decide(case_id, GATE, reviewer, "驳回申请", "资料不符")
    stage.state(case_id, "REJECTED")
    texts = stage.read(lambda tx: [line.text for line in audit.timeline(tx, case_id)])
    assert any("将重新启动运行" in text for text in texts)
