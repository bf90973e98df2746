"""Douyin-shop message push (抖店消息推送): a JSON list of events, signed with ``event-sign`` under the app's secret.

Tags 212 to 218 (arbitration) become our own events, or are told to the supervisor when they lack what those need; every
other tag is acknowledged and kept as it came, and so is an entry that is no event, beside the good ones. The answer is
``{"code":0,"msg":"success"}`` once every row is stored. The push carries no deadline and no time of the ruling: what
counts is when it reached the door.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import SecretStr, ValidationError

from models.arbitration import Conclusion, Party, Stage, WithdrawalReason
from models.arbitration_events import (
    ArbitrationApplied,
    ArbitrationProgressed,
    ArbitrationWithdrawalRequested,
    RulingEffective,
)
from models.wire import Event
from office.base.settings import Settings
from office.record.inbox import ODD, Arrival, Receipt
from webhooks import bodies
from webhooks.bodies import name_of
from webhooks.problems import MEDIA_TYPE, Problem
from webhooks.senders import Answer
from webhooks.senders.platform import PROBLEM_REFERENCE

PROBE = "0"
SUCCESS = {"code": 0, "msg": "success"}
MOST_EVENTS = 200
"""Events in one body; far more than they have been seen to send."""
PROBE_BYTES = 4096
"""What comes unsigned is read up to here: a probe is a few words, and whoever sends it has proved nothing."""
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_NONE = frozenset({"", "0", "null", "NULL", "None", "nil", "undefined", "NaN"})
_STAGES = {
    "213": Stage.EVIDENCE_REQUESTED,
    "214": Stage.EVIDENCE_SUBMITTED,
    "217": Stage.SERVICE_INTERVENED,
    "218": Stage.DISCUSSING,
}


class DoudianSender:
    """``POST /webhooks/doudian``, for every app in the setting ``doudian_apps``."""

    name = "doudian"
    headers: tuple[str, ...] = ("app-id", "event-sign", "sign-method")

    def __init__(self, settings: Settings) -> None:
        self._apps: Mapping[str, SecretStr] = settings.doudian_apps

    def verify(self, headers: Mapping[str, str], raw: bytes) -> list[Arrival]:
        """Every event in the body but the probe, which is only answered.

        Raises :class:`Problem` 401 for a signature that does not fit. A probe (sent when the address is saved)
        may come unsigned; where it is signed, the signature has to fit as well.
        """
        app_key = headers.get("app-id", "")
        if headers.get("event-sign"):
            self._check(app_key, headers, raw)
        elif len(raw) > PROBE_BYTES or not is_probe(raw):
            raise Problem(401, "bad-signature", "Missing header: event-sign.")
        return [_arrival(app_key, item) for item in _items(raw) if _tag(item) != PROBE]

    def _check(self, app_key: str, headers: Mapping[str, str], raw: bytes) -> None:
        secret = self._apps.get(app_key)
        if secret is None:
            raise Problem(401, "bad-signature", "app-id names no app that is known here.")
        method = headers.get("sign-method", "md5")
        expected = event_sign(app_key, secret.get_secret_value(), raw, method)
        offered = headers["event-sign"].strip().lower()
        if not hmac.compare_digest(expected.encode(), offered.encode("utf-8", "replace")):
            raise Problem(401, "bad-signature", "event-sign does not fit the body.")

    def answer(self, stored: Sequence[tuple[Arrival, Receipt]]) -> Answer:
        # Also on a conflict: the first message stands, people are alerted, and their repeating it would not help.
        return Answer(200, SUCCESS)

    def refuse(self, problem: Problem, instance: str) -> Answer:
        return Answer(problem.status, {"code": 1, "msg": f"fail: {problem.slug}"}, problem.headers)

    def openapi(self) -> dict[str, Any]:
        success = {"type": "object", "properties": {"code": {"const": 0}, "msg": {"const": "success"}}}
        failure = {"type": "object", "properties": {"code": {"type": "integer"}, "msg": {"type": "string"}}}
        return {
            "parameters": [
                {"name": name, "in": "header", "required": False, "schema": {"type": "string"}} for name in self.headers
            ],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/DoudianPush"}}},
            },
            "responses": {
                "200": {"description": "stored", "content": {"application/json": {"schema": success}}},
                **{
                    status: {"description": text, "content": {"application/json": {"schema": failure}}}
                    for status, text in {
                        "400": "not readable",
                        "401": "the signature does not fit",
                        "408": "the body came too slowly",
                        "413": "body over the limit",
                        "415": "not application/json",
                        "422": "not a list of events",
                        "429": "too many requests",
                    }.items()
                },
                "503": {
                    "description": "the database cannot be reached",
                    "content": {MEDIA_TYPE: {"schema": PROBLEM_REFERENCE}},
                },
            },
        }

    def schemas(self) -> dict[str, Any]:
        event = {
            "type": "object",
            "required": ["tag"],
            "properties": {
                "tag": {"type": "string"},
                "msg_id": {"type": "string"},
                "data": {"type": ["string", "object"], "description": "JSON, usually as a string of its own"},
            },
        }
        return {"DoudianPush": {"type": "array", "items": event, "minItems": 1, "maxItems": MOST_EVENTS}}


def event_sign(app_key: str, secret: str, raw: bytes, method: str = "md5") -> str:
    """The signature of the raw bytes, in lower-case hex: ``md5`` as documented, or ``hmac-sha256``.

    The base string of the second is our reading; no page of theirs that we could see confirms it.
    """
    text = app_key.encode() + raw + secret.encode()
    match method.strip().lower():
        case "md5" | "":
            return hashlib.md5(text, usedforsecurity=False).hexdigest()
        case "hmac-sha256":
            return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
        case _:
            raise Problem(401, "bad-signature", "sign-method is neither md5 nor hmac-sha256.")


def is_probe(raw: bytes) -> bool:
    """Whether the body holds the probe and nothing else."""
    try:
        items = _items(raw)
    except Problem:
        return False
    return len(items) == 1 and _tag(items[0]) == PROBE


def _items(raw: bytes) -> list[Any]:
    items = _entries(raw)
    if not 1 <= len(items) <= MOST_EVENTS:
        raise Problem(422, "wrong-fields", f"The body must be a list of 1 to {MOST_EVENTS} events.")
    if not any(map(_is_event, items)):
        raise Problem(422, "wrong-fields", "Every event needs a tag and a msg_id of letters and digits.")
    return items


def _entries(raw: bytes) -> list[Any]:
    """The entries of the list. One that our strict reader refuses comes as the text it was, and spoils no other."""
    try:
        # The strict reader wants an object at the top, so the list is read inside one.
        return _as_list(bodies.parse_object(f'{{"items":{bodies.text_of(raw)}}}').get("items"))
    except Problem:
        pieces = bodies.pieces(raw.decode("utf-8", "surrogateescape").removeprefix("\ufeff"), MOST_EVENTS)
        if pieces is None:
            raise
    found: list[Any] = []
    for piece in pieces:
        try:
            found.append(bodies.parse_object(f'{{"item":{bodies.text_of(_bytes(piece))}}}')["item"])
        except Problem:
            found.append(_bytes(piece).decode("utf-8", "backslashreplace"))
    return found


def _bytes(piece: str) -> bytes:
    return piece.encode("utf-8", "surrogateescape")


def _as_list(items: Any) -> list[Any]:
    return items if isinstance(items, list) else []


def _is_event(item: Any) -> bool:
    return isinstance(item, dict) and bool(_NAME.fullmatch(_tag(item)) and _NAME.fullmatch(_msg_id(item)))


def _tag(item: Any) -> str:
    return name_of(item.get("tag")) if isinstance(item, dict) else ""


def _msg_id(item: dict[str, Any]) -> str:
    return name_of(item.get("msg_id") if item.get("msg_id") is not None else item.get("msgId"))


def _numbered(value: Any) -> str:
    """One of their numbers; empty for zero and for the words with which a program writes that there is none."""
    return "" if (found := name_of(value).strip()) in _NONE else found


def _data(item: dict[str, Any]) -> dict[str, Any]:
    """``data`` as an object, whether it came as one or as JSON in a string; empty if it is neither."""
    data = item.get("data")
    if isinstance(data, str):
        try:
            data = bodies.parse_object(data)
        except Problem:
            return {}
    return data if isinstance(data, dict) else {}


def _odd(app_key: str, item: Any) -> Arrival:
    """An entry that is no event, kept under what it says: sent again it is the same."""
    type_ = f"{DoudianSender.name}.{ODD}"
    body = json.dumps({"type": type_, "data": {}, "original": item}, ensure_ascii=False, sort_keys=True).encode()
    name = hashlib.sha256(body).hexdigest()[:32]
    return Arrival(source=DoudianSender.name, message_id=f"{app_key}/odd/{name}", type=type_, body=body)


def _arrival(app_key: str, item: Any) -> Arrival:
    """One event as a message of its own; its id is what they promise to repeat it under (app, tag, message id).

    What is stored follows from the event's content alone, so that the same event sent again is the same bytes.
    """
    if not _is_event(item):
        return _odd(app_key, item)
    tag, data = _tag(item), _data(item)
    event = mapped(tag, data)
    body = {
        "type": event.type if event else f"doudian.{tag}",
        "data": event.model_dump(mode="json", exclude_none=True) if event else data,
        "original": item,
    }
    shop_id = _numbered(data.get("shop_id"))
    return Arrival(
        source=DoudianSender.name,
        message_id=f"{app_key}/{tag}/{_msg_id(item)}",
        type=body["type"],
        shop_id=shop_id if _NAME.fullmatch(shop_id) else None,
        body=json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode(),
    )


def mapped(tag: str, data: dict[str, Any]) -> Event | None:
    """The arbitration event that a tag means, or ``None`` for one that is only kept.

    Data that does not have what the event needs is kept too: it is theirs to mend, and nothing is lost.
    """
    about = {
        "shop_id": _numbered(data.get("shop_id")),
        "arbitration_id": _numbered(data.get("arbitrate_id")),
        "order_id": _numbered(data.get("p_id")) or None,
        "aftersale_id": _numbered(data.get("aftersale_id")) or None,
    }
    try:
        match tag:
            case "212":
                return ArbitrationApplied.model_validate(about)
            case "213" | "214" | "217" | "218":
                return ArbitrationProgressed.model_validate(about | {"stage": _STAGES[tag]})
            case "215":
                # The buyer has cancelled it themselves, which is their consent; merchant service still checks.
                record = f"抖店推送：买家取消仲裁（售后单 {about['aftersale_id'] or '未提供'}）"
                return ArbitrationWithdrawalRequested.model_validate(
                    about | {"reason": WithdrawalReason.BUYER_GIVES_UP, "requested_by": Party.BUYER, "note": record}
                )
            case "216":
                code = data.get("arbitrate_conclusion")
                decided = f"抖音客服仲裁已出结果(结论代码 {code if isinstance(code, int) else '未提供'}),详情见抖店后台售后单。"
                return RulingEffective.model_validate(
                    about
                    | {
                        "ruling_id": f"doudian:{about['arbitration_id']}",
                        "conclusion": Conclusion.UNSTATED,
                        "decided": decided,
                    }
                )
            case _:
                return None
    except ValidationError:
        return None
