"""The numbers of closing a shop, of its own will or by force (CLS, REO)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from models.windows import Hours, NaturalDays, PositiveHours, PositiveWindow
from policies.sections import Section


class ClosurePolicy(Section):
    """CLS and REO: how long closing may take, and from when a shop may open again."""

    since: ClassVar[str] = "2026-01-01"

    ask: PositiveWindow
    review_sla: PositiveWindow
    facts_stale_after: PositiveHours
    facts_ahead_minutes: int = Field(ge=0)
    facts_answer_within: PositiveWindow = Hours(n=4)
    clearing_reminder_every: PositiveWindow
    write_off_after: PositiveWindow = NaturalDays(n=15)
    """How long clearing may drag on until people are asked whether what stands open is written off, and asked again."""
    exit_invoice: PositiveWindow
    reopen: PositiveWindow
    reopen_strict: bool


class ForcedClosurePolicy(Section):
    """CLS-10: how soon and by how many different people a forced closure is decided, and what it held back."""

    since: ClassVar[str] = "2026-01-01"

    review_sla: PositiveWindow
    receivables_sla: PositiveWindow = NaturalDays(n=30)
    people: Literal[2]
    """Two steps ask two people; the act counts them again."""
