"""What may be read: a case by who has a token, whether the door is alive and ready; safe headers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy

from models.views import CaseView, TimelineLine
from office.base import db
from office.base.settings import Settings
from office.cases.locks import UnknownCase
from tests.door.doorkit import TOKENS, Door, door_of, message

AT = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
CASE = CaseView(
    id="CLS-261122-7K3QM9",
    kind="closure",
    kind_label="关店",
    shop_id="shop-1001",
    state="REVIEW",
    state_label="审核中",
    waits_for="等待关店审核员审核",
    due_at=AT,
    seconds_left=0,
    past_due=True,
    allowed_actions=("closure.withdrawn",),
    timeline=(TimelineLine(at=AT, text="关店申请已受理", clause="CLS-5"),),
)


def view(case_id: str) -> CaseView:
    if case_id != CASE.id:
        raise UnknownCase(case_id)
    return CASE


@pytest.fixture
def reader(installation: Settings) -> Door:
    return door_of(installation, case_view=view)


@pytest.mark.parametrize("token", TOKENS)
def test_whoever_has_a_token_reads_where_a_case_stands(reader: Door, token: str) -> None:
    answer = reader.client.get(f"/cases/{CASE.id}", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert CaseView.model_validate(answer.json()) == CASE


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKENS[0]}", TOKENS[0], f"Bearer {TOKENS[0]}x",
     f"Bearer {TOKENS[0][:-1]}", f"Bearer {TOKENS[0]} {TOKENS[1]}", "Bearer 令牌"],
)  # fmt: skip
def test_without_a_token_nobody_learns_whether_a_case_exists(reader: Door, header: str | None) -> None:
    headers = {"authorization": header.encode()} if header is not None else {}
    there = reader.client.get(f"/cases/{CASE.id}", headers=headers)
    not_there = reader.client.get("/cases/CLS-000000-000000", headers=headers)
    malformed = reader.client.get("/cases/%20", headers=headers)
    assert [a.status_code for a in (there, not_there, malformed)] == [401, 401, 401]
    assert there.headers["www-authenticate"].startswith("Bearer")
    assert {**there.json(), "instance": ""} == {**not_there.json(), "instance": ""}


def test_two_authorization_headers_are_none(reader: Door) -> None:
    headers = [("authorization", f"Bearer {TOKENS[0]}"), ("authorization", f"Bearer {TOKENS[0]}")]
    assert reader.client.get(f"/cases/{CASE.id}", headers=headers).status_code == 401


def test_a_door_without_tokens_shows_no_case_to_an_empty_one(installation: Settings) -> None:
    door = door_of(installation.model_copy(update={"api_tokens": []}), case_view=view)
    assert door.client.get(f"/cases/{CASE.id}", headers={"authorization": "Bearer "}).status_code == 401


def test_a_case_that_does_not_exist_is_not_found(reader: Door) -> None:
    answer = reader.client.get("/cases/CLS-000000-000000", headers={"authorization": f"Bearer {TOKENS[0]}"})
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


def test_an_id_of_another_form_is_refused_by_name(reader: Door) -> None:
    answer = reader.client.get("/cases/%3Cb%3E", headers={"authorization": f"Bearer {TOKENS[0]}"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "id")


def test_guessing_tokens_is_slowed_down(installation: Settings) -> None:
    door = door_of(installation.model_copy(update={"rate_limit": "2/hour"}), case_view=view)
    answers = [door.client.get("/cases/x", headers={"authorization": f"Bearer {n}"}) for n in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]


def test_a_fault_is_told_without_its_details(installation: Settings) -> None:
    def faulty(case_id: str) -> CaseView:
        raise RuntimeError("the secret is 42")

    door = door_of(installation, case_view=faulty)
    answer = door.client.get("/cases/x", headers={"authorization": f"Bearer {TOKENS[0]}"})
    assert (answer.status_code, answer.json()["type"]) == (500, "/problems/internal")
    assert "42" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_door_is_alive_and_ready(door: Door) -> None:
    assert door.client.get("/healthz").json() == {"status": "alive"}
    assert door.client.get("/readyz").json() == {"status": "ready"}


def test_a_door_whose_courier_has_ended_is_not_ready(door: Door) -> None:
    door.app.state.delivering = lambda: False
    answer = door.client.get("/readyz")
    assert answer.status_code == 503 and "courier" in answer.json()["detail"]


def test_a_database_that_is_not_migrated_is_not_ready_and_says_what_is_missing(door: Door) -> None:
    with db.engine().begin() as connection:
        connection.execute(sqlalchemy.text("DROP TABLE inbox"))
    answer = door.client.get("/readyz")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/not-ready")
    assert "inbox" in answer.json()["detail"]
    assert door.client.get("/healthz").status_code == 200


def test_a_database_that_can_only_be_read_is_not_ready(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webhooks.app.read_only", lambda tx: True)
    answer = door.client.get("/readyz")
    assert answer.status_code == 503 and "not written" in answer.json()["detail"]


def test_a_message_that_cannot_be_stored_is_told_to_come_again(door: Door) -> None:
    with db.engine().begin() as connection:
        connection.execute(sqlalchemy.text("DROP TABLE inbox"))
    answer = door.post(message())
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert "SELECT" not in answer.text
    assert door.woken == []


@pytest.mark.parametrize("path", ["/cases", "/docs", "/redoc", "/webhooks", "/webhooks/nobody", "/%2e%2e/x"])
def test_what_is_not_served_is_a_problem_too(door: Door, path: str) -> None:
    answer = door.client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_get_never_delivers_a_message(door: Door) -> None:
    answer = door.client.get("/webhooks/platform")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/cases/x", "/webhooks/platform", "/nowhere", "/openapi.json"])
def test_every_answer_carries_safe_headers(door: Door, path: str) -> None:
    headers = door.client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]


def test_whoever_opens_the_address_in_a_browser_reads_what_it_is_for(door: Door) -> None:
    answer = door.client.get("/", headers={"accept": "text/html"})
    assert answer.status_code == 200 and answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "不是网页" in answer.text and "工作台" in answer.text
    assert door.client.post("/").status_code == 405


@pytest.mark.parametrize("odd", ["%00", "a%00b", "%01", "%E2%80%AE", "%EF%BF%BE", "%7F"])
@pytest.mark.parametrize(
    "path",
    ["/cases/{}", "/shops/{}/accounts", "/accounts/tickets/{}", "/evidence/{}", "/cases/x?{}=1", "/cases/x?a={}"],
)
def test_an_address_that_no_database_takes_is_nobodys(installation: Settings, path: str, odd: str) -> None:
    """PostgreSQL keeps no NUL: it would be our fault, five hundred and all, what is only a wrong address."""

    def asked(case_id: str) -> CaseView:
        raise AssertionError(case_id)

    door = door_of(installation, case_view=asked)
    answer = door.client.get(path.format(odd), headers={"authorization": f"Bearer {TOKENS[0]}"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
