"""What a merchant reads while a deposit is paid back. Payees are always masked (``Payee.masked``)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from models.base import Frozen
from models.money import Fen, PositiveFen
from notifications.message import Count, Grounds, Line, Link, MerchantCaseMessage, Moment, Prose, StaffMessage


class RefundReceived(MerchantCaseMessage):
    """The application is in, with the time by which the money is due (REF-3)."""

    name: ClassVar[str] = "refund_received"
    clause: ClassVar[str] = "REF-7"

    amount_fen: PositiveFen
    payee: Line
    received_at: Moment
    due: Moment
    not_received: tuple[Line, ...] = ()
    """Papers named whose file is not here: the merchant has to upload it, or nothing is paid (ambiguity 26)."""


class RefundRefused(MerchantCaseMessage):
    """The application cannot be taken up: shop not closed, closed by force, more than the balance …"""

    name: ClassVar[str] = "refund_refused"
    clause: ClassVar[str] = "REF-1"

    amount_fen: PositiveFen
    received_at: Moment
    grounds: Grounds = Field(min_length=1)
    next_step: Line


class RefundQuestion(MerchantCaseMessage):
    """Documents are missing or something is unclear; silence closes the application."""

    name: ClassVar[str] = "refund_question"
    clause: ClassVar[str] = "REF-2"

    missing: tuple[Line, ...] = ()
    question: Prose
    due: Moment


class RefundQuestionLapsed(MerchantCaseMessage):
    """Nobody answered, so the application is closed; the deposit stays where it is."""

    name: ClassVar[str] = "refund_question_lapsed"
    clause: ClassVar[str] = "REF-2"

    question: Prose
    due: Moment


class RefundRejected(MerchantCaseMessage):
    """Finance said no, with the reason."""

    name: ClassVar[str] = "refund_rejected"
    clause: ClassVar[str] = "REF-2"

    amount_fen: PositiveFen
    decided_at: Moment
    reason: Prose
    grounds: Grounds = ()


class ShareLine(Frozen):
    """What one of several accounts gets."""

    amount_fen: PositiveFen
    payee: Line


class RefundApproved(MerchantCaseMessage):
    """Approved and on its way to the bank: what was set off first, what is kept back and why, which account gets how much."""

    name: ClassVar[str] = "refund_approved"
    clause: ClassVar[str] = "REF-7"

    amount_fen: PositiveFen
    payee: Line
    set_off_fen: Fen = 0
    """Taken for arrears first (REF-8, DED-9)."""
    kept_fen: Fen = 0
    """Left in the deposit for what INV-7 would freeze of statements without an invoice (ambiguity 30)."""
    objection: Line = ""
    """How to object to what was taken or kept; empty where nothing was."""
    shares: tuple[ShareLine, ...] = ()
    approved_at: Moment
    due: Moment


class RefundPayeeNeeded(MerchantCaseMessage):
    """The bank would not pay this payee; a corrected one is needed. The case goes on when it arrives."""

    name: ClassVar[str] = "refund_payee_needed"
    clause: ClassVar[str] = "REF-3"

    amount_fen: PositiveFen
    payee: Line
    bank_reason: Line
    answer_by: Moment | None = None


class RefundSettled(MerchantCaseMessage):
    """The bank has confirmed that the money arrived."""

    name: ClassVar[str] = "refund_settled"
    clause: ClassVar[str] = "REF-3"

    amount_fen: PositiveFen
    payee: Line
    shares: tuple[ShareLine, ...] = ()
    settled_at: Moment


class RefundCorrected(MerchantCaseMessage):
    """The bank's proof shows that money is elsewhere than the books said; what that changes for the merchant."""

    name: ClassVar[str] = "refund_corrected"
    clause: ClassVar[str] = "REF-3"

    request_no: Line
    corrected_at: Moment
    changes: tuple[Line, ...] = Field(min_length=1)


class RefundCameBack(MerchantCaseMessage):
    """The bank has sent money back of a refund that is over: where it lies now, and what can be done about it."""

    name: ClassVar[str] = "refund_came_back"
    clause: ClassVar[str] = "REF-3"

    amount_fen: PositiveFen
    payee: Line
    bank_reason: Line
    then: Prose


class RefundLate(MerchantCaseMessage):
    """We are late (REF-3), and say so once."""

    name: ClassVar[str] = "refund_late"
    clause: ClassVar[str] = "REF-3"

    amount_fen: PositiveFen
    due: Moment


class RefundEarlyReminder(StaffMessage):
    """Usually a refund has been paid by now (REF-4); the hard limit is still ahead (ambiguity 5)."""

    name: ClassVar[str] = "refund_early_reminder"
    bundled: ClassVar[str] = "退款进度提醒"
    clause: ClassVar[str] = "REF-4"

    case_id: Line
    subject: Line
    amount_fen: PositiveFen
    received_at: Moment
    due: Moment
    link: Link


class RefundOverdue(StaffMessage):
    """The hard limit of REF-3 has passed and the money has not arrived."""

    name: ClassVar[str] = "refund_overdue"
    clause: ClassVar[str] = "REF-3"
    bundled: ClassVar[str] = "超过法定期限的退款"
    first_at_once: ClassVar[bool] = True

    case_id: Line
    subject: Line
    amount_fen: PositiveFen
    due: Moment
    hours_late: Count
    link: Link
