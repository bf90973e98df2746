"""The quarterly tax report: each merchant's identity and income, from the same books (国务院令第810号).

Income are the subsidies settled to the shop in the quarter, by the month they were settled in, and the receivables
posted to it in the quarter, in Beijing time. An exit statement, which bills several months, counts in the quarter it was
issued in.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.event_parts import TaxpayerType
from models.shops import EntityType
from office.base import bulk
from office.base.db import reading
from office.base.whole import whole
from policies.invoicing import begins, next_period, quarter

COLUMNS = (
    "季度", "店铺编号", "店铺名称", "主体类型", "名称", "统一社会信用代码", "纳税人类型", "平台补贴(元)", "补贴笔数", "货款收入(元)",
    "收入合计(元)", "已开票(元)",
)  # fmt: skip

_ROWS = """
    SELECT s.id, s.name, s.entity_type, s.licence_name, s.owner_name, s.uscc, s.taxpayer_type, COALESCE(b.fen, 0),
        COALESCE(b.items, 0), COALESCE(r.fen, 0), COALESCE(i.fen, 0)
    FROM shop s
    LEFT JOIN (SELECT shop_id, SUM(amount_fen) AS fen, COUNT(*) AS items FROM billable_item
        WHERE own_period >= :first AND own_period <= :last AND category <> 'CARRIED' GROUP BY shop_id) b ON b.shop_id = s.id
    LEFT JOIN (SELECT a.shop_id, SUM(t.amount_fen) AS fen FROM transfer t JOIN account a ON a.id = t.credit_account
        WHERE t.reason = 'receivable.settled' AND t.posted_at >= :since AND t.posted_at < :until GROUP BY a.shop_id) r
        ON r.shop_id = s.id
    LEFT JOIN (SELECT shop_id, SUM(invoiced_fen) AS fen FROM statement
        WHERE (period >= :first AND period <= :last)
            OR (period LIKE 'exit/%' AND issued_at >= :since AND issued_at < :until) GROUP BY shop_id) i ON i.shop_id = s.id
    WHERE COALESCE(b.fen, 0) <> 0 OR COALESCE(r.fen, 0) <> 0 ORDER BY s.id"""


def rows(name: str) -> Iterator[tuple[Any, ...]]:
    """One row for each merchant with income in the quarter; amounts as decimal text in yuan."""
    first, _, last = quarter(name)
    words = bulk.sql(_ROWS, since=begins(first), until=begins(next_period(last)))
    with reading() as tx:
        found = tx.execute(words, {"first": first, "last": last}, execution_options={"yield_per": 1000})
        for shop, title, entity, licence, owner, uscc, taxpayer, subsidy, items, sales, invoiced in found:
            yield (
                name.upper(),
                shop,
                title,
                EntityType(entity).label,
                licence or owner,
                uscc,
                TaxpayerType(taxpayer).label if taxpayer else "",
                _yuan(subsidy),
                int(items),
                _yuan(sales),
                _yuan(int(subsidy) + int(sales)),
                _yuan(invoiced),
            )


def _yuan(fen: int) -> str:
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(int(fen)) // 100}.{abs(int(fen)) % 100:02d}"


_AMOUNT = re.compile(r"-?[0-9]+\.[0-9]{2}")
_REWRITTEN = re.compile(r"0[0-9]+|[0-9]{12,}|[0-9]+[eE][0-9]+|[0-9]{1,4}[-/:][0-9]{1,2}([-/:][0-9]{1,4})?")
"""What a spreadsheet makes another number, a time or a date of: long digits, digits with E, leading zeros, ``1-2``."""


def harmless(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula, or rewrite, gets a quotation mark in front; amounts stay."""
    if not isinstance(value, str) or _AMOUNT.fullmatch(value):
        return value
    folded = unicodedata.normalize("NFKC", value).lstrip()
    runs = folded[:1] in tuple("=+-@") or value[:1] in tuple("\t\r\n")
    return f"'{value}" if runs or _REWRITTEN.fullmatch(folded) else value


def write(name: str, path: Path) -> int:
    """Write the report as CSV (UTF-8 with mark, which spreadsheets open rightly) or Parquet, by the file's ending."""
    if path.suffix == ".parquet":
        return _write_parquet(name, path)
    count = 0
    with whole(path) as draft, draft.open("w", encoding="utf-8-sig", newline="") as file:
        sheet = csv.writer(file)
        sheet.writerow(COLUMNS)
        for row in rows(name):
            sheet.writerow([harmless(value) for value in row])
            count += 1
    return count


def _write_parquet(name: str, path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    shape = pa.schema([(column, pa.int64() if column == "补贴笔数" else pa.string()) for column in COLUMNS])
    count, batch = 0, list[tuple[Any, ...]]()
    with whole(path) as draft, pq.ParquetWriter(draft, shape) as writer:
        for row in rows(name):
            batch.append(row)
            count += 1
            if len(batch) == 10_000:
                writer.write_table(_table(batch, shape))
                batch = []
        writer.write_table(_table(batch, shape))
    return count


def _table(batch: list[tuple[Any, ...]], shape: Any) -> Any:
    import pyarrow as pa

    return pa.table([list(column) for column in zip(*batch, strict=True)] or [[] for _ in COLUMNS], schema=shape)
