"""What the door's tests build with: a sender that signs, examples to change, and a look into the inbox."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response
from sqlmodel import col, select
from standardwebhooks.webhooks import Webhook

from models.audit import AuditEntry
from models.messages import InboxMessage
from models.wire import INBOUND
from office.base import db
from office.base.settings import Settings
from webhooks.app import create_app
from webhooks.senders.platform import example


def secret(seed: str) -> str:
    return "whsec_" + base64.b64encode(seed.ljust(32, "·").encode()).decode()


CURRENT, NEXT, BANK, SUBSCRIBER = (secret(name) for name in ("current", "next", "bank", "platform"))
TOKENS = ("token-one-of-two", "token-two-of-two")
NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC).timestamp()


@dataclass
class Door:
    """The door and somebody who posts to it. ``woken`` counts how often the courier was called."""

    client: TestClient
    app: FastAPI
    at: float = NOW
    woken: list[bool] = field(default_factory=list)

    def post(
        self,
        body: Any,
        *,
        message_id: str = "msg_1",
        secret: str = CURRENT,
        age: float = 0,
        **headers: str | None,
    ) -> Response:
        """Sign and post. ``age`` is how many seconds ago it was signed; a header of ``None`` is left out."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        moment = datetime.fromtimestamp(self.at - age, UTC)
        text = raw.decode("utf-8", "replace")
        sent: dict[str, str | None] = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": Webhook(secret).sign(message_id, moment, text),
        }
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        given = {name: value.encode() for name, value in sent.items() if value is not None}
        return self.client.post("/webhooks/platform", content=raw, headers=given)


def door_of(installation: Settings, now: Callable[[], float] = lambda: NOW, **options: Any) -> Door:
    """A door in this process; ``options`` go to ``create_app``."""
    app = create_app(installation, now=now, **options)
    door = Door(TestClient(app, raise_server_exceptions=False), app)
    app.state.on_stored = lambda: door.woken.append(True)
    return door


def stored() -> list[InboxMessage]:
    with db.reading() as tx:
        return list(tx.exec(select(InboxMessage).order_by(col(InboxMessage.id))))


def _plain(row: InboxMessage) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in InboxMessage.__table__.columns}  # type: ignore[attr-defined]


def traces() -> tuple[list[dict[str, Any]], int]:
    """Everything a refusal must leave alone: the inbox as it is, and how long the audit is."""
    with db.reading() as tx:
        rows = [_plain(row) for row in tx.exec(select(InboxMessage).order_by(col(InboxMessage.id)))]
        return rows, len(list(tx.exec(select(AuditEntry))))


def message(type_: str = "closure.requested", **changes: Any) -> dict[str, Any]:
    """A message that is accepted, with fields of its data changed; ``...`` as a value removes the field."""
    whole = example(INBOUND[type_])
    data = {**whole["data"], **changes}
    return {**whole, "data": {name: value for name, value in data.items() if value is not ...}}
