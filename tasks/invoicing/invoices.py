"""Invoices received: what they cover, accepted, let go, reopened (INV)."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement
from sqlmodel import col, select

from models.cases import Case, Finding
from models.invoicing import (
    Invoice,
    InvoiceAllocation,
    InvoiceState,
    Statement,
    StatementState,
)
from models.invoicing_events import (
    InvoiceAccepted,
)
from models.shops import Shop
from models.views import EvidenceShown
from notifications import invoicing as words
from notifications.message import Ground
from office.base.db import Tx
from office.cases import merchants
from office.cases.cases import emit
from office.cases.named_papers import Named, holds
from office.record import audit
from policies.deadlines import lapses, reminder_times
from policies.invoicing import undo
from policies.policy import policy_at
from tasks.invoicing import exit_invoices, freezes

OPEN = (StatementState.ISSUED, StatementState.OVERDUE)
"""Statements that take invoices. One closed by automatic deduction does not."""
MOST_GROUNDS = 20
"""Reasons a message lists; the last one says how many are left."""


def grounds_of(found: Iterable[Finding]) -> tuple[Ground, ...]:
    """What stands in the way, in words for the merchant; what no person can set aside comes first."""
    first = sorted((finding for finding in found if finding.blocking), key=lambda finding: not finding.final)
    grounds = tuple(Ground.of(finding) for finding in first)
    if len(grounds) <= MOST_GROUNDS:
        return grounds
    left = f"另有 {len(grounds) - MOST_GROUNDS + 1} 项未列出,请对照发票逐行核对。"
    return (*grounds[: MOST_GROUNDS - 1], Ground(clause="INV-2", sentence=left))


def used(tx: Tx, number: str, invoice_code: str) -> bool:
    """Whether this number was accepted before, by any shop and at any time, reversed or not."""
    query = select(Invoice.id).where(
        Invoice.number == number,
        Invoice.invoice_code == invoice_code,
        col(Invoice.state).in_([InvoiceState.ACCEPTED, InvoiceState.REVERSED]),
    )
    return tx.exec(query.limit(1)).first() is not None


def allocations_of(tx: Tx, invoice: Invoice) -> list[tuple[InvoiceAllocation, Statement]]:
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
    for allocation, statement in allocations_of(tx, invoice):
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
        shop_id=shop.id,
        number=invoice.number,
        invoice_code=invoice.invoice_code,
        amount_fen=invoice.gross_fen,
        at=tx.now,
        by="rules" if by == "rules" else "person",
        statements=tuple(covered),
    )
    emit(tx, event, f"invoice/{invoice.id}/accepted", shop_id=shop.id)
    told = words.InvoiceAccepted(
        shop_name=shop.name,
        number=invoice.number,
        amount_fen=invoice.gross_fen,
        received_at=invoice.received_at,
        statements=tuple(covered),
    )
    merchants.tell(tx, told, f"invoice/{invoice.id}/accepted", shop_id=shop.id)
    audit.record(
        tx,
        f"shop/{shop.id}",
        "invoice.accepted",
        actor=by if by != "rules" else "system",
        clause="INV-12",
        public=True,
        text=f"发票 {invoice.number} 已采纳,对应账单 {'、'.join(covered)}",
        invoice=invoice.id,
    )
    exit_invoices.look_again(tx, shop.id)


def let_go(tx: Tx, invoice: Invoice, by: str) -> None:
    """An invoice under review ends without ever having covered anything: its number stays free."""
    for allocation, statement in allocations_of(tx, invoice):
        if allocation.in_time:
            statement.pending_fen -= allocation.amount_fen
        allocation.amount_fen = 0
        tx.add(statement)
        tx.add(allocation)
    invoice.state, invoice.decided_at, invoice.decided_by = InvoiceState.RETURNED, tx.now, by
    tx.add(invoice)
    tx.flush()
    freezes.settle_shop(tx, invoice.shop_id)


def reopen(tx: Tx, invoice: Invoice, fen: int) -> list[str]:
    """Take back what was covered, the last statement first; the money follows at once if the due time has passed."""
    pairs = {statement.id: (allocation, statement) for allocation, statement in allocations_of(tx, invoice)}
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


def documents(tx: Tx, case: Case) -> Iterable[Named]:
    """The documents that came with the invoice a case is about."""
    for invoice in tx.exec(select(Invoice).where(Invoice.case_id == case.id)):
        for given in invoice.fields.get("documents", []):
            yield given, invoice.received_at, "随发票提交"


def names_file(sha256: str) -> ColumnElement[bool]:
    """What is true of a case about an invoice that came with the file of this hash."""
    return select(Invoice.id).where(Invoice.case_id == Case.id, holds(Invoice.fields, sha256)).exists()


def invoiced(tx: Tx, case: Case) -> Iterable[EvidenceShown]:
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
