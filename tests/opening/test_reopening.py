"""Opening a shop again: six months to the second, the account that had it, nothing owed, everything reviewed anew (REO)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import select

from models.books import AccountKind
from models.opening import ShopContract
from models.shops import ShopState
from office.base.db import Tx, in_transaction, reading
from office.cases.markdown import markdown
from policies.closure import reopen_from
from policies.policy import policy_at
from tasks.opening import steps
from tasks.shops import contracts
from tasks.shops.facts import FactsTooOld
from tests.deaths import Died, mortal
from tests.opening.bench import GOOD, IDENTITY, Applicant, opened
from tests.play import Office, paper


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


def test_a_contract_of_another_version_is_signed_anew_and_nothing_is_settled_before(office: Office) -> None:
    """REO-3, OPN-12: what was signed under an earlier version stays on the record."""
    applicant = closed(office)

    def as_if_signed_under_an_earlier_one(tx: Tx) -> None:
        for row in tx.exec(select(ShopContract)):
            row.version, row.offered_at = "2020-01-01", row.offered_at - timedelta(days=1)
            tx.add(row)

    in_transaction(as_if_signed_under_an_earlier_one)
    later(office)
    case = applicant.reopen()
    applicant.materials()
    applicant.approve()
    applicant.finishing()
    applicant.approve()
    assert office.case(case.id).outcome == "OPENED" and office.told(case).count("contract_offered") == 1
    with reading() as tx:
        assert contracts.blocks_settlement(tx, "shop-1")
    applicant.sign()
    with reading() as tx:
        assert not contracts.blocks_settlement(tx, "shop-1") and len(tx.exec(select(ShopContract)).all()) == 2


def test_only_the_account_that_had_the_shop_opens_it_again(office: Office) -> None:
    """REO-2."""
    applicant = closed(office)
    later(office)
    office.send(
        "reopening.requested",
        {
            "shop_id": "shop-1",
            "account_id": "acct-other",
            "entity_type": "PERSON",
            "categories": ["厨具"],
            "account": GOOD,
        },
    )
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
    with pytest.raises(FactsTooOld):  # nor at the very moment of the act
        steps.admit_money(case.id)
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


def reviewed_again(office: Office) -> Applicant:
    """A shop on its way to open again, before the last review."""
    applicant = closed(office)
    later(office)
    office.snapshot("shop-1")
    applicant.reopen()
    applicant.materials()
    applicant.approve()
    applicant.finishing()
    return applicant


ARISE = {
    "arrears on the platform": ("REO-4", lambda office: office.snapshot("shop-1", arrears_fen=100)),
    "an unpaid settlement": ("REO-4", lambda office: office.snapshot("shop-1", unsettled_payouts=1)),
    "a proposed ban": ("CLS-10", lambda office: office.propose_forced_closure("shop-1")),
}


@pytest.mark.parametrize("what", list(ARISE))
def test_what_came_up_since_it_was_taken_up_keeps_a_shop_closed(office: Office, what: str) -> None:
    """REO-4, CLS-10, ambiguities 23 and 24: also between the reviewer's yes and the act."""
    clause, arises = ARISE[what]
    applicant = reviewed_again(office)
    with mortal(lambda when, key: when == "before" and "openings.accept" in key), pytest.raises(Died):
        applicant.approve()
    arises(office)
    office.clock.advance(timedelta(seconds=61))
    office.settle()
    assert office.shop().state is ShopState.CLOSED
    question = office.question(applicant.case)
    refused = office.answer(question, "tang-yu", "APPROVE", "资料齐全")
    assert not refused.accepted and clause in refused.sentence
    office.decide(applicant.case, "tang-yu", "REJECT", "请先处理")
    assert office.case(applicant.case.id).outcome == "REJECTED"


def test_the_deposit_of_a_shop_that_has_opened_again_is_refunded_by_nobody(office: Office) -> None:
    """REF-1: applied for while the shop was closed, looked at when it is open."""
    applicant = reviewed_again(office)
    held = office.balance(AccountKind.DEPOSIT)
    card = {"method": "BANK_CARD", "name": "林晓", "account_no": "6222021234567890123", "bank_name": "工商银行"}
    refund = office.request_refund(fen=held, payee=card, documents=[IDENTITY, paper("银行卡.png", "ACCOUNT_PROOF")])
    assert office.case(refund.id).outcome is None
    applicant.approve()
    assert office.shop().state is ShopState.OPEN
    for who, verdict in (("wang-fang", "APPROVE"), ("chen-jie", "CONFIRM")):
        question = office.question(refund)
        if question.gate == ("refund-second" if verdict == "CONFIRM" else "refund-review"):
            refused = office.answer(question, who, verdict, "照付")
            assert not refused.accepted and "REF-1" in refused.sentence
    assert office.balance(AccountKind.DEPOSIT) == held and office.events("deposit.payout.requested") == []


def test_a_shop_opens_again_on_facts_that_are_new_enough(office: Office) -> None:
    """REO-4, ambiguity 27: those it was taken up on have aged by the last review."""
    applicant = reviewed_again(office)
    office.platform_answers = False
    office.pass_time(hours=30)
    applicant.approve()
    assert office.shop().state is ShopState.CLOSED
    assert office.events("facts.requested")[-1]["case_id"] == applicant.case.id
    office.snapshot("shop-1", arrears_fen=100)
    assert office.shop().state is ShopState.CLOSED and "REO-4" in markdown(office.question(applicant.case).dossier)
    office.snapshot("shop-1")
    applicant.approve()
    assert office.shop().state is ShopState.OPEN
