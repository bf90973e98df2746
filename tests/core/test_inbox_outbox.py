"""What comes in is acted on once or kept; what must go out goes out, or somebody hears that it did not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select, update

from models.books import AccountKind
from models.messages import Channel, InboxMessage, InboxState, OutboxMessage, OutboxState
from notifications.scripted import ScriptedNotifier
from office.base.db import Tx, in_transaction, reading
from office.cases import routing
from office.record import inbox, outbox, sending
from office.record.inbox import Arrival, Kept, Later, Receipt
from office.record.sending import Item, NotYet, Skip, Undeliverable
from tasks import delivery
from tests.play import START, Office

pytestmark = pytest.mark.both


def messages() -> list[InboxMessage]:
    with reading() as tx:
        rows = list(tx.exec(select(InboxMessage).order_by(col(InboxMessage.id))))
        tx.expunge_all()
        return rows


# ── coming in ──


def test_the_same_id_with_the_same_bytes_is_the_same_message(office: Office) -> None:
    office.open_shop(deposit_fen=0)
    body = {
        "shop_id": "shop-1",
        "payment_id": "p",
        "amount_fen": 9,
        "channel": "BANK",
        "paid_at": "2026-11-19T02:00:00Z",
    }
    assert [office.send("deposit.paid", body, "m1") for _ in range(3)] == [Receipt.NEW, Receipt.SAME, Receipt.SAME]
    assert office.balance(AccountKind.DEPOSIT) == 9


def test_the_same_id_with_other_bytes_is_a_conflict_the_first_stands_and_the_supervisor_hears(office: Office) -> None:
    office.open_shop(deposit_fen=0)
    body = {
        "shop_id": "shop-1",
        "payment_id": "p",
        "amount_fen": 9,
        "channel": "BANK",
        "paid_at": "2026-11-19T02:00:00Z",
    }
    office.send("deposit.paid", body, "m1")
    assert office.send("deposit.paid", body | {"amount_fen": 900, "payment_id": "q"}, "m1") is Receipt.CONFLICT
    assert office.balance(AccountKind.DEPOSIT) == 9
    assert office.staff_told("inbox_conflict") == ["supervisor"]
    assert "inbox.conflict" in office.trail("system")
    assert office.chains() == []


def test_two_copies_at_the_same_moment_are_one_message(office: Office) -> None:
    start, receipts = threading.Barrier(4), []

    def deliver() -> None:
        start.wait()
        receipts.append(office.receive("shop.snapshot", {"shop_id": "s"}, "m1"))

    threads = [threading.Thread(target=deliver) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(receipts) == sorted([Receipt.NEW, Receipt.SAME, Receipt.SAME, Receipt.SAME])
    assert len(messages()) == 1


def failing(times: int, poison: str) -> Callable[[Tx, InboxMessage, dict[str, Any]], None]:
    left = [times]

    def handle(tx: Tx, message: InboxMessage, body: dict[str, Any]) -> None:
        if message.message_id == poison and left[0]:
            left[0] -= 1
            tx.add(
                InboxMessage(
                    source="x",
                    message_id="half",
                    type="x",
                    body_sealed="",
                    body_sha256="",
                    received_at=tx.now,
                    next_at=tx.now,
                )
            )
            tx.flush()
            raise ZeroDivisionError("a bug")

    return handle


def test_a_message_with_a_fault_waits_and_the_others_go_on(office: Office) -> None:
    for name in ("good-1", "bad", "good-2"):
        office.receive("shop.snapshot", {"shop_id": "s"}, name)
    handle = failing(1, "bad")
    routing.route_due(handle=handle)
    assert [row.state for row in messages()] == [InboxState.DONE, InboxState.NEW, InboxState.DONE]  # and no half rows
    assert messages()[1].note == "ZeroDivisionError"
    office.clock.advance(timedelta(seconds=1))
    routing.route_due(handle=handle)
    assert messages()[1].state is InboxState.DONE


def test_a_message_that_fails_again_and_again_is_given_up_aloud(office: Office) -> None:
    office.receive("shop.snapshot", {"shop_id": "s"}, "bad")
    handle = failing(99, "bad")
    for tries in range(1, 8):
        assert messages()[0].state is InboxState.NEW, tries
        routing.route_due(handle=handle)
        office.clock.advance(timedelta(hours=1))
    assert messages()[0].state is InboxState.FAILED
    assert "已停止重试" in office.refusals()[0][1]
    office.settle()
    assert office.staff_told("inbox_failed") == ["supervisor"]


def test_a_message_that_has_to_wait_for_another_is_tried_again_without_counting_as_a_fault(office: Office) -> None:
    def handle(tx: Tx, message: InboxMessage, body: dict[str, Any]) -> None:
        if office.clock.at < START + timedelta(days=1):
            raise Later("another comes first")

    office.receive("shop.snapshot", {"shop_id": "s"}, "m")
    for _ in range(20):
        routing.route_due(handle=handle)
        office.clock.advance(timedelta(hours=1))
    assert (messages()[0].state, messages()[0].attempts) == (InboxState.NEW, 0)
    office.clock.advance(timedelta(hours=4))
    routing.route_due(handle=handle)
    assert messages()[0].state is InboxState.DONE


def test_received_is_when_the_request_arrived_however_long_it_then_waited(office: Office) -> None:
    since, arrived = office.clock.ticks(), office.clock.at
    office.clock.advance(timedelta(seconds=12))
    inbox.receive(Arrival(source="platform", message_id="m", type="x", body=b"{}"), routing.on_conflict, since)
    assert (messages()[0].received_at, messages()[0].next_at) == (arrived, office.clock.at)


def test_the_messages_of_one_request_are_stored_together_or_not_at_all(office: Office) -> None:
    good = Arrival(source="platform", message_id="good", type="x", body=b"{}")
    twice = [good, good.model_copy(update={"message_id": "b"}), good, good.model_copy(update={"body": b"{1}"})]
    with pytest.raises(UnicodeDecodeError):
        inbox.receive_all([*twice, good.model_copy(update={"message_id": "c", "body": b"\xff"})], routing.on_conflict)
    assert messages() == []
    told = inbox.receive_all(twice, routing.on_conflict)
    assert told == [Receipt.NEW, Receipt.NEW, Receipt.SAME, Receipt.CONFLICT]
    assert [(row.message_id, row.conflicts) for row in messages()] == [("good", 1), ("b", 0)]


def test_a_deposit_is_not_refused_while_another_courier_still_registers_its_shop(office: Office) -> None:
    taken, go_on = threading.Event(), threading.Event()

    def slow(tx: Tx, message: InboxMessage, body: dict[str, Any]) -> None:
        taken.set()
        go_on.wait(60)
        routing.handle(tx, message, body)

    office.receive(
        "shop.registered",
        {
            "shop_id": "shop-1",
            "name": "晨光文具",
            "entity_type": "ENTERPRISE",
            "owner_account_id": "acct-shop-1",
            "owner_name": "林晓",
            "licence_name": "宁波晨光文具有限公司",
            "taxpayer_type": "GENERAL",
            "categories": ["服饰"],
            "contacts": [],
        },
    )
    office.receive(
        "deposit.paid",
        {
            "shop_id": "shop-1",
            "payment_id": "p",
            "amount_fen": 9,
            "channel": "BANK",
            "payer_account": "3301",
            "paid_at": office.clock.at.isoformat(),
        },
    )
    first = threading.Thread(target=routing.route_due, args=(1, slow))
    first.start()
    assert taken.wait(60)
    second = threading.Thread(target=routing.route_due)
    second.start()
    second.join(1)
    go_on.set()
    first.join()
    second.join()
    office.settle()
    assert office.refusals() == []
    assert office.balance(AccountKind.DEPOSIT) == 9


def test_an_event_nobody_handles_is_kept(office: Office) -> None:
    def handle(tx: Tx, message: InboxMessage, body: dict[str, Any]) -> None:
        raise Kept("no handler")

    office.receive("nobody.cares", {}, "m")
    routing.route_due(handle=handle)
    assert (messages()[0].state, messages()[0].note) == (InboxState.KEPT, "no handler")


def test_bodies_are_sealed_at_rest(office: Office) -> None:
    office.receive("shop.snapshot", {"shop_id": "a-very-visible-word"}, "m")
    assert "a-very-visible-word" not in messages()[0].body_sealed


# ── going out ──


def put(key: str = "k", channel: Channel = Channel.EVENT) -> bool:
    return in_transaction(lambda tx: outbox.put(tx, key, channel, "topic", {"n": 1}, audience="platform"))


def row(key: str = "k") -> OutboxMessage:
    with reading() as tx:
        found = tx.exec(select(OutboxMessage).where(OutboxMessage.key == key)).one()
        tx.expunge_all()
        return found


class Receiver:
    """Somebody at the other end: says what the script says, then takes everything."""

    def __init__(self, *script: Exception) -> None:
        self.script = list(script)
        self.got: list[Item] = []

    def __call__(self, item: Item) -> str:
        self.got.append(item)
        if self.script:
            raise self.script.pop(0)
        return "HTTP 200"


def deliver(receiver: Receiver, channel: Channel = Channel.EVENT) -> int:
    return sending.deliver_due({channel: receiver}, delivery.on_dead)


def test_a_key_is_written_once(office: Office) -> None:
    assert (put(), put()) == (True, False)


@pytest.mark.parametrize("key", ["platform:at/2026-11-28T10:00:00+00:00", "platform:店铺/1", "platform:a b", "p" * 201])
def test_an_event_is_written_only_under_a_key_that_receivers_take_as_its_id(office: Office, key: str) -> None:
    """Otherwise the receiver's refusal would be the first to notice, and nothing would ever arrive."""
    with pytest.raises(ValueError, match="webhook-id"):
        in_transaction(lambda tx: outbox.put(tx, key, Channel.EVENT, "shop.closed", {}, audience="platform"))


def test_a_failed_delivery_is_tried_again_later_and_later_until_it_arrives(office: Office) -> None:
    put()
    receiver = Receiver(Undeliverable("HTTP 500"), Undeliverable("HTTP 502"))
    deliver(receiver)
    assert (row().state, row().note, deliver(receiver)) == (OutboxState.NEW, "HTTP 500", 0)
    office.clock.advance(timedelta(seconds=1))
    deliver(receiver)
    office.clock.advance(timedelta(seconds=4))
    assert deliver(receiver) == 0
    office.clock.advance(timedelta(seconds=1))
    deliver(receiver)
    assert (row().state, row().note, len(receiver.got)) == (OutboxState.SENT, "HTTP 200", 3)
    assert {item.key for item in receiver.got} == {"k"}


def test_a_message_nobody_takes_dies_and_the_supervisor_is_told_once(office: Office) -> None:
    put()
    receiver = Receiver(*[Undeliverable("HTTP 500")] * 99)
    for _ in range(len(sending.BACKOFF) + 1):
        deliver(receiver)
        office.clock.advance(timedelta(days=1))
    assert row().state is OutboxState.DEAD
    assert deliver(receiver) == 0
    assert office.staff_told("delivery_dead") == ["supervisor"]
    assert "outbox.dead" in office.trail("system")


def test_a_dead_alert_is_not_alerted_about(office: Office) -> None:
    in_transaction(lambda tx: outbox.put(tx, "k", Channel.STAFF, "delivery_dead", {}, audience="supervisor"))
    receiver = Receiver(*[Undeliverable("x")] * 99)
    for _ in range(len(sending.BACKOFF) + 1):
        deliver(receiver, Channel.STAFF)
        office.clock.advance(timedelta(days=1))
    assert row().state is OutboxState.DEAD
    assert len(office.staff_told("delivery_dead")) == 1


def test_a_dead_message_is_sent_again_by_hand_from_the_first_attempt(office: Office) -> None:
    put()
    in_transaction(lambda tx: tx.execute(update(OutboxMessage).values(state=OutboxState.DEAD, attempts=9)))
    in_transaction(lambda tx: outbox.resend(tx, "k"))
    deliver(Receiver())
    assert (row().state, row().attempts) == (OutboxState.SENT, 1)
    assert "outbox.resent" in office.trail("system")
    assert "没有键为" in in_transaction(lambda tx: outbox.resend(tx, "nobody"))


def test_services_reached_before_a_failure_are_remembered_for_the_next_attempt(office: Office) -> None:
    put()
    receiver = Receiver(Undeliverable("half", reached=("mail",)), Undeliverable("half", reached=("chat",)))
    for _ in range(3):
        deliver(receiver)
        office.clock.advance(timedelta(minutes=1))
    assert [item.reached for item in receiver.got] == [(), ("mail",), ("chat", "mail")]


def test_a_message_for_nobody_is_skipped_with_the_reason(office: Office) -> None:
    put()
    deliver(Receiver(Skip("no subscriber platform")))
    assert (row().state, row().note) == (OutboxState.SKIPPED, "no subscriber platform")


def test_a_wake_up_never_dies(office: Office) -> None:
    put("run", Channel.RUN)
    receiver = Receiver(*[Undeliverable("Prefect is down")] * 40)
    for _ in range(40):
        deliver(receiver, Channel.RUN)
        office.clock.advance(timedelta(seconds=30))
    assert (row("run").state, row("run").note) == (OutboxState.NEW, "Prefect is down")
    assert (deliver(receiver, Channel.RUN), len(receiver.got)) == (1, 41)


@pytest.mark.parametrize("outcome", [[], [Skip("the case has ended")]])
def test_a_wake_up_leaves_no_row_behind_once_it_has_done_its_work(office: Office, outcome: list[Exception]) -> None:
    put("run", Channel.RUN)
    deliver(Receiver(*outcome), Channel.RUN)
    assert office.outbox(Channel.RUN) == []
    assert deliver(Receiver(), Channel.RUN) == 0


def test_a_busy_run_is_asked_again_at_once_and_that_counts_as_no_attempt(office: Office) -> None:
    put("run", Channel.RUN)
    deliver(Receiver(NotYet("busy")), Channel.RUN)
    assert (row("run").attempts, row("run").next_at - office.clock.at) == (0, timedelta(milliseconds=300))


def test_what_a_courier_took_before_it_died_is_free_again_after_its_lease(office: Office) -> None:
    put()
    assert len(in_transaction(lambda tx: sending.lease(tx, 10))) == 1
    receiver = Receiver()
    office.clock.advance(timedelta(seconds=60))
    assert deliver(receiver) == 0
    office.clock.advance(timedelta(seconds=1))
    assert deliver(receiver) == 1
    assert row().state is OutboxState.SENT


def test_what_a_slow_courier_has_not_come_to_is_free_for_others_and_counts_as_no_attempt(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        put(f"k{number}")

    def slow(item: Item) -> str:
        monkeypatch.setattr(sending, "SLOW", -1.0)
        return "at last"

    assert sending.deliver_due({Channel.EVENT: slow}, delivery.on_dead) == 1
    assert row("k0").state is OutboxState.SENT
    assert [(row(key).attempts, row(key).leased_until) for key in ("k1", "k2")] == [(0, None)] * 2


def test_two_couriers_at_once_deliver_every_message_once(office: Office) -> None:
    for number in range(20):
        put(f"k{number}")
    receiver, start = Receiver(), threading.Barrier(2)

    def courier() -> None:
        start.wait()
        while deliver(receiver):
            pass

    threads = [threading.Thread(target=courier) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(item.key for item in receiver.got) == sorted(f"k{number}" for number in range(20))


def test_a_message_with_a_fault_in_it_waits_and_the_others_go_out(office: Office) -> None:
    put("bad")
    put("good")
    receiver = Receiver(KeyError("a bug"))
    deliver(receiver)
    assert (row("bad").state, row("bad").note) == (OutboxState.NEW, "KeyError")
    assert row("good").state is OutboxState.SENT


def test_a_message_no_key_opens_any_more_does_not_hold_up_the_others(office: Office) -> None:
    put("bad")
    put("good")
    in_transaction(
        lambda tx: tx.execute(
            update(OutboxMessage).where(col(OutboxMessage.key) == "bad").values(payload_sealed="of-another-key")
        )
    )
    opened: list[Any] = []
    sending.deliver_due({Channel.EVENT: lambda item: opened.append(item.payload) or "read"}, delivery.on_dead)  # type: ignore[func-returns-value]
    assert opened == [{"n": 1}]
    assert (row("bad").note, row("good").state) == ("CannotUnseal", OutboxState.SENT)


def test_a_notification_channel_that_is_down_is_tried_again(office: Office, notifier: ScriptedNotifier) -> None:
    notifier.fail_next(2)
    office.open_shop()
    office.pass_time(minutes=1)
    assert [row.state for row in office.outbox(Channel.MERCHANT)] == [OutboxState.SENT]
    assert len(notifier.subjects("merchant")) == 1


def test_one_id_with_ever_other_bytes_fills_neither_row_nor_record_nor_post(office: Office) -> None:
    for number in range(inbox.MOST_OTHERS + 10):
        body = json.dumps({"type": "x", "data": number}).encode()
        inbox.receive(Arrival(source="platform", message_id="m", type="x", body=body), routing.on_conflict)
    [row] = messages()
    assert (row.conflicts, len(row.others)) == (inbox.MOST_OTHERS + 9, inbox.MOST_OTHERS)
    assert office.trail("system").count("inbox.conflict") == inbox.MOST_OTHERS


def test_of_ever_other_bytes_under_one_id_the_supervisor_hears_the_number_each_time_it_has_doubled(
    office: Office,
) -> None:
    for number in range(70):
        body = json.dumps({"type": "x", "data": number}).encode()
        inbox.receive(Arrival(source="platform", message_id="m", type="x", body=body), routing.on_conflict)
    told = [(one["conflicts"], one["counted"]) for one in office.messages("inbox_conflict", Channel.STAFF)]
    assert told[inbox.MOST_OTHERS - 1 :] == [(20, 0), (32, 12), (64, 44)]
