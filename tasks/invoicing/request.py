"""What is asked: 月度开票、发票审核."""

from __future__ import annotations

from pydantic import Field

from models.requests import Asked


class MonthAsked(Asked):
    """A month that is over, as ``2026-10``."""

    period: str = Field(title="账期")


class InvoiceReviewAsked(Asked):
    """An invoice that is not clean by rule."""

    invoice_id: str = Field(title="发票来源")
