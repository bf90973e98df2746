"""The platform's own events: signed per Standard Webhooks, typed, refused with the field that is wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic.json_schema import models_json_schema

from models.wire import INBOUND, Envelope, Event
from office.base.settings import Settings, SettingsError
from office.record.inbox import Arrival, Receipt
from webhooks import bodies, signing
from webhooks.problems import MEDIA_TYPE, FieldError, Problem, ProblemBody, field_errors
from webhooks.senders import Answer

REFUSED = (
    "This message came before and was refused (message.refused says why). It is not looked at again: send the corrected "
    "content under a new webhook-id."
)
REFERENCE = "#/components/schemas/{model}"
PROBLEM_REFERENCE = {"$ref": "#/components/schemas/ProblemBody"}


class PlatformSender:
    """``POST /webhooks/platform``.

    ``now`` is the machine's clock (Unix seconds): the age of a signature is real time, also where a
    demonstration's clock is ahead.
    """

    name = "platform"
    headers: tuple[str, ...] = signing.HEADERS

    def __init__(self, settings: Settings, now: Callable[[], float] = time.time) -> None:
        if not settings.platform_secrets:
            raise SettingsError("no platform secret: set DIANWU_PLATFORM_SECRETS, or nobody can send events")
        if settings.production and not settings.bank_secrets:
            raise SettingsError(
                "no bank secret: set DIANWU_BANK_SECRETS, or the platform could answer in the bank's name"
            )
        if {key.get_secret_value() for key in settings.bank_secrets} & {
            key.get_secret_value() for key in settings.platform_secrets
        }:
            raise SettingsError("bank_secrets and platform_secrets share a secret: give the bank one of its own")
        self.verifiers = {
            name: signing.Verifier(
                [signing.webhook_of(key, f"{name}_secrets") for key in keys], settings.webhook_tolerance_seconds
            )
            for name, keys in (("platform", settings.platform_secrets), ("bank", settings.bank_secrets))
            if keys
        }
        self.now = now

    def verify(self, headers: Mapping[str, str], raw: bytes) -> list[Arrival]:
        """The one event in the body."""
        text = bodies.text_of(raw)
        signer, message_id = self._signed_by(headers, text)
        event = read(bodies.parse_object(text))
        if "bank" in self.verifiers and event.sender != signer:
            raise Problem(403, "wrong-sender", f"{event.type} is taken under the secret of the {event.sender} only.")
        return [
            Arrival(
                source=signer,
                message_id=message_id,
                type=event.type,
                body=raw,
                shop_id=getattr(event, "shop_id", None),
                case_id=getattr(event, "case_id", None),
            )
        ]

    def _signed_by(self, headers: Mapping[str, str], text: str) -> tuple[str, str]:
        """Whose secret signed the body, and the message's id; every sender's is tried before it is refused."""
        found: dict[str, str] = {}
        refused: Problem | None = None
        for name, verifier in self.verifiers.items():
            try:
                found[name] = verifier.check(headers, text, self.now())
            except Problem as problem:
                refused = refused or problem
        for signer, message_id in found.items():
            return signer, message_id
        raise refused or AssertionError("no sender has a secret")

    def answer(self, stored: Sequence[tuple[Arrival, Receipt]]) -> Answer:
        for arrival, receipt in stored:
            if receipt is Receipt.CONFLICT:
                problem = Problem(
                    409,
                    "conflict",
                    "A message with this webhook-id came before with another content. The first one stands, also when "
                    "it was refused; send the new content under an id of its own.",
                )
                return self.refuse(problem, f"/webhooks/{self.name}")
            about = {"message_id": arrival.message_id, "type": arrival.type}
            if receipt is Receipt.REFUSED:
                return Answer(202, {"status": "refused", **about, "detail": REFUSED})
            return Answer(202, {"status": "accepted", **about})
        raise ValueError("an answer about no message")

    def refuse(self, problem: Problem, instance: str) -> Answer:
        response = problem.response(instance)
        return Answer(problem.status, json.loads(bytes(response.body)), problem.headers, MEDIA_TYPE)

    def openapi(self) -> dict[str, Any]:
        return {
            "parameters": [
                _header("webhook-id", "the message's id, the same on every attempt", r"^[A-Za-z0-9._:/-]{1,128}$"),
                _header("webhook-timestamp", "Unix seconds of this attempt", r"^[0-9]{1,11}$"),
                _header("webhook-signature", "`v1,<base64 HMAC-SHA256>`, several parted by spaces", None),
            ],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {
                            "oneOf": [{"$ref": f"#/components/schemas/{envelope_name(t)}"} for t in INBOUND],
                            "discriminator": {
                                "propertyName": "type",
                                "mapping": {t: f"#/components/schemas/{envelope_name(t)}" for t in INBOUND},
                            },
                        },
                        "examples": {t: {"value": example(model)} for t, model in INBOUND.items()},
                    }
                },
            },
            "responses": {
                "202": {
                    "description": "stored; the same answer for the same message sent again (whatever the order of its "
                    "fields and its `timestamp`). `refused`: it came before and was refused, and needs a new webhook-id "
                    "once it is corrected",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Accepted"}}},
                },
                **{status: _problem(text) for status, text in _REFUSALS.items()},
            },
        }

    def schemas(self) -> dict[str, Any]:
        models = [(model, "validation") for model in INBOUND.values()]
        _, definitions = models_json_schema([*models, (ProblemBody, "validation")], ref_template=REFERENCE)  # type: ignore[list-item]
        return {
            **definitions["$defs"],
            **{envelope_name(t): envelope_schema(t, model) for t, model in INBOUND.items()},
            "Accepted": {
                "type": "object",
                "required": ["status", "message_id", "type"],
                "properties": {
                    "status": {"enum": ["accepted", "refused"]},
                    "detail": {"type": "string", "description": "with `refused`: what to do"},
                    "message_id": {"type": "string"},
                    "type": {"type": "string"},
                },
            },
        }


_REFUSALS = {
    "400": "not UTF-8, not JSON, or a header twice",
    "401": "signature missing, stale, from the future, or not fitting the body",
    "403": "signed under the secret of another sender than the event's",
    "409": "the same webhook-id came before with another content; what is new needs an id of its own",
    "413": "body over the limit",
    "415": "content type is not application/json, or the body is compressed",
    "422": "unknown type or wrong fields; `errors` names each",
    "429": "too many requests; see Retry-After",
    "503": "the database cannot be reached; send again",
}


def read(message: dict[str, Any]) -> Event:
    """The event in a parsed body; raises :class:`Problem` 422 naming each wrong field."""
    name = message.get("type")
    if isinstance(name, str) and name not in INBOUND:
        known = ", ".join(sorted(INBOUND))
        raise Problem(
            422,
            "unknown-type",
            "The type of this event is not known here.",
            errors=[
                FieldError(field="/type", expected=f"one of {known}", got="another word", remedy="send a known type")
            ],
        )
    errors: list[FieldError] = []
    event: Event | None = None
    try:
        Envelope.model_validate(message)
    except ValidationError as error:
        errors += field_errors(error)
    if isinstance(name, str) and isinstance(message.get("data"), dict):
        try:
            event = INBOUND[name].model_validate(message["data"])
        except ValidationError as error:
            errors += field_errors(error, ("data",))
    if errors or event is None:
        raise Problem(422, "wrong-fields", "Some fields are wrong; nothing was stored.", errors=errors)
    return event


def example(model: type[Event]) -> dict[str, Any]:
    """A whole message that is accepted."""
    return {"type": model.type, "timestamp": "2026-11-22T10:00:00+08:00", "data": model.EXAMPLE}


def envelope_name(type_: str) -> str:
    """The component name of a whole message: ``deposit.paid`` is ``deposit.paid.message``."""
    return f"{type_}.message"


def envelope_schema(type_: str, model: type[Event]) -> dict[str, Any]:
    """The JSON Schema of a whole message."""
    return {
        "title": model.title(),
        "type": "object",
        "additionalProperties": False,
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"const": type_},
            "timestamp": {
                "type": "string",
                "format": "date-time",
                "description": "when it happened, with zone",
            },
            "data": {"$ref": REFERENCE.format(model=model.__name__)},
        },
    }


def _header(name: str, description: str, pattern: str | None) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1} | ({"pattern": pattern} if pattern else {})
    return {"name": name, "in": "header", "required": True, "description": description, "schema": schema}


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {MEDIA_TYPE: {"schema": PROBLEM_REFERENCE}}}
