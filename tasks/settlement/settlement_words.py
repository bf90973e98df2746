"""Bulk messages of a half: what one of them says, made from the shop's row when it leaves."""

from __future__ import annotations

from models.settlement import Settlement, SettlementState
from models.settlement_events import SettlementIssued as IssuedEvent
from models.wire import Outgoing
from notifications.message import MerchantMessage
from notifications.settlement import SettlementIssued
from office.base.db import Tx
from office.record.outbox import COPY, TO_MERCHANT
from policies.settlement import label

PREFIXES = tuple(f"{prefix}settlement/" for prefix in (TO_MERCHANT, COPY, "platform:"))


def shop_of(tx: Tx, key: str) -> str:
    """Whose settlement the message of this key is about."""
    return _read(tx, key).shop_id


def _read(tx: Tx, key: str) -> Settlement:
    settlement_id = next(key.removeprefix(one) for one in PREFIXES if key.startswith(one)).removesuffix("/issued")
    return tx.get_one(Settlement, settlement_id)


def said(tx: Tx, key: str) -> tuple[MerchantMessage, Outgoing | None]:
    """What the message of this key tells the merchant, and the platform."""
    row = _read(tx, key)
    if row.number is None or row.issued_at is None or row.state is SettlementState.DRAFT:
        raise ValueError(f"{row.id} was never posted")
    amounts = {
        name: getattr(row, name)
        for name in (
            "orders",
            "waiting_orders",
            "due_fen",
            "brought_fen",
            "carried_in_fen",
            "set_off_fen",
            "kept_fen",
            "paid_fen",
            "left_fen",
            "carried_fen",
            "owed_fen",
        )
    }
    told = SettlementIssued(
        shop_name=row.shop_name,
        number=row.number,
        period=label(row.half),
        payee=row.payee_masked,
        hold=row.hold.label or ("平台冻结部分货款(STL-6)" if row.frozen_fen else ""),
        **amounts,
    )
    event = IssuedEvent(
        shop_id=row.shop_id, number=row.number, half=row.half, hold=row.hold, at=row.issued_at, **amounts
    )
    return told, event
