"""Cells of a file of billable items: judged by their value, whatever type the file gave them.

A spreadsheet, pandas and Spark write the same fee as ``90.00``, ``90.0000``, ``Decimal('90.0000')`` or ``90.0``, and an id
as a text or a whole number: all of them are taken. What cannot be told for certain, a number that was rounded on its way
or a moment whose zone nothing says, is refused with the reason, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from models.invoicing import BillableCategory
from policies.policy import SHANGHAI

_WHOLE = r"-?(?:[0-9]{1,15}|[0-9]{1,3}(?:,[0-9]{3})+)"
"""Commas only between thousands: ``90,00`` is not nine thousand."""
_FEN = re.compile(rf"{_WHOLE}(?:\.0*)?")
_YUAN = re.compile(rf"{_WHOLE}(?:\.[0-9]{{0,2}}0*)?")
_ROUNDED = re.compile(r"-?[0-9](?:\.[0-9]+)?[eE]\+[0-9]+")
_EXACT = 2**53
"""Above it a floating number stands for several whole ones."""
_WRITTEN = re.compile(
    r"(?P<year>\d{4})[-/](?P<month>\d{1,2})[-/](?P<day>\d{1,2})(?P<between> +|T)(?P<hour>\d{1,2}):(?P<minute>\d{2})"
    r"(:(?P<second>\d{2})(\.(?P<part>\d{1,6})\d*)?)? ?(?P<zone>Z|[+-]\d{2}(:?\d{2})?)?",
    re.ASCII,
)
ZONELESS = "时间没有时区,无法确定是哪一刻:请写成带时区的时间,例如 2026-10-08T16:00:00+08:00"

_IDS = ("item_id", "shop_id", "corrects")
_TEXTS = (*_IDS, "category", "description")
_LABELS = {category.label: category.value for category in BillableCategory}


class WrongCell(ValueError):
    """A cell that cannot be taken; ``str`` is the Chinese reason."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


def fields_of(cells: Mapping[str, Any], *, by_hand: bool) -> tuple[dict[str, Any], bool]:
    """A line's cells as the fields of an item, and whether its time had no zone and was read as Beijing time.

    That is done only with what people write (``by_hand``: the text of a spreadsheet). What is well written and still no
    item is left for the item's own check to refuse. Raises :class:`WrongCell`.
    """
    fields = {name: value for name, value in cells.items() if not _empty(value)}
    for name in _TEXTS:
        if name in fields:
            fields[name] = _text(name, fields[name])
    fields["category"] = _LABELS.get(fields.get("category", ""), fields.get("category"))
    if "amount_yuan" in fields:
        fields["amount_fen"] = _amount(
            fields.pop("amount_yuan"), _YUAN, 100, "金额须为元,最多两位小数,例如 90.00 或 -12.50"
        )
    elif "amount_fen" in fields:
        fields["amount_fen"] = _amount(fields["amount_fen"], _FEN, 1, "金额须为整数分,不接受小数")
    fields["settled_at"], local = _moment(fields.get("settled_at"), by_hand)
    return {name: value for name, value in fields.items() if value is not None}, local


def _empty(value: Any) -> bool:
    return value is None or value == "" or value != value  # noqa: PLR0124  (pandas writes a missing value as NaN)


def _text(name: str, value: Any) -> Any:
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
    if name in _IDS and isinstance(value, str):
        if _ROUNDED.fullmatch(value):
            raise WrongCell(name, "编号被电子表格改写成了科学计数法,请把该列设为文本后重新导出")
        value = value.removeprefix("'")  # with which a spreadsheet, and our own exports, keep digits a text
    return value


def _amount(value: Any, form: re.Pattern[str], times: int, remedy: str) -> int:
    written = value
    if isinstance(value, bytes):
        written = value.decode("ascii", "replace").strip()
    elif isinstance(value, float) and abs(value) < _EXACT:
        written = format(Decimal(repr(value)), "f")
    elif isinstance(value, int | Decimal) and not isinstance(value, bool):
        written = format(Decimal(value), "f")
    if not isinstance(written, str) or not form.fullmatch(written):
        binary = ";此值是浮点数,写入文件前已有误差,请改用十进制(decimal)或整数分" if isinstance(value, float) else ""
        raise WrongCell("amount_fen", remedy + binary)
    return int(Decimal(written.replace(",", "")) * times)


def _moment(value: Any, by_hand: bool) -> tuple[Any, bool]:
    """A moment in ISO 8601, and whether Beijing's zone was put in; what is no moment stays and is judged later."""
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace").strip()
    if isinstance(value, datetime):
        return value.isoformat(), False
    found = _WRITTEN.fullmatch(value) if isinstance(value, str) else None
    if not found:
        return value, False
    between, zone = found["between"], found["zone"]
    if zone is None and not (by_hand and between.isspace()):
        raise WrongCell("settled_at", ZONELESS)
    numbers = [int(found[name] or 0) for name in ("year", "month", "day", "hour", "minute", "second")]
    try:
        moment = datetime(*numbers, int((found["part"] or "0").ljust(6, "0")), tzinfo=SHANGHAI)  # type: ignore[arg-type, misc]
    except ValueError:
        raise WrongCell("settled_at", "没有这个日期或时刻") from None
    if zone is None:
        return moment.isoformat(), True
    hours = "+00:00" if zone == "Z" else f"{zone[:3]}:{zone[3:].removeprefix(':') or '00'}"
    return moment.replace(tzinfo=None).isoformat() + hours, False
