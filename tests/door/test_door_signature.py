"""Who may post: signatures, their age, their rotation, and what happens to the same message twice."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from models.messages import InboxMessage, InboxState
from office.base import clock, db, vault
from office.base.db import Tx
from office.base.settings import Settings, SettingsError
from tests.door.doorkit import CURRENT, NEXT, NOW, Door, door_of, message, secret, stored, traces
from webhooks.app import create_app


def test_a_signed_event_is_stored_sealed_before_it_is_answered_and_the_courier_is_woken(door: Door) -> None:
    body = message()
    answer = door.post(body)
    assert answer.status_code == 202
    assert answer.json() == {"status": "accepted", "message_id": "msg_1", "type": "closure.requested"}
    [row] = stored()
    assert (row.source, row.message_id, row.type) == ("platform", "msg_1", "closure.requested")
    assert (row.shop_id, row.case_id, row.state) == ("shop-1001", None, InboxState.NEW)
    assert json.loads(vault.opened(row, "body_sealed")) == body
    assert "shop-1001" not in row.body_sealed
    assert door.woken == [True]


def test_an_event_about_a_case_is_stored_under_its_case(door: Door) -> None:
    door.post(message("refund.withdrawn"))
    assert stored()[0].case_id == "REF-261122-7K3QM9"


def test_either_secret_is_good_while_secrets_are_rotated(door: Door) -> None:
    assert door.post(message(), message_id="old", secret=CURRENT).status_code == 202
    assert door.post(message(), message_id="new", secret=NEXT).status_code == 202


def test_a_sender_may_send_several_signatures_of_which_one_fits(door: Door) -> None:
    good = door.post(message(), message_id="a").request.headers["webhook-signature"]
    answer = door.post(message(), message_id="a", webhook_signature=f"v1,AAAA v1a,zzz {good}")
    assert answer.status_code == 202


@pytest.mark.parametrize("age", [300, -300])
def test_exactly_five_minutes_from_our_clock_is_accepted(door: Door, age: int) -> None:
    assert door.post(message(), age=age).status_code == 202


@pytest.mark.parametrize(("age", "word"), [(301, "old"), (-301, "ahead"), (86_400, "old")])
def test_one_second_further_is_refused_and_nothing_is_stored(door: Door, age: int, word: str) -> None:
    answer = door.post(message(), age=age)
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/bad-signature")
    assert word in answer.json()["detail"]
    assert stored() == []


WRONG_HEADERS: dict[str, dict[str, str | None]] = {
    "no id": {"webhook_id": None},
    "no timestamp": {"webhook_timestamp": None},
    "no signature": {"webhook_signature": None},
    "empty signature": {"webhook_signature": ""},
    "spaces for a signature": {"webhook_signature": "   "},
    "signature without a version": {"webhook_signature": "AAAA"},
    "signature with commas": {"webhook_signature": "v1,,,"},
    "signature that is not base64": {"webhook_signature": "v1,é"},
    "another version": {"webhook_signature": "v2,AAAA"},
    "very many signatures": {"webhook_signature": " ".join(["v1,AAAA"] * 500)},
    "timestamp in words": {"webhook_timestamp": "yesterday"},
    "timestamp that is no number": {"webhook_timestamp": "nan"},
    "timestamp without end": {"webhook_timestamp": "9" * 400},
    "timestamp below zero": {"webhook_timestamp": "-1"},
    "timestamp with a fraction": {"webhook_timestamp": f"{NOW}"},
    "timestamp of another attempt": {"webhook_timestamp": f"{int(NOW) + 1}"},
    "id of another message": {"webhook_id": "msg_2"},
    "id with a space": {"webhook_id": "msg 1"},
    "id too long": {"webhook_id": "m" * 129},
}


@pytest.mark.parametrize("headers", WRONG_HEADERS.values(), ids=WRONG_HEADERS.keys())
def test_headers_that_do_not_sign_the_body_are_refused(door: Door, headers: dict[str, str | None]) -> None:
    answer = door.post(message(), **headers)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert stored() == []


def test_a_signature_under_a_secret_of_somebody_else_is_refused(door: Door) -> None:
    assert door.post(message(), secret=secret("stranger")).status_code == 401
    assert stored() == []


def test_a_body_changed_after_signing_is_refused(door: Door) -> None:
    signature = door.post(message("deposit.paid"), message_id="paid").request.headers["webhook-signature"]
    answer = door.post(message("deposit.paid", amount_fen=9), message_id="paid", webhook_signature=signature)
    assert answer.status_code == 401


def test_the_signature_is_judged_before_the_body_is_read(door: Door) -> None:
    assert door.post(b"{not json", secret=secret("stranger")).status_code == 401


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature", "content-type"])
def test_a_header_given_twice_is_refused(door: Door, name: str) -> None:
    first = door.post(message()).request.headers
    again = [(k, v) for k, v in first.items() if k.startswith("webhook") or k == "content-type"]
    answer = door.client.post("/webhooks/platform", content=b"{}", headers=[*again, (name, first[name])])
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/duplicate-header")


def test_the_same_message_again_gets_the_same_answer_and_is_stored_once(door: Door) -> None:
    first = door.post(message())
    again = door.post(message(), age=-7)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert len(stored()) == 1
    assert door.woken == [True]


def test_the_same_id_with_other_bytes_is_a_conflict_that_is_kept_and_alerted(installation: Settings) -> None:
    told: list[str] = []

    def tell(tx: Tx, row: InboxMessage) -> None:
        told.append(row.message_id)

    door = door_of(installation, on_conflict=tell)
    door.post(message())
    answer = door.post(message(reason="STOCK_CLEARED"))
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/conflict")
    [row] = stored()
    assert row.conflicts == 1
    assert json.loads(vault.opened(row, "body_sealed")) == message()
    assert told == ["msg_1"]


def test_a_second_conflict_changes_nothing_but_the_count_and_the_audit(door: Door) -> None:
    door.post(message())
    door.post(message(reason="STOCK_CLEARED"))
    rows, lines = traces()
    door.post(message(reason="POOR_BUSINESS"))
    rows_after, lines_after = traces()
    assert [rows[0] | {"conflicts": 2, "others": rows_after[0]["others"]}] == rows_after
    others = {
        vault.unseal(body, vault.place(InboxMessage, "others", "platform", "msg_1", digest))
        for digest, body in rows_after[0]["others"].items()
    }
    assert {json.loads(body)["data"]["reason"] for body in others} == {"STOCK_CLEARED", "POOR_BUSINESS"}
    door.post(message(reason="POOR_BUSINESS"))
    assert len(traces()[0][0]["others"]) == 2, "the same bytes are kept once"
    assert lines_after == lines + 1
    assert len(door.woken) == 1


def test_a_door_without_secrets_does_not_open(installation: Settings) -> None:
    with pytest.raises(SettingsError, match="platform secret"):
        create_app(installation.model_copy(update={"platform_secrets": []}))


def test_the_signature_s_age_is_real_time_also_when_the_demonstration_s_clock_is_ahead(door: Door) -> None:
    with db.transaction() as tx:
        clock.advance(tx, timedelta(days=7))
    assert door.post(message()).status_code == 202
