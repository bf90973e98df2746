"""Douyin's open interface, as far as we call it: a shop's evidence handed on to ``/afterSale/submitEvidence``.

A signed call (HMAC-SHA256 over the sorted request), at most four images, each by a link of ours that expires. It
leaves through the outbox: kept with the case, retried with growing pauses, given up aloud. An error that retrying
cannot mend is told to merchant service at once.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from models.arbitration import EvidenceItem, Ruling
from models.base import Frozen
from models.cases import Case
from models.messages import Channel
from models.reviews import Role
from notifications.appeal import EvidenceNotPassedOn
from policies.policy import policy_at
from tasks import audit, clock, evidence, outbox, reviews
from tasks.db import Tx, in_transaction
from tasks.outbox import Item, Skip, Undeliverable
from tasks.settings import settings

AUDIENCE = "doudian"
TOPIC = "afterSale.submitEvidence"
SOURCE = "doudian/"
"""Rulings that came by Douyin's push say so, and through which of our apps."""
API = "https://openapi-fxg.jinritemai.com"
OK = 10000
MOST_IMAGES = 4
COMMENT_LIMIT = 500
TIMEOUT = 12
_EXPIRED_TOKEN = ("isv.access-token-expired", "isv.access-token-no-existed")


class DoudianError(Exception):
    """Their answer to a call: ``sub_code`` says what was wrong, ``again`` whether trying again can help."""

    def __init__(self, code: int, sub_code: str, log_id: str) -> None:
        super().__init__(f"{code} {sub_code} (log {log_id})")
        self.code, self.sub_code = code, sub_code

    @property
    def again(self) -> bool:
        """Their side's trouble (``isp.…``), too many calls, and a token that has run out pass; the rest stays wrong."""
        passing = ("isp.", "dop.", "isv.access-token", "isv.request-limit")
        return self.sub_code.startswith(passing) or (not self.sub_code and self.code >= 20000)


class TooManyImages(ValueError):
    """More images than their interface takes."""


class PassedOn(Frozen):
    """What is to be handed on; links are made when it leaves, so that they are fresh."""

    app_key: str
    shop_id: str
    aftersale_id: int
    comment: str
    evidence_ids: tuple[str, ...]


def pass_on(tx: Tx, case: Case, ruling: Ruling, round: int, items: list[EvidenceItem], comment: str) -> None:
    """Hand the round's images on, if the ruling came from Douyin: at most as many as policy and interface allow."""
    if not ruling.source.startswith(SOURCE) or not ruling.aftersale_id.isdecimal():
        return
    most = policy_at(case.received_at).appeal.evidence.forwarded_images
    images = [item.id for item in items if item.media_type.is_image][:most]
    if not images:
        return
    load = PassedOn(
        app_key=ruling.source.removeprefix(SOURCE), shop_id=ruling.shop_id, aftersale_id=int(ruling.aftersale_id),
        comment=comment[:COMMENT_LIMIT], evidence_ids=tuple(images),
    )  # fmt: skip
    written = outbox.put(
        tx, f"doudian:{case.id}/evidence/{round}", Channel.EVENT, TOPIC, load.model_dump(mode="json"), case=case,
        audience=AUDIENCE,
    )  # fmt: skip
    if written:
        audit.record(
            tx, case.id, "doudian.evidence", clause="ARB-5", text=f"转交抖音凭证 {len(images)} 项", evidence=images
        )


def deliver(item: Item) -> str:
    """Deliver one hand-over from the outbox."""
    load = PassedOn.model_validate(item.payload)
    secret = settings().doudian_apps.get(load.app_key)
    if secret is None:
        raise Skip(f"no secret for app {load.app_key}")
    if settings().production and not settings().public.startswith("https://"):
        raise Undeliverable("public_url is not https: their side could not open the images")
    until = in_transaction(lambda tx: tx.now + timedelta(days=policy_at(tx.now).appeal.evidence.link_days))
    images = [evidence.link(evidence_id, until) for evidence_id in load.evidence_ids]
    client = _client(load.app_key, secret.get_secret_value())
    try:
        return f"log {client.submit_evidence(load.shop_id, load.aftersale_id, load.comment, images)}"
    except DoudianError as error:
        if error.again:
            raise Undeliverable(str(error)) from error
        why = str(error)
        in_transaction(lambda tx: _tell(tx, item, load, why))
        raise Skip(f"refused: {why}") from error
    except httpx.HTTPError as error:
        raise Undeliverable(type(error).__name__) from error


def _tell(tx: Tx, item: Item, load: PassedOn, error: str) -> None:
    case_id = item.case_id or ""
    message = EvidenceNotPassedOn(case_id=case_id, aftersale_id=str(load.aftersale_id), error=error)
    reviews.notify_staff(tx, Role.MERCHANT_SERVICE, message, f"{item.key}/refused", tx.get(Case, case_id))
    audit.record(tx, case_id, "doudian.refused", clause="ARB-5", text="抖音拒绝接收凭证,已转人工", error=error)


# ── the call itself ──────────────────────────────────────────────────────────


def packed(value: dict[str, Any]) -> str:
    """A parameter object as it is signed and sent: keys sorted at every level, compact, nothing escaped for HTML."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def sign(app_key: str, secret: str, method: str, param_json: str, timestamp: str, version: str = "2") -> str:
    """``HMAC-SHA256`` in hex over the request's parts in order, framed by the secret."""
    parts = f"app_key{app_key}method{method}param_json{param_json}timestamp{timestamp}v{version}"
    return hmac.new(secret.encode(), f"{secret}{parts}{secret}".encode(), hashlib.sha256).hexdigest()


@dataclass
class Client:
    """One app's calls. Access tokens are asked for per shop and kept until shortly before they end."""

    app_key: str
    secret: str
    base: str = API
    _tokens: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self, path: str, params: dict[str, Any], access_token: str = "") -> tuple[dict[str, Any], str]:
        """POST to ``path``; returns ``data`` and the log id. Raises DoudianError, or httpx errors for the network."""
        method, body = path.strip("/").replace("/", "."), packed(params)
        now = str(int(clock.clock().real().timestamp()))
        query = {
            "app_key": self.app_key, "method": method, "timestamp": now, "v": "2", "sign_method": "hmac-sha256",
            "sign": sign(self.app_key, self.secret, method, body, now),
        } | ({"access_token": access_token} if access_token else {})  # fmt: skip
        with httpx.Client(trust_env=False, timeout=TIMEOUT, follow_redirects=False) as client:
            answer = client.post(
                f"{self.base}/{path.strip('/')}", params=query, content=body.encode(),
                headers={"content-type": "application/json;charset=utf-8"},
            )  # fmt: skip
        answer.raise_for_status()
        try:
            told = answer.json()
            code = int(told["code"])
        except (ValueError, KeyError, TypeError) as error:
            raise httpx.DecodingError("their answer is no JSON object with a code") from error
        if code != OK:
            raise DoudianError(code, str(told.get("sub_code", "")), str(told.get("log_id", "")))
        return told.get("data") or {}, str(told.get("log_id", ""))

    def token(self, shop_id: str) -> str:
        """An access token for a shop that has authorised the app."""
        with self._lock:
            now = clock.clock().real()
            held = self._tokens.get(shop_id)
            if held is None or held[1] <= now:
                data, _ = self.call(
                    "token/create", {"code": "", "grant_type": "authorization_self", "shop_id": shop_id}
                )
                life = timedelta(seconds=max(60, int(data.get("expires_in", 0)) - 600))
                held = self._tokens[shop_id] = (str(data["access_token"]), now + life)
            return held[0]

    def submit_evidence(self, shop_id: str, aftersale_id: int, comment: str, images: list[str]) -> str:
        """Hand images over by address; returns their log id. Raises :class:`TooManyImages` beyond four."""
        if not 1 <= len(images) <= MOST_IMAGES:
            raise TooManyImages(f"{len(images)} images; the interface takes 1 to {MOST_IMAGES}")
        params = {"aftersale_id": aftersale_id, "comment": comment, "evidence": images}
        try:
            return self.call("afterSale/submitEvidence", params, self.token(shop_id))[1]
        except DoudianError as error:
            if error.sub_code in _EXPIRED_TOKEN:
                with self._lock:
                    self._tokens.pop(shop_id, None)  # the next attempt asks for a new one
            raise


_clients: dict[tuple[str, str], Client] = {}


def _client(app_key: str, secret: str) -> Client:
    base = _base[0] if _base else API
    key = (app_key, base)
    if key not in _clients or _clients[key].secret != secret:
        _clients[key] = Client(app_key, secret, base)
    return _clients[key]


_base: list[str] = []


def use_api(base: str | None) -> None:
    """Choose their address in this process (the sandbox, a test's own server); ``None`` goes back to the real one."""
    _base[:] = [base] if base else []
    _clients.clear()
