"""What we remember of the forms that were shown is ours: whoever writes our database and Prefect's API at once gains nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from alembic import command
from prefect.client.schemas.objects import FlowRunInput, State, StateType
from prefect.client.schemas.responses import OrchestrationResult, SetStateStatus, StateAcceptDetails
from prefect.exceptions import ObjectNotFound, Pause
from prefect.input.run_input import keyset_from_base_key

from flows import waiting
from flows.answers import CHANGED, LOST
from models.confirmations import ShownForm
from models.reviews import Review
from office.base import db
from office.base.db import reading
from office.process import office as processes
from office.record import audit
from office.runs import engine, shown_forms
from ops import migrate
from tests.core.sql import read, write
from tests.play import Office

NO = json.dumps({"staff_id": "li-na", "verdict": "拒绝关店"})


class Prefect:
    """One run of Prefect's: what was written into it, and its history, in which whoever resumes it writes an answer."""

    def __init__(self) -> None:
        self.id = uuid4()
        self.lies: dict[str, str] = {}
        self.states: list[State[Any]] = []

    def create_flow_run_input(self, run_id: UUID, key: str, value: str) -> None:
        self.lies[key] = value

    def delete_flow_run_input(self, run_id: UUID, key: str) -> None:
        if run_id == self.id:
            self.lies.pop(key, None)

    def filter_flow_run_input(self, run_id: UUID, prefix: str, limit: int, exclude: set[str]) -> list[FlowRunInput]:
        at = self.states[-1].timestamp if self.states else None
        found = [(key, value) for key, value in self.lies.items() if key.startswith(prefix) and run_id == self.id]
        return [FlowRunInput(flow_run_id=run_id, key=key, value=value, created=at) for key, value in found]

    def read_flow_run_input(self, run_id: UUID, key: str) -> str:
        if run_id != self.id or key not in self.lies:
            raise ObjectNotFound(http_exc=None)  # type: ignore[arg-type]
        return self.lies[key]

    def read_flow_run_states(self, run_id: UUID) -> list[State[Any]]:
        return list(self.states) if run_id == self.id else []

    def set_flow_run_state(self, run_id: UUID, state: State[Any]) -> OrchestrationResult[Any]:
        self.states.append(state)
        return OrchestrationResult(status=SetStateStatus.ACCEPT, state=state, details=StateAcceptDetails())

    def resumed(self, form: ShownForm, answer: str = NO) -> None:
        """A person sends the form that is shown."""
        self.states.append(State(type=StateType.SCHEDULED, name="Resuming", timestamp=datetime.now(UTC)))
        self.lies[keyset_from_base_key(form.key)["response"]] = answer


@pytest.fixture
def prefect(monkeypatch: pytest.MonkeyPatch) -> Prefect:
    made = Prefect()
    monkeypatch.setattr(engine, "client", lambda: made)
    monkeypatch.setattr(waiting, "_run", lambda: (made, made.id))
    return made


@pytest.fixture
def review(office: Office) -> Review:
    """A question of which no form was shown yet; there is another one."""
    for shop_id in ("shop-1", "shop-2"):
        office.open_shop(shop_id)
        made = office.question(office.request_closure(shop_id).id)
    write("UPDATE review SET attempt = 0, pause_key = NULL")
    return made


def goes_on(review: Review) -> None:
    """The case's run tells its story as far as the question, which is not decided."""
    with pytest.raises(Pause):
        waiting.ask(review.case_id, processes().gates[review.gate])


def form_of(review: Review) -> ShownForm:
    with reading() as tx:
        [form] = shown_forms.of(tx, review.id)
        tx.expunge_all()
    return form


def doubts(office: Office, review: Review) -> list[str]:
    """What the case's record says of answers that were not taken, in order."""
    with reading() as tx:
        lines = audit.timeline(tx, review.case_id, "answer.doubtful")
        return [line.detail["doubt"] for line in lines]


def test_a_form_that_is_as_we_wrote_it_is_no_doubt_and_read_once(
    office: Office, review: Review, prefect: Prefect
) -> None:
    goes_on(review)
    goes_on(review)
    with reading() as tx:
        shown = shown_forms.of(tx, review.id)
        assert len(shown) == 2 and len(shown_forms.unread(shown)) == 1
    assert doubts(office, review) == []


@pytest.mark.parametrize(
    "changed",
    [
        "schema_sha256 = ''",
        "description_sha256 = 'of another text'",
        "run_id = 'no run at all'",
        "run_id = '00000000-0000-0000-0000-000000000000'",
        "judged_at = shown_at",
        "shown_at = '2026-01-01 00:00:00.000000'",
        "seal = NULL",
        "seal = NULL, schema_sha256 = ''",
        "judged_at = shown_at, seal = NULL",
        "review_id = (SELECT id FROM review WHERE review.id <> shown_form.review_id)",
        "\"key\" = 'another'",
    ],
)
def test_an_answer_to_a_form_that_sql_has_changed_counts_for_nothing_and_is_heard(
    office: Office, review: Review, prefect: Prefect, changed: str
) -> None:
    goes_on(review)
    form = form_of(review)
    prefect.resumed(form)
    write(f"UPDATE shown_form SET {changed}")
    goes_on(review)
    heard = doubts(office, review)
    assert heard[0] in {CHANGED, LOST}
    assert {"supervisor", "@li-na"} <= set(office.staff_told("engine_alarm"))
    goes_on(review)
    assert doubts(office, review) == heard, "it is told once"


def test_a_row_that_names_no_run_keeps_no_other_form_from_being_cleared(
    office: Office, review: Review, prefect: Prefect
) -> None:
    goes_on(review)
    write("UPDATE shown_form SET run_id = 'no run at all', judged_at = '2020-01-01 00:00:00.000000'")
    assert [shown_forms.clear_leftovers() for _ in range(2)] == [1, 0]


def test_a_form_that_sql_took_away_with_its_answer_is_missed(office: Office, review: Review, prefect: Prefect) -> None:
    goes_on(review)
    prefect.resumed(form_of(review))
    write("DELETE FROM shown_form")
    write("UPDATE review SET pause_key = NULL")
    goes_on(review)
    assert doubts(office, review) == [LOST]
    goes_on(review)
    assert doubts(office, review) == [LOST]


def test_a_form_that_another_run_shows_while_this_one_looks_is_not_missed(
    office: Office, review: Review, prefect: Prefect, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on(review)
    before: list[list[ShownForm]] = [[]]
    shown = waiting._shown
    monkeypatch.setattr(waiting, "_shown", lambda review_id: before.pop() if before else shown(review_id))
    goes_on(review)
    assert doubts(office, review) == []


def test_forms_shown_before_the_upgrade_are_sealed_by_it(office: Office, review: Review, prefect: Prefect) -> None:
    for _ in range(3):
        goes_on(review)
    before = read("SELECT seal FROM shown_form ORDER BY shown_at")
    made = migrate.config()
    with db.engine().connect() as connection:
        made.attributes["connection"] = connection
        command.stamp(made, "head")
        command.downgrade(made, "0034")
        connection.commit()
    migrate.upgrade()
    assert read("SELECT seal FROM shown_form ORDER BY shown_at") == before and None not in before
