"""Messages kept because nothing here can act on them: which of them a person has to hear about."""

from __future__ import annotations

from collections.abc import Callable

from models.messages import InboxMessage
from models.reviews import Role
from notifications.operations import InboxOdd
from office.base.db import Tx
from office.cases import reviews
from office.record.inbox import ODD, Kept

ARBITRATION = frozenset(f"doudian.{tag}" for tag in range(212, 219))
"""Tags that are events of ours when they hold what those need: a merchant's window hangs on them."""


def unmapped(message: InboxMessage) -> Kept:
    """For a message of a type that has no handler: kept, and told where somebody's time may be running."""
    if message.type == f"{message.source}.{ODD}":
        return Kept(
            "推送中的一条内容不是完整的事件", _tell("推送中的这一条缺少 tag 或 msg_id,或不是有效的 JSON,已原样留存")
        )
    if message.type in ARBITRATION:
        return Kept(
            "仲裁推送缺少必要的内容,无法对应到事件",
            _tell("仲裁推送缺少店铺、仲裁编号等必要内容,没有处理;相关的举证、申诉期限可能已经开始,请到抖店后台核对"),
        )
    return Kept(f"no handler for {message.type}")


def _tell(why: str) -> Callable[[Tx, InboxMessage], None]:
    return lambda tx, message: tell(tx, message, why)


def heard(why: str, about: str, *roles: Role) -> Callable[[Tx, InboxMessage], None]:
    """How these people hear of a refusal on which a merchant's window or money hangs; of the same matter once, however often
    it is sent."""

    def tell_each(tx: Tx, message: InboxMessage) -> None:
        for role in roles:
            tell(tx, message, why, role, f"{about}/{role}")

    return tell_each


def tell(tx: Tx, message: InboxMessage, why: str, role: Role = Role.SUPERVISOR, about: str = "") -> None:
    """Tell a role, once, what was kept or refused without anybody having decided so."""
    told = InboxOdd(
        number=message.id or 0,
        source=message.source,
        message_id=message.message_id,
        message_type=message.type,
        shop_id=message.shop_id or "",
        received_at=message.received_at,
        why=why,
    )
    reviews.notify_staff(tx, role, told, f"odd/{about or message.id}")
