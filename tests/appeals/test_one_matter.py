"""A ruling and the deduction that carries it out are one matter, whichever of the two is told first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from models.arbitration import Ruling
from tasks.db import reading
from tests.appeals.bench import Bench

AGREED = {"contact": "电话联系店主", "handling": "TO_DEPOSIT"}


def deduct(bench: Bench, **changes: Any) -> None:
    bench.office.send("deposit.deducted", {
        "shop_id": "shop-1", "deduction_id": "ded-1", "amount_fen": 20_000, "reason": "ADVANCE_COMPENSATION",
        "clause": "先行赔付规则第五条", "ruling_id": "rul-1", "appealable": True,
    } | changes)  # fmt: skip


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
    bench.office.send("arbitration.withdrawal_requested", {
        "shop_id": "shop-1", "arbitration_id": "arb-1", "reason": "BUYER_GIVES_UP", "requested_by": "BUYER",
    })  # fmt: skip
    case = next(case for case in bench.office.cases() if case.kind == "arbitration-withdrawal")
    bench.office.decide(case, "wu-tao", "CONFIRM", "已电话核实")
    assert bench.outcome(appeal) == "MOOT"
    assert bench.counters() == (0, 0, 0)
    with reading() as tx:
        found = tx.get(Ruling, "deduction/ded-1")
        assert found is not None
        assert found.aftersale_id == "as-1"


def test_a_penalty_that_the_appeal_centre_does_not_take_names_customer_service_instead(bench: Bench) -> None:
    deduct(bench, reason="LATE_SHIPMENT", ruling_id=None)
    told = bench.office.message("deposit_deducted")
    assert "客服" in told["appeal_how"]
    assert "申诉中心" not in told["appeal_how"]
    assert told["appeal_until"] is None
    assert bench.office.case(bench.file(deduction_id="ded-1").id).outcome_clause == "ARB-1"
