"""Builders for invoicing: items, months, invoices with sensible defaults, and the money that follows."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import col, func, select

from models.cases import Case, CaseKind
from models.invoicing import Invoice, Statement, StatementMove
from models.messages import Channel
from office.base.db import in_transaction, reading
from office.files import evidence
from office.record.sending import Item
from tasks.invoicing import documents, freeze_proof, freezes, periods
from tasks.outbox_words import made
from tests.beginnings import act
from tests.play import NUMBERS, SILENCE, Office

NOVEMBER = "2026-11"


def item(shop_id: str = "shop-1", fen: int = 9_000, **changes: Any) -> dict[str, Any]:
    return {
        "item_id": f"sub-{next(NUMBERS)}",
        "shop_id": shop_id,
        "category": "COUPON",
        "amount_fen": fen,
        "settled_at": "2026-11-10T10:00:00+08:00",
        "description": f"补贴 {next(NUMBERS)}",
    } | changes


def record(office: Office, *items: dict[str, Any]) -> dict[str, Any]:
    """Send a batch; returns the receipt."""
    office.send("billables.recorded", {"batch_id": f"batch-{next(NUMBERS)}", "items": list(items)})
    return office.events("billables.received")[-1]


def at(office: Office, year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> None:
    """Move the clock to a Beijing wall-clock time."""
    office.clock.at = datetime(year, month, day, hour, minute, second, tzinfo=UTC) - timedelta(hours=8)


@act
def open_month(office: Office, period: str = NOVEMBER) -> Case:
    """The month's run, drafted and waiting for finance."""
    case = in_transaction(lambda tx: periods.open_month(tx, period))
    office.settle()
    return case


def issue_month(office: Office, period: str = NOVEMBER, who: str = "wang-fang", **answer: Any) -> Case:
    """Draft, release and issue a month."""
    case = open_month(office, period)
    office.decide(case, who, "RELEASE", **answer)
    return case


def billed(office: Office, fen: int = 9_000, shop_id: str = "shop-1", **shop: Any) -> Statement:
    """A shop with one issued statement for November, on the 1st of December at 02:00 plus a little."""
    office.open_shop(shop_id, **shop)
    record(office, item(shop_id, fen))
    at(office, 2026, 12, 1, 2)
    issue_month(office)
    return statement(shop_id)


def statement(shop_id: str = "shop-1", period: str = NOVEMBER) -> Statement:
    with reading() as tx:
        found = tx.exec(select(Statement).where(Statement.shop_id == shop_id, Statement.period == period)).one()
        tx.expunge(found)
        return found


def all_statements() -> list[Statement]:
    with reading() as tx:
        found = list(tx.exec(select(Statement).order_by(col(Statement.number), col(Statement.id))))
        tx.expunge_all()
        return found


def moves(statement_id: str) -> list[tuple[str, int]]:
    with reading() as tx:
        query = select(StatementMove).where(StatementMove.statement_id == statement_id).order_by(col(StatementMove.at))
        return [(move.kind.value, move.amount_fen) for move in tx.exec(query)]


def invoices() -> list[Invoice]:
    with reading() as tx:
        came = (
            col(Invoice.received_at),
            func.length(col(Invoice.id)),
            col(Invoice.id),
        )  # several in one moment by number
        found = list(tx.exec(select(Invoice).order_by(*came)))
        tx.expunge_all()
        return found


def invoice(fen: int = 9_000, shop_id: str = "shop-1", number: str = "", **changes: Any) -> dict[str, Any]:
    """A clean special invoice of 6 % with the tax worked out."""
    tax = (fen * 6 * 2 + 106) // 212
    net = fen - tax
    return {
        "shop_id": shop_id, "account_id": f"acct-{shop_id}", "number": number or f"26{next(NUMBERS):018d}",
        "kind": "SPECIAL", "issued_on": "2026-12-01", "buyer_name": "店务演示平台", "buyer_tax_no": "91110000600037341L",
        "seller_name": "宁波晨光文具有限公司", "seller_tax_no": "91330226MA2AB1C2D8", "net_fen": net, "tax_fen": tax,
        "gross_fen": fen,
        "lines": [{"name": "*现代服务*推广费", "content": "SERVICE", "net_fen": net, "tax_fen": tax, "rate": "6"}],
        "documents": [pdf(shop_id)],
    } | changes  # fmt: skip


DOUBTFUL = {"kind": "ORDINARY", "difficulty": "税务机关系统升级"}
"""What makes an invoice one that a clerk may accept or return."""


def pdf(shop_id: str = "shop-1", content: bytes = b"") -> dict[str, Any]:
    """A document that the shop staged before; each another one unless its content is given."""
    content = content or f"%PDF-1.7 invoice {next(NUMBERS)}".encode()
    staged = evidence.stage(shop_id, "发票.pdf", io.BytesIO(content))
    return {"name": "发票.pdf", "kind": "OTHER", "sha256": staged.sha256}


def send_invoice(office: Office, fen: int = 9_000, shop_id: str = "shop-1", **changes: Any) -> Invoice:
    """A merchant sends an invoice and everything that follows happens."""
    office.send("invoice.submitted", invoice(fen, shop_id, **changes))
    return invoices()[-1]


def review_of(office: Office) -> Case:
    """The invoice review opened last."""
    return [case for case in office.cases() if case.kind is CaseKind.INVOICE_REVIEW][-1]


def look_again(office: Office, case: Case, verdict: str, reason: str) -> None:
    """The clerk answers a page whose links have run out, is shown a fresh one, and answers that."""
    assert "事实已发生变化" in office.answer(office.question(case), "xu-jing", verdict, reason).sentence
    office.decide(case, "xu-jing", verdict, reason)


def settle_receivable(office: Office, fen: int, shop_id: str = "shop-1") -> None:
    office.send(
        "receivable.settled",
        {
            "shop_id": shop_id,
            "settlement_id": f"stl-{next(NUMBERS)}",
            "amount_fen": fen,
            "settled_at": office.clock.at.isoformat(),
        },
    )


def sweep(office: Office) -> None:
    """The minute's sweep, as ``flows/deadlines.py`` does it, and everything that follows."""
    office.sweep()
    freezes.sweep()
    periods.catch_up()
    documents.write_due()
    office.settle()


def after_due(office: Office, of: Statement, seconds: float = SILENCE.total_seconds()) -> None:
    """The sweep so many seconds after a statement's due time."""
    assert of.due_at is not None
    office.clock.at = of.due_at + timedelta(seconds=seconds)
    sweep(office)


def told(office: Office, topic: str) -> list[dict[str, Any]]:
    return [made(Item.of(row)) for row in office.outbox(Channel.MERCHANT, topic)]


def books_agree(office: Office) -> None:
    """The ledger's invariants, the statements against it, and the audit chains."""
    money_agrees(office)
    assert office.chains() == []


def money_agrees(office: Office) -> None:
    """The ledger's invariants, and the statements against it."""
    assert office.books() == []
    with reading() as tx:
        assert freeze_proof.check(tx) == []
