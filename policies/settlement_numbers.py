"""The numbers of settlement, apart from the rules that use them, since the policy is made of them (STL)."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import Field

from models.money import Fen
from models.windows import PositiveWindow, WorkingDays
from policies.sections import Section


class SettlementPolicy(Section):
    """STL: the run of every half month, who releases it, what makes finance look twice."""

    since: ClassVar[str] = "2026-12-01"

    run_hour: int = Field(default=4, ge=0, le=23)
    """On the 1st and the 16th, in Asia/Shanghai."""
    oldest_order_months: int = Field(default=24, ge=1)
    release_sla: PositiveWindow = WorkingDays(n=1)
    return_sla: PositiveWindow = WorkingDays(n=2)
    account_rest_hours: int = Field(default=24, ge=0, le=24 * 30)
    """How long a new account rests before money goes there: whoever had it changed in somebody's name is found out first."""
    jump_percent: int = Field(default=300, gt=100)
    drop_percent: int = Field(default=30, ge=0, lt=100)
    change_floor_fen: Fen = 10_000_00
    four_eyes_over_anomalies: int = Field(default=20, ge=0)
    four_eyes_over_percent: Annotated[Decimal, Field(ge=0, le=100)] = Decimal(1)
    four_eyes_over_fen: Fen = 1_000_000_00
    """A half that pays more than this in all takes two people."""
    second_payout_over_fen: Fen = 10_000_00
    """So does paying more than this again after a return."""
