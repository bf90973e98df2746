"""Events about self-operated accounts: marked, what their talents sold, and the talents' own word (BND-9 to BND-14)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from models.base import Frozen
from models.binding_events import ABOUT, AboutBinding
from models.event_parts import Rejected
from models.money import Fen
from models.wire import Day, Event, Flag, Id, LineOf, Moment, OptionalLine, Outgoing, inbound, outbound


class MarkedAccount(Frozen):
    """One account of a batch."""

    target_account_id: Id
    target_name: OptionalLine = ""


@inbound
class MarkingRequested(Event):
    """店铺批量标记自营账号(BND-9、BND-13)

    One or up to a hundred accounts; each is a case of its own, with its own result. ``accounts.marking.received`` says which
    case is whose, and which lines could not be read. Nothing is bound without the talent's consent.
    """

    type: ClassVar[str] = "accounts.marking_requested"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "account_id": "acct-1001",
        "accounts": [{"target_account_id": "dy-8001", "target_name": "小晨爱手账"}, {"target_account_id": "dy-8002"}],
    }

    shop_id: Id
    account_id: Id
    accounts: Annotated[tuple[Annotated[Any, LineOf(MarkedAccount)], ...], Field(min_length=1, max_length=100)]


@inbound
class ConsentAnswered(Event):
    """达人同意或拒绝(BND-10)

    The talent's own word, for the case that asked; silence within the window is a no.
    """

    type: ClassVar[str] = "account.consent_answered"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "case_id": "BND-261122-7K3QM9",
        "target_account_id": "dy-8001",
        "agrees": True,
    }

    case_id: Id
    target_account_id: Id
    agrees: Flag


@inbound
class ConsentWithdrawn(Event):
    """达人撤回同意(BND-14)

    At any time, without waiting: the account is none of the shop's any more.
    """

    type: ClassVar[str] = "account.consent_withdrawn"
    EXAMPLE: ClassVar[dict[str, Any]] = {"target_account_id": "dy-8001"}

    target_account_id: Id


class ShopPart(Frozen):
    """What of a talent's sales of a day were goods of one shop."""

    shop_id: Id
    fen: Fen


class TalentSalesOfADay(Frozen):
    """One talent's day: 成交金额 gross of refunds, in fen, with every shop whose goods were sold."""

    target_account_id: Id
    day: Day
    total_fen: Fen
    shops: Annotated[tuple[ShopPart, ...], Field(max_length=1000)] = ()

    @model_validator(mode="after")
    def _each_shop_once(self) -> Self:
        if len({one.shop_id for one in self.shops}) != len(self.shops):
            raise ValueError("each shop_id only once a day")
        return self


@inbound
class TalentSales(Event):
    """达人逐日成交数据(BND-9)

    Whole days of Asia/Shanghai, in batches of up to 500. What is sent later for a day replaces it, if it is as of the same
    moment or later; shops that it does not name sold nothing that day. As of before the day's end it is not the whole day.
    Each line is judged by itself: good ones are kept, the others come back in ``figures.rejected``.
    """

    type: ClassVar[str] = "talent.sales"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "as_of": "2026-11-22T02:00:00+08:00",
        "days": [
            {
                "target_account_id": "dy-8001",
                "day": "2026-11-21",
                "total_fen": 100000,
                "shops": [{"shop_id": "shop-1001", "fen": 60000}],
            }
        ],
    }

    as_of: Moment
    days: Annotated[tuple[Annotated[Any, LineOf(TalentSalesOfADay)], ...], Field(min_length=1, max_length=500)]


class MarkingCase(Frozen):
    """Which case is about which account."""

    target_account_id: Id
    case_id: Id


@outbound
class MarkingReceived(Outgoing):
    """批量标记已收到(BND-13)

    One case an account; what became of each is told by ``case.concluded`` and ``account.bound``.
    """

    type: ClassVar[str] = "accounts.marking.received"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "cases": [{"target_account_id": "dy-8001", "case_id": "BND-261122-7K3QM9"}],
    }

    shop_id: Id
    cases: tuple[MarkingCase, ...]
    rejected: tuple[Rejected, ...] = ()


@outbound
class FiguresRequested(AboutBinding):
    """请补报达人成交数据(BND-9)

    ``days`` were not reported, were reported before they were over, or contradict themselves; ``talent.sales`` answers.
    Without them until ``until`` the marking ends.
    """

    type: ClassVar[str] = "talent.sales.requested"
    EXAMPLE: ClassVar[dict[str, Any]] = ABOUT | {
        "kind": "SELF_OPERATED",
        "target_account_id": "dy-8001",
        "days": ["2026-11-20"],
        "until": "2026-11-24T02:00:00Z",
    }

    days: tuple[Day, ...]
    until: Moment


@outbound
class ConsentRequested(AboutBinding):
    """请达人同意成为自营账号(BND-10)

    To be shown to the talent, who answers with ``account.consent_answered`` until ``until``; silence is a no. Sent again as a
    ``reminder``. Once agreed, the talent may withdraw at any time.
    """

    type: ClassVar[str] = "account.consent.requested"
    EXAMPLE: ClassVar[dict[str, Any]] = ABOUT | {
        "kind": "SELF_OPERATED",
        "target_account_id": "dy-8001",
        "shop_name": "晨光文具",
        "until": "2026-11-29T02:00:00Z",
        "reminder": False,
    }

    shop_name: str
    until: Moment
    reminder: bool = False


class ProposedAccount(Frozen):
    """An account with the shop's share of what it sold, in per cent with two decimals."""

    target_account_id: Id
    share_percent: str


@outbound
class SelfOperatedProposed(Outgoing):
    """自营账号建议(BND-11)

    What the daily look found new: accounts that sell mostly for the shop. Nothing is bound: ``accounts.marking_requested``
    marks them, and each talent is asked.
    """

    type: ClassVar[str] = "self_operated.proposed"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "day": "2026-11-22",
        "accounts": [{"target_account_id": "dy-8001", "share_percent": "66.67"}],
    }

    shop_id: Id
    day: Day
    accounts: tuple[ProposedAccount, ...]
