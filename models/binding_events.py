"""Events about binding accounts: what the shop's and the account's side send, what the platform hears (BND)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, StringConstraints

from models.bindings import AccountPlatform, BindingEnd, BindingKind
from models.wire import Event, Flag, Id, Moment, OptionalLine, Outgoing, inbound, outbound

Ticket = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^[A-Za-z0-9_-]{22,64}$"),
    Field(repr=False, description="what the link holds; never logged, kept as a keyed hash"),
]
_TICKET = "3q2-7wAAAAC8V1kQfT0mZxXbYd9Gh1Jr"
CASE = {"shop_id": "shop-1001", "account_id": "acct-1001", "case_id": "BND-261122-7K3QM9"}


# ── what comes in ────────────────────────────────────────────────────────────


@inbound
class OfficialAccountRequested(Event):
    """店铺申请绑定官方账号(BND-1、BND-2)

    Only the owner account may ask. ``account.ticket.issued`` answers with the link and its QR code. Which account it
    becomes is decided by who scans and accepts, and confirmed by the shop.
    """

    type: ClassVar[str] = "account.official_requested"
    EXAMPLE: ClassVar[dict[str, Any]] = {"shop_id": "shop-1001", "account_id": "acct-1001"}

    shop_id: Id
    account_id: Id


@inbound
class AccountScanned(Event):
    """账号扫码(BND-2)

    Somebody logged in as this account has opened the link in time. The first account that scans is the one: another
    that scans the same link is refused.
    """

    type: ClassVar[str] = "account.scanned"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "ticket": _TICKET,
        "target_account_id": "dy-7001",
        "target_name": "晨光文具官方号",
    }

    ticket: Ticket
    target_account_id: Id
    target_name: OptionalLine = ""


@inbound
class AccountAnswered(Event):
    """账号接受或拒绝绑定(BND-2)

    The account that has scanned accepts (``accepts``) or declines. Accepted while the link is good, the shop is asked to confirm.
    """

    type: ClassVar[str] = "account.answered"
    EXAMPLE: ClassVar[dict[str, Any]] = {"ticket": _TICKET, "target_account_id": "dy-7001", "accepts": True}

    ticket: Ticket
    target_account_id: Id
    accepts: Flag


@inbound
class OfficialAccountConfirmed(Event):
    """店铺确认绑定官方账号(BND-2、BND-3)

    The shop confirms the very account that has accepted. ``knows_for_ever`` says that its owner was shown the warning of
    ``account.accepted`` and agreed: without it nothing is bound.
    """

    type: ClassVar[str] = "account.official_confirmed"
    EXAMPLE: ClassVar[dict[str, Any]] = CASE | {"target_account_id": "dy-7001", "knows_for_ever": True}

    shop_id: Id
    account_id: Id
    case_id: Id
    target_account_id: Id
    knows_for_ever: Flag


@inbound
class BindingWithdrawn(Event):
    """店铺撤回绑定申请(BND-2)

    Until the account is bound.
    """

    type: ClassVar[str] = "account.binding_withdrawn"
    EXAMPLE: ClassVar[dict[str, Any]] = CASE

    shop_id: Id
    account_id: Id
    case_id: Id


@inbound
class UnbindRequested(Event):
    """店铺申请解绑(BND-3、BND-8、BND-14)

    An official account never leaves, a channel when 180 × 24 hours have passed, a self-operated one at once (it is
    marked as 带货 again). What is refused is told to the merchant with the clause and, where there is one, the date.
    """

    type: ClassVar[str] = "account.unbind_requested"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "account_id": "acct-1001",
        "kind": "CHANNEL",
        "platform": "DOUYIN",
        "target_account_id": "dy-7002",
    }

    shop_id: Id
    account_id: Id
    kind: BindingKind
    platform: AccountPlatform = AccountPlatform.DOUYIN
    target_account_id: Id


# ── what goes out ────────────────────────────────────────────────────────────

ABOUT = {
    "shop_id": "shop-1001",
    "case_id": "BND-261122-7K3QM9",
    "kind": "OFFICIAL",
    "platform": "DOUYIN",
    "target_account_id": "dy-7001",
    "target_name": "晨光文具官方号",
}


class AboutBinding(Outgoing):
    """What every event about an account and a shop says."""

    shop_id: Id
    case_id: Id
    kind: BindingKind
    platform: AccountPlatform
    target_account_id: Id
    target_name: OptionalLine = ""


@outbound
class TicketIssued(Outgoing):
    """官方账号绑定链接与二维码(BND-2)

    To be shown to the shop's owner. ``link`` and ``qr_svg`` say the same; both are good until ``expires_at``, that second included.
    Whoever opens the link in the app sends ``account.scanned`` with the ``ticket``.
    """

    type: ClassVar[str] = "account.ticket.issued"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "case_id": "BND-261122-7K3QM9",
        "ticket": _TICKET,
        "link": f"https://door.example.com/accounts/tickets/{_TICKET}",
        "qr_svg": '<svg xmlns="http://www.w3.org/2000/svg"/>',
        "expires_at": "2026-11-22T02:30:00Z",
    }

    shop_id: Id
    case_id: Id
    ticket: Ticket
    link: Annotated[str, Field(repr=False)]
    qr_svg: Annotated[str, Field(repr=False, description="the QR code of the link, as SVG")]
    expires_at: Moment


@outbound
class ScanRecorded(AboutBinding):
    """账号已扫码(BND-2)

    Who has scanned is fixed from now on; the account is to be asked whether it accepts until ``until``.
    """

    type: ClassVar[str] = "account.scan.recorded"
    EXAMPLE: ClassVar[dict[str, Any]] = ABOUT | {"until": "2026-11-22T02:30:00Z"}

    until: Moment


@outbound
class AccountAccepted(AboutBinding):
    """账号已接受,请店铺确认(BND-2、BND-3)

    ``warning`` has to be shown before ``account.official_confirmed`` is sent.
    """

    type: ClassVar[str] = "account.accepted"
    EXAMPLE: ClassVar[dict[str, Any]] = ABOUT | {
        "until": "2026-11-23T02:30:00Z",
        "warning": "官方账号绑定后不能解绑,也不能更换。",
    }

    until: Moment
    warning: str


@outbound
class AccountBound(AboutBinding):
    """账号已绑定(BND-1、BND-4、BND-5、BND-9)

    ``unbind_from`` is the first moment a channel may be let go (BND-8); null where none is waited for, and for an official
    account, which stays (``for_ever``). ``fee_waived`` says that the certification fee is not asked for any more (BND-4).
    """

    type: ClassVar[str] = "account.bound"
    EXAMPLE: ClassVar[dict[str, Any]] = ABOUT | {
        "bound_at": "2026-11-22T02:20:00Z",
        "for_ever": True,
        "unbind_from": None,
        "fee_waived": True,
        "clause": "BND-1",
    }

    bound_at: Moment
    for_ever: bool
    unbind_from: Moment | None = None
    fee_waived: bool = False
    clause: str


@outbound
class AccountUnbound(AboutBinding):
    """账号已解绑(BND-8、BND-14)

    From ``ended_at`` on the account is none of the shop's.
    """

    type: ClassVar[str] = "account.unbound"
    EXAMPLE: ClassVar[dict[str, Any]] = ABOUT | {
        "kind": "CHANNEL",
        "ended_at": "2027-06-01T02:20:00Z",
        "how": "UNBOUND",
        "clause": "BND-8",
    }

    ended_at: Moment
    how: BindingEnd
    clause: str
