"""Files of billable items: their columns, and what is done with each thousand of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from models.invoicing import BillableCategory
from office.base.db import Tx
from office.items import sheets
from office.items.batches import Recorded
from office.items.cells import Columns
from tasks.invoicing.billables import note, record

BILLABLES = Columns(
    headers={
        "item_id": "item_id", "明细编号": "item_id", "shop_id": "shop_id", "店铺编号": "shop_id", "category": "category",
        "类别": "category", "amount_fen": "amount_fen", "金额(分)": "amount_fen", "amount_yuan": "amount_yuan",
        "金额(元)": "amount_yuan", "settled_at": "settled_at", "结算时间": "settled_at", "description": "description",
        "说明": "description", "corrects": "corrects", "被更正明细": "corrects",
    },
    key="item_id", needed=frozenset({"item_id", "shop_id", "category", "settled_at", "amount_fen"}),
    ids=frozenset({"item_id", "shop_id", "corrects"}), amounts=frozenset({"amount_fen"}),
    moments=frozenset({"settled_at"}), last=frozenset({"description", "corrects"}),
    texts=frozenset({"category", "description"}), yuan_remedy="金额须为元,最多两位小数,例如 90.00 或 -12.50",
    labels={"category": {category.label: category.value for category in BillableCategory}},
)  # fmt: skip


def import_file(path: Path, actor: str = "operator") -> Iterator[tuple[int, int, Recorded]]:
    """Record a file of billable items (:func:`office.items.sheets.import_file`)."""

    def take(tx: Tx, items: Sequence[tuple[int, Mapping[str, Any]]]) -> Recorded:
        found = record(tx, items)
        note(tx, found, items, actor)
        return found

    return sheets.import_file(path, BILLABLES, take)
