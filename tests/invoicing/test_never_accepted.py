"""What can never be accepted (ambiguity 33; INV-2, INV-4, INV-6): by one person or two, with the freeze where it is."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from models.invoicing_events import InvoiceSubmitted
from notifications.invoicing import InvoiceReturned
from notifications.rendering import render
from office.cases import merchants
from policies.invoice_checks import check_invoice
from tests.invoicing import kit
from tests.invoicing.kit import billed, review_of, send_invoice, statement, told
from tests.invoicing.test_rules import CLEAN, EXPECTED, POLICY
from tests.play import Office
from tests.reading import read

NUMBER = "26330000000012345678"
BLUE = {
    "InvoiceNumber": NUMBER,
    "IssueTime": "2026-12-01 09:30:00",
    "TotalAmWithoutTax": "84.91",
    "TotalTaxAm": "5.09",
    "TotalTax-includedAmount": "90.00",
    "SellerIdNum": "91330226MA2AB1C2D8",
    "SellerName": "宁波晨光文具有限公司",
    "BuyerIdNum": "91110000600037341L",
    "BuyerName": "店务演示平台",
}
LINE = {
    "ItemName": "*现代服务*推广费",
    "Quantity": "1",
    "UnPrice": "84.91",
    "Amount": "84.91",
    "TaxRate": "0.06",
    "ComTaxAm": "5.09",
}
KIND = "<GeneralOrSpecialVAT><LabelCode>01</LabelCode><LabelName>增值税专用发票</LabelName></GeneralOrSpecialVAT>"


def tags(fields: dict[str, str]) -> str:
    return "".join(f"<{name}>{value}</{name}>" for name, value in fields.items() if value)


def document(
    line: dict[str, str] | None = None, labels: str = KIND, extra: str = "", wrapped: str = "", **changes: str
) -> str:
    """A whole electronic invoice as the tax administration's files are laid out; its line ``wrapped`` in one more element."""
    inner = tags(LINE | (line or {}))
    inner = f"<{wrapped}>{inner}</{wrapped}>" if wrapped else inner
    items = f"<IssuItemInformation>{inner}</IssuItemInformation>"
    header = (
        f"<Header><InherentLabel><InIssuType><LabelCode>Y</LabelCode></InIssuType>{labels}</InherentLabel></Header>"
    )
    body = f"<EInvoice>{header}<EInvoiceData>{tags(BLUE | changes)}{items}</EInvoiceData>{extra}</EInvoice>"
    return base64.b64encode(body.encode()).decode()


GOODS = {"name": "*文具*笔", "content": "GOODS", "net_fen": 8_491, "tax_fen": 509, "rate": "6"}


def goods(**changes: Any) -> dict[str, Any]:
    return {"lines": [GOODS | changes], "difficulty": "经营范围不含服务"}


NEVER = {
    "another buyer's name": ({"buyer_name": "另一家公司"}, "购买方名称"),
    "another buyer's tax number": ({"buyer_tax_no": "91110108551385082Q"}, "购买方税号"),
    "no buyer's tax number": ({"buyer_tax_no": ""}, "购买方税号"),
    "another seller's name": ({"seller_name": "宁波晨光文具厂"}, "销售方名称"),
    "another seller's tax number": ({"seller_tax_no": "92330226MA2AB1C2D5"}, "销售方税号"),
    "goods with a quantity": (goods(quantity="5"), "数量必须写成 0"),
    "goods without a quantity": (goods(), "数量必须写成 0"),
    "goods with a fraction": (goods(quantity="0.00000001"), "数量必须写成 0"),
    "goods declared as a service": (goods(quantity="5", content="SERVICE"), "按货物类处理"),
    "goods declared as a service without a quantity": (goods(content="SERVICE"), "按货物类处理"),
    "a document of goods without a quantity": (
        {"xml": document(line={"ItemName": "*文具*笔", "Quantity": ""}), **goods(quantity="0")}, "XML 文件第 1 行"
    ),
    "a document of goods without a quantity, declared as a service": (
        {"xml": document(line={"ItemName": "*文具*笔", "Quantity": ""}), **goods(content="SERVICE")}, "XML 文件第 1 行"
    ),
    "a document of something unclear without a quantity, declared as goods": (
        {"xml": document(line={"ItemName": "笔", "Quantity": ""}), **goods(quantity="0", name="笔")}, "没有写明数量 0"
    ),
    "the second line is goods": (
        {"lines": [{"name": "*现代服务*推广费", "content": "SERVICE", "net_fen": 4_246, "tax_fen": 255, "rate": "6"},
                   GOODS | {"quantity": "1", "net_fen": 4_245, "tax_fen": 254}], "difficulty": "只有货物"},
        "第 2 行为货物类",
    ),
    "ordinary without a difficulty": ({"kind": "ORDINARY"}, "说明原因"),
    "ordinary with an invisible difficulty": ({"kind": "ORDINARY", "difficulty": "\u200b\u00a0\u3164\u200e"}, "说明原因"),
    "a document of another kind": (
        {"xml": document(labels=KIND.replace("专用", "普通").replace("01", "02"))}, "发票种类在 XML 文件中"
    ),
    "a document with another number": ({"xml": document(InvoiceNumber="26330000000012345679")}, "发票号码在 XML"),
    "a document with two numbers": (
        {"xml": document(extra="<TaxSupervisionInfo><InvoiceNumber>26330000000012345679</InvoiceNumber></TaxSupervisionInfo>")},
        "发票号码在 XML",
    ),
    "an id that is another number": ({"xml": document(EIid="26330000000012345679")}, "发票号码在 XML"),
    "a document to another buyer": ({"xml": document(BuyerName="另一家公司")}, "购买方名称在 XML"),
    "a document of another seller": ({"xml": document(SellerName="宁波晨光文具厂")}, "销售方名称在 XML"),
    "a document with another total": ({"xml": document(**{"TotalTax-includedAmount": "9000.00"})}, "价税合计在 XML"),
    "a document with another tax": ({"xml": document(TotalTaxAm="5.08")}, "税额在 XML"),
    "a document with another rate": ({"xml": document(line={"TaxRate": "13%"})}, "第 1 行「*现代服务*推广费」的税率"),
    "a document with another item": ({"xml": document(line={"ItemName": "*餐饮服务*餐费"})}, "的名称在 XML"),
    "a document with other amounts": ({"xml": document(line={"Amount": "80.00", "ComTaxAm": "4.80"})}, "的金额、税额"),
    "a document with more lines": (
        {"xml": document(extra="<IssuItemInformation><ItemName>*现代服务*推广费</ItemName></IssuItemInformation>")},
        "明细行数(2 行与 1 行)",
    ),
    "a document with two quantities in one line": (
        {"xml": document(line={"ItemName": "*文具*笔", "Quantity": "0</Quantity><Quantity>5"}), **goods(quantity="0")},
        "第 1 行的数量(文件中有两种写法)",
    ),
    "a document whose line is wrapped once more": (
        {"xml": document(wrapped="Detail", line={"ItemName": "*文具*笔", "Quantity": "5"})}, "XML 文件第 1 行"
    ),
    "a document that says goods": (
        {"xml": document(line={"ItemName": "*文具*笔", "Quantity": "5"}), **goods(quantity="0")}, "XML 文件第 1 行"
    ),
    "a red letter whose label stands elsewhere": (
        {"xml": document(labels="<InIssuType><LabelCode>N</LabelCode></InIssuType>")}, "红字"
    ),
    "a red letter by its words": ({"xml": document(labels="<L><LabelName>红字发票</LabelName></L>")}, "红字"),
    "a red letter by what it undoes": (
        {"xml": document(extra="<SpecificInformation><RedEInvoice><OriginalInvoiceNumber>26330000000012345670"
                               "</OriginalInvoiceNumber></RedEInvoice></SpecificInformation>")}, "红字"
    ),
}  # fmt: skip


@pytest.mark.parametrize("odd", NEVER)
def test_what_can_never_be_accepted_goes_back_with_the_reason_and_the_money_stays_frozen(
    office: Office, odd: str
) -> None:
    """INV-2, INV-4, INV-6, ambiguity 33."""
    billed(office)
    changes, reason = NEVER[odd]
    sent = send_invoice(office, number=NUMBER, **changes)
    assert (sent.state, statement().pending_fen) == ("IN_REVIEW", 0), "it holds no freeze off while a clerk looks"
    case = kit.review_of(office)
    refused = office.answer(office.question(case), "xu-jing", "ACCEPT", "主管已同意")
    assert not refused.accepted and "不能采纳" in refused.sentence
    office.decide(case, "xu-jing", "RETURN", "请更正")
    (message,) = told(office, "invoice_returned")
    (ground,) = [ground for ground in message["grounds"] if reason in ground["sentence"]]
    assert ground["clause"].startswith("INV-")
    assert (kit.invoices()[0].state, statement().invoiced_fen, statement().state) == ("RETURNED", 0, "ISSUED")
    kit.books_agree(office)


@pytest.mark.parametrize(
    "changes",
    [{}, {"TotalAmWithoutTax": "84.9100", "TotalTaxAm": "5.090000", "TotalTax-includedAmount": "90.0"},
     {"TotalTax-includedAmount": "¥90.00"}, {"BuyerName": " 店务演示平台 "}, {"EIid": NUMBER}, {"Amount": "84.910000"},
     {"TaxRate": "6%"}, {"TaxRate": "0.0600"}, {"TaxRate": "6.00%"}, {"ItemName": "＊现代服务＊推广费"}],
)  # fmt: skip
def test_a_document_that_says_the_same_in_other_words_is_the_same(office: Office, changes: dict[str, str]) -> None:
    """INV-2: an amount with more zeros is the same amount, a rate as a fraction the same rate."""
    billed(office)
    line = {name: value for name, value in changes.items() if name in LINE}
    rest = {name: value for name, value in changes.items() if name not in LINE}
    assert send_invoice(office, number=NUMBER, documents=[], xml=document(line=line, **rest)).state == "ACCEPTED"
    kit.books_agree(office)


def test_lines_in_another_order_are_the_same_lines(office: Office) -> None:
    """INV-2"""
    billed(office)
    lines = [
        {"name": "*现代服务*推广费", "content": "SERVICE", "net_fen": net, "tax_fen": tax, "rate": "6"}
        for net, tax in ((4_000, 240), (4_491, 269))
    ]
    other = tags(LINE | {"Amount": "40.00", "ComTaxAm": "2.40"})
    xml = document(
        line={"Amount": "44.91", "ComTaxAm": "2.69"}, extra=f"<IssuItemInformation>{other}</IssuItemInformation>"
    )
    assert send_invoice(office, number=NUMBER, documents=[], xml=xml, lines=lines).state == "ACCEPTED"


def test_the_share_is_frozen_in_time_although_an_unacceptable_invoice_waits_for_a_clerk(office: Office) -> None:
    """INV-7: nothing that can never be accepted keeps the freeze off."""
    billed(office)
    kit.settle_receivable(office, 100_000)
    send_invoice(office, buyer_name="另一家公司")
    assert told(office, "invoice_in_review")[0]["holds"] is False
    kit.after_due(office, statement())
    assert statement().frozen_fen == 2_700
    office.decide(kit.review_of(office), "xu-jing", "RETURN", "购买方有误")
    assert statement().frozen_fen == 2_700
    assert send_invoice(office).state == "ACCEPTED"
    assert statement().frozen_fen == 0
    kit.books_agree(office)


def test_a_shop_without_a_registered_tax_number_is_no_proof_of_another_seller() -> None:
    """INV-2: that is for a clerk to find out."""
    (finding,) = check_invoice(
        InvoiceSubmitted.model_validate(CLEAN), EXPECTED.model_copy(update={"seller_tax_no": ""}), POLICY
    )
    assert (finding.code, finding.blocking, finding.final) == ("seller", True, False)


def test_a_merchant_reads_how_to_object_to_a_returned_invoice(office: Office) -> None:
    """INV-2: with the reason, the clause and the way to object."""
    billed(office)
    send_invoice(office, buyer_name="另一家公司")
    office.decide(kit.review_of(office), "xu-jing", "RETURN", "购买方有误")
    (fields,) = told(office, "invoice_returned")
    shown = render(InvoiceReturned.model_validate(fields), merchants.context())
    for text in (shown.text, shown.html):
        assert "INV-2" in text and "提出异议" in text and "客服" in text


@pytest.mark.parametrize("line", [GOODS, GOODS | {"content": "SERVICE"}], ids=["declared as goods", "as a service"])
def test_why_goods_are_sent_is_asked_for_and_shown_to_the_clerk_on_a_special_invoice_too(
    office: Office, line: dict[str, Any]
) -> None:
    """INV-6: goods are taken where no service invoice can be had, so somebody says why and somebody reads it."""
    billed(office)
    unsaid = send_invoice(office, lines=[line | {"quantity": "0"}], issued_on="2026-10-30")
    assert "困难说明" in read(office.question(review_of(office))), "the finding asks for it"
    office.decide(review_of(office), "xu-jing", "RETURN", "请写明原因")
    assert any("困难说明" in ground["sentence"] for ground in told(office, "invoice_returned")[0]["grounds"])
    send_invoice(
        office,
        number=unsaid.number,
        lines=[line | {"quantity": "0"}],
        difficulty="经营范围不含任何服务",
        issued_on="2026-10-30",
    )
    assert "经营范围不含任何服务" in read(office.question(review_of(office)))


def test_a_name_without_a_classification_and_a_quantity_is_for_a_clerk_to_judge() -> None:
    """INV-6"""
    sent = CLEAN | {"lines": [{**CLEAN["lines"][0], "name": "推广"}]}
    found = check_invoice(InvoiceSubmitted.model_validate(sent), EXPECTED, POLICY)
    assert [(finding.code, finding.final) for finding in found] == [("service_name", False)]


def test_more_reasons_than_a_message_lists_are_counted(office: Office) -> None:
    """INV-2: nothing left out of a message is left out silently."""
    billed(office)
    lines = [
        {"name": f"*文具*笔{n}", "content": "GOODS", "quantity": "1", "net_fen": 1, "tax_fen": 0, "rate": "6"}
        for n in range(30)
    ]
    send_invoice(office, lines=lines, difficulty="只有货物")
    grounds = told(office, "invoice_in_review")[0]["grounds"]
    assert len(grounds) == 20 and "另有" in grounds[-1]["sentence"]


def test_a_clerk_is_told_how_many_lines_of_an_invoice_are_not_listed(office: Office) -> None:
    """INV-2"""
    billed(office)
    lines = [
        {"name": f"*现代服务*推广{n}", "content": "SERVICE", "net_fen": 1, "tax_fen": 0, "rate": "6"} for n in range(33)
    ]
    send_invoice(office, lines=lines)
    shown = read(office.question(review_of(office)))
    assert "推广29" in shown and "推广30" not in shown and "另有 3 行未列出,请打开发票文件查看" in shown


def test_what_nobody_could_accept_is_corrected_without_waiting_for_the_clerk(office: Office) -> None:
    billed(office)
    bad = send_invoice(office, buyer_tax_no="91110108551385082Q")
    case = review_of(office)
    assert send_invoice(office, number=bad.number).state == "ACCEPTED"
    assert office.case(case.id).outcome == "WITHDRAWN"
    assert statement().state == "INVOICED" and statement().pending_fen == 0
    kit.books_agree(office)


def test_what_a_clerk_may_still_accept_is_waited_for(office: Office) -> None:
    billed(office)
    doubtful = send_invoice(office, kind="ORDINARY", difficulty="税务机关系统升级")
    case = review_of(office)
    send_invoice(office, number=doubtful.number)
    assert office.refusals()[-1][0] == "INV-1" and office.case(case.id).concluded_at is None
