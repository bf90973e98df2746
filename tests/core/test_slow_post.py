"""A mail server that takes its time: cases and payments do not wait for it, and nobody is told twice because of it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from models.cases import Case, CaseState
from models.messages import Channel, OutboxState
from notifications.channels import AppriseNotifier
from office.base import db
from office.base.db import in_transaction, reading
from office.cases import deadlines
from office.record import outbox, sending
from office.record.sending import Item
from tasks import delivery
from tasks.appeal import window as appeal_window
from tests.appeals.bench import Bench
from tests.play import Office

pytestmark = pytest.mark.both

PATIENCE = 60


class SlowPost:
    """A real SMTP server. Every letter takes ``seconds`` of the office's time, or as long as ``hold`` is closed."""

    def __init__(self, office: Office, seconds: float = 0) -> None:
        self.office, self.seconds = office, seconds
        self.letters: list[EmailMessage] = []
        self.arrived, self.hold = threading.Event(), threading.Event()
        self.hold.set()
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            self._loop.create_server(lambda: SMTP(self, loop=self._loop), sock=listening)
        )
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    @property
    def subjects(self) -> list[str]:
        return [str(letter["Subject"]) for letter in self.letters]

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        letter = message_from_bytes(envelope.content, _class=EmailMessage, policy=policy.default)
        self.arrived.set()
        await asyncio.to_thread(self.hold.wait, PATIENCE)
        self.office.clock.advance(timedelta(seconds=self.seconds))
        self.letters.append(letter)
        return "250 accepted"

    def notifier(self) -> AppriseNotifier:
        address = f"mailto://127.0.0.1:{self.port}?from=dianwu@example.cn&to=staff@example.cn"
        return AppriseNotifier({"staff": [address], "merchant": [address]})

    def stop(self) -> None:
        self.hold.set()
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def post(office: Office) -> Iterator[SlowPost]:
    made = SlowPost(office)
    yield made
    made.stop()


def letters(count: int) -> None:
    def write(tx: Any) -> None:
        for number in range(count):
            outbox.put(
                tx,
                f"staff:conflict/{number}",
                Channel.STAFF,
                "inbox_conflict",
                {
                    "source": "platform",
                    "message_id": f"m-{number}",
                    "message_type": "x",
                    "conflicts": 1,
                    "first_received_at": tx.now.isoformat(),
                    "seen_at": tx.now.isoformat(),
                },
                audience="supervisor",
            )

    in_transaction(write)


def test_a_backlog_at_a_slow_mail_server_tells_nobody_twice(office: Office, post: SlowPost) -> None:
    """Twelve letters of 25 seconds each are five leases; two couriers share them."""
    delivery.use_notifier(post.notifier())
    post.seconds = 25
    letters(12)

    def work() -> None:
        while delivery.send_post():
            pass

    couriers = [threading.Thread(target=work) for _ in range(2)]
    for courier in couriers:
        courier.start()
    for courier in couriers:
        courier.join()
    assert len(post.subjects) == 12
    assert max(Counter(post.subjects).values()) == 1
    assert {(row.state, row.twice) for row in office.outbox(Channel.STAFF)} == {(OutboxState.SENT, None)}


def test_while_the_mail_server_hangs_a_shop_is_closed_and_its_payment_ordered(office: Office, post: SlowPost) -> None:
    office.closed_shop("shop-1")
    office.open_shop("shop-2")
    delivery.use_notifier(post.notifier())
    letters(3)
    post.hold.clear()
    mail = threading.Thread(target=delivery.send_post)
    mail.start()
    assert post.arrived.wait(PATIENCE)

    def everything_but_mail() -> None:
        while delivery.carry_on(office.carrier) + delivery.send_events():
            pass

    office.settle = everything_but_mail  # type: ignore[method-assign]
    closing = office.request_closure("shop-2")
    office.decide(closing, "li-na", "APPROVE")
    office.snapshot("shop-2")
    assert office.case(closing.id).outcome is CaseState.CLOSED
    refund = office.request_refund("shop-1")
    office.decide(refund, "wang-fang", "APPROVE")
    assert office.case(refund.id).state is CaseState.PAYING
    assert [row.state for row in office.outbox(Channel.EVENT, "payout.requested")] != [OutboxState.NEW]
    assert post.subjects == []
    post.hold.set()
    mail.join()
    for _ in range(5):  # a machine under load may have taken the hanging for a failure, which is tried again
        office.clock.advance(timedelta(minutes=1))
        delivery.send_post()
    assert {row.state for row in office.outbox(Channel.STAFF, "inbox_conflict")} == {OutboxState.SENT}


# ── a case that waits for its notice ─────────────────────────────────────────


def carry_on(office: Office) -> None:
    """The courier of the cases, alone."""
    while delivery.carry_on(office.carrier):
        pass


def insufficient(office: Office) -> Case:
    """An appeal whose arbitrator has asked for more; the notice has not left yet."""
    bench = Bench(office)
    bench.rule()
    case = bench.file()
    office.settle = lambda: carry_on(office)  # type: ignore[method-assign]
    office.decide(case, "zhou-yan", "INSUFFICIENT", "请补充发货底单")
    return case


def begun(office: Office, case: Case) -> bool:
    with reading() as tx:
        return deadlines.find(tx, case.id, appeal_window.EVIDENCE) is not None


def test_the_window_opens_when_the_notice_has_left_whichever_courier_comes_first(office: Office) -> None:
    case = insufficient(office)
    office.clock.advance(timedelta(seconds=50))
    carry_on(office)  # nothing to wake: the notice lies there
    assert not begun(office, case)
    delivery.send_post()
    sent_at = office.clock.at
    carry_on(office)
    assert office.deadline(case, appeal_window.EVIDENCE).due_at == sent_at + timedelta(days=3)


def test_the_wake_up_is_written_with_the_word_that_the_notice_has_left(office: Office) -> None:
    """There is no moment between the two in which a courier could die and leave the case asleep."""
    case = insufficient(office)
    delivery.send_post()
    waiting = [row for row in office.outbox(Channel.RUN) if row.case_id == case.id and row.topic == outbox.RUN]
    assert len(waiting) == 1
    assert not begun(office, case)


# ── what is sent twice after all ─────────────────────────────────────────────


class Away:
    """The database's connection is refused a few times, as while it restarts."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, connection: Any) -> None:
        if self.left:
            self.left -= 1
            raise OperationalError("begin", {}, Exception("the database system is starting up"))


def test_a_database_that_restarts_while_a_message_is_on_its_way_makes_it_leave_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "PATIENCE", [0.0] * 5)
    letters(1)
    sent: list[str] = []
    away = Away(4)

    def send(item: Item) -> str:
        sent.append(item.key)
        event.listen(db.engine(), "begin", away)
        return "sent"

    sending.deliver_due({Channel.STAFF: send}, delivery.on_dead)
    event.remove(db.engine(), "begin", away)
    [row] = office.outbox(Channel.STAFF)
    assert (row.state, away.left, len(sent)) == (OutboxState.SENT, 0, 1)


def test_what_was_sent_by_somebody_who_died_is_sent_again_and_counted(office: Office) -> None:
    letters(1)
    in_transaction(lambda tx: sending.lease(tx, 10))  # taken, perhaps sent, and never heard of again
    office.clock.advance(sending.LEASE + timedelta(seconds=1))
    sending.deliver_due({Channel.STAFF: lambda item: "sent"}, delivery.on_dead)
    [row] = office.outbox(Channel.STAFF)
    assert (row.state, row.attempts, row.twice) == (OutboxState.SENT, 2, 1)
