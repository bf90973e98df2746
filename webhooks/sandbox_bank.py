"""The sandbox bank: takes our payout instructions, one or many at once, and answers each through the door, as a real bank would.

An account number ending in 0002 is refused (``payout.failed``), one ending in 0003 comes back
(``payout.returned``), any other is paid (``payout.settled``). What it will answer is on disk before it says
200, so that a restart loses no answer; the account number is not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError

from models.payout_events import Instruction, PayoutFailed, PayoutReturned, PayoutSettled
from models.settlement_events import PayItem, SettlementPayoutsRequested
from models.wire import OUTBOUND, Envelope
from office.base.settings import Settings
from webhooks import bodies, signing
from webhooks.problems import Problem, field_errors
from webhooks.requests import check_headers, read_body
from webhooks.sandbox_post import SandboxPost

logger = logging.getLogger("dianwu.sandbox.bank")

PATH = "/sandbox/bank"


def of(settings: Settings, now: Callable[[], float]) -> SandboxBank | None:
    """The bank of a demonstration; ``None`` in production, when switched off, or without a secret."""
    if settings.production or not settings.sandbox_bank:
        return None
    if "bank" not in settings.subscriber_secrets:
        logger.warning("no sandbox bank: subscriber_secrets has no secret called bank")
        return None
    return SandboxBank(settings, now)


class SandboxBank:
    """One per door. Idempotent by ``request_no``: a repeated instruction gets the same answer and id."""

    def __init__(self, settings: Settings, now: Callable[[], float]) -> None:
        ours = signing.webhook_of(settings.subscriber_secrets["bank"], "subscriber_secrets.bank")
        self._verifier = signing.Verifier([ours], settings.webhook_tolerance_seconds, signing.MAX_OWN_ID)
        self.post = SandboxPost(settings, now, "sandbox-bank", "bank_secrets")
        self._now = now

    def router(self, max_body_bytes: int) -> APIRouter:
        router = APIRouter(include_in_schema=False)

        @router.post(PATH)
        async def instruct(request: Request) -> dict[str, str]:
            check_headers(request, signing.HEADERS)
            raw = await read_body(request, max_body_bytes)
            return await run_in_threadpool(self._take, dict(request.headers), raw)

        return router

    def _take(self, headers: dict[str, str], raw: bytes) -> dict[str, str]:
        text = bodies.text_of(raw)
        self._verifier.check(headers, text, self._now())
        message = bodies.parse_object(text)
        try:
            envelope = Envelope.model_validate(message)
            number, orders = orders_of(envelope)
        except ValidationError as error:
            raise Problem(422, "wrong-fields", "This is no payout instruction.", errors=field_errors(error)) from None
        for answer in [self._keep(order, envelope.timestamp) for order in orders]:
            self.post.send(answer)
        return {"status": "accepted", "request_no": number}

    def _keep(self, order: Instruction | PayItem, at: datetime) -> Path:
        """Write down the answer. Its bytes follow from the instruction, so a repeat is the same message."""
        model, reason = decide(order.payee.account_no)
        event = model(
            shop_id=order.shop_id,
            request_no=order.request_no,
            amount_fen=order.amount_fen,
            at=at,
            reason=reason,
        )
        return self.post.keep(order.request_no, f"bank-{order.request_no}", event.envelope(at))


def orders_of(envelope: Envelope) -> tuple[str, Sequence[Instruction | PayItem]]:
    """What we are told to pay, and the number of the whole; a batch whose count or sum is not that of its payments is none."""
    model = OUTBOUND.get(envelope.type)
    if model is not None and issubclass(model, Instruction):
        order = model.model_validate(envelope.data)
        return order.request_no, [order]
    if model is not SettlementPayoutsRequested:
        raise Problem(422, "unknown-type", "The bank takes payout instructions only.")
    batch = SettlementPayoutsRequested.model_validate(envelope.data)
    found = (len(batch.payments), sum(item.amount_fen for item in batch.payments))
    if found != (batch.count, batch.total_fen):
        raise Problem(
            422, "wrong-fields", f"count and total_fen are not those of the payments: {found[0]}, {found[1]}."
        )
    return batch.batch_no, batch.payments


def decide(account_no: str) -> tuple[type[PayoutSettled] | type[PayoutFailed] | type[PayoutReturned], str]:
    """What becomes of a payment to this account, and why."""
    if account_no.endswith("0002"):
        return PayoutFailed, "户名与账号不符"
    if account_no.endswith("0003"):
        return PayoutReturned, "收款账户已销户，款项退回"
    return PayoutSettled, ""
