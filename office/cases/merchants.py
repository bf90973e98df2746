"""Merchants: a message to one, through their own channels and as an event for their inbox on the platform."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from models.case_events import MerchantMessageCreated
from models.cases import Case, CaseDeadline
from models.messages import Channel
from models.outcomes import Refusal
from models.shops import Shop
from notifications.deadline import MerchantDeadlineReminder
from notifications.message import Ground, MerchantMessage, hours_between
from notifications.rendering import Context, subject
from office.base.db import Tx
from office.base.settings import settings
from office.cases.cases import rules
from office.record import audit, outbox
from policies.deadlines import outside_quiet_hours
from policies.policy import SHANGHAI


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
    not_before: datetime | None = None,
    wakes: bool = False,
) -> None:
    """Send a message to the shop's merchant, once per key; a reminder ``not_before`` the quiet hours are over.

    ``wakes``: the case waits for it to leave.
    """
    shop = shop_id or (case.shop_id if case else None)
    if shop is None:
        raise ValueError(f"message {message.name} has no shop")
    stream = case.id if case else f"shop/{shop}"
    written = outbox.put(
        tx,
        f"{outbox.TO_MERCHANT}{key}",
        Channel.MERCHANT,
        message.name,
        message.model_dump(mode="json"),
        case=case,
        shop_id=shop,
        not_before=not_before,
        wakes=wakes,
    )
    if not written:
        if not_before:
            audit.record(tx, stream, "merchant.told_before", text="已发送过,未重复提醒", message=message.name)
        return
    outbox.put(
        tx,
        f"{outbox.COPY}{key}",
        Channel.EVENT,
        MerchantMessageCreated.type,
        {"at": (not_before or tx.now).isoformat()},
        case=case,
        shop_id=shop,
        audience=MerchantMessageCreated.subscriber,
        not_before=not_before,
    )
    waits = not_before and not_before > tx.now
    when = f"将于 {not_before.astimezone(SHANGHAI):%m-%d %H:%M} 提醒商家" if not_before and waits else "已通知商家"
    audit.record(
        tx,
        stream,
        "merchant.told",
        clause=message.clause,
        public=True,
        text=f"{when}:{subject(message, context())}",
        message=message.name,
    )


def awake(tx: Tx, case: Case, due: datetime | None = None) -> datetime:
    """When a reminder leaves: now, or when the quiet hours are over, if that is before ``due``."""
    return outside_quiet_hours(tx.now, rules(case).quiet_hours, due)


def remind(tx: Tx, case: Case, deadline: CaseDeadline, *, matter: str, silence: str) -> None:
    """Remind the merchant of their own deadline: what, until when, and what silence will mean."""
    leaves = awake(tx, case, deadline.due_at)
    left = hours_between(leaves, deadline.due_at)
    message = MerchantDeadlineReminder(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        matter=matter,
        due=deadline.due_at,
        hours_left=left,
        silence=silence,
    )
    tell(tx, message, f"{case.id}/{deadline.key}/remind/{left}", case=case, not_before=leaves)


def shop_of(tx: Tx, case: Case) -> Shop:
    """The shop a case is about; every kind that calls this has one."""
    shop = tx.get(Shop, case.shop_id) if case.shop_id else None
    if shop is None:
        raise LookupError(f"{case.id} is about no shop")
    return shop


def ground(refusal: Refusal) -> Ground:
    return Ground(clause=refusal.clause, sentence=refusal.sentence)
