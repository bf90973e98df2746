"""Files of billable items: CSV and Parquet read line by line, whatever was done to them on the way.

UTF-8, UTF-8 with a byte-order mark and GBK (read as GB 18030, which holds it) are all legitimate. Nothing is unpacked: a compressed file is refused,
and a Parquet file that claims to be larger than any month is, too.
"""

from __future__ import annotations

import codecs
import csv
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from models.invoicing import BillableCategory
from models.invoicing_events import MOST_ITEMS, Rejected
from policies.policy import SHANGHAI
from tasks.billables import Recorded, note, record
from tasks.db import Tx, in_transaction

MOST_BYTES = 2 * 1024**3
MOST_ROWS = 5_000_000
MOST_COLUMNS = 20
MOST_CELL = 10_000
MOST_LINE = 1 << 16
BATCH = 250
"""Rows of a Parquet file that are unpacked at a time: cells are short by then, so a batch is small."""
MOST_GROUP_BYTES = 512 * 1024**2

COLUMNS = {
    "item_id": "item_id", "明细编号": "item_id", "shop_id": "shop_id", "店铺编号": "shop_id", "category": "category",
    "类别": "category", "amount_fen": "amount_fen", "金额(分)": "amount_fen", "amount_yuan": "amount_yuan",
    "金额(元)": "amount_yuan", "settled_at": "settled_at", "结算时间": "settled_at", "description": "description",
    "说明": "description", "corrects": "corrects", "被更正明细": "corrects",
}  # fmt: skip
"""Header → field, English or Chinese. One of the two amounts, never both."""

_YUAN = re.compile(r"-?(?:[0-9]{1,13}|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.[0-9]{1,2})?")
"""Commas only between thousands: ``90,00`` is not nine thousand."""

_LABELS = {category.label: category.value for category in BillableCategory}


class UnreadableFile(ValueError):
    """The whole file cannot be read; ``str`` is the Chinese sentence."""


def import_file(path: Path, actor: str = "operator") -> Iterator[tuple[int, int, Recorded]]:
    """Record a file in transactions of a thousand items; yields bytes or rows done, of how many, and what became of them.

    Positions are line numbers (CSV) or row numbers from 1 (Parquet). Importing the same file again changes nothing.
    """
    rows, of = _rows(path)
    done = 0
    while batch := list(islice(rows, MOST_ITEMS)):
        bad = tuple(row for row in batch if isinstance(row, Rejected))
        good = [row for row in batch if not isinstance(row, Rejected)]

        def take(tx: Tx, good: list[tuple[int, dict[str, Any]]] = good) -> Recorded:
            found = record(tx, good)
            note(tx, found, good, actor)
            return found

        outcome = in_transaction(take) if good else Recorded()
        done += len(batch)
        rejected = tuple(sorted((*bad, *outcome.rejected), key=lambda line: line.position))
        yield done, max(of, done), outcome.model_copy(update={"rejected": rejected})


Row = tuple[int, dict[str, Any]] | Rejected


def _rows(path: Path) -> tuple[Iterator[Row], int]:
    if not path.is_file():
        raise UnreadableFile(f"文件 {path.name} 不存在")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise UnreadableFile("文件超过 2 GB,请分批导入")
    with path.open("rb") as file:
        head = file.read(8)
    if head[:4] == b"PAR1":
        return _parquet(path)
    if head[:2] in {b"PK", b"\x1f\x8b"} or head[:3] == b"BZh" or head[:6] in {b"\xfd7zXZ\x00", b"7z\xbc\xaf\x27\x1c"}:
        raise UnreadableFile("不接受压缩文件或 Excel 文件,请先解压或另存为 CSV")
    if head[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        raise UnreadableFile("文件是 UTF-16 编码,请另存为 UTF-8 或 GBK 编码的 CSV")
    encoding, lines = _encoding(path)
    return _csv(path, encoding), lines


def _encoding(path: Path) -> tuple[str, int]:
    """The encoding in which the whole file can be read, and roughly how many lines it has."""
    for encoding in ("utf-8-sig", "gb18030"):
        decoder, lines = codecs.getincrementaldecoder(encoding)("strict"), 0
        try:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    text = decoder.decode(block)
                    if "\x00" in text:
                        raise UnreadableFile("文件含有空字符,不是文本文件")
                    lines += text.count("\n")
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding, lines
    raise UnreadableFile("文件既不是 UTF-8 也不是 GBK 编码,请另存为其中一种")


def _header(names: Sequence[str]) -> list[str]:
    fields = []
    if len(names) > MOST_COLUMNS:
        raise UnreadableFile(f"表头有 {len(names)} 列,最多 {MOST_COLUMNS} 列")
    for name in (unicodedata.normalize("NFKC", name).strip() for name in names):
        if name not in COLUMNS:
            raise UnreadableFile(f"不认识的列 {name[:40]!r},可用的列:{'、'.join(COLUMNS)}")
        fields.append(COLUMNS[name])
    if repeated := sorted({field for field in fields if fields.count(field) > 1}):
        raise UnreadableFile(f"表头重复:{'、'.join(repeated)}")
    missing = {"item_id", "shop_id", "category", "settled_at"} - set(fields)
    if missing or len({"amount_fen", "amount_yuan"} & set(fields)) != 1:
        raise UnreadableFile(f"缺少列:{'、'.join(sorted(missing)) or '金额(amount_fen 或 amount_yuan,只能有一个)'}")
    return fields


def _csv(path: Path, encoding: str) -> Iterator[Row]:
    csv.field_size_limit(MOST_CELL)
    with path.open(encoding=encoding, newline="") as file:
        lines = _lines(file)
        head = next(lines, (1, []))[1]
        if head is None:
            raise UnreadableFile("表头无法解析")
        fields = _header(head)
        for position, cells in lines:
            if cells is None:
                yield Rejected(position=position, field="", reason="这一行无法解析(引号不配对或内容过长)")
            elif not any(cell.strip() for cell in cells):
                continue
            elif len(cells) != len(fields):
                yield Rejected(position=position, field="", reason=f"有 {len(cells)} 列,表头有 {len(fields)} 列")
            else:
                yield _read(position, dict(zip(fields, (cell.strip() for cell in cells), strict=True)))


def _lines(file: TextIO) -> Iterator[tuple[int, list[str] | None]]:
    """Each physical line's number and cells, ``None`` where it has none.

    A line is parsed alone, because no field may hold a line break: a quotation mark that is never closed spoils its
    own line and none after it. Of a line that is too long no more than a piece is ever in memory.
    """
    position = 0
    while line := file.readline(MOST_LINE):
        position, long = position + 1, False
        while len(line) == MOST_LINE and line[-1] not in "\r\n":
            line, long = file.readline(MOST_LINE), True
        try:
            yield position, None if long else next(csv.reader([line.rstrip("\r\n")], strict=True), [])
        except csv.Error:
            yield position, None


def _parquet(path: Path) -> tuple[Iterator[Row], int]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
        file = pq.ParquetFile(path, read_dictionary=names)
        shape = file.metadata
        groups = [shape.row_group(number).total_byte_size for number in range(shape.num_row_groups)]
        fields = _header(names)
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, UnreadableFile):
            raise
        raise UnreadableFile("Parquet 文件无法读取") from error
    if shape.num_rows > MOST_ROWS or max(groups, default=0) > MOST_GROUP_BYTES:
        raise UnreadableFile("Parquet 文件解压后过大,请分批导入")

    def rows() -> Iterator[Row]:
        position = 0
        try:
            for batch in file.iter_batches(batch_size=BATCH):
                for column in batch.columns:
                    _short(column)
                for row in range(batch.num_rows):
                    position += 1
                    yield _plain(position, fields, [column[row] for column in batch.columns])
        except (pa.ArrowException, OSError) as error:
            raise UnreadableFile(f"Parquet 文件在第 {position + 1} 行之后损坏") from error

    return rows(), shape.num_rows


def _short(column: Any) -> None:
    """A value said once and repeated a million times is a few bytes in the file: refused before it is unpacked."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = column.dictionary if pa.types.is_dictionary(column.type) else column
    if pa.types.is_nested(values.type):
        raise UnreadableFile("Parquet 文件的列不能是嵌套类型")
    text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type) or pa.types.is_binary(values.type)
    if text and (pc.max(pc.binary_length(values)).as_py() or 0) > MOST_CELL:
        raise UnreadableFile(f"Parquet 文件中有超过 {MOST_CELL:,} 字节的内容")


def _plain(position: int, fields: Sequence[str], values: Sequence[Any]) -> Row:
    """A row of a Parquet file as Python has its values; one that Python cannot have is said with its field."""
    cells = {}
    for field, value in zip(fields, values, strict=True):
        try:
            cells[field] = value.as_py()
        except (UnicodeDecodeError, ValueError, OverflowError):
            return Rejected(position=position, field=field, reason="内容无法读取(编码不正确,或时间精确到纳秒)")
    return _read(position, cells)


def _read(position: int, cells: Mapping[str, Any]) -> Row:
    """A line's cells as the fields of an item; what cannot be one is left for the item's own check to refuse."""
    fields = {name: value for name, value in cells.items() if value not in (None, "")}
    if "amount_yuan" in fields:
        fen = _fen(fields.pop("amount_yuan"))
        if fen is None:
            return _refuse(position, fields, "金额须为元,最多两位小数,例如 90.00 或 -12.50")
        fields["amount_fen"] = fen
    elif isinstance(fields.get("amount_fen"), str):
        if not re.fullmatch(r"-?\d{1,15}", fields["amount_fen"]):
            return _refuse(position, fields, "金额须为整数分,不接受小数")
        fields["amount_fen"] = int(fields["amount_fen"])
    if isinstance(fields.get("category"), str):
        fields["category"] = _LABELS.get(fields["category"], fields["category"])
    fields["settled_at"] = _moment(fields.get("settled_at"))
    return position, fields


def _refuse(position: int, fields: Mapping[str, Any], reason: str) -> Rejected:
    return Rejected(position=position, item_id=str(fields.get("item_id", ""))[:64], field="amount_fen", reason=reason)


def _fen(value: Any) -> int | None:
    if isinstance(value, float):
        return None  # 0.1 + 0.2: an amount in a binary fraction is not an amount
    text = str(value)
    if not _YUAN.fullmatch(text):
        return None
    return int(Decimal(text.replace(",", "")) * 100)


def _moment(value: Any) -> Any:
    """A time without a zone in a spreadsheet is Beijing time; anything else stays as it is and is judged later."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=SHANGHAI)).isoformat()
    if isinstance(value, str) and re.fullmatch(r"\d{4}[-/]\d{1,2}[-/]\d{1,2} \d{1,2}:\d{2}(:\d{2})?", value):
        day, clock = value.replace("/", "-").split(" ")
        year, month, number = day.split("-")
        clock = clock if clock.count(":") == 2 else f"{clock}:00"
        return f"{year}-{int(month):02d}-{int(number):02d}T{clock.zfill(8)}+08:00"
    return value
