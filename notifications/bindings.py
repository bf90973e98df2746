"""What a merchant reads about binding an account: asked for, to be confirmed, bound, refused, ended, let go (BND)."""

from __future__ import annotations

from typing import ClassVar

from models.money import Fen
from notifications.message import Count, Grounds, Line, MerchantCaseMessage, MerchantMessage, Moment, Prose


class OfficialLinkIssued(MerchantCaseMessage):
    """The link and its QR code are in the back office; the account has to scan and accept until then (BND-2)."""

    name: ClassVar[str] = "official_link_issued"
    clause: ClassVar[str] = "BND-2"

    until: Moment


class OfficialAccepted(MerchantCaseMessage):
    """An account has accepted; the shop has the last word, after the warning (BND-3)."""

    name: ClassVar[str] = "official_accepted"
    clause: ClassVar[str] = "BND-3"

    account: Line
    until: Moment
    warning: Line


class ChannelCodeSent(MerchantCaseMessage):
    """A code has been sent to the account; the shop has to log in to it and enter the code until then (BND-7)."""

    name: ClassVar[str] = "channel_code_sent"
    clause: ClassVar[str] = "BND-7"

    platform: Line
    account: Line
    code_until: Moment
    until: Moment
    tries: Count
    unbind_days: Count
    """After how many days it may be let go (BND-8)."""


class ConsentAsked(MerchantCaseMessage):
    """The talent has been asked; silence until then is a no (BND-10)."""

    name: ClassVar[str] = "consent_asked"
    clause: ClassVar[str] = "BND-10"

    account: Line
    share_percent: Line
    until: Moment


class SelfOperatedProposed(MerchantMessage):
    """Accounts that sell mostly for the shop, as the daily look found them new (BND-11)."""

    name: ClassVar[str] = "self_operated_proposed"
    clause: ClassVar[str] = "BND-11"

    days: Count
    accounts: tuple[Line, ...]
    more: Count = 0
    """How many are not named here."""


class AccountBound(MerchantCaseMessage):
    """An account is bound: for ever, or from when it may be let go, and what it waives (BND-1, BND-4, BND-8)."""

    name: ClassVar[str] = "account_bound"
    clause: ClassVar[str] = "BND-1"

    kind: Line
    platform: Line
    account: Line
    bound_at: Moment
    for_ever: bool = False
    unbind_from: Moment | None = None
    waived_fen: Fen = 0
    """The certification fee that was asked for until now and is not any more."""
    rule: Line


class BindingRefused(MerchantCaseMessage):
    """Nothing was bound: the reasons, and how to object."""

    name: ClassVar[str] = "binding_refused"
    clause: ClassVar[str] = "BND-1"

    kind: Line
    received_at: Moment
    grounds: Grounds
    objection: Prose


class BindingEnded(MerchantCaseMessage):
    """What was awaited did not come, was a no, or was withdrawn: nothing was bound."""

    name: ClassVar[str] = "binding_ended"
    clause: ClassVar[str] = "BND-2"

    kind: Line
    ended_at: Moment
    why: Line
    rule: Line
    objection: Prose


class AccountUnbound(MerchantCaseMessage):
    """An account is none of the shop's any more, and how that came (BND-8, BND-14)."""

    name: ClassVar[str] = "account_unbound"
    clause: ClassVar[str] = "BND-8"

    kind: Line
    platform: Line
    account: Line
    ended_at: Moment
    how: Line
    rule: Line
    objection: Prose


class UnbindingRefused(MerchantCaseMessage):
    """An account stays: why, from when it may be let go, and how to object (BND-3, BND-8)."""

    name: ClassVar[str] = "unbinding_refused"
    clause: ClassVar[str] = "BND-3"

    kind: Line
    account: Line
    received_at: Moment
    grounds: Grounds
    objection: Prose
