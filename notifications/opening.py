"""What a merchant reads while a shop is opened, or opened again."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from models.base import Frozen
from notifications.message import Grounds, Line, MerchantCaseMessage, Moment, Prose


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


class ContractOfferedLetter(MerchantCaseMessage):
    """The contract to be signed, by version and hash; nothing is settled before."""

    name: ClassVar[str] = "contract_offered"
    clause: ClassVar[str] = "OPN-12"

    version: Line
    sha256: Line
    text: Prose


class ShopOpenedLetter(MerchantCaseMessage):
    """The shop is open; whether the contract is still unsigned, and from where products may be imported (OPN-15)."""

    name: ClassVar[str] = "shop_opened"
    clause: ClassVar[str] = "OPN-13"

    matter: Line
    opened_at: Moment
    capabilities: tuple[Line, ...]
    unsigned: bool
    import_from: tuple[Line, ...] = ()
