"""A ruling and the deduction that carries it out are one matter, whichever of the two is told first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from models.arbitration import Ruling
from models.cases import Case
from office.base.db import reading
from tests.appeals.bench import Bench
from tests.appeals.test_withdrawal import ask
from tests.reading import read

AGREED = {"contact": "电话联系店主", "handling": "TO_DEPOSIT"}


def deduct(bench: Bench, **changes: Any) -> None:
    plain = {"reason": "ADVANCE_COMPENSATION", "clause": "先行赔付规则第五条", "ruling_id": "rul-1"}
    bench.office.deduct(20_000, **plain | changes)


def buyer_gives_up(bench: Bench, arbitration_id: str) -> Case:
    return ask(bench, arbitration_id=arbitration_id, reason="BUYER_GIVES_UP", requested_by="BUYER")


@pytest.mark.parametrize("first", ["ruling", "deduction"])
@pytest.mark.parametrize("named", [{"ruling_id": "rul-1"}, {"deduction_id": "ded-1"}])
def test_they_are_counted_once_appealed_against_once_and_the_money_comes_back(
    bench: Bench, first: str, named: dict[str, str]
) -> None:
    if first == "ruling":
        bench.rule(deduction_fen=0)
        deduct(bench)
    else:
        deduct(bench)
        bench.rule()  # which states the amount again
    assert bench.counters() == (1, 2, 20_000)
    assert bench.money()["compensation"] == 20_000
    assert bench.ruling().kind == "RULING"
    case = bench.file(**named)
    other = {"deduction_id": "ded-1"} if "ruling_id" in named else {"ruling_id": "rul-1"}
    assert bench.office.case(bench.file(**other).id).outcome_clause == "ARB-3"
    bench.office.decide(case, "zhou-yan", "UPHOLD")
    bench.office.decide(case, "wu-tao", "AGREED", **AGREED)
    bench.office.decide(case, "wang-fang", "CONFIRM")
    assert bench.money() == {"deposit": 400_000, "arrears": 0, "receivable": 0, "compensation": 0}
    assert bench.counters() == (0, 0, 0)
    assert bench.office.books() == [] == bench.office.chains()


def test_an_appeal_against_the_deduction_runs_on_when_its_ruling_comes(bench: Bench) -> None:
    deduct(bench)
    case = bench.file(deduction_id="ded-1")
    bench.rule()
    assert bench.refusals() == []
    assert bench.look_again(case, "zhou-yan", "UPHOLD").accepted, "the ruling's words are shown before the verdict"
    assert bench.ruling().void_cause == "APPEAL_UPHELD"


def test_a_deduction_that_comes_during_the_appeal_reaches_merchant_service(bench: Bench) -> None:
    bench.rule(deduction_fen=0)
    case = bench.file()
    deduct(bench)
    assert case.id in bench.office.message("deposit_deducted")["not_appealable"]
    assert bench.look_again(case, "zhou-yan", "UPHOLD").accepted
    assert bench.office.case(case.id).state == "COMPENSATING"


def test_money_is_not_taken_twice_for_a_ruling_and_never_for_one_that_was_struck(bench: Bench) -> None:
    bench.rule()
    deduct(bench)
    assert bench.refusals() == ["DED-5"]
    bench.rule("rul-2", deduction_fen=0)
    bench.office.decide(bench.file("rul-2"), "zhou-yan", "UPHOLD")
    deduct(bench, deduction_id="ded-2", ruling_id="rul-2")
    assert bench.refusals() == ["DED-5", "ARB-7"]
    assert bench.money()["compensation"] == 20_000


def test_the_seven_days_run_from_the_later_of_the_two(bench: Bench) -> None:
    """ARB-2"""
    bench.rule(deduction_fen=0)
    effective = bench.now + timedelta(hours=5)
    bench.office.clock.advance(timedelta(days=2))
    deduct(bench, effective_at=effective.isoformat())
    until = effective + timedelta(days=7)
    assert bench.ruling().appeal_until == until
    assert bench.office.message("deposit_deducted")["appeal_until"] == until.isoformat().replace("+00:00", "Z")


def test_a_deduction_alone_counts_from_when_it_took_effect(bench: Bench) -> None:
    effective = bench.now - timedelta(days=1)
    deduct(bench, ruling_id=None, effective_at=effective.isoformat())
    assert bench.ruling("deduction/ded-1").appeal_until == effective + timedelta(days=7)


def test_withdrawing_the_arbitration_covers_its_deduction(bench: Bench) -> None:
    deduct(bench, ruling_id=None, arbitration_id="arb-1", aftersale_id="as-1")
    appeal = bench.file(deduction_id="ded-1")
    case = buyer_gives_up(bench, "arb-1")
    bench.office.decide(case, "wu-tao", "CONFIRM", "已电话核实")
    assert bench.outcome(appeal) == "MOOT"
    assert bench.counters() == (0, 0, 0)
    with reading() as tx:
        found = tx.get(Ruling, "deduction/ded-1")
        assert found is not None
        assert found.aftersale_id == "as-1"


BY = [
    {"arbitration_id": "arb-rul-1", "aftersale_id": "as-rul-1"},
    {"arbitration_id": "arb-rul-1"},
    {"aftersale_id": "as-rul-1"},
]


@pytest.mark.parametrize("named", BY, ids=["both", "the arbitration", "the after-sale"])
@pytest.mark.parametrize("first", ["ruling", "deduction"])
def test_a_deduction_that_names_no_ruling_belongs_to_that_of_its_arbitration_or_after_sale(
    bench: Bench, first: str, named: dict[str, str]
) -> None:
    if first == "ruling":
        bench.rule(deduction_fen=0)
        deduct(bench, ruling_id=None, **named)
    else:
        deduct(bench, ruling_id=None, **named)
        bench.rule()
    assert bench.refusals() == []
    assert bench.counters() == (1, 2, 20_000), "one matter is counted once"
    case = bench.file()
    assert bench.office.case(case.id).state == "UNDER_REVIEW", "by the ruling's own number, whichever came first"
    assert bench.office.case(bench.file(deduction_id="ded-1").id).outcome_clause == "ARB-3"
    bench.office.decide(case, "zhou-yan", "UPHOLD")
    bench.office.decide(case, "wu-tao", "AGREED", **AGREED)
    bench.office.decide(case, "wang-fang", "CONFIRM")
    assert bench.money() == {"deposit": 400_000, "arrears": 0, "receivable": 0, "compensation": 0}
    assert bench.counters() == (0, 0, 0)
    assert bench.office.books() == [] == bench.office.chains()


@pytest.mark.parametrize("named", BY, ids=["both", "the arbitration", "the after-sale"])
def test_its_seven_days_run_from_the_later_of_the_two_in_either_order(bench: Bench, named: dict[str, str]) -> None:
    later = bench.now + timedelta(days=2)
    deduct(bench, ruling_id=None, effective_at=bench.now.isoformat(), **named)
    bench.office.clock.advance(timedelta(days=2))
    bench.rule(effective_at=later)
    assert bench.ruling("deduction/ded-1").appeal_until == later + timedelta(days=7)
    bench.office.clock.at = later + timedelta(days=7, seconds=1)
    assert bench.office.case(bench.file().id).outcome_clause == "ARB-2"


def test_an_appeal_already_filed_against_the_deduction_is_the_rulings_too(bench: Bench) -> None:
    deduct(bench, ruling_id=None, aftersale_id="as-rul-1")
    appeal = bench.file(deduction_id="ded-1")
    bench.rule()
    assert appeal.id in bench.office.message("ruling_effective")["appeal_how"]
    assert bench.office.case(bench.file().id).outcome_clause == "ARB-3"
    assert bench.look_again(appeal, "zhou-yan", "DISMISS").accepted
    assert bench.counters() == (1, 2, 20_000)


def test_a_ruling_that_comes_when_its_deductions_appeal_was_upheld_is_not_recorded(bench: Bench) -> None:
    deduct(bench, ruling_id=None, arbitration_id="arb-rul-1")
    bench.office.decide(bench.file(deduction_id="ded-1"), "zhou-yan", "UPHOLD")
    bench.rule()
    assert bench.refusals() == ["ARB-7"], "one matter has one result"
    assert bench.counters() == (0, 0, 0)


@pytest.mark.parametrize("won", ["appeal", "judgment"])
def test_what_the_merchant_has_won_comes_again_under_no_second_number(bench: Bench, won: str) -> None:
    """ARB-3, ARB-10, ambiguity 32: the arbitration has its result; another one may still be ruled."""
    bench.rule()
    if won == "appeal":
        bench.office.decide(bench.file(), "zhou-yan", "UPHOLD", "凭证充分")
    else:
        case = bench.office.propose_correction()
        for supervisor in ("he-qiang", "gao-yuan"):
            bench.office.decide(case, supervisor, "CONFIRM", "判决属实")
    before = bench.money(), bench.counters()
    bench.rule("rul-2", arbitration_id="arb-rul-1", aftersale_id="as-rul-1")
    assert (bench.money(), bench.counters()) == before and bench.refusals()[-1] == "ARB-3"
    bench.rule("rul-3")
    assert bench.counters()[0] == 1


def test_a_second_deduction_of_the_same_matter_is_not_taken(bench: Bench) -> None:
    deduct(bench, ruling_id=None, aftersale_id="as-1")
    deduct(bench, ruling_id=None, aftersale_id="as-1", deduction_id="ded-2")
    assert bench.refusals() == ["DED-5"]
    assert bench.money()["compensation"] == 20_000


@pytest.mark.parametrize(
    "other", [{"aftersale_id": "as-other"}, {"arbitration_id": "arb-other"}, {"order_id": "order-88"}]
)
def test_a_deduction_of_another_matter_stays_a_matter_of_its_own(bench: Bench, other: dict[str, str]) -> None:
    bench.rule(deduction_fen=0)
    deduct(bench, ruling_id=None, **other)
    assert bench.counters()[0] == 2
    assert bench.office.case(bench.file().id).state == bench.office.case(bench.file(deduction_id="ded-1").id).state


@pytest.mark.parametrize("named", [*BY, {"order_id": "order-88"}])
def test_of_a_withdrawn_arbitration_no_deduction_is_posted_whatever_of_it_is_named(
    bench: Bench, named: dict[str, str]
) -> None:
    about = {"shop_id": "shop-1", "arbitration_id": "arb-rul-1", "aftersale_id": "as-rul-1", "order_id": "order-88"}
    bench.office.send("arbitration.applied", about)
    bench.office.decide(buyer_gives_up(bench, "arb-rul-1"), "wu-tao", "CONFIRM", "已电话核实")
    deduct(bench, ruling_id=None, **named)
    assert bench.refusals() == ["WDR-2"]
    assert bench.money() == {"deposit": 400_000, "arrears": 0, "receivable": 0, "compensation": 0}


@pytest.mark.parametrize("order", ["deduction first", "arbitration first"])
def test_a_deduction_that_names_only_the_after_sale_is_decided_about_when_its_arbitration_is_withdrawn(
    bench: Bench, order: str
) -> None:
    applied = {"shop_id": "shop-1", "arbitration_id": "arb-1", "aftersale_id": "as-1"}
    if order == "deduction first":
        deduct(bench, ruling_id=None, aftersale_id="as-1")
        bench.office.send("arbitration.applied", applied)
    else:
        bench.office.send("arbitration.applied", applied)
        deduct(bench, ruling_id=None, aftersale_id="as-1")
    case = buyer_gives_up(bench, "arb-1")
    bench.office.decide(case, "wu-tao", "CONFIRM", "已电话核实")
    assert bench.office.case(case.id).state == "COMPENSATING"
    bench.office.decide(case, "wu-tao", "AGREED", **AGREED)
    bench.office.decide(case, "wang-fang", "CONFIRM")
    assert bench.money() == {"deposit": 400_000, "arrears": 0, "receivable": 0, "compensation": 0}


def test_a_deduction_that_names_only_the_order_is_decided_about_when_its_arbitration_is_withdrawn(bench: Bench) -> None:
    """WDR-2, ambiguity 35"""
    deduct(bench, ruling_id=None, order_id="order-88")
    appeal = bench.file(deduction_id="ded-1")
    bench.office.clock.advance(timedelta(seconds=1))
    deduct(bench, ruling_id=None, order_id="order-99", deduction_id="ded-2")
    deduct(bench, ruling_id=None, order_id="order-88", aftersale_id="as-other", deduction_id="ded-3")
    bench.office.send(
        "arbitration.applied",
        {
            "shop_id": "shop-1",
            "arbitration_id": "arb-1",
            "order_id": "order-88",
            "aftersale_id": "as-1",
        },
    )
    case = buyer_gives_up(bench, "arb-1")
    shown = read(bench.office.question(case))
    assert "ded-1" in shown and "ded-2" not in shown and "ded-3" not in shown
    bench.office.decide(case, "wu-tao", "CONFIRM", "已电话核实")
    assert bench.office.message("arbitration_withdrawn")["money"] is True
    assert bench.outcome(appeal) == "MOOT"
    bench.office.decide(case, "wu-tao", "AGREED", **AGREED)
    bench.office.decide(case, "wang-fang", "CONFIRM")
    assert bench.outcome(case) == "ARBITRATION_WITHDRAWN"
    assert bench.money()["compensation"] == 40_000 and bench.counters()[0] == 2, (
        "the other order's, the other after-sale's"
    )
    assert bench.office.books() == [] == bench.office.chains()


def test_of_two_arbitrations_about_one_order_the_withdrawal_of_one_leaves_the_other_alone(bench: Bench) -> None:
    """WDR-2, ambiguity 32: the other is known by its number; what names only the order is nobody's for certain."""
    for number in ("1", "2"):
        bench.office.send(
            "arbitration.applied",
            {
                "shop_id": "shop-1",
                "arbitration_id": f"arb-{number}",
                "order_id": "order-88",
                "aftersale_id": f"as-{number}",
            },
        )
    deduct(bench, ruling_id=None, order_id="order-88")
    bench.office.clock.advance(timedelta(seconds=1))
    case = buyer_gives_up(bench, "arb-1")
    shown = read(bench.office.question(case))
    assert "ded-1" not in shown and "同一订单的其他仲裁" in shown and "arb-2" in shown
    bench.office.decide(case, "wu-tao", "CONFIRM", "已电话核实")
    assert bench.outcome(case) == "ARBITRATION_WITHDRAWN" and bench.counters()[0] == 1
    bench.office.send(
        "arbitration.progressed",
        {
            "shop_id": "shop-1",
            "arbitration_id": "arb-2",
            "order_id": "order-88",
            "stage": "SERVICE_INTERVENED",
        },
    )
    deduct(bench, ruling_id=None, arbitration_id="arb-2", order_id="order-88", deduction_id="ded-2")
    assert bench.refusals() == [] and bench.money()["compensation"] == 40_000
    bench.rule("rul-2", arbitration_id="arb-2", aftersale_id=None, deduction_fen=0)
    assert bench.refusals() == [] and bench.counters()[0] == 2, "the ruling and its deduction are one matter"
    deduct(bench, ruling_id=None, order_id="order-88", deduction_id="ded-3")
    deduct(bench, ruling_id=None, arbitration_id="arb-1", deduction_id="ded-4")
    assert bench.refusals() == ["WDR-2", "WDR-2"] and bench.money()["compensation"] == 40_000
    assert bench.office.books() == [] == bench.office.chains()


def test_a_penalty_that_the_appeal_centre_does_not_take_names_customer_service_instead(bench: Bench) -> None:
    deduct(bench, reason="LATE_SHIPMENT", ruling_id=None)
    told = bench.office.message("deposit_deducted")
    assert "客服" in told["appeal_how"]
    assert "申诉中心" not in told["appeal_how"]
    assert told["appeal_until"] is None
    assert bench.office.case(bench.file(deduction_id="ded-1").id).outcome_clause == "ARB-1"
