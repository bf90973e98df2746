"""What a merchant reads about statements, invoices, and receivables frozen or set off because of them."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from models.money import Fen, PositiveFen
from notifications.message import Count, Grounds, Line, MerchantCaseMessage, MerchantMessage, Moment, Prose


class _AboutStatement(MerchantMessage):
    number: Line
    period: Line
    """``2026年10月`` or ``退店账单``."""


class StatementIssued(_AboutStatement):
    """The month's statement: how much to invoice, by when, to whom."""

    name: ClassVar[str] = "statement_issued"
    clause: ClassVar[str] = "INV-1"

    amount_fen: PositiveFen
    due: Moment
    buyer_name: Line
    buyer_tax_no: Line
    share_percent: Line
    auto_deduct: bool
    """What happens otherwise: set off (INV-10) or frozen (INV-7)."""


class StatementReminder(_AboutStatement):
    """It is not invoiced yet, and its due time comes closer."""

    name: ClassVar[str] = "statement_reminder"
    clause: ClassVar[str] = "INV-7"

    uninvoiced_fen: PositiveFen
    due: Moment
    share_percent: Line
    auto_deduct: bool


class _Money(_AboutStatement):
    amount_fen: Fen
    uninvoiced_fen: Fen
    held_fen: Fen
    at: Moment


class StatementFrozen(_Money):
    """Not invoiced in time: so much is frozen. No violation (INV-11)."""

    name: ClassVar[str] = "statement_frozen"
    clause: ClassVar[str] = "INV-7"

    share_fen: Fen


class StatementDeducted(_Money):
    """Not invoiced in time, with automatic deduction: so much is set off."""

    name: ClassVar[str] = "statement_deducted"
    clause: ClassVar[str] = "INV-10"

    share_fen: Fen


class StatementReleased(_Money):
    """An accepted invoice covers what was held, so it is given back."""

    name: ClassVar[str] = "statement_released"
    clause: ClassVar[str] = "INV-12"


class _AboutInvoice(MerchantMessage):
    number: Line
    amount_fen: PositiveFen


class InvoiceAccepted(_AboutInvoice):
    """Accepted, and which statements it covers."""

    name: ClassVar[str] = "invoice_accepted"
    clause: ClassVar[str] = "INV-12"

    received_at: Moment
    statements: tuple[Line, ...]


class InvoiceInReview(_AboutInvoice):
    """A person will look at it, and why; while they do, nothing of it counts as late, unless it can never be accepted."""

    name: ClassVar[str] = "invoice_in_review"
    clause: ClassVar[str] = "INV-2"

    received_at: Moment
    review_due: Moment
    grounds: Grounds = Field(min_length=1)
    holds: bool = True
    """Whether it keeps the freeze off meanwhile (ambiguity 33)."""


class InvoiceReturned(_AboutInvoice):
    """Not accepted: what to correct."""

    name: ClassVar[str] = "invoice_returned"
    clause: ClassVar[str] = "INV-2"

    decided_at: Moment
    grounds: Grounds
    reason: Prose


class InvoiceReversed(_AboutInvoice):
    """A red letter undid it: the statements are open again with their original due times."""

    name: ClassVar[str] = "invoice_reversed"
    clause: ClassVar[str] = "INV-7"

    red_number: Line
    reopened: tuple[Line, ...]


class ExitInvoicesOpened(MerchantCaseMessage):
    """Closing the shop: what of this year is still to be invoiced, by when (CLS-8)."""

    name: ClassVar[str] = "exit_invoices_opened"
    clause: ClassVar[str] = "CLS-8"

    year: Count
    amount_fen: Fen
    statements: tuple[Line, ...]
    reported_fen: Fen = 0
    due: Moment


class ExitInvoicesSettled(MerchantCaseMessage):
    """Nothing of this year is left to be invoiced, or it was waived."""

    name: ClassVar[str] = "exit_invoices_settled"
    clause: ClassVar[str] = "CLS-8"

    year: Count
    settled_at: Moment
    waived: bool
