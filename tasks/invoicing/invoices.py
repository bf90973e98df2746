"""Invoices from merchants: checked by rule, accepted at once when clean, looked at by a clerk otherwise (INV-2 … 6).

Accepting, returning and reversing all end the same way: the statements' amounts change and ``freezes.settle_shop``
moves the money that follows from it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlmodel import col, func, select

from models.base import Labelled
from models.cases import Case, CaseKind, CaseState, Finding
from models.events import DocumentKind, TaxpayerType
from models.invoicing import (
    Invoice,
    InvoiceAllocation,
    InvoiceKind,
    InvoiceState,
    RedLetter,
    Statement,
    StatementState,
)
from models.invoicing_events import (
    InvoiceAccepted,
    InvoiceRedLetter,
    InvoiceReturned,
    InvoiceReversed,
    InvoiceSubmitted,
)
from models.messages import InboxMessage
from models.money import yuan
from models.reviews import Review, Role
from models.shops import Shop
from models.views import EvidenceShown
from notifications import invoicing as words
from notifications.message import Ground
from office.base.calendar import work_calendar
from office.base.db import Tx
from office.base.settings import settings
from office.cases import approvals, cases, dossier, merchants
from office.cases.cases import emit, rules
from office.cases.effects import effects_of
from office.cases.merchants import shop_of
from office.cases.reviews import Answer, Dossier, Gate, decided
from office.files import evidence, papers
from office.process import Process
from office.record import audit
from office.record.inbox import Early, Refused, look_again
from policies.approvals import Seen
from policies.deadlines import in_time, lapses, reckon, reminder_times
from policies.einvoice import EInvoice, UnreadableXml, read_einvoice
from policies.invoice_checks import Check, Expected, check_invoice, clean
from policies.invoicing import OpenStatement, allocate, begins, undo
from policies.policy import SHANGHAI, policy_at
from tasks.invoicing import exit_invoices, freezes
from tasks.invoicing.request import InvoiceReviewAsked
from tasks.shops import shops

effect = effects_of("invoices")


class InvoiceVerdict(Labelled):
    ACCEPT = "ACCEPT", "采纳发票"
    RETURN = "RETURN", "退回更正"


OPEN = (StatementState.ISSUED, StatementState.OVERDUE)
"""Statements that take invoices. One closed by automatic deduction does not."""
XML_NAME = "invoice.xml"
LINES_SHOWN = 30
"""Lines of an invoice that a dossier lists; how many more there are is said."""
MOST_GROUNDS = 20
"""Reasons a message lists; the last one says how many are left."""


# ── an invoice arrives ───────────────────────────────────────────────────────


def submit(tx: Tx, event: InvoiceSubmitted, shop: Shop, message: InboxMessage) -> None:
    """Check it; accept it at once when it is clean, ask a clerk otherwise."""
    if shop.owner_account_id != event.account_id:
        raise Refused("只有店铺的主账号可以提交发票", "INV-1")
    invoice_id = f"{message.source}/{message.message_id}"
    waiting = tx.exec(
        select(Invoice).where(
            Invoice.number == event.number, Invoice.invoice_code == event.invoice_code, Invoice.shop_id == shop.id,
            Invoice.state == InvoiceState.IN_REVIEW,
        )
    ).first()  # fmt: skip
    if waiting is not None:
        raise Refused(f"发票 {event.number} 正在人工审核中,请等待结果", "INV-1")
    xml, trouble, files = _evidence(tx, shop, event)
    named, unknown, left = _cover(tx, shop, event)
    expected = _expected(tx, event, shop, message, named, unknown, left, xml, trouble, files)
    found = check_invoice(event, expected, policy_at(message.received_at).invoicing)
    fields = event.model_dump(mode="json", exclude={"xml"})
    invoice = Invoice(
        id=invoice_id, shop_id=shop.id, number=event.number, invoice_code=event.invoice_code, kind=event.kind,
        issued_on=event.issued_on, gross_fen=event.gross_fen, tax_fen=event.tax_fen, fields=fields, evidence=files,
        state=InvoiceState.IN_REVIEW, received_at=message.received_at,
    )  # fmt: skip
    tx.add(invoice)
    tx.flush()
    holds = not any(finding.final for finding in found)
    _allocate(tx, invoice, named, holds)
    look_again(tx, shop.id)  # its red letter may have come first
    audit.record(tx, f"shop/{shop.id}", "invoice.submitted", actor=f"merchant/{event.account_id}", clause="INV-1",
                 public=True, text=f"商家提交发票 {event.number}(价税合计 {yuan(event.gross_fen)})", invoice=invoice_id)  # fmt: skip
    if clean(found):
        accept(tx, invoice, by="rules")
        return
    case = cases.open_case(
        tx, CaseKind.INVOICE_REVIEW, origin=invoice_id, received_at=message.received_at, shop=shop,
        request={"invoice_id": invoice_id}, actor=f"merchant/{event.account_id}", clause="INV-2",
        text=f"发票 {event.number} 有 {sum(finding.blocking for finding in found)} 项需人工确认",
    )  # fmt: skip
    invoice.case_id = case.id
    tx.add(invoice)
    cases.keep_findings(tx, case, "invoice", found)
    due = reckon(tx.now, rules(case).invoicing.review_sla, "INV-2", work_calendar())
    told = words.InvoiceInReview(
        shop_name=shop.name, number=event.number, amount_fen=event.gross_fen, received_at=message.received_at,
        review_due=due.due, grounds=_grounds(found), holds=holds,
    )  # fmt: skip
    merchants.tell(tx, told, f"{case.id}/in-review", case=case)
    freezes.settle_shop(tx, shop.id)


def _grounds(found: Iterable[Finding]) -> tuple[Ground, ...]:
    """What stands in the way, in words for the merchant; what no person can set aside comes first."""
    first = sorted((finding for finding in found if finding.blocking), key=lambda finding: not finding.final)
    grounds = tuple(Ground.of(finding) for finding in first)
    if len(grounds) <= MOST_GROUNDS:
        return grounds
    left = f"另有 {len(grounds) - MOST_GROUNDS + 1} 项未列出,请对照发票逐行核对。"
    return (*grounds[: MOST_GROUNDS - 1], Ground(clause="INV-2", sentence=left))


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
        today=message.received_at.astimezone(SHANGHAI).date(), buyer_name=given.platform_name,
        buyer_tax_no=given.platform_tax_no, seller_name=shop.licence_name or shop.owner_name, seller_tax_no=shop.uscc,
        taxpayer=TaxpayerType(shop.taxpayer_type) if shop.taxpayer_type else None,
        used_before=used(tx, event.number, event.invoice_code), seen_elsewhere=_seen(tx, event.number, event.invoice_code, shop.id),
        covers={str(statement.number): fen for statement, fen in named},
        open_fen={str(statement.number): statement.open_fen - statement.pending_fen for statement, _ in named},
        left_over_fen=left, unknown=unknown, xml=xml, xml_trouble=trouble,
        not_received=tuple(str(file["name"]) for file in files if "evidence_id" not in file),
        earliest=begins(max(months)).astimezone(SHANGHAI).date() if months else None,
    )  # fmt: skip


def used(tx: Tx, number: str, invoice_code: str) -> bool:
    """Whether this number was accepted before, by any shop and at any time, reversed or not."""
    query = select(Invoice.id).where(
        Invoice.number == number, Invoice.invoice_code == invoice_code,
        col(Invoice.state).in_([InvoiceState.ACCEPTED, InvoiceState.REVERSED]),
    )  # fmt: skip
    return tx.exec(query.limit(1)).first() is not None


def _seen(tx: Tx, number: str, invoice_code: str, shop_id: str) -> str:
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


def _allocations(tx: Tx, invoice: Invoice) -> list[tuple[InvoiceAllocation, Statement]]:
    """What it covers or would cover, oldest first; both locked, so that what is read here still holds at the end."""
    query = (
        select(InvoiceAllocation, Statement)
        .join(Statement, col(Statement.id) == InvoiceAllocation.statement_id)
        .where(InvoiceAllocation.invoice_id == invoice.id)
        .order_by(col(Statement.due_at), col(Statement.id))
        .execution_options(populate_existing=True)
    )
    tx.flush()
    return list(tx.exec(query.with_for_update() if tx.postgres else query))


# ── accepted, returned, reversed ─────────────────────────────────────────────


def accept(tx: Tx, invoice: Invoice, by: str) -> None:
    """It covers its statements now; what was held for them is given back to the fen (INV-12)."""
    shop = tx.get_one(Shop, invoice.shop_id)
    covered = []
    for allocation, statement in _allocations(tx, invoice):
        if allocation.in_time:
            statement.pending_fen -= allocation.amount_fen
        statement.invoiced_fen += allocation.amount_fen
        covered.append(str(statement.number))
        tx.add(statement)
    invoice.state, invoice.decided_at, invoice.decided_by = InvoiceState.ACCEPTED, tx.now, by
    tx.add(invoice)
    tx.flush()
    freezes.settle_shop(tx, shop.id)
    event = InvoiceAccepted(
        shop_id=shop.id, number=invoice.number, invoice_code=invoice.invoice_code, amount_fen=invoice.gross_fen, at=tx.now,
        by="rules" if by == "rules" else "person", statements=tuple(covered),
    )  # fmt: skip
    emit(tx, event, f"invoice/{invoice.id}/accepted", shop_id=shop.id)
    told = words.InvoiceAccepted(
        shop_name=shop.name, number=invoice.number, amount_fen=invoice.gross_fen, received_at=invoice.received_at,
        statements=tuple(covered),
    )  # fmt: skip
    merchants.tell(tx, told, f"invoice/{invoice.id}/accepted", shop_id=shop.id)
    audit.record(tx, f"shop/{shop.id}", "invoice.accepted", actor=by if by != "rules" else "system", clause="INV-12",
                 public=True, text=f"发票 {invoice.number} 已采纳,对应账单 {'、'.join(covered)}", invoice=invoice.id)  # fmt: skip
    exit_invoices.look_again(tx, shop.id)


def _let_go(tx: Tx, invoice: Invoice, by: str) -> None:
    """An invoice under review ends without ever having covered anything: its number stays free."""
    for allocation, statement in _allocations(tx, invoice):
        if allocation.in_time:
            statement.pending_fen -= allocation.amount_fen
        allocation.amount_fen = 0
        tx.add(statement)
        tx.add(allocation)
    invoice.state, invoice.decided_at, invoice.decided_by = InvoiceState.RETURNED, tx.now, by
    tx.add(invoice)
    tx.flush()
    freezes.settle_shop(tx, invoice.shop_id)


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
        Invoice.number == event.original_number, Invoice.invoice_code == event.original_code,
        Invoice.shop_id == shop.id, col(Invoice.state).in_(live),
    )  # fmt: skip
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
            number=event.number, invoice_code=event.invoice_code, invoice_id=invoice.id, amount_fen=event.amount_fen,
            received_at=message.received_at,
        )
    )  # fmt: skip
    invoice.reversed_fen += event.amount_fen
    if invoice.state is InvoiceState.IN_REVIEW:
        _let_go(tx, invoice, "red-letter")
        if invoice.case_id is not None:
            cases.conclude(
                tx, tx.get_one(Case, invoice.case_id), CaseState.WITHDRAWN, "发票已被红冲,无需审核", clause="INV-7"
            )
        reopened: list[str] = []
    else:
        reopened = _reopen(tx, invoice, event.amount_fen)
    key = f"invoice/{invoice.id}/red/{event.invoice_code}{event.number}"
    told = words.InvoiceReversed(
        shop_name=shop.name, number=invoice.number, amount_fen=event.amount_fen, red_number=event.number,
        reopened=tuple(reopened),
    )  # fmt: skip
    merchants.tell(tx, told, key, shop_id=shop.id)
    gone = InvoiceReversed(
        shop_id=shop.id, number=invoice.number, invoice_code=invoice.invoice_code, amount_fen=event.amount_fen, at=tx.now,
        red_number=event.number, red_code=event.invoice_code,
    )  # fmt: skip
    emit(tx, gone, key, shop_id=shop.id)
    audit.record(tx, f"shop/{shop.id}", "invoice.reversed", actor=f"merchant/{event.account_id}", clause="INV-7", public=True,
                 text=f"发票 {invoice.number} 红冲 {yuan(event.amount_fen)}", red=event.number)  # fmt: skip
    exit_invoices.look_again(tx, shop.id)


def _reopen(tx: Tx, invoice: Invoice, fen: int) -> list[str]:
    """Take back what was covered, the last statement first; the money follows at once if the due time has passed."""
    pairs = {statement.id: (allocation, statement) for allocation, statement in _allocations(tx, invoice)}
    taken = undo(fen, [(statement_id, allocation.amount_fen) for statement_id, (allocation, _) in pairs.items()])
    for statement_id, amount in taken.items():
        allocation, statement = pairs[statement_id]
        allocation.amount_fen -= amount
        statement.invoiced_fen -= amount
        if statement.state is not StatementState.OVERDUE:
            statement.state = StatementState.ISSUED
        if statement.due_at is not None and statement.issued_at is not None:
            numbers = policy_at(statement.issued_at)
            lapse = lapses(statement.due_at, numbers.deadlines)
            if tx.now < lapse:
                ahead = reminder_times(statement.due_at, numbers.invoicing.reminder_hours_before, tx.now)
                statement.next_action_at = min([*ahead, lapse])
        tx.add(allocation)
        tx.add(statement)
    if invoice.reversed_fen == invoice.gross_fen:
        invoice.state = InvoiceState.REVERSED
    tx.add(invoice)
    tx.flush()
    freezes.settle_shop(tx, invoice.shop_id)
    return [str(pairs[statement_id][1].number) for statement_id in taken]


# ── the clerk ────────────────────────────────────────────────────────────────


@effect("提交发票审核")
def to_clerk(tx: Tx, case: Case) -> None:
    cases.move(tx, case, CaseState.UNDER_REVIEW, "等待开票专员审核", clause="INV-2")


def _invoice(tx: Tx, case: Case) -> Invoice:
    return tx.get_one(
        Invoice, InvoiceReviewAsked.of(case).invoice_id, populate_existing=True, with_for_update=tx.postgres or None
    )


@effect("重新审核发票")
def review_again(tx: Tx, case: Case, round: int) -> None:
    cases.move(tx, case, CaseState.UNDER_REVIEW, "情况发生变化,等待开票专员重新审核", clause="INV-2")


@effect("采纳发票")
def accept_by_clerk(tx: Tx, case: Case) -> bool | None:
    """Accepted by a person, with their reason; ``False`` when something overtook the answer and ended the review.

    Between the answer and this another invoice may have covered the statement, or a red letter undone this one.
    ``None`` when the clerk has not seen what stands now (ambiguity 23).
    """
    return _accept_by_clerk(tx, case, 1)


@effect("重新审核后采纳发票")
def accept_again(tx: Tx, case: Case, round: int) -> bool | None:
    """The same in a later round."""
    return _accept_by_clerk(tx, case, round)


def _accept_by_clerk(tx: Tx, case: Case, round: int) -> bool | None:
    decision = decided(tx, case.id, REVIEW.name, round)
    invoice = _invoice(tx, case)
    by = f"staff/{decision.decided_by if decision else ''}"
    if invoice.state is not InvoiceState.IN_REVIEW:
        return False
    if final := _final(tx, case, invoice):
        _send_back(tx, case, invoice, by, f"采纳前情况已变化:{final[0].sentence}", final)
        return False
    if decision is None or not approvals.stand([decision], _dossier(tx, case, decision).seen):
        return None
    accept(tx, invoice, by=by)
    cases.conclude(tx, case, CaseState.ACCEPTED, f"发票 {invoice.number} 已采纳", clause="INV-2")
    return True


@effect("退回发票")
def return_by_clerk(tx: Tx, case: Case) -> None:
    """Returned by a person, in whatever round: the merchant reads what to correct."""
    rounds = tx.exec(select(func.max(Review.round)).where(Review.case_id == case.id, Review.gate == REVIEW.name)).one()
    decision = decided(tx, case.id, REVIEW.name, rounds or 1)
    invoice = _invoice(tx, case)
    if invoice.state is InvoiceState.IN_REVIEW:
        found = [finding for finding in found_now(tx, case) if finding.blocking]
        by, reason = (f"staff/{decision.decided_by}", decision.reason) if decision else ("staff/", "")
        _send_back(tx, case, invoice, by, reason, found)


def _send_back(tx: Tx, case: Case, invoice: Invoice, by: str, reason: str, found: list[Finding]) -> None:
    shop = shop_of(tx, case)
    _let_go(tx, invoice, by)
    told = words.InvoiceReturned(
        shop_name=shop.name, number=invoice.number, amount_fen=invoice.gross_fen, decided_at=tx.now, reason=reason,
        grounds=_grounds(found),
    )  # fmt: skip
    merchants.tell(tx, told, f"{case.id}/returned", case=case)
    event = InvoiceReturned(
        shop_id=shop.id, number=invoice.number, invoice_code=invoice.invoice_code, amount_fen=invoice.gross_fen, at=tx.now,
        reasons=(reason, *(finding.sentence for finding in found)),
    )  # fmt: skip
    emit(tx, event, f"invoice/{invoice.id}/returned", case)
    cases.conclude(tx, case, CaseState.RETURNED, f"发票 {invoice.number} 已退回:{reason}", clause="INV-2")


def _final(tx: Tx, case: Case, invoice: Invoice) -> list[Finding]:
    """What no person can set aside, as it stands now: another invoice may have been accepted meanwhile."""
    found = [f for f in cases.findings(tx, case.id, "invoice") if f.final and f.code != "duplicate"]
    if used(tx, invoice.number, invoice.invoice_code):
        sentence = "该发票号码此前已被采纳,同一张发票只能使用一次。"
        found.append(
            Finding(
                code="duplicate", clause="INV-1", blocking=True, sentence=sentence, value=invoice.number, final=True
            )
        )
    pairs = [(a, s) for a, s in _allocations(tx, invoice) if a.amount_fen]
    for closed in (s for _, s in pairs if s.state not in OPEN):
        sentence = f"账单 {closed.number} {closed.state.label},不再接受发票。"
        found.append(Finding(code="cover", clause="INV-1", blocking=True, sentence=sentence, value=closed.number))
    late = sum(a.amount_fen for a, s in pairs if not a.in_time and a.amount_fen > s.open_fen - s.pending_fen)
    if late:
        sentence = f"所列账单的待开票金额已不足 {yuan(late)}。"
        found.append(Finding(code="cover", clause="INV-1", blocking=True, sentence=sentence, value=late))
    return found


def _acceptable(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    invoice = _invoice(tx, case)
    final = _final(tx, case, invoice)
    if given.verdict == InvoiceVerdict.ACCEPT and final:
        return f"不能采纳:{final[0].sentence}请退回更正"
    if given.verdict == InvoiceVerdict.ACCEPT and not _xml_is_here(invoice):
        return papers.refusal(tx, case, "INV-2", set(DocumentKind))
    return None


def _xml_is_here(invoice: Invoice) -> bool:
    """Whether the invoice's own XML came within the event: then there is a paper, whatever else was named."""
    return any("bytes" in file for file in invoice.evidence)


def found_now(tx: Tx, case: Case) -> list[Finding]:
    """What the check found when the invoice came, with the files as they are at this moment and where else the number
    is known from by now: either may come later."""
    live = {Check.NOT_RECEIVED, Check.NUMBER_SEEN}
    kept = [finding for finding in cases.findings(tx, case.id, "invoice") if finding.code not in live]
    invoice = _invoice(tx, case)
    seen = _seen(tx, invoice.number, invoice.invoice_code, invoice.shop_id)
    if seen and not used(tx, invoice.number, invoice.invoice_code):
        kept.insert(
            0, Finding(code=Check.NUMBER_SEEN, clause="INV-1", blocking=True, sentence=seen, value=invoice.number)
        )
    return [*kept, *papers.findings(tx, case, "INV-2")]


def _dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    invoice, shop = _invoice(tx, case), shop_of(tx, case)
    sent = invoice.fields
    fields = dossier.table(
        {
            "发票号码": dossier.plain(f"{sent['invoice_code']} {sent['number']}".strip()),
            "种类": f"{invoice.kind.label}" + ("(税务机关代开)" if sent["issue_mode"] == "TAX_BUREAU_AGENT" else ""),
            "开票日期": str(invoice.issued_on),
            "购买方": dossier.plain(f"{sent['buyer_name']} {sent['buyer_tax_no']}"),
            "销售方": dossier.plain(f"{sent['seller_name']} {sent['seller_tax_no']}"),
            "金额 + 税额": f"{yuan(sent['net_fen'])} + {yuan(sent['tax_fen'])}",
            "价税合计": f"**{yuan(invoice.gross_fen)}**",
            "收到时间": dossier.when(invoice.received_at),
        }
    )
    lines = []
    for line in sent["lines"][:LINES_SHOWN]:
        content = "服务" if line["content"] == "SERVICE" else "货物"
        lines.append(f"- {dossier.plain(line['name'])}({content},数量 {line['quantity'] or '—'}):"
                     f"金额 {yuan(line['net_fen'])},税率 {line['rate']}%,税额 {yuan(line['tax_fen'])}")  # fmt: skip
    if len(sent["lines"]) > LINES_SHOWN:
        lines.append(f"- 另有 {len(sent['lines']) - LINES_SHOWN} 行未列出,请打开发票文件查看")
    covers = [
        f"- {statement.number}:待开票 {yuan(statement.open_fen)},本发票对应 **{yuan(allocation.amount_fen)}**"
        + ("" if allocation.in_time else "(逾期后收到)")
        + ("" if allocation.amount_fen else "(不能采纳,不计入)")
        for allocation, statement in _allocations(tx, invoice)
    ]
    until = evidence.links_until(tx, review.opened_at)
    proofs = [_proof(file, until) for file in invoice.evidence if "bytes" in file]
    if sent_papers := papers.part(tx, case, review):
        proofs.append(sent_papers)
    found, final = found_now(tx, case), _final(tx, case, invoice)
    now = Seen.of({"final": [finding.code for finding in final], "state": invoice.state}, found)
    warning = f"\n\n**不能采纳:**{dossier.plain(final[0].sentence)}" if final else ""
    return dossier.assemble(
        f"发票审核 · {dossier.plain(shop.name)} · {case.id}",
        (approvals.SINCE, approvals.changes_part(tx, case, review, now, {"final": "能否采纳", "state": "发票状态"})),
        ("发票", fields), ("明细", "\n".join(lines)), ("对应账单", "\n".join(covers) or "(无)"),
        ("检查结果", dossier.findings_table(found) + warning), ("困难说明", dossier.quoted(sent["difficulty"])
         if invoice.kind is InvoiceKind.ORDINARY else ""), ("附件", "\n".join(proofs) or "(无)"),
        facts=now.terms, blocking=now.blocking, links_until=until.isoformat(),
    )  # fmt: skip


def _proof(file: dict[str, Any], until: datetime) -> str:
    """The XML that came within the event, as a clerk reads of it: a link that opens it."""
    name = f"[{dossier.plain(str(file['name']))}]({evidence.link(file['evidence_id'], until)})"
    return f"- {name} sha256 {str(file['sha256'])[:16]}"


REVIEW = Gate(
    name="invoice-review", title="发票审核", roles=(Role.INVOICE_CLERK,), verdicts=InvoiceVerdict, dossier=_dossier,
    window=lambda case: rules(case).invoicing.review_sla, clause="INV-2", reason_required=frozenset(InvoiceVerdict),
    check=_acceptable,
    consequences={
        "ACCEPT": "发票计入所列账单,已冻结的货款按覆盖金额解冻;理由留档",
        "RETURN": "发票不计入账单,理由和检查结果告知商家,请其更正",
    },
)  # fmt: skip


def _invoiced(tx: Tx, case: Case) -> Iterable[EvidenceShown]:
    """The XML that came within an invoice's own event."""
    for invoice in tx.exec(select(Invoice).where(Invoice.case_id == case.id)):
        for given in invoice.evidence:
            if "bytes" in given:
                yield EvidenceShown(
                    name=given["name"],
                    kind="",
                    sha256=given["sha256"],
                    submitted_at=invoice.received_at,
                    where="随发票提交",
                )


PROCESS = Process(
    name="invoice-review",
    kind=CaseKind.INVOICE_REVIEW,
    request=InvoiceReviewAsked,
    clause="INV-2",
    hears={InvoiceSubmitted: shops.about_shop(submit), InvoiceRedLetter: shops.about_shop(reverse)},
    asks=(REVIEW,),
    evidence=_invoiced,
)
