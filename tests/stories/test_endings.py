"""What a run reports is how its case ended, whatever overtook the story on its way."""

from __future__ import annotations

import pytest

from flows import story
from flows.stories import STORIES
from models.cases import CaseKind, CaseState
from tests.play import Office


def reported(office: Office, case_id: str) -> str:
    """What the last segment of the case's story said."""
    return [said for played, said in office.engine.played if played == case_id][-1]


def test_a_run_reports_the_ending_its_case_has(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    office.decide(case, "li-na", "REJECT")
    assert reported(office, case.id) == office.case(case.id).outcome == CaseState.REJECTED


def test_a_withdrawn_request_is_reported_as_withdrawn(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    office.withdraw(case)
    assert reported(office, case.id) == office.case(case.id).outcome == CaseState.WITHDRAWN


def test_a_story_that_ends_before_its_case_is_a_bug(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    silent = story.story(CaseKind.CLOSURE, "")(lambda case_id: None)
    with pytest.raises(RuntimeError, match="its case has not"):
        silent.fn(case.id)


def test_every_kind_of_case_has_a_story() -> None:
    assert set(STORIES) == set(CaseKind)


def test_no_story_is_told_of_a_case_of_another_kind(office: Office) -> None:
    """Over Prefect's API any story can be started for any case."""
    office.open_shop()
    case = office.request_closure()
    before, told = office.trail(case.id), office.told()
    for kind, other in STORIES.items():
        if kind is not CaseKind.CLOSURE:
            assert "不是" in other.tell.fn(case.id)
    assert {*office.trail(case.id)[len(before) :]} == {"run.wrong_story"} and office.told() == told
    assert office.staff_told("engine_alarm") == ["supervisor"]
