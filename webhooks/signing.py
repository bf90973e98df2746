"""Signing: Standard Webhooks, checked on what comes in and put on what our sandboxes send.

The HMAC is the ``standardwebhooks`` library's. Headers are read here: the library's own ``verify`` has a
fixed tolerance, reads fractions of a second as timestamps, and stumbles over a malformed signature.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook

from office.base.secret_forms import webhook_key
from webhooks.problems import Problem

HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
MAX_SIGNATURES = 10
_ID = re.compile(r"[A-Za-z0-9._:/-]+")
MAX_ID = 128
"""Characters in the id of a message sent to us: keys of ours that contain it have at most 200."""
MAX_OWN_ID = 200
"""Characters in the id of a message that we send."""
_TIMESTAMP = re.compile(r"[0-9]{1,11}")


def webhook_of(secret: SecretStr, what: str) -> Webhook:
    """The library's signer for a ``whsec_…`` secret; raises :class:`SettingsError` naming the setting."""
    return Webhook(webhook_key(secret, what))


class Verifier:
    """Checks signatures under any of several secrets, so that secrets can be rotated."""

    def __init__(self, webhooks: Sequence[Webhook], tolerance_seconds: int, max_id: int = MAX_ID) -> None:
        self.webhooks = tuple(webhooks)
        self.tolerance = tolerance_seconds
        self.max_id = max_id

    def check(self, headers: Mapping[str, str], body: str, now: float) -> str:
        """The message id of a body that a secret signed within the tolerance of ``now`` (Unix seconds).

        Raises :class:`Problem` with status 401 otherwise. Every secret is tried against every signature,
        whatever fits first, and compared in constant time.
        """
        missing = [name for name in HEADERS if not headers.get(name)]
        if missing:
            raise _bad(f"Missing header: {', '.join(missing)}.")
        message_id, timestamp, signatures = (headers[name] for name in HEADERS)
        if len(message_id) > self.max_id or not _ID.fullmatch(message_id):
            raise _bad(f"webhook-id must be 1 to {self.max_id} letters, digits or any of ._:/- .")
        if not _TIMESTAMP.fullmatch(timestamp):
            raise _bad("webhook-timestamp must be whole Unix seconds.")
        at = int(timestamp)
        if at < now - self.tolerance:
            raise _bad(f"webhook-timestamp is more than {self.tolerance} seconds old. Sign the message again.")
        if at > now + self.tolerance:
            raise _bad(f"webhook-timestamp is more than {self.tolerance} seconds ahead. Check the sender's clock.")
        offered = [part.encode("utf-8", "replace") for part in signatures.split(" ") if part]
        if len(offered) > MAX_SIGNATURES:
            raise _bad(f"webhook-signature holds more than {MAX_SIGNATURES} signatures.")
        moment = datetime.fromtimestamp(at, UTC)
        matched = False
        for webhook in self.webhooks:
            expected = webhook.sign(message_id, moment, body).encode()
            for signature in offered:
                matched |= hmac.compare_digest(expected, signature)
        if not matched:
            raise _bad("No signature in webhook-signature fits the body.")
        return message_id


def _bad(detail: str) -> Problem:
    return Problem(401, "bad-signature", detail)


def signed_headers(webhook: Webhook, message_id: str, body: str, at: datetime) -> dict[str, str]:
    """The headers with which a body is posted; ``at`` is the moment of sending."""
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": webhook.sign(message_id, at.astimezone(UTC), body),
    }
