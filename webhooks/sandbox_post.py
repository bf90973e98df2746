"""How a sandbox answers: signed as the platform or the bank, through the door, with patience, from files that outlive a restart."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx
from pydantic import SecretStr

from office.base.settings import Settings
from webhooks import signing

logger = logging.getLogger("dianwu.sandbox.post")

PAUSES = [0.1, 0.3, 1, 3, 10, 30]
"""Seconds between attempts to deliver an answer; after the last one it waits on disk for the next start."""


class SandboxPost:
    """What one sandbox has to say. ``name`` is that of its folder in the home folder; ``secrets`` are whose it speaks as."""

    def __init__(
        self,
        settings: Settings,
        now: Callable[[], float],
        name: str,
        secrets: Literal["platform_secrets", "bank_secrets"],
    ) -> None:
        own: list[SecretStr] = getattr(settings, secrets) or settings.platform_secrets
        self._signer = signing.webhook_of(own[0], secrets)
        self._door = f"{settings.door_url}/webhooks/platform"
        self._folder = settings.home / name
        self._now, self._name = now, name
        self._closing = threading.Event()
        self._posting = ThreadPoolExecutor(max_workers=2, thread_name_prefix=name)

    def keep(self, number: str, message_id: str, body: dict[str, Any]) -> Path:
        """Write an answer down, before anything is promised. The same ``number`` is the same answer."""
        content = {"message_id": message_id, "body": json.dumps(body, ensure_ascii=False)}
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{hashlib.sha256(number.encode()).hexdigest()[:32]}.json"
        draft = path.with_suffix(f".{threading.get_ident()}")
        draft.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        draft.replace(path)
        return path

    def send(self, path: Path) -> None:
        """Deliver what was written down."""

        def look(done: Future[None]) -> None:
            if not done.cancelled() and (fault := done.exception()):
                logger.error("%s could not answer", self._name, exc_info=fault)

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
            logger.info("the door does not answer %s yet: %s", self._name, type(error).__name__)
            return False
        if answer.status_code == 409:
            logger.error("the door already has another message with id %s", message_id)
            return True
        return answer.is_success

    def resume(self) -> None:
        """Deliver what a previous process left behind."""
        if self._folder.is_dir():
            for path in sorted(self._folder.glob("*.json")):
                self.send(path)

    def close(self) -> None:
        """Stop; what is not delivered stays on disk."""
        self._closing.set()
        self._posting.shutdown(wait=True, cancel_futures=True)
