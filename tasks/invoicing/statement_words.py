"""Bulk messages: what one of them says, made from its statement when it leaves.

A hundred thousand statements would mean sealing and storing the same sentences three hundred thousand times. The
statement and its moves never change once written, so the row in the outbox only names them by its key.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from models.base import Frozen
from models.invoicing import MoveKind, Statement, StatementMove
from models.invoicing_events import StatementDeducted, StatementFrozen, StatementIssued, StatementReleased
from models.shops import Shop
from models.wire import Outgoing
from notifications import invoicing as words
from notifications.message import MerchantMessage
from office.base.db import Tx
from office.base.settings import settings
from office.record.outbox import COPY, TO_MERCHANT
from office.record.sending import Skip
from policies.policy import policy_at
from tasks.invoicing import periods

_PREFIXES = (f"{TO_MERCHANT}statement/", f"{COPY}statement/", "platform:statement/")


class Told(Frozen):
    """What a key speaks of: a statement, and one of ``issued``, ``remind-72`` or the number of a move."""

    statement_id: str
    what: str
    key: str


def said(tx: Tx, key: str) -> tuple[MerchantMessage, Outgoing | None]:
    """What the message of this key tells the merchant, and the platform where it is an event too."""
    told = _read(key)
    statement = tx.get_one(Statement, told.statement_id)
    if statement.number is None or statement.due_at is None or statement.issued_at is None:
        raise ValueError(f"{statement.id} was never issued")
    if told.what == "issued":
        return _issued(tx, statement, statement.due_at, statement.issued_at)
    if told.what.startswith("remind-"):
        return _reminder(tx, statement, statement.due_at), None
    return _moved(statement, tx.get_one(StatementMove, told.key))


def shop_of(tx: Tx, key: str) -> str:
    """Whose statement the message of this key is about."""
    return tx.get_one(Statement, _read(key).statement_id).shop_id


def _read(key: str) -> Told:
    for prefix in _PREFIXES:
        if key.startswith(prefix):
            statement_id, _, what = key.removeprefix(prefix).rpartition("/")
            return Told(statement_id=statement_id, what=what, key=f"statement/{statement_id}/{what}")
    raise ValueError(f"{key} names no statement")


def about(statement: Statement) -> dict[str, Any]:
    """The fields every message about a statement has."""
    return {"shop_name": statement.shop_name, "number": statement.number, "period": period_label(statement)}


def period_label(statement: Statement) -> str:
    return "退店账单" if statement.period.startswith("exit/") else periods.label(statement.period)


def _percent(tx: Tx, at: datetime) -> str:
    return f"{policy_at(at).invoicing.freeze_percent}%"


def _deducts(tx: Tx, statement: Statement) -> bool:
    shop = tx.get(Shop, statement.shop_id)
    return bool(shop and shop.auto_deduct)


def _issued(tx: Tx, statement: Statement, due: datetime, issued: datetime) -> tuple[MerchantMessage, Outgoing]:
    given = settings()
    message = words.StatementIssued(
        **about(statement),
        amount_fen=statement.total_fen,
        due=due,
        buyer_name=given.platform_name,
        buyer_tax_no=given.platform_tax_no,
        share_percent=_percent(tx, issued),
        auto_deduct=_deducts(tx, statement),
    )
    event = StatementIssued(
        shop_id=statement.shop_id,
        statement=str(statement.number),
        period=statement.period,
        at=issued,
        amount_fen=statement.total_fen,
        due_at=due,
    )
    return message, event


def _reminder(tx: Tx, statement: Statement, due: datetime) -> MerchantMessage:
    if statement.open_fen == 0 or tx.now > due:
        raise Skip("invoiced meanwhile, or too late to remind")
    return words.StatementReminder(
        **about(statement),
        uninvoiced_fen=statement.open_fen,
        due=due,
        share_percent=_percent(tx, due),
        auto_deduct=_deducts(tx, statement),
    )


MESSAGES: Mapping[
    MoveKind,
    tuple[
        type[words.StatementFrozen] | type[words.StatementDeducted] | type[words.StatementReleased],
        type[StatementFrozen] | type[StatementDeducted] | type[StatementReleased],
    ],
] = {
    MoveKind.FREEZE: (words.StatementFrozen, StatementFrozen),
    MoveKind.SET_OFF: (words.StatementDeducted, StatementDeducted),
    MoveKind.RELEASE: (words.StatementReleased, StatementReleased),
    MoveKind.RETURN: (words.StatementReleased, StatementReleased),
}


def _moved(statement: Statement, move: StatementMove) -> tuple[MerchantMessage, Outgoing]:
    message, event = MESSAGES[move.kind]
    money = {
        "amount_fen": move.amount_fen,
        "uninvoiced_fen": move.uninvoiced_fen,
        "held_fen": move.held_fen,
        "at": move.at,
    }
    shares = {"share_fen": move.share_fen}
    return (
        message(**about(statement), **money, **({} if message is words.StatementReleased else shares)),
        event(
            shop_id=statement.shop_id,
            statement=str(statement.number),
            period=statement.period,
            **money,
            **shares,
            clause=message.clause,
        ),
    )
