"""Whoever has the database and nothing else makes no money: what leaves an account came into it by postings of ours."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from models.books import AccountKind
from models.money import Money
from office.base import db
from office.base.db import in_transaction, reading
from office.money import ledger
from office.money.ledger import BooksForged, Posting, platform_account, shop_account
from office.money.tallying import tally_anew
from tests.core.sql import read, said, write
from tests.play import Office

pytestmark = pytest.mark.both

DEPOSIT = shop_account("shop-1", AccountKind.DEPOSIT)
COPY = """
    INSERT INTO transfer (key, debit_account, credit_account, amount_fen, reason, clause, case_id, seal, posted_at)
    SELECT 'payment/pay-x', debit_account, credit_account, 590000, reason, clause, case_id, {seal}, posted_at FROM transfer
    WHERE reason = 'deposit.paid'
"""


def give(fen: int) -> None:
    write("UPDATE account SET debit_fen = debit_fen + :fen WHERE id = 'platform/cash'", fen=fen)
    write(f"UPDATE account SET credit_fen = credit_fen + :fen WHERE id = '{DEPOSIT}'", fen=fen)


@pytest.mark.parametrize("seal", ["seal", "NULL", "'" + "0" * 64 + "'"])
def test_a_deposit_that_nobody_paid_is_not_paid_out_and_the_books_say_which_posting_is_not_ours(
    office: Office, seal: str
) -> None:
    office.closed_shop()
    write(COPY.format(seal=seal))
    give(590_000)
    case = office.request_refund(fen=990_000)
    with pytest.raises(BooksForged, match="pay-x"):
        office.decide(case, "wang-fang", "APPROVE")
    assert office.events("deposit.payout.requested") == []
    with reading() as tx:
        assert [line for line in ledger.check(tx) if "not posted by us" in line and "pay-x" in line]


def test_totals_that_no_posting_explains_pay_nothing_out(office: Office) -> None:
    office.closed_shop()
    give(590_000)
    case = office.request_refund(fen=990_000)
    with pytest.raises(BooksForged, match="totals"):
        office.decide(case, "wang-fang", "APPROVE")
    assert office.events("deposit.payout.requested") == []


def test_a_posting_of_ours_that_says_another_amount_counts_for_nothing(office: Office) -> None:
    office.closed_shop()
    write("UPDATE transfer SET amount_fen = amount_fen + 590000 WHERE reason = 'deposit.paid'")
    give(590_000)
    with pytest.raises(BooksForged), reading() as tx:
        ledger.prove(tx, DEPOSIT)


CASH, CLEARING = platform_account(AccountKind.CASH), platform_account(AccountKind.CLEARING)


def post(key: str, fen: int, debit: str = CASH, credit: str = CLEARING) -> None:
    in_transaction(
        lambda tx: ledger.post(tx, key, debit=debit, credit=credit, amount=Money(fen=fen), reason="t", clause="DEP-9")
    )


def proved(*accounts: str) -> None:
    with reading() as tx:
        ledger.prove(tx, *accounts)


def wrong() -> list[str]:
    with reading() as tx:
        return list(ledger.check(tx))


def rows(table: str) -> list[dict[str, Any]]:
    with db.engine().connect() as connection:
        return [dict(row) for row in connection.execute(text(f"SELECT * FROM {table}")).mappings()]


def put_back(account: dict[str, Any]) -> None:
    """The account's row as it was at an earlier time, its tally with it."""
    write(
        "UPDATE account SET debit_fen = :debit_fen, credit_fen = :credit_fen, tally = :tally WHERE id = :id", **account
    )


def test_a_posting_that_was_deleted_with_totals_put_right_is_noticed_before_money_leaves(database: None) -> None:
    post("a", 500)
    post("b", 20)
    post("c", 100, CLEARING, CASH)
    write("DELETE FROM transfer WHERE key = 'c'")
    write("UPDATE account SET debit_fen = 520, credit_fen = 0 WHERE id = :id", id=CASH)
    write("UPDATE account SET debit_fen = 0, credit_fen = 520 WHERE id = :id", id=CLEARING)
    with pytest.raises(BooksForged, match="we posted"):
        proved(CLEARING)
    assert [line for line in wrong() if line.startswith(CLEARING) and "we posted 3 transfers, 100/520" in line]


def test_an_account_put_back_to_an_earlier_state_of_its_own_pays_nothing_out(database: None) -> None:
    post("a", 500)
    before = {one["id"]: one for one in rows("account")}
    post("b", 500, CLEARING, CASH)
    put_back(before[CLEARING])
    with pytest.raises(BooksForged, match="an earlier one"):
        proved(CLEARING)


def test_an_account_put_back_whose_later_postings_were_deleted_too_is_told_by_the_other_side(database: None) -> None:
    post("a", 500)
    before = {one["id"]: one for one in rows("account")}
    post("b", 500, CLEARING, CASH)
    put_back(before[CLEARING])
    write("DELETE FROM transfer WHERE key = 'b'")
    assert [line for line in wrong() if line.startswith(CASH)]


@pytest.mark.parametrize("tally", [None, "", "2|0|900|2026-01-01T00:00:00+00:00|" + "0" * 64, "nonsense", "another's"])
def test_a_tally_that_we_did_not_write_pays_nothing_out_and_further_postings_do_not_make_it_ours(
    database: None, tally: str | None
) -> None:
    post("a", 500)
    (own,) = read("SELECT tally FROM account WHERE id = :id", id=CLEARING)
    (other,) = read("SELECT tally FROM account WHERE id = :id", id=CASH)
    write(
        "UPDATE account SET tally = :tally WHERE id = :id", id=CLEARING, tally=other if tally == "another's" else tally
    )
    post("b", 20)
    in_transaction(lambda tx: ledger.post_many(tx, [Posting("c", CASH, CLEARING, 30, "t", "DEP-9")]))
    with pytest.raises(BooksForged, match="not written by us"):
        proved(CLEARING)
    proved(CASH)
    assert wrong() == [f"{CLEARING}: its tally was not written by us"]
    write("UPDATE account SET tally = :tally WHERE id = :id", id=CLEARING, tally=own)
    with pytest.raises(BooksForged):
        proved(CLEARING)


def test_a_supervisor_has_a_lost_tally_made_anew_once_the_books_are_right(office: Office) -> None:
    office.closed_shop()
    write("UPDATE account SET tally = NULL, credit_fen = credit_fen + 1 WHERE id = :id", id=DEPOSIT)

    def anew(by: str) -> str:
        return in_transaction(lambda tx: tally_anew(tx, DEPOSIT, by, office.code(by))).sentence

    assert "只有主管" in anew("wang-fang")
    assert "余额与分录之和不符" in anew("he-qiang")
    write("UPDATE account SET credit_fen = credit_fen - 1 WHERE id = :id", id=DEPOSIT)
    (key,) = read("SELECT key FROM transfer WHERE credit_account = :id", id=DEPOSIT)
    (seal,) = read("SELECT seal FROM transfer WHERE key = :key", key=key)
    write("UPDATE transfer SET seal = 'x' WHERE key = :key", key=key)
    assert f"分录 {key} 不是系统所记" in anew("he-qiang")
    write("UPDATE transfer SET seal = :seal WHERE key = :key", key=key, seal=seal)
    assert "重新封存" in anew("he-qiang")
    assert "封印完好" in anew("he-qiang")
    proved(DEPOSIT)
    assert office.books() == [] == office.chains()


def test_what_sql_did_and_undid_is_undone_though_there_were_postings_meanwhile(database: None) -> None:
    post("a", 500)
    write("UPDATE account SET credit_fen = credit_fen + 7 WHERE id = :id", id=CLEARING)
    post("b", 20)
    with pytest.raises(BooksForged):
        proved(CLEARING)
    write("UPDATE account SET credit_fen = credit_fen - 7 WHERE id = :id", id=CLEARING)
    proved(CASH, CLEARING)
    assert wrong() == []


def test_many_postings_at_once_are_proved_like_one_after_another(database: None) -> None:
    many = [Posting(f"m{n}", CASH, CLEARING, n, "t", "DEP-9") for n in range(1, 40)]
    in_transaction(lambda tx: ledger.post_many(tx, many))
    post("a", 500)
    in_transaction(lambda tx: ledger.post_many(tx, [Posting("z", CLEARING, CASH, 5, "t", "DEP-9")]))
    proved(CASH, CLEARING)
    assert wrong() == []
    write("DELETE FROM transfer WHERE key = 'm7'")
    write("UPDATE account SET debit_fen = debit_fen - 7 WHERE id = :id", id=CASH)
    write("UPDATE account SET credit_fen = credit_fen - 7 WHERE id = :id", id=CLEARING)
    with pytest.raises(BooksForged):
        proved(CLEARING)


def test_proving_an_account_reads_its_row_and_not_what_went_through_it(database: None) -> None:
    many = [Posting(f"m{n}", CASH, CLEARING, n, "t", "DEP-9") for n in range(1, 400)]
    in_transaction(lambda tx: ledger.post_many(tx, many))
    with said() as heard:
        proved(CASH, CLEARING)
    asked = [statement for statement in heard if statement.startswith("SELECT")]
    assert len(asked) == 2
    assert [statement for statement in asked if "transfer.amount_fen" in statement] == []


def test_an_account_that_was_never_opened_has_nothing_to_prove(office: Office) -> None:
    in_transaction(lambda tx: ledger.prove(tx, "shop/nobody/deposit"))
