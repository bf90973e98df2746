"""What a message in the outbox says: as it was stored, or made when it leaves from what it names.

The copy of a merchant's message for their inbox on the platform would be as long as everything else about a waiting
case; it is made from the fields of the message beside it. Bulk messages are made from their statement.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import select

from models.case_events import MerchantMessageCreated
from models.messages import Channel, OutboxMessage
from notifications.catalogue import restore
from notifications.message import Message
from notifications.rendering import render
from office.base.db import reading
from office.cases import merchants
from office.record.outbox import COPY, TO_MERCHANT, body
from office.record.sending import Item, Skip, readdress
from tasks.invoicing import statement_words
from tasks.settlement import settlement_words


def made(item: Item) -> Any:
    """The payload of a message. Raises ``Skip`` for one of which there is nothing to say any more."""
    stored = item.payload
    copy = item.channel is Channel.EVENT and item.topic == MerchantMessageCreated.type
    if stored is None:
        with reading() as tx:
            words = settlement_words if item.key.startswith(settlement_words.PREFIXES) else statement_words
            message, event = words.said(tx, item.key)
            shop_id = words.shop_of(tx, item.key)
        if item.shop_id != shop_id:
            readdress(item, shop_id=shop_id)
        if copy:
            return _for_the_inbox(item, message, item.created_at)
        if item.channel is Channel.MERCHANT:
            return message.model_dump(mode="json")
        if event is None:
            raise Skip(f"nothing to say in {item.key}")
        return event.envelope(item.created_at)
    if copy and stored.keys() == {"at"}:
        with reading() as tx:
            told = tx.exec(select(OutboxMessage).where(OutboxMessage.key == TO_MERCHANT + _message_id(item))).one()
        original = restore(told.topic, body(told))
        return _for_the_inbox(item, original, datetime.fromisoformat(stored["at"]))
    return stored


def _message_id(item: Item) -> str:
    return item.key.removeprefix(COPY)


def _for_the_inbox(item: Item, message: Message, at: datetime) -> dict[str, Any]:
    words = render(message, merchants.context())
    event = MerchantMessageCreated(
        message_id=_message_id(item),
        shop_id=item.shop_id or "",
        case_id=item.case_id,
        topic=message.name,
        subject=words.subject,
        text=words.text,
        html=words.html,
        at=at,
    )
    return event.envelope(item.created_at)
