"""The courier beside the door: whatever goes wrong in a round, it goes on delivering."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

import pytest

from models.messages import Channel, OutboxState
from notifications.channels import Delivery, Target
from notifications.rendering import Rendered
from office.base.clock import use_clock
from tasks import delivery
from tasks.delivery import Courier
from tests.play import Office

pytestmark = pytest.mark.both

PATIENCE = 60.0


class StoppedClock:
    """A clock that cannot be read: a fault that is not the database's."""

    def now(self, session: object) -> datetime:
        raise RuntimeError("no time")

    def real(self) -> datetime:
        raise RuntimeError("no time")


class Rounds:
    """What happens after a round: it lets a test wait for the next one, and may fail itself."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self._bell = threading.Semaphore(0)

    def __call__(self, done: int) -> None:
        self._bell.release()
        if self.fault:
            raise self.fault

    def wait(self, rounds: int = 2) -> None:
        """Until a round that began after this call is over."""
        while self._bell.acquire(blocking=False):
            pass
        for _ in range(rounds):
            assert self._bell.acquire(timeout=PATIENCE)


def with_courier(office: Office, rounds: Rounds, act: Callable[[Courier], None]) -> None:
    courier = Courier("test", lambda: delivery.round_trip(office.carrier), rounds).start()
    try:
        act(courier)
    finally:
        courier.stop()
    assert not courier.alive


def delivered(office: Office) -> bool:
    told = office.outbox(Channel.STAFF, "review_waiting")
    return bool(told) and all(row.state is OutboxState.SENT for row in told)


def test_a_round_that_fails_does_not_send_the_courier_home(office: Office) -> None:
    office.open_shop()
    office.receive("closure.requested", CLOSURE)
    rounds = Rounds()

    def act(courier: Courier) -> None:
        use_clock(StoppedClock())
        rounds.wait()
        assert courier.alive
        use_clock(office.clock)
        while not delivered(office):
            courier.call()
            rounds.wait()

    with_courier(office, rounds, act)


def test_a_fault_in_what_follows_a_round_stops_no_delivery(office: Office) -> None:
    office.open_shop()
    office.receive("closure.requested", CLOSURE)
    rounds = Rounds(KeyError("board"))

    def act(courier: Courier) -> None:
        while not delivered(office):
            courier.call()
            rounds.wait()
        assert courier.alive

    with_courier(office, rounds, act)


class Hung:
    """A mail server that takes a connection and does not answer."""

    def __init__(self) -> None:
        self.called, self.answer = threading.Event(), threading.Event()

    def send(self, target: Target, rendered: Rendered) -> Delivery:
        self.called.set()
        assert self.answer.wait(PATIENCE)
        return Delivery(delivered=True, reason="已送达：mail")


def test_a_mail_server_that_does_not_answer_holds_up_no_case(office: Office) -> None:
    hung, rounds, shops = Hung(), Rounds(), ("shop-1", "shop-2")
    for shop_id in shops:
        office.open_shop(shop_id)
    delivery.use_notifier(hung)
    post = Courier("post", delivery.send_post).start()
    cases = Courier("cases", lambda: delivery.carry_on(office.carrier), rounds).start()
    try:
        for shop_id in shops:
            office.receive("closure.requested", CLOSURE | {"shop_id": shop_id, "account_id": f"acct-{shop_id}"})
            cases.call()
            post.call()
            while [row.shop_id for row in office.outbox(Channel.STAFF, "review_waiting")][-1:] != [shop_id]:
                rounds.wait()
            assert hung.called.wait(PATIENCE)
        states = [row.state for row in office.outbox(Channel.STAFF)]
        assert OutboxState.NEW in states and OutboxState.SENT not in states
    finally:
        hung.answer.set()
        cases.stop()
        post.stop()


CLOSURE = {"shop_id": "shop-1", "account_id": "acct-shop-1", "reason": "STRATEGY_CHANGE", "reason_text": "转做线下门店"}
