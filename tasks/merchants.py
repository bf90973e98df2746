"""Merchants: a message to one, through their own channels and as an event for their inbox on the platform."""

from __future__ import annotations

from functools import lru_cache

from models.cases import Case, CaseDeadline
from models.events import MerchantMessageCreated
from models.messages import Channel
from models.outcomes import Refusal
from models.shops import Shop
from notifications.deadline import MerchantDeadlineReminder
from notifications.message import Ground, MerchantMessage, hours_between
from notifications.rendering import Context, render
from policies.deadlines import outside_quiet_hours
from tasks import audit, outbox
from tasks.cases import emit, rules
from tasks.db import Tx
from tasks.settings import settings


@lru_cache(maxsize=1)
def context() -> Context:
    """What every message of this installation shares."""
    return Context(service_contact=settings().service_contact)


def tell(
    tx: Tx,
    message: MerchantMessage,
    key: str,
    *,
    case: Case | None = None,
    shop_id: str | None = None,
    due_of: CaseDeadline | None = None,
) -> None:
    """Send a message to the shop's merchant, once per key. ``due_of`` marks a reminder, which respects quiet hours."""
    shop = shop_id or (case.shop_id if case else None)
    if shop is None:
        raise ValueError(f"message {message.name} has no shop")
    later = None
    if due_of is not None and case is not None:
        later = outside_quiet_hours(tx.now, rules(case).quiet_hours, due_of.due_at)
    written = outbox.put(
        tx, f"merchant:{key}", Channel.MERCHANT, message.name, message.model_dump(mode="json"), case=case, shop_id=shop,
        not_before=later,
    )  # fmt: skip
    if not written:
        return
    words = render(message, context())
    event = MerchantMessageCreated(
        message_id=key, shop_id=shop, case_id=case.id if case else None, topic=message.name, subject=words.subject,
        text=words.text, html=words.html, at=tx.now,
    )  # fmt: skip
    emit(tx, event, f"message/{key}", case, shop_id=shop)
    audit.record(tx, case.id if case else f"shop/{shop}", "merchant.told", clause=message.clause, public=True,
                 text=f"已通知商家:{words.subject}", message=message.name)  # fmt: skip


def remind(tx: Tx, case: Case, deadline: CaseDeadline, *, matter: str, silence: str) -> None:
    """Remind the merchant of their own deadline: what, until when, and what silence will mean."""
    left = hours_between(tx.now, deadline.due_at)
    message = MerchantDeadlineReminder(
        shop_name=shop_of(tx, case).name, case_id=case.id, matter=matter, due=deadline.due_at, hours_left=left,
        silence=silence,
    )  # fmt: skip
    tell(tx, message, f"{case.id}/{deadline.key}/remind/{left}", case=case, due_of=deadline)


def shop_of(tx: Tx, case: Case) -> Shop:
    """The shop a case is about; every kind that calls this has one."""
    shop = tx.get(Shop, case.shop_id) if case.shop_id else None
    if shop is None:
        raise LookupError(f"{case.id} is about no shop")
    return shop


def ground(refusal: Refusal) -> Ground:
    return Ground(clause=refusal.clause, sentence=refusal.sentence)
