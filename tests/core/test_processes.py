"""Kinds, processes, stories, events and clauses are walked both ways: what one list has and another lacks is named."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from flows.stories import STORIES
from models.cases import Case, CaseKind, CaseState
from models.wire import INBOUND
from office import process
from office.base.db import in_transaction
from office.cases import cases
from office.process import Office as Opened
from office.process import Process
from policies.policy import policy, versions
from tasks.processes import PROCESSES, open_office
from tests.play import Office
from tests.previous import office as previous

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _open() -> None:
    open_office()


def test_every_kind_of_case_has_one_process_and_one_story_and_no_other_has() -> None:
    opened = process.office()
    assert set(opened.kinds) == set(CaseKind) == set(STORIES)
    assert len({one.name for one in PROCESSES}) == len(PROCESSES)


def test_every_process_with_cases_says_under_which_clause_its_merchant_is_asked() -> None:
    assert [one.name for one in PROCESSES if one.kind and not one.clause] == []


def test_every_state_is_a_word_of_some_kind_and_every_kind_has_its_own_few() -> None:
    kinds = process.office().kinds.values()
    of_all = {CaseState.SUBMITTED, CaseState.REFUSED}
    assert {word for one in kinds for word in one.states} | of_all == set(CaseState)
    assert [one.name for one in kinds if not one.states or of_all & set(one.states)] == []


def test_a_case_is_never_put_into_a_state_that_its_process_does_not_declare(office: Office) -> None:
    case = office.request_closure(office.open_shop())
    for put, state in ((cases.move, CaseState.PAYING), (cases.conclude, CaseState.REFUNDED)):
        with pytest.raises(ValueError, match=f"{state} is no state of closure"):
            in_transaction(lambda tx: put(tx, tx.get_one(Case, case.id), state, "…"))  # noqa: B023
    assert office.case(case.id).state == "UNDER_REVIEW"


def test_the_machinery_names_no_kind_of_case() -> None:
    named = [
        path for path in (ROOT / "office").rglob("*.py") if re.search(r"\bCaseKind\.[A-Z]", path.read_text("utf-8"))
    ]
    assert named == []


def test_every_event_that_comes_in_is_heard_and_nothing_else_is() -> None:
    assert set(process.office().handlers) == set(INBOUND.values())


def test_the_policies_weigh_only_questions_that_are_asked() -> None:
    for version in versions():
        assert set(policy(version).decisions.routine) <= set(process.office().gates), version


def test_what_cases_are_opened_with_has_chinese_titles_and_rows_of_the_previous_version_are_read_whole() -> None:
    for one in process.office().kinds.values():
        untitled = [name for name, field in one.request.model_fields.items() if field.title is None]
        assert one.request.model_fields and untitled == [], one.name
    for row in previous.kept()["tables"]["case"]:
        stored = json.loads(row["request"])
        found = process.office().kinds[CaseKind(row["kind"])].request.model_validate(stored)
        assert set(stored) <= found.model_fields_set, row["id"]


@pytest.mark.parametrize("what", ["asks", "clocks", "hears", "waits", "kind"])
def test_two_processes_that_bring_the_same_are_refused_by_name(what: str) -> None:
    one = next(found for found in PROCESSES if getattr(found, what))
    twin = replace(Process(name="twin"), **{what: getattr(one, what)})
    table = {"asks": "gates", "hears": "handlers", "kind": "kinds"}.get(what, what)
    with pytest.raises(ValueError, match="two processes bring"):
        getattr(Opened([one, twin]), table)


def test_whoever_forgets_to_open_the_office_is_told_how() -> None:
    look = "from office.process import office; office()"
    told = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "NotOpen" in told.stderr and "tasks.processes.open_office()" in told.stderr


def test_what_a_case_was_opened_with_is_read_through_its_class() -> None:
    """No verb knows the keys of a request by heart: a field that is renamed or missing is found where it is declared."""
    raw = re.compile(r"\.request(\[|\.get\()|= (case|\w+)\.request$", re.M)
    read = {
        str(file.relative_to(ROOT)) for file in (ROOT / "tasks").rglob("*.py") if raw.search(file.read_text("utf-8"))
    }
    assert read == set()
