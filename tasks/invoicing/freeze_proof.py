"""Proof that freezes, statements and balances say the same."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel import col, select

from models.books import AccountKind
from models.invoicing import Statement, StatementState
from office.base import bulk
from office.base.db import Tx
from office.money import ledger
from office.money.ledger import platform_account
from policies.invoicing import share
from policies.policy import policy_at
from tasks.invoicing.freeze_rows import Live, live_query

# ── the books agree ──────────────────────────────────────────────────────────


def check(tx: Tx) -> list[str]:
    """What is wrong between statements, moves and ledger, a sentence each; nothing, ever."""
    wrong = []
    held = _by_shop(tx, "SELECT shop_id, SUM(frozen_fen) FROM statement GROUP BY shop_id")
    frozen = f"SELECT shop_id, credit_fen - debit_fen FROM account WHERE kind = '{AccountKind.RECEIVABLE_FROZEN}'"  # noqa: S608
    ledgers = _by_shop(tx, frozen)
    for shop_id in sorted({*held, *ledgers}, key=str):
        if held.get(shop_id, 0) != ledgers.get(shop_id, 0):
            wrong.append(
                f"{shop_id}: statements hold {held.get(shop_id, 0)} fen frozen, the ledger {ledgers.get(shop_id, 0)}"
            )
    set_off = int(tx.execute(bulk.sql("SELECT COALESCE(SUM(set_off_fen), 0) FROM statement")).scalar_one())
    if set_off != ledger.balance(tx, platform_account(AccountKind.SET_OFF)).fen:
        wrong.append(f"statements have set off {set_off} fen, the ledger another amount")
    for words, what in (
        (
            """SELECT s.id FROM statement s LEFT JOIN (SELECT statement_id, SUM(amount_fen) AS fen FROM statement_line
            GROUP BY statement_id) l ON l.statement_id = s.id WHERE s.total_fen <> COALESCE(l.fen, 0)""",
            "lines",
        ),
        (
            """SELECT s.id FROM statement s LEFT JOIN (
                SELECT a.statement_id, SUM(a.amount_fen) AS fen FROM invoice_allocation a
                JOIN invoice i ON i.id = a.invoice_id WHERE i.state IN ('ACCEPTED', 'REVERSED') GROUP BY a.statement_id) a
            ON a.statement_id = s.id WHERE s.invoiced_fen <> COALESCE(a.fen, 0)""",
            "accepted invoices",
        ),
        (
            """SELECT s.id FROM statement s LEFT JOIN (
                SELECT a.statement_id, SUM(a.amount_fen) AS fen FROM invoice_allocation a
                JOIN invoice i ON i.id = a.invoice_id WHERE i.state = 'IN_REVIEW' AND a.in_time GROUP BY a.statement_id) a
            ON a.statement_id = s.id WHERE s.pending_fen <> COALESCE(a.fen, 0)""",
            "invoices in review",
        ),
        (
            """SELECT s.id FROM statement s LEFT JOIN (
                SELECT statement_id, SUM(CASE kind WHEN 'FREEZE' THEN amount_fen WHEN 'RELEASE' THEN -amount_fen
                    WHEN 'SET_OFF' THEN amount_fen ELSE -amount_fen END) AS fen FROM statement_move GROUP BY statement_id) m
            ON m.statement_id = s.id WHERE s.frozen_fen + s.set_off_fen <> COALESCE(m.fen, 0)""",
            "moves",
        ),
        (
            """SELECT m.key FROM statement_move m LEFT JOIN transfer t ON t.key = m.key
            WHERE m.amount_fen > 0 AND (t.amount_fen IS NULL OR t.amount_fen <> m.amount_fen)""",
            "transfers",
        ),
        (
            """SELECT i.period || '/' || i.shop_id FROM billable_item i JOIN statement s
            ON s.period = i.period AND s.shop_id = i.shop_id
            GROUP BY i.period, i.shop_id, s.total_fen HAVING SUM(i.amount_fen) <> s.total_fen""",
            "items",
        ),
    ):
        wrong += [f"{row[0]}: does not agree with its {what}" for row in tx.execute(bulk.sql(words))]
    return wrong + [f"{statement_id}: its state does not agree with its money" for statement_id in _states(tx)]


def _states(tx: Tx) -> Iterator[str]:
    """Statements that are closed while money says they are not, one by one: there can be very many."""
    yield from tx.exec(
        select(Statement.id).where(
            Statement.state == StatementState.INVOICED, Statement.frozen_fen + Statement.set_off_fen != 0
        )
    )
    query = live_query().where(col(Statement.state) == StatementState.AUTO_DEDUCTED)
    for row in tx.execute(query, execution_options={"yield_per": 1000}):
        one = Live(*row)
        wanted = share(one.open_fen, policy_at(one.issued_at).invoicing)
        if one.pending_fen or one.frozen_fen or one.set_off_fen != wanted:
            yield one.id


def _by_shop(tx: Tx, words: str) -> dict[str, int]:
    return {str(shop_id): int(fen) for shop_id, fen in tx.execute(bulk.sql(words))}
