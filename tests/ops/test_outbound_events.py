"""What subscribers are sent, against a real receiver: signed, tried again under one id, given up aloud, sent again."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from models.messages import Channel, OutboxMessage, OutboxState
from office.base.settings import settings
from office.record import sending
from tests.play import Office

SECRET = "whsec_c3Vic2NyaWJlci1zZWNyZXQtb2YtdGhlLXRlc3Rz"


@dataclass
class Got:
    """One request as it came."""

    path: str
    headers: Message
    body: bytes


class Receiver:
    """A subscriber's server. ``troubles`` are what ``case.opened`` is answered first; ``None`` lets the caller wait."""

    def __init__(self) -> None:
        self.troubles: list[int | None] = []
        self.got: list[Got] = []
        self._end = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.got.append(Got(self.path, self.headers, body))
                troubled = outer.troubles and json.loads(body)["type"] == "case.opened"
                answer = outer.troubles.pop(0) if troubled else 204
                if answer is None:
                    outer._end.wait(60)
                    return
                self.send_response(answer)
                self.send_header("location", f"{outer.url}/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *args: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def got_of(self, row: OutboxMessage) -> list[Got]:
        """What came under that message's id."""
        return [got for got in self.got if got.headers["webhook-id"] == row.key]

    def close(self) -> None:
        self._end.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver(_home: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """The platform's receiver, which the settings name."""
    there = Receiver()
    monkeypatch.setenv("DIANWU_SUBSCRIBERS", json.dumps({"platform": f"{there.url}/events"}))
    monkeypatch.setenv("DIANWU_SUBSCRIBER_SECRETS", json.dumps({"platform": SECRET}))
    settings.cache_clear()
    yield there
    there.close()


def sent(office: Office, type_: str = "case.opened") -> OutboxMessage:
    """The one event of that type as the outbox has it."""
    (row,) = office.outbox(Channel.EVENT, type_)
    return row


def waits(monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    monkeypatch.setenv("DIANWU_OUTBOUND_TIMEOUT_SECONDS", seconds)
    settings.cache_clear()


def opened(office: Office, receiver: Receiver, *answers: int | None) -> OutboxMessage:
    """A closure is asked for, and to the event that says so the receiver answers this first."""
    office.open_shop()
    receiver.troubles = list(answers)
    office.request_closure()
    return sent(office)


def test_an_event_arrives_once_and_its_signature_verifies(office: Office, receiver: Receiver) -> None:
    office.clock.at = datetime.now(UTC)  # a receiver trusts no signature of another time than its own
    row = opened(office, receiver)
    assert (row.state, row.note) == (OutboxState.SENT, "HTTP 204")
    (got,) = receiver.got_of(row)
    assert got.path == "/events"
    seen = Webhook(SECRET).verify(got.body, dict(got.headers.items()))
    assert (seen["type"], seen["data"]["case_id"]) == ("case.opened", row.case_id)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(got.body + b" ", dict(got.headers.items()))


@pytest.mark.parametrize(
    ("answer", "note"),
    [(500, "HTTP 500"), (404, "HTTP 404"), (307, "HTTP 307"), (302, "HTTP 302"), (None, "ReadTimeout")],
)
def test_what_did_not_arrive_is_tried_again_under_the_same_id(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, answer: int | None, note: str
) -> None:
    if answer is None:
        waits(monkeypatch, "0.3")
    row = opened(office, receiver, answer)
    waits(monkeypatch, "10")
    assert (row.state, row.note, row.attempts) == (OutboxState.NEW, note, 1)
    office.settle()
    assert len(receiver.got_of(row)) == 1  # not before its time
    office.pass_time(seconds=sending.BACKOFF[0])
    assert sent(office).state is OutboxState.SENT
    first, second = receiver.got_of(row)
    assert first.body == second.body and {first.path, second.path} == {"/events"}  # where a redirect leads, nobody goes


def test_a_subscriber_that_is_gone_is_sent_it_no_more(office: Office, receiver: Receiver) -> None:
    row = opened(office, receiver, 410)
    assert (row.state, row.note) == (OutboxState.SKIPPED, "subscriber is gone (410)")
    office.pass_time(hours=30)
    assert len(receiver.got_of(row)) == 1


def test_what_was_given_up_is_said_and_sent_again_on_request_and_arrives_once(
    office: Office, receiver: Receiver, done: Callable[..., str]
) -> None:
    row = opened(office, receiver, *[503] * (len(sending.BACKOFF) + 1))
    for seconds in sending.BACKOFF:
        assert sent(office).state is OutboxState.NEW
        office.pass_time(seconds=seconds)
    assert (sent(office).state, sent(office).note) == (OutboxState.DEAD, "HTTP 503")
    assert len(receiver.got_of(row)) == len(sending.BACKOFF) + 1
    assert office.staff_told("delivery_dead") == ["supervisor"]

    listed = json.loads(done("outbox", "list", "--state", "DEAD", "--json"))
    assert [one["key"] for one in listed] == [row.key]
    receiver.got.clear()
    done("outbox", "resend", row.key)
    office.settle()
    office.pass_time(hours=30)
    assert sent(office).state is OutboxState.SENT
    assert len(receiver.got_of(row)) == 1
