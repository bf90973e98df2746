"""Withdrawing an arbitration: people check, with the buyer's consent; then never again for the same case."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from models.arbitration import WithdrawalReason
from models.arbitration_events import ArbitrationWithdrawalRequested
from models.cases import Case
from models.reviews import Role
from notifications.text import full_width
from office.base.settings import settings
from policies.policy import policy
from tests.appeals.bench import PNG, Bench
from tests.deaths import Died, mortal
from tests.play import PEOPLE, paper
from tests.reading import read


def ask(bench: Bench, ruling_id: str = "rul-1", **changes: Any) -> Case:
    before = {case.id for case in bench.office.cases()}
    bench.office.send(
        "arbitration.withdrawal_requested",
        {
            "shop_id": bench.shop_id,
            "arbitration_id": f"arb-{ruling_id}",
            "reason": "SETTLED_WITH_MERCHANT",
            "requested_by": "BOTH",
            "note": "双方已协商。",
        }
        | changes,
    )
    return next(case for case in bench.office.cases() if case.id not in before)


@pytest.mark.parametrize("reason", list(WithdrawalReason))
def test_there_are_two_reasons_and_no_third(bench: Bench, reason: WithdrawalReason) -> None:
    """WDR-1"""
    bench.rule(deduction_fen=0)
    case = ask(bench, reason=reason.value, requested_by="BUYER")
    assert reason.label in read(bench.office.question(case))
    bench.office.decide(case, "wu-tao", "CONFIRM", "买家同意")
    assert (bench.outcome(case), bench.office.events("arbitration.withdrawn")[0]["reason"]) == (
        "ARBITRATION_WITHDRAWN",
        reason.value,
    )
    assert [one.value for one in WithdrawalReason] == ["SETTLED_WITH_MERCHANT", "BUYER_GIVES_UP"]
    with pytest.raises(ValidationError, match="reason"):
        ArbitrationWithdrawalRequested.model_validate(
            ArbitrationWithdrawalRequested.EXAMPLE | {"reason": "WRONG_RULING"}
        )


def test_a_withdrawal_ends_a_running_appeal_as_moot_and_strikes_the_ruling(bench: Bench) -> None:
    """WDR-1"""
    bench.rule()
    appeal = bench.file()
    case = ask(bench)
    bench.office.decide(case, "wu-tao", "CONFIRM", "已电话核实双方")
    assert bench.office.case(case.id).state == "COMPENSATING", "people decide about the money"
    buyer_keeps(bench, case)
    assert bench.outcome(case) == "ARBITRATION_WITHDRAWN"
    assert bench.outcome(appeal) == "MOOT"
    assert bench.office.told(appeal) == ["appeal_received", "appeal_moot"]
    assert bench.counters() == (0, 0, 0)
    assert bench.money()["compensation"] == 20_000, "the buyer has been paid; service and finance left it so"
    assert bench.office.chains() == [] == bench.office.books()


def buyer_keeps(bench: Bench, case: Case) -> None:
    """Merchant service and finance leave with the buyer what was paid."""
    kept = {"contact": "电话联系店主", "handling": "BUYER_KEEPS"}
    bench.office.decide(case, "wu-tao", "AGREED", "买家已收到赔付,双方同意作为和解款", **kept)
    bench.office.decide(case, "wang-fang", "CONFIRM", "同意")


def test_that_the_buyer_keeps_the_money_takes_two_people_and_a_reason_the_merchant_reads(bench: Bench) -> None:
    bench.rule()
    case = ask(bench)
    bench.office.decide(case, "wu-tao", "CONFIRM", "已电话核实双方")
    assert bench.office.message("arbitration_withdrawn")["money"] is True
    kept = {"contact": "电话联系店主", "handling": "BUYER_KEEPS"}
    refused = bench.office.answer(bench.office.question(case), "wu-tao", "AGREED", "", **kept)
    assert not refused.accepted and "理由" in refused.sentence
    buyer_keeps(bench, case)
    told = bench.office.message("compensation_returned")
    assert told["handling"] == "赔付款归买家,不退还商家" and told["agreed"] is False
    assert "双方同意作为和解款" in told["reason"] and "已协商" in told["reason"]
    assert bench.money() == {"deposit": 380_000, "arrears": 0, "receivable": 0, "compensation": 20_000}


@pytest.mark.parametrize("reason", ["SETTLED_WITH_MERCHANT", "BUYER_GIVES_UP"])
def test_for_each_reason_people_decide_about_the_money_and_the_policy_only_proposes(bench: Bench, reason: str) -> None:
    bench.rule()
    case = ask(bench, reason=reason)
    bench.office.decide(case, "wu-tao", "CONFIRM", "已电话核实双方")
    assert "规则建议" in read(bench.office.question(case))
    bench.office.decide(case, "wu-tao", "AGREED", "买家放弃,退回商家", contact="电话联系店主", handling="TO_DEPOSIT")
    assert bench.money()["deposit"] == 380_000, "nothing moves before finance has looked"
    bench.office.decide(case, "wang-fang", "CONFIRM")
    assert bench.money()["deposit"] == 400_000
    assert bench.outcome(case) == "ARBITRATION_WITHDRAWN"


PROPOSED = {"SETTLED_WITH_MERCHANT": "赔付款归买家,不退还商家", "BUYER_GIVES_UP": "退回保证金"}


@pytest.mark.parametrize("reason", list(PROPOSED))
def test_each_reason_has_its_own_proposal_which_people_see_and_need_not_follow(
    bench: Bench, appeal_policy: Callable[..., None], reason: str
) -> None:
    """WDR-1, ambiguity 35"""
    appeal_policy(withdrawal_handling={"SETTLED_WITH_MERCHANT": "BUYER_KEEPS", "BUYER_GIVES_UP": "TO_DEPOSIT"})
    proposed, other = PROPOSED[reason], next(word for given, word in PROPOSED.items() if given != reason)
    bench.rule()
    case = ask(bench, reason=reason)
    assert f"规则建议:{proposed}" in read(bench.office.question(case))
    bench.office.decide(case, "wu-tao", "CONFIRM", "已电话核实双方")
    label = WithdrawalReason(reason).label
    shown = read(bench.office.question(case))
    assert f"撤销原因「{label}」：{full_width(proposed)}" in shown
    bench.office.decide(case, "wu-tao", "AGREED", "与商家另有约定", contact="电话联系店主", handling=other)
    asked = read(bench.office.question(case))
    assert f"撤销原因「{label}」：{full_width(proposed)}" in asked, "finance sees what the rule proposes"
    bench.office.decide(case, "wang-fang", "CONFIRM")
    told = bench.office.message("compensation_returned")
    assert told["handling"] == other and label in told["reason"] and "与商家另有约定" in told["reason"]
    assert bench.money()["compensation"] == (20_000 if other.startswith("赔付款归") else 0)


@pytest.mark.parametrize(("returns", "proposed"), [(True, "退回保证金"), (False, "赔付款归买家,不退还商家")])
@pytest.mark.parametrize("reason", list(PROPOSED))
def test_where_the_policy_names_no_reason_its_one_answer_for_all_is_proposed(
    bench: Bench, appeal_policy: Callable[..., None], reason: str, returns: bool, proposed: str
) -> None:
    """WDR-1, ambiguity 35"""
    appeal_policy(withdrawal_handling={}, withdrawal_returns_deduction=returns)
    bench.rule()
    case = ask(bench, reason=reason)
    assert f"规则建议:{proposed}" in read(bench.office.question(case))


def test_after_an_upheld_appeal_the_money_cannot_be_left_with_the_buyer(bench: Bench) -> None:
    """ARB-8"""
    bench.rule()
    case = bench.file()
    bench.office.decide(case, "zhou-yan", "UPHOLD")
    kept = {"contact": "电话联系店主", "handling": "BUYER_KEEPS"}
    assert not bench.office.answer(bench.office.question(case), "wu-tao", "AGREED", "归买家", **kept).accepted


def test_the_run_of_an_appeal_that_became_moot_is_woken_and_ends(bench: Bench) -> None:
    bench.rule()
    appeal = bench.file()
    bench.office.decide(ask(bench), "wu-tao", "CONFIRM", "已电话核实双方")
    assert bench.ended_run(appeal)
    assert bench.office.message("appeal_moot")["cause"] == "仲裁 arb-rul-1 已撤销"


def test_after_a_withdrawal_the_same_case_is_never_arbitrated_or_appealed_again(bench: Bench) -> None:
    bench.rule()
    bench.office.decide(ask(bench), "wu-tao", "CONFIRM")
    again = {"shop_id": "shop-1", "arbitration_id": "arb-new", "order_id": "order-88", "aftersale_id": "as-rul-1"}
    bench.office.send("arbitration.applied", again)
    bench.rule("rul-2", arbitration_id="arb-new", aftersale_id="as-rul-1")
    assert bench.refusals() == ["WDR-2", "WDR-2"]
    assert bench.money()["compensation"] == 20_000
    assert bench.office.case(bench.file().id).outcome_clause == "WDR-2"
    second = ask(bench)
    assert (bench.outcome(second), bench.office.case(second.id).outcome_clause) == ("REFUSED", "WDR-2")


def test_another_after_sale_of_the_same_shop_may_still_be_arbitrated(bench: Bench) -> None:
    bench.rule()
    bench.office.decide(ask(bench), "wu-tao", "CONFIRM")
    bench.rule("rul-2", order_id="order-88")
    assert bench.refusals() == []


CONSENT = paper("买家同意短信.pdf")
NUMBER = {"consent": {"record": "通话录音 0031", "obtained_at": "2026-11-19T09:30:00+08:00"}}


@pytest.mark.parametrize("said", [{}, NUMBER], ids=["nothing", "a number"])
def test_a_merchant_alone_cannot_withdraw_on_a_number_of_a_consent(bench: Bench, said: dict[str, Any]) -> None:
    """WDR-4, ambiguities 12 and 26"""
    bench.rule()
    case = ask(bench, requested_by="MERCHANT", **said)
    assert "没有收到任何材料" in read(bench.office.question(case))
    for extra in ({}, {"consent_record": "通话录音 0031"}):
        refused = bench.office.answer(bench.office.question(case), "wu-tao", "CONFIRM", "商家要求撤销", **extra)
        assert not refused.accepted and "买家同意" in refused.sentence and "WDR-4" in refused.sentence
    assert [event["case_id"] for event in bench.office.events("proposal.papers_requested")] == [case.id]
    bench.office.decide(case, "wu-tao", "REJECT", "联系不上买家")
    assert bench.outcome(case) == "REJECTED"


def test_consent_that_came_with_the_request_is_enough_when_its_file_is_here(bench: Bench) -> None:
    """WDR-4, ambiguity 26"""
    bench.rule()
    case = ask(bench, requested_by="MERCHANT", documents=[CONSENT])
    refused = bench.office.answer(bench.office.question(case), "wu-tao", "CONFIRM", "已核实")
    assert not refused.accepted and bench.office.events("proposal.papers_requested") == []
    bench.office.stage("shop-1", CONSENT)
    assert "/evidence/EV-" in read(bench.office.question(case))
    bench.office.decide(case, "wu-tao", "CONFIRM", "已核实")
    assert bench.office.case(case.id).state == "COMPENSATING"


def test_consent_may_come_later_and_whoever_reads_is_shown_it(bench: Bench) -> None:
    """WDR-4"""
    bench.rule()
    case = ask(bench, requested_by="MERCHANT")
    before = bench.office.question(case)
    bench.office.stage("shop-1", CONSENT)
    bench.office.send("proposal.documented", {"shop_id": "shop-1", "case_id": case.id, "documents": [CONSENT]})
    assert bench.office.question(case).revision > before.revision
    bench.office.decide(case, "wu-tao", "CONFIRM", "已核实")
    assert bench.office.case(case.id).state == "COMPENSATING"


def test_merchant_service_may_bring_the_consent_themselves_as_a_file_of_that_shop(bench: Bench) -> None:
    """WDR-3, WDR-4"""
    bench.rule()
    bench.office.open_shop("shop-2")
    case = ask(bench, requested_by="MERCHANT")
    for wrong in ("EV-000000-AAAAAA", bench.stage(shop_id="shop-2")):
        refused = bench.office.answer(bench.office.question(case), "wu-tao", "CONFIRM", "已核实", consent_paper=wrong)
        assert not refused.accepted and "未收到买家同意文件" in refused.sentence
    bench.office.decide(case, "wu-tao", "CONFIRM", "已核实", consent_paper=bench.stage())
    assert bench.office.case(case.id).state == "COMPENSATING"


def test_a_consent_lost_between_merchant_services_yes_and_the_withdrawal_asks_them_again(bench: Bench) -> None:
    """WDR-4, ambiguity 23"""
    bench.rule()
    case = ask(bench, requested_by="MERCHANT")
    content = PNG + b"the buyer agrees"
    named = bench.stage(content)

    def lost() -> None:
        [held] = (settings().home / "evidence").rglob(hashlib.sha256(content).hexdigest())
        held.unlink()

    with mortal(lambda when, key: when == "before" and "arbitration.withdraw" in key), pytest.raises(Died):
        bench.office.decide(case, "wu-tao", "CONFIRM", "买家同意", consent_paper=named)
    lost()
    bench.office.clock.advance(timedelta(seconds=61))
    bench.office.settle()
    question = bench.office.question(case)
    assert (question.gate, question.round) == ("withdrawal", 2) and bench.ruling().voided_at is None
    bench.stage(content)
    bench.office.decide(case, "wu-tao", "CONFIRM", "买家同意", consent_paper=named)
    assert bench.office.case(case.id).state == "COMPENSATING"


def test_a_ruling_that_comes_between_merchant_services_yes_and_the_withdrawal_asks_them_again(bench: Bench) -> None:
    """WDR-3, ambiguity 23; a second request about the same arbitration withdraws nothing twice."""
    bench.rule()
    case, other = ask(bench), ask(bench, requested_by="BUYER", reason="BUYER_GIVES_UP")
    with mortal(lambda when, key: when == "before" and "arbitration.withdraw" in key), pytest.raises(Died):
        bench.office.decide(case, "wu-tao", "CONFIRM", "已核实")
    bench.rule("rul-2", arbitration_id="arb-rul-1", aftersale_id="as-rul-1", deduction_fen=0)
    bench.office.clock.advance(timedelta(seconds=61))
    bench.office.settle()
    assert bench.office.question(case).gate == "withdrawal" and "rul-2" in read(bench.office.question(case))
    bench.office.decide(case, "wu-tao", "CONFIRM", "已核实")
    bench.look_again(other, "wu-tao", "CONFIRM")
    assert bench.outcome(other) == "REFUSED" and len(bench.office.events("arbitration.withdrawn")) == 1


def test_only_merchant_service_decides_and_may_say_no(bench: Bench) -> None:
    """WDR-3"""
    bench.rule()
    appeal, case = bench.file(), ask(bench)
    for person, (_, roles) in PEOPLE.items():
        if Role.MERCHANT_SERVICE not in roles:
            assert not bench.office.answer(bench.office.question(case), person, "CONFIRM", "同意").accepted
    bench.office.decide(case, "wu-tao", "REJECT", "买家表示不同意")
    assert bench.outcome(case) == "REJECTED"
    assert bench.office.message("arbitration_stays")["grounds"][0]["sentence"] == "买家表示不同意"
    assert bench.outcome(appeal) is None


@pytest.mark.parametrize("verdict", ["UPHOLD", "DISMISS"])
def test_an_appeal_whose_result_is_final_wins_over_a_withdrawal_that_comes_later(bench: Bench, verdict: str) -> None:
    bench.rule()
    appeal, case = bench.file(), ask(bench)
    bench.office.decide(appeal, "zhou-yan", verdict)
    bench.office.answer(bench.office.question(case), "wu-tao", "CONFIRM", "双方已协商")
    if bench.outcome(case) is None:  # an upheld appeal has struck the ruling meanwhile: that is shown first
        bench.office.decide(case, "wu-tao", "CONFIRM", "双方已协商")
    assert (bench.outcome(case), bench.office.case(case.id).outcome_clause) == ("REFUSED", "ARB-3")
    assert bench.outcome(appeal) in {None, "DISMISSED"}


def test_an_arbitration_nobody_knows_cannot_be_withdrawn(bench: Bench) -> None:
    case = ask(bench, "rul-unknown")
    assert (bench.outcome(case), bench.office.case(case.id).outcome_clause) == ("REFUSED", "WDR-1")


def test_an_arbitration_without_a_ruling_yet_is_withdrawn_and_gets_none(bench: Bench) -> None:
    bench.office.send(
        "arbitration.applied", {"shop_id": "shop-1", "arbitration_id": "arb-rul-1", "order_id": "order-88"}
    )
    bench.office.decide(ask(bench), "wu-tao", "CONFIRM")
    bench.rule()
    assert bench.refusals() == ["WDR-2"]
    assert bench.counters() == (0, 0, 0)


def test_where_the_policy_returns_the_money_every_struck_ruling_with_a_deduction_is_settled(
    bench: Bench, appeal_policy: Callable[..., None]
) -> None:
    appeal_policy(withdrawal_returns_deduction=True)
    same = {"arbitration_id": "arb-rul-1", "aftersale_id": "as-rul-1"}
    bench.rule("rul-0", deduction_fen=0, **same)  # struck first, and has no money
    bench.rule("rul-1", deduction_fen=20_000, **same)
    bench.rule("rul-2", deduction_fen=30_000, **same)
    case = ask(bench)
    bench.office.decide(case, "wu-tao", "CONFIRM", "已电话核实双方")
    assert bench.office.case(case.id).state == "COMPENSATING"
    assert bench.counters() == (0, 0, 0)
    agreed = {"contact": "电话联系店主"}
    assert "¥200.00" in read(bench.office.question(case))
    bench.office.decide(case, "wu-tao", "AGREED", handling="TO_DEPOSIT", **agreed)
    bench.office.decide(case, "wang-fang", "CONFIRM")
    assert bench.outcome(case) is None, "the other ruling's money is still to be talked about"
    assert bench.money() == {"deposit": 370_000, "arrears": 0, "receivable": 0, "compensation": 30_000}
    bench.office.decide(case, "wu-tao", "UNREACHED", "无人接听")
    bench.office.decide(case, "wu-tao", "AGREED", handling="TO_RECEIVABLE", **agreed)
    bench.office.decide(case, "wang-fang", "CONFIRM")
    assert bench.outcome(case) == "ARBITRATION_WITHDRAWN"
    assert bench.money() == {"deposit": 370_000, "arrears": 0, "receivable": 30_000, "compensation": 0}
    assert bench.office.told(case) == ["arbitration_withdrawn", "compensation_returned", "compensation_returned"]
    assert bench.office.books() == [] == bench.office.chains()


def test_where_the_policy_leaves_the_ruling_it_counts_on_and_the_appeal_is_moot(
    bench: Bench, appeal_policy: Callable[..., None]
) -> None:
    appeal_policy(withdrawal_strikes_ruling=False)
    bench.rule()
    appeal, case = bench.file(), ask(bench)
    bench.office.decide(case, "wu-tao", "CONFIRM", "已电话核实双方")
    buyer_keeps(bench, case)
    assert (bench.outcome(case), bench.outcome(appeal)) == ("ARBITRATION_WITHDRAWN", "MOOT")
    assert bench.counters() == (1, 2, 20_000)
    assert bench.office.message("appeal_moot")["struck"] is False


def test_a_policy_that_returns_money_of_a_valid_ruling_cannot_be_written() -> None:
    given = policy("2026-01-01").appeal.model_dump()
    wrong = given | {"withdrawal_strikes_ruling": False, "withdrawal_returns_deduction": True}
    with pytest.raises(ValueError, match="money of a valid ruling"):
        type(policy("2026-01-01").appeal).model_validate(wrong)
