"""Cells of a file of items: judged by their value, whatever type the file gave them.

A spreadsheet, pandas and Spark write the same amount as ``90.00``, ``90.0000``, ``Decimal('90.0000')`` or ``90.0``, and an id
as a text or a whole number: all of them are taken. What cannot be told for certain, a number that was rounded on its way
or a moment whose zone nothing says, is refused with the reason, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from models.base import Frozen
from models.text import shortened
from office.items.encodings import damaged
from policies.policy import SHANGHAI

_WHOLE = r"-?(?:[0-9]{1,15}|[0-9]{1,3}(?:,[0-9]{3})+)"
"""Commas only between thousands: ``90,00`` is not nine thousand."""
_FEN = re.compile(rf"{_WHOLE}(?:\.0*)?")
_YUAN = re.compile(rf"{_WHOLE}(?:\.[0-9]{{0,2}}0*)?")
_ROUNDED = re.compile(r"-?[0-9](?:\.[0-9]+[eE][+-]?|[eE]\+)[0-9]+")
_AS_FLOAT = re.compile(r"-?[0-9]+\.0+")
_FORMULA = re.compile(r'="([^"]*)"')
"""``="00123"``: how an export keeps digits a text in a spreadsheet."""
_NOTHING = frozenset({"", "NULL", "null", "\\N", "None", "nan", "NaN", "NaT", "<NA>", "N/A", "#N/A"})
"""How people, databases and pandas write that there is no value."""
_EXACT = 2**53
"""Above it a floating number stands for several whole ones."""
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {
    0x3000: " ",
    0xA0: " ",
    0xFFE5: "¥",
    0x2212: "-",
    0x200B: None,
    0xFEFF: None,
}
"""Signs as wide as a Chinese character, other blanks, the typographer's minus, what shows nothing: each has one meaning here."""
_IN_YUAN = re.compile(r"^([-+]?)¥ *|(?<=[0-9]) *[元¥]$")
_PLUS = re.compile(r"\+(?=[0-9])")
_WRITTEN = re.compile(
    r"(?P<year>\d{4})[-/.年](?P<month>\d{1,2})[-/.月](?P<day>\d{1,2})日?(?P<between>(?<=日) *| +|T)(?P<hour>\d{1,2}):(?P<minute>\d{2})"
    r"(:(?P<second>\d{2})(\.(?P<part>\d{1,6})\d*)?)? ?(?P<zone>Z|[+-]\d{2}(:?\d{2})?)?",
    re.ASCII,
)
ZONELESS = "时间没有时区,无法确定是哪一刻:请写成带时区的时间,例如 2026-10-08T16:00:00+08:00"


class Columns(Frozen):
    """What kind of item a file holds: its columns by their headers, English or Chinese, and how each is read.

    ``amounts`` are fields in fen (``amount_fen``) that a file may give in yuan (``amount_yuan``) instead, never both.
    """

    headers: Mapping[str, str]
    key: str
    """The field that names an item."""
    needed: frozenset[str]
    ids: frozenset[str]
    amounts: frozenset[str]
    moments: frozenset[str]
    last: frozenset[str] = frozenset()
    """Fields that may be cut off at the end of a line where they are empty."""
    texts: frozenset[str] = frozenset()
    labels: Mapping[str, Mapping[str, str]] = {}
    """Field → Chinese label → value."""
    yuan_remedy: str = "金额须为元,最多两位小数,例如 90.00"

    def fen(self, field: str) -> str | None:
        """The field in fen that this one gives, in fen or in yuan; ``None`` for what is no amount."""
        in_fen = f"{field.removesuffix('_yuan')}_fen" if field.endswith("_yuan") else field
        return in_fen if in_fen in self.amounts else None


class WrongCell(ValueError):
    """A cell that cannot be taken; ``str`` is the Chinese reason."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


def fields_of(cells: Mapping[str, Any], columns: Columns, *, by_hand: bool) -> tuple[dict[str, Any], bool]:
    """A line's cells as the fields of an item, and whether its time had no zone and was read as Beijing time.

    That is done only with what people write (``by_hand``: the text of a spreadsheet). What is well written and still no
    item is left for the item's own check to refuse. Raises :class:`WrongCell`.
    """
    fields = {name: value for name, value in cells.items() if not _empty(value)}
    assumed = False
    for name in list(fields):
        if name in columns.ids or name in columns.texts:
            value = _text(name, fields[name], is_id=name in columns.ids)
            fields[name] = columns.labels[name].get(value, value) if name in columns.labels else value
        elif (fen := columns.fen(name)) is not None:
            value = fields.pop(name)
            in_yuan = name.endswith("_yuan")
            fields[fen] = (
                _amount(fen, value, _YUAN, 100, columns.yuan_remedy)
                if in_yuan
                else _amount(fen, value, _FEN, 1, "金额须为整数分,不接受小数")
            )
        elif name in columns.moments:
            fields[name], local = _moment(name, fields[name], by_hand)
            assumed = assumed or local
    return {name: value for name, value in fields.items() if value is not None}, assumed


def _empty(value: Any) -> bool:
    if isinstance(value, str):
        return value in _NOTHING
    return value is None or value != value  # noqa: PLR0124  (pandas writes a missing value as NaN)


def _text(name: str, value: Any, *, is_id: bool) -> Any:
    """An id or a label that the file holds as a number or as bytes, as the text it stands for."""
    match value:
        case bytes():
            try:
                value = value.decode("utf-8").strip()
            except UnicodeDecodeError:
                raise WrongCell(name, "内容不是 UTF-8 编码的文字") from None
        case bool():
            return value
        case int():
            value = str(value)
        case Decimal() if value == value.to_integral_value():
            value = str(int(value))
        case float() if value.is_integer() and abs(value) < _EXACT:
            value = str(int(value))
        case float() | Decimal():
            raise WrongCell(name, "此处须为文字或整数,文件里却是带小数或已失去精度的数字")
    if is_id and isinstance(value, str):
        if _ROUNDED.fullmatch(value) or _AS_FLOAT.fullmatch(value):
            how = "小数" if _AS_FLOAT.fullmatch(value) else "科学计数法"
            raise WrongCell(name, f"编号被改写成了{how},请把该列设为文本后重新导出")
        value = _unguarded(value)
    if isinstance(value, str) and damaged(value):
        raise WrongCell(name, f"文字在导出时已损坏({shortened(value, 24)}),请用正确的编码重新导出")
    return value


def _unguarded(value: str) -> str:
    """Without the sign or the formula with which a spreadsheet, and our own exports, keep digits a text."""
    value = value.removeprefix("'")
    return said[1] if (said := _FORMULA.fullmatch(value)) else value


def narrow(value: str) -> str:
    """A number or a moment as it was meant, whatever keyboard or spreadsheet wrote it; its digits are as they were."""
    return _unguarded(value).translate(_WIDE).strip()


def _amount(field: str, value: Any, form: re.Pattern[str], times: int, remedy: str) -> int:
    written = value
    if isinstance(value, bytes):
        written = value.decode("ascii", "replace").strip()
    elif isinstance(value, float) and abs(value) < _EXACT:
        written = format(Decimal(repr(value)), "f")
    elif isinstance(value, int | Decimal) and not isinstance(value, bool):
        written = format(Decimal(value), "f")
    if isinstance(written, str):
        written = narrow(written)
        written = _IN_YUAN.sub(r"\1", written) if form is _YUAN else written
        written = written[1:] if _PLUS.match(written) else written
    if not isinstance(written, str) or not form.fullmatch(written):
        binary = ";此值是浮点数,写入文件前已有误差,请改用十进制(decimal)或整数分" if isinstance(value, float) else ""
        raise WrongCell(field, remedy + binary)
    return int(Decimal(written.replace(",", "")) * times)


def _moment(field: str, value: Any, by_hand: bool) -> tuple[Any, bool]:
    """A moment in ISO 8601, and whether Beijing's zone was put in; what is no moment stays and is judged later."""
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace").strip()
    if isinstance(value, datetime):
        return value.isoformat(), False
    found = _WRITTEN.fullmatch(narrow(value)) if isinstance(value, str) else None
    if not found:
        return value, False
    between, zone = found["between"], found["zone"]
    if zone is None and not (by_hand and between != "T"):
        raise WrongCell(field, ZONELESS)
    numbers = [int(found[name] or 0) for name in ("year", "month", "day", "hour", "minute", "second")]
    try:
        moment = datetime(*numbers, int((found["part"] or "0").ljust(6, "0")), tzinfo=SHANGHAI)  # type: ignore[arg-type, misc]
    except ValueError:
        raise WrongCell(field, "没有这个日期或时刻") from None
    if zone is None:
        return moment.isoformat(), True
    hours = "+00:00" if zone == "Z" else f"{zone[:3]}:{zone[3:].removeprefix(':') or '00'}"
    return moment.replace(tzinfo=None).isoformat() + hours, False
