"""Two more senders at the door: Douyin's push and TikTok Shop, by their published examples and by mischief."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlmodel import col, select
from standardwebhooks.webhooks import Webhook

from models.messages import Channel, InboxMessage, InboxState
from office.base.clock import VirtualClock, use_clock
from office.base.db import engine, reading
from office.base.settings import settings
from office.record.inbox import Arrival, receive
from tests.appeals.bench import Bench
from webhooks.app import create_app
from webhooks.senders.doudian import event_sign

APP, SECRET = "demo-app-key", "demo-app-secret"
PROBE = b'[{"tag":"0","msg_id":"0","data":"2026-09-28T10:00:00+08:00"}]'
RULED = (
    b'[{"tag":"216","msg_id":"m-0001","data":"{\\"aftersale_id\\":7001,\\"arbitrate_id\\":\\"9001\\",'
    b'\\"arbitrate_status\\":255,\\"arbitrate_conclusion\\":1,\\"p_id\\":1,\\"s_id\\":2,\\"shop_id\\":323423}"}]'
)
TTS = (
    b'{"type":1,"tts_notification_id":"7327112393057371910","shop_id":"7494049642642441621","timestamp":1644412885,'
    b'"data":{"order_id":"5769","order_status":"AWAITING_SHIPMENT"}}'
)
TTS_SIGNATURE = "b60c47d0272d0aee58e4aa5b56ead70b89bf7ea3e24a9f7de0b5e78cb4f53bdd"
SUCCESS = {"code": 0, "msg": "success"}


@pytest.fixture
def door(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("DIANWU_DOUDIAN_APPS", json.dumps({APP: SECRET, "other-app": "other-secret"}))
    monkeypatch.setenv("DIANWU_DOUDIAN_API", "")
    monkeypatch.setenv("DIANWU_TIKTOK_APPS", json.dumps({"demo_key": "app_secret_demo", "other_key": "other_secret"}))
    settings.cache_clear()
    yield TestClient(create_app(settings()), raise_server_exceptions=False)
    settings.cache_clear()


def push(door: TestClient, raw: bytes, sign: str | None = "", **headers: str) -> httpx.Response:
    """Post to Douyin's address, signed as they sign unless told otherwise."""
    return door.post("/webhooks/doudian", content=raw, headers=signed(raw, sign) | headers)


def signed(raw: bytes, sign: str | None = "") -> dict[str, str]:
    sent = {"content-type": "application/json", "app-id": APP}
    return sent if sign is None else sent | {"event-sign": sign or event_sign(APP, SECRET, raw)}


def item(tag: str, msg_id: str = "m-1", **data: Any) -> dict[str, Any]:
    given = {
        "aftersale_id": 7001,
        "arbitrate_id": "9001",
        "arbitrate_status": 1,
        "p_id": 88,
        "s_id": 2,
        "shop_id": "shop-1",
    }
    return {"tag": tag, "msg_id": msg_id, "data": json.dumps(given | data)}


def body(*items: dict[str, Any]) -> bytes:
    return json.dumps(list(items)).encode()


def inbox(source: str) -> list[InboxMessage]:
    with reading() as tx:
        rows = list(tx.exec(select(InboxMessage).where(InboxMessage.source == source).order_by(col(InboxMessage.id))))
        tx.expunge_all()
        return rows


@pytest.mark.parametrize(
    ("raw", "sign"), [(PROBE, "eb13ca6aacd14e69bef8a264c1883e41"), (RULED, "87db0cc72ff482a0270ef9eaef592cb5")]
)
def test_the_signature_is_the_one_their_examples_have(raw: bytes, sign: str) -> None:
    assert event_sign(APP, SECRET, raw) == sign


def test_a_probe_is_answered_and_nothing_is_kept_whether_signed_or_not(door: TestClient) -> None:
    for sign in ("", None):
        answer = push(door, PROBE, sign)
        assert (answer.status_code, answer.json()) == (200, SUCCESS)
    assert push(door, PROBE, "00").status_code == 401
    long = PROBE + b" " * 4096  # whoever has not signed is not read at length
    assert [push(door, long, sign).status_code for sign in ("", None)] == [200, 401]
    assert inbox("doudian") == []


def test_a_push_is_stored_before_it_is_answered_and_once_however_often_it_comes(door: TestClient) -> None:
    for _ in range(3):
        answer = push(door, RULED)
        assert (answer.status_code, answer.json()) == (200, SUCCESS)
    stored = inbox("doudian")
    assert [(row.message_id, row.type, row.shop_id) for row in stored] == [
        (f"{APP}/216/m-0001", "ruling.effective", "323423")
    ]


def test_the_same_id_with_other_content_is_kept_as_a_conflict_and_alerted(door: TestClient, bench: Bench) -> None:
    push(door, body(item("212")))
    assert push(door, body(item("212", arbitrate_id="other"))).json() == SUCCESS
    assert inbox("doudian")[0].conflicts == 1
    assert len([row for row in bench.office.outbox() if row.topic == "inbox_conflict"]) == 1
    push(door, body(item("213")))
    assert [row.conflicts for row in inbox("doudian")] == [1, 0], "the tag is part of the id"


@pytest.mark.parametrize(
    "headers",
    [
        {"event-sign": "0" * 32},
        {"event-sign": ""},
        {"app-id": "nobody"},
        {"app-id": "other-app"},
        {"event-sign": "非法".encode().decode("latin-1")},
        {"sign-method": "sha1"},
        {"sign-method": "hmac-sha256"},
    ],
)
def test_a_signature_that_does_not_fit_stores_nothing(door: TestClient, headers: dict[str, str]) -> None:
    sent = {"content-type": "application/json", "app-id": APP, "event-sign": event_sign(APP, SECRET, RULED)} | headers
    raw_headers = {name: value.encode("latin-1") for name, value in sent.items()}
    answer = door.post("/webhooks/doudian", content=RULED, headers=raw_headers)
    assert answer.status_code == 401
    assert answer.json()["code"] != 0
    assert inbox("doudian") == []


def test_the_other_signature_method_and_capitals_are_taken_too(door: TestClient) -> None:
    strong = event_sign(APP, SECRET, RULED, "hmac-sha256")
    assert push(door, RULED, strong, **{"sign-method": "hmac-sha256"}).status_code == 200
    assert push(door, RULED, event_sign(APP, SECRET, RULED).upper()).status_code == 200


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b"[1]", b'[{"tag":"100"}]', b"not json", b'[{"tag":"a b","msg_id":"1"}]']
)
def test_a_signed_body_that_is_no_list_of_events_is_refused_in_their_words(door: TestClient, raw: bytes) -> None:
    answer = push(door, raw)
    assert answer.status_code in {400, 422}
    assert set(answer.json()) == {"code", "msg"}


def test_every_tag_of_arbitration_is_mapped_and_every_other_is_kept(door: TestClient, bench: Bench) -> None:
    """ARB-9"""
    tags = ["100", "206", "9999", "212", "213", "214", "217", "218", "216", "215"]
    push(door, body(*(item(tag, f"m-{tag}") for tag in tags)))
    assert {row.message_id.split("/")[1]: row.type for row in inbox("doudian")} == {
        "100": "doudian.100",
        "206": "doudian.206",
        "9999": "doudian.9999",
        "212": "arbitration.applied",
        "213": "arbitration.progressed",
        "214": "arbitration.progressed",
        "217": "arbitration.progressed",
        "218": "arbitration.progressed",
        "216": "ruling.effective",
        "215": "arbitration.withdrawal_requested",
    }
    bench.office.settle()
    states = {row.message_id.split("/")[1]: row.state for row in inbox("doudian")}
    assert {tag for tag, state in states.items() if state is InboxState.KEPT} == {"100", "206", "9999"}
    assert {state for tag, state in states.items() if tag.startswith("21")} == {InboxState.DONE}


def test_data_may_come_as_an_object_and_the_id_in_either_spelling(door: TestClient) -> None:
    sent = item("212")
    sent = {"tag": "212", "msgId": "m-7", "data": json.loads(sent["data"])}
    push(door, body(sent))
    assert [(row.message_id, row.type) for row in inbox("doudian")] == [(f"{APP}/212/m-7", "arbitration.applied")]


def test_an_id_of_null_is_no_id(door: TestClient) -> None:
    push(door, body({"tag": "212", "msg_id": None, "msgId": "m-8", "data": "{}"}))
    assert [row.message_id for row in inbox("doudian")] == [f"{APP}/212/m-8"]
    assert push(door, body({"tag": "212", "msg_id": None, "data": "{}"})).status_code == 422


def test_data_that_lacks_what_an_event_needs_is_kept(door: TestClient, bench: Bench) -> None:
    push(door, body({"tag": "216", "msg_id": "m-1", "data": "hello"}, item("212", "m-2", shop_id="")))
    bench.office.settle()
    assert {row.state for row in inbox("doudian")} == {InboxState.KEPT}


@pytest.mark.parametrize("tag", [str(tag) for tag in range(212, 219)])
@pytest.mark.parametrize("data", ["hello", "{}", '{"shop_id": "shop-1"}', '{"shop_id": "\\ud83d"}', None, 7, "{"])
def test_an_arbitration_that_cannot_be_mapped_is_kept_and_the_supervisor_hears_once(
    door: TestClient, bench: Bench, tag: str, data: Any
) -> None:
    for _ in range(2):
        assert push(door, body({"tag": tag, "msg_id": "m-1", "data": data}, item("100", "m-2"))).json() == SUCCESS
        bench.office.settle()
    assert [row.type for row in inbox("doudian")] == [f"doudian.{tag}", "doudian.100"]
    assert bench.office.staff_told("inbox_odd") == ["supervisor"]


ODD = [b"1", b'"text"', b"null", b"[]", b'{"tag":"212"}', b'{"msg_id":"m"}', b'{"tag":"a b","msg_id":"1"}',
       b'{"tag":"212","msg_id":"m","msg_id":"n"}', b'{"tag":"212","msg_id":"m","data":"\\ud83d"}', b'{"tag":"212","n":NaN}',
       b'{"tag":"212","msg_id":{"a":1}}', b'{"tag":"212","msg_id":"m","data":{"n":' + b"9" * 50 + b"}}"]  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.both
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_odd_entry_is_kept_and_alarmed_and_keeps_no_other_out(
    door: TestClient, bench: Bench, odd: bytes, place: int
) -> None:
    entries = [json.dumps(item("212", "m-1")).encode(), json.dumps(item("100", "m-2")).encode()]
    entries.insert(place, odd)
    for _ in range(2):
        assert push(door, b"[" + b" ,".join(entries) + b"] ").json() == SUCCESS
        bench.office.settle()
    assert sorted(row.type for row in inbox("doudian")) == ["arbitration.applied", "doudian.100", "doudian.odd"]
    assert bench.office.staff_told("inbox_odd") == ["supervisor"]
    assert bench.office.chains() == []


@pytest.mark.both
def test_entries_that_name_nobody_or_are_no_utf8_are_told_and_share_no_name(door: TestClient, bench: Bench) -> None:
    """``None``, ``0`` and ``True`` are what a program writes for nothing: two such rulings are not one ruling."""
    nobody = [None, 0, "0", "null", True, 9.0, [9], " "]
    about = [{"shop_id": "shop-1", "arbitrate_id": none, "aftersale_id": 1} for none in nobody]
    pushed = [{"tag": "216", "msg_id": f"m-{n}", "data": data} for n, data in enumerate(about)]
    pushed += [{"tag": none, "msg_id": "m"} for none in (None, True, 216.0)] + [{"tag": "216", "msg_id": True}]
    good, gbk = body(item("212", "m-good")), b'{"tag":"212","msg_id":"m","data":"' + "国".encode("gbk") + b'"}'
    for mark in (b"", b"\xef\xbb\xbf"):
        assert push(door, mark + good[:-1] + b"," + gbk + b"," + body(*pushed)[1:]).json() == SUCCESS
        bench.office.settle()
    kinds = [row.type for row in inbox("doudian")]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "arbitration.applied": 1,
        "doudian.odd": 5,
        "doudian.216": len(nobody),
    }
    assert bench.office.staff_told("inbox_odd") == ["supervisor"] * (5 + len(nobody))


def test_notifications_without_a_number_are_not_one_notification(door: TestClient) -> None:
    for nothing in (b"null", b"true", b"1.5", b"[]"):
        raw = TTS.replace(b'"7327112393057371910"', nothing)
        sign = hmac.new(b"app_secret_demo", b"demo_key" + raw, hashlib.sha256).hexdigest()
        headers = {"content-type": "application/json", "authorization": sign}
        assert door.post("/webhooks/tiktok-shop", content=raw, headers=headers).status_code == 422
    assert inbox("tiktok-shop") == []


@pytest.mark.parametrize(
    "raw",
    [
        b"[1,]",
        b"[1 2]",
        b"[1",
        b"[,1]",
        b"{]",
        b"[" * 5_000,
        b'[{"tag":"100","msg_id":"1"}] x',
        b"[NaN" + b",1" * 900_000 + b"]",
    ],
)
def test_what_is_no_list_at_all_is_still_refused(door: TestClient, raw: bytes) -> None:
    assert push(door, raw).status_code in {400, 422} and inbox("doudian") == []


@pytest.mark.both
def test_the_same_push_written_another_way_is_the_same_push(door: TestClient, bench: Bench) -> None:
    first = {
        "tag": "216",
        "msg_id": "m-1",
        "data": json.dumps({"shop_id": "shop-1", "arbitrate_id": "9001", "aftersale_id": 7}),
    }
    other = {"data": '{ "aftersale_id":7, "arbitrate_id":"9001","shop_id":"shop-1"}', "msg_id": "m-1", "tag": "216"}
    push(door, body(first))
    push(door, body(other))
    assert [row.conflicts for row in inbox("doudian")] == [0]
    push(door, body(other | {"data": '{"aftersale_id":8,"arbitrate_id":"9001","shop_id":"shop-1"}'}))
    assert [row.conflicts for row in inbox("doudian")] == [1]


def test_the_same_notification_stamped_anew_is_the_same(door: TestClient) -> None:
    for raw in (TTS, TTS.replace(b"1644412885", b"1644412999")):
        sign = hmac.new(b"app_secret_demo", b"demo_key" + raw, hashlib.sha256).hexdigest()
        headers = {"content-type": "application/json", "authorization": sign}
        assert door.post("/webhooks/tiktok-shop", content=raw, headers=headers).status_code == 200
    assert [row.conflicts for row in inbox("tiktok-shop")] == [0]


def test_a_pushed_ruling_can_be_appealed_against_until_seven_days_after_it_reached_us(
    door: TestClient, bench: Bench
) -> None:
    push(door, body(item("216", arbitrate_conclusion=1)))
    received = bench.now
    bench.office.settle()
    ruling = bench.ruling("doudian:9001")
    assert (ruling.effective_at, ruling.source, ruling.aftersale_id) == (received, f"doudian/{APP}", "7001")
    assert bench.file("doudian:9001").state == "UNDER_REVIEW"


def test_a_buyer_who_cancels_at_douyin_is_checked_by_merchant_service(door: TestClient, bench: Bench) -> None:
    push(door, body(item("212", "m-1")))
    push(door, body(item("215", "m-2")))
    bench.office.settle()
    case = bench.latest()
    bench.office.decide(case, "wu-tao", "CONFIRM", "抖店后台已显示撤销")
    assert bench.outcome(case) == "ARBITRATION_WITHDRAWN"


def test_a_late_report_about_a_withdrawn_arbitration_is_kept_and_is_no_attempt_to_arbitrate_again(
    door: TestClient, bench: Bench
) -> None:
    push(door, body(item("212", "m-1")))
    push(door, body(item("215", "m-2")))
    bench.office.settle()
    bench.office.decide(bench.latest(), "wu-tao", "CONFIRM", "抖店后台已显示撤销")
    push(door, body(*(item(tag, f"m-{tag}") for tag in ("213", "214", "217", "218"))))
    bench.office.settle()
    assert {row.state for row in inbox("doudian")[2:]} == {InboxState.KEPT}
    assert bench.refusals() == []
    push(door, body(item("212", "m-9", arbitrate_id="9002")))
    bench.office.settle()
    assert bench.refusals() == ["WDR-2"], "a new one about the same after-sale is one"


def test_a_cancellation_of_an_arbitration_we_never_heard_of_is_checked_and_not_refused(
    door: TestClient, bench: Bench
) -> None:
    push(door, body(item("215", "m-2")))
    bench.office.settle()
    case = bench.latest()
    assert (case.state, told(bench, "arbitration_stays")) == ("UNDER_REVIEW", 0)
    push(door, body(item("212", "m-1")))
    bench.office.settle()
    bench.office.decide(case, "wu-tao", "CONFIRM", "抖店后台已显示撤销")
    assert bench.outcome(case) == "ARBITRATION_WITHDRAWN"
    push(door, body(item("212", "m-9", arbitrate_id="9002")))
    bench.office.settle()
    assert bench.refusals() == ["WDR-2"], "the after-sale came with the cancellation"


def told(bench: Bench, topic: str) -> int:
    return len(bench.office.outbox(Channel.MERCHANT, topic))


def test_a_cancellation_or_an_application_reported_again_after_the_withdrawal_is_kept_in_silence(
    door: TestClient, bench: Bench
) -> None:
    push(door, body(item("212", "m-1")))
    push(door, body(item("215", "m-2")))
    push(door, body(item("215", "m-3")))
    bench.office.settle()
    [case] = bench.office.cases()
    bench.office.decide(case, "wu-tao", "CONFIRM", "抖店后台已显示撤销")
    push(door, body(item("215", "m-4"), item("212", "m-5"), item("215", "m-6", arbitrate_id="9002")))
    bench.office.settle()
    assert {row.message_id[-1]: row.state for row in inbox("doudian")} == {
        "1": InboxState.DONE,
        "2": InboxState.DONE,
        "3": InboxState.KEPT,
        "4": InboxState.KEPT,
        "5": InboxState.KEPT,
        "6": InboxState.KEPT,
    }
    assert len(bench.office.cases()) == 1
    assert (bench.refusals(), told(bench, "arbitration_stays")) == ([], 0)


class Watched(VirtualClock):
    """Says when somebody looked how long something has taken: the request is at the door."""

    def __init__(self, at: datetime) -> None:
        super().__init__(at)
        self.looked = threading.Event()

    def ticks(self) -> float:
        now = super().ticks()
        self.looked.set()
        return now


def test_a_filing_that_waits_for_the_database_beyond_its_deadline_was_received_before_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.rule()
    signed = Webhook(settings().platform_secrets[0].get_secret_value())
    filing = json.dumps({"type": "appeal.filed", "timestamp": bench.now.isoformat(), "data": bench.filing()})
    watched = bench.office.clock = Watched(bench.ruling().appeal_until)
    use_clock(watched)
    moment = bench.now
    headers = {
        "content-type": "application/json",
        "webhook-id": "msg_late",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": signed.sign("msg_late", moment, filing),
    }
    client = TestClient(create_app(settings(), now=moment.timestamp))
    answers: list[httpx.Response] = []
    post = threading.Thread(
        target=lambda: answers.append(client.post("/webhooks/platform", content=filing.encode(), headers=headers))
    )
    with engine().begin() as writer:  # SQLite's one writer, or on PostgreSQL a lock that no row can be written under
        if writer.dialect.name == "postgresql":
            writer.execute(text("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE"))
        post.start()
        assert watched.looked.wait(60)
        watched.advance(timedelta(seconds=10))
    post.join(60)
    assert [answer.status_code for answer in answers] == [202]
    assert inbox("platform")[-1].received_at <= moment
    bench.office.pass_time(seconds=30)
    assert bench.latest().state == "UNDER_REVIEW"


# ── TikTok Shop ──


def test_a_notification_signed_as_in_their_example_is_kept_and_answered_with_nothing(
    door: TestClient, bench: Bench
) -> None:
    for _ in range(2):
        answer = door.post(
            "/webhooks/tiktok-shop",
            content=TTS,
            headers={"content-type": "application/json", "authorization": TTS_SIGNATURE},
        )
        assert (answer.status_code, answer.content) == (200, b"")
    bench.office.settle()
    assert [(row.message_id, row.type, row.state) for row in inbox("tiktok-shop")] == [
        ("demo_key/7327112393057371910", "tiktok-shop.1", InboxState.KEPT)
    ]


@pytest.mark.parametrize(
    "authorization", ["", TTS_SIGNATURE[:-1] + "0", f"Bearer {TTS_SIGNATURE}", TTS_SIGNATURE.upper()]
)
def test_a_notification_with_another_signature_is_turned_away(door: TestClient, authorization: str) -> None:
    headers = {"content-type": "application/json", "authorization": authorization}
    answer = door.post("/webhooks/tiktok-shop", content=TTS, headers=headers)
    assert (answer.status_code, answer.content) == (401, b"")
    assert inbox("tiktok-shop") == []


def test_returns_are_kept_under_their_topic_and_conflicts_do_not_replace_them(door: TestClient) -> None:
    def send(status: str) -> None:
        raw = json.dumps(
            {
                "type": "RETURN_STATUS_CHANGE",
                "tts_notification_id": "n-1",
                "shop_id": "s-1",
                "timestamp": 1,
                "data": {"return_id": "r-1", "return_status": status},
            }
        ).encode()
        signed = hmac.new(b"app_secret_demo", b"demo_key" + raw, hashlib.sha256).hexdigest()
        headers = {"content-type": "application/json", "authorization": signed}
        assert door.post("/webhooks/tiktok-shop", content=raw, headers=headers).status_code == 200

    send("PENDING")
    send("SUCCESS")
    kept = inbox("tiktok-shop")
    assert [(row.type, row.conflicts) for row in kept] == [("tiktok-shop.RETURN_STATUS_CHANGE", 1)]


def notified(door: TestClient, app_key: str, secret: str, raw: bytes) -> None:
    authorization = hmac.new(secret.encode(), app_key.encode() + raw, hashlib.sha256).hexdigest()
    headers = {"content-type": "application/json", "authorization": authorization}
    assert door.post("/webhooks/tiktok-shop", content=raw, headers=headers).status_code == 200


def test_one_app_does_not_take_the_notification_ids_of_another(door: TestClient) -> None:
    for _ in range(2):
        notified(door, "other_key", "other_secret", b'{"type":1,"tts_notification_id":"7327112393057371910"}')
        notified(door, "demo_key", "app_secret_demo", TTS)
    assert sorted((row.message_id, row.conflicts) for row in inbox("tiktok-shop")) == [
        ("demo_key/7327112393057371910", 0),
        ("other_key/7327112393057371910", 0),
    ]


def test_a_notification_that_an_earlier_version_stored_is_the_same_when_it_comes_again(door: TestClient) -> None:
    number = "7327112393057371910"
    receive(
        Arrival(source="tiktok-shop", message_id=number, type="tiktok-shop.1", body=TTS), lambda _tx, _message: None
    )
    for _ in range(2):
        notified(door, "demo_key", "app_secret_demo", TTS)
    assert [row.message_id for row in inbox("tiktok-shop")] == [number]
    notified(door, "other_key", "other_secret", TTS.replace(b'"type":1', b'"type":2'))
    kept = [(row.message_id, row.conflicts) for row in inbox("tiktok-shop")]
    assert kept == [(number, 0), (f"other_key/{number}", 0)], "what says something else may be another app's"


def test_without_their_apps_the_addresses_do_not_exist(bench: Bench) -> None:
    plain = TestClient(create_app(settings()))
    for name in ("doudian", "tiktok-shop"):
        assert plain.post(f"/webhooks/{name}", content=b"[]").status_code == 404


def test_both_senders_are_described_in_the_openapi_document(door: TestClient) -> None:
    document = door.get("/openapi.json").json()
    assert {"/webhooks/doudian", "/webhooks/tiktok-shop"} <= set(document["paths"])
    names = {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
    assert names <= document["components"]["schemas"].keys()
