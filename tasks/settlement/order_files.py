"""Files of orders and of after-sales: their columns, and what is done with each thousand of them (STL-1, STL-4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from office.base.db import Tx
from office.items import sheets
from office.items.batches import Recorded
from office.items.cells import Columns
from tasks.settlement.orders import note_aftersales, note_orders, record_aftersales, record_orders

_ORDER = {"goods": "买家实付", "subsidy": "平台补贴", "refund": "退款", "commission": "佣金", "fee": "服务费"}
_AFTERSALE = {"refund": "退款", "subsidy_back": "退回补贴", "commission_back": "退回佣金", "fee_back": "退回服务费"}


def _amounts(parts: Mapping[str, str]) -> dict[str, str]:
    """The headers of amounts: ``goods_fen``, ``goods_yuan``, ``买家实付(分)``, ``买家实付(元)``."""
    return {
        header: f"{part}_{unit}"
        for part, word in parts.items()
        for unit, sign in (("fen", "分"), ("yuan", "元"))
        for header in (f"{part}_{unit}", f"{word}({sign})")
    }


ORDERS = Columns(
    headers={
        "order_id": "order_id", "订单编号": "order_id", "shop_id": "shop_id", "店铺编号": "shop_id",
        "confirmed_at": "confirmed_at", "确认收货时间": "confirmed_at", **_amounts(_ORDER),
    },
    key="order_id", needed=frozenset({"order_id", "shop_id", "confirmed_at", "goods_fen"}),
    ids=frozenset({"order_id", "shop_id"}), amounts=frozenset(f"{part}_fen" for part in _ORDER),
    moments=frozenset({"confirmed_at"}), last=frozenset(f"{part}_{unit}" for part in _ORDER for unit in ("fen", "yuan")),
)  # fmt: skip

AFTERSALES = Columns(
    headers={
        "aftersale_id": "aftersale_id", "售后编号": "aftersale_id", "order_id": "order_id", "订单编号": "order_id",
        "shop_id": "shop_id", "店铺编号": "shop_id", "opened_at": "opened_at", "发起时间": "opened_at",
        "ended_at": "ended_at", "结束时间": "ended_at", **_amounts(_AFTERSALE),
    },
    key="aftersale_id", needed=frozenset({"aftersale_id", "order_id", "shop_id", "opened_at"}),
    ids=frozenset({"aftersale_id", "order_id", "shop_id"}), amounts=frozenset(f"{part}_fen" for part in _AFTERSALE),
    moments=frozenset({"opened_at", "ended_at"}),
    last=frozenset({"ended_at", *(f"{part}_{unit}" for part in _AFTERSALE for unit in ("fen", "yuan"))}),
)  # fmt: skip


def import_orders(path: Path, actor: str = "operator") -> Iterator[tuple[int, int, Recorded]]:
    """Record a file of confirmed orders (:func:`office.items.sheets.import_file`)."""

    def take(tx: Tx, items: Sequence[tuple[int, Mapping[str, Any]]]) -> Recorded:
        found = record_orders(tx, items)
        note_orders(tx, found, items, actor)
        return found

    return sheets.import_file(path, ORDERS, take)


def import_aftersales(path: Path, actor: str = "operator") -> Iterator[tuple[int, int, Recorded]]:
    """Record a file of after-sales as they stand."""

    def take(tx: Tx, items: Sequence[tuple[int, Mapping[str, Any]]]) -> Recorded:
        found = record_aftersales(tx, items)
        note_aftersales(tx, found, items, actor)
        return found

    return sheets.import_file(path, AFTERSALES, take)
