"""The sandbox platform: receives our events in a demonstration and writes them to a file one can look at.

Asked for facts it answers as a real platform would, through the door: with those it reported last, as of now.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from models.event_parts import FactsData
from models.shop_events import FactsRequested, ShopSnapshotTaken
from models.wire import Envelope
from office.base.db import reading
from office.base.settings import Settings
from office.base.vault import mask
from tasks.shops.shops import facts_of
from webhooks import bodies, signing
from webhooks.requests import check_headers, read_body
from webhooks.sandbox_post import SandboxPost

logger = logging.getLogger("dianwu.sandbox.platform")

PATH = "/sandbox/platform"
FILE = "platform-events.jsonl"
_SECRET = frozenset({"account_no", "payer_account", "contacts"})
_NOBODYS = frozenset({"code", "ticket", "link", "qr_svg"})
"""What opens something: not even its end is shown."""


def of(settings: Settings, now: Callable[[], float]) -> SandboxPlatform | None:
    """The platform of a demonstration; ``None`` in production or without a secret of its own."""
    if settings.production:
        return None
    if "platform" not in settings.subscriber_secrets:
        logger.warning("no sandbox platform: subscriber_secrets has no secret called platform")
        return None
    return SandboxPlatform(settings, now)


class SandboxPlatform:
    """Appends each event, as it came and however often, to ``platform-events.jsonl`` in the home folder."""

    def __init__(self, settings: Settings, now: Callable[[], float]) -> None:
        ours = signing.webhook_of(settings.subscriber_secrets["platform"], "subscriber_secrets.platform")
        self._verifier = signing.Verifier([ours], settings.webhook_tolerance_seconds, signing.MAX_OWN_ID)
        self.post = SandboxPost(settings, now, "sandbox-platform", "platform_secrets")
        self._answers = settings.sandbox_facts
        self._file = settings.home / FILE
        self._now = now
        self._writing = threading.Lock()

    def router(self, max_body_bytes: int) -> APIRouter:
        router = APIRouter(include_in_schema=False)

        @router.post(PATH)
        async def receive(request: Request) -> dict[str, str]:
            check_headers(request, signing.HEADERS)
            raw = await read_body(request, max_body_bytes)
            return await run_in_threadpool(self._take, dict(request.headers), raw)

        return router

    def _take(self, headers: dict[str, str], raw: bytes) -> dict[str, str]:
        text = bodies.text_of(raw)
        message_id = self._verifier.check(headers, text, self._now())
        message = bodies.parse_object(text)
        line = json.dumps({"message_id": message_id, **masked(message)}, ensure_ascii=False)
        with self._writing:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        if self._answers and message.get("type") == FactsRequested.type:
            self._report(Envelope.model_validate(message), message_id)
        return {"status": "accepted"}

    def _report(self, asked: Envelope, message_id: str) -> None:
        """Nothing open where nothing was ever reported. As of when it was asked, so that a repeat is the same message."""
        shop_id = FactsRequested.model_validate(asked.data).shop_id
        with reading() as tx:
            known, _ = facts_of(tx, shop_id)
        facts = FactsData.model_validate(known.model_dump(mode="json") if known else {})
        report = ShopSnapshotTaken(shop_id=shop_id, as_of=asked.timestamp, facts=facts)
        self.post.send(self.post.keep(message_id, f"sandbox-{message_id}", report.envelope(asked.timestamp)))


def masked(value: Any) -> Any:
    """The same JSON with account numbers, contacts, codes and links hidden, wherever they sit."""
    match value:
        case dict():
            return {
                name: "****"
                if name in _NOBODYS
                else (mask(item) if isinstance(item, str) else "****")
                if name in _SECRET
                else masked(item)
                for name, item in value.items()
            }
        case list():
            return [masked(item) for item in value]
        case _:
            return value
