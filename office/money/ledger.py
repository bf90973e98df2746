"""The ledger: accounts opened as needed, transfers posted once per key, balances read, invariants proved."""

from __future__ import annotations

import hmac
import json
import operator
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Subquery, func, or_, update
from sqlalchemy import select as sql_select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from models.books import ASSETS, Account, AccountKind, Transfer
from models.money import Money
from office.base import bulk
from office.base.db import Tx
from office.base.vault import keyed_hash


class LedgerConflict(RuntimeError):
    """A key was posted before with another amount or other accounts: a bug, never a repeat."""


class BooksForged(RuntimeError):
    """Money was about to leave an account whose transfers are not all ours: somebody has written into the books."""


class Overdrawn(RuntimeError):
    """The transfer would take an account below zero."""


def shop_account(shop_id: str, kind: AccountKind) -> str:
    return f"shop/{shop_id}/{kind}"


def platform_account(kind: AccountKind) -> str:
    return f"platform/{kind}"


def open_account(tx: Tx, account_id: str) -> None:
    """Make sure the account is there. The id says whose it is and of which kind."""
    owner, _, rest = account_id.partition("/")
    shop_id, _, kind = rest.rpartition("/") if owner == "shop" else (None, "", rest)
    insert = postgres_insert if tx.postgres else sqlite_insert
    row = {"id": account_id, "shop_id": shop_id, "kind": AccountKind(kind), "debit_fen": 0, "credit_fen": 0}
    tx.execute(insert(Account).values(row).on_conflict_do_nothing(index_elements=["id"]))


def post(
    tx: Tx, key: str, *, debit: str, credit: str, amount: Money, reason: str, clause: str, case_id: str | None = None
) -> Transfer | None:
    """Move ``amount`` from one account to another, once per ``key``.

    Posting the same key again returns the first transfer and moves nothing; with other content it raises
    :class:`LedgerConflict`. An amount of zero posts nothing and returns ``None``. Raises :class:`Overdrawn`
    when an account would fall below zero; the caller's transaction must then be given up.
    """
    if not amount:
        return None
    if before := tx.get(Transfer, key):
        if (before.debit_account, before.credit_account, before.amount_fen) != (debit, credit, amount.fen):
            raise LedgerConflict(f"{key} was posted before as {before.amount_fen} fen, now {amount.fen} fen")
        return before
    for account_id in sorted((debit, credit)):  # one order for everybody, so that two postings never deadlock
        open_account(tx, account_id)
        _move(tx, account_id, debit=amount.fen if account_id == debit else 0,
              credit=amount.fen if account_id == credit else 0, key=key)  # fmt: skip
    transfer = Transfer(
        key=key, debit_account=debit, credit_account=credit, amount_fen=amount.fen, reason=reason, clause=clause,
        case_id=case_id, posted_at=tx.now, seal=_seal(key, debit, credit, amount.fen, reason, clause, case_id),
    )  # fmt: skip
    tx.add(transfer)
    tx.flush()
    return transfer


@dataclass(frozen=True)
class Posting:
    """One of many transfers posted together; the fields are those of :func:`post`."""

    key: str
    debit: str
    credit: str
    fen: int
    reason: str
    clause: str
    case_id: str | None = None


def post_many(tx: Tx, postings: Sequence[Posting]) -> None:
    """Post many transfers at once, set-based, under the same invariants as :func:`post`.

    The caller has made sure that none was posted before: a key that is there already raises
    :class:`LedgerConflict`, an account that would fall below zero :class:`Overdrawn`, and nothing is posted.
    """
    if not postings:
        return
    if any(posting.fen <= 0 for posting in postings):
        raise ValueError("a posting of nothing, or of less")
    tx.flush()
    accounts = bulk.packed(tx, [
        {"id": account_id, "kind": AccountKind(account_id.rpartition("/")[2]).value,
         "shop": account_id.partition("/")[2].rpartition("/")[0] if account_id.startswith("shop/") else None}
        for account_id in sorted({side for posting in postings for side in (posting.debit, posting.credit)})
    ])  # fmt: skip
    given = bulk.packed(tx, [vars(posting) | {"seal": _seal(*vars(posting).values())} for posting in postings])
    columns = {
        "key": str, "debit": str, "credit": str, "fen": int, "reason": str, "clause": str, "case_id": str, "seal": str,
    }  # fmt: skip
    source = bulk.rows(tx, "given", columns)
    tx.execute(bulk.sql(f"""
        INSERT INTO account (id, shop_id, kind, debit_fen, credit_fen)
        SELECT r.id, r.shop, r.kind, 0, 0 FROM {bulk.rows(tx, "accounts", {"id": str, "shop": str, "kind": str})}
        WHERE true ON CONFLICT (id) DO NOTHING
        """), {"accounts": accounts})  # noqa: S608  # fmt: skip
    if tx.postgres:  # one order for everybody, so that two postings never deadlock
        tx.execute(bulk.sql("""
            SELECT id FROM account WHERE id IN (SELECT r.id FROM json_to_recordset(CAST(:accounts AS json)) AS r(id text))
            ORDER BY id FOR UPDATE
            """), {"accounts": accounts})  # fmt: skip
    try:
        tx.execute(bulk.sql(f"""
            INSERT INTO transfer (key, debit_account, credit_account, amount_fen, reason, clause, case_id, seal, posted_at)
            SELECT r.key, r.debit, r.credit, r.fen, r.reason, r.clause, r.case_id, r.seal, :now FROM {source}
            """, now=tx.now), {"given": given})  # noqa: S608  # fmt: skip
    except IntegrityError as error:
        raise LedgerConflict("one of many transfers was posted before") from error
    try:
        tx.execute(bulk.sql(f"""
            UPDATE account SET debit_fen = account.debit_fen + moved.debit, credit_fen = account.credit_fen + moved.credit
            FROM (SELECT id, SUM(debit) AS debit, SUM(credit) AS credit FROM (
                    SELECT r.debit AS id, r.fen AS debit, 0 AS credit FROM {source}
                    UNION ALL SELECT r.credit, 0, r.fen FROM {source}) AS sides GROUP BY id) AS moved
            WHERE account.id = moved.id
            """), {"given": given})  # noqa: S608  # fmt: skip
    except IntegrityError as error:
        raise Overdrawn("one of many transfers would take an account below zero") from error
    tx.expire_all()


def _move(tx: Tx, account_id: str, *, debit: int, credit: int, key: str) -> None:
    """Add to an account's totals, unless that would take it below zero."""
    asset = AccountKind(account_id.rpartition("/")[2]) in ASSETS
    room = (
        Account.debit_fen + debit >= Account.credit_fen + credit
        if asset
        else Account.credit_fen + credit >= Account.debit_fen + debit
    )
    change = (
        update(Account)
        .where(col(Account.id) == account_id, room)  # type: ignore[arg-type]
        .values(debit_fen=Account.debit_fen + debit, credit_fen=Account.credit_fen + credit)
        .execution_options(synchronize_session=False)
    )
    if tx.execute(change).rowcount != 1:  # type: ignore[attr-defined]
        raise Overdrawn(f"{key}: {account_id} would fall below zero")
    if cached := tx.identity_map.get(tx.identity_key(Account, account_id)):
        tx.refresh(cached)


def balance(tx: Tx, account_id: str) -> Money:
    """What the account holds now; an account never opened holds nothing."""
    account = tx.get(Account, account_id, populate_existing=True)
    return Money(fen=account.balance_fen) if account else Money()


def shop_balance(tx: Tx, shop_id: str, kind: AccountKind) -> Money:
    return balance(tx, shop_account(shop_id, kind))


def shop_balances(tx: Tx, shop_id: str) -> Mapping[AccountKind, Money]:
    """What each of the shop's accounts holds now, in one question; a kind never opened holds nothing."""
    query = select(Account).where(Account.shop_id == shop_id).execution_options(populate_existing=True)
    return defaultdict(Money, {account.kind: Money(fen=account.balance_fen) for account in tx.exec(query)})


def _seal(key: str, debit: str, credit: str, fen: int, reason: str, clause: str, case_id: str | None) -> str:
    return keyed_hash(f"transfer|{json.dumps([key, debit, credit, fen, reason, clause, case_id], ensure_ascii=False)}")


def _sealed(one: Transfer) -> bool:
    """Whether we posted it, as it stands in the row."""
    told = one.debit_account, one.credit_account, one.amount_fen, one.reason, one.clause, one.case_id
    return one.seal is not None and hmac.compare_digest(one.seal, _seal(one.key, *told))


def prove(tx: Tx, account_id: str) -> None:
    """Before money leaves an account: what it holds came by transfers that we posted, all of them and nothing else.

    Raises :class:`BooksForged`.
    """
    account = tx.get(Account, account_id, populate_existing=True)
    if account is None:
        return
    query = select(Transfer).where(
        or_(col(Transfer.debit_account) == account_id, col(Transfer.credit_account) == account_id)
    )
    found = tx.exec(query.execution_options(populate_existing=True)).all()
    if odd := [one.key for one in found if not _sealed(one)]:
        raise BooksForged(f"{account_id}: {len(odd)} transfers not posted by us, {odd[0]} among them")
    sums = [sum(one.amount_fen for one in found if side(one) == account_id) for side in _SIDES]
    if sums != [account.debit_fen, account.credit_fen]:
        raise BooksForged(
            f"{account_id}: totals say {account.debit_fen}/{account.credit_fen} fen, its transfers {sums}"
        )


_SIDES = (operator.attrgetter("debit_account"), operator.attrgetter("credit_account"))


def _sums(column: Any) -> Subquery:
    """What went through each account on one side."""
    return sql_select(column.label("account"), func.sum(Transfer.amount_fen).label("fen")).group_by(column).subquery()


def check(tx: Tx) -> Iterator[str]:
    """What is wrong with the books, a sentence each; nothing when every invariant holds.

    Proved over the whole database: every transfer was posted by us, every account's totals are the sums of its transfers,
    no account is below zero, and all debits equal all credits.
    """
    for one in tx.exec(select(Transfer).execution_options(yield_per=1_000)):
        if not _sealed(one):
            yield f"{one.key}: {one.amount_fen} fen from {one.debit_account} to {one.credit_account} not posted by us"
    debited, credited = (_sums(column) for column in (Transfer.debit_account, Transfer.credit_account))
    query = (
        sql_select(
            col(Account.id),
            col(Account.kind),
            col(Account.debit_fen),
            col(Account.credit_fen),
            debited.c.fen,
            credited.c.fen,
        )
        .outerjoin(debited, debited.c.account == col(Account.id))
        .outerjoin(credited, credited.c.account == col(Account.id))
    )
    debits = credits = 0
    for account, kind, debit, credit, *moved in tx.execute(query, execution_options={"yield_per": 1_000}):
        expected = [int(fen or 0) for fen in moved]
        if [debit, credit] != expected:
            yield (
                f"{account}: totals say {debit}/{credit} fen debit/credit, its transfers {expected[0]}/{expected[1]}"
            )
        balance = debit - credit if kind in ASSETS else credit - debit
        if balance < 0:
            yield f"{account}: {balance} fen, below zero"
        debits += debit
        credits += credit
    for column in (Transfer.debit_account, Transfer.credit_account):
        known = select(Account.id).where(col(Account.id) == column)  # of each: NOT IN would compare all with all
        for orphan in tx.exec(select(column).where(~known.exists()).distinct()):
            yield f"{orphan}: has transfers but no account"
    if debits != credits:
        yield f"all debits are {debits} fen, all credits {credits} fen"
