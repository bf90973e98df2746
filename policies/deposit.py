"""Deposits: how much a shop owes, what is missing, and how far a deduction reaches (DEP, DED-9).

A paid deposit is frozen money: it is set off against compensation and penalties, never withdrawn or spent
otherwise (DEP-9, ambiguity 21).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from models.base import Frozen
from models.money import Money
from models.shops import EntityType, ShopState
from models.windows import Reckoned
from policies.deadlines import reckon
from policies.deposit_numbers import DepositSchedule
from policies.policy import Policy


class NotRecruiting(Exception):
    """Categories that this entity type cannot open a shop in (DEP-4). ``sentence`` is for the merchant."""

    clause = "DEP-4"

    def __init__(self, entity: EntityType, categories: Sequence[str], recruited: Sequence[str]) -> None:
        self.entity = entity
        self.categories = tuple(categories)
        self.sentence = (
            f"{entity.label}主体目前仅可经营{'、'.join(recruited)}类目,"
            f"您选择的{'、'.join(categories)}类目暂不招商({self.clause})。"
        )
        super().__init__(self.sentence)


def required_deposit(entity: EntityType, categories: Collection[str], policy: Policy) -> Money:
    """What a shop must have paid: the highest of its level-1 categories, never their sum (DEP-1, DEP-5).

    By the schedule of its entity type: individual business DEP-2, enterprise DEP-3, person DEP-4. It alone governs: the
    "typical" 2,000 to 5,000 of DEP-6 (ambiguity 8) and the 600 a year of DEP-7, a certification fee (ambiguity 2), do not.

    A category goes by each of its names (ambiguity 45).
    One outside the schedule costs the entity type's default, as does a shop without any category;
    where only the listed ones are recruited, an unlisted one raises NotRecruiting.
    """
    schedule = policy.deposit.of(entity)
    listed = {category: _listed(category, schedule, policy) for category in categories}
    unlisted = [category for category, name in listed.items() if name is None]
    if unlisted and schedule.only_listed:
        raise NotRecruiting(entity, unlisted, list(schedule.categories))
    figures = [schedule.categories[name] if name else schedule.default_fen for name in listed.values()]
    return Money(fen=max(figures, default=schedule.default_fen))


def _listed(category: str, schedule: DepositSchedule, policy: Policy) -> str | None:
    """The name under which the schedule has the category."""
    names = [category, *(name for names in policy.deposit.same_category if category in names for name in names)]
    return next((name for name in names if name in schedule.categories), None)


def topup_due(required: Money, balance: Money) -> Money:
    """What must be paid in so that ``balance`` reaches ``required``; nothing when it does (DEP-11)."""
    _same_currency(required, balance)
    return Money(fen=max(0, required.fen - balance.fen), currency=required.currency)


class Missing(Frozen):
    """What a shop must have paid to be open, and what of it is missing (DEP-10, DEP-11, ambiguity 36).

    The certification fee is no part of the deposit: money beyond the required deposit does not pay it, nor it the deposit.
    """

    required: Money
    balance: Money
    fee: Money = Money()

    @property
    def shortfall(self) -> Money:
        """What is missing of the deposit."""
        return topup_due(self.required, self.balance)

    @property
    def total(self) -> Money:
        return Money(fen=self.shortfall.fen + self.fee.fen)

    def text(self) -> str:
        """``保证金 ¥1,000.00、认证审核费 ¥600.00``, of which only what is missing."""
        parts = (("保证金", self.shortfall), ("认证审核费", self.fee))
        return "、".join(f"{name} {amount}" for name, amount in parts if amount)

    def clause(self, state: ShopState) -> str:
        """The clause to be cited: what keeps a shop from opening, or what an open one has to top up."""
        if not self.shortfall:
            return "DEP-7"
        return "DEP-10" if state is ShopState.AWAITING_DEPOSIT else "DEP-11"


def certification_fee(
    entity: EntityType, official_account: bool | None, certified_until: datetime | None, now: datetime, policy: Policy
) -> Money:
    """The certification fee that is due now: of businesses, for one year at a time (DEP-7, ambiguity 2).

    Waived where an official account is bound (OPN-17), and not asked for where nobody has said whether one is. The
    year paid for includes the second it ends in.
    """
    if official_account is not False or entity not in policy.deposit.certification_fee_of:
        return Money()
    paid = certified_until is not None and now.replace(microsecond=0) <= certified_until
    return Money() if paid else Money(fen=policy.deposit.certification_fee_fen)


def certified_for(paid_at: datetime, certified_until: datetime | None, policy: Policy) -> Reckoned:
    """The year that a fee pays for: from the payment, or from the end of the year that is paid already (DEP-7)."""
    start = paid_at if certified_until is None else max(paid_at, certified_until)
    return reckon(start, policy.deposit.certification_fee_every, "DEP-7")


def split_deduction(amount: Money, balance: Money) -> tuple[Money, Money]:
    """How much of a deduction comes from the deposit, and how much becomes arrears (DED-9).

    The two add up to ``amount`` and the first never exceeds ``balance``. A deduction of nothing is a
    ValueError.
    """
    _same_currency(amount, balance)
    if not amount:
        raise ValueError("a deduction of nothing is no deduction (DED-9)")
    from_deposit = min(amount.fen, balance.fen)
    return (
        Money(fen=from_deposit, currency=amount.currency),
        Money(fen=amount.fen - from_deposit, currency=amount.currency),
    )


def _same_currency(one: Money, other: Money) -> None:
    if one.currency != other.currency:
        raise ValueError(f"{one.currency} and {other.currency} do not add up")
