"""Months from the command line: files in, statements and reports out, and who may do it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from models.cases import CaseKind
from models.invoicing import PeriodState, StatementState
from tests.invoicing import kit
from tests.play import Office

pytestmark = pytest.mark.both

Done = Callable[..., str]

ITEMS = """明细编号,店铺编号,类别,金额（元）,结算时间
sub-1,shop-1,平台券补贴,90.00,2026-11-03 09:05
sub-2,shop-9,平台券补贴,10.00,2026-11-03 09:05
sub-3,shop-1,平台券补贴,0.001,2026-11-03 09:05
"""


@pytest.fixture
def shop(office: Office) -> Office:
    office.open_shop()
    return office


def test_an_import_keeps_good_lines_and_lists_bad_ones_on_screen_and_in_a_file(
    shop: Office, dianwu: Callable[..., object], done: Done, refused: Done, tmp_path: Path
) -> None:
    file, rejects = tmp_path / "明细.csv", tmp_path / "拒绝.csv"
    file.write_bytes(ITEMS.encode("gbk"))
    shown = refused("import", "billables", str(file), "--rejects", str(rejects))
    assert "入账 1 条" in shown and "拒绝 2 条" in shown and "shop_id" in shown and "amount_fen" in shown
    with rejects.open(encoding="utf-8-sig", newline="") as sheet:
        listed = list(csv.reader(sheet))
    assert [(row[0], row[1], row[2]) for row in listed[1:]] == [("3", "sub-2", "shop_id"), ("4", "sub-3", "amount_fen")]
    assert "入账 0 条，重复 1 条" in refused("import", "billables", str(file))


def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(shop: Office, refused: Done, tmp_path: Path) -> None:
    file = tmp_path / "items.parquet"
    file.write_bytes(b"not parquet")
    assert "Traceback" not in refused("import", "billables", str(file))
    assert "Traceback" not in refused("import", "billables", str(tmp_path / "none.csv"))


def test_every_anomaly_of_a_month_is_written_where_the_command_says(shop: Office, done: Done, tmp_path: Path) -> None:
    kit.record(shop, kit.item(fen=-300))
    kit.at(shop, 2026, 12, 1, 2)
    kit.open_month(shop)
    file = tmp_path / "异常.csv"
    assert "1 项异常" in done("invoicing", "anomalies", "2026-11", "--out", str(file))
    with file.open(encoding="utf-8-sig", newline="") as sheet:
        listed = list(csv.reader(sheet))
    assert [row[1] for row in listed] == ["店铺编号", "shop-1"]


def test_a_month_is_begun_by_hand_once_and_the_table_shows_how_far_it_is(shop: Office, done: Done) -> None:
    kit.record(shop, kit.item())
    kit.at(shop, 2026, 12, 1, 2)
    assert "2026-11" in done("invoicing", "run", "2026-11")
    shop.settle()
    months = done("invoicing", "months")
    assert "2026-11" in months and PeriodState.DRAFTED.label in months and "90.00" in months
    again = done("invoicing", "run", "2026-11")
    shop.settle()
    assert "2026-11" in again and len([case for case in shop.cases() if case.kind is CaseKind.INVOICING]) == 1
    assert "没有遗漏" in done("invoicing", "run")


@pytest.mark.parametrize("period", ["2026-12", "2026-13", "November"])
def test_a_month_that_is_not_over_or_is_no_month_is_refused(shop: Office, refused: Done, period: str) -> None:
    kit.at(shop, 2026, 12, 15)
    assert refused("invoicing", "run", period).strip()


def test_a_held_statement_is_released_by_finance_with_a_code_only(shop: Office, done: Done, refused: Done) -> None:
    shop.open_shop("shop-2")
    kit.record(shop, kit.item(), kit.item("shop-2"))
    kit.at(shop, 2026, 12, 1, 2)
    kit.issue_month(shop, hold="shop-2:金额待核")
    assert kit.statement("shop-2").state is StatementState.HELD
    release = ("invoicing", "release-held", "2026-11", "shop-2", "--reason", "金额已核对")
    refused(*release, "--staff", "wang-fang", "--code", "000000")
    refused(*release, "--staff", "li-na", "--code", shop.code("li-na"))
    assert kit.statement("shop-2").state is StatementState.HELD
    done(*release, "--staff", "wang-fang", "--code", shop.code("wang-fang"))
    assert kit.statement("shop-2").state is StatementState.ISSUED


def test_a_statement_is_written_again_where_the_command_says(office: Office, done: Done, refused: Done) -> None:
    issued = kit.billed(office)
    path = Path("".join(done("invoicing", "statement", str(issued.number)).removeprefix("✓").split()))
    assert "玖拾元整" in path.read_text(encoding="utf-8")
    assert "没有编号" in refused("invoicing", "statement", "ST-1999-01-000001")


def test_the_quarters_report_is_written_as_csv_and_as_parquet(office: Office, done: Done, tmp_path: Path) -> None:
    kit.billed(office)
    kit.settle_receivable(office, 123_45)
    sheet, columns = tmp_path / "q.csv", tmp_path / "q.parquet"
    assert "1 家商家" in done("report", "tax", "--quarter", "2026Q4", "--out", str(sheet))
    done("report", "tax", "--quarter", "2026q4", "--out", str(columns))
    with sheet.open(encoding="utf-8-sig", newline="") as lines:
        row = next(csv.DictReader(lines))
    assert (row["平台补贴(元)"], row["货款收入(元)"], row["收入合计(元)"]) == ("90.00", "123.45", "213.45")
    assert pq.read_table(columns).num_rows == 1


def test_a_quarter_that_is_none_is_refused(office: Office, refused: Done, tmp_path: Path) -> None:
    (before := tmp_path / "x.csv").write_text("the report of another quarter")
    for wrong in ("2026-11", "2026Q5", "", "二〇二六Q3"):
        for name in ("x.csv", "y.csv", "y.parquet"):
            assert "写成 2026Q3" in refused("report", "tax", "--quarter", wrong, "--out", str(tmp_path / name))
    assert [file for file in tmp_path.iterdir() if file.is_file()] == [before]
    assert before.read_text() == "the report of another quarter"


def test_the_check_says_that_all_agrees_and_what_does_not(office: Office, done: Done) -> None:
    kit.billed(office)
    kit.send_invoice(office)
    assert "一致" in done("invoicing", "check")
