"""The 数电票 XML: read without following anything in it, as what can be compared with the fields that were sent.

Element names as the tax administration's files have them (``InvoiceNumber``, ``SellerIdNum``, ``TotalAmWithoutTax``,
``IssuItemInformation`` …), found wherever they stand, because issuing platforms nest them differently. A file that
says a thing twice and differently has said both.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from typing import TypeVar
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from models.base import Frozen
from models.invoicing import InvoiceKind

MOST_BYTES = 400_000
MOST_ELEMENTS = 20_000
T = TypeVar("T")


class UnreadableXml(ValueError):
    """The file is no invoice that can be read; ``str`` is the Chinese sentence."""


class EInvoiceLine(Frozen):
    """One line; ``None`` where the file says nothing. Amounts in fen, the rate in per cent."""

    name: str | None = None
    quantity: Decimal | None = None
    net_fen: int | None = None
    tax_fen: int | None = None
    rate: Decimal | None = None
    twice: tuple[str, ...] = ()
    """What it says in two ways."""


class EInvoice(Frozen):
    """What an electronic invoice says of itself: every different value it gives, none where it says nothing.

    Amounts in fen, may be negative. ``unreadable`` names what it says in a way that cannot be read.
    """

    numbers: tuple[str, ...] = ()
    kinds: tuple[InvoiceKind, ...] = ()
    red: bool = False
    issued_on: tuple[date, ...] = ()
    buyer_names: tuple[str, ...] = ()
    buyer_tax_nos: tuple[str, ...] = ()
    seller_names: tuple[str, ...] = ()
    seller_tax_nos: tuple[str, ...] = ()
    net_fen: tuple[int, ...] = ()
    tax_fen: tuple[int, ...] = ()
    gross_fen: tuple[int, ...] = ()
    lines: tuple[EInvoiceLine, ...] = ()
    unreadable: tuple[str, ...] = ()


def read_einvoice(raw: bytes) -> EInvoice:
    """What the XML says; raises :class:`UnreadableXml` for anything that is not plain, small XML of an invoice.

    Entities, external references and DTDs are refused by the parser itself, whatever they would expand to.
    """
    if len(raw) > MOST_BYTES:
        raise UnreadableXml(f"XML 文件超过 {MOST_BYTES // 1000} KB")
    given = _decoded(raw)
    try:
        root = fromstring(given, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    except DefusedXmlException as error:
        raise UnreadableXml("XML 文件含有 DTD、实体或外部引用,不予解析") from error
    except (ParseError, ValueError, LookupError, RecursionError) as error:
        raise UnreadableXml(_why(raw)) from error
    found = _Reader(root).read()
    if not found.numbers and not found.gross_fen:
        raise UnreadableXml("XML 文件不是数电票:没有发票号码,也没有价税合计")
    return found


_DECLARED = re.compile(rb"""\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.-]{1,40})["']""")
_CHINESE = {"gb2312", "gbk", "gb18030", "cp936", "x-gbk", "gb_2312-80"}


def _decoded(raw: bytes) -> bytes | str:
    """What the parser reads by itself stays bytes; Chinese encodings, which it does not know, are read here when declared."""
    found = _DECLARED.match(raw)
    if found is None or found[1].decode().lower() not in _CHINESE:
        return raw
    fault = f"XML 文件声明的编码是 {found[1].decode()},内容却不是"
    in_utf8 = not raw.isascii() and _is(raw, "utf-8")  # read as declared, its words would be others
    if in_utf8 or not _is(raw, "gb18030"):
        raise UnreadableXml(fault)
    return raw.decode("gb18030")


def _is(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _why(raw: bytes) -> str:
    found = _DECLARED.match(raw)
    if found and found[1].decode().lower() not in {"utf-8", "utf8", "utf-16"}:
        return f"XML 文件无法解析,声明的编码是 {found[1].decode()}:请另存为 UTF-8 或 GBK"
    fits = _is(raw, "utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8")
    return "XML 文件无法解析" if fits else "XML 文件的内容不是其声明的编码(没有声明即 UTF-8),请另存为 UTF-8"


class _Reader:
    """The texts of a file by the name of their element, and what could not be read of them."""

    def __init__(self, root: Element) -> None:
        self.texts: dict[str, list[str]] = {}
        self.items: list[Element] = []
        self.unreadable: list[str] = []
        self.red = False
        """Whether there is anything that only a red letter has."""
        for position, element in enumerate(root.iter()):
            if position > MOST_ELEMENTS:
                raise UnreadableXml("XML 文件的元素过多")
            name = _name(element)
            if name == "IssuItemInformation" and len(element):
                self.items += (
                    element if all(len(child) for child in element) else [element]
                )  # some wrap each line once more
            text = _text(element)
            self.red = self.red or (name in {"RedEInvoice", "CreditNoteNumber"} and bool(text or len(element)))
            if text:
                self.texts.setdefault(name, []).append(text)

    def read(self) -> EInvoice:
        texts = self.texts
        numbers = [
            *texts.get("InvoiceNumber", ()),
            *(i for i in texts.get("EIid", ()) if re.fullmatch(r"[0-9]{20}", i)),
        ]
        gross = self._each("价税合计", _fen, texts.get("TotalTax-includedAmount", ()))
        labels = texts.get("LabelName", ())
        return EInvoice(
            numbers=_different(numbers),
            kinds=_kinds(labels),
            red=self.red
            or "N" in texts.get("LabelCode", ())
            or any("红字" in label for label in labels)
            or any(fen < 0 for fen in gross),
            issued_on=self._each("开票日期", _day, texts.get("IssueTime", texts.get("RequestTime", ()))),
            buyer_names=_different(texts.get("BuyerName", ())),
            seller_names=_different(texts.get("SellerName", ())),
            buyer_tax_nos=_different(i.upper() for i in texts.get("BuyerIdNum", ())),
            seller_tax_nos=_different(i.upper() for i in texts.get("SellerIdNum", ())),
            net_fen=self._each("金额", _fen, texts.get("TotalAmWithoutTax", ())),
            tax_fen=self._each("税额", _fen, texts.get("TotalTaxAm", ())),
            gross_fen=gross,
            lines=tuple(self._line(item, position) for position, item in enumerate(self.items, start=1)),
            unreadable=tuple(self.unreadable),
        )

    def _line(self, item: Element, position: int) -> EInvoiceLine:
        said: dict[str, list[str]] = {}
        for part in item.iter():
            if text := _text(part):
                said.setdefault(_name(part), []).append(text)
        twice: list[str] = []

        def one(child: str, label: str, read: Callable[[str], T | None]) -> T | None:
            given = self._each(f"第 {position} 行{label}", read, said.get(child, ()))
            twice.extend([label] if len(given) > 1 else ())
            return given[0] if given else None

        return EInvoiceLine(
            name=one("ItemName", "名称", str),
            quantity=one("Quantity", "数量", _number),
            net_fen=one("Amount", "金额", _fen),
            tax_fen=one("ComTaxAm", "税额", _fen),
            rate=one("TaxRate", "税率", _percent),
            twice=tuple(twice),
        )

    def _each(self, label: str, read: Callable[[str], T | None], given: Iterable[str]) -> tuple[T, ...]:
        """Every different value, read; what cannot be read is noted under its label."""
        values = [read(text) for text in given]
        if None in values:
            self.unreadable.append(label)
        return _different(value for value in values if value is not None)


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _text(element: Element) -> str:
    return " ".join(unicodedata.normalize("NFKC", element.text or "").split())


def _different(values: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))


def _kinds(labels: Iterable[str]) -> tuple[InvoiceKind, ...]:
    words = {"专用发票": InvoiceKind.SPECIAL, "普通发票": InvoiceKind.ORDINARY}
    return _different(kind for label in labels for word, kind in words.items() if word in label)


def _day(text: str) -> date | None:
    found = re.match(r"([0-9]{4})[-/年]?([0-9]{2})[-/月]?([0-9]{2})", text)
    try:
        return date(int(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError:
        return None


def _number(text: str) -> Decimal | None:
    """``1234.5``, ``1,234.50`` and ``1234.5000`` are the same number."""
    plain = text.replace(",", "") if re.fullmatch(r"-?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?", text) else text
    return Decimal(plain) if re.fullmatch(r"-?[0-9]{1,13}(\.[0-9]{1,20})?", plain) else None


def _fen(text: str) -> int | None:
    """An amount in yuan, however many zeros it has; one that is no whole fen cannot be read."""
    yuan = _number(re.sub(r"^[¥￥]\s*", "", text))
    return int(yuan * 100) if yuan is not None and yuan * 100 == int(yuan * 100) else None


def _percent(text: str) -> Decimal | None:
    """``0.06``, ``6%`` and ``6`` are six per cent; what is exempt or not taxed shows none."""
    if text in {"免税", "不征税"}:
        return Decimal(0)
    number = _number(text.removesuffix("%").strip())
    if number is None:
        return None
    return number * 100 if number < 1 and not text.endswith("%") else number
