"""What a merchant reads while a shop is closed, of their own will or by force."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from models.money import Fen, PositiveFen
from notifications.message import Appealable, Grounds, Line, MerchantCaseMessage, Moment, Prose


class ClosureReceived(MerchantCaseMessage):
    """The request is in; a person will look at it (CLS-5); the exit invoices are already running (CLS-8)."""

    name: ClassVar[str] = "closure_received"
    clause: ClassVar[str] = "CLS-5"

    reason: Line
    reason_text: Prose = ""
    received_at: Moment
    exit_invoice_due: Moment
    review_due: Moment | None = None


class ClosureRefused(MerchantCaseMessage):
    """The request cannot be taken up at all: not the owner, already closing, already closed …"""

    name: ClassVar[str] = "closure_refused"
    clause: ClassVar[str] = "CLS-3"

    received_at: Moment
    grounds: Grounds = Field(min_length=1)
    next_step: Line


class ClosureQuestion(MerchantCaseMessage):
    """Something has to be completed first; silence closes the request."""

    name: ClassVar[str] = "closure_question"
    clause: ClassVar[str] = "CLS-5"

    question: Prose
    due: Moment


class ClosureQuestionLapsed(MerchantCaseMessage):
    """Nobody answered, so the request is closed."""

    name: ClassVar[str] = "closure_question_lapsed"
    clause: ClassVar[str] = "CLS-5"

    question: Prose
    due: Moment


class ClosureRejected(MerchantCaseMessage):
    """A reviewer said no, with the reason."""

    name: ClassVar[str] = "closure_rejected"
    clause: ClassVar[str] = "CLS-5"

    decided_at: Moment
    reason: Prose
    grounds: Grounds = ()


class ClosureApprovedClearing(MerchantCaseMessage):
    """Approved: what is being shut off, and the exit invoices (CLS-8) that are due."""

    name: ClassVar[str] = "closure_approved_clearing"
    clause: ClassVar[str] = "CLS-9"

    requested_at: Moment
    approved_at: Moment
    shut_off: tuple[Line, ...]
    """Chinese names of the capabilities, in the order in which they are shut off."""
    exit_invoice_due: Moment


class ClosureClearingReminder(MerchantCaseMessage):
    """Clearing drags: what is still open."""

    name: ClassVar[str] = "closure_clearing_reminder"
    clause: ClassVar[str] = "CLS-9"

    approved_at: Moment
    as_of: Moment
    open_items: Grounds = Field(min_length=1)


class ClosureWithdrawn(MerchantCaseMessage):
    """The merchant took the request back before the shop was closed."""

    name: ClassVar[str] = "closure_withdrawn"
    clause: ClassVar[str] = "CLS-9"

    withdrawn_at: Moment
    restored: tuple[Line, ...] = ()
    """Chinese names of the capabilities that are switched on again; empty when none had been shut off."""
    awaits_deposit: bool = False
    """The shop was not doing business before, for want of its deposit, and does not now (DEP-10)."""


class ShopClosed(MerchantCaseMessage):
    """Closed: since when, when a shop may be opened again (REO-1), how the deposit comes back (REF-1)."""

    name: ClassVar[str] = "shop_closed"
    clause: ClassVar[str] = "CLS-6"

    closed_at: Moment
    reopen_from: Moment
    refundable_fen: Fen


class ForcedClosureDecided(MerchantCaseMessage, Appealable):
    """Closed by force: the violation, what is forfeited, no reopening, how to appeal or why not (DED-8)."""

    name: ClassVar[str] = "forced_closure_decided"
    clause: ClassVar[str] = "CLS-10"

    decided_at: Moment
    violation: Prose
    forfeited_fen: Fen
    frozen_fen: Fen = 0
    """Receivables that are frozen with it (DED-7)."""


class ForcedClosureProposed(MerchantCaseMessage):
    """The platform has proposed to close the shop by force: what for, what is held back until it is decided, and how to be
    heard before (CLS-10, DED-8)."""

    name: ClassVar[str] = "forced_closure_proposed"
    clause: ClassVar[str] = "CLS-10"

    violation: Line
    basis: Line
    proposed_at: Moment
    how_to_object: Line = "请联系平台客服，提供案件编号并提交证明材料。"


class ForcedClosureDropped(MerchantCaseMessage):
    """A proposal to close the shop by force has come to nothing: the shop goes on, and what waited for it goes on too (CLS-10)."""

    name: ClassVar[str] = "forced_closure_dropped"
    clause: ClassVar[str] = "CLS-10"

    violation: Line
    proposed_at: Moment
    decided_at: Moment


class ReceivablesHeld(MerchantCaseMessage, Appealable):
    """Receivables that arrived after a ban are frozen, and who decides about them (DED-7, DED-8, ambiguity 24)."""

    name: ClassVar[str] = "receivables_held"
    clause: ClassVar[str] = "DED-7"

    amount_fen: PositiveFen
    held_fen: PositiveFen
    held_at: Moment
    appeal_how: Line = "请联系平台客服，提供案件编号并提交证明材料。"


class ReceivablesDecided(MerchantCaseMessage, Appealable):
    """Two people have decided what becomes of receivables frozen by a ban: why, and how to object (DED-7, DED-8)."""

    name: ClassVar[str] = "receivables_decided"
    clause: ClassVar[str] = "DED-7"

    decided_at: Moment
    amount_fen: PositiveFen
    released_fen: Fen
    set_off_fen: Fen
    withheld_fen: Fen
    """Held on for statements that were not invoiced in time (INV-7)."""
    forfeited_fen: Fen
    reason: Prose
