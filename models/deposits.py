"""Deposits: why money is taken from one, what a refund needs on paper, and what the books say beside it."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from models.base import Frozen, Labelled
from models.money import Fen


class DeductionReason(Labelled):
    """Why a deposit is drawn on. Each reason carries the clause that allows it (DED-1 … DED-6)."""

    clause: str

    def __new__(cls, value: str, label: str = "", clause: str = "") -> Self:
        # The defaults are for type checkers, which take DeductionReason("LATE_SHIPMENT") for a call of this.
        member = str.__new__(cls, value)
        member._value_ = value
        member.label = label
        member.clause = clause
        return member

    RULE_VIOLATION = "RULE_VIOLATION", "违反平台规定", "DED-1"
    LATE_SHIPMENT = "LATE_SHIPMENT", "未按时发货", "DED-2"
    AFTERSALE_DISPUTE = "AFTERSALE_DISPUTE", "售后纠纷", "DED-3"
    PRODUCT_VIOLATION = "PRODUCT_VIOLATION", "商品严重违规", "DED-4"
    ADVANCE_COMPENSATION = "ADVANCE_COMPENSATION", "先行赔付", "DED-5"
    FORCED_CLOSURE = "FORCED_CLOSURE", "强制关店罚没", "DED-6"


class RefundDocument(Labelled):
    """Papers a deposit refund may need (REF-2); which entity needs which is policy data."""

    BUSINESS_LICENCE = "BUSINESS_LICENCE", "营业执照"
    ACCOUNT_PERMIT = "ACCOUNT_PERMIT", "对公账户开户证明"
    IDENTITY_CARD = "IDENTITY_CARD", "身份证明"
    ACCOUNT_PROOF = "ACCOUNT_PROOF", "收款账户证明"


class BookFacts(Frozen):
    """What our own ledger says about one shop's money at the moment of asking. Amounts in fen."""

    deposit_fen: Fen = 0
    receivable_fen: Fen = 0
    arrears_fen: Fen = 0
    receivable_frozen_fen: Fen = 0
    arbitrations: int = 0
    """Arbitrations under way that were reported since the platform's newest facts, which do not count them yet."""
    bills_fen: Fen = 0
    """Fees that no accepted invoice covers, as far as they stand in the way of what is asked about (ambiguity 30)."""
    kept_fen: Fen = 0
    """What INV-7 would freeze of them: kept back from a refund."""
    settled_since: datetime | None = None
    """Since when we settle the shop; ``None`` where the platform does."""
    unsettled: int = 0
    """What is not settled in our books: orders, what is left, what is with the bank; none for a shop we never settled."""
    unsettled_fen: Fen = 0
