"""The sandbox bank: takes our payout instructions and answers through the door, as a real bank would.

An account number ending in 0002 is refused (``payout.failed``), one ending in 0003 comes back
(``payout.returned``), any other is paid (``payout.settled``). What it will answer is on disk before it says
200, so that a restart loses no answer; the account number is not.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError

from models.events import Envelope, PayoutFailed, PayoutRequested, PayoutReturned, PayoutSettled
from tasks.settings import Settings
from webhooks import bodies, signing
from webhooks.problems import Problem, field_errors
from webhooks.requests import check_headers, read_body

logger = logging.getLogger("dianwu.sandbox.bank")

PATH = "/sandbox/bank"
PAUSES = [0.1, 0.3, 1, 3, 10, 30]
"""Seconds between attempts to deliver an answer; after the last one it waits on disk for the next start."""


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
        self._signer = signing.webhook_of(settings.platform_secrets[0], "platform_secrets")
        self._door = f"{settings.door_url}/webhooks/platform"
        self._folder = settings.home / "sandbox-bank"
        self._now = now
        self._closing = threading.Event()
        self._posting = ThreadPoolExecutor(max_workers=2, thread_name_prefix="sandbox-bank")

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
            order = PayoutRequested.model_validate(envelope.data)
        except ValidationError as error:
            raise Problem(422, "wrong-fields", "This is no payout instruction.", errors=field_errors(error)) from None
        if envelope.type != PayoutRequested.type:
            raise Problem(422, "unknown-type", "The bank takes payout instructions only.")
        kept = self._keep(order, envelope.timestamp)
        self._send(kept)
        return {"status": "accepted", "request_no": order.request_no}

    def _keep(self, order: PayoutRequested, at: datetime) -> Path:
        """Write down the answer. Its bytes follow from the instruction, so a repeat is the same message."""
        model, reason = decide(order.payee.account_no)
        event = model(
            shop_id=order.shop_id,
            request_no=order.request_no,
            amount_fen=order.amount_fen,
            at=at,
            reason=reason,
        )
        content = {
            "message_id": f"bank-{order.request_no}",
            "body": json.dumps(event.envelope(at), ensure_ascii=False),
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{hashlib.sha256(order.request_no.encode()).hexdigest()[:32]}.json"
        draft = path.with_suffix(f".{threading.get_ident()}")
        draft.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        draft.replace(path)
        return path

    def _send(self, path: Path) -> None:
        def look(done: Future[None]) -> None:
            if not done.cancelled() and (fault := done.exception()):
                logger.error("the sandbox bank could not answer", exc_info=fault)

        self._posting.submit(self._post, path).add_done_callback(look)

    def _post(self, path: Path) -> None:
        """Deliver one answer, with patience; the file goes when the door has it."""
        for pause in (*PAUSES, None):
            try:
                kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            except FileNotFoundError:
                return  # the same instruction came twice, and the other attempt was first
            if self._deliver(kept["message_id"], kept["body"]):
                path.unlink(missing_ok=True)
                return
            if pause is None or self._closing.wait(pause):
                return

    def _deliver(self, message_id: str, body: str) -> bool:
        headers = signing.signed_headers(self._signer, message_id, body, datetime.fromtimestamp(self._now(), UTC))
        try:
            with httpx.Client(trust_env=False, timeout=10) as client:
                answer = client.post(self._door, content=body.encode(), headers=headers)
        except httpx.HTTPError as error:
            logger.info("the door does not answer the sandbox bank yet: %s", type(error).__name__)
            return False
        if answer.status_code == 409:
            logger.error("the door already has another message with id %s", message_id)
            return True
        return answer.is_success

    def resume(self) -> None:
        """Deliver what a previous process left behind."""
        if self._folder.is_dir():
            for path in sorted(self._folder.glob("*.json")):
                self._send(path)

    def close(self) -> None:
        """Stop; what is not delivered stays on disk."""
        self._closing.set()
        self._posting.shutdown(wait=True, cancel_futures=True)


def decide(account_no: str) -> tuple[type[PayoutSettled] | type[PayoutFailed] | type[PayoutReturned], str]:
    """What becomes of a payment to this account, and why."""
    if account_no.endswith("0002"):
        return PayoutFailed, "户名与账号不符"
    if account_no.endswith("0003"):
        return PayoutReturned, "收款账户已销户,款项退回"
    return PayoutSettled, ""
