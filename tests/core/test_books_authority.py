"""Whoever has the database and nothing else makes no money: what leaves an account came into it by postings of ours."""

from __future__ import annotations

import pytest

from models.books import AccountKind
from office.base.db import in_transaction, reading
from office.money import ledger
from office.money.ledger import BooksForged, shop_account
from tests.core.sql import write
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


def test_an_account_that_was_never_opened_has_nothing_to_prove(office: Office) -> None:
    in_transaction(lambda tx: ledger.prove(tx, "shop/nobody/deposit"))
