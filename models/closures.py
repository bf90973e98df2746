"""Closures: the words a closing request is made of."""

from __future__ import annotations

from models.base import Labelled


class ClosureReason(Labelled):
    """The closed list of reasons (CLS-2). ``OTHER`` says nothing by itself and needs a text."""

    POOR_BUSINESS = "POOR_BUSINESS", "经营不善"
    STRATEGY_CHANGE = "STRATEGY_CHANGE", "经营策略转变"
    STOCK_CLEARED = "STOCK_CLEARED", "商品库存清零"
    OTHER = "OTHER", "其他原因"
