"""What a merchant reads while a shop is opened, or opened again."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from models.base import Frozen
from notifications.message import (
    Count,
    Grounds,
    Line,
    Link,
    MerchantCaseMessage,
    MerchantMessage,
    Moment,
    Prose,
    StaffMessage,
)


class NeededLine(Frozen):
    """One thing to bring: what, what was wrong with what was there, and the clause."""

    label: Line
    why: Line = ""
    clause: Line


class OpeningRefused(MerchantCaseMessage):
    """The application cannot be taken up: no blue V, categories that are not recruited, too early …"""

    name: ClassVar[str] = "opening_refused"
    clause: ClassVar[str] = "OPN-2"

    matter: Line
    received_at: Moment
    grounds: Grounds = Field(min_length=1)
    next_step: Line


class OpeningToDo(MerchantCaseMessage):
    """What is missing, why, and until when; with the first, what people ask about costs (OPN-19)."""

    name: ClassVar[str] = "opening_to_do"
    clause: ClassVar[str] = "OPN-3"

    matter: Line
    stage: Line
    needed: tuple[NeededLine, ...] = Field(min_length=1)
    due: Moment
    hints: tuple[Line, ...] = ()


class OpeningLapsed(MerchantCaseMessage):
    """Nothing came in time, so the application is closed; what is here stays for the next one."""

    name: ClassVar[str] = "opening_lapsed"
    clause: ClassVar[str] = "OPN-3"

    matter: Line
    needed: tuple[NeededLine, ...] = ()
    due: Moment


class OpeningRejected(MerchantCaseMessage):
    """A reviewer said no, with the reason and the way to object."""

    name: ClassVar[str] = "opening_rejected"
    clause: ClassVar[str] = "OPN-6"

    matter: Line
    decided_at: Moment
    reason: Prose
    appeal_how: Line


class OpeningWithdrawnLetter(MerchantCaseMessage):
    """Taken back by the merchant."""

    name: ClassVar[str] = "opening_withdrawn"
    clause: ClassVar[str] = "OPN-2"

    matter: Line
    withdrawn_at: Moment


class OpeningTransferSent(MerchantCaseMessage):
    """A random amount is on its way to the account; nobody is told how much."""

    name: ClassVar[str] = "opening_transfer_sent"
    clause: ClassVar[str] = "OPN-10"

    payee: Line
    arrives_by: Moment


class OpeningAmountAsked(MerchantCaseMessage):
    """It has arrived: until when the amount can be entered, and how often."""

    name: ClassVar[str] = "opening_amount_asked"
    clause: ClassVar[str] = "OPN-10"

    payee: Line
    due: Moment
    tries: Count


class OpeningAmountTaken(MerchantCaseMessage):
    """The amount entered fits, or does not; how many tries are left."""

    name: ClassVar[str] = "opening_amount_taken"
    clause: ClassVar[str] = "OPN-10"

    verified: bool
    tries_left: Count
    due: Moment | None = None


class OpeningTransferReturned(MerchantCaseMessage):
    """The bank would not pay this account, in its own words; it costs no try."""

    name: ClassVar[str] = "opening_transfer_returned"
    clause: ClassVar[str] = "OPN-10"

    payee: Line
    bank_reason: Line


class OpeningTransferSilent(StaffMessage):
    """The bank has said nothing about a random transfer."""

    name: ClassVar[str] = "opening_transfer_silent"
    bundled: ClassVar[str] = "银行未回执"
    clause: ClassVar[str] = "OPN-10"

    case_id: Line
    subject: Line
    sent_at: Moment
    hours_waited: Count
    link: Link


class ContractOfferedLetter(MerchantCaseMessage):
    """The contract to be signed, by version and hash; nothing is settled before."""

    name: ClassVar[str] = "contract_offered"
    clause: ClassVar[str] = "OPN-12"

    version: Line
    sha256: Line
    text: Prose


class ContractUnsigned(MerchantMessage):
    """The shop is open and has not signed: its receivables stay where they are until it has."""

    name: ClassVar[str] = "contract_unsigned"
    clause: ClassVar[str] = "OPN-12"

    version: Line
    sha256: Line
    offered_at: Moment
    days: Count


class ShopOpenedLetter(MerchantCaseMessage):
    """The shop is open; whether the contract is still unsigned, and from where products may be imported (OPN-15)."""

    name: ClassVar[str] = "shop_opened"
    clause: ClassVar[str] = "OPN-13"

    matter: Line
    opened_at: Moment
    capabilities: tuple[Line, ...]
    unsigned: bool
    import_from: tuple[Line, ...] = ()


class OpeningHeld(MerchantCaseMessage):
    """Everything is paid, and what came up since the last review keeps the shop from opening; it opens when that is gone."""

    name: ClassVar[str] = "opening_held"
    clause: ClassVar[str] = "REO-4"

    matter: Line
    grounds: Grounds = Field(min_length=1)
    objection: Line


class OpeningPaidNotOpen(StaffMessage):
    """The same for our people."""

    name: ClassVar[str] = "opening_paid_not_open"
    clause: ClassVar[str] = "REO-4"

    case_id: Line
    subject: Line
    grounds: Grounds = Field(min_length=1)
    since: Moment
    link: Link
