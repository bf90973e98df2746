"""Settlement from the command line: files of orders and after-sales line by line, halves, holds, statements."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.play import Office
from tests.settlement import kit

Done = Callable[..., str]
ORDERS = """订单编号,店铺编号,确认收货时间,买家实付（元）,平台补贴（元）,佣金（元）
o-1,shop-1,2026-11-20 09:05,"1,290.00",10.00,12.90
o-2,shop-9,2026-11-20 09:05,10.00,,
o-3,shop-1,2026-11-20 09:05,0.001,,
o-4,shop-1,2026-11-20T09:05:00+08:00,5.00
"""
AFTERSALES = """售后编号,订单编号,店铺编号,发起时间,结束时间,退款（元）
a-1,o-1,shop-1,2026-11-21 09:00,2026-11-22 09:00,100.00
a-2,o-4,shop-1,2026-11-21 09:00,,
a-3,o-1,shop-1,2026-11-21 09:00,2026-11-20 09:00,100.00
"""


@pytest.fixture
def shop(office: Office) -> Office:
    kit.ours(office)
    return office


def test_an_import_keeps_good_lines_and_lists_bad_ones(shop: Office, refused: Done, tmp_path: Path) -> None:
    file, rejects = tmp_path / "订单.csv", tmp_path / "拒绝.csv"
    file.write_bytes(ORDERS.encode("gbk"))
    shown = refused("settlement", "import-orders", str(file), "--rejects", str(rejects))
    assert "入账 2 条" in shown and "拒绝 2 条" in shown
    with rejects.open(encoding="utf-8-sig", newline="") as sheet:
        assert [(row[0], row[1], row[2]) for row in list(csv.reader(sheet))[1:]] == [
            ("3", "o-2", "shop_id"),
            ("4", "o-3", "goods_fen"),
        ]
    assert kit.order_row("o-1").net_fen == 129_000 + 1_000 - 1_290
    assert "入账 0 条，重复 2 条" in refused("settlement", "import-orders", str(file))


def test_after_sales_are_imported_as_they_stand(shop: Office, refused: Done, tmp_path: Path) -> None:
    orders, sales = tmp_path / "orders.csv", tmp_path / "sales.csv"
    orders.write_text(ORDERS, encoding="utf-8")
    sales.write_text(AFTERSALES, encoding="utf-8")
    assert "入账 2 条，重复 0 条，拒绝 1 条" in refused("settlement", "import-aftersales", str(sales))
    refused("settlement", "import-orders", str(orders))  # the orders come after
    assert (kit.order_row("o-1").half, kit.order_row("o-4").half) == (kit.NOVEMBER, None)
    assert kit.aftersale_row("a-1").half == kit.NOVEMBER


def test_a_parquet_file_brings_the_same(shop: Office, done: Done, tmp_path: Path) -> None:
    file = tmp_path / "orders.parquet"
    at = datetime(2026, 11, 20, 1, tzinfo=UTC)
    pq.write_table(  # type: ignore[no-untyped-call]
        pa.table(
            {
                "order_id": ["p-1", "p-2"],
                "shop_id": ["shop-1"] * 2,
                "goods_fen": [100, 200],
                "fee_fen": [1, None],
                "confirmed_at": pa.array([at, at], pa.timestamp("us", "UTC")),
            }
        ),
        file,
    )
    assert "入账 2 条" in done("settlement", "import-orders", str(file))
    assert (kit.order_row("p-1").net_fen, kit.order_row("p-2").net_fen) == (99, 200)


@pytest.mark.parametrize("text", ["order_id,shop_id\n", "order_id,shop_id,confirmed_at,goods_fen,goods_yuan\n", "x\n"])
def test_a_file_without_the_columns_is_refused_in_a_sentence(
    shop: Office, refused: Done, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(text, encoding="utf-8")
    assert "Traceback" not in refused("settlement", "import-orders", str(file))


# ── the other commands ───────────────────────────────────────────────────────


def test_a_half_from_the_command_line(shop: Office, done: Done, refused: Done, tmp_path: Path) -> None:
    shop.clock.advance(kit.HOUR)
    kit.confirm(shop, kit.order())
    assert "尚未结束" in refused("settlement", "run", kit.NOVEMBER)
    kit.on_first_of_december(shop)
    assert kit.NOVEMBER in done("settlement", "run")
    shop.settle()
    assert "待放行" in done("settlement", "halves")
    case = kit.half_of().case_id or ""
    shop.decide(case, "wang-fang", "RELEASE", hold="shop-1:=HYPERLINK(1) 待核实")
    out = tmp_path / "held.csv"
    assert "1 家店铺" in done("settlement", "held", kit.NOVEMBER, "--out", str(out))
    assert "'=HYPERLINK" in out.read_text(encoding="utf-8-sig")
    assert "0 项异常" in done("settlement", "anomalies", kit.NOVEMBER, "--out", str(tmp_path / "odd.csv"))
    page = Path(done("settlement", "statement", str(kit.settlement().number)).split("✓ ")[1].strip().replace("\n", ""))
    assert page.read_text(encoding="utf-8").count("财务暂缓") == 1
    shop.snapshot()  # what was held out is paid on facts that are new enough
    code = shop.code("chen-jie")
    said = done(
        "settlement",
        "release-held",
        kit.NOVEMBER,
        "shop-1",
        "--staff",
        "chen-jie",
        "--code",
        code,
        "--reason",
        "已核实",
    )
    assert "已提交银行付款" in said
    assert "一致" in done("settlement", "check")
    assert "没有编号" in refused("settlement", "statement", "JS-9")
    assert "无效" in refused("settlement", "held", "2026-11")
