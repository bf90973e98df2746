"""Deducted money after an annulled ruling: agreed by one person, confirmed by another, posted once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.arbitration import Handling
from models.books import AccountKind
from models.cases import Case
from models.money import Money
from policies.appeal import split_return
from tests.appeals.bench import Bench
from tests.appeals.test_one_matter import deduct
from tests.deaths import Died, mortal
from tests.play import Office
from tests.reading import read

AGREED = {"contact": "11 月 20 日电话联系林晓", "handling": "TO_DEPOSIT"}


def upheld(bench: Bench, **changes: Any) -> Case:
    bench.rule(**changes)
    case = bench.file()
    bench.office.decide(case, "zhou-yan", "UPHOLD")
    return case


def test_whoever_agreed_it_cannot_confirm_it(bench: Bench) -> None:
    """ARB-8"""
    bench.office.hire("qian-yi", "merchant-service", "finance")
    case = upheld(bench)
    bench.office.decide(case, "qian-yi", "AGREED", **AGREED)
    assert "四眼" in bench.office.answer(bench.office.question(case), "qian-yi", "CONFIRM").sentence
    bench.office.decide(case, "wang-fang", "CONFIRM")
    assert bench.outcome(case) == "UPHELD"


def test_an_agreement_needs_contact_and_handling_and_is_merchant_services(bench: Bench) -> None:
    """ARB-8"""
    case = upheld(bench)
    assert not bench.office.answer(bench.office.question(case), "wang-fang", "AGREED", "已联系", **AGREED).accepted
    for missing in ({}, {"contact": "电话"}, {"handling": "TO_DEPOSIT"}):
        assert not bench.office.answer(bench.office.question(case), "wu-tao", "AGREED", "已联系", **missing).accepted


def test_a_merchant_not_reached_is_called_again_and_finance_may_send_it_back(bench: Bench) -> None:
    case = upheld(bench)
    bench.office.decide(case, "wu-tao", "UNREACHED", "两次无人接听")
    bench.office.decide(case, "wu-tao", "AGREED", **AGREED)
    bench.office.decide(case, "wang-fang", "SEND_BACK", "请补充联系记录")
    bench.office.decide(case, "wu-tao", "AGREED", **AGREED)
    bench.office.decide(case, "wang-fang", "CONFIRM")
    assert bench.money() == {"deposit": 400_000, "arrears": 0, "receivable": 0, "compensation": 0}
    assert bench.office.told(case).count("compensation_returned") == 1


def test_what_was_only_written_down_as_arrears_is_forgiven_not_paid_out(office: Office) -> None:
    """ARB-8, DED-9"""
    bench = Bench(office, deposit_fen=15_000)
    case = upheld(bench)
    bench.office.decide(case, "wu-tao", "AGREED", **AGREED)
    bench.office.decide(case, "wang-fang", "CONFIRM")
    assert bench.money() == {"deposit": 15_000, "arrears": 0, "receivable": 0, "compensation": 0}
    assert office.books() == []


def test_a_merchant_who_wants_nothing_back_needs_no_finance(bench: Bench) -> None:
    case = upheld(bench)
    bench.office.decide(case, "wu-tao", "AGREED", contact="电话联系店主", handling="商家确认不需退款")
    assert bench.outcome(case) == "UPHELD"
    assert bench.money()["compensation"] == 20_000


def test_an_upheld_appeal_without_a_deduction_asks_nobody_about_money(bench: Bench) -> None:
    case = upheld(bench, deduction_fen=0)
    assert bench.outcome(case) == "UPHELD"
    assert bench.office.told(case) == ["appeal_received", "appeal_upheld"]


def test_a_court_judgment_voids_a_ruling_only_by_two_supervisors(bench: Bench) -> None:
    """ARB-10"""
    bench.rule()
    appeal = bench.file()
    bench.office.decide(appeal, "zhou-yan", "DISMISS")
    case = bench.office.propose_correction()
    bench.office.decide(case, "he-qiang", "CONFIRM", "判决书已核对")
    assert bench.counters() == (1, 2, 20_000)
    assert "四眼" in bench.office.answer(bench.office.question(case), "he-qiang", "CONFIRM", "同意").sentence
    bench.office.decide(case, "gao-yuan", "CONFIRM", "判决书已核对")
    assert bench.counters() == (0, 0, 0)
    assert bench.outcome(appeal) == "DISMISSED", "the appeal's own result stays"
    bench.office.decide(case, "wu-tao", "AGREED", **AGREED)
    bench.office.decide(case, "wang-fang", "CONFIRM")
    assert bench.outcome(case) == "CORRECTED"
    assert bench.money()["compensation"] == 0


def correct(bench: Bench) -> Case:
    """A court has decided, and two supervisors agree."""
    case = bench.office.propose_correction()
    bench.office.decide(case, "he-qiang", "CONFIRM", "判决书已核对")
    bench.office.decide(case, "gao-yuan", "CONFIRM", "判决书已核对")
    return case


def test_a_correction_ends_a_running_appeal_and_tells_the_merchant_on_the_appeals_own_case(bench: Bench) -> None:
    bench.rule()
    appeal = bench.file()
    case = correct(bench)
    assert bench.outcome(appeal) == "SUPERSEDED"
    assert bench.office.told(appeal) == ["appeal_received", "appeal_moot"]
    assert "(2026)浙0192民初1号" in bench.office.message("appeal_moot")["cause"]
    assert bench.ended_run(appeal)
    bench.office.decide(case, "wu-tao", "AGREED", **AGREED)
    bench.office.decide(case, "wang-fang", "CONFIRM")
    assert bench.outcome(case) == "CORRECTED"
    assert bench.money()["compensation"] == 0


def test_a_correction_calls_the_ruling_by_its_own_number_though_its_deduction_came_first(bench: Bench) -> None:
    """ARB-10, ambiguity 32"""
    deduct(bench, ruling_id=None, arbitration_id="arb-rul-1")
    bench.rule()
    assert bench.ruling("deduction/ded-1").called == "rul-1"
    case = bench.office.propose_correction()
    shown = read(bench.office.question(case))
    assert "编号：rul-1(仲裁判责)" in shown and "ded-1" not in shown
    bench.office.decide(case, "he-qiang", "CONFIRM", "判决书已核对")
    bench.office.decide(case, "gao-yuan", "CONFIRM", "判决书已核对")
    assert bench.office.message("ruling_corrected")["ruling_id"] == "rul-1"
    assert bench.office.events("ruling.voided")[-1]["ruling_id"] == "rul-1"
    bench.office.decide(case, "wu-tao", "AGREED", **AGREED)
    bench.office.decide(case, "wang-fang", "CONFIRM")
    assert bench.office.message("compensation_returned")["ruling_id"] == "rul-1"


def test_a_ruling_that_was_struck_needs_no_appeal(bench: Bench) -> None:
    bench.rule(deduction_fen=0)
    assert bench.outcome(correct(bench)) == "CORRECTED"
    refused = bench.file()
    assert (bench.outcome(refused), bench.office.case(refused.id).outcome_clause) == ("REFUSED", "ARB-7")
    assert "法院判决更正" in str(bench.office.case(refused.id).outcome_text)


def test_two_supervisors_are_needed_and_one_of_them_can_stop_it(bench: Bench) -> None:
    """ARB-10"""
    bench.rule()
    case = bench.office.propose_correction()
    bench.office.decide(case, "he-qiang", "CONFIRM", "同意")
    assert not bench.office.answer(bench.office.question(case), "he-qiang", "CONFIRM", "同意").accepted
    bench.office.decide(case, "gao-yuan", "REJECT", "判决尚未生效")
    assert bench.outcome(case) == "REJECTED"
    assert bench.counters() == (1, 2, 20_000)


def test_who_has_won_has_nothing_to_turn_elsewhere_for(bench: Bench) -> None:
    """ARB-10"""
    case = upheld(bench, deduction_fen=0)
    bench.office.send(
        "escalation.noted", {"shop_id": "shop-1", "case_id": case.id, "channel": "LAWSUIT", "note": "已立案"}
    )
    assert (bench.refusals(), bench.outcome(case)) == (["ARB-10"], "UPHELD")


def test_after_losing_notes_may_be_logged_and_change_nothing(bench: Bench) -> None:
    """ARB-10"""
    bench.rule()
    case = bench.file()
    note = {"shop_id": "shop-1", "case_id": case.id, "channel": "LAWSUIT", "note": "已立案"}
    bench.office.send("escalation.noted", note)
    assert bench.refusals() == ["ARB-10"], "not while it is being heard"
    bench.office.decide(case, "zhou-yan", "DISMISS")
    bench.office.send("escalation.noted", note)
    assert bench.outcome(case) == "DISMISSED"
    assert "escalation.noted" in bench.office.trail(case.id)


fen = st.integers(0, 10**9)


@given(deposit=fen, arrears=fen, owed=fen, handling=st.sampled_from(Handling))
def test_every_fen_returned_has_a_place_and_nothing_is_returned_that_was_not_taken(
    deposit: int, arrears: int, owed: int, handling: Handling
) -> None:
    split = split_return(Money(fen=deposit + arrears), Money(fen=arrears), Money(fen=owed), handling)
    total = split.to_deposit.fen + split.to_receivable.fen + split.to_arrears.fen
    assert split.to_arrears.fen <= owed
    if handling is Handling.NO_MONEY:
        assert total <= arrears
    elif handling is Handling.BUYER_KEEPS:
        assert total == 0
    else:
        assert total == deposit + arrears
        assert split.to_arrears.fen >= min(arrears, owed)


def test_a_forced_closed_shop_gets_nothing_into_its_deposit(bench: Bench) -> None:
    case = upheld(bench)
    forced = bench.office.propose_forced_closure()
    bench.office.decide(forced, "li-na", "CONFIRM")
    bench.office.decide(forced, "he-qiang", "CONFIRM")
    refused = bench.office.answer(bench.office.question(case), "wu-tao", "AGREED", "已联系", **AGREED)
    assert "REF-10" in refused.sentence


@pytest.mark.parametrize("handling", ["TO_ARREARS", "先冲抵欠款,余额退回保证金"])
def test_further_arrears_are_settled_where_that_is_agreed(office: Office, handling: str) -> None:
    bench = Bench(office, deposit_fen=20_000)
    case = upheld(bench)
    bench.office.deduct(5_000, appealable=False, not_appealable_reason="未提供申诉通道的处罚。")
    assert bench.look_again(case, "wu-tao", "AGREED", contact="电话联系店主", handling=handling).accepted
    bench.office.decide(case, "wang-fang", "CONFIRM")
    assert bench.money() == {"deposit": 15_000, "arrears": 0, "receivable": 0, "compensation": 0}


def test_money_agreed_for_the_deposit_of_a_shop_banned_meanwhile_goes_back_to_merchant_service(bench: Bench) -> None:
    office, case = bench.office, upheld(bench)
    office.decide(case, "wu-tao", "AGREED", **AGREED)
    forced = office.propose_forced_closure()
    office.decide(forced, "li-na", "CONFIRM")
    office.decide(forced, "he-qiang", "CONFIRM")
    refused = office.answer(office.question(case), "wang-fang", "CONFIRM", "确认")
    assert not refused.accepted and "REF-10" in refused.sentence
    office.decide(case, "wang-fang", "SEND_BACK", "店铺已被强制关店")
    if office.question(case).gate == "compensation-service":
        office.decide(case, "wu-tao", "AGREED", contact="电话联系店主", handling="TO_RECEIVABLE")
    office.decide(case, "wang-fang", "CONFIRM")
    assert (
        bench.money()["receivable"] == 0 and office.balance(AccountKind.RECEIVABLE_BANNED) > 0
    )  # frozen like all the rest
    assert office.books() == []


def test_what_finance_confirmed_is_posted_only_as_finance_saw_it(bench: Bench) -> None:
    office, case = bench.office, upheld(bench)
    office.decide(case, "wu-tao", "AGREED", **AGREED)
    with mortal(lambda when, key: when == "before" and "compensation.settle" in key), pytest.raises(Died):
        office.decide(case, "wang-fang", "CONFIRM")
    forced = office.propose_forced_closure()
    office.decide(forced, "li-na", "CONFIRM")
    office.decide(forced, "he-qiang", "CONFIRM")
    office.clock.advance(timedelta(seconds=61))
    office.settle()
    assert office.question(case).gate == "compensation-service" and office.balance(AccountKind.DEPOSIT) == 0
    assert office.books() == []


def further_arrears(bench: Bench, fen: int = 5_000, number: str = "ded-1") -> None:
    bench.office.deduct(fen, number, appealable=False, not_appealable_reason="未提供申诉通道的处罚。")


def test_what_merchant_service_agreed_counts_only_as_it_was_shown_to_them(office: Office) -> None:
    """ARB-8, ambiguity 23: they told the merchant where the money goes; when that changes they call again."""
    bench = Bench(office, deposit_fen=20_000)
    case = upheld(bench)
    office.decide(case, "wu-tao", "AGREED", **AGREED)
    further_arrears(bench)
    assert office.question(case).gate == "compensation-finance"
    refused = office.answer(office.question(case), "wang-fang", "CONFIRM", "确认")
    assert not refused.accepted and "退回商服" in refused.sentence and "ARB-8" in refused.sentence
    assert bench.look_again(case, "wang-fang", "SEND_BACK").accepted
    office.decide(case, "wu-tao", "AGREED", contact="电话联系店主", handling="TO_ARREARS")
    office.decide(case, "wang-fang", "CONFIRM")
    assert bench.money() == {"deposit": 15_000, "arrears": 0, "receivable": 0, "compensation": 0}
    assert office.told(case).count("compensation_returned") == 1 and office.books() == []


@pytest.mark.parametrize("handling", ["TO_DEPOSIT", "NO_MONEY"])
def test_what_changes_just_before_the_posting_asks_merchant_service_again(office: Office, handling: str) -> None:
    """ARB-8, ambiguity 23: also where nothing moves and finance is not asked."""
    bench = Bench(office, deposit_fen=20_000)
    case = upheld(bench)
    agreed = {"contact": "电话联系店主", "handling": handling}
    with mortal(lambda when, key: when == "before" and "compensation.settle" in key), pytest.raises(Died):
        office.decide(case, "wu-tao", "AGREED", **agreed)
        office.decide(case, "wang-fang", "CONFIRM")
    further_arrears(bench)
    office.clock.advance(timedelta(seconds=61))
    office.settle()
    question = office.question(case)
    assert (question.gate, question.round) == ("compensation-service", 2)
    assert "compensation_returned" not in office.told(case)
    office.decide(case, "wu-tao", "AGREED", **agreed)
    if handling == "TO_DEPOSIT":
        office.decide(case, "wang-fang", "CONFIRM")
    assert bench.outcome(case) == "UPHELD" and office.told(case).count("compensation_returned") == 1
    assert office.books() == [] == office.chains()
