"""Closing a shop by force: two different people decide, the deposit is forfeited (CLS-10, DED-6, REO-5)."""

from __future__ import annotations

import pytest

from models.books import AccountKind
from models.shops import ShopState
from tests.play import Office
from tests.reading import read


def test_two_people_confirm_and_the_deposit_is_forfeited(office: Office) -> None:
    """CLS-10, DED-6"""
    office.open_shop()
    case = office.propose_forced_closure()
    office.decide(case, "li-na", "CONFIRM")
    assert office.shop().state is ShopState.OPEN
    office.decide(case, "he-qiang", "CONFIRM")
    shop = office.shop()
    assert office.case(case.id).outcome == "FORCED_CLOSED"
    assert (shop.state, shop.capabilities, shop.reopen_from) == (ShopState.FORCED_CLOSED, [], None)
    assert (office.balance(AccountKind.DEPOSIT), office.platform_balance(AccountKind.FORFEITURE)) == (0, 400_000)
    assert [event["forfeited_fen"] for event in office.events("shop.forced_closed")] == [400_000]
    assert office.message("forced_closure_decided")["forfeited_fen"] == 400_000
    assert office.books() == [] == office.chains()


def test_the_merchant_is_told_at_once_what_is_proposed_and_how_to_be_heard_before_it_is_decided(office: Office) -> None:
    """CLS-10, DED-8"""
    office.open_shop()
    case = office.propose_forced_closure()
    told = office.message("forced_closure_proposed")
    assert (told["violation"], told["basis"], told["proposed_at"]) == (
        "售卖假冒商品",
        "DED-7",
        case.received_at.isoformat().replace("+00:00", "Z"),
    )
    assert "客服" in told["how_to_object"] and "risk-17" not in str(told) and "抽检" not in str(told)
    office.sweep()
    assert office.told(case) == ["forced_closure_proposed"]


@pytest.mark.parametrize("seat", [1, 2])
def test_either_person_can_drop_it_and_the_shop_goes_on(office: Office, seat: int) -> None:
    office.open_shop()
    case = office.propose_forced_closure()
    if seat == 2:
        office.decide(case, "li-na", "CONFIRM")
    office.decide(case, "li-na" if seat == 1 else "he-qiang", "DROP", "证据不足")
    assert office.case(case.id).outcome == "DROPPED"
    assert office.told(case) == ["forced_closure_proposed", "forced_closure_dropped"]
    assert "证据不足" not in str(office.message("forced_closure_dropped"))
    assert office.shop().state is ShopState.OPEN
    assert office.balance(AccountKind.DEPOSIT) == 400_000


def test_who_confirmed_first_cannot_confirm_again_as_supervisor(office: Office) -> None:
    office.hire("both", "closure-reviewer", "supervisor")
    office.open_shop()
    case = office.propose_forced_closure()
    office.decide(case, "both", "CONFIRM")
    again = office.answer(office.question(case), "both", "CONFIRM", "再次确认")
    assert not again.accepted and "四眼" in again.sentence


@pytest.mark.parametrize("proposer", ["li-na", "he-qiang", "LI-NA", "He-Qiang", "staff:li-na", "Li.Na", "heqiang"])
def test_who_proposed_it_never_decides_it(office: Office, proposer: str) -> None:
    """CLS-10: however the platform writes who that was."""
    office.open_shop()
    case = office.propose_forced_closure(proposed_by=proposer)
    person = "he-qiang" if "qiang" in proposer.lower() else "li-na"
    if person == "he-qiang":
        office.decide(case, "li-na", "CONFIRM")
    own = office.answer(office.question(case), person, "CONFIRM", "我提议的")
    assert not own.accepted and "四眼" in own.sentence


@pytest.mark.both
@pytest.mark.parametrize("proposer", ["new-boss", "NEW-BOSS", "staff:new-boss"])
@pytest.mark.parametrize("second", [False, True])
def test_who_proposed_it_and_is_enrolled_only_afterwards_never_decides_it(
    office: Office, proposer: str, second: bool
) -> None:
    """CLS-10: the question was open before anybody here had that id."""
    office.open_shop()
    case = office.propose_forced_closure(proposed_by=proposer)
    if second:
        office.decide(case, "li-na", "CONFIRM")
    office.hire("new-boss", "supervisor", "closure-reviewer")
    own = office.answer(office.question(case), "new-boss", "CONFIRM", "我提议的")
    assert not own.accepted and "四眼" in own.sentence
    office.hire("newcomer", "supervisor", "closure-reviewer")
    assert office.answer(office.question(case), "newcomer", "CONFIRM", "同意").accepted
    assert office.chains() == []


def test_both_verdicts_need_a_written_reason(office: Office) -> None:
    office.open_shop()
    case = office.propose_forced_closure()
    for verdict in ("CONFIRM", "DROP"):
        assert not office.answer(office.question(case), "li-na", verdict).accepted


def test_a_closure_of_the_merchants_own_ends_with_it(office: Office) -> None:
    office.open_shop()
    own = office.request_closure()
    case = office.propose_forced_closure()
    office.decide(case, "li-na", "CONFIRM")
    office.decide(case, "he-qiang", "CONFIRM")
    assert (office.case(own.id).outcome, office.case(own.id).outcome_clause) == ("SUPERSEDED", "CLS-10")
    assert "closure_withdrawn" not in office.told()


def test_while_it_is_decided_the_merchant_cannot_slip_away_by_closing(office: Office) -> None:
    office.open_shop()
    office.propose_forced_closure()
    own = office.case(office.request_closure().id)
    assert (own.outcome, own.outcome_clause) == ("REFUSED", "CLS-10")
    assert "已提议强制关闭该店铺" in str(own.outcome_text) and "关店申请正在处理" not in str(own.outcome_text)
    assert office.shop().state is ShopState.OPEN


def test_a_second_proposal_and_one_for_a_closed_shop_are_refused(office: Office) -> None:
    office.open_shop()
    office.propose_forced_closure()
    body = {
        "shop_id": "shop-1",
        "proposal_id": "prop-2",
        "violation": "刷单",
        "clause": "DED-1",
        "description": "",
        "proposed_by": "risk-18",
    }
    office.send("forced_closure.proposed", body)
    office.closed_shop("shop-2", deposit_fen=0)  # nothing of it is left with us
    office.send("forced_closure.proposed", body | {"shop_id": "shop-2"})
    assert [clause for clause, _ in office.refusals()] == ["CLS-10", "CLS-10"]


def test_a_deduction_while_it_is_decided_is_shown_before_the_decision_counts(office: Office) -> None:
    office.open_shop()
    case = office.propose_forced_closure()
    office.deduct(100_000, "d1", reason="RULE_VIOLATION")
    assert "¥3,000.00" in read(office.question(case))
    office.decide(case, "li-na", "CONFIRM")
    office.decide(case, "he-qiang", "CONFIRM")
    assert office.platform_balance(AccountKind.FORFEITURE) == 300_000


def test_a_shop_without_a_deposit_forfeits_nothing_and_is_closed_all_the_same(office: Office) -> None:
    office.open_shop(deposit_fen=0)
    case = office.propose_forced_closure()
    office.decide(case, "li-na", "CONFIRM")
    office.decide(case, "he-qiang", "CONFIRM")
    assert office.shop().state is ShopState.FORCED_CLOSED
    assert office.books() == []


def test_it_takes_no_deposit_any_more(office: Office) -> None:
    office.open_shop()
    case = office.propose_forced_closure()
    office.decide(case, "li-na", "CONFIRM")
    office.decide(case, "he-qiang", "CONFIRM")
    office.pay_deposit("shop-1", 100)
    assert office.refusals()[-1][0] == "CLS-10"


def test_a_banned_shop_may_still_pay_what_it_owes(office: Office) -> None:
    office.open_shop()
    case = office.propose_forced_closure()
    office.decide(case, "li-na", "CONFIRM")
    office.decide(case, "he-qiang", "CONFIRM")
    office.deduct(50_000, "ded-late", reason="RULE_VIOLATION", clause="平台规则")
    owed = office.balance(AccountKind.ARREARS)
    assert owed > 0, office.refusals()
    office.pay_deposit("shop-1", owed, purpose="ARREARS")
    assert office.balance(AccountKind.ARREARS) == 0 and office.books() == []
