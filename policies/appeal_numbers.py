"""The numbers of appeals and withdrawals, and what evidence may be (ARB, WDR)."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from models.arbitration import AppealReason, EvidenceKind, Handling, WithdrawalReason
from models.base import Frozen
from models.evidence import MediaType
from models.windows import PositiveHours, PositiveWindow
from policies.sections import Section


class EvidencePolicy(Frozen):
    """What evidence may be: how many items, how large, how long a link opens one."""

    max_items: int = Field(ge=1, le=50)
    forwarded_images: int = Field(ge=1, le=4)
    image_bytes: int = Field(ge=1)
    pdf_bytes: int = Field(ge=1)
    video_bytes: int = Field(ge=1)
    link_days: int = Field(ge=1, le=60)

    def most_bytes(self, media: MediaType) -> int:
        """How large a file of this type may be."""
        if media.is_image:
            return self.image_bytes
        return self.pdf_bytes if media is MediaType.PDF else self.video_bytes


class AppealPolicy(Section):
    """ARB and WDR: the merchant's two windows, our own times, who judges again, what a withdrawal undoes."""

    since: ClassVar[str] = "2026-01-01"

    window: PositiveWindow
    reevidence: PositiveWindow
    max_reevidence: Literal[1]
    """One round (ambiguity 10): the gates know no second, and the first one counts those asked."""
    review_sla: PositiveWindow
    service_sla: PositiveWindow
    finance_sla: PositiveWindow
    notice_within: PositiveHours
    second_reviewer: Literal["same", "other"]
    withdrawal_sla: PositiveWindow
    withdrawal_strikes_ruling: bool
    withdrawal_returns_deduction: bool
    withdrawal_handling: dict[WithdrawalReason, Handling] = Field(default_factory=dict)
    """What is proposed for a deduction whose arbitration is withdrawn, for each reason; people decide (ambiguity 35)."""
    correction_sla: PositiveWindow
    evidence: EvidencePolicy
    checklist: dict[AppealReason, tuple[EvidenceKind, ...]]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if missing := set(AppealReason) - set(self.checklist):
            raise ValueError(f"no checklist for {', '.join(sorted(missing))}")
        if self.withdrawal_returns_deduction and not self.withdrawal_strikes_ruling:
            raise ValueError("withdrawal_returns_deduction without withdrawal_strikes_ruling: money of a valid ruling")
        return self
