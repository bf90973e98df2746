"""TikTok Shop webhooks: HMAC in ``Authorization``, answered with an empty 200, kept for later mapping.

The signature covers no time, so an old message can be sent again; app and ``tts_notification_id`` make it the same.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import SecretStr

from office.base.settings import Settings
from office.record.inbox import Arrival, Receipt
from webhooks import bodies
from webhooks.bodies import name_of
from webhooks.problems import MEDIA_TYPE, Problem
from webhooks.senders import Answer
from webhooks.senders.platform import PROBLEM_REFERENCE

_NAME = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class TikTokShopSender:
    """``POST /webhooks/tiktok-shop``, for every app in the setting ``tiktok_apps``.

    Their numbers for topics are not published completely, so what comes is kept under its number:
    ``tiktok-shop.<type>``. Returns and after-sale topics wait there until somebody maps them.
    """

    name = "tiktok-shop"
    headers: tuple[str, ...] = ("authorization",)

    def __init__(self, settings: Settings) -> None:
        self._apps: Mapping[str, SecretStr] = settings.tiktok_apps

    def verify(self, headers: Mapping[str, str], raw: bytes) -> list[Arrival]:
        """The one notification in the body; raises :class:`Problem` 401 unless one of the apps signed it."""
        app_key = self._signed_by(headers.get("authorization", ""), raw)
        message = bodies.parse_object(bodies.text_of(raw))
        number, topic = name_of(message.get("tts_notification_id")), name_of(message.get("type"))
        if not _NAME.fullmatch(number) or not _NAME.fullmatch(topic):
            raise Problem(422, "wrong-fields", "A notification needs a tts_notification_id and a type.")
        shop_id = name_of(message.get("shop_id"))
        return [
            Arrival(
                source=self.name,
                message_id=f"{app_key}/{number}",
                earlier_id=number,
                type=f"{self.name}.{topic}",
                shop_id=shop_id if _NAME.fullmatch(shop_id) else None,
                body=raw,
            )
        ]

    def _signed_by(self, offered: str, raw: bytes) -> str:
        """Which app signed it: the header does not say, so every one is looked at."""
        given = offered.strip().encode("utf-8", "replace")
        fitting = [
            app_key
            for app_key, secret in self._apps.items()
            if hmac.compare_digest(signature(app_key, secret.get_secret_value(), raw).encode(), given)
        ]
        if not fitting:
            raise Problem(401, "bad-signature", "Authorization does not fit the body.")
        return fitting[0]

    def answer(self, stored: Sequence[tuple[Arrival, Receipt]]) -> Answer:
        return Answer(200, None)  # also on a conflict: the first stands, people are alerted

    def refuse(self, problem: Problem, instance: str) -> Answer:
        return Answer(problem.status, None, problem.headers)

    def openapi(self) -> dict[str, Any]:
        texts = {
            "200": "stored",
            "400": "not readable",
            "401": "the signature does not fit",
            "408": "the body came too slowly",
            "413": "body over the limit",
            "415": "not application/json",
            "422": "no notification",
            "429": "too many requests",
        }
        return {
            "parameters": [
                {
                    "name": "Authorization",
                    "in": "header",
                    "required": True,
                    "schema": {"type": "string"},
                    "description": "hex HMAC-SHA256 of app key and body under the app's secret",
                }
            ],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/TikTokShopNotification"}}},
            },
            "responses": {
                **{status: {"description": text} for status, text in texts.items()},
                "503": {
                    "description": "the database cannot be reached",
                    "content": {MEDIA_TYPE: {"schema": PROBLEM_REFERENCE}},
                },
            },
        }

    def schemas(self) -> dict[str, Any]:
        return {
            "TikTokShopNotification": {
                "type": "object",
                "required": ["type", "tts_notification_id"],
                "properties": {
                    "type": {"type": ["integer", "string"]},
                    "tts_notification_id": {"type": "string"},
                    "shop_id": {"type": "string"},
                    "timestamp": {"type": "integer"},
                    "data": {"type": "object"},
                },
            }
        }


def signature(app_key: str, secret: str, raw: bytes) -> str:
    """Lower-case hex ``HMAC-SHA256`` over the app key and the raw body."""
    return hmac.new(secret.encode(), app_key.encode() + raw, hashlib.sha256).hexdigest()
