"""Refusals of messages on which a merchant's window or money hangs: a person hears of each matter once, not only its sender."""

from __future__ import annotations

from datetime import timedelta

import pytest

from models.books import AccountKind
from models.messages import Channel
from tests.appeals.bench import Bench
from tests.appeals.test_one_matter import deduct
from tests.opening.bench import Applicant
from tests.play import Office
from tests.settlement import kit
from tests.settlement.test_sides import platform_settles


def heard(office: Office) -> list[tuple[str, str]]:
    """Who was told, and of what."""
    rows = office.messages("inbox_odd", Channel.STAFF)
    return list(zip(office.staff_told("inbox_odd"), [row["why"] for row in rows], strict=True))


@pytest.mark.parametrize("what", ["ruling", "deduction", "judgment"])
def test_of_what_is_dated_in_the_future_the_supervisor_hears_once_however_often_it_is_sent(
    office: Office, what: str
) -> None:
    """ARB-2, ARB-10, DED-8: the merchant's seven days would have begun; nobody else would find out that they have not."""
    bench = Bench(office)
    for _ in range(2):
        at = bench.now + timedelta(days=300)
        match what:
            case "ruling":
                bench.rule(effective_at=at)
            case "deduction":
                deduct(bench, effective_at=at.isoformat())
            case _:
                with pytest.raises(Exception, match="No row"):
                    office.propose_correction(judged_on=at.isoformat())
    ((role, why),) = heard(office)
    assert role == "supervisor" and "在未来" in why and "申诉期限" in why
    assert len(office.refusals()) == 2


def test_a_ruling_about_an_arbitration_of_another_shop_is_heard(office: Office) -> None:
    """ARB-1, ARB-2: neither shop has a window by it until somebody knows whose it is."""
    bench = Bench(office)
    bench.rule()
    office.open_shop("shop-2")
    bench.rule("rul-2", shop_id="shop-2", arbitration_id="arb-rul-1")
    bench.rule("rul-1", shop_id="shop-2", arbitration_id="arb-2", aftersale_id="as-2")
    assert [role for role, _ in heard(office)] == ["supervisor"] * 2 and len(office.refusals()) == 2
    assert office.balance(AccountKind.DEPOSIT, "shop-2") == 400_000


def test_of_money_that_a_merchant_has_paid_and_nobody_has_booked_finance_hears(office: Office) -> None:
    """OPN-13, DED-9, DEP-7, CLS-10: it lies with the platform, and in no books."""
    Applicant(office, shop_id="shop-2")
    office.pay_deposit("shop-2", 50_000)
    office.open_shop()
    office.pay_deposit("shop-1", 700, purpose="ARREARS")
    office.pay_deposit("shop-1", 60_000, purpose="CERTIFICATION_FEE")
    office.pay_deposit("shop-1", 60_000, payment_id="again-1")
    case = office.propose_forced_closure()
    office.decide(case, "li-na", "CONFIRM")
    office.decide(case, "he-qiang", "CONFIRM")
    office.pay_deposit("shop-1", 900)
    office.pay_deposit("shop-1", 60_000, purpose="CERTIFICATION_FEE")
    assert [role for role, _ in heard(office)] == ["finance"] * 5
    for (_, why), amount in zip(heard(office), ("500.00", "7.00", "600.00", "9.00", "600.00"), strict=True):
        assert f"商家已付 ¥{amount}" in why
    office.pay_deposit("shop-1", 60_000, payment_id="again-1")  # booked already: nothing is missing anywhere
    assert len(heard(office)) == 5 and office.books() == []


def test_of_sales_that_the_platform_settled_in_our_time_finance_hears(office: Office) -> None:
    """STL-1: nobody pays the merchant for them until they are reported as orders."""
    kit.ours(office)
    platform_settles(office, 900, kit.BEGAN)
    ((role, why),) = heard(office)
    assert role == "finance" and "¥9.00" in why
