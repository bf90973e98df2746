"""The 数电票 XML: read without following anything in it, as the few fields that can be compared with what was sent.

Element names as the tax administration's files have them (``InvoiceNumber``, ``SellerIdNum``, ``TotalAmWithoutTax``
…), found wherever they stand, because issuing platforms nest them differently.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from models.base import Frozen

MOST_BYTES = 400_000
MOST_ELEMENTS = 20_000


class UnreadableXml(ValueError):
    """The file is no invoice that can be read; ``str`` is the Chinese sentence."""


class EInvoice(Frozen):
    """What an electronic invoice says of itself; ``None`` where it says nothing. Amounts in fen, may be negative."""

    number: str | None = None
    red: bool = False
    issued_on: date | None = None
    buyer_name: str | None = None
    buyer_tax_no: str | None = None
    seller_name: str | None = None
    seller_tax_no: str | None = None
    net_fen: int | None = None
    tax_fen: int | None = None
    gross_fen: int | None = None


def read_einvoice(raw: bytes) -> EInvoice:
    """The fields in the XML; raises :class:`UnreadableXml` for anything that is not plain, small XML.

    Entities, external references and DTDs are refused by the parser itself, whatever they would expand to.
    """
    if len(raw) > MOST_BYTES:
        raise UnreadableXml(f"XML 文件超过 {MOST_BYTES // 1000} KB")
    try:
        root = fromstring(raw, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    except DefusedXmlException as error:
        raise UnreadableXml("XML 文件含有 DTD、实体或外部引用,不予解析") from error
    except (ParseError, ValueError, LookupError, RecursionError) as error:
        raise UnreadableXml("XML 文件无法解析") from error
    texts: dict[str, str] = {}
    for position, element in enumerate(root.iter()):
        if position > MOST_ELEMENTS:
            raise UnreadableXml("XML 文件的元素过多")
        name = str(element.tag).rpartition("}")[2]
        if element.text and element.text.strip():
            texts.setdefault(name, element.text.strip()[:300])
    found = EInvoice(
        number=texts.get("InvoiceNumber") or texts.get("EIid"), red=texts.get("LabelCode", "Y") == "N",
        issued_on=_day(texts.get("IssueTime") or texts.get("RequestTime")), buyer_name=texts.get("BuyerName"),
        buyer_tax_no=texts.get("BuyerIdNum"), seller_name=texts.get("SellerName"), seller_tax_no=texts.get("SellerIdNum"),
        net_fen=_fen(texts.get("TotalAmWithoutTax"), "金额"), tax_fen=_fen(texts.get("TotalTaxAm"), "税额"),
        gross_fen=_fen(texts.get("TotalTax-includedAmount"), "价税合计"),
    )  # fmt: skip
    if found.number is None and found.gross_fen is None:
        raise UnreadableXml("XML 文件不是数电票:没有发票号码,也没有价税合计")
    return found


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    found = re.match(r"([0-9]{4})[-/年]?([0-9]{2})[-/月]?([0-9]{2})", text)
    try:
        if found:
            return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        pass
    raise UnreadableXml("XML 文件中的开票日期无法读取")


def _fen(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"-?[0-9]{1,13}(\.[0-9]{1,2})?", text):
        raise UnreadableXml(f"XML 文件中的{name}无法读取")
    return int(Decimal(text) * 100)
