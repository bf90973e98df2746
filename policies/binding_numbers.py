"""The numbers of binding accounts, apart from the rules that use them, since the policy is made of them (BND)."""

from __future__ import annotations

from pydantic import Field

from models.base import Frozen
from models.windows import Hours, Minutes, NaturalDays, PositiveHours, PositiveMinutes, PositiveWindow


class BindingPolicy(Frozen):
    """BND: how long links, codes and consents wait, how many channels there may be, and when one may be let go."""

    link: PositiveMinutes = Minutes(n=30)
    """How long the official link may be scanned and accepted (BND-2)."""
    confirm: PositiveHours = Hours(n=24)
    """How long the shop has to confirm an account that has accepted (BND-2, BND-3)."""
    most_channels: int = Field(default=5, ge=1, le=99)
    unbind_after: PositiveWindow = NaturalDays(n=180)
