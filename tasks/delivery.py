"""Delivery: empties the inbox into cases and the outbox into the world. Runs in several places at once, safely.

Three couriers beside the door do it at once: one acts on what came in and wakes cases, one sends events to other systems,
one sends mail and other messages to people, so that a mail server that takes its time holds up neither a case nor a
payment. The ``delivery`` flow does it all every minute whatever happens.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import httpx
from standardwebhooks import Webhook

from models.messages import Channel
from models.reviews import Role
from models.shops import Shop
from notifications.catalogue import restore
from notifications.channels import AppriseNotifier, DeliveryFailed, Notifier, Target
from notifications.message import Message
from notifications.operations import DeliveryDead
from notifications.plugins.folder import folder_url
from notifications.rendering import render
from notifications.review import StaffBundle
from office.base import clock
from office.base.db import Tx, reading
from office.base.secret_forms import webhook_key
from office.base.settings import settings
from office.base.vault import opened_json
from office.cases import bundles, merchants, reviews, routing
from office.record import sending
from office.record.outbox import PERSON
from office.record.sending import Deliverer, Item, Skip, Undeliverable
from office.runs import engine
from office.staff import staff
from tasks import outbox_words
from tasks.arbitration import doudian

logger = logging.getLogger("dianwu.delivery")

IDLE_SECONDS = 0.5
"""How long the courier rests when there was nothing to do and nobody called."""


@lru_cache(maxsize=1)
def http() -> httpx.Client:
    here = {"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None}  # never through a proxy
    return httpx.Client(timeout=settings().outbound_timeout_seconds, follow_redirects=False, mounts=here)


_chosen: list[Notifier] = []


def use_notifier(channel: Notifier | None) -> None:
    """Choose the channel of this process; ``None`` goes back to what the settings say."""
    _chosen[:] = [channel] if channel else []


def notifier() -> Notifier:
    """The channel through which people are told."""
    return _chosen[0] if _chosen else configured()


@lru_cache(maxsize=1)
def configured() -> Notifier:
    """Apprise with the configured channels; outside production, a folder where a channel is missing."""
    given = settings()
    services = {role: [url.get_secret_value() for url in urls] for role, urls in given.staff_channels.items()}
    if not given.production:
        folder = folder_url(given.home / "notifications")
        services = {"staff": [folder], "merchant": [folder], "person": [folder], **services}
    return AppriseNotifier(services, mail_relay=given.mail_relay.get_secret_value() or None)


def send_event(item: Item) -> str:
    """POST a signed event to its subscriber; any 2xx is an arrival, 410 means they want no more of it."""
    if item.audience == doudian.AUDIENCE:
        return doudian.deliver(item, routing.on_conflict)
    url = settings().subscribers.get(item.audience)
    secret = settings().subscriber_secrets.get(item.audience)
    if not url or secret is None:
        raise Skip(f"no subscriber {item.audience}")
    body = json.dumps(outbox_words.made(item), ensure_ascii=False, separators=(",", ":"))
    stamp = clock.clock().real()
    headers = {
        "webhook-id": item.key,
        "webhook-timestamp": str(int(stamp.timestamp())),
        "content-type": "application/json",
        "webhook-signature": Webhook(webhook_key(secret, f"subscriber_secrets.{item.audience}")).sign(
            item.key, stamp, body
        ),
    }
    try:
        answer = http().post(url, content=body.encode(), headers=headers)
    except httpx.HTTPError as error:
        raise Undeliverable(type(error).__name__) from error
    if answer.status_code == httpx.codes.GONE:
        raise Skip("subscriber is gone (410)")
    if not answer.is_success:
        raise Undeliverable(f"HTTP {answer.status_code}")
    return f"HTTP {answer.status_code}"


def send_to_staff(item: Item) -> str:
    """Tell everybody who holds a role, by itself or as a list, or one person over a channel of their own."""
    if item.audience.startswith(PERSON):
        with reading() as tx:
            contacts = staff.contacts(tx, item.audience.removeprefix(PERSON))
        return _notify(item, Target.person(contacts, already=item.reached))
    target = Target.staff(item.audience, already=item.reached)
    if item.topic != StaffBundle.name:
        return _notify(item, target)
    with reading() as tx:
        message = bundles.message_of(tx, item)
    return _say(message, target)


def send_to_merchant(item: Item) -> str:
    """Tell the merchant through the contacts they registered."""
    with reading() as tx:
        shop = tx.get(Shop, item.shop_id) if item.shop_id else None
        contacts = opened_json(shop, "contacts_sealed") if shop else None
    return _notify(item, Target.merchant(contacts or [], already=item.reached))


def _notify(item: Item, target: Target) -> str:
    return _say(restore(item.topic, outbox_words.made(item)), target)


def _say(message: Message, target: Target) -> str:
    try:
        delivery = notifier().send(target, render(message, merchants.context()))
    except DeliveryFailed as failed:
        raise Undeliverable(str(failed), failed.reached) from failed
    if not delivery.delivered:
        raise Skip(delivery.reason)
    return delivery.reason


EVENTS: dict[Channel, Deliverer] = {Channel.EVENT: send_event}
POST: dict[Channel, Deliverer] = {Channel.MERCHANT: send_to_merchant, Channel.STAFF: send_to_staff}
"""Who delivers what leaves the house: to other systems, and to people."""


def on_dead(tx: Tx, item: Item, why: str) -> None:
    """Tell the supervisor that a delivery was given up; a dead alert is not alerted about again."""
    if item.topic == DeliveryDead.name:
        return
    told = DeliveryDead(
        key=item.key,
        channel=item.channel.label,
        topic=item.topic,
        case_id=item.case_id or "",
        created_at=item.created_at,
        attempts=item.attempts,
        reason=why,
    )
    reviews.notify_staff(tx, Role.SUPERVISOR, told, f"dead/{item.key}/{item.created_at.isoformat()}")


def carry_on(carrier: engine.Engine, limit: int = 50) -> int:
    """Act on what came in and wake the cases that have something to do; returns how much was done."""
    done = routing.route_due(limit)
    return done + sending.deliver_due({Channel.RUN: lambda item: engine.deliver(carrier, item)}, on_dead, limit)


def send_events(limit: int = 50) -> int:
    """Deliver what is meant for other systems; returns how many were tried."""
    return sending.deliver_due(EVENTS, on_dead, limit)


def send_post(limit: int = 50) -> int:
    """Deliver what is meant for people, merchants and staff; returns how many were tried."""
    return sending.deliver_due(POST, on_dead, limit)


def round_trip(carrier: engine.Engine) -> int:
    """All of it, one after the other; returns how much was done."""
    return carry_on(carrier) + sending.deliver_due(EVENTS | POST, on_dead)


class Courier:
    """A thread that works as soon as there is something, and looks by itself every half second."""

    def __init__(
        self, name: str, work: Callable[[], int], after_round: Callable[[int], None] = lambda done: None
    ) -> None:
        self._work, self._after_round = work, after_round
        self._call = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"courier-{name}", daemon=True)

    def start(self) -> Courier:
        self._thread.start()
        return self

    def call(self) -> None:
        """There is something to deliver now."""
        self._call.set()

    def stop(self, timeout: float = 10) -> None:
        """Finish the round under way and end."""
        self._stop.set()
        self._call.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._call.clear()
            if self._once() == 0:
                self._call.wait(IDLE_SECONDS)

    @property
    def alive(self) -> bool:
        """Whether the thread is there to deliver."""
        return self._thread.is_alive()

    def _once(self) -> int:
        done = 0
        try:
            done = self._work()
        except Exception:  # whatever it was, a courier that has gone home would deliver nothing more
            logger.exception("a round failed; trying again")
        try:
            self._after_round(done)
        except Exception:  # what is done after a round is for show, and stops no delivery
            logger.exception("what follows a round failed")
        return done


def drain(carrier: engine.Engine, rounds: int = 100, step: Callable[[], Any] | None = None) -> int:
    """Deliver until nothing is due, at most so many rounds; returns how much was done."""
    total = 0
    for _ in range(rounds):
        done = round_trip(carrier)
        total += done
        if step:
            step()
        if done == 0:
            break
    return total
