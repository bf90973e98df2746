"""What a merchant reads about rulings and appeals, and what staff read when Douyin will not take evidence."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from models.money import Fen, PositiveFen
from notifications.message import (
    Appealable,
    Count,
    Grounds,
    Line,
    MerchantCaseMessage,
    MerchantMessage,
    Moment,
    Prose,
    StaffMessage,
)


class RulingEffective(Appealable):
    """A ruling has taken effect: what was decided, the deduction, and how and until when to appeal, once (ARB-2)."""

    name: ClassVar[str] = "ruling_effective"
    clause: ClassVar[str] = "ARB-2"

    ruling_id: Line
    order_id: Line = ""
    conclusion: Line
    decided: Prose
    effective_at: Moment
    deduction_fen: Fen = 0
    from_deposit_fen: Fen = 0
    arrears_fen: Fen = 0


class MerchantCleared(MerchantMessage):
    """The arbitration found no fault of the merchant's: what had been taken for the matter is given back (ARB-1)."""

    name: ClassVar[str] = "merchant_cleared"
    clause: ClassVar[str] = "ARB-1"

    arbitration_id: Line
    rulings: tuple[Line, ...] = Field(min_length=1)
    """The rulings and deductions that count no more."""
    decided: Prose
    deduction_fen: Fen = 0
    to_deposit_fen: Fen = 0
    to_receivable_fen: Fen = 0
    to_arrears_fen: Fen = 0


class MattersUnited(Appealable):
    """Two reports turned out to be one matter: one appeal, one window, and what was taken twice is given back (ARB-3)."""

    name: ClassVar[str] = "matters_united"
    clause: ClassVar[str] = "ARB-3"

    ruling_id: Line
    other_id: Line
    to_deposit_fen: Fen = 0
    to_receivable_fen: Fen = 0
    to_arrears_fen: Fen = 0


class AppealReceived(MerchantCaseMessage):
    """The appeal will be heard; which items were taken, which were not, when we mean to answer."""

    name: ClassVar[str] = "appeal_received"
    clause: ClassVar[str] = "ARB-4"

    ruling_id: Line
    reason: Line
    received_at: Moment
    accepted: tuple[Line, ...] = Field(min_length=1)
    left_out: tuple[Line, ...] = ()
    most: int = 20
    """Items that are taken at a time; what is beyond is named in ``left_out``."""
    still_expected: tuple[Line, ...] = ()
    review_due: Moment


class AppealRefused(MerchantCaseMessage):
    """The appeal cannot be taken up: too late, the second one, no evidence …"""

    name: ClassVar[str] = "appeal_refused"
    clause: ClassVar[str] = "ARB-2"

    received_at: Moment
    grounds: Grounds = Field(min_length=1)
    next_step: Line


class AppealEvidenceRequested(MerchantCaseMessage):
    """The rejection notice (平台驳回通知): its sending starts the window for further evidence (ARB-5)."""

    name: ClassVar[str] = "appeal_evidence_requested"
    clause: ClassVar[str] = "ARB-5"

    ruling_id: Line
    reason: Prose
    still_expected: tuple[Line, ...] = ()
    window_hours: Count
    due_if_sent_now: Moment


class AppealEvidenceReceived(MerchantCaseMessage):
    """Further evidence has arrived in time; another review follows, and its result is final."""

    name: ClassVar[str] = "appeal_evidence_received"
    clause: ClassVar[str] = "ARB-5"

    received_at: Moment
    accepted: tuple[Line, ...] = Field(min_length=1)
    left_out: tuple[Line, ...] = ()
    most: int = 20


class AppealClosedTimeout(MerchantCaseMessage):
    """Nothing came in the window: closed for good (ARB-6)."""

    name: ClassVar[str] = "appeal_closed_timeout"
    clause: ClassVar[str] = "ARB-6"

    ruling_id: Line
    due: Moment
    channels: tuple[Line, ...] = ()
    """Where the merchant may still turn (ARB-10); none in messages of an older version."""


class AppealUpheld(MerchantCaseMessage):
    """The appeal succeeds: the ruling is struck; about money, merchant service will call (ARB-7, ARB-8)."""

    name: ClassVar[str] = "appeal_upheld"
    clause: ClassVar[str] = "ARB-7"

    ruling_id: Line
    decided_at: Moment
    reason: Prose
    deduction_fen: Fen = 0


class AppealDismissed(MerchantCaseMessage):
    """The appeal fails, finally; where the merchant may still turn (ARB-3, ARB-10)."""

    name: ClassVar[str] = "appeal_dismissed"
    clause: ClassVar[str] = "ARB-3"

    ruling_id: Line
    decided_at: Moment
    reason: Prose
    channels: tuple[Line, ...] = Field(min_length=1)


class AppealMoot(MerchantCaseMessage):
    """Nothing is left to appeal against: the arbitration was withdrawn (WDR-1), or a court has decided (ARB-10)."""

    name: ClassVar[str] = "appeal_moot"
    clause: ClassVar[str] = "WDR-1"

    ruling_id: Line
    cause: Line
    """Which of the two it was, with its number."""
    struck: bool


class CompensationReturned(MerchantCaseMessage):
    """What was agreed about the deducted money has been carried out (ARB-8)."""

    name: ClassVar[str] = "compensation_returned"
    clause: ClassVar[str] = "ARB-8"

    ruling_id: Line
    deduction_fen: PositiveFen
    handling: Line
    to_deposit_fen: Fen = 0
    to_receivable_fen: Fen = 0
    to_arrears_fen: Fen = 0
    agreed: bool = True
    """Whether it is what merchant service agreed with the merchant, or what was decided about it (ambiguity 35)."""
    reason: Prose = ""


class ArbitrationWithdrawn(MerchantCaseMessage):
    """An arbitration has been withdrawn; it can never be arbitrated again (WDR-2)."""

    name: ClassVar[str] = "arbitration_withdrawn"
    clause: ClassVar[str] = "WDR-2"

    arbitration_id: Line
    reason: Line
    struck: bool
    money: bool = False
    """Whether money was taken, of which people now decide what becomes (ambiguity 35)."""


class ArbitrationStays(MerchantCaseMessage):
    """A request to withdraw an arbitration was turned down, with the grounds (WDR-1 to WDR-4)."""

    name: ClassVar[str] = "arbitration_stays"
    clause: ClassVar[str] = "WDR-4"

    arbitration_id: Line
    grounds: Grounds = Field(min_length=1)


class RulingCorrected(MerchantCaseMessage):
    """A court's judgment has undone a ruling, by decision of two supervisors (ambiguity 11)."""

    name: ClassVar[str] = "ruling_corrected"
    clause: ClassVar[str] = "ARB-10"

    ruling_id: Line
    court: Line
    judgment_no: Line
    deduction_fen: Fen = 0


class EvidenceNotPassedOn(StaffMessage):
    """To merchant service: Douyin refused evidence for good, somebody has to bring it in by hand."""

    name: ClassVar[str] = "evidence_not_passed_on"
    clause: ClassVar[str] = "ARB-5"

    case_id: Line
    aftersale_id: Line
    error: Line
