"""Invoice checks: each one rule with its clause or source, a finding with a sentence where it is not met (INV-2 … 6).

A blocking finding means that a person looks. One that is ``final`` can be set aside by nobody, neither one person nor
two (ambiguity 33): the invoice goes back with the reason. What an XML says is compared with the fields wherever both
say something, and the document wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal

from stdnum.cn import uscc
from stdnum.exceptions import InvalidChecksum, InvalidComponent, InvalidFormat, InvalidLength

from models.base import Frozen, Labelled
from models.cases import Finding
from models.event_parts import TaxpayerType
from models.invoicing import InvoiceContent, InvoiceKind
from models.invoicing_events import InvoiceLineData, InvoiceSubmitted
from models.money import yuan
from models.text import has_text, shortened
from policies.einvoice import EInvoice, EInvoiceLine
from policies.invoicing_numbers import InvoicingPolicy
from policies.text import normalise_name, same_name
from policies.vat import allowed_rates, is_goods, short_name, tax_of, wrong_quantity


class Check(Labelled):
    """The code of each finding, with the word for it."""

    NUMBER = "number", "发票号码"
    NUMBER_YEAR = "number_year", "号码年份"
    DUPLICATE = "duplicate", "重复发票"
    NUMBER_SEEN = "number_seen", "号码另有出处"
    BUYER_NAME = "buyer_name", "购买方名称"
    BUYER_TAX_NO = "buyer_tax_no", "购买方税号"
    SELLER = "seller", "销售方税号"
    SELLER_NAME = "seller_name", "销售方名称"
    CHECK_DIGIT = "check_digit", "税号校验位"
    TAXPAYER_UNKNOWN = "taxpayer_unknown", "纳税人类型"
    KIND = "kind", "发票种类"
    SERVICE_NAME = "service_name", "服务名称"
    GOODS = "goods", "货物类发票"
    GOODS_QUANTITY = "goods_quantity", "货物数量"
    RATE = "rate", "税率"
    LINE_TAX = "line_tax", "明细税额"
    SUMS = "sums", "合计金额"
    ISSUED_ON = "issued_on", "开票日期"
    COVER = "cover", "对应账单"
    XML = "xml", "电子发票文件"
    NO_EVIDENCE = "no_evidence", "发票文件"
    NOT_RECEIVED = "not_received", "文件未收到"
    PAPER_USED = "paper_used", "文件已用于另一张发票"


class Expected(Frozen):
    """What an invoice is compared with. ``covers`` maps statement → what is covered, ``open_fen`` → what may be."""

    today: date
    buyer_name: str
    buyer_tax_no: str
    seller_name: str
    seller_tax_no: str
    taxpayer: TaxpayerType | None
    used_before: bool
    seen_elsewhere: str = ""
    """Where else the number is known from, if a person has to look at that: a sentence."""
    covers: dict[str, int]
    open_fen: dict[str, int]
    left_over_fen: int = 0
    unknown: tuple[str, ...] = ()
    earliest: date | None = None
    """The first day of the latest month covered: an invoice for it cannot be older."""
    xml: EInvoice | None = None
    xml_trouble: str = ""
    not_received: tuple[str, ...] = ()
    """Documents named that we do not hold."""
    papers_of: str = ""
    """The other invoice that all its documents came with before, if it brings none of its own."""


def _found(check: Check, clause: str, sentence: str, value: int | str | None = None) -> Finding:
    """Something that a person looks at."""
    return Finding(code=check.value, clause=clause, blocking=True, sentence=sentence, value=value)


def _never(check: Check, clause: str, sentence: str, value: int | str | None = None) -> Finding:
    """Something that nobody can accept: it is returned (ambiguity 33)."""
    return Finding(code=check.value, clause=clause, blocking=True, sentence=sentence, value=value, final=True)


def check_invoice(sent: InvoiceSubmitted, expected: Expected, policy: InvoicingPolicy) -> tuple[Finding, ...]:
    """Everything that is not as it should be, in the order of the invoice; empty when it is clean."""
    return (
        *_number(sent, expected), *_parties(sent, expected), *_kind(sent, expected), *_lines(sent, expected, policy),
        *_sums(sent), *_day(sent, expected, policy), *_cover(sent, expected), *_evidence(sent, expected, policy),
    )  # fmt: skip


def _number(sent: InvoiceSubmitted, expected: Expected) -> Iterator[Finding]:
    electronic = bool(re.fullmatch(r"\d{20}", sent.number)) and not sent.invoice_code
    paper = bool(re.fullmatch(r"\d{8}", sent.number) and re.fullmatch(r"\d{10}|\d{12}", sent.invoice_code))
    if not electronic and not paper:
        yield _found(
            Check.NUMBER,
            "税务总局公告2024年第11号",
            "数电票号码应为 20 位数字且没有发票代码;纸质发票应为 8 位号码加 10 或 12 位代码。",
            sent.number,
        )
    if electronic and int(sent.number[:2]) != sent.issued_on.year % 100:
        yield _found(
            Check.NUMBER_YEAR,
            "税务总局公告2024年第11号",
            f"号码前两位 {sent.number[:2]} 与开票年份 {sent.issued_on.year} 不一致。",
            sent.number[:2],
        )
    if expected.used_before:
        yield _never(Check.DUPLICATE, "INV-1", "该发票号码此前已被采纳,同一张发票只能使用一次。", sent.number)
    elif expected.seen_elsewhere:
        yield _found(Check.NUMBER_SEEN, "INV-1", expected.seen_elsewhere, sent.number)


def _parties(sent: InvoiceSubmitted, expected: Expected) -> Iterator[Finding]:
    if not same_name(sent.buyer_name, expected.buyer_name):
        yield _never(Check.BUYER_NAME, "INV-2", f"购买方名称应为「{expected.buyer_name}」。", sent.buyer_name)
    if sent.buyer_tax_no != expected.buyer_tax_no:
        yield _never(Check.BUYER_TAX_NO, "INV-2", f"购买方税号应为 {expected.buyer_tax_no}。", sent.buyer_tax_no)
    if not expected.seller_tax_no:
        yield _found(Check.SELLER, "INV-2", "店铺没有登记统一社会信用代码,无法核对销售方。", sent.seller_tax_no)
    elif sent.seller_tax_no != expected.seller_tax_no:
        yield _never(
            Check.SELLER, "INV-2", f"销售方税号与店铺登记的 {expected.seller_tax_no} 不一致。", sent.seller_tax_no
        )
    if not same_name(sent.seller_name, expected.seller_name):
        yield _never(
            Check.SELLER_NAME, "INV-2", f"销售方名称与店铺登记的「{expected.seller_name}」不一致。", sent.seller_name
        )
    if len(sent.seller_tax_no) == 18 and (trouble := uscc_trouble(sent.seller_tax_no)):
        yield _found(Check.CHECK_DIGIT, "GB 32100-2015", trouble, sent.seller_tax_no)


def uscc_trouble(code: str) -> str:
    """What looks wrong about an 18-character credit code; empty when nothing does. Real codes can fail this."""
    try:
        uscc.validate(code)
    except InvalidChecksum:
        return "统一社会信用代码的校验位不符,请核对证照;确有此类代码,不能仅因此退回。"
    except (InvalidFormat, InvalidLength, InvalidComponent):
        return "统一社会信用代码的格式少见,请核对证照;确有此类代码,不能仅因此退回。"
    return ""


def _kind(sent: InvoiceSubmitted, expected: Expected) -> Iterator[Finding]:
    if expected.taxpayer is None:
        yield _found(Check.TAXPAYER_UNKNOWN, "INV-2", "店铺没有登记纳税人类型,无法判断应开的发票种类。")
    if sent.kind is InvoiceKind.SPECIAL:
        return
    if not has_text(sent.difficulty):
        yield _never(Check.KIND, "INV-4", "应开具增值税专用发票;确有困难时须说明原因方可使用普通发票。")
    elif expected.taxpayer is TaxpayerType.GENERAL:
        yield _found(Check.KIND, "INV-4", "一般纳税人使用普通发票:请确认其所述困难(规则未限定主体,疑义 13)。")
    elif expected.taxpayer is TaxpayerType.SMALL_SCALE:
        yield _found(
            Check.KIND,
            "INV-3",
            "小规模纳税人宜优先向主管税务机关申请代开增值税专用发票;使用普通发票:请确认其所述困难。",
        )
    else:
        yield _found(Check.KIND, "INV-4", "使用普通发票:请确认其所述困难。")


def _lines(sent: InvoiceSubmitted, expected: Expected, policy: InvoicingPolicy) -> Iterator[Finding]:
    goods = any(is_goods(line, policy) for line in sent.lines)
    if goods and not has_text(sent.difficulty):
        yield _found(Check.GOODS, "INV-6", "货物类发票仅在不能开具服务类发票时接受,请在困难说明中写明原因。")
    for position, line in enumerate(sent.lines, start=1):
        if line.content is InvoiceContent.SERVICE and short_name(line.name) not in policy.service_names:
            yield _found(
                Check.SERVICE_NAME,
                "INV-5",
                f"第 {position} 行「{line.name}」不是服务费、推广费一类的服务名称。",
                line.name,
            )
        if line.content is InvoiceContent.GOODS and (line.quantity is None or Decimal(line.quantity) != 0):
            yield _never(
                Check.GOODS_QUANTITY, "INV-6", f"第 {position} 行为货物类,数量必须写成 0。", line.quantity or "空"
            )
        elif line.content is InvoiceContent.SERVICE and wrong_quantity(line.name, line.quantity, policy):
            yield _never(
                Check.GOODS_QUANTITY,
                "INV-6",
                f"第 {position} 行「{line.name}」不是服务名称,按货物类处理,"
                f"数量必须写成 0,发票为{line.quantity or '空'}。",
                line.quantity or "空",
            )
        allowed = allowed_rates(expected.taxpayer, line.content, sent.kind, sent.issued_on, policy)
        if Decimal(line.rate) not in allowed and expected.taxpayer is not None:
            may = "、".join(f"{rate:f}%" for rate in sorted(allowed)) or "无"
            yield _found(
                Check.RATE,
                "增值税法;财政部 税务总局公告2026年第10号",
                f"第 {position} 行税率 {line.rate}% 不适用于{expected.taxpayer.label}的"
                f"{line.content.label}{sent.kind.label},可用:{may}。",
                line.rate,
            )
        tax = tax_of(line.net_fen, line.rate)
        if abs(tax - line.tax_fen) > policy.line_tolerance_fen:
            yield _found(
                Check.LINE_TAX,
                "INV-2",
                f"第 {position} 行税额应为 {yuan(tax)},发票为 {yuan(line.tax_fen)}。",
                line.tax_fen,
            )


def _sums(sent: InvoiceSubmitted) -> Iterator[Finding]:
    lines: tuple[InvoiceLineData, ...] = sent.lines
    for name, total, parts in (
        ("金额", sent.net_fen, sum(line.net_fen for line in lines)),
        ("税额", sent.tax_fen, sum(line.tax_fen for line in lines)),
        ("价税合计", sent.gross_fen, sent.net_fen + sent.tax_fen),
    ):
        if total != parts:
            yield _found(Check.SUMS, "INV-2", f"{name} {yuan(total)} 与各项之和 {yuan(parts)} 不一致。", total)


def _day(sent: InvoiceSubmitted, expected: Expected, policy: InvoicingPolicy) -> Iterator[Finding]:
    if sent.issued_on > expected.today:
        yield _found(Check.ISSUED_ON, "INV-1", f"开票日期 {sent.issued_on} 晚于今天。", str(sent.issued_on))
    elif sent.issued_on < expected.today - timedelta(days=policy.oldest_invoice_days):
        yield _found(
            Check.ISSUED_ON,
            "INV-1",
            f"开票日期 {sent.issued_on} 已超过 {policy.oldest_invoice_days} 天。",
            str(sent.issued_on),
        )
    elif expected.earliest is not None and sent.issued_on < expected.earliest:
        yield _found(
            Check.ISSUED_ON,
            "INV-1",
            f"开票日期 {sent.issued_on} 早于账期起始日 {expected.earliest}。",
            str(sent.issued_on),
        )


def _cover(sent: InvoiceSubmitted, expected: Expected) -> Iterator[Finding]:
    for name in expected.unknown:
        yield _never(Check.COVER, "INV-1", f"账单 {name} 不存在、不属于该店铺或无需开票。", name)
    for statement, fen in expected.covers.items():
        if fen > expected.open_fen[statement]:
            yield _never(
                Check.COVER,
                "INV-1",
                f"账单 {statement} 待开票 {yuan(expected.open_fen[statement])},本发票对应 {yuan(fen)}。",
                fen,
            )
    covered = sum(expected.covers.values())
    if expected.left_over_fen:
        yield _never(
            Check.COVER, "INV-1", f"发票金额比待开票账单合计多 {yuan(expected.left_over_fen)}。", expected.left_over_fen
        )
    elif covered != sent.gross_fen and not expected.unknown:
        yield _never(
            Check.COVER,
            "INV-1",
            f"价税合计 {yuan(sent.gross_fen)} 与所列账单金额合计 {yuan(covered)} 不一致。",
            covered,
        )


def _evidence(sent: InvoiceSubmitted, expected: Expected, policy: InvoicingPolicy) -> Iterator[Finding]:
    if expected.xml_trouble:
        yield _found(Check.XML, "INV-2", f"{expected.xml_trouble}。")
    elif expected.xml is not None:
        yield from _xml(sent, expected.xml)
        yield from _xml_lines(sent, expected.xml, policy)
    elif not sent.documents:
        yield _found(Check.NO_EVIDENCE, "INV-2", "没有附上数电票 XML 或 PDF,请核对原件。")
    for name in expected.not_received:
        yield _found(Check.NOT_RECEIVED, "INV-2", f"附件「{name}」文件未收到,请先上传文件再提交发票。", name)
    if expected.papers_of:
        sentence = f"所附文件此前已随发票 {expected.papers_of} 提交,没有这张发票自己的文件,请核对原件。"
        yield _found(Check.PAPER_USED, "INV-2", sentence, expected.papers_of)


def _xml(sent: InvoiceSubmitted, xml: EInvoice) -> Iterator[Finding]:
    if xml.red:
        yield _never(Check.XML, "INV-7", "XML 文件是红字发票,红字发票请另行提交。")
    for name in xml.unreadable:
        yield _found(Check.XML, "INV-2", f"XML 文件中的{name}无法读取。", name)
    said: Mapping[str, tuple[tuple[object, ...], object]] = {
        "发票号码": (xml.numbers, sent.number), "开票日期": (xml.issued_on, sent.issued_on),
        "购买方税号": (xml.buyer_tax_nos, sent.buyer_tax_no), "销售方税号": (xml.seller_tax_nos, sent.seller_tax_no),
        "金额": (xml.net_fen, sent.net_fen), "税额": (xml.tax_fen, sent.tax_fen), "价税合计": (xml.gross_fen, sent.gross_fen),
    }  # fmt: skip
    for name, (in_file, in_fields) in said.items():
        if not in_file and name not in xml.unreadable:
            yield _found(Check.XML, "INV-2", f"XML 文件中缺少{name}。", name)
        elif any(value != in_fields for value in in_file):
            yield _differs(name)
    if any(kind is not sent.kind for kind in xml.kinds):
        yield _differs("发票种类", "INV-4" if sent.kind is InvoiceKind.ORDINARY else "INV-2")
    for name, names, field in (
        ("购买方名称", xml.buyer_names, sent.buyer_name),
        ("销售方名称", xml.seller_names, sent.seller_name),
    ):
        if any(not same_name(in_name, field) for in_name in names):
            yield _differs(name)


def _differs(what: str, clause: str = "INV-2") -> Finding:
    return _never(Check.XML, clause, f"{what}在 XML 文件中与提交的字段不一致,以文件为准。", what)


def _xml_lines(sent: InvoiceSubmitted, xml: EInvoice, policy: InvoicingPolicy) -> Iterator[Finding]:
    """The file's lines against those sent, in whatever order; only what both say is compared."""
    for position, said in enumerate(xml.lines, start=1):
        if said.twice:
            yield _differs(f"第 {position} 行的{'、'.join(said.twice)}(文件中有两种写法)")
        if said.name is not None and wrong_quantity(said.name, said.quantity, policy):
            yield _never(
                Check.GOODS_QUANTITY,
                "INV-6",
                f"XML 文件第 {position} 行「{shortened(said.name, 200)}」为货物类,数量必须写成 0。",
                "空" if said.quantity is None else f"{said.quantity:f}",
            )
    if not xml.lines:
        return
    if len(xml.lines) != len(sent.lines):
        yield _differs(f"明细行数({len(xml.lines)} 行与 {len(sent.lines)} 行)")
    left = list(xml.lines)
    odd = []
    for position, line in enumerate(sent.lines, start=1):
        same = next((said for said in left if not _line_differs(line, said)), None)
        if same is None:
            odd.append((position, line))
            continue
        left.remove(same)
        unnamed = same.name is None or not wrong_quantity(same.name, same.quantity, policy)
        if line.content is InvoiceContent.GOODS and same.quantity is None and unnamed:
            yield _never(
                Check.GOODS_QUANTITY,
                "INV-6",
                f"第 {position} 行「{line.name}」为货物类,XML 文件中没有写明数量 0。",
                "空",
            )
    for (position, line), said in zip(odd, left, strict=False):
        yield _differs(f"第 {position} 行「{line.name}」的{'、'.join(_line_differs(line, said))}")


def _line_differs(sent: InvoiceLineData, said: EInvoiceLine) -> list[str]:
    """In what a line that was sent differs from the file's."""
    pairs: Mapping[str, tuple[object, object]] = {
        "名称": (said.name and normalise_name(said.name), normalise_name(sent.name)),
        "数量": (said.quantity, None if sent.quantity is None else Decimal(sent.quantity)),
        "金额": (said.net_fen, sent.net_fen),
        "税额": (said.tax_fen, sent.tax_fen),
        "税率": (said.rate, Decimal(sent.rate)),
    }
    return [
        name
        for name, (in_file, in_fields) in pairs.items()
        if None not in (in_file, in_fields) and in_file != in_fields
    ]


def clean(findings: tuple[Finding, ...]) -> bool:
    """Whether an invoice is accepted without a person."""
    return not any(finding.blocking for finding in findings)
