"""An invoice's XML in whatever encoding it declares: read as meant, or refused with the true reason, never as other words."""

from __future__ import annotations

import pytest

from policies.einvoice import UnreadableXml, read_einvoice

SELLER = "宁波晨光文具有限公司"


def invoice(declared: str, encoding: str) -> bytes:
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    body = f"<EInvoice><EIid>26332000000012345678</EIid><SellerName>{SELLER}</SellerName></EInvoice>"
    return (head + body).encode(encoding)


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("", "utf-8"), ("", "utf-8-sig"), ("UTF-8", "utf-8"), ("utf-8", "utf-8-sig"), ("UTF-16", "utf-16"), ("GBK", "gbk"),
        ("gb2312", "gb2312"), ("GB2312", "gbk"), ("GB18030", "gb18030"), ("cp936", "gbk"), ("gbk", "gb18030"),
    ],
)  # fmt: skip
def test_what_an_invoice_declares_is_how_it_is_read(declared: str, encoding: str) -> None:
    assert read_einvoice(invoice(declared, encoding)).seller_names == (SELLER,)


@pytest.mark.parametrize(
    ("declared", "encoding", "why"),
    [
        ("", "gbk", "不是其声明的编码"),
        ("UTF-8", "gbk", "不是其声明的编码"),
        ("GBK", "utf-16", "XML"),
        ("GBK", "utf-8", "内容却不是"),
        ("Big5", "gb18030", "声明的编码是 Big5"),
        ("nonsense", "utf-8", "声明的编码是 nonsense"),
        ("UTF-7", "utf-8", "声明的编码是 UTF-7"),
        ("UTF-8", "utf-32", "XML"),
    ],
)
def test_what_is_not_in_the_encoding_it_declares_is_refused_as_that(declared: str, encoding: str, why: str) -> None:
    with pytest.raises(UnreadableXml, match=why):
        read_einvoice(invoice(declared, encoding))


def test_entities_are_refused_in_every_encoding() -> None:
    bomb = '<?xml version="1.0" encoding="GBK"?><!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>'
    with pytest.raises(UnreadableXml, match="DTD"):
        read_einvoice(bomb.encode("gbk"))
