"""Freezes, row by row in bulk: what a chunk reads of thousands of statements, and what it writes of them, their moves and
messages (INV-7, 10, 12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Select
from sqlalchemy import select as sa_select

from models.books import AccountKind
from models.invoicing import MoveKind, Statement, StatementState
from models.messages import Channel, OutboxState
from office.base import bulk
from office.base.db import Tx
from office.money.ledger import shop_account
from office.record.outbox import COPY, MADE_WHEN_SENT, TO_MERCHANT


@dataclass(slots=True)
class Live:
    """The columns of a statement that a chunk works on; plain values, because a chunk has thousands of them."""

    id: str
    shop_id: str
    state: StatementState
    total_fen: int
    invoiced_fen: int
    pending_fen: int
    frozen_fen: int
    set_off_fen: int
    share_fen: int
    auto: bool
    moves: int
    issued_at: datetime
    due_at: datetime
    next_action_at: datetime | None

    @property
    def open_fen(self) -> int:
        return max(self.total_fen - self.invoiced_fen, 0)


@dataclass
class Move:
    """A row of ``statement_move`` to be."""

    key: str
    statement_id: str
    shop_id: str
    kind: MoveKind
    amount_fen: int
    uninvoiced_fen: int
    share_fen: int
    held_fen: int
    at: datetime


def live_query() -> Select[Any]:
    return sa_select(*(getattr(Statement, field.name) for field in fields(Live)))


def messages(tx: Tx, statement: Live, what: str, topic: str, event: str, told_at: datetime) -> list[dict[str, object]]:
    """Outbox rows without words of their own: the message, its copy for the platform's inbox, the event if any."""
    kinds = [
        (f"{TO_MERCHANT}statement", Channel.MERCHANT, topic, "", told_at),
        (f"{COPY}statement", Channel.EVENT, "merchant.message.created", "platform", tx.now),
    ]
    if event:
        kinds.append(("platform:statement", Channel.EVENT, event, "platform", tx.now))
    return [
        {
            "key": f"{prefix}/{statement.id}/{what}",
            "channel": channel,
            "topic": name,
            "audience": audience,
            "shop_id": statement.shop_id,
            "created_at": tx.now,
            "next_at": at,
        }
        for prefix, channel, name, audience, at in kinds
    ]


_MESSAGE = {
    "key": str, "channel": str, "topic": str, "audience": str, "shop_id": str, "payload_sealed": str, "state": str,
    "attempts": int, "note": str, "reached": list, "created_at": datetime, "next_at": datetime,
}  # fmt: skip


def put(tx: Tx, rows: list[dict[str, object]]) -> None:
    if rows:
        same = {"payload_sealed": MADE_WHEN_SENT, "state": OutboxState.NEW, "attempts": 0, "note": ""}
        bulk.insert(tx, "outbox", _MESSAGE, [row | same for row in rows])


_KEPT = {
    "state": str,
    "frozen_fen": int,
    "set_off_fen": int,
    "share_fen": int,
    "moves": int,
    "auto": bool,
}


def keep(tx: Tx, statements: Sequence[Live]) -> None:
    """Write statements back, a whole chunk in one statement."""
    if not statements:
        return
    columns = {"id": str, **_KEPT, "next_action_at": datetime}
    given = bulk.packed(
        tx,
        [
            {
                "id": s.id,
                "next_action_at": s.next_action_at,
                "state": s.state.value,
                **{name: getattr(s, name) for name in _KEPT if name != "state"},
            }
            for s in statements
        ],
    )
    tx.execute(bulk.sql(f"""
        UPDATE statement SET {", ".join(f"{name} = r.{name}" for name in columns if name != "id")}
        FROM {bulk.rows(tx, "given", columns)} WHERE statement.id = r.id
        """), {"given": given})  # noqa: S608  # fmt: skip


_MOVE = {
    "key": str,
    "statement_id": str,
    "shop_id": str,
    "kind": str,
    "amount_fen": int,
    "uninvoiced_fen": int,
    "share_fen": int,
    "held_fen": int,
    "at": datetime,
}


def note(tx: Tx, moves: Sequence[Move]) -> None:
    """Keep the moves, as they were made."""
    bulk.insert(tx, "statement_move", _MOVE, [vars(move) for move in moves])


def balances(tx: Tx, shop_ids: Sequence[str]) -> dict[str, int]:
    """Shop → free receivable, locked until the transaction ends."""
    ids = bulk.packed(tx, [{"id": shop_account(shop_id, AccountKind.RECEIVABLE)} for shop_id in shop_ids])
    lock = " FOR UPDATE" if tx.postgres else ""
    found = tx.execute(bulk.sql(f"""
        SELECT shop_id, credit_fen - debit_fen FROM account WHERE id IN (
            SELECT r.id FROM {bulk.rows(tx, "ids", {"id": str})}) ORDER BY id{lock}
        """), {"ids": ids})  # noqa: S608  # fmt: skip
    return {str(shop_id): int(fen) for shop_id, fen in found}


def switches(tx: Tx, shop_ids: Sequence[str]) -> dict[str, bool]:
    """Shop → automatic deduction, as the switch stands now (INV-10)."""
    ids = bulk.packed(tx, [{"id": shop_id} for shop_id in shop_ids])
    found = tx.execute(bulk.sql(f"""
        SELECT id, auto_deduct FROM shop WHERE id IN (SELECT r.id FROM {bulk.rows(tx, "ids", {"id": str})})
        """), {"ids": ids})  # noqa: S608  # fmt: skip
    return {str(shop_id): bool(on) for shop_id, on in found}
