"""The ledger: accounts opened as needed, transfers posted once per key, balances read, invariants proved."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Subquery, func, or_
from sqlalchemy import select as sql_select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from models.books import Account, AccountKind, Transfer
from models.money import Money
from office.base import bulk
from office.base.db import Tx, prepared
from office.base.vault import keyed_hash, same
from office.money import tallies
from office.money.tallies import Tally


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


def _row(account_id: str) -> dict[str, Any]:
    """A new account. The id says whose it is and of which kind."""
    owner, _, rest = account_id.partition("/")
    shop_id, _, kind = rest.rpartition("/") if owner == "shop" else (None, "", rest)
    return {
        "id": account_id,
        "shop_id": shop_id,
        "kind": AccountKind(kind),
        "tally": tallies.sealed(account_id, Tally()),
        "debit_fen": 0,
        "credit_fen": 0,
    }


def _locked(tx: Tx, account_ids: Collection[str]) -> dict[str, Account]:
    """These accounts, opened where they are not there yet, and nobody else's until the transaction ends."""
    query = select(Account).where(col(Account.id).in_(account_ids)).order_by(col(Account.id))
    locking = query.with_for_update().execution_options(populate_existing=True)  # in one order for everybody
    found = {account.id: account for account in tx.exec(locking)}
    missing = sorted(set(account_ids) - found.keys())
    if not missing:
        return found
    tx.execute(_opening(tx), [_row(account_id) for account_id in missing])
    return {account.id: account for account in tx.exec(locking)}


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
    accounts = _locked(tx, (debit, credit))
    _move(accounts[debit], tx.now, debits=amount.fen, key=key)
    _move(accounts[credit], tx.now, credits=amount.fen, key=key)
    transfer = Transfer(
        key=key,
        debit_account=debit,
        credit_account=credit,
        amount_fen=amount.fen,
        reason=reason,
        clause=clause,
        case_id=case_id,
        posted_at=tx.now,
        seal=_seal(key, debit, credit, amount.fen, reason, clause, case_id),
    )
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


def post_many(tx: Tx, postings: Sequence[Posting], *, leaving: bool = False) -> None:
    """Post many transfers at once, set-based, under the same invariants as :func:`post`.

    The caller has made sure that none was posted before: a key that is there already raises
    :class:`LedgerConflict`, an account that would fall below zero :class:`Overdrawn`, and nothing is posted.
    ``leaving``: money leaves the accounts that are debited, which are proved before (:func:`prove`).
    """
    if not postings:
        return
    if any(posting.fen <= 0 for posting in postings):
        raise ValueError("a posting of nothing, or of less")
    tx.flush()
    moved = _moved(postings)
    held = _held(tx, list(moved))
    if leaving:
        debited = {posting.debit for posting in postings}
        _prove(tx, [row for row in held if row[0] in debited])
    try:
        bulk.insert(
            tx,
            "transfer",
            _TRANSFER,
            [
                {
                    "key": one.key,
                    "debit_account": one.debit,
                    "credit_account": one.credit,
                    "amount_fen": one.fen,
                    "reason": one.reason,
                    "clause": one.clause,
                    "case_id": one.case_id,
                    "posted_at": tx.now,
                    "seal": _seal(one.key, one.debit, one.credit, one.fen, one.reason, one.clause, one.case_id),
                }
                for one in postings
            ],
        )
    except IntegrityError as error:
        raise LedgerConflict("one of many transfers was posted before") from error
    try:
        bulk.update(
            tx,
            "account",
            {"id": str, "debit_fen": int, "credit_fen": int, "tally": str},
            [
                {
                    "id": account_id,
                    "debit_fen": debits + more.debit_fen,
                    "credit_fen": credits + more.credit_fen,
                    "tally": tallies.continued(account_id, tally, *more.totals, tx.now, more.transfers),
                }
                for account_id, debits, credits, tally in held
                for more in (moved[account_id],)
            ],
        )
    except IntegrityError as error:
        raise Overdrawn("one of many transfers would take an account below zero") from error
    for account_id in moved:  # what else the transaction has read stays read
        if (account := tx.identity_map.get(tx.identity_key(Account, account_id))) is not None:
            tx.expire(account)


_TRANSFER = {
    "key": str,
    "debit_account": str,
    "credit_account": str,
    "amount_fen": int,
    "reason": str,
    "clause": str,
    "case_id": str,
    "posted_at": datetime,
    "seal": str,
}


def _moved(postings: Sequence[Posting]) -> dict[str, Tally]:
    """What goes through each account, by the account."""
    moved: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])  # transfers, debits, credits
    for posting in postings:
        for account_id, side in ((posting.debit, 1), (posting.credit, 2)):
            moved[account_id][0] += 1
            moved[account_id][side] += posting.fen
    return {account_id: Tally(count, debits, credits) for account_id, (count, debits, credits) in moved.items()}


_HELD = "SELECT a.id, a.debit_fen, a.credit_fen, a.tally FROM account a WHERE a.id IN"


def _held(tx: Tx, account_ids: Sequence[str]) -> Sequence[Any]:
    """Totals and tallies of these accounts, as by :func:`_locked` without making objects of them."""
    locking = bulk.sql(f"{_HELD} ({bulk.ids(tx)}) ORDER BY a.id {'FOR UPDATE OF a' if tx.postgres else ''}")
    ids = {"ids": bulk.packed(tx, [{"id": account_id} for account_id in account_ids])}
    found = tx.execute(locking, ids).all()
    if missing := sorted(set(account_ids) - {account_id for account_id, *_ in found}):
        opened = [_row(account_id) for account_id in missing]
        tx.execute(_opening(tx), opened)
        if tx.postgres:  # somebody else may have opened one meanwhile
            return tx.execute(locking, ids).all()
        return [*found, *((row["id"], row["debit_fen"], row["credit_fen"], row["tally"]) for row in opened)]
    return found


def _opening(tx: Tx) -> Any:
    insert = postgres_insert if tx.postgres else sqlite_insert
    return insert(Account).on_conflict_do_nothing(index_elements=["id"])


def _move(account: Account, at: datetime, *, debits: int = 0, credits: int = 0, key: str) -> None:
    """Add to an account's totals and to its tally, unless that would take it below zero."""
    account.debit_fen, account.credit_fen = account.debit_fen + debits, account.credit_fen + credits
    if account.balance_fen < 0:
        raise Overdrawn(f"{key}: {account.id} would fall below zero")
    account.tally = tallies.continued(account.id, account.tally, debits, credits, at)


def balance(tx: Tx, account_id: str) -> Money:
    """What the account holds now; an account never opened holds nothing."""
    account = tx.get(Account, account_id, populate_existing=True)
    return Money(fen=account.balance_fen) if account else Money()


def shop_balance(tx: Tx, shop_id: str, kind: AccountKind) -> Money:
    return balance(tx, shop_account(shop_id, kind))


def shop_balances(tx: Tx, shop_id: str) -> Mapping[AccountKind, Money]:
    """What each of the shop's accounts holds now, in one question; a kind never opened holds nothing."""
    return defaultdict(Money, {account.kind: Money(fen=account.balance_fen) for account in _of_shop(tx, shop_id)})


@prepared
def _of_shop(shop_id: str) -> SelectOfScalar[Account]:
    return select(Account).where(Account.shop_id == shop_id).execution_options(populate_existing=True)


def _seal(key: str, debit: str, credit: str, fen: int, reason: str, clause: str, case_id: str | None) -> str:
    return keyed_hash(f"transfer|{json.dumps([key, debit, credit, fen, reason, clause, case_id], ensure_ascii=False)}")


def sealed(one: Transfer) -> bool:
    """Whether we posted it, as it stands in the row."""
    told = one.debit_account, one.credit_account, one.amount_fen, one.reason, one.clause, one.case_id
    return same(one.seal, _seal(one.key, *told))


def prove(tx: Tx, *account_ids: str) -> None:
    """Before money leaves accounts: what they hold came by transfers that we posted, all of them and nothing else.

    The sealed tally says so, however many they are: it knows the totals, and nothing was posted after it. Raises
    :class:`BooksForged`.
    """
    given = bulk.packed(tx, [{"id": account_id} for account_id in account_ids])
    _prove(tx, tx.execute(bulk.sql(f"{_HELD} ({bulk.ids(tx)})"), {"ids": given}).all())


def _prove(tx: Tx, held: Sequence[Any]) -> None:
    """The same of accounts as they were just read."""
    tallied = {}
    for account_id, debits, credits, written in held:
        tally = tallies.opened(account_id, written)
        if tally is None or tally.totals != (debits, credits):
            raise BooksForged(_unproved(tx, account_id, (debits, credits), tally))
        tallied[account_id] = tally.until
    if not tallied:
        return
    ids = bulk.packed(tx, [{"id": account_id, "until": until} for account_id, until in tallied.items()])
    later = tx.execute(bulk.sql(f"""
        SELECT r.id FROM {bulk.rows(tx, "ids", {"id": str, "until": datetime})}
        WHERE EXISTS (SELECT 1 FROM transfer t WHERE t.debit_account = r.id AND t.posted_at > r.until)
        OR EXISTS (SELECT 1 FROM transfer t WHERE t.credit_account = r.id AND t.posted_at > r.until)
        """), {"ids": ids})  # noqa: S608  # fmt: skip
    for account_id in later.scalars():
        raise BooksForged(f"{account_id}: its tally is an earlier one, or transfers not posted by us came after it")


def _unproved(tx: Tx, account_id: str, totals: tuple[int, int], tally: Tally | None) -> str:
    """What is wrong with the account, for people who look for it."""
    if tally is None:
        return f"{account_id}: its tally was not written by us"
    either = or_(col(Transfer.debit_account) == account_id, col(Transfer.credit_account) == account_id)
    odd = [one.key for one in tx.exec(select(Transfer).where(either)) if not sealed(one)]
    named = f"; {len(odd)} transfers not posted by us, {odd[0]} among them" if odd else ""
    return f"{account_id}: totals say {totals} fen debit/credit, we posted {tally.totals}{named}"


def _sums(column: Any) -> Subquery:
    """What went through each account on one side."""
    summed = func.sum(Transfer.amount_fen).label("fen"), func.count().label("transfers")
    return sql_select(column.label("account"), *summed).group_by(column).subquery()


def check(tx: Tx) -> Iterator[str]:
    """What is wrong with the books, a sentence each; nothing when every invariant holds.

    Proved over the whole database: every transfer was posted by us, every account's totals are the sums of its transfers
    and its tally tells of exactly these, no account is below zero, and all debits equal all credits.
    """
    for one in tx.exec(select(Transfer).execution_options(yield_per=1_000)):
        if not sealed(one):
            yield f"{one.key}: {one.amount_fen} fen from {one.debit_account} to {one.credit_account} not posted by us"
    debited, credited = (_sums(column) for column in (Transfer.debit_account, Transfer.credit_account))
    query = (
        sql_select(Account, debited.c.fen, credited.c.fen, debited.c.transfers, credited.c.transfers)
        .outerjoin(debited, debited.c.account == col(Account.id))
        .outerjoin(credited, credited.c.account == col(Account.id))
    )
    debits = credits = 0
    for account, *moved in tx.execute(query, execution_options={"yield_per": 1_000, "populate_existing": True}):
        debit, credit, *counts = (int(number or 0) for number in moved)
        if (account.debit_fen, account.credit_fen) != (debit, credit):
            yield (
                f"{account.id}: totals say {account.debit_fen}/{account.credit_fen} fen debit/credit,"
                f" its transfers {debit}/{credit}"
            )
        tally = tallies.opened(account.id, account.tally)
        if tally is None:
            yield f"{account.id}: its tally was not written by us"
        elif (tally.transfers, *tally.totals) != (sum(counts), debit, credit):
            yield (
                f"{account.id}: we posted {tally.transfers} transfers, {tally.debit_fen}/{tally.credit_fen} fen"
                f" debit/credit; its transfers are {sum(counts)}, {debit}/{credit}"
            )
        if account.balance_fen < 0:
            yield f"{account.id}: {account.balance_fen} fen, below zero"
        debits += account.debit_fen
        credits += account.credit_fen
    for column in (Transfer.debit_account, Transfer.credit_account):
        known = select(Account.id).where(col(Account.id) == column)  # of each: NOT IN would compare all with all
        for orphan in tx.exec(select(column).where(~known.exists()).distinct()):
            yield f"{orphan}: has transfers but no account"
    if debits != credits:
        yield f"all debits are {debits} fen, all credits {credits} fen"
