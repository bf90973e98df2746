"""Statement documents: the printable page of each issued statement, written when it is due or asked for."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sqlmodel import col, select

from models.event_parts import TaxpayerType
from models.invoicing import (
    DocumentState,
    Statement,
    StatementDocument,
    StatementLine,
)
from notifications.document import render_document
from office.base.db import Tx, in_transaction
from office.base.settings import settings
from office.base.whole import whole
from policies.invoicing import capitals
from policies.policy import policy_at
from tasks.invoicing import statement_words

PER_SWEEP = 500
"""Documents one sweep writes; the rest are written by the next ones, or when somebody asks."""


def statement_page(tx: Tx, statement: Statement) -> str:
    """The statement as one self-contained HTML page that prints on A4."""
    if statement.number is None or statement.issued_at is None or statement.due_at is None:
        raise ValueError(f"{statement.id} was never issued")
    lines = tx.exec(
        select(StatementLine)
        .where(StatementLine.statement_id == statement.id)
        .order_by(col(StatementLine.own_period), col(StatementLine.category))
    )
    given, policy = settings(), policy_at(statement.issued_at).invoicing
    taxpayer = TaxpayerType(statement.taxpayer_type).label if statement.taxpayer_type else "未登记"
    return render_document(
        "statement",
        {
            "number": statement.number,
            "period": statement_words.period_label(statement),
            "issued_at": statement.issued_at,
            "due_at": statement.due_at,
            "shop_name": statement.shop_name,
            "shop_id": statement.shop_id,
            "seller_name": statement.seller_name,
            "seller_tax_no": statement.seller_tax_no,
            "taxpayer": taxpayer,
            "buyer_name": given.platform_name,
            "buyer_tax_no": given.platform_tax_no,
            "total_fen": statement.total_fen,
            "capitals": capitals(statement.total_fen),
            "service_contact": given.service_contact,
            "share": f"{policy.freeze_percent}%",
            "lines": [
                {"category": line.category.label, "month": line.own_period, "times": line.items, "fen": line.amount_fen}
                for line in lines
            ],
        },
    )


def path_of(statement: Statement) -> Path:
    """Where the document is kept; the name is ours, nothing of the merchant's is in it."""
    folder = "exit" if statement.period.startswith("exit/") else statement.period
    return settings().home / "statements" / folder / f"{statement.number}.html"


def write(tx: Tx, statement: Statement) -> Path:
    """Write one document and note its hash; written again it is the same page."""
    page = statement_page(tx, statement).encode()
    target = path_of(statement)
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole(target) as draft:
        draft.write_bytes(page)
    row = tx.get(StatementDocument, statement.id) or StatementDocument(statement_id=statement.id)
    row.state, row.sha256, row.rendered_at = DocumentState.READY, hashlib.sha256(page).hexdigest(), tx.now
    tx.add(row)
    return target


def write_due(limit: int = PER_SWEEP) -> int:
    """Write documents that are queued, a hundred to a transaction; returns how many."""

    def some(tx: Tx) -> int:
        query = select(Statement).join(StatementDocument, col(StatementDocument.statement_id) == Statement.id)
        query = query.where(StatementDocument.state == DocumentState.QUEUED).limit(100)
        found = list(tx.exec(query))
        for statement in found:
            write(tx, statement)
        return len(found)

    done = 0
    while done < limit and (written := in_transaction(some)):
        done += written
    return done
