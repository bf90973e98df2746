"""The numbers of reminding: how long before a deadline, how long after, and when not."""

from __future__ import annotations

from datetime import time
from typing import ClassVar

from pydantic import Field

from models.windows import PositiveHours
from policies.sections import HoursBefore, Section


class ReminderPolicy(Section):
    """When people are reminded before a deadline, in hours before it, and how often lateness is escalated."""

    since: ClassVar[str] = "2026-01-01"

    merchant_hours_before: HoursBefore
    ours_hours_before: HoursBefore
    escalate_every: PositiveHours


class DeadlinePolicy(Section):
    """How long after its due time a merchant's window lapses. Whoever came in time stays in time: the due time is
    what counts, and this is only how long we leave what is still on its way from the door into the inbox."""

    since: ClassVar[str] = "2026-01-01"

    lapse_after_seconds: int = Field(ge=1)


class QuietHours(Section):
    """Wall-clock times in Asia/Shanghai between which merchants are not reminded; may run over midnight."""

    since: ClassVar[str] = "2026-01-01"

    start: time
    end: time
