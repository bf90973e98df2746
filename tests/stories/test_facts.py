"""Facts have an age: what is decided about money, and closing, rests on facts of the last hours (CLS-7, REF-9, amb. 27, 39)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from models.books import AccountKind
from models.shops import ShopState
from tests.play import Office
from tests.reading import read

DAY = timedelta(hours=24)
SECOND = timedelta(seconds=1)


def as_of_facts(office: Office, shop_id: str = "shop-1") -> None:
    """The platform falls silent after it has reported facts as of now."""
    office.snapshot(shop_id)
    office.platform_answers = False


def on_its_way(office: Office) -> int:
    """What the bank was told to pay and has not answered about."""
    return office.platform_balance(AccountKind.CLEARING)


# ── the start of clearing ──


@pytest.mark.parametrize(("later", "begins"), [(-SECOND, True), (0 * SECOND, True), (SECOND, False)])
def test_clearing_begins_on_facts_of_exactly_a_day_and_not_a_second_older(
    office: Office, later: timedelta, begins: bool
) -> None:
    office.open_shop()
    case = office.request_closure()
    as_of_facts(office)
    moment = office.clock.at + DAY + later
    review = office.question(case)
    office.clock.at = moment - timedelta(seconds=30)  # half a minute passes until the code is there
    office.answer(review, "li-na", "APPROVE", "理由充分")
    assert office.shop().state is (ShopState.CLEARING if begins else ShopState.OPEN)
    assert len(office.events("facts.requested")) == (0 if begins else 1)


def test_a_closure_on_old_facts_asks_once_waits_by_itself_and_goes_on_without_another_approval(office: Office) -> None:
    office.open_shop()
    as_of_facts(office)
    before = office.clock.at
    office.pass_time(days=150)
    case = office.request_closure()
    assert "距今已超过 24 小时" in read(office.question(case))
    (asked,) = office.events("facts.requested")
    assert (asked["case_id"], asked["shop_id"], asked["clause"]) == (case.id, "shop-1", "CLS-7")
    assert asked["since"].startswith(before.isoformat()[:19])
    office.decide(case, "li-na", "APPROVE")
    office.settle()
    assert office.shop().state is ShopState.OPEN and "facts.requested" in office.trail(case.id)
    office.snapshot()
    assert len(office.events("facts.requested")) == 1 and len(office.reviews(case)) == 1
    assert office.case(case.id).outcome == "CLOSED"
    assert office.books() == [] == office.chains()


def test_worse_facts_that_come_while_it_waits_are_reviewed_before_clearing_begins(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    office.platform_answers = False
    office.pass_time(days=2)
    office.decide(case, "li-na", "APPROVE")
    office.snapshot(open_orders=3)
    assert office.shop().state is ShopState.OPEN
    assert "还有 3 笔订单未完成" in read(office.question(case))


def test_the_merchant_may_take_it_back_while_the_facts_are_awaited(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    office.platform_answers = False
    office.pass_time(days=2)
    office.decide(case, "li-na", "APPROVE")
    office.withdraw(case)
    assert office.case(case.id).outcome == "WITHDRAWN"
    office.pass_time(days=2)
    assert office.staff_told("facts_missing") == []


# ── closing ──


def test_a_shop_is_not_closed_on_facts_that_have_aged_while_it_was_cleared(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE")
    office.snapshot(open_aftersales=1)
    office.platform_answers = False
    office.pass_time(days=4)
    office.send(
        "shop.snapshot",
        {
            "shop_id": "shop-1",
            "as_of": (office.clock.at - DAY - SECOND).isoformat(),
            "facts": {},
        },
    )
    assert office.case(case.id).state == "CLEARING" and office.events("facts.requested")[-1]["case_id"] == case.id
    asked = len(office.events("facts.requested"))
    office.snapshot()
    assert office.case(case.id).outcome == "CLOSED" and len(office.events("facts.requested")) == asked


# ── the refund ──


def test_no_refund_leaves_on_facts_of_150_days_ago_and_it_goes_on_by_itself(office: Office) -> None:
    office.closed_shop()
    as_of_facts(office)
    office.pass_time(days=150)
    case = office.request_refund()
    assert "距今已超过 24 小时" in read(office.question(case))
    office.decide(case, "wang-fang", "APPROVE")
    assert on_its_way(office) == 0 and office.balance(AccountKind.DEPOSIT) == 400_000
    office.snapshot()
    assert on_its_way(office) == 400_000
    assert len(office.events("facts.requested")) == 1 and len(office.reviews(case)) == 1
    assert office.books() == [] == office.chains()


def test_a_refund_whose_money_is_out_asks_for_no_facts_any_more(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    office.decide(case, "wang-fang", "APPROVE")
    office.platform_answers = False
    office.pass_time(days=3)
    office.bank(f"{case.id}-P1")
    assert office.case(case.id).outcome == "REFUNDED"
    assert office.events("facts.requested") == []


def test_penalties_that_come_while_a_refund_waits_are_shown_before_it_is_paid(office: Office) -> None:
    office.closed_shop()
    office.platform_answers = False
    office.pass_time(days=3)
    case = office.request_refund()
    office.decide(case, "wang-fang", "APPROVE")
    office.snapshot(penalties=[{"id": "p1", "kind": "虚假发货", "settled": False}])
    assert on_its_way(office) == 0
    assert "处罚记录" in read(office.question(case))


# ── nobody answers ──


@pytest.mark.parametrize(("later", "told"), [(-SECOND, 0), (0 * SECOND, 1), (SECOND, 1)])
def test_a_platform_that_does_not_answer_for_four_hours_is_told_to_a_person(
    office: Office, later: timedelta, told: int
) -> None:
    office.closed_shop()
    office.platform_answers = False
    office.pass_time(days=3)
    case = office.request_refund()
    office.clock.at = office.deadline(case, "fresh-facts/1").due_at + later
    office.sweep()
    office.sweep()
    assert office.staff_told("facts_missing") == ["supervisor"] * told
    office.pass_time(hours=25)
    assert len(office.staff_told("facts_missing")) >= told + (1 if told else 0)
    assert len(office.events("facts.requested")) == 1  # the platform is asked once, answered or not
    office.snapshot()
    heard = len(office.staff_told("facts_missing"))
    office.pass_time(days=3)
    assert len(office.staff_told("facts_missing")) == heard


def test_a_platform_that_answers_with_old_facts_is_not_asked_again_and_again(office: Office) -> None:
    office.closed_shop()
    office.platform_answers = False
    office.pass_time(days=10)
    case = office.request_refund()
    for hours in (100, 50, 25):
        office.send(
            "shop.snapshot",
            {
                "shop_id": "shop-1",
                "as_of": (office.clock.at - timedelta(hours=hours)).isoformat(),
                "facts": {},
            },
        )
    office.decide(case, "wang-fang", "APPROVE")
    assert len(office.events("facts.requested")) == 1 and on_its_way(office) == 0
    office.pass_time(hours=5)
    assert office.staff_told("facts_missing")


def test_facts_that_age_again_are_asked_for_again(office: Office) -> None:
    office.closed_shop()
    office.platform_answers = False
    office.pass_time(days=3)
    case = office.request_refund()
    office.snapshot()
    office.pass_time(days=3)
    office.decide(case, "wang-fang", "APPROVE")
    assert len(office.events("facts.requested")) == 2 and on_its_way(office) == 0


def test_a_platform_that_answers_keeps_everything_moving_by_itself(office: Office) -> None:
    office.closed_shop()
    office.pass_time(days=3)
    case = office.request_refund()
    office.pass_time(days=2)
    office.decide(case, "wang-fang", "APPROVE")
    assert on_its_way(office) == 400_000 and office.staff_told("facts_missing") == []


# ── two of the same moment ──


def test_of_two_snapshots_of_one_second_the_one_received_later_counts(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    moment = office.clock.at.isoformat()
    for orders in (0, 7):
        office.send("shop.snapshot", {"shop_id": "shop-1", "as_of": moment, "facts": {"open_orders": orders}})
    assert office.refusals() == []
    assert "还有 7 笔订单未完成" in read(office.question(case))


def test_a_snapshot_of_a_second_before_is_still_refused(office: Office) -> None:
    office.open_shop()
    office.send(
        "shop.snapshot",
        {
            "shop_id": "shop-1",
            "as_of": (office.clock.at - SECOND).isoformat(),
            "facts": {"open_orders": 7},
        },
    )
    assert [clause for clause, _ in office.refusals()] == ["CLS-7"]
