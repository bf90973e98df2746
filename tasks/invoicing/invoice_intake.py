"""What a merchant and the tax platform send: an invoice, a red letter."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from sqlmodel import col, select

from models.cases import Case, CaseKind, CaseState
from models.event_parts import TaxpayerType
from models.invoicing import (
    Invoice,
    InvoiceAllocation,
    InvoiceState,
    RedLetter,
    Statement,
)
from models.invoicing_events import (
    InvoiceRedLetter,
    InvoiceReversed,
    InvoiceSubmitted,
)
from models.messages import InboxMessage
from models.money import yuan
from models.shops import Shop
from notifications import invoicing as words
from office.base.calendar import work_calendar
from office.base.db import Tx
from office.base.settings import settings
from office.cases import cases, merchants
from office.cases.cases import emit, rules
from office.files import evidence
from office.record import audit
from office.record.inbox import Early, Refused, look_again
from policies.deadlines import in_time, reckon
from policies.einvoice import EInvoice, UnreadableXml, read_einvoice
from policies.invoice_checks import Expected, check_invoice, clean
from policies.invoicing import OpenStatement, allocate, begins
from policies.policy import SHANGHAI, policy_at
from tasks.invoicing import exit_invoices, freezes
from tasks.invoicing.invoices import OPEN, accept, grounds_of, let_go, reopen, used

XML_NAME = "invoice.xml"


# ── an invoice arrives ───────────────────────────────────────────────────────


def submit(tx: Tx, event: InvoiceSubmitted, shop: Shop, message: InboxMessage) -> None:
    """Check it; accept it at once when it is clean, ask a clerk otherwise."""
    if shop.owner_account_id != event.account_id:
        raise Refused("只有店铺的主账号可以提交发票", "INV-1")
    invoice_id = message.origin
    waiting = tx.exec(
        select(Invoice).where(
            Invoice.number == event.number,
            Invoice.invoice_code == event.invoice_code,
            Invoice.shop_id == shop.id,
            Invoice.state == InvoiceState.IN_REVIEW,
        )
    ).first()
    if waiting is not None:
        case = tx.get_one(Case, waiting.case_id)
        if not any(finding.final for finding in cases.findings(tx, case.id, "invoice")):
            raise Refused(f"发票 {event.number} 正在人工审核中,请等待结果", "INV-1")
        let_go(tx, waiting, f"merchant/{event.account_id}")  # nobody could accept it: corrected, as they were asked to
        cases.conclude(tx, case, CaseState.WITHDRAWN, "商家已更正并重新提交这张发票,无需审核", clause="INV-1")
    xml, trouble, files = _evidence(tx, shop, event)
    named, unknown, left = _cover(tx, shop, event)
    expected = _expected(tx, event, shop, message, named, unknown, left, xml, trouble, files)
    found = check_invoice(event, expected, policy_at(message.received_at).invoicing)
    fields = event.model_dump(mode="json", exclude={"xml"})
    invoice = Invoice(
        id=invoice_id,
        shop_id=shop.id,
        number=event.number,
        invoice_code=event.invoice_code,
        kind=event.kind,
        issued_on=event.issued_on,
        gross_fen=event.gross_fen,
        tax_fen=event.tax_fen,
        fields=fields,
        evidence=files,
        state=InvoiceState.IN_REVIEW,
        received_at=message.received_at,
    )
    tx.add(invoice)
    tx.flush()
    holds = not any(finding.final for finding in found)
    _allocate(tx, invoice, named, holds)
    look_again(tx, shop.id)  # its red letter may have come first
    audit.record(
        tx,
        f"shop/{shop.id}",
        "invoice.submitted",
        actor=f"merchant/{event.account_id}",
        clause="INV-1",
        public=True,
        text=f"商家提交发票 {event.number}(价税合计 {yuan(event.gross_fen)})",
        invoice=invoice_id,
    )
    if clean(found):
        accept(tx, invoice, by="rules")
        return
    case = cases.open_case(
        tx,
        CaseKind.INVOICE_REVIEW,
        origin=invoice_id,
        received_at=message.received_at,
        shop=shop,
        request={"invoice_id": invoice_id},
        actor=f"merchant/{event.account_id}",
        clause="INV-2",
        text=f"发票 {event.number} 有 {sum(finding.blocking for finding in found)} 项需人工确认",
    )
    invoice.case_id = case.id
    tx.add(invoice)
    cases.keep_findings(tx, case, "invoice", found)
    due = reckon(tx.now, rules(case).invoicing.review_sla, "INV-2", work_calendar())
    told = words.InvoiceInReview(
        shop_name=shop.name,
        number=event.number,
        amount_fen=event.gross_fen,
        received_at=message.received_at,
        review_due=due.due,
        grounds=grounds_of(found),
        holds=holds,
    )
    merchants.tell(tx, told, f"{case.id}/in-review", case=case)
    freezes.settle_shop(tx, shop.id)


def _evidence(tx: Tx, shop: Shop, event: InvoiceSubmitted) -> tuple[EInvoice | None, str, list[dict[str, Any]]]:
    """The XML's fields or why it cannot be read; and what was sent as evidence, each with the file we hold, if we do.

    The XML's bytes are kept with the invoice. A document is a file that the shop staged before, known by its hash: an
    address or a hash alone is only somebody's word.
    """
    files = []
    for document in event.documents:
        item = evidence.staged(tx, shop.id, document.sha256) if document.sha256 else None
        files.append(document.model_dump(mode="json") | ({"evidence_id": item.id} if item is not None else {}))
    if event.xml is None:
        return None, "", files
    try:
        raw = base64.b64decode(event.xml, validate=False)
    except (binascii.Error, ValueError):
        return None, "XML 文件的 base64 编码不正确", files
    kept = evidence.keep_xml(tx, shop.id, XML_NAME, raw)
    files.append({"name": XML_NAME, "sha256": kept.sha256, "bytes": kept.size, "evidence_id": kept.id})
    try:
        return read_einvoice(raw), "", files
    except UnreadableXml as error:
        return None, str(error), files


def _cover(tx: Tx, shop: Shop, event: InvoiceSubmitted) -> tuple[list[tuple[Statement, int]], tuple[str, ...], int]:
    """Which statements the invoice covers by how much, names that fit none, and what is left over."""
    query = select(Statement).where(Statement.shop_id == shop.id, col(Statement.state).in_(OPEN))
    query = query.order_by(col(Statement.due_at), col(Statement.id))
    own = list(tx.exec(query.with_for_update() if tx.postgres else query))
    if not event.covers:
        left_open = [OpenStatement(id=s.id, open_fen=s.open_fen - s.pending_fen) for s in own]
        given, left = allocate(event.gross_fen, left_open)
        by_id = {statement.id: statement for statement in own}
        return [(by_id[statement_id], fen) for statement_id, fen in given.items()], (), left
    by_name = {name: statement for statement in own for name in (statement.id, statement.number)}
    known = [(by_name[c.statement], c.amount_fen) for c in event.covers if c.statement in by_name]
    return known, tuple(c.statement for c in event.covers if c.statement not in by_name), 0


def _expected(
    tx: Tx,
    event: InvoiceSubmitted,
    shop: Shop,
    message: InboxMessage,
    named: list[tuple[Statement, int]],
    unknown: tuple[str, ...],
    left: int,
    xml: EInvoice | None,
    trouble: str,
    files: list[dict[str, Any]],
) -> Expected:
    given = settings()
    months = [statement.period for statement, _ in named if not statement.period.startswith("exit/")]
    return Expected(
        today=message.received_at.astimezone(SHANGHAI).date(),
        buyer_name=given.platform_name,
        buyer_tax_no=given.platform_tax_no,
        seller_name=shop.licence_name or shop.owner_name,
        seller_tax_no=shop.uscc,
        taxpayer=TaxpayerType(shop.taxpayer_type) if shop.taxpayer_type else None,
        used_before=used(tx, event.number, event.invoice_code),
        seen_elsewhere=seen_before(tx, event.number, event.invoice_code, shop.id),
        covers={str(statement.number): fen for statement, fen in named},
        open_fen={str(statement.number): statement.open_fen - statement.pending_fen for statement, _ in named},
        left_over_fen=left,
        unknown=unknown,
        xml=xml,
        xml_trouble=trouble,
        not_received=tuple(str(file["name"]) for file in files if "evidence_id" not in file),
        papers_of=_papers_of(tx, event, shop, files),
        earliest=begins(max(months)).astimezone(SHANGHAI).date() if months else None,
    )


def _papers_of(tx: Tx, event: InvoiceSubmitted, shop: Shop, files: list[dict[str, Any]]) -> str:
    """The number of the shop's other invoice that every file of this one came with: a paper is one invoice's."""
    ours = {file["sha256"] for file in files if file.get("sha256")}
    if not ours or event.xml is not None:  # an XML says its own number
        return ""
    counting = [InvoiceState.ACCEPTED, InvoiceState.REVERSED, InvoiceState.IN_REVIEW]
    other = (col(Invoice.number) != event.number) | (col(Invoice.invoice_code) != event.invoice_code)
    query = select(Invoice).where(Invoice.shop_id == shop.id, col(Invoice.state).in_(counting), other)
    seen = {file.get("sha256"): one.number for one in tx.exec(query.order_by(col(Invoice.id))) for file in one.evidence}
    return str(seen[min(ours)]) if ours <= seen.keys() else ""


def seen_before(tx: Tx, number: str, invoice_code: str, shop_id: str) -> str:
    """Where else the number is known from: another shop that sent it, whatever became of that, or a red letter."""
    if tx.get(RedLetter, (number, invoice_code)) is not None:
        return "该号码是一张红字发票的号码。"
    query = select(Invoice.state).where(
        Invoice.number == number, Invoice.invoice_code == invoice_code, Invoice.shop_id != shop_id
    )
    state = tx.exec(query.limit(1)).first()
    return f"另一家店铺提交过相同号码的发票({InvoiceState(state).label})。" if state else ""


def _allocate(tx: Tx, invoice: Invoice, named: list[tuple[Statement, int]], holds: bool) -> None:
    """Note what it would cover. While a clerk looks, what came in time counts as covered, as far as there is room.

    What can never be accepted covers nothing meanwhile either (ambiguity 33): it ``holds`` no freeze off.
    """
    for statement, fen in named:
        room = min(fen, statement.open_fen - statement.pending_fen)
        if room <= 0:
            continue
        timely = statement.due_at is not None and in_time(invoice.received_at, statement.due_at)
        counted = room if holds else 0
        tx.add(InvoiceAllocation(invoice_id=invoice.id, statement_id=statement.id, amount_fen=counted, in_time=timely))
        if timely:
            statement.pending_fen += counted
        tx.add(statement)
    tx.flush()


def _unknown_blue(tx: Tx, event: InvoiceRedLetter) -> Refused:
    """Why there is no invoice to reverse: it may still be on its way, unless we know it as returned or another's."""
    sentence = f"没有找到该店铺的蓝字发票 {event.original_number}"
    known = select(Invoice.id).where(
        Invoice.number == event.original_number, Invoice.invoice_code == event.original_code
    )
    return (Early if tx.exec(known.limit(1)).first() is None else Refused)(sentence, "INV-7")


def reverse(tx: Tx, event: InvoiceRedLetter, shop: Shop, message: InboxMessage) -> None:
    """A red letter: its statements are open again with their original due times (INV-7)."""
    if shop.owner_account_id != event.account_id:
        raise Refused("只有店铺的主账号可以提交红字发票", "INV-7")
    if tx.get(RedLetter, (event.number, event.invoice_code)) is not None:
        raise Refused(f"红字发票 {event.number} 已处理过", "INV-7")
    same = select(Invoice.id).where(Invoice.number == event.number, Invoice.invoice_code == event.invoice_code)
    if tx.exec(same.limit(1)).first() is not None:
        raise Refused(f"号码 {event.number} 是一张蓝字发票的号码,不能用作红字发票", "INV-7")
    live = [InvoiceState.ACCEPTED, InvoiceState.IN_REVIEW, InvoiceState.REVERSED]
    query = select(Invoice).where(
        Invoice.number == event.original_number,
        Invoice.invoice_code == event.original_code,
        Invoice.shop_id == shop.id,
        col(Invoice.state).in_(live),
    )
    query = query.order_by(col(Invoice.state))  # an accepted one before its double that waits for a clerk
    invoice = tx.exec(query.with_for_update() if tx.postgres else query).first()
    if invoice is None:
        raise _unknown_blue(tx, event)
    if event.issued_on < invoice.issued_on:
        raise Refused(f"红字发票的开票日期 {event.issued_on} 早于蓝字发票的 {invoice.issued_on}", "INV-7")
    if event.amount_fen > invoice.gross_fen - invoice.reversed_fen:
        raise Refused(
            f"红冲金额 {yuan(event.amount_fen)} 超过发票尚可红冲的 {yuan(invoice.gross_fen - invoice.reversed_fen)}",
            "INV-7",
        )
    tx.add(
        RedLetter(
            number=event.number,
            invoice_code=event.invoice_code,
            invoice_id=invoice.id,
            amount_fen=event.amount_fen,
            received_at=message.received_at,
        )
    )
    invoice.reversed_fen += event.amount_fen
    if invoice.state is InvoiceState.IN_REVIEW:
        let_go(tx, invoice, "red-letter")
        if invoice.case_id is not None:
            cases.conclude(
                tx, tx.get_one(Case, invoice.case_id), CaseState.WITHDRAWN, "发票已被红冲,无需审核", clause="INV-7"
            )
        reopened: list[str] = []
    else:
        reopened = reopen(tx, invoice, event.amount_fen)
    key = f"invoice/{invoice.id}/red/{event.invoice_code}{event.number}"
    told = words.InvoiceReversed(
        shop_name=shop.name,
        number=invoice.number,
        amount_fen=event.amount_fen,
        red_number=event.number,
        reopened=tuple(reopened),
    )
    merchants.tell(tx, told, key, shop_id=shop.id)
    gone = InvoiceReversed(
        shop_id=shop.id,
        number=invoice.number,
        invoice_code=invoice.invoice_code,
        amount_fen=event.amount_fen,
        at=tx.now,
        red_number=event.number,
        red_code=event.invoice_code,
    )
    emit(tx, gone, key, shop_id=shop.id)
    audit.record(
        tx,
        f"shop/{shop.id}",
        "invoice.reversed",
        actor=f"merchant/{event.account_id}",
        clause="INV-7",
        public=True,
        text=f"发票 {invoice.number} 红冲 {yuan(event.amount_fen)}",
        red=event.number,
    )
    exit_invoices.look_again(tx, shop.id)
