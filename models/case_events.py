"""Events about any case: opened, its state, its end, what the merchant was told."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from models.cases import CaseKind
from models.wire import Id, MessageId, Moment, Outgoing, outbound


class AboutCase(Outgoing):
    """What every event about a case says. ``shop_id`` is null where the case is not about one shop."""

    case_id: Id
    kind: CaseKind
    kind_label: str
    shop_id: Id | None = None
    at: Moment


_CASE_EXAMPLE = {
    "case_id": "CLS-261122-7K3QM9",
    "kind": "closure",
    "kind_label": "关店",
    "shop_id": "shop-1001",
    "at": "2026-11-22T02:00:00Z",
}


@outbound
class CaseOpened(AboutCase):
    """案件已受理(CLS-5、REF-7)

    ``origin`` is the message that opened it, as ``source/message id``.
    """

    type: ClassVar[str] = "case.opened"
    EXAMPLE: ClassVar[dict[str, Any]] = _CASE_EXAMPLE | {"origin": "platform/msg_9001"}

    origin: str


@outbound
class CaseStateChanged(AboutCase):
    """案件状态变更(CLS-6、REF-7)

    ``state`` is a word of the case kind's own vocabulary; ``GET /cases/{id}`` says the rest.
    """

    type: ClassVar[str] = "case.state_changed"
    EXAMPLE: ClassVar[dict[str, Any]] = _CASE_EXAMPLE | {
        "state": "CLEARING",
        "state_label": "清算中",
        "due_at": None,
    }

    state: str
    state_label: str
    due_at: Moment | None = None


@outbound
class CaseConcluded(AboutCase):
    """案件已办结(CLS-6、REF-11)

    Sent when a case ends. A refund whose money came back from the bank is taken up again and ends anew.
    """

    type: ClassVar[str] = "case.concluded"
    EXAMPLE: ClassVar[dict[str, Any]] = _CASE_EXAMPLE | {
        "outcome": "CLOSED",
        "clause": "CLS-6",
        "text": "店铺已关店。",
    }

    outcome: str
    clause: str
    text: str


@outbound
class MerchantMessageCreated(Outgoing):
    """商家消息(CLS-11)

    For the merchant's inbox on the platform. ``html`` is safe to show: everything from outside is escaped.
    """

    type: ClassVar[str] = "merchant.message.created"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "message_id": "CLS-261122-7K3QM9/closure_received",
        "shop_id": "shop-1001",
        "case_id": "CLS-261122-7K3QM9",
        "topic": "closure_received",
        "subject": "关店申请已受理",
        "text": "您好,您的关店申请已受理。",
        "html": "<p>您好,您的关店申请已受理。</p>",
        "at": "2026-11-22T02:00:00Z",
    }

    message_id: MessageId
    shop_id: Id
    case_id: Id | None = None
    topic: str
    subject: str
    text: str = Field(repr=False)
    html: str = Field(repr=False)
    at: Moment


@outbound
class MessageRefused(Outgoing):
    """消息被拒绝(DED-8)

    A message that reached the door intact and cannot be acted on: the clause and the sentence say why, ``remedy`` what
    can be done. A refused message is never looked at again, also not when it is sent again: corrected, it needs a new
    ``webhook-id``.
    """

    type: ClassVar[str] = "message.refused"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "source": "platform",
        "message_id": "msg_9002",
        "message_type": "refund.requested",
        "shop_id": "shop-1002",
        "clause": "REF-10",
        "sentence": "店铺已被强制关店,保证金不予退还。",
        "remedy": "更正后请使用新的消息编号(webhook-id)重新发送,同一编号不会再次处理。",
    }

    source: str
    message_id: MessageId
    message_type: str
    shop_id: Id | None = None
    clause: str
    sentence: str
    remedy: str
