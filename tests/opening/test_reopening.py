"""Opening a shop again: six months to the second, the account that had it, nothing owed, everything reviewed anew (REO)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from models.shops import ShopState
from office.cases.markdown import markdown
from policies.closure import reopen_from
from policies.policy import policy_at
from tests.opening.bench import GOOD, Applicant, opened
from tests.play import Office


def closed(office: Office) -> Applicant:
    """A person's shop that was opened here and closed."""
    applicant = opened(office)
    office.snapshot("shop-1")
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE")
    office.snapshot("shop-1")
    assert office.case(case.id).outcome == "CLOSED"
    return applicant


def later(office: Office, seconds: int = 0) -> None:
    """Six months after the shop was closed, and so many seconds."""
    closed_at = office.shop().closed_at
    assert closed_at is not None
    office.clock.at = reopen_from(closed_at, policy_at(closed_at)) + timedelta(seconds=seconds)


@pytest.mark.parametrize("seconds, taken", [(-1, False), (0, True), (1, True)])
def test_a_shop_may_open_again_from_six_months_on_to_the_second(office: Office, seconds: int, taken: bool) -> None:
    """REO-1, ambiguity 7."""
    applicant = closed(office)
    later(office, seconds)
    case = applicant.reopen()
    assert (office.case(case.id).outcome is None) is taken
    if not taken:
        assert office.case(case.id).outcome_clause == "REO-1"


def test_a_shop_opens_again_with_its_number_its_deposit_and_new_papers(office: Office) -> None:
    """REO-3: what was reviewed once is reviewed again; the name and the training are there; no contract is signed twice."""
    applicant = closed(office)
    later(office)
    case = applicant.reopen()
    assert applicant.missing() == ["ENTITY", "IDENTITY_CARD", "PRODUCT_INFO"]
    applicant.materials()
    applicant.approve()
    applicant.finishing()
    applicant.approve()
    assert office.case(case.id).outcome == "OPENED", "the deposit of before is still there"
    shop = office.shop()
    assert shop.state is ShopState.OPEN and shop.closed_at is None and shop.reopen_from is None
    assert office.told(case).count("contract_offered") == 0
    assert office.books() == [] == office.chains()


def test_only_the_account_that_had_the_shop_opens_it_again(office: Office) -> None:
    """REO-2."""
    applicant = closed(office)
    later(office)
    office.send("reopening.requested", {
        "shop_id": "shop-1", "account_id": "acct-other", "entity_type": "PERSON", "categories": ["厨具"], "account": GOOD,
    })  # fmt: skip
    assert office.latest().outcome_clause == "REO-2"
    assert applicant.office.shop().state is ShopState.CLOSED


def test_arrears_or_an_unpaid_settlement_keep_a_shop_closed(office: Office) -> None:
    """REO-4: by facts that are new enough, which the platform is asked for."""
    applicant = closed(office)
    later(office)
    office.reported["shop-1"] = {"unsettled_payouts": 1, "unsettled_payout_fen": 500}
    case = applicant.reopen()
    assert office.case(case.id).outcome_clause == "REO-4"
    office.reported["shop-1"] = {"arrears_fen": 1}
    office.snapshot("shop-1", arrears_fen=1)
    case = applicant.reopen()
    assert office.case(case.id).outcome_clause == "REO-4"
    office.snapshot("shop-1")
    assert office.case(applicant.reopen().id).outcome is None


def test_a_shop_closed_by_force_stays_closed(office: Office) -> None:
    """REO-5: nor does its owner open another."""
    opened(office)
    case = office.propose_forced_closure()
    office.decide(case, "li-na", "CONFIRM")
    office.decide(case, "he-qiang", "CONFIRM")
    office.clock.advance(timedelta(days=400))
    applicant = Applicant(office, shop_id="shop-2", owner="acct-shop-1")
    assert applicant.now.outcome_clause == "REO-5"
    again = Applicant.__new__(Applicant)
    again.__dict__ |= applicant.__dict__ | {"shop_id": "shop-1"}
    assert office.case(again.reopen().id).outcome_clause == "REO-5"


def test_conditions_of_today_count(office: Office) -> None:
    """REO-3: who would not be taken up for a first shop today is not for a second time."""
    applicant = closed(office)
    later(office)
    case = applicant.reopen(categories=["珠宝文玩"])
    assert office.case(case.id).outcome_clause == "DEP-4"
    case = applicant.reopen(account=GOOD | {"real_name": False})
    assert office.case(case.id).outcome_clause == "OPN-18"


def test_a_reopening_is_taken_back_while_the_platform_is_asked_for_facts(office: Office) -> None:
    """REO-2, REO-4: nobody waits for facts that nobody needs."""
    applicant = closed(office)
    later(office)
    office.platform_answers = False
    case = applicant.reopen()
    assert office.case(case.id).state == "SUBMITTED"
    applicant.send("opening.withdrawn")
    assert office.case(case.id).outcome == "WITHDRAWN" and office.shop().state is ShopState.CLOSED


def test_a_reopening_that_lapses_leaves_the_shop_closed_and_is_taken_up_again(office: Office) -> None:
    """REO-3: what was brought for it is there the next time, what was reviewed for the first opening is not."""
    applicant = closed(office)
    later(office)
    applicant.reopen()
    applicant.entity_info()
    office.pass_time(days=31)
    assert applicant.now.outcome == "LAPSED" and office.shop().state is ShopState.CLOSED
    office.snapshot("shop-1")
    applicant.reopen()
    assert applicant.missing() == ["IDENTITY_CARD", "PRODUCT_INFO"]


def test_a_reviewer_of_a_reopening_reads_what_differs_from_the_first_application(office: Office) -> None:
    """REO-3."""
    applicant = closed(office)
    later(office)
    applicant.reopen(categories=["鞋靴"])
    applicant.materials("清风鞋铺")
    shown = markdown(office.question(applicant.case).dossier).replace("\\", "")
    assert "类目:厨具 → **鞋靴**" in shown and "店铺名称:晨光文具旗舰店 → **清风鞋铺**" in shown
