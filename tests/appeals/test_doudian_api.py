"""What we call at Douyin, against a server here that checks every signature and limit as theirs does."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient

from models.arbitration import Conclusion
from models.messages import Channel, InboxState, OutboxState
from office.base.db import reading
from office.base.settings import settings
from office.record import audit
from tasks.arbitration import doudian
from tasks.arbitration.doudian import Client, DoudianError, TooManyImages
from tests.appeals.bench import PNG, Bench
from tests.appeals.test_doors import SUCCESS, body, inbox, item, push, signed
from webhooks.app import create_app

APP, SECRET = "demo-app-key", "demo-app-secret"


class TheirServer:
    """Their open interface as documented. ``troubles`` are answered first, one call each."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        """Evidence that was taken."""
        self.asked: list[str] = []
        """After-sales whose detail was given."""
        self.arbitration: dict[str, Any] = {"arbitrate_id": "9001", "arbitrate_blame": 1}
        self.tokens = 0
        self.opens = False
        """Whether they open each image at once, over HTTP."""
        self.opened: list[bytes] = []
        self.troubles: list[dict[str, Any] | int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                status, answer = outer.take(urlsplit(self.path).path, parse_qs(urlsplit(self.path).query), raw)
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def take(self, path: str, query: dict[str, list[str]], raw: bytes) -> tuple[int, dict[str, Any]]:
        one = {name: values[0] for name, values in query.items()}
        method = path.strip("/").replace("/", ".")
        signed = f"app_key{one['app_key']}method{method}param_json{raw.decode()}timestamp{one['timestamp']}v2"
        expected = hmac.new(SECRET.encode(), f"{SECRET}{signed}{SECRET}".encode(), hashlib.sha256).hexdigest()
        if one["sign"] != expected or one["sign_method"] != "hmac-sha256" or one["method"] != method:
            return 200, {"code": 40003, "sub_code": "isv.signature-invalid", "log_id": "L0"}
        params = json.loads(raw)
        if raw.decode() != json.dumps(params, ensure_ascii=False, sort_keys=True, separators=(",", ":")):
            return 200, {"code": 40003, "sub_code": "isv.signature-invalid", "log_id": "L0"}
        if method == "token.create":
            self.tokens += 1
            return 200, {"code": 10000, "data": {"access_token": f"token-{self.tokens}", "expires_in": 604800}}
        if self.troubles:
            trouble = self.troubles.pop(0)
            return (trouble, {}) if isinstance(trouble, int) else (200, trouble)
        if one.get("access_token") != f"token-{self.tokens}":
            return 200, {"code": 40004, "sub_code": "isv.access-token-expired", "log_id": "L2"}
        if method == "afterSale.Detail":
            self.asked.append(params["after_sale_id"])
            about = {"reason": "未收到货", "reason_remark": "等了十天\x07"}
            process = {"after_sale_info": about, "arbitrate_info": self.arbitration}
            return 200, {"code": 10000, "data": {"process_info": process}, "log_id": "L4"}
        if not 1 <= len(params["evidence"]) <= 4:
            return 200, {"code": 50002, "sub_code": "isv.business-failed:evidence", "log_id": "L3"}
        self.calls.append((method, params))
        self.opened += [httpx.get(link, trust_env=False).content for link in params["evidence"]] if self.opens else []
        return 200, {"code": 10000, "msg": "success", "data": {}, "log_id": "L1"}


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Iterator[TheirServer]:
    server = TheirServer()
    monkeypatch.setenv("DIANWU_DOUDIAN_APPS", json.dumps({APP: SECRET}))
    monkeypatch.setenv("DIANWU_DOUDIAN_API", server.url)
    settings.cache_clear()
    yield server
    server.server.shutdown()
    server.server.server_close()
    settings.cache_clear()


def test_the_signature_is_the_one_of_their_example() -> None:
    params = {"evidence": ["https://x/1.jpg"], "comment": "已发货", "aftersale_id": 7001}
    packed = doudian.packed(params)
    assert packed == '{"aftersale_id":7001,"comment":"已发货","evidence":["https://x/1.jpg"]}'
    signed = doudian.sign(APP, SECRET, "afterSale.submitEvidence", packed, "1700000000")
    assert signed == "f553a11b1e03c71b06f715d60caa565523717e52338965d5fe80bd69935abfa2"


def test_a_signed_call_is_taken_and_the_token_is_kept(theirs: TheirServer, bench: Bench) -> None:
    client = Client(APP, SECRET, theirs.url)
    for _ in range(2):
        assert client.submit_evidence("1", 7001, "<已发货> & 签收", ["https://x/1.jpg"]) == "L1"
    assert theirs.tokens == 1
    assert theirs.calls[0][1]["comment"] == "<已发货> & 签收"


def test_more_than_four_images_never_leave(theirs: TheirServer) -> None:
    with pytest.raises(TooManyImages):
        Client(APP, SECRET, theirs.url).submit_evidence("1", 7001, "", [f"https://x/{n}.jpg" for n in range(5)])
    assert theirs.calls == []


@pytest.mark.parametrize(
    ("trouble", "again"),
    [
        ({"code": 20000, "sub_code": "isp.service-error"}, True),
        ({"code": 50002, "sub_code": "isv.business-failed"}, False),
        ({"code": 40004, "sub_code": "isv.access-token-expired"}, True),
        ({"code": 40003, "sub_code": "isv.parameter-invalid"}, False),
        ({"code": 20000}, True),
    ],
)
def test_their_error_codes_say_whether_trying_again_can_help(
    theirs: TheirServer, trouble: dict[str, Any], again: bool
) -> None:
    theirs.troubles = [trouble]
    with pytest.raises(DoudianError) as error:
        Client(APP, SECRET, theirs.url).submit_evidence("1", 7001, "", ["https://x/1.jpg"])
    assert error.value.again is again


def test_a_wrong_secret_is_turned_away_by_them(theirs: TheirServer) -> None:
    with pytest.raises(DoudianError, match="signature"):
        Client(APP, "wrong", theirs.url).submit_evidence("1", 7001, "", ["https://x/1.jpg"])


def test_an_answer_that_is_no_answer_is_trouble_on_the_way(theirs: TheirServer) -> None:
    theirs.troubles = [{"hello": 1}, 502]
    client = Client(APP, SECRET, theirs.url)
    for _ in range(2):
        with pytest.raises(httpx.HTTPError):
            client.submit_evidence("1", 7001, "", ["https://x/1.jpg"])


def _ruled(bench: Bench) -> None:
    door = TestClient(create_app(settings()))
    assert push(door, body(item("216", arbitrate_conclusion=1))).status_code == 200
    bench.office.settle()


def test_an_appeal_against_a_douyin_ruling_hands_on_at_most_four_images_that_their_side_can_open(
    theirs: TheirServer, bench: Bench
) -> None:
    _ruled(bench)
    items = [bench.stage(b"%PDF-1.7", name="a.pdf"), *(bench.stage() for _ in range(6))]
    bench.file("doudian:9001", items, statement="已按时发货。" * 200)
    assert [method for method, _ in theirs.calls] == ["afterSale.submitEvidence"]
    params = theirs.calls[0][1]
    assert (params["aftersale_id"], len(params["evidence"])) == (7001, 4)
    assert len(params["comment"]) <= 500 and "…(另有 " in params["comment"]
    case = bench.latest()
    with reading() as tx:
        (said,) = [line.text for line in audit.timeline(tx, case.id) if line.action == "doudian.evidence"]
    assert said == "转交抖音凭证 4 项,另有 3 项未转交(只收图片,最多 4 项),陈述过长,只转交前 500 字"
    door = TestClient(create_app(settings()))
    opened = door.get(params["evidence"][0].removeprefix(settings().door_url))
    assert opened.content.startswith(PNG)


def serve() -> tuple[uvicorn.Server, threading.Thread, str]:
    """A door over real HTTP: its server, to be told to stop, its thread and its address."""
    server = uvicorn.Server(uvicorn.Config(create_app(settings()), port=0, log_level="warning", access_log=False))
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    return server, thread, f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_their_side_opens_every_image_by_its_public_address_and_gets_its_very_bytes(
    theirs: TheirServer, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ruled(bench)
    server, thread, url = serve()
    monkeypatch.setenv("DIANWU_PUBLIC_URL", url)
    settings.cache_clear()
    theirs.opens = True
    pictures = [PNG + bytes([n]) * 70_000 for n in range(4)]
    bench.file("doudian:9001", [bench.stage(picture) for picture in pictures])
    assert theirs.opened == pictures
    server.should_exit = True
    thread.join(60)


@pytest.mark.parametrize(
    ("public", "calls"), [("", 0), ("http://door.example.com", 0), ("https://door.example.com/", 1)]
)
def test_in_production_images_leave_only_under_an_address_that_the_world_can_open(
    theirs: TheirServer, bench: Bench, monkeypatch: pytest.MonkeyPatch, public: str, calls: int
) -> None:
    _ruled(bench)
    for name, value in {
        "PROFILE": "production",
        "SANDBOX_BANK": "false",
        "PREFECT_AUTH": "a:b",
        "PUBLIC_URL": public,
    }.items():
        monkeypatch.setenv(f"DIANWU_{name}", value)
    settings.cache_clear()
    bench.file("doudian:9001")
    assert len(theirs.calls) == calls
    assert all(
        link.startswith("https://door.example.com/evidence/EV-") for _, p in theirs.calls for link in p["evidence"]
    )


def test_their_trouble_is_waited_out_and_the_evidence_arrives_once(theirs: TheirServer, bench: Bench) -> None:
    _ruled(bench)
    theirs.troubles = [
        503,
        {"code": 20000, "sub_code": "isp.service-error"},
        {"code": 40004, "sub_code": "isv.access-token-expired"},
    ]
    bench.file("doudian:9001")
    for _ in range(12):
        bench.office.pass_time(minutes=2)
    assert len(theirs.calls) == 1
    assert theirs.tokens == 2, "a token they no longer know is asked for anew"


def test_a_refusal_for_good_is_told_to_merchant_service_and_not_tried_again(theirs: TheirServer, bench: Bench) -> None:
    _ruled(bench)
    theirs.troubles = [{"code": 50002, "sub_code": "isv.business-failed", "log_id": "L9"}]
    case = bench.file("doudian:9001")
    bench.office.pass_time(hours=1)
    assert theirs.calls == []
    told = bench.office.outbox(Channel.STAFF, "evidence_not_passed_on")
    assert [row.audience for row in told] == ["merchant-service"]
    sent = [row for row in bench.office.outbox(Channel.EVENT) if row.topic == doudian.TOPIC]
    assert [row.state for row in sent] == [OutboxState.SKIPPED]
    assert bench.office.case(case.id).state == "UNDER_REVIEW", "the appeal itself goes on"


def test_a_ruling_from_elsewhere_sends_nothing_to_douyin(theirs: TheirServer, bench: Bench) -> None:
    bench.rule()
    bench.file()
    bench.office.clock.advance(timedelta(minutes=5))
    bench.office.settle()
    assert theirs.calls == []


# ── the words of a ruling ──


def test_a_pushed_ruling_is_recorded_with_douyins_words_and_counted_from_when_the_push_came(
    theirs: TheirServer, bench: Bench
) -> None:
    theirs.arbitration |= {"arbitrate_opinion": "商家未按时发货", "arbitrate_evidence": {"describe": "已交快递"}}
    received = bench.now
    _ruled(bench)
    ruling = bench.ruling("doudian:9001")
    assert theirs.asked == ["7001"]
    assert (ruling.conclusion, ruling.decided) == (Conclusion.MERCHANT_LIABLE, "商家未按时发货")
    assert (ruling.buyer_account, ruling.merchant_account) == ("未收到货:等了十天", "已交快递")
    assert (ruling.effective_at, ruling.source) == (received, f"doudian/{APP}")
    assert bench.counters() == (1, 0, 0)
    assert "ruling_effective" in _told(bench)
    assert bench.file("doudian:9001").state == "UNDER_REVIEW"


def _told(bench: Bench) -> list[str]:
    return [row.topic for row in bench.office.outbox(Channel.MERCHANT)]


@pytest.mark.parametrize("blame", [2, 4, 5])
def test_a_ruling_that_the_merchant_won_counts_nothing_and_offers_no_appeal(
    theirs: TheirServer, bench: Bench, blame: int
) -> None:
    theirs.arbitration |= {"arbitrate_blame": blame, "arbitrate_opinion": "买家责任"}
    _ruled(bench)
    assert bench.counters() == (0, 0, 0)
    assert "ruling_effective" not in _told(bench)
    assert bench.office.events("ruling.recorded") == []
    assert {row.state for row in inbox("doudian")} == {InboxState.DONE}
    assert bench.file("doudian:9001").state == "REFUSED"


def test_while_douyin_is_down_its_ruling_waits_and_so_does_an_appeal_against_it(
    theirs: TheirServer, bench: Bench
) -> None:
    theirs.troubles = [503, 503, {"code": 20000, "sub_code": "isp.service-error"}, 503, 503, 503, 503, 503]
    received = bench.now
    _ruled(bench)
    assert bench.counters() == (0, 0, 0)
    bench.office.receive("appeal.filed", bench.filing("doudian:9001"))
    bench.office.settle()
    assert bench.office.cases() == []
    theirs.troubles = theirs.troubles[:3]
    for _ in range(12):
        bench.office.pass_time(minutes=2)
    assert theirs.asked == ["7001"]
    assert bench.ruling("doudian:9001").effective_at == received
    assert bench.counters() == (1, 0, 0)
    assert bench.latest().state == "UNDER_REVIEW"


@pytest.mark.parametrize("troubles", [[503] * 20, [{"code": 50002, "sub_code": "isv.business-failed", "log_id": "L9"}]])
def test_a_ruling_about_which_douyin_will_not_say_more_counts_as_it_was_pushed(
    theirs: TheirServer, bench: Bench, troubles: list[Any]
) -> None:
    theirs.troubles = troubles
    _ruled(bench)
    for _ in range(20):
        bench.office.pass_time(hours=2)
    assert theirs.asked == []
    ruling = bench.ruling("doudian:9001")
    assert ruling.conclusion is Conclusion.UNSTATED
    assert "结论代码 1" in ruling.decided
    assert bench.counters() == (1, 0, 0)


def test_detail_of_another_arbitration_about_the_same_after_sale_is_not_taken_for_this_ruling(
    theirs: TheirServer, bench: Bench
) -> None:
    theirs.arbitration = {"arbitrate_id": "9002", "arbitrate_blame": 2}
    _ruled(bench)
    assert bench.ruling("doudian:9001").conclusion is Conclusion.UNSTATED


def test_the_same_push_again_asks_once(theirs: TheirServer, bench: Bench) -> None:
    _ruled(bench)
    _ruled(bench)
    assert theirs.asked == ["7001"]
    assert bench.counters() == (1, 0, 0)


def test_a_burst_of_signed_pushes_over_http_is_answered_and_stored_each_once(
    theirs: TheirServer, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIANWU_RATE_LIMIT", "20/minute")
    settings.cache_clear()
    server, thread, url = serve()
    bodies = [body(item("206", f"m-{n}")) for n in range(400)]

    def push_some(client: httpx.Client, part: list[bytes]) -> list[tuple[int, Any]]:
        answers = [client.post("/webhooks/doudian", content=raw, headers=signed(raw)) for raw in part]
        return [(answer.status_code, answer.json()) for answer in answers]

    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client, ThreadPoolExecutor(8) as threads:
        parts = [bodies[n::8] for n in range(8)]
        answers = [one for part in threads.map(lambda part: push_some(client, part), parts) for one in part]
    server.should_exit = True
    thread.join(60)
    assert answers == [(200, SUCCESS)] * 400
    assert sorted(row.message_id for row in inbox("doudian")) == sorted(f"{APP}/206/m-{n}" for n in range(400))
