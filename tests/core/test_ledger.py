"""The books: every posting balances, happens once and never takes an account below zero."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import select

from models.books import Account, AccountKind, Transfer
from models.money import Money
from office.base.db import Tx, in_transaction, reading
from office.money import ledger
from office.money.ledger import LedgerConflict, Overdrawn, platform_account
from tasks.sight import proof
from tests.play import Office

pytestmark = pytest.mark.both

CASH, CLEARING, PENALTY = (platform_account(k) for k in (AccountKind.CASH, AccountKind.CLEARING, AccountKind.PENALTY))
ACCOUNTS = [platform_account(kind) for kind in AccountKind if kind not in {AccountKind.ARREARS}]


def post(key: str, fen: int, debit: str = CASH, credit: str = CLEARING) -> Transfer | None:
    return in_transaction(
        lambda tx: ledger.post(
            tx, key, debit=debit, credit=credit, amount=Money(fen=fen), reason="test", clause="DEP-9"
        )
    )


def balance(account: str) -> int:
    with reading() as tx:
        return ledger.balance(tx, account).fen


def wrong() -> list[str]:
    with reading() as tx:
        return list(ledger.check(tx))


def test_a_posting_moves_the_amount_from_one_account_to_the_other(database: None) -> None:
    post("a", 500)
    assert (balance(CASH), balance(CLEARING)) == (500, 500)
    assert wrong() == []


def test_the_same_posting_again_is_the_same_posting(database: None) -> None:
    post("a", 500)
    again = post("a", 500)
    assert again is not None and again.amount_fen == 500
    assert balance(CASH) == 500


@pytest.mark.parametrize(("fen", "credit"), [(501, CLEARING), (500, PENALTY)])
def test_a_key_posted_with_other_content_is_a_conflict_and_moves_nothing(database: None, fen: int, credit: str) -> None:
    post("a", 500)
    with pytest.raises(LedgerConflict):
        post("a", fen, credit=credit)
    assert (balance(CASH), balance(PENALTY)) == (500, 0)
    assert wrong() == []


def test_nothing_is_posted_for_an_amount_of_nothing(database: None) -> None:
    assert post("a", 0) is None
    assert balance(CASH) == 0


def test_no_account_falls_below_zero_by_a_single_fen(database: None) -> None:
    post("a", 500)
    with pytest.raises(Overdrawn):
        post("b", 501, debit=CLEARING, credit=CASH)
    assert (balance(CASH), balance(CLEARING)) == (500, 500)
    post("c", 500, debit=CLEARING, credit=CASH)
    assert (balance(CASH), balance(CLEARING)) == (0, 0)
    assert wrong() == []


POSTINGS = st.lists(
    st.tuples(st.sampled_from(ACCOUNTS), st.sampled_from(ACCOUNTS), st.integers(1, 10**12), st.integers(0, 12)),
    max_size=25,
)


@settings(max_examples=25)
@given(postings=POSTINGS)
def test_whatever_is_posted_the_books_balance_and_nothing_is_negative(
    database: None, postings: list[tuple[str, str, int, int]]
) -> None:
    in_transaction(lambda tx: [tx.execute(text(f"DELETE FROM {table}")) for table in ("transfer", "account")])
    expected: dict[str, tuple[str, str, int]] = {}
    for debit, credit, fen, number in postings:
        key = f"k{number}"
        if debit == credit:
            continue
        try:
            post(key, fen, debit, credit)
            expected.setdefault(key, (debit, credit, fen))
        except (Overdrawn, LedgerConflict):
            pass
    with reading() as tx:
        rows = {row.key: (row.debit_account, row.credit_account, row.amount_fen) for row in tx.exec(select(Transfer))}
        assert all(account.balance_fen >= 0 for account in tx.exec(select(Account)))
    assert rows == expected
    assert wrong() == []


PLANTED = {
    "a total that was changed": (
        "UPDATE account SET credit_fen = credit_fen + 1 WHERE id = 'platform/clearing'",
        "its transfers",
    ),
    "a transfer that was removed": ("DELETE FROM transfer WHERE key = 'b'", "its transfers"),
    "a transfer whose amount was changed": ("UPDATE transfer SET amount_fen = 1 WHERE key = 'a'", "its transfers"),
}


@pytest.mark.parametrize("what", PLANTED)
def test_the_proof_names_whatever_somebody_changed_by_hand(database: None, what: str) -> None:
    post("a", 500)
    post("b", 20)
    sql, says = PLANTED[what]
    in_transaction(lambda tx: tx.execute(text(sql)))
    assert any(says in sentence for sentence in wrong())


def test_the_proof_over_payouts_names_a_payment_without_its_posting(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    office.decide(case, "wang-fang", "APPROVE")
    office.bank(f"{case.id}-P1")

    def sentences(tx: Tx) -> list[str]:
        return list(proof.check(tx))

    assert in_transaction(sentences) == []
    in_transaction(lambda tx: tx.execute(text("UPDATE payout SET state = 'REQUESTED'")))
    assert any("不应有分录 settled" in sentence for sentence in in_transaction(sentences))
