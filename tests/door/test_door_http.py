"""The door over real HTTP: every example of the catalogue, the sandboxes, and what the log holds."""

from __future__ import annotations

import json
import logging
import queue
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook

from models.event_parts import FactsData
from models.refund_events import PayoutRequested
from models.settlement_events import SettlementPayoutsRequested
from models.shops import ShopFacts
from models.wire import INBOUND, OUTBOUND, read_inbound
from office.base import vault
from office.base.settings import Settings
from tests.door.doorkit import BANK, CURRENT, SUBSCRIBER, message, stored
from webhooks import catalogue, sandbox_bank
from webhooks.app import create_app
from webhooks.senders.platform import example
from webhooks.signing import signed_headers

DOCUMENT = Path(__file__).parents[2] / "docs" / "events.md"
ACCOUNT = "3301040160000123456"


def post(url: str, body: Any, message_id: str, secret: str) -> httpx.Response:
    text = json.dumps(body, ensure_ascii=False)
    headers = signed_headers(Webhook(secret), message_id, text, datetime.now(UTC))
    with httpx.Client(trust_env=False) as client:
        return client.post(url, content=text.encode(), headers=headers)


def test_the_catalogue_in_the_docs_is_what_the_models_say() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == catalogue.render()


@pytest.mark.parametrize("type_", sorted(OUTBOUND))
def test_every_outbound_example_is_an_event_of_its_type(type_: str) -> None:
    event = OUTBOUND[type_].model_validate(OUTBOUND[type_].EXAMPLE)
    envelope = event.envelope(datetime.now(UTC))
    assert OUTBOUND[envelope["type"]].model_validate(envelope["data"]) == event


def test_every_event_has_a_chinese_title_with_its_clause() -> None:
    for model in (*INBOUND.values(), *OUTBOUND.values()):
        title = model.title()
        assert any("\u4e00" <= char <= "\u9fff" for char in title), title
        assert "-" in title, title


def test_the_facts_of_a_snapshot_are_the_facts_the_gates_read() -> None:
    assert FactsData.model_fields.keys() == ShopFacts.model_fields.keys()
    assert FactsData().facts() == ShopFacts()


def test_every_inbound_example_is_accepted_over_real_http_and_can_be_read_again(
    served: FastAPI, installation: Settings
) -> None:
    for type_, model in INBOUND.items():
        answer = post(f"{installation.door_url}/webhooks/platform", example(model), f"msg_{type_}", CURRENT)
        assert answer.status_code == 202, answer.text
    rows = stored()
    assert [row.type for row in rows] == list(INBOUND)
    assert all(row.shop_id for row in rows if "shop_id" in INBOUND[row.type].model_fields)
    for row in rows:
        event = read_inbound(json.loads(vault.opened(row, "body_sealed")))
        assert event == INBOUND[row.type].model_validate(INBOUND[row.type].EXAMPLE)


def test_an_endless_body_is_cut_off_at_the_limit(served: FastAPI, installation: Settings) -> None:
    head = (
        "POST /webhooks/platform HTTP/1.1\r\nhost: door\r\ncontent-type: application/json\r\n"
        "transfer-encoding: chunked\r\n\r\n"
    )
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    sent = 0
    with socket.create_connection(("127.0.0.1", installation.door_port), timeout=60) as line:
        line.sendall(head.encode())
        try:
            while sent < 1_000_000_000:  # the door has to end this, not we
                line.sendall(chunk)
                sent += 65_536
        except OSError:
            pass
    assert sent < 100_000_000
    assert stored() == []


def order(request_no: str, account_no: str) -> dict[str, Any]:
    data = PayoutRequested.EXAMPLE | {"request_no": request_no}
    data["payee"] = data["payee"] | {"account_no": account_no}
    return PayoutRequested.model_validate(data).envelope(datetime(2026, 11, 22, 2, 0, tzinfo=UTC))


def answers_of(served: FastAPI) -> queue.Queue[bool]:
    """Filled each time the door has stored something new."""
    arrived: queue.Queue[bool] = queue.Queue()
    served.state.on_stored = lambda: arrived.put(True)
    return arrived


BANK_ANSWERS = [
    (ACCOUNT, "payout.settled"),
    ("6222020002", "payout.failed"),
    ("6222020003", "payout.returned"),
]


@pytest.mark.parametrize(("account_no", "type_"), BANK_ANSWERS)
def test_the_sandbox_bank_answers_an_instruction_through_the_door(
    served: FastAPI, installation: Settings, account_no: str, type_: str
) -> None:
    arrived = answers_of(served)
    bank = f"{installation.door_url}{sandbox_bank.PATH}"
    assert post(bank, order("REF-1-P1", account_no), "bank:1", BANK).status_code == 200
    arrived.get(timeout=60)
    [row] = stored()
    assert (row.type, row.message_id, row.shop_id) == (type_, "bank-REF-1-P1", "shop-1001")
    data = json.loads(vault.opened(row, "body_sealed"))["data"]
    assert (data["request_no"], data["amount_fen"]) == ("REF-1-P1", 1_000_000)
    assert bool(data["reason"]) == (type_ != "payout.settled")


def test_an_instruction_delivered_twice_is_answered_once(served: FastAPI, installation: Settings) -> None:
    arrived = answers_of(served)
    bank = f"{installation.door_url}{sandbox_bank.PATH}"
    for _ in range(2):
        assert post(bank, order("REF-1-P1", ACCOUNT), "bank:1", BANK).status_code == 200
    post(bank, order("REF-2-P1", ACCOUNT), "bank:2", BANK)
    arrived.get(timeout=60)
    arrived.get(timeout=60)
    assert sorted(row.message_id for row in stored()) == ["bank-REF-1-P1", "bank-REF-2-P1"]
    assert [row.conflicts for row in stored()] == [0, 0]


def batch(*accounts: str, **changes: Any) -> dict[str, Any]:
    """A batch of settlement's payments, each of 477,300 fen."""
    example = SettlementPayoutsRequested.EXAMPLE
    (item,) = example["payments"]
    items = [
        item | {"request_no": f"STL-1-P{number}", "payee": item["payee"] | {"account_no": account}}
        for number, account in enumerate(accounts, start=1)
    ]
    data = example | {"payments": items, "count": len(items), "total_fen": len(items) * item["amount_fen"]} | changes
    return {"type": SettlementPayoutsRequested.type, "timestamp": "2026-12-01T02:00:00Z", "data": data}


def test_the_sandbox_bank_answers_every_payment_of_a_batch_by_its_own_number_once(
    served: FastAPI, installation: Settings
) -> None:
    """STL-1"""
    arrived = answers_of(served)
    bank = f"{installation.door_url}{sandbox_bank.PATH}"
    for _ in range(2):
        answer = post(bank, batch(*(account for account, _ in BANK_ANSWERS)), "bank:1", BANK)
        assert (answer.status_code, answer.json()["request_no"]) == (200, "STL-261201-4HN8TD-B1-1")
    for _ in BANK_ANSWERS:
        arrived.get(timeout=60)
    found = {row.message_id: (row.type, row.conflicts) for row in stored()}
    assert found == {f"bank-STL-1-P{n}": (type_, 0) for n, (_, type_) in enumerate(BANK_ANSWERS, start=1)}


@pytest.mark.parametrize("wrong", [{"count": 2}, {"total_fen": 1}])
def test_a_batch_whose_count_or_sum_is_not_that_of_its_payments_is_paid_by_nobody(
    served: FastAPI, installation: Settings, wrong: dict[str, int]
) -> None:
    assert (
        post(f"{installation.door_url}{sandbox_bank.PATH}", batch(ACCOUNT, **wrong), "bank:1", BANK).status_code == 422
    )
    assert stored() == []


def test_an_answer_the_bank_owed_when_it_was_stopped_is_given_at_the_next_start(
    installation: Settings, request: pytest.FixtureRequest
) -> None:
    before = sandbox_bank.of(installation, lambda: datetime.now(UTC).timestamp())
    assert before is not None
    kept = before._keep(PayoutRequested.model_validate(order("REF-9-P1", ACCOUNT)["data"]), datetime.now(UTC))
    before.post.close()
    assert ACCOUNT not in kept.read_text(encoding="utf-8")
    served = request.getfixturevalue("served")
    arrived = answers_of(served)
    while not stored():
        arrived.get(timeout=60)
    assert stored()[0].message_id == "bank-REF-9-P1"


def test_the_bank_takes_nothing_signed_by_somebody_else(served: FastAPI, installation: Settings) -> None:
    bank = f"{installation.door_url}{sandbox_bank.PATH}"
    assert post(bank, order("REF-1-P1", ACCOUNT), "bank:1", CURRENT).status_code == 401
    assert post(bank, message(), "bank:2", BANK).status_code == 422


def test_the_sandbox_platform_writes_down_events_without_account_numbers(
    served: FastAPI, installation: Settings
) -> None:
    url = f"{installation.door_url}/sandbox/platform"
    assert post(url, order("REF-1-P1", ACCOUNT), "platform:1", SUBSCRIBER).status_code == 200
    assert post(url, example(OUTBOUND["shop.closed"]), "platform:2", SUBSCRIBER).status_code == 200
    assert post(url, {}, "platform:3", BANK).status_code == 401
    text = (installation.home / "platform-events.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["message_id"] for line in lines] == ["platform:1", "platform:2"]
    assert ACCOUNT not in text
    assert lines[1]["data"] == OUTBOUND["shop.closed"].EXAMPLE


def test_the_sandbox_platform_answers_a_request_for_facts_once_through_the_door(
    served: FastAPI, installation: Settings
) -> None:
    arrived = answers_of(served)
    url = f"{installation.door_url}/sandbox/platform"
    asked = OUTBOUND["facts.requested"].model_validate(OUTBOUND["facts.requested"].EXAMPLE)
    for _ in range(2):  # an event is delivered at least once
        assert (
            post(url, asked.envelope(datetime(2026, 11, 22, 2, tzinfo=UTC)), "facts:1", SUBSCRIBER).status_code == 200
        )
    arrived.get(timeout=60)
    [row] = stored()
    assert (row.type, row.message_id, row.conflicts) == ("shop.snapshot", "sandbox-facts:1", 0)
    assert json.loads(vault.opened(row, "body_sealed"))["data"]["as_of"] == "2026-11-22T02:00:00Z"


def test_in_production_there_is_no_sandbox(installation: Settings) -> None:
    production = installation.model_copy(
        update={"profile": "production", "sandbox_bank": False, "bank_secrets": [SecretStr(BANK)]}
    )
    paths = {getattr(route, "path", "") for route in create_app(production).routes}
    assert "/webhooks/platform" in paths
    assert not any(path.startswith("/sandbox") for path in paths)


def test_no_log_line_holds_an_account_number_a_secret_or_a_query(
    served: FastAPI, installation: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    arrived = answers_of(served)
    url = f"{installation.door_url}/webhooks/platform"
    post(url, message("refund.requested"), "a", CURRENT)
    post(url, message("refund.requested", amount_fen=1), "a", CURRENT)
    post(url, message("refund.requested", payee=ACCOUNT), "b", CURRENT)
    post(url, message("deposit.paid", payer_account=ACCOUNT), "c", CURRENT)
    post(f"{installation.door_url}/{ACCOUNT}?q={ACCOUNT}", {}, "d", CURRENT)
    post(f"{installation.door_url}{sandbox_bank.PATH}", order("REF-1-P1", ACCOUNT), "bank:1", BANK)
    for _ in range(3):
        arrived.get(timeout=60)
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    text = "\n".join(f"{record.getMessage()} {record.exc_text or ''} {record.__dict__}" for record in ours)
    assert "/webhooks/platform" in text
    lines = [json.loads(record.getMessage()) for record in ours if record.name == "dianwu.door.access"]
    why = [line["problem"] for line in lines if line["status"] >= 400]
    assert sorted(why) == ["conflict", "not-found", "wrong-fields"]
    for hidden in (ACCOUNT, CURRENT, BANK, "q="):
        assert hidden not in text
