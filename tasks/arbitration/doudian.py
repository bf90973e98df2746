"""Douyin's open interface, as far as we call it: evidence goes to ``/afterSale/submitEvidence``, the words of a ruling
come from ``/afterSale/Detail``.

Signed calls (HMAC-SHA256 over the sorted request). They leave through the outbox: retried with growing pauses, given
up aloud. Evidence is at most four images, each by a link of ours that expires; an error that retrying cannot mend is
told to merchant service at once. A pushed ruling has only a code, so it waits for its detail, which comes back through
the inbox as a message of its own; when Douyin cannot or will not say, it is recorded as it was pushed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import select

from models.arbitration import Conclusion, Ruling
from models.arbitration_events import RulingEffective
from models.base import Frozen
from models.cases import Case
from models.evidence import EvidenceItem
from models.messages import Channel, InboxMessage, OutboxMessage, OutboxState
from models.reviews import Role
from models.text import shortened, without_odd
from models.wire import Moment
from notifications.appeal import EvidenceNotPassedOn
from office.base import clock
from office.base.db import Tx, in_transaction
from office.base.settings import settings
from office.cases import reviews
from office.files import evidence
from office.record import audit, inbox, outbox
from office.record.inbox import Arrival
from office.record.sending import Item, Skip, Undeliverable
from policies.policy import policy_at

AUDIENCE = "doudian"
TOPIC = "afterSale.submitEvidence"
DETAIL = "afterSale.Detail"
SOURCE = "doudian/"
"""Rulings that came by Douyin's push say so, and through which of our apps."""
OK = 10000
MOST_IMAGES = 4
COMMENT_LIMIT = 500
ACCOUNT_LIMIT = 4000
"""How much of their words is kept: as much as an event may hold. What is left off is counted in it."""
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
    if not settings().doudian_api or not ruling.source.startswith(SOURCE) or not ruling.aftersale_id.isdecimal():
        return
    most = policy_at(case.received_at).appeal.evidence.forwarded_images
    every = [item.id for item in items if item.media_type.is_image]
    images = every[:most]
    if not images:
        return
    said = shortened(comment, COMMENT_LIMIT)
    load = PassedOn(
        app_key=ruling.source.removeprefix(SOURCE),
        shop_id=ruling.shop_id,
        aftersale_id=int(ruling.aftersale_id),
        comment=said,
        evidence_ids=tuple(images),
    )
    written = outbox.put(
        tx,
        f"doudian:{case.id}/evidence/{round}",
        Channel.EVENT,
        TOPIC,
        load.model_dump(mode="json"),
        case=case,
        audience=AUDIENCE,
    )
    if written:
        left = [*every[most:], *(item.id for item in items if not item.media_type.is_image)]
        text = f"转交抖音凭证 {len(images)} 项" + (
            f",另有 {len(left)} 项未转交(只收图片,最多 {most} 项)" if left else ""
        )
        text += f",陈述过长,只转交前 {COMMENT_LIMIT} 字" if said != comment else ""
        audit.record(tx, case.id, "doudian.evidence", clause="ARB-5", text=text, evidence=images, left_out=left)


def deliver(item: Item, on_conflict: Callable[[Tx, InboxMessage], None]) -> str:
    """Make one call from the outbox."""
    if item.topic == DETAIL:
        return _fetch_detail(item, on_conflict)
    load = PassedOn.model_validate(item.payload)
    client = _client(load.app_key)
    if settings().production and not settings().public.startswith("https://"):
        raise Undeliverable("public_url is not https: their side could not open the images")
    until = in_transaction(lambda tx: tx.now + timedelta(days=policy_at(tx.now).appeal.evidence.link_days))
    images = [evidence.link(evidence_id, until) for evidence_id in load.evidence_ids]
    with _their_trouble(lambda why: in_transaction(lambda tx: _tell(tx, item, load, why))):
        return f"log {client.submit_evidence(load.shop_id, load.aftersale_id, load.comment, images)}"


@contextmanager
def _their_trouble(refused: Callable[[str], object] = lambda why: None) -> Iterator[None]:
    """What goes wrong in a call: tried again where that can help, otherwise ``refused`` is told why and it is over."""
    import httpx  # whoever calls nobody does not wait for it

    try:
        yield
    except DoudianError as error:
        if error.again:
            raise Undeliverable(str(error)) from error
        refused(str(error))
        raise Skip(f"refused: {error}") from error
    except httpx.HTTPError as error:
        raise Undeliverable(type(error).__name__) from error


def _tell(tx: Tx, item: Item, load: PassedOn, error: str) -> None:
    case_id = item.case_id or ""
    message = EvidenceNotPassedOn(case_id=case_id, aftersale_id=str(load.aftersale_id), error=error)
    reviews.notify_staff(tx, Role.MERCHANT_SERVICE, message, f"{item.key}/refused", tx.get(Case, case_id))
    audit.record(tx, case_id, "doudian.refused", clause="ARB-5", text="抖音拒绝接收凭证,已转人工", error=error)


# ── the words of a ruling ────────────────────────────────────────────────────


class Asked(Frozen):
    """A pushed ruling whose words are to be fetched."""

    app_key: str
    number: str
    """Their number of the push."""
    received_at: Moment
    event: RulingEffective

    def arrival(self, event: RulingEffective) -> Arrival:
        """The ruling as a message of its own. What is stored follows from the event alone."""
        body = {"type": event.type, "data": event.model_dump(mode="json", exclude_none=True)}
        return Arrival(
            source=AUDIENCE,
            message_id=f"{self.app_key}/{DETAIL}/{self.number}",
            type=event.type,
            shop_id=event.shop_id,
            body=packed(body).encode(),
        )


def ask(tx: Tx, event: RulingEffective, message: InboxMessage) -> bool:
    """Have the words of a pushed ruling fetched; ``False`` when there is nobody to ask, or they are here already."""
    app_key, tag, *rest = f"{message.message_id}/".split("/")
    if message.source != AUDIENCE or tag == DETAIL or not settings().doudian_api:
        return False
    if app_key not in settings().doudian_apps or not (event.aftersale_id or "").isdecimal():
        return False
    load = Asked(app_key=app_key, number=rest[0], received_at=message.received_at, event=event)
    outbox.put(
        tx,
        f"doudian:{message.message_id}/detail",
        Channel.EVENT,
        DETAIL,
        load.model_dump(mode="json"),
        shop_id=event.shop_id,
        audience=AUDIENCE,
    )
    return True


def asking(tx: Tx, shop_id: str | None) -> bool:
    """Whether the words of one of the shop's rulings are still being fetched."""
    row = OutboxMessage
    query = select(row.key).where(
        row.audience == AUDIENCE, row.topic == DETAIL, row.shop_id == shop_id, row.state == OutboxState.NEW
    )
    return tx.exec(query.limit(1)).first() is not None


def _fetch_detail(item: Item, on_conflict: Callable[[Tx, InboxMessage], None]) -> str:
    asked = Asked.model_validate(item.payload)
    try:
        with _their_trouble():
            client = _client(asked.app_key)
            detail, log = client.aftersale_detail(asked.event.shop_id, int(asked.event.aftersale_id or 0))
    except Exception as trouble:
        if isinstance(trouble, Skip) or item.last:  # they say no more: as it was pushed it can be appealed against
            _come_back(asked, asked.event, on_conflict)
        raise
    _come_back(asked, detailed(asked.event, detail), on_conflict)
    return f"log {log}"


def _come_back(asked: Asked, event: RulingEffective, on_conflict: Callable[[Tx, InboxMessage], None]) -> None:
    """Into the inbox, as received when the push was: the merchant's seven days run from there (ARB-2)."""
    dated = event.model_copy(update={"effective_at": event.effective_at or asked.received_at})
    waited = in_transaction(lambda tx: tx.now) - asked.received_at
    inbox.receive(asked.arrival(dated), on_conflict, clock.clock().ticks() - waited.total_seconds())


_BLAME = {
    1: Conclusion.MERCHANT_LIABLE,
    2: Conclusion.NOT_MERCHANT,
    3: Conclusion.SHARED,
    4: Conclusion.NOT_MERCHANT,
    5: Conclusion.NOT_MERCHANT,
}
"""``arbitrate_blame``: 1 merchant, 2 buyer, 3 both, 4 platform, 5 influencer. What ``arbitrate_conclusion`` means is
not published, so nothing is read from it."""


def detailed(event: RulingEffective, detail: dict[str, Any]) -> RulingEffective:
    """The ruling with what ``/afterSale/Detail`` says about it; as it was where it says nothing of this arbitration."""
    process = _part(detail, "process_info")
    found, aftersale = _part(process, "arbitrate_info"), _part(process, "after_sale_info")
    if str(found.get("arbitrate_id", "")) != event.arbitration_id:
        return event
    blame = found.get("arbitrate_blame")
    told = [_text(aftersale.get("reason")), _text(aftersale.get("reason_remark"))]
    return event.model_copy(
        update={
            "conclusion": _BLAME.get(blame, event.conclusion) if isinstance(blame, int) else event.conclusion,
            "decided": _text(found.get("arbitrate_opinion")) or event.decided,
            "buyer_account": shortened(":".join(filter(None, told)), ACCOUNT_LIMIT),
            "merchant_account": _text(_part(found, "arbitrate_evidence").get("describe")),
        }
    )


def _part(whole: dict[str, Any], name: str) -> dict[str, Any]:
    found = whole.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    return shortened(without_odd(value).strip(), ACCOUNT_LIMIT)


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
    base: str
    _tokens: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self, path: str, params: dict[str, Any], access_token: str = "") -> tuple[dict[str, Any], str]:
        """POST to ``path``; returns ``data`` and the log id. Raises DoudianError, or httpx errors for the network."""
        import httpx

        method, body = path.strip("/").replace("/", "."), packed(params)
        now = str(int(clock.clock().real().timestamp()))
        query = {
            "app_key": self.app_key,
            "method": method,
            "timestamp": now,
            "v": "2",
            "sign_method": "hmac-sha256",
            "sign": sign(self.app_key, self.secret, method, body, now),
        } | ({"access_token": access_token} if access_token else {})
        with httpx.Client(trust_env=False, timeout=TIMEOUT, follow_redirects=False) as client:
            answer = client.post(
                f"{self.base}/{path.strip('/')}",
                params=query,
                content=body.encode(),
                headers={"content-type": "application/json;charset=utf-8"},
            )
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
        return self._for_shop(
            "afterSale/submitEvidence", {"aftersale_id": aftersale_id, "comment": comment, "evidence": images}, shop_id
        )[1]

    def aftersale_detail(self, shop_id: str, aftersale_id: int) -> tuple[dict[str, Any], str]:
        """What they say about an after-sale and its arbitration, and their log id."""
        return self._for_shop("afterSale/Detail", {"after_sale_id": str(aftersale_id)}, shop_id)

    def _for_shop(self, path: str, params: dict[str, Any], shop_id: str) -> tuple[dict[str, Any], str]:
        try:
            return self.call(path, params, self.token(shop_id))
        except DoudianError as error:
            if error.sub_code in _EXPIRED_TOKEN:
                with self._lock:
                    self._tokens.pop(shop_id, None)  # the next attempt asks for a new one
            raise


_clients: dict[tuple[str, str, str], Client] = {}


def _client(app_key: str) -> Client:
    """The app's client, with its tokens. Raises :class:`Skip` where there is no secret or no address any more."""
    secret, base = settings().doudian_apps.get(app_key), settings().doudian_api.rstrip("/")
    if secret is None or not base:
        raise Skip(f"no secret for app {app_key}, or no address to call")
    key = (app_key, secret.get_secret_value(), base)
    return _clients.setdefault(key, Client(*key))
