"""Files in and out: imports that survive what people do to spreadsheets, reports that spreadsheets open safely."""

from __future__ import annotations

import csv
import gzip
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlmodel import select

from models.event_parts import Rejected
from models.invoicing import BillableItem
from office.base.db import reading
from office.items.encodings import UnreadableFile
from tasks.invoicing import tax_report
from tasks.invoicing.billable_files import import_file
from tests.invoicing import kit
from tests.play import Office

pytestmark = pytest.mark.both

HEADER = "item_id,shop_id,category,amount_yuan,settled_at,description"
LINE = "sub-f{n},shop-1,COUPON,{yuan},2026-11-10 10:00,国庆补贴"


def take(path: Path) -> tuple[int, int, list[Rejected]]:
    accepted, repeated, rejected = 0, 0, list[Rejected]()
    for _, _, outcome in import_file(path):
        accepted, repeated = accepted + outcome.accepted, repeated + outcome.repeated
        rejected += outcome.rejected
    return accepted, repeated, rejected


def lines(*yuan: str) -> str:
    return "\n".join([HEADER, *(LINE.format(n=n, yuan=amount) for n, amount in enumerate(yuan))]) + "\n"


@pytest.fixture
def shop(office: Office) -> Office:
    office.open_shop()
    return office


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030"])
def test_three_encodings_are_legitimate_and_the_words_arrive(shop: Office, tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "items.csv"
    file.write_bytes(lines("90.00", "-12.50", "0.01").encode(encoding))
    assert take(file)[:2] == (3, 0)
    assert take(file)[:2] == (0, 3)


def test_chinese_headers_and_categories_are_read(shop: Office, tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    text = '明细编号,店铺编号,类别,金额（元）,结算时间\nsub-1,shop-1,平台券补贴,"1,090.00",2026/11/3 9:05\n'
    file.write_bytes(text.encode("gbk"))
    assert take(file) == (1, 0, [])


@pytest.mark.parametrize("yuan", ["0.001", "1e3", "90,00", "1,2,3", "12,34.5", ",1", "1,0000", "1,000,00.00", "NaN", "0", "", "１２x",
                                  "=1+1", "99999999999999"])  # fmt: skip
def test_what_is_no_amount_is_rejected_with_its_line_and_the_rest_is_kept(
    shop: Office, tmp_path: Path, yuan: str
) -> None:
    file = tmp_path / "items.csv"
    file.write_text(lines("90.00", f'"{yuan}"', "10.00"), encoding="utf-8")
    accepted, _, rejected = take(file)
    assert accepted == 2
    assert [(line.position, line.field) for line in rejected] == [(3, "amount_fen")]


@pytest.mark.parametrize(
    ("yuan", "fen"), [("1,000.5", 100_050), ("-12,345,678.90", -1_234_567_890), ("1234567.8", 123_456_780)]
)
def test_commas_between_thousands_are_read_and_nowhere_else(shop: Office, tmp_path: Path, yuan: str, fen: int) -> None:
    file = tmp_path / "items.csv"
    file.write_text(lines(f'"{yuan}"'), encoding="utf-8")
    assert take(file) == (1, 0, [])
    with reading() as tx:
        assert tx.exec(select(BillableItem.amount_fen)).one() == fen


def test_a_line_without_end_is_one_rejected_line_and_what_follows_is_read(shop: Office, tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    good = [LINE.format(n=n, yuan="1.00") for n in range(2)]
    file.write_text("\n".join([HEADER, good[0], "x" * 1_000_000, good[1]]), encoding="utf-8")
    accepted, _, rejected = take(file)
    assert (accepted, [line.position for line in rejected]) == (2, [3])


def test_lines_with_the_wrong_shape_are_rejected_and_the_good_ones_kept(shop: Office, tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    bad = [
        ",".join(["x"] * 100),
        "sub-short,shop-1",
        'sub-q,shop-1,COUPON,1.00,2026-11-10 10:00,"half',
        "=cmd|' /C calc'!A0,shop-1,COUPON,1.00,2026-11-10 10:00,x",
        "sub-t,shop-1,COUPON,1.00,yesterday,x",
        "sub-f,shop-1,COUPON,1.00,2026-11-10 10:00,a\x07b",
    ]
    good = [LINE.format(n=n, yuan="90.00") for n in range(2)]
    file.write_text("\r\n".join([HEADER, good[0], *bad[:3], "", *bad[3:], good[1]]), encoding="utf-8", newline="")
    accepted, _, rejected = take(file)
    assert accepted == 2
    assert [line.position for line in rejected] == [3, 4, 5, 7, 8, 9]
    assert all(line.reason for line in rejected)


@pytest.mark.parametrize(
    "content",
    [
        HEADER.replace("shop_id", "item_id").encode(), (HEADER + ",shop_id\n").encode(), b"", b"\x00" * 100,
        (HEADER + "\n\x00").encode(), ",".join(f"c{n}" for n in range(100)).encode(), HEADER.encode("utf-16"),
        b"\xff\xff\xff\x81" + HEADER.encode(), (HEADER + ",amount_fen\n").encode(), b"item_id,shop_id\n", b"PAR1 not parquet",
        HEADER.replace("amount_yuan", "betrag").encode(),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_understood_is_refused_as_a_whole(shop: Office, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "items.csv"
    file.write_bytes(content)
    with pytest.raises(UnreadableFile):
        take(file)


def test_nothing_is_unpacked(shop: Office, tmp_path: Path) -> None:
    bomb = tmp_path / "items.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("items.csv", b"0" * 50_000_000)
    squeezed = tmp_path / "items.csv.gz"
    squeezed.write_bytes(gzip.compress(b"0" * 50_000_000))
    for file in (bomb, squeezed):
        with pytest.raises(UnreadableFile, match="压缩"):
            take(file)


def test_parquet_is_read_in_batches_and_floating_yuan_are_no_amounts(shop: Office, tmp_path: Path) -> None:
    rows = 2_500
    columns = {
        "item_id": [f"sub-p{n}" for n in range(rows)],
        "shop_id": ["shop-1"] * rows,
        "category": ["FREIGHT"] * rows,
        "amount_fen": list(range(1, rows + 1)),
        "settled_at": ["2026-11-10T10:00:00+08:00"] * rows,
    }
    file = tmp_path / "items.parquet"
    pq.write_table(pa.table(columns), file)
    assert take(file)[:2] == (rows, 0)
    floating = {**columns, "item_id": [f"sub-q{n}" for n in range(rows)], "amount_yuan": [0.1 + 0.2] * rows}
    del floating["amount_fen"]
    pq.write_table(pa.table(floating), file)
    accepted, _, rejected = take(file)
    assert (accepted, len(rejected)) == (0, rows)


def test_a_parquet_file_that_would_unpack_to_gigabytes_is_refused(
    shop: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from office.items import sheets

    monkeypatch.setattr(sheets, "MOST_GROUP_BYTES", 1_000_000)
    file = tmp_path / "bomb.parquet"
    names = {name: ["x" * 1_000] * 3_000 for name in ("item_id", "shop_id", "category", "amount_yuan", "settled_at")}
    pq.write_table(pa.table(names), file, use_dictionary=False, compression="zstd")
    with pytest.raises(UnreadableFile, match="过大"):
        take(file)


def parquet(path: Path, rows: int, **columns: Any) -> Path:
    plain = {
        "item_id": [f"sub-x{n}" for n in range(rows)],
        "shop_id": ["shop-1"] * rows,
        "category": ["FREIGHT"] * rows,
        "amount_fen": [100] * rows,
        "settled_at": ["2026-11-10T10:00:00+08:00"] * rows,
    }
    pq.write_table(pa.table(plain | columns), path)
    return path


def test_one_long_value_said_a_thousand_times_is_refused_before_it_is_unpacked(shop: Office, tmp_path: Path) -> None:
    said_once = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000, pa.int32()), pa.array(["x" * 1_000_000]))
    file = parquet(tmp_path / "bomb.parquet", 1_000, description=said_once)
    assert file.stat().st_size < 100_000
    before = pa.default_memory_pool().max_memory()
    with pytest.raises(UnreadableFile, match="超过"):
        take(file)
    assert pa.default_memory_pool().max_memory() - before < 50_000_000


def test_a_cell_that_python_cannot_read_is_rejected_with_its_row_and_field(shop: Office, tmp_path: Path) -> None:
    far = pa.array([2**60, 1_794_276_000_000_000], pa.timestamp("us", "UTC"))
    accepted, _, rejected = take(parquet(tmp_path / "far.parquet", 2, settled_at=far))
    assert (accepted, [(line.position, line.field) for line in rejected]) == (1, [(1, "settled_at")])
    broken = pa.array([b"\xff\xfe", b"ok"], pa.binary()).view(pa.string())
    accepted, _, rejected = take(parquet(tmp_path / "utf.parquet", 2, description=broken))
    assert (rejected[0].position, rejected[0].field) == (1, "description")


# ── the tax report ───────────────────────────────────────────────────────────


def test_the_quarter_is_reported_per_merchant_from_the_same_books(office: Office, tmp_path: Path) -> None:
    kit.billed(office, name="=cmd()")
    kit.settle_receivable(office, 50_000)
    kit.send_invoice(office)
    file = tmp_path / "tax.csv"
    assert tax_report.write("2026Q4", file) == 1
    with file.open(encoding="utf-8-sig", newline="") as sheet:
        (row,) = csv.DictReader(sheet)
    assert (row["平台补贴(元)"], row["货款收入(元)"], row["收入合计(元)"], row["已开票(元)"]) == (
        "90.00",
        "500.00",
        "590.00",
        "90.00",
    )
    assert row["店铺名称"] == "'=cmd()"
    assert tax_report.write("2026Q3", file) == 0
    parquet = tmp_path / "tax.parquet"
    tax_report.write("2026q4", parquet)
    assert pq.read_table(parquet).to_pylist()[0]["统一社会信用代码"] == "91330226MA2AB1C2D8"


def test_an_exit_invoice_counts_as_invoiced_in_the_quarter_its_statement_was_issued_in(
    office: Office, tmp_path: Path
) -> None:
    office.open_shop()
    kit.record(office, kit.item())
    office.request_closure()
    kit.send_invoice(office, issued_on="2026-11-19")
    file = tmp_path / "tax.csv"
    assert tax_report.write("2026Q4", file) == 1
    with file.open(encoding="utf-8-sig", newline="") as sheet:
        (row,) = csv.DictReader(sheet)
    assert (row["平台补贴(元)"], row["已开票(元)"]) == ("90.00", "90.00")
