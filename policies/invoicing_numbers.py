"""The numbers and VAT rates of invoicing (INV, CLS-8)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import Field

from models.base import Frozen
from models.event_parts import TaxpayerType
from models.invoicing import InvoiceContent
from models.money import Fen
from models.windows import PositiveWindow
from policies.sections import HoursBefore, Section


class VatRates(Frozen):
    """Which VAT rates an invoice may show, in force from ``since`` to ``until`` inclusive (by its issue date)."""

    taxpayer: TaxpayerType
    content: InvoiceContent
    percents: tuple[Annotated[Decimal, Field(ge=0, lt=100)], ...]
    ordinary_only: bool = False
    since: date
    until: date | None = None
    source: str


class InvoicingPolicy(Section):
    """INV and CLS-8: the monthly run, what an invoice must show, and what not invoicing leads to."""

    since: ClassVar[str] = "2026-01-01"

    run_day: int = Field(ge=1, le=28)
    run_hour: int = Field(ge=0, le=23)
    due: PositiveWindow
    freeze_percent: Annotated[Decimal, Field(gt=0, le=100)]
    reminder_hours_before: HoursBefore
    release_sla: PositiveWindow
    review_sla: PositiveWindow
    jump_percent: int = Field(gt=100)
    drop_percent: int = Field(ge=0, lt=100)
    change_floor_fen: Fen
    four_eyes_over_anomalies: int = Field(ge=0)
    four_eyes_over_percent: Annotated[Decimal, Field(ge=0, le=100)]
    line_tolerance_fen: int = Field(ge=0)
    oldest_invoice_days: int = Field(ge=1)
    service_names: frozenset[str] = Field(min_length=1)
    oldest_item_months: int = Field(ge=1)
    rates: tuple[VatRates, ...]

    @property
    def freeze_basis_points(self) -> int:
        """The share in hundredths of a per cent: 3000 for 30 %."""
        return int(self.freeze_percent * 100)
