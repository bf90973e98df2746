"""Who settles a shop: one switch, both ways, and nothing is lost or paid twice; the gates ask whoever settles."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.books import AccountKind
from models.deposits import BookFacts
from models.shops import ShopFacts
from office.base.db import reading
from policies.obstacles import payouts_unsettled
from tasks.shops import shops
from tests.play import START, Office
from tests.settlement import kit
from tests.settlement.kit import NET, confirm, on_first_of_december, order, ours, run, settlement

DECEMBER = "2026-12-01T00:00:00+08:00"


def assign(office: Office, settler: str, since: str) -> None:
    office.send("settlement.assigned", {"shop_id": "shop-1", "settler": settler, "since": since})


def platform_settles(office: Office, fen: int, at: str) -> None:
    office.send(
        "receivable.settled",
        {
            "shop_id": "shop-1",
            "settlement_id": f"stl-{next(kit.NUMBERS)}",
            "amount_fen": fen,
            "settled_at": at,
        },
    )


def platform_pays(office: Office, fen: int) -> None:
    office.send(
        "receivable.paid_out",
        {
            "shop_id": "shop-1",
            "payment_id": f"out-{next(kit.NUMBERS)}",
            "amount_fen": fen,
            "paid_at": office.clock.at.isoformat(),
        },
    )


def gate(office: Office) -> list[str]:
    """What stands in the way of a closing because of settlement: the codes."""
    with reading() as tx:
        known, snapshot = shops.facts_of(tx, "shop-1")
        found = payouts_unsettled(known, snapshot.as_of if snapshot else None, shops.book_facts(tx, "shop-1"), tx.now)
    return [finding.code for finding in found]


# ── moving ───────────────────────────────────────────────────────────────────


def test_moved_to_us_each_side_settles_what_was_confirmed_in_its_time(office: Office) -> None:
    office.open_shop()
    kit.at(office, 2026, 11, 24)
    platform_settles(office, 70_000, "2026-11-20T10:00:00+08:00")
    kit.set_account(office)
    assign(office, "OFFICE", "2026-11-22T00:00:00+08:00")
    receipt = confirm(
        office, order(confirmed_at="2026-11-21T23:59:59+08:00"), order(confirmed_at="2026-11-22T00:00:00+08:00")
    )
    assert (receipt["accepted"], [line["position"] for line in receipt["rejected"]]) == (1, [1])
    on_first_of_december(office)
    run(office)
    assert [payment["amount_fen"] for payment in kit.payments(office)] == [NET]  # and not the platform's 700.00
    assert office.balance(AccountKind.RECEIVABLE) == 70_000
    platform_pays(office, 70_000)
    assert office.balance(AccountKind.RECEIVABLE) == 0
    kit.sound(office)


def test_the_platform_pays_its_own_rest_and_not_a_fen_of_ours(office: Office) -> None:
    office.open_shop()
    platform_settles(office, 5_000, START.isoformat())
    ours(office, "shop-2")  # another one changes nothing
    assign(office, "OFFICE", kit.BEGAN)
    confirm(office, order())
    on_first_of_december(office)
    run(office)  # no account: what is due stays among the receivables
    assert office.balance(AccountKind.RECEIVABLE) == 5_000 + NET
    platform_pays(office, 5_001)
    assert office.refusals()[-1][0] == "STL-1"
    platform_pays(office, 5_000)
    platform_pays(office, 1)
    assert office.balance(AccountKind.RECEIVABLE) == NET
    kit.sound(office)


def test_what_the_platform_settles_late_of_its_own_time_is_its_own_to_pay_and_later_sales_are_refused(
    office: Office,
) -> None:
    ours(office)
    platform_settles(office, 800, "2026-11-15T23:59:59+08:00")
    platform_settles(office, 900, kit.BEGAN)
    assert office.balance(AccountKind.RECEIVABLE) == 800
    assert office.refusals()[-1][0] == "STL-1"
    confirm(office, order())
    on_first_of_december(office)
    run(office)
    assert settlement().paid_fen == NET
    platform_pays(office, 800)
    assert office.balance(AccountKind.RECEIVABLE) == 0
    kit.sound(office)


def test_moved_to_the_platform_our_rest_goes_on_being_paid_by_us(office: Office) -> None:
    ours(office)
    held = order()
    confirm(office, order(), held)
    sale = kit.aftersale(held["order_id"])
    kit.after(office, sale)
    assign(office, "PLATFORM", DECEMBER)
    on_first_of_december(office)
    run(office)
    assert settlement().paid_fen == NET
    late = confirm(office, order(confirmed_at="2026-11-30T23:59:59+08:00"), order(confirmed_at=DECEMBER))
    assert (late["accepted"], [line["position"] for line in late["rejected"]]) == (1, [2])
    platform_settles(office, 50_000, "2026-12-02T10:00:00+08:00")
    kit.at(office, 2026, 12, 11)
    kit.after(office, sale | {"ended_at": "2026-12-10T12:00:00+08:00", "refund_fen": 1_000})
    kit.at(office, 2026, 12, 16, 4)
    run(office, "2026-12-1")
    assert settlement(half="2026-12-1").paid_fen == 2 * NET - 1_000
    platform_pays(office, 50_000)
    assert office.balance(AccountKind.RECEIVABLE) == 0
    kit.sound(office)


def test_moved_there_and_back_nothing_is_lost(office: Office) -> None:
    ours(office)
    confirm(office, order())
    assign(office, "PLATFORM", DECEMBER)
    assign(office, "OFFICE", "2026-12-16T00:00:00+08:00")
    kit.at(office, 2026, 12, 20)
    for moment in ("2026-12-10T10:00:00+08:00", "2026-12-17T10:00:00+08:00"):
        confirm(office, order(confirmed_at=moment))
    kit.at(office, 2027, 1, 1, 4)
    for half in (kit.NOVEMBER, "2026-12-1", "2026-12-2"):
        run(office, half)
    assert [payment["amount_fen"] for payment in kit.payments(office)] == [NET, NET]
    kit.sound(office)


@pytest.mark.parametrize(
    ("settler", "since"),
    [("OFFICE", "2026-11-20T00:00:00+08:00"), ("PLATFORM", kit.BEGAN), ("PLATFORM", "2026-11-19T00:00:00+08:00")],
)
def test_a_switch_that_changes_nothing_or_takes_orders_out_of_our_books_is_refused(
    office: Office, settler: str, since: str
) -> None:
    ours(office)
    confirm(office, order())
    assign(office, settler, since)
    assert office.refusals()[-1][0] == "STL-1"
    assert confirm(office, order())["accepted"] == 1


# ── gates ────────────────────────────────────────────────────────────────────


def test_where_the_platform_settles_its_facts_are_asked(office: Office) -> None:
    office.open_shop()
    office.snapshot(unsettled_payouts=1, unsettled_payout_fen=100)
    assert gate(office) == ["unsettled_payouts"]
    office.snapshot()
    assert gate(office) == []


def test_where_we_settle_our_books_are_asked_until_the_money_has_arrived(office: Office) -> None:
    ours(office)
    office.snapshot(unsettled_payouts=9, unsettled_payout_fen=900)  # what the platform says of it does not count
    assert gate(office) == []
    confirm(office, order())
    assert gate(office) == ["book_unsettled"]
    on_first_of_december(office)
    case = kit.draft(office)
    assert gate(office) == ["book_unsettled"]
    office.decide(case, "wang-fang", "RELEASE")
    assert gate(office) == ["book_unsettled"]  # with the bank
    (payment,) = kit.payments(office)
    kit.bank(office, payment, "returned")
    assert gate(office) == ["book_unsettled"]
    office.decide(kit.return_case(), "wang-fang", "AGAIN")
    kit.bank(office, kit.payments(office)[-1])
    assert gate(office) == []


def test_an_order_that_waits_for_its_after_sale_stands_in_the_way(office: Office) -> None:
    ours(office)
    one = order()
    confirm(office, one)
    kit.after(office, kit.aftersale(one["order_id"]))
    on_first_of_december(office)
    run(office)
    assert gate(office) == ["book_unsettled"]


def test_moved_to_us_facts_from_before_still_say_what_the_platform_had_left(office: Office) -> None:
    office.open_shop()
    office.snapshot(unsettled_payouts=1, unsettled_payout_fen=100)
    assign(office, "OFFICE", (office.clock.at + timedelta(days=1)).isoformat())
    office.clock.advance(timedelta(days=2))
    assert gate(office) == ["unsettled_payouts"]
    office.snapshot()
    assert gate(office) == []


def test_moved_to_us_the_platform_is_asked_until_it_has_paid_its_own_rest(office: Office) -> None:
    """CLS-7, REF-9: facts from after the switch count as long as our books have something that is its own to pay."""
    office.open_shop()
    platform_settles(office, 5_000, START.isoformat())
    assign(office, "OFFICE", office.clock.at.isoformat())
    office.clock.advance(timedelta(hours=1))
    office.snapshot(unsettled_payouts=1, unsettled_payout_fen=5_000)
    assert gate(office) == ["unsettled_payouts"]
    platform_pays(office, 5_000)
    assert gate(office) == []


def test_moved_to_the_platform_both_are_asked(office: Office) -> None:
    ours(office)
    confirm(office, order())
    assign(office, "PLATFORM", DECEMBER)
    on_first_of_december(office)
    office.snapshot(unsettled_payouts=1, unsettled_payout_fen=100)
    assert gate(office) == ["unsettled_payouts", "book_unsettled"]
    run(office)
    kit.bank(office, kit.payments(office)[0])
    assert gate(office) == ["unsettled_payouts"]


def test_a_closing_waits_for_the_half_and_goes_on_when_it_is_paid(office: Office) -> None:
    ours(office)
    confirm(office, order())
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE")
    office.decide(case, "he-qiang", "CONFIRM")
    office.snapshot()
    assert office.case(case.id).state == "CLEARING"
    on_first_of_december(office)
    run(office)
    office.snapshot()
    assert office.case(case.id).state == "CLEARING"
    kit.bank(office, kit.payments(office)[0])
    office.snapshot()
    assert office.case(case.id).outcome == "CLOSED"
    kit.sound(office)


FACTS = st.builds(ShopFacts, unsettled_payouts=st.integers(0, 2))
SINCE: st.SearchStrategy[Any] = st.sampled_from([None, START - timedelta(days=1), START, START + timedelta(days=1)])


@given(facts=FACTS, since=SINCE, unsettled=st.integers(0, 2))
def test_each_side_is_asked_about_its_own_only(facts: ShopFacts, since: Any, unsettled: int) -> None:
    books = BookFacts(settled_since=since, unsettled=unsettled, unsettled_fen=unsettled)
    codes = [finding.code for finding in payouts_unsettled(facts, START, books, START)]
    assert ("book_unsettled" in codes) == (unsettled > 0)
    asked = since is None or since > START
    assert ("unsettled_payouts" in codes) == (asked and facts.unsettled_payouts > 0)
