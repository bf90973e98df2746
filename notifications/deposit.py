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
    opens: bool = False
    """Nothing is missing any more: the shop may do business from now on, or again (DEP-10)."""


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


class ArrearsReduced(Appealable):
    """What the shop owes has become less: paid by the merchant, or taken from the deposit (DEP-9, DED-9)."""

    name: ClassVar[str] = "arrears_reduced"
    clause: ClassVar[str] = "DED-9"

    number: Line
    how: Line
    rule: Line
    """The clause it was done by: ``DEP-9`` for the deposit, ``DED-9`` for a payment."""
    note: Line = ""
    at: Moment
    amount_fen: PositiveFen
    arrears_fen: Fen
    """What is owed still."""
    balance_fen: Fen
    """What the deposit holds now."""


class DepositTopupDemanded(MerchantMessage):
    """The balance is below what the shop's categories require, or a certification fee is due (DEP-7, DEP-10, DEP-11)."""

    name: ClassVar[str] = "deposit_topup_demanded"
    clause: ClassVar[str] = "DEP-11"

    required_fen: PositiveFen
    balance_fen: Fen
    shortfall_fen: Fen
    fee_fen: Fen = 0
    as_of: Moment
    due: Moment | None = None
    """``None`` where no window runs: somebody decides, or has decided."""
    rule: Line = "DEP-11"
    closed: bool = False
    """The shop does no business until this is paid."""

    @model_validator(mode="after")
    def _something_is_missing(self) -> Self:
        if self.shortfall_fen != max(0, self.required_fen - self.balance_fen):
            raise ValueError("balance and shortfall must add up to what is required")
        if not self.shortfall_fen and not self.fee_fen:
            raise ValueError("a demand for nothing")
        return self


class CertificationFeePaid(MerchantMessage):
    """The certification fee of a year has arrived. It is no deposit and is not given back (DEP-7, ambiguity 2)."""

    name: ClassVar[str] = "certification_fee_paid"
    clause: ClassVar[str] = "DEP-7"

    payment_id: Line
    amount_fen: PositiveFen
    channel: Line
    paid_at: Moment
    until: Moment
    opens: bool = False


class ShopSuspended(Appealable):
    """The deposit was not paid in time: what was shut off until it is, and why (DEP-10)."""

    name: ClassVar[str] = "shop_suspended"
    clause: ClassVar[str] = "DEP-10"

    case_id: Line
    decided_at: Moment
    missing_fen: PositiveFen
    shut_off: tuple[Line, ...] = ()
    """Chinese names of the capabilities; empty for a shop that never opened."""
    reason: Prose
