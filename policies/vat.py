"""Goods or a service by its name, and the tax on it: rates, rounding, an amount with tax split (INV-2, INV-6)."""

from __future__ import annotations

import re
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from models.event_parts import TaxpayerType
from models.invoicing import InvoiceContent, InvoiceKind
from models.invoicing_events import InvoiceLineData
from policies.invoicing_numbers import InvoicingPolicy, VatRates


def is_goods(line: InvoiceLineData, policy: InvoicingPolicy) -> bool:
    return line.content is InvoiceContent.GOODS or (bool(short_name(line.name)) and goods_by_name(line.name, policy))


def short_name(name: str) -> str:
    """The ``*…*`` word of an item, from the tax administration's classification; empty without one."""
    named = re.match(r"\s*[*＊]([^*＊]+)[*＊]", name)
    return named[1].strip() if named else ""


NO_GOODS = ("服务", "租赁", "劳务", "费", "无形资产")
"""What a word of the classification for anything but goods has in it, beside the policy's own list."""


def goods_by_name(name: str, policy: InvoicingPolicy) -> bool:
    """Whether its name says goods, whatever it was declared as (INV-6): by the classification's word, where it has one."""
    word = short_name(name) or name.strip()
    return word not in policy.service_names and not any(part in word for part in NO_GOODS)


def wrong_quantity(name: str, quantity: str | Decimal | None, policy: InvoicingPolicy) -> bool:
    """Whether this is goods by its name without the quantity 0 that goods must show (INV-6).

    Where the classification's word is missing, only a quantity makes it goods: without one a clerk looks at the name.
    """
    if not goods_by_name(name, policy):
        return False
    return bool(short_name(name)) if quantity is None else Decimal(quantity) != 0


def allowed_rates(
    taxpayer: TaxpayerType | None, content: InvoiceContent, kind: InvoiceKind, day: date, policy: InvoicingPolicy
) -> frozenset[Decimal]:
    """Per cents that such an invoice may show on its day of issue."""

    def in_force(rates: VatRates) -> bool:
        return rates.since <= day and (rates.until is None or day <= rates.until)

    return frozenset(
        percent
        for rates in policy.rates
        if rates.taxpayer is taxpayer
        and rates.content is content
        and in_force(rates)
        and (kind is InvoiceKind.ORDINARY or not rates.ordinary_only)
        for percent in rates.percents
    )


def tax_of(net_fen: int, rate: str) -> int:
    """Tax on a net amount, half up to the fen."""
    return int((Decimal(net_fen) * Decimal(rate) / 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def split_gross(gross_fen: int, rate: str) -> tuple[int, int]:
    """(net, tax) of an amount with tax: the tax first, half up, then the rest; 200.00 at 1 % is 198.02 and 1.98."""
    percent = Decimal(rate)
    tax = int((Decimal(gross_fen) * percent / (100 + percent)).quantize(Decimal(1), rounding=ROUND_HALF_UP))
    return gross_fen - tax, tax
