"""What is asked: 保证金催缴."""

from __future__ import annotations

from pydantic import Field

from models.requests import Asked
from models.shops import Capability


class BanAsked(Asked):
    """Of a forced closure: who proposed it."""

    proposed_by: str = Field("", title="提议人")


class MoneyAsked(Asked):
    """Of a refund: how much was applied for, in fen."""

    amount_fen: int = Field(title="申请金额")


class DepositDemanded(Asked):
    """A demand, how often its window was made longer, and what was shut off when nothing came."""

    longer: int = Field(0, title="已延长期限次数")
    suspended: tuple[Capability, ...] = Field((), title="已关闭的能力")
