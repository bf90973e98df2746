"""A channel that masks who paid: the money counts, and nothing is ever paid to half an account."""

from __future__ import annotations

import pytest

from models.books import AccountKind
from office.base.db import reading
from tasks.shops import deposits
from tests.play import Office


@pytest.mark.parametrize("account", ["138****1234", "尾号1234", "", "6222 0212 3456 7890 123", "FTN1144363210001"])
def test_a_payment_counts_whatever_its_channel_shows_of_the_payer(office: Office, account: str) -> None:
    office.open_shop(deposit_fen=0)
    office.pay_deposit("shop-1", 400_000, "ALIPAY", payer_account=account, payer_name="林*")
    assert office.refusals() == [] and office.balance(AccountKind.DEPOSIT) == 400_000
    assert office.books() == [] == office.chains()


def test_half_an_account_or_half_a_name_is_nobody_a_refund_could_go_to(office: Office) -> None:
    office.open_shop(deposit_fen=0)
    office.pay_deposit("shop-1", 300_000, "ALIPAY", payer_account="138****1234", payer_name="林*")
    office.pay_deposit("shop-1", 100_000, "ALIPAY", payer_account="138 0000 1234", payer_name="林晓")
    with reading() as tx:
        came_in, _ = deposits.paid_in(tx, "shop-1")
    assert [(one.account_no, one.name, one.fen) for one in came_in] == [
        ("", "", 300_000),
        ("13800001234", "林晓", 100_000),
    ]
