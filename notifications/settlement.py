"""What merchants and finance read about the settlement of receivables. Payees are always masked."""

from __future__ import annotations

from typing import ClassVar

from models.money import Fen, PositiveFen
from notifications.message import Count, Line, MerchantMessage, Moment, StaffMessage


class SettlementIssued(MerchantMessage):
    """A half of a month: what was due, what was taken from it, what is paid where, what stays and why."""

    name: ClassVar[str] = "settlement_issued"
    clause: ClassVar[str] = "STL-1"

    number: Line
    period: Line
    payee: Line
    orders: Count
    waiting_orders: Count
    due_fen: int
    brought_fen: Fen
    carried_in_fen: int
    set_off_fen: Fen
    kept_fen: Fen
    paid_fen: Fen
    left_fen: Fen
    carried_fen: int
    owed_fen: int
    hold: Line


class SettlementReturned(MerchantMessage):
    """The bank has not paid it or has sent it back: what the merchant should put right, and that nothing is lost."""

    name: ClassVar[str] = "settlement_returned"
    clause: ClassVar[str] = "STL-1"

    number: Line
    amount_fen: PositiveFen
    payee: Line
    bank_reason: Line


class ReceivableFreed(StaffMessage):
    """Receivables that no half of ours pays have become free after the shop moved to the platform: it has to pay them."""

    name: ClassVar[str] = "receivable_freed"
    clause: ClassVar[str] = "STL-1"

    shop: Line
    since: Moment
    amount_fen: PositiveFen
    open_fen: PositiveFen
