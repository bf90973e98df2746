"""Files of fees as spreadsheets, pandas, Spark and exports write them: judged by their values, never guessed."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlmodel import col, select

from models.event_parts import Rejected
from models.invoicing import BillableItem
from office.base.db import reading
from office.items import encodings
from office.items.encodings import UnreadableFile
from tasks.invoicing.billable_files import import_file
from tasks.invoicing.tax_report import harmless
from tests.invoicing import kit
from tests.play import Office

HEADER = "item_id,shop_id,category,amount_yuan,settled_at,description"
LATE = datetime(2026, 10, 31, 20, 0, tzinfo=UTC)
"""1 November, 04:00 in Beijing: eight hours off it would be October."""


@pytest.fixture
def shop(office: Office) -> Office:
    office.open_shop()
    return office


def take(path: Path) -> tuple[int, list[Rejected], int]:
    accepted, rejected, assumed = 0, list[Rejected](), 0
    for _, _, outcome in import_file(path):
        accepted, assumed = accepted + outcome.accepted, assumed + outcome.assumed
        rejected += outcome.rejected
    return accepted, rejected, assumed


def items() -> list[BillableItem]:
    with reading() as tx:
        return list(tx.exec(select(BillableItem).order_by(col(BillableItem.id))))


def sheet(path: Path, *lines: str, header: str = HEADER, encoding: str = "utf-8") -> Path:
    file = path / "items.csv"
    file.write_bytes(("\r\n".join([header, *lines]) + "\r\n").encode(encoding))
    return file


def parquet(path: Path, *, by: str = "", int96: bool = False, version: str = "2.6", **columns: Any) -> Path:
    plain = {
        "item_id": ["sub-x"],
        "shop_id": ["shop-1"],
        "category": ["FREIGHT"],
        "amount_fen": [100],
        "settled_at": ["2026-11-10T10:00:00+08:00"],
    }
    if "amount_yuan" in columns:
        del plain["amount_fen"]
    file = path / "items.parquet"
    pq.write_table(
        pa.table(plain | columns), file, use_deprecated_int96_timestamps=int96, version=version, store_schema=False
    )
    if by:  # as another library signs its files: the same length, so that nothing else moves
        own = f"parquet-cpp-arrow version {pa.__version__}".encode()
        content = file.read_bytes()
        assert own in content
        file.write_bytes(content.replace(own, by.encode().ljust(len(own))))
    return file


# ── time ─────────────────────────────────────────────────────────────────────

SPARK = "parquet-mr version 1.13.1"
NAIVE = pa.array([LATE.replace(tzinfo=None)], pa.timestamp("us"))
AWARE = pa.array([LATE], pa.timestamp("us", "UTC"))


@pytest.mark.both
def test_an_int96_of_spark_or_hive_is_the_instant_they_meant(shop: Office, tmp_path: Path) -> None:
    assert take(parquet(tmp_path, by=SPARK, int96=True, settled_at=NAIVE)) == (1, [], 0)
    assert [(item.settled_at, item.own_period) for item in items()] == [(LATE, "2026-11")]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/New_York"])
def test_an_instant_with_its_zone_is_that_instant(shop: Office, tmp_path: Path, zone: str) -> None:
    assert take(parquet(tmp_path, settled_at=AWARE.cast(pa.timestamp("us", zone)))) == (1, [], 0)
    assert [(item.settled_at, item.own_period) for item in items()] == [(LATE, "2026-11")]


@pytest.mark.parametrize(
    "how",
    [
        {"settled_at": NAIVE, "int96": True},
        {"settled_at": AWARE, "int96": True},
        {"settled_at": NAIVE},
        {"settled_at": NAIVE, "by": SPARK},
        {"settled_at": NAIVE, "version": "1.0"},
        {"settled_at": NAIVE, "int96": True, "by": "impala version 3.4.0"},
    ],
    ids=["int96 of nobody known", "int96 of arrow", "clock time", "clock time of Spark", "old annotation", "Impala"],
)
def test_an_instant_that_nothing_in_the_file_fixes_is_refused_with_the_remedy(
    shop: Office, tmp_path: Path, how: dict[str, Any]
) -> None:
    with pytest.raises(UnreadableFile, match=r"没有时区.*isAdjustedToUTC=true"):
        take(parquet(tmp_path, **how))
    assert items() == []


@pytest.mark.parametrize("value", ["2026-11-01 04:00:00", "2026-11-01T04:00:00", 1793476800, 1793476800000])
def test_neither_text_without_a_zone_nor_a_bare_number_is_an_instant_in_parquet(
    shop: Office, tmp_path: Path, value: Any
) -> None:
    accepted, rejected, _ = take(parquet(tmp_path, settled_at=[value]))
    assert accepted == 0 and [line.field for line in rejected] == ["settled_at"] and "时区" in rejected[0].reason


@pytest.mark.parametrize(
    ("written", "assumed"),
    [
        ("2026-11-01 04:00", 1),
        ("2026/11/1 4:00", 1),
        ("2026-11-01 04:00:00.000", 1),
        ("2026-10-31T20:00:00Z", 0),
        ("2026-10-31 20:00:00+00", 0),
        ("2026-11-01 04:00:00 +0800", 0),
        ("2026-11-01T04:00:00+08:00", 0),
    ],
)
def test_what_people_write_without_a_zone_is_beijing_time_and_that_is_told(
    shop: Office, tmp_path: Path, written: str, assumed: int
) -> None:
    assert take(sheet(tmp_path, f"sub-1,shop-1,COUPON,90.00,{written},券")) == (1, [], assumed)
    assert [item.settled_at for item in items()] == [LATE]


@pytest.mark.parametrize(
    "written", ["2026-11-01T04:00:00", "2026-02-30 10:00", "2026-11-01", "11/01/2026 04:00", "46327.17"]
)
def test_what_can_be_read_in_two_ways_is_refused(shop: Office, tmp_path: Path, written: str) -> None:
    accepted, rejected, _ = take(sheet(tmp_path, f"sub-1,shop-1,COUPON,90.00,{written},券"))
    assert accepted == 0 and [line.field for line in rejected] == ["settled_at"]


@pytest.mark.both
@pytest.mark.parametrize("zone", ["Mars/Olympus", "+08:00", "Asia/Ürümqi"])
def test_the_name_of_a_zone_that_nobody_knows_moves_no_instant(shop: Office, tmp_path: Path, zone: str) -> None:
    """Parquet keeps the instant; the zone beside it is how its writer would show it."""
    file = parquet(tmp_path)
    table = pq.read_table(file).set_column(4, "settled_at", AWARE.cast(pa.timestamp("us", zone)))
    pq.write_table(table, file)  # with Arrow's own schema, which names the zone
    assert take(file) == (1, [], 0)
    assert [(item.settled_at, item.own_period) for item in items()] == [(LATE, "2026-11")]


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64(), pa.time64("us"), pa.duration("s")], ids=str)
def test_a_day_an_hour_or_a_span_is_no_instant(shop: Office, tmp_path: Path, kind: Any) -> None:
    accepted, rejected, _ = take(parquet(tmp_path, settled_at=pa.array([0], kind)))
    assert accepted == 0 and [line.field for line in rejected] == ["settled_at"]


# ── values ───────────────────────────────────────────────────────────────────


@pytest.mark.both
@pytest.mark.parametrize("nothing", ["NULL", "null", "\\N", "None", "nan", "NaN", "NaT", "<NA>", "N/A", "#N/A"])
def test_what_databases_and_pandas_write_for_nothing_is_nothing(shop: Office, tmp_path: Path, nothing: str) -> None:
    """An id that is missing is no id: all that miss theirs would be one item."""
    full = f"sub-1,shop-1,COUPON,90.00,2026-11-10 10:00,{nothing}"
    bare = f"{nothing},shop-1,COUPON,90.00,2026-11-10 10:00,x"
    accepted, rejected, _ = take(sheet(tmp_path, full, bare))
    assert accepted == 1 and [item.description for item in items()] == [""]
    assert [(line.position, line.field, line.reason) for line in rejected] == [(3, "item_id", "缺少该字段")]
    accepted, rejected, _ = take(parquet(tmp_path, item_id=[nothing]))
    assert accepted == 0 and [line.reason for line in rejected] == ["缺少该字段"]


@pytest.mark.parametrize("column", [{"item_id": [["x"]]}, {"description": [{"a": 1}]}], ids=["list", "record"])
def test_a_column_of_lists_or_records_is_refused_by_its_name(
    shop: Office, tmp_path: Path, column: dict[str, Any]
) -> None:
    with pytest.raises(UnreadableFile, match=rf"{next(iter(column))}.*嵌套"):
        take(parquet(tmp_path, **column))


@pytest.mark.parametrize(
    ("column", "fen"),
    [
        ({"amount_yuan": pa.array([Decimal("90.0000")], pa.decimal128(18, 4))}, 9000),
        ({"amount_yuan": pa.array([Decimal("-12.5")], pa.decimal128(9, 1))}, -1250),
        ({"amount_yuan": [90]}, 9000),
        ({"amount_yuan": [90.5]}, 9050),
        ({"amount_yuan": ["90.0000"]}, 9000),
        ({"amount_yuan": [b"90.00"]}, 9000),
        ({"amount_fen": pa.array([Decimal(9000)], pa.decimal128(18, 0))}, 9000),
        ({"amount_fen": pa.array([Decimal("9000.00")], pa.decimal128(18, 2))}, 9000),
        ({"amount_fen": [9000.0]}, 9000),
        ({"amount_fen": ["9000"]}, 9000),
        ({"amount_fen": pa.array([9000], pa.int32())}, 9000),
    ],
)
def test_an_amount_is_judged_by_its_value_and_not_by_its_type(
    shop: Office, tmp_path: Path, column: dict[str, Any], fen: int
) -> None:
    assert take(parquet(tmp_path, **column)) == (1, [], 0)
    assert [item.amount_fen for item in items()] == [fen]


@pytest.mark.parametrize(
    ("column", "why"),
    [
        ({"amount_yuan": [0.1 + 0.2]}, "浮点数"),
        ({"amount_yuan": pa.array([27.9], pa.float32())}, "浮点数"),
        ({"amount_yuan": pa.array([Decimal("90.001")], pa.decimal128(9, 3))}, "两位小数"),
        ({"amount_fen": [9000.5]}, "整数分"),
        ({"amount_fen": pa.array([Decimal("0.5")], pa.decimal128(9, 1))}, "整数分"),
        ({"amount_yuan": [True]}, "元"),
        ({"amount_fen": [float("inf")]}, "整数分"),
        ({"amount_fen": [float("nan")]}, "缺少该字段"),
        ({"amount_fen": [1e300]}, "整数分"),
    ],
)
def test_what_is_no_amount_gets_the_true_reason(shop: Office, tmp_path: Path, column: dict[str, Any], why: str) -> None:
    accepted, rejected, _ = take(parquet(tmp_path, **column))
    assert accepted == 0 and [line.field for line in rejected] == ["amount_fen"] and why in rejected[0].reason


@pytest.mark.parametrize("yuan", ["90.0000", "90.", "90", "90.0", '"1,090.00"'])
def test_zeros_behind_the_fen_say_nothing(shop: Office, tmp_path: Path, yuan: str) -> None:
    assert take(sheet(tmp_path, f"sub-1,shop-1,COUPON,{yuan},2026-11-10 10:00,x"))[0] == 1


def test_whole_numbers_and_bytes_are_ids_and_labels(office: Office, tmp_path: Path) -> None:
    office.open_shop("1001")
    ids = {"shop_id": [1001], "description": [b"\xe5\x88\xb8"], "category": [b"FREIGHT"]}
    assert take(parquet(tmp_path, item_id=[90001], **ids)) == (1, [], 0)
    assert take(parquet(tmp_path, item_id=[90002.0], **ids)) == (1, [], 0)
    assert take(parquet(tmp_path, item_id=pa.array([Decimal(90003)], pa.decimal128(20, 0)), **ids)) == (1, [], 0)
    assert [(item.id, item.shop_id, item.description) for item in items()] == [
        ("90001", "1001", "券"),
        ("90002", "1001", "券"),
        ("90003", "1001", "券"),
    ]
    accepted, rejected, _ = take(parquet(tmp_path, item_id=[2.0**60], **ids))
    assert accepted == 0 and "失去精度" in rejected[0].reason


@pytest.mark.both
def test_the_row_numbers_of_pandas_are_no_column(shop: Office, tmp_path: Path) -> None:
    assert take(parquet(tmp_path, __index_level_0__=[7])) == (1, [], 0)
    line = "sub-1,shop-1,COUPON,90.00,2026-11-10 10:00,x"
    assert take(sheet(tmp_path, f"0,{line}", header=f",{HEADER}"))[0] == 1
    assert take(sheet(tmp_path, f"0,{line.replace('sub-1', 'sub-2')}", header=f"Unnamed: 0,{HEADER}"))[0] == 1


@pytest.mark.both
def test_what_a_spreadsheet_adds_or_leaves_away_at_the_end_of_a_line_is_nothing(shop: Office, tmp_path: Path) -> None:
    line = "shop-1,COUPON,90.00,2026-11-10 10:00"
    full = [f"sub-1,{line},x,,,", f"sub-2,{line},x", f"sub-3,{line}", f"sub-4,{line},", f"sub-5,{line},x,", ",,,,,,,,"]
    assert take(sheet(tmp_path, *full, header=f"{HEADER},,,"))[:2] == (5, [])
    accepted, rejected, _ = take(
        sheet(tmp_path, f"sub-6,{line},x,,odd", f"sub-7,{line},x,,,,odd", "sub-8,shop-1", header=f"{HEADER},,,")
    )
    assert accepted == 0 and [line.position for line in rejected] == [2, 3, 4]
    assert [line.reason for line in rejected] == [
        "第 8 列没有表头,却有内容",
        "有 10 列,表头有 9 列",
        "有 2 列,表头有 9 列",
    ]


@pytest.mark.parametrize(("written", "why"), [("1.23457E+17", "科学计数法"), ("90001.0", "小数"), ("90001.00", "小数")])
def test_an_id_that_was_rewritten_as_a_number_is_refused_as_that(
    shop: Office, tmp_path: Path, written: str, why: str
) -> None:
    accepted, rejected, _ = take(sheet(tmp_path, f"{written},shop-1,COUPON,90.00,2026-11-10 10:00,x"))
    assert accepted == 0 and why in rejected[0].reason


@pytest.mark.both
def test_an_id_that_an_export_wrote_as_a_formula_is_what_the_formula_says(office: Office, tmp_path: Path) -> None:
    office.open_shop("1001")
    line = 'COUPON,90.00,2026-11-10 10:00,"=""券"""'
    assert take(sheet(tmp_path, f'="90001","=""1001""",{line}', f"\t90002\t,1001,{line}"))[:2] == (2, [])
    assert [(item.id, item.shop_id, item.description) for item in items()] == [
        ("90001", "1001", '="券"'),
        ("90002", "1001", '="券"'),
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (HEADER.replace(",", ";").encode(), "英文逗号"),
        (HEADER.replace(",", "\t").encode(), "英文逗号"),
        (HEADER.replace(",", "，").encode(), "英文逗号"),
        (b"", "空"),
        (b"\xef\xbb\xbf", "空"),
        (b"\r\n" + HEADER.encode(), "第一行"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "Excel"),
        (b"PK\x03\x04" + bytes(90), "Excel"),
        (b"\x28\xb5\x2f\xfd" + b"\x01" * 90, "压缩"),
        (HEADER.encode("utf-16-le"), "空字符.*CSV"),
        (HEADER.encode("utf-32"), "UTF-32"),
        (b"<html><table><tr><td>item_id</td></tr></table></html>", "不认识的列"),
    ],
    ids=["semicolon", "tab", "wide comma", "empty", "mark", "blank", "xls", "xlsx", "zstd", "utf-16", "utf-32", "html"],
)
def test_what_is_no_csv_is_refused_by_what_it_is(shop: Office, tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "items.csv"
    file.write_bytes(content)
    with pytest.raises(UnreadableFile, match=why):
        take(file)
    with pytest.raises(UnreadableFile, match="目录"):
        take(tmp_path)


def test_words_that_an_export_has_already_spoilt_are_refused_and_not_kept(shop: Office, tmp_path: Path) -> None:
    accepted, rejected, _ = take(sheet(tmp_path, "sub-1,shop-1,COUPON,90.00,2026-11-10 10:00,国庆\ufffd\ufffd"))
    assert accepted == 0 and [(line.field, "损坏" in line.reason) for line in rejected] == [("description", True)]


AS_MEANT = [
    *((yuan, 9000) for yuan in ("９０.００", "￥90.00", "¥ 90.00", "90.00元", "90.00 元", "+90.00",
                             "90.00\u200b", "'90.00", '"=""90.00"""', "0090.00", "¥90", "90.0\u3000")),
    ("\u221290.00", -9000), ("-¥90.00", -9000), ("¥-90.00", -9000), ('"1，090.00"', 109000), ('"¥1,090.00"', 109000),
]  # fmt: skip
MOMENTS = ["2026年11月1日 4:00", "2026年11月01日04:00:00", "2026.11.01 04:00", "2026-11-01\u00a004:00", "2026-11-01 04：00",
           "２０２６-11-01 04:00", "'2026-11-01 04:00",
           '="2026-11-01 04:00"', "2026-11-01\u300004:00:00"]  # fmt: skip


@pytest.mark.both
def test_amounts_and_moments_are_read_as_keyboards_and_spreadsheets_of_all_kinds_write_them(
    shop: Office, tmp_path: Path
) -> None:
    """What has one meaning has it in full width, with its currency and behind a spreadsheet's guard, too."""
    amounts = [f"a-{n:02},shop-1,COUPON,{yuan},2026-11-10 10:00,x" for n, (yuan, _) in enumerate(AS_MEANT)]
    moments = [f"m-{n:02},shop-1,COUPON,90.00,{at},x" for n, at in enumerate(MOMENTS)]
    header = "sep=,\r\n\ufeffITEM_ID,Shop_Id,category\u200b,Amount_Yuan,settled＿at, description"
    file = sheet(tmp_path, *amounts, *moments, header=header)
    file.write_bytes(file.read_bytes() + b"\x1a")
    assert take(file)[:2] == (len(AS_MEANT) + len(MOMENTS), [])
    assert [one.amount_fen for one in items() if one.id.startswith("a")] == [fen for _, fen in AS_MEANT]
    assert {one.settled_at for one in items() if one.id.startswith("m")} == {LATE}
    late = pa.array([int(LATE.timestamp()) * 10**9 + 789], pa.timestamp("ns", "UTC"))  # as pandas keeps every moment
    assert take(parquet(tmp_path, settled_at=late))[0] == 1
    refused = {
        "(90.00)": "amount_fen", "90.00-": "amount_fen", '"1.234,56"': "amount_fen", "9E1": "amount_fen",
        "٩٠": "amount_fen", "90²": "amount_fen", "9①": "amount_fen",
        "+-90": "amount_fen", "+¥-90": "amount_fen", "¥¥90": "amount_fen", "90元元": "amount_fen",
        "90 000.00": "amount_fen", "1_000": "amount_fen", "2026-11-01 24:00": "settled_at",
        "2026-11-01 4:00 PM": "settled_at", "2026-11-01 04:00 CST": "settled_at",
        "1.0E5": "item_id", "1.5E-5": "item_id", "sub-1\u200b": "item_id", "#REF!": "item_id",
    }  # fmt: skip
    good = {
        "item_id": "r",
        "shop_id": "shop-1",
        "category": "COUPON",
        "amount_fen": "90.00",
        "settled_at": "2026-11-10 10:00",
    }
    lines = [",".join([*(good | {field: bad}).values(), "x"]) for bad, field in refused.items()]
    accepted, rejected, _ = take(sheet(tmp_path, *lines))
    assert accepted == 0 and [line.field for line in rejected] == list(refused.values())
    with pytest.raises(UnreadableFile, match=r"标题.*2026年10月平台补贴明细.*删去"):
        take(sheet(tmp_path, header=f"2026年10月平台补贴明细,,,,,\r\n{HEADER}"))


def test_a_line_break_within_a_cell_is_named_among_what_a_line_cannot_hold(shop: Office, tmp_path: Path) -> None:
    accepted, rejected, _ = take(sheet(tmp_path, 'sub-1,shop-1,COUPON,90.00,2026-11-10 10:00,"国庆\n补贴"'))
    assert accepted == 0 and "内容里有换行" in rejected[0].reason


# ── encodings ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("order", [("utf-8", "gbk"), ("gbk", "utf-8")])
def test_a_file_in_two_encodings_is_refused_with_a_line_of_each(
    shop: Office, tmp_path: Path, order: tuple[str, str]
) -> None:
    file = tmp_path / "items.csv"
    lines = [f"sub-{n},shop-1,COUPON,90.00,2026-11-10 10:00,国庆平台券补贴\n".encode(order[n]) for n in range(2)]
    file.write_bytes(f"{HEADER}\n".encode() + b"".join(lines))
    with pytest.raises(UnreadableFile, match=r"混有两种编码.*统一"):
        take(file)
    assert items() == []


def test_two_encodings_in_one_line_or_a_mark_over_gbk_are_two_encodings(shop: Office, tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    head = "item_id,shop_id,category,amount_yuan,settled_at,description\n"
    line = b"sub-1,shop-1," + "平台券补贴".encode() + b",90.00,2026-11-10 10:00," + "国庆".encode("gbk")
    for content in (
        head.encode() + line,
        b"\xef\xbb\xbf" + head.encode() + line.replace("平台券补贴".encode(), b"COUPON"),
    ):
        file.write_bytes(content)
        with pytest.raises(UnreadableFile, match="混有两种编码"):
            take(file)


@pytest.mark.both
def test_gbk_that_happens_to_be_valid_utf8_is_still_gbk(shop: Office, tmp_path: Path) -> None:
    by_chance = "隆贸"  # two bytes each that read as a Latin letter
    assert by_chance.encode("gbk").decode("utf-8") != by_chance
    lines = [f"sub-{n},shop-1,COUPON,90.00,2026-11-10 10:00,{text}" for n, text in enumerate([by_chance, "国庆", "𠮷"])]
    assert take(sheet(tmp_path, *lines, encoding="gb18030"))[0] == 3
    assert [item.description for item in items()] == [by_chance, "国庆", "𠮷"]


FOREIGN = [
    ("big5", ["國慶平臺優惠券", "國慶", "運費補貼"]),
    ("big5", ["手續費"]),
    ("big5hkscs", ["電子發票"]),
    ("shift_jis", ["送料無料クーポン", "手数料"]),
    ("shift_jis", ["ｸｰﾎﾟﾝ券"]),
    ("cp1252", ["L'Oréal crème"]),
    ("cp1251", ["Скидка на доставку"]),
    ("euc_kr", ["무료배송 쿠폰", "수수료 환불", "광고비 지원"]),
]


@pytest.mark.parametrize(("encoding", "words"), FOREIGN)
def test_what_reads_as_gbk_only_into_words_that_nobody_wrote_is_refused_with_the_remedy(
    shop: Office, tmp_path: Path, encoding: str, words: list[str]
) -> None:
    lines = [f"sub-{n},shop-1,COUPON,90.00,2026-11-10 10:00,{word}" for n, word in enumerate(words)]
    with pytest.raises(UnreadableFile, match=r"第 2 行.*另存为 UTF-8|第 2 行既不是"):
        take(sheet(tmp_path, *lines, encoding=encoding))
    assert items() == []


@pytest.mark.parametrize("encoding", ["big5", "shift_jis"])
def test_one_cell_of_another_encoding_among_gbk_is_refused_by_its_line(
    shop: Office, tmp_path: Path, encoding: str
) -> None:
    lines = [f"sub-{n},shop-1,COUPON,90.00,2026-11-10 10:00,国庆平台券补贴第{n}批".encode("gbk") for n in range(30)]
    lines[20] = "sub-20,shop-1,COUPON,90.00,2026-11-10 10:00,手數料".encode(encoding)
    file = tmp_path / "items.csv"
    file.write_bytes(b"\n".join([HEADER.encode(), *lines]))
    with pytest.raises(UnreadableFile, match=r"第 22 行.*另存为 UTF-8"):
        take(file)


@pytest.mark.parametrize(
    ("encoding", "word", "read"),
    [
        ("big5", "問題", "拜肈"),
        ("big5", "經濟", "竒蕾"),
        ("koi8_r", "Скидка", "笏赡肆"),
        ("koi8_r", "скидка на товары", "铀赡肆 瘟 韵琢屹"),
        ("latin-1", "crème", "cr鑝e"),
    ],
)
def test_one_word_that_is_far_likelier_in_another_encoding_is_refused_with_both_readings(
    shop: Office, tmp_path: Path, encoding: str, word: str, read: str
) -> None:
    """Each of its characters alone could be Chinese."""
    assert word.encode(encoding).decode("gbk") == read
    lines = [f"sub-{n},shop-1,COUPON,90.00,2026-11-10 10:00,国庆平台券补贴第{n}批".encode("gbk") for n in range(30)]
    lines[20] = f"sub-20,shop-1,COUPON,90.00,2026-11-10 10:00,{word}".encode(encoding)
    file = tmp_path / "items.csv"
    file.write_bytes(b"\n".join([HEADER.encode(), *lines]))
    with pytest.raises(UnreadableFile, match=rf"第 22 行按 GBK 读出的是「{read}」,按 .* 则是「{word}」.*另存为 UTF-8"):
        take(file)
    assert items() == []


def test_a_word_of_another_encoding_is_found_however_many_cells_stand_before_it(
    shop: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encodings, "_REMEMBERED", 8)
    lines = [f"sub-{n},shop-1,COUPON,90.00,2026-11-10 10:00,国庆平台券补贴第{n}批".encode("gbk") for n in range(30)]
    lines += [*lines[:3], "sub-x,shop-1,COUPON,90.00,2026-11-10 10:00,問題".encode("big5")]
    file = tmp_path / "items.csv"
    file.write_bytes(b"\n".join([HEADER.encode(), *lines]))
    with pytest.raises(UnreadableFile, match=r"第 35 行按 GBK 读出的是「拜肈」"):
        take(file)


@pytest.mark.parametrize("before", ["", "x"])
def test_a_line_of_gbk_that_is_too_long_spoils_no_other_line(shop: Office, tmp_path: Path, before: str) -> None:
    good = [f"sub-{n},shop-1,COUPON,90.00,2026-11-10 10:00,国庆" for n in range(2)]
    long = f"{before}{'国庆平台券' * 20_000}"
    accepted, rejected, _ = take(sheet(tmp_path, good[0], long, good[1], encoding="gbk"))
    assert (accepted, [(line.position, "过长" in line.reason) for line in rejected]) == (2, [(3, True)])
    file = sheet(tmp_path, good[0], long, encoding="gbk")
    file.write_bytes(file.read_bytes().removesuffix(b"\r\n") + b"\xff\xff")
    with pytest.raises(UnreadableFile, match="第 3 行既不是 UTF-8 也不是 GBK"):
        take(file)


def test_names_places_and_goods_with_rare_characters_are_not_taken_for_another_encoding(
    shop: Office, tmp_path: Path
) -> None:
    """The jade of given names, old places, wares of few strokes; and what is refused in GBK passes in UTF-8."""
    words = [
        surname + given for surname in "丁贾贺崔常李王陈刘" for given in ("玥", "珺", "璟", "瑄", "翀", "祎", "晓玲")
    ]
    words += [
        "盱眙县",
        "亳州市",
        "邛崃市文一西路 8 号",
        "蝴蝶结",
        "玻璃杯",
        "喇叭裤",
        "嘿嘿",
        "T恤",
        "VIP镕",
        "百亿补贴",
    ]
    lines = [f"sub-{n},shop-1,COUPON,90.00,2026-11-10 10:00,{word}" for n, word in enumerate(words)]
    assert take(sheet(tmp_path, *lines, encoding="gb18030"))[:2] == (len(words), [])
    assert take(sheet(tmp_path, "sub-x,shop-1,COUPON,90.00,2026-11-10 10:00,篱笆"))[:2] == (1, [])


def test_gbk_with_rare_characters_and_kana_among_common_ones_is_still_gbk(shop: Office, tmp_path: Path) -> None:
    words = ["奈雪の茶联名券", "陈祎的文具店", "①号仓·运费(含税)—满99减10￥", "福字喆妍堂专享", "🎉双十一🎉", "镕"]
    lines = [f"sub-{n},shop-1,COUPON,90.00,2026-11-10 10:00,{word}" for n, word in enumerate(words)]
    assert take(sheet(tmp_path, *lines, encoding="gb18030"))[:2] == (len(words), [])
    assert [item.description for item in items()] == words


@pytest.mark.parametrize("taken_for", ["gb18030", "cp1252"])
@pytest.mark.parametrize("word", ["国庆平台券", "运费补贴", "双十一 50 元券"])
def test_utf8_that_a_program_took_for_another_encoding_is_refused_and_not_kept(
    shop: Office, tmp_path: Path, taken_for: str, word: str
) -> None:
    misread = word.encode().decode(taken_for, "replace").replace("\ufffd", "?")
    for file in (
        sheet(tmp_path, f"sub-1,shop-1,COUPON,90.00,2026-11-10 10:00,{misread}"),
        parquet(tmp_path, description=[misread]),
    ):
        accepted, rejected, _ = take(file)
        assert accepted == 0 and [(line.field, "损坏" in line.reason) for line in rejected] == [("description", True)]


# ── formulas ─────────────────────────────────────────────────────────────────

FORMULAS = ["-50 元券", "+1 赠品", "@晨光", "=HYPERLINK(1)", "－满减", "＋赠", "＠晨光", "＝1+1"]


@pytest.mark.parametrize("label", FORMULAS)
def test_a_label_that_begins_like_a_formula_keeps_no_money_unbilled(shop: Office, tmp_path: Path, label: str) -> None:
    assert take(sheet(tmp_path, f'sub-1,shop-1,COUPON,90.00,2026-11-10 10:00,"{label}"'))[:2] == (1, [])
    assert take(parquet(tmp_path, description=[label]))[:2] == (1, [])
    assert kit.record(shop, kit.item(item_id="sub-e", description=label))["accepted"] == 1
    assert [item.description for item in items()] == [label] * 3
    assert harmless(label) == f"'{label}"


@pytest.mark.both
@pytest.mark.parametrize(
    "text", ["123456789012345678", "913302260000000123", "00123", "12E45", "110000000000E12345", "1-2"]
)
def test_an_id_survives_the_way_through_a_spreadsheet(office: Office, tmp_path: Path, text: str) -> None:
    assert harmless(text) == f"'{text}"
    office.open_shop(text)
    assert take(sheet(tmp_path, f"'{text},'{text},COUPON,90.00,2026-11-10 10:00,x"))[:2] == (1, [])
    assert [(item.id, item.shop_id) for item in items()] == [(text, text)]


@pytest.mark.parametrize(
    "text", ["90.00", "-12.50", "1234567890123.45", "shop-1001", "91330226MA2AB1C2D8", "晨光文具", "2026Q4", 12, ""]
)
def test_amounts_and_ordinary_words_leave_as_they_are(text: Any) -> None:
    assert harmless(text) == text


def test_what_is_refused_names_its_item_in_a_sheet_that_runs_nothing(shop: Office, tmp_path: Path) -> None:
    _, rejected, _ = take(sheet(tmp_path, "=cmd|' /C calc'!A0,shop-1,COUPON,90.00,2026-11-10 10:00,x"))
    written = tmp_path / "rejects.csv"
    with written.open("w", newline="") as file:
        csv.writer(file).writerows([[harmless(line.item_id)] for line in rejected])
    assert written.read_text().startswith("'=cmd")
