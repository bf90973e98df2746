"""Files of items: CSV and Parquet read line by line, whatever was done to them on the way.

UTF-8, UTF-8 with a byte-order mark and GBK are all legitimate, but not two of them in one file (:mod:`office.items.encodings`).
Nothing is unpacked: a compressed file is refused, and a Parquet file that claims to be larger than any month is, too.
What the cells mean is read in :mod:`office.items.cells`.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from models.event_parts import MOST_ITEMS, Rejected
from models.text import shortened, without_odd
from office.base.db import Tx, in_transaction
from office.items.batches import Recorded
from office.items.cells import Columns, WrongCell, fields_of, narrow
from office.items.encodings import MOST_LINE, UnreadableFile, encoding_of

MOST_BYTES = 2 * 1024**3
MOST_ROWS = 5_000_000
MOST_COLUMNS = 20
MOST_CELL = 10_000
BATCH = 250
"""Rows of a Parquet file that are unpacked at a time: cells are short by then, so a batch is small."""
MOST_GROUP_BYTES = 512 * 1024**2

_INDEX = re.compile(r"|unnamed: 0|__index_level_\d+__")
"""How pandas names the column of its row numbers."""


_PACKED = (
    b"PK",
    b"\xd0\xcf\x11\xe0",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\x00",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!",
    b"\x28\xb5\x2f\xfd",
    b"\x04\x22\x4d\x18",
)
"""How archives and workbooks begin: zip and xlsx, xls, gzip, bzip2, xz, 7z, rar, zstd, lz4."""
_WIDE_MARKS = {
    "UTF-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
    "UTF-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}
_OTHER_SIGNS = re.compile(r"[;\t|，、]")


Record = Callable[[Tx, Sequence[tuple[int, Mapping[str, Any]]]], Recorded]
"""What is done with up to a thousand items, each with its position, in one transaction."""


def import_file(path: Path, columns: Columns, record: Record) -> Iterator[tuple[int, int, Recorded]]:
    """Record a file in transactions of a thousand items; yields bytes or rows done, of how many, and what became of them.

    Positions are line numbers (CSV) or row numbers from 1 (Parquet). Importing the same file again changes nothing.
    """
    rows, of = _rows(path, columns)
    done = 0
    while batch := list(islice(rows, MOST_ITEMS)):
        bad = tuple(row for row in batch if isinstance(row, Rejected))
        good = [(row[0], row[1]) for row in batch if not isinstance(row, Rejected)]
        assumed = sum(row[2] for row in batch if not isinstance(row, Rejected))

        outcome = in_transaction(lambda tx, good=good: record(tx, good)) if good else Recorded()  # type: ignore[misc]
        done += len(batch)
        rejected = tuple(sorted((*bad, *outcome.rejected), key=lambda line: line.position))
        yield done, max(of, done), outcome.model_copy(update={"rejected": rejected, "assumed": assumed})


Row = tuple[int, dict[str, Any], bool] | Rejected
"""Position, fields, and whether Beijing's zone was put in; or why not."""


def _rows(path: Path, columns: Columns) -> tuple[Iterator[Row], int]:
    if not path.is_file():
        raise UnreadableFile(f"{path.name} 是目录,请给出文件" if path.is_dir() else f"文件 {path.name} 不存在")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise UnreadableFile("文件超过 2 GB,请分批导入")
    with path.open("rb") as file:
        head = file.read(8)
    if head[:4] == b"PAR1":
        return _parquet(path, columns)
    if head.startswith(_PACKED):
        raise UnreadableFile("不接受压缩文件或 Excel 文件,请先解压或另存为 CSV")
    for name, mark in _WIDE_MARKS.items():
        if head.startswith(mark):
            raise UnreadableFile(f"文件是 {name} 编码,请另存为 UTF-8 或 GBK 编码的 CSV")
    encoding, lines = encoding_of(path)
    return _csv(path, encoding, columns), lines


def _header(names: Sequence[str], columns: Columns) -> list[str]:
    """The field of each column; empty for one that holds nothing to read: pandas' row numbers, a nameless column."""
    fields = []
    if len(names) > MOST_COLUMNS:
        raise UnreadableFile(f"表头有 {len(names)} 列,最多 {MOST_COLUMNS} 列")
    meant = [narrow(unicodedata.normalize("NFKC", name)).casefold() for name in names]
    if sum(map(bool, meant)) == 1 < len(meant) and not set(meant) & set(columns.headers):
        raise UnreadableFile(f"文件第一行须为表头,却是标题 {shortened(next(filter(None, meant)), 64)!r},请删去标题行")
    for name in meant:
        if name not in columns.headers and not _INDEX.fullmatch(name):
            raise UnreadableFile(f"不认识的列 {shortened(name, 64)!r},可用的列:{'、'.join(columns.headers)}")
        fields.append(columns.headers.get(name, ""))
    if repeated := sorted({field for field in fields if field and fields.count(field) > 1}):
        raise UnreadableFile(f"表头重复:{'、'.join(repeated)}")
    given = [columns.fen(field) or field for field in fields if field]
    for fen in sorted(columns.amounts):
        if given.count(fen) > 1 or (fen in columns.needed and fen not in given):
            other = f"{fen.removesuffix('_fen')}_yuan"
            raise UnreadableFile(f"缺少列:金额({fen} 或 {other},只能有一个)")
    if missing := columns.needed - set(given):
        raise UnreadableFile(f"缺少列:{'、'.join(sorted(missing))}")
    return fields


def _csv(path: Path, encoding: str, columns: Columns) -> Iterator[Row]:
    csv.field_size_limit(MOST_CELL)
    with path.open(encoding=encoding, newline="") as file:
        lines = _lines(file)
        head = next(lines, (0, []))
        if head[1] and head[1][0].casefold() == "sep=":  # with which a spreadsheet says that commas part its cells
            head = next(lines, (0, []))
        if head[1] is None:
            raise UnreadableFile("表头无法解析")
        if not head[1]:
            raise UnreadableFile("文件第一行须为表头,却是空行" if head[0] else "文件是空的")
        if len(head[1]) == 1 and _OTHER_SIGNS.search(head[1][0]):
            raise UnreadableFile("列之间须用英文逗号隔开,请另存为逗号分隔的 CSV")
        fields = _header(head[1], columns)
        for position, cells in lines:
            if cells is None:
                yield Rejected(position=position, field="", reason="这一行无法解析(引号不配对、内容里有换行或内容过长)")
            elif not any(cell.strip() for cell in cells) or cells == ["\x1a"]:  # as DOS ended its files
                continue
            else:
                yield _line(position, fields, [cell.strip() for cell in cells], columns)


def _line(position: int, fields: Sequence[str], cells: list[str], columns: Columns) -> Row:
    """A line under its header. A spreadsheet leaves away empty last cells, or writes more of them than there are names."""
    cut, beyond = fields[len(cells) :], cells[len(fields) :]
    if any(beyond) or any(field and field not in columns.last for field in cut):
        return Rejected(position=position, field="", reason=f"有 {len(cells)} 列,表头有 {len(fields)} 列")
    named = dict[str, Any]()
    for number, (field, cell) in enumerate(zip(fields, cells, strict=False)):
        if field:
            named[field] = cell
        elif cell and not (number == 0 and cell.isdecimal()):
            return Rejected(position=position, field="", reason=f"第 {number + 1} 列没有表头,却有内容")
    return _read(position, named, columns, by_hand=True)


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


def _parquet(path: Path, columns: Columns) -> tuple[Iterator[Row], int]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
        names = schema.names
        for part in schema:
            if pa.types.is_nested(part.type):
                raise UnreadableFile(f"Parquet 文件的列 {shortened(part.name, 64)} 是嵌套类型,须为普通的值")
        file = pq.ParquetFile(path, read_dictionary=names)
        shape = file.metadata
        groups = [shape.row_group(number).total_byte_size for number in range(shape.num_row_groups)]
        fields = _header(names, columns)
        moments = {field: _moments(file, names[fields.index(field)]) for field in columns.moments & set(fields)}
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
                read = [
                    moments[field](column) if field in moments else column
                    for field, column in zip(fields, batch.columns, strict=True)
                ]
                for column in read:
                    _short(column)
                for row in range(batch.num_rows):
                    position += 1
                    yield _plain(position, fields, [column[row] for column in read], columns)
        except (pa.ArrowException, OSError) as error:
            raise UnreadableFile(f"Parquet 文件在第 {position + 1} 行之后损坏") from error

    return rows(), shape.num_rows


def _short(column: Any) -> None:
    """A value said once and repeated a million times is a few bytes in the file: refused before it is unpacked."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = column.dictionary if pa.types.is_dictionary(column.type) else column
    text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type) or pa.types.is_binary(values.type)
    if text and (pc.max(pc.binary_length(values)).as_py() or 0) > MOST_CELL:
        raise UnreadableFile(f"Parquet 文件中有超过 {MOST_CELL:,} 字节的内容")


def _moments(file: Any, name: str) -> Callable[[Any], Any]:
    """How a column of moments is to be read: as it is, or in UTC, whatever zone is named beside the instants.

    Where no zone is named, UTC counts only if the physical type says so.

    INT96, and the old annotation without a zone, hold an instant in UTC when the Java library of Spark and Hive wrote
    them, and local time from others. A time of the clock, without any zone, is no instant at all.
    """
    import pyarrow as pa

    kind = file.schema_arrow.field(name).type
    if not pa.types.is_timestamp(kind):
        return lambda column: column
    if kind.tz is not None:  # to the microsecond, as everything here; what comes behind it moves nothing
        return lambda column: column.cast(
            pa.timestamp("us" if kind.unit == "ns" else kind.unit, "UTC"), safe=kind.unit != "ns"
        )
    leaf = next(leaf for leaf in (file.schema.column(n) for n in range(len(file.schema))) if leaf.path == name)
    clock_time = leaf.physical_type != "INT96" and not json.loads(leaf.logical_type.to_json()).get(
        "is_from_converted_type"
    )
    if clock_time or not (file.metadata.created_by or "").startswith("parquet-mr"):
        raise UnreadableFile(
            f"列 {name} 的时间没有时区({leaf.physical_type}),文件本身不能说明是北京时间还是 UTC:"
            "请写成带时区的时间戳(isAdjustedToUTC=true),或写成文字,例如 2026-10-08T16:00:00+08:00"
        )
    return lambda column: column.cast(pa.timestamp(kind.unit, "UTC"))


def _plain(position: int, fields: Sequence[str], values: Sequence[Any], columns: Columns) -> Row:
    """A row of a Parquet file as Python has its values; one that Python cannot have is said with its field."""
    cells = {}
    for field, value in zip(fields, values, strict=True):
        if not field:
            continue
        try:
            cells[field] = value.as_py()
        except (UnicodeDecodeError, ValueError, OverflowError):
            return Rejected(position=position, field=field, reason="内容无法读取(编码不正确,或时间超出范围)")
    plain = {name: value.strip() if isinstance(value, str) else value for name, value in cells.items()}
    return _read(position, plain, columns, by_hand=False)


def _read(position: int, cells: Mapping[str, Any], columns: Columns, *, by_hand: bool) -> Row:
    try:
        fields, assumed = fields_of(cells, columns, by_hand=by_hand)
    except WrongCell as wrong:
        item_id = shortened(without_odd(str(cells.get(columns.key) or ""), ""), 64)
        return Rejected(position=position, item_id=item_id, field=wrong.field, reason=str(wrong))
    return position, fields, assumed
