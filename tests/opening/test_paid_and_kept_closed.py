"""Between the last review and the payment weeks may pass: what came up meanwhile keeps a shop that pays from opening (REO-4, REO-5)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from models.books import AccountKind
from models.cases import CaseKind
from models.shops import ShopState
from tasks.opening import admission
from tests.opening.bench import LICENCE, Applicant, opened, to_pay, wish
from tests.opening.test_reopening import closed, later
from tests.play import Office

ASKED = 10_000
"""What a shop has to pay to open again, in fen."""


def deduct(office: Office, fen: int, number: str) -> None:
    office.deduct(fen, number)


def to_pay_again(office: Office) -> Applicant:
    """A shop that opens again, has passed every review, and has to pay what was taken from its deposit meanwhile."""
    applicant = closed(office)
    later(office)
    office.snapshot("shop-1")
    deduct(office, ASKED, "ded-1")
    applicant.reopen()
    applicant.materials()
    applicant.approve()
    applicant.finishing()
    applicant.approve()
    assert office.shop().state is ShopState.AWAITING_DEPOSIT
    return applicant


def minutes_later(office: Office) -> None:
    office.pass_time(minutes=6)
    admission.look_again()
    office.settle()


def drop(office: Office) -> None:
    (case,) = [one for one in office.cases() if one.kind is CaseKind.FORCED_CLOSURE]
    office.decide(case, "li-na", "DROP", "证据不足")


ARISE: dict[str, tuple[str, Callable[[Office], object], Callable[[Office], object]]] = {
    "arrears on the platform": (
        "REO-4",
        lambda office: office.snapshot("shop-1", arrears_fen=1),
        lambda office: office.snapshot("shop-1"),
    ),
    "arrears of ours": (
        "REO-4",
        lambda office: deduct(office, 50_000, "ded-2"),
        lambda office: office.pay_deposit("shop-1", 10_000, purpose="ARREARS"),
    ),
    "a proposed ban": ("CLS-10", lambda office: office.propose_forced_closure("shop-1"), drop),
}


@pytest.mark.parametrize("what", list(ARISE))
def test_what_came_up_since_the_last_review_keeps_a_shop_that_pays_closed_until_it_is_gone(
    office: Office, what: str
) -> None:
    """REO-4, CLS-10, ambiguities 23 and 24: merchant and people read why; it opens by itself."""
    clause, arises, goes = ARISE[what]
    applicant = to_pay_again(office)
    arises(office)
    office.pay_deposit("shop-1", 50_000 - office.balance(AccountKind.DEPOSIT))
    assert office.shop().state is ShopState.AWAITING_DEPOSIT and office.messages("deposit_paid")[-1]["opens"] is False
    assert office.message("opening_held")["grounds"][0]["clause"] == clause
    assert sorted(office.staff_told("opening_paid_not_open")) == ["opening-reviewer", "supervisor"]
    minutes_later(office)
    assert office.shop().state is ShopState.AWAITING_DEPOSIT and len(office.messages("opening_held")) == 1
    goes(office)
    minutes_later(office)
    assert office.shop().state is ShopState.OPEN and applicant.now.outcome == "OPENED"
    assert office.books() == [] == office.chains()


def test_a_shop_that_pays_late_opens_on_facts_that_are_new_enough(office: Office) -> None:
    """REO-4, ambiguity 27: also when its window is over and its application has ended; the platform is asked once."""
    applicant = to_pay_again(office)
    office.platform_answers = False
    office.pass_time(days=15, minutes=1)
    (demand,) = [one for one in office.cases() if one.kind is CaseKind.DEPOSIT_DEMAND and one.concluded_at is None]
    office.decide(demand, "wang-fang", "SUSPEND")
    assert applicant.now.outcome == "LAPSED"
    office.pay_deposit("shop-1", ASKED)
    minutes_later(office)
    assert office.shop().state is ShopState.AWAITING_DEPOSIT
    assert [one["case_id"] for one in office.events("facts.requested")].count(applicant.case.id) == 1
    office.snapshot("shop-1")
    minutes_later(office)
    assert office.shop().state is ShopState.OPEN and len(office.events("shop.capability.granted")) == 10


def test_who_was_banned_since_the_last_review_opens_no_other_shop_by_paying(office: Office) -> None:
    """REO-5: the same person under another account; the money is theirs, the shop stays closed."""
    opened(office)
    other = Applicant(office, shop_id="shop-2", owner="acct-other")
    other.materials("清风文具")
    other.approve()
    other.finishing()
    other.approve()
    case = office.propose_forced_closure()
    office.decide(case, "li-na", "CONFIRM")
    office.decide(case, "he-qiang", "CONFIRM")
    office.pay_deposit("shop-2", 50_000)
    assert office.shop("shop-2").state is ShopState.AWAITING_DEPOSIT
    assert office.message("opening_held")["grounds"][0]["clause"] == "REO-5"
    assert office.balance(AccountKind.DEPOSIT, "shop-2") == 50_000
    office.clock.advance(timedelta(days=1))
    minutes_later(office)
    assert office.shop("shop-2").state is ShopState.AWAITING_DEPOSIT


def business_to_pay(office: Office, until: str) -> Applicant:
    """An individual business whose licence is good until that day, that has passed every review."""
    applicant = Applicant(office, "INDIVIDUAL_BUSINESS")
    for bring in applicant.material():
        bring()
    applicant.entity_info(licence_until=until)
    applicant.approve()
    applicant.finishing()
    applicant.approve()
    return applicant


def paid_in_full(office: Office) -> None:
    office.pay_deposit("shop-1", 200_000)
    office.pay_deposit("shop-1", 60_000, purpose="CERTIFICATION_FEE")


@pytest.mark.parametrize(("seconds", "opens"), [(-1, True), (0, False)])
def test_a_licence_that_has_run_out_since_the_last_review_opens_no_shop(
    office: Office, seconds: int, opens: bool
) -> None:
    """OPN-7: it is good to 23:59:59 of its last day in Shanghai, that of a year too."""
    business_to_pay(office, "2026-11-30")
    office.clock.at = datetime(2026, 11, 30, 16, tzinfo=UTC) + timedelta(seconds=seconds)
    paid_in_full(office)
    assert (office.shop().state is ShopState.OPEN) is opens


def test_a_renewed_licence_is_reviewed_before_the_shop_opens(office: Office) -> None:
    """OPN-7: what was paid stays the shop's; of the business itself nothing else can be changed any more."""
    applicant = business_to_pay(office, "2026-11-30")
    office.pass_time(days=12)
    paid_in_full(office)
    assert office.message("opening_held")["grounds"][0]["clause"] == "OPN-7"
    assert applicant.missing() == ["ENTITY", "BUSINESS_LICENCE"]
    applicant.entity_info(licence_until="2036-11-30", uscc="92330226MA2AB1C2X1")
    applicant.papers(LICENCE)
    assert applicant.missing() == ["ENTITY"] and "换发" in office.refusals()[-1][1]
    office.send("opening.withdrawn", applicant.own())
    assert "退还" in office.refusals()[-1][1]
    applicant.entity_info(licence_until="2036-11-30")
    minutes_later(office)
    assert office.shop().state is ShopState.AWAITING_DEPOSIT and office.question(applicant.case).gate == "opening-shop"
    applicant.approve()
    assert office.shop().state is ShopState.OPEN and applicant.now.outcome == "OPENED"
    assert office.books() == [] == office.chains()


def opens_once_renewed(office: Office, applicant: Applicant, until: str) -> None:
    """The new licence is brought and reviewed, and nothing more is to be paid."""
    applicant.entity_info(licence_until=until)
    applicant.papers(LICENCE)
    applicant.approve()
    applicant.approve()
    assert office.shop().state is ShopState.OPEN and applicant.now.outcome == "OPENED"
    assert office.books() == [] == office.chains()


def test_who_renews_no_licence_may_apply_once_more_and_has_paid_already(office: Office) -> None:
    """OPN-2, OPN-7."""
    applicant = business_to_pay(office, "2026-11-30")
    office.pass_time(days=12)
    paid_in_full(office)
    office.pass_time(days=31)
    assert applicant.now.outcome == "LAPSED" and office.shop().state is ShopState.AWAITING_DEPOSIT
    applicant.apply()
    opens_once_renewed(office, applicant, "2036-11-30")


def business_reopened(office: Office) -> Applicant:
    """A closed business that opens again, has passed every review and has paid; its licence has run out before."""
    applicant = business_to_pay(office, "2036-11-30")
    paid_in_full(office)
    assert applicant.now.outcome == "OPENED"
    office.snapshot("shop-1")
    office.decide(office.request_closure(), "li-na", "APPROVE")
    office.snapshot("shop-1")
    later(office)
    deduct(office, ASKED, "ded-1")
    applicant.reopen()
    for bring in applicant.material():
        bring()
    applicant.entity_info(licence_until=(office.clock.at + timedelta(days=2)).date().isoformat())
    applicant.approve()
    applicant.finishing()
    applicant.approve()
    office.pass_time(days=5)
    office.snapshot("shop-1")
    office.pay_deposit("shop-1", ASKED)
    assert office.shop().state is ShopState.AWAITING_DEPOSIT
    return applicant


def test_who_opens_again_and_renews_no_licence_may_ask_once_more_and_has_paid_already(office: Office) -> None:
    """REO-3, OPN-7: closing the shop that has paid is not the only way on."""
    applicant = business_reopened(office)
    assert applicant.missing() == ["ENTITY", "BUSINESS_LICENCE"]
    office.pass_time(days=31)
    assert applicant.now.outcome == "LAPSED" and office.shop().state is ShopState.AWAITING_DEPOSIT
    applicant.reopen()
    assert applicant.now.outcome is None, applicant.now.outcome_text
    opens_once_renewed(office, applicant, "2046-11-30")


def test_a_licence_renewed_while_it_opens_again_opens_it(office: Office) -> None:
    """REO-3, OPN-7."""
    applicant = business_reopened(office)
    applicant.entity_info(licence_until="2046-11-30")
    applicant.papers(LICENCE)
    applicant.approve()
    assert office.shop().state is ShopState.OPEN and applicant.now.outcome == "OPENED"


def test_a_shop_that_waits_for_its_money_with_a_good_licence_is_not_asked_to_open_again_anew(office: Office) -> None:
    """REO-1: what it has to do is to pay."""
    applicant = to_pay_again(office)
    office.pass_time(days=15, minutes=1)
    (demand,) = [one for one in office.cases() if one.kind is CaseKind.DEPOSIT_DEMAND and one.concluded_at is None]
    office.decide(demand, "wang-fang", "SUSPEND")
    assert applicant.now.outcome == "LAPSED"
    applicant.reopen()
    assert applicant.now.outcome_clause == "REO-1"


def test_a_shop_that_was_open_and_is_suspended_is_not_applied_for_anew(office: Office) -> None:
    """OPN-2: also where an application before the one that opened it had ended."""
    applicant = Applicant(office)
    office.pass_time(days=31)
    assert applicant.now.outcome == "LAPSED"
    opened(office)
    deduct(office, 50_000, "ded-1")
    office.pass_time(days=15, minutes=1)
    (demand,) = [one for one in office.cases() if one.kind is CaseKind.DEPOSIT_DEMAND and one.concluded_at is None]
    office.decide(demand, "wang-fang", "SUSPEND")
    assert office.shop().state is ShopState.AWAITING_DEPOSIT
    office.send("opening.requested", wish("PERSON"))
    assert office.refusals()[-1][0] == "OPN-2"


def test_a_first_shop_is_not_opened_by_paying_while_a_ban_is_proposed(office: Office) -> None:
    """CLS-10, ambiguity 24."""
    to_pay(office)
    office.propose_forced_closure()
    office.pay_deposit("shop-1", 50_000)
    assert office.shop().state is ShopState.AWAITING_DEPOSIT
    drop(office)
    minutes_later(office)
    assert office.shop().state is ShopState.OPEN
