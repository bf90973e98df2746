"""What a merchant reads when the deposit itself changes: paid, deducted from, or too small."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import model_validator

from models.money import Fen, PositiveFen
from notifications.message import Appealable, Line, MerchantMessage, Moment, Prose


class DepositPaid(MerchantMessage):
    """A payment has arrived and is frozen (DEP-9)."""

    name: ClassVar[str] = "deposit_paid"
    clause: ClassVar[str] = "DEP-9"

    payment_id: Line
    amount_fen: PositiveFen
    channel: Line
    paid_at: Moment
    balance_fen: Fen


class DepositDeducted(Appealable):
    """A deduction: why, under which rule, how much came from the deposit and how much is owed (DED-9)."""

    name: ClassVar[str] = "deposit_deducted"
    clause: ClassVar[str] = "DED-1"

    deduction_id: Line
    rule: Line
    """The clause of this deduction, ``DED-2``."""
    reason: Line
    explanation: Prose = ""
    deducted_at: Moment
    amount_fen: PositiveFen
    from_deposit_fen: Fen
    arrears_fen: Fen
    balance_fen: Fen

    @model_validator(mode="after")
    def _every_fen_has_a_place(self) -> Self:
        if self.from_deposit_fen + self.arrears_fen != self.amount_fen:
            raise ValueError("what came from the deposit and what is owed must add up to the amount")
        return self


class DepositTopupDemanded(MerchantMessage):
    """The balance is below what the shop's categories require (DEP-11)."""

    name: ClassVar[str] = "deposit_topup_demanded"
    clause: ClassVar[str] = "DEP-11"

    required_fen: PositiveFen
    balance_fen: Fen
    shortfall_fen: PositiveFen
    as_of: Moment
    due: Moment | None = None

    @model_validator(mode="after")
    def _shortfall_is_the_gap(self) -> Self:
        if self.balance_fen + self.shortfall_fen != self.required_fen:
            raise ValueError("balance and shortfall must add up to what is required")
        return self
