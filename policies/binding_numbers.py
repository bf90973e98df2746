"""The numbers of binding accounts, apart from the rules that use them, since the policy is made of them (BND)."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import Field

from models.windows import Hours, Minutes, NaturalDays, PositiveDays, PositiveHours, PositiveMinutes
from policies.sections import Section


class BindingPolicy(Section):
    """BND: how long links, codes and consents wait, how many channels there may be, and when one may be let go."""

    since: ClassVar[str] = "2026-12-01"

    link: PositiveMinutes = Minutes(n=30)
    """How long the official link may be scanned and accepted (BND-2)."""
    confirm: PositiveHours = Hours(n=24)
    """How long the shop has to confirm an account that has accepted (BND-2, BND-3)."""
    channel: PositiveMinutes = Minutes(n=60)
    """How long a shop has to enter a right code, over all the codes it asks for (BND-7)."""
    code: PositiveMinutes = Minutes(n=5)
    """How long a code is good for; only the newest counts."""
    code_tries: int = Field(default=5, ge=1, le=10)
    """How often a code may be entered wrongly."""
    codes: int = Field(default=3, ge=1, le=10)
    """How many codes one binding may ask for."""
    code_again_seconds: int = Field(default=60, ge=0, le=3600)
    codes_a_day: int = Field(default=10, ge=1, le=100)
    """How many codes an account is sent in 24 hours, whoever asks."""
    most_channels: int = Field(default=5, ge=1, le=99)
    unbind_after: PositiveDays = NaturalDays(n=180)
    share_percent: Annotated[Decimal, Field(gt=0, le=100)] = Decimal(50)
    """How much of what a talent sold has to be the shop's (BND-9)."""
    share_inclusive: bool = False
    """Whether exactly that much is enough; 超过 says no (ambiguity 17)."""
    share_days: int = Field(default=30, ge=1, le=365)
    figures: PositiveHours = Hours(n=48)
    """How long a marking waits for days that were not reported."""
    consent: PositiveDays = NaturalDays(n=7)
    """How long the talent may think about it; silence is a no (BND-10)."""
    consent_rest: PositiveDays = NaturalDays(n=7)
    """How long a talent who has said no to a shop is not asked by it again."""
    watch_hour: int = Field(default=9, ge=0, le=23)
    """From which hour of the day in Asia/Shanghai the daily look begins."""
