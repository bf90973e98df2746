"""A ruling that clears the merchant gives back what was taken; what turns out to be one matter becomes one (ambiguity 32)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from models.arbitration import Ruling
from models.books import AccountKind
from models.cases import Case
from models.messages import Channel
from office.base.db import reading
from tests.appeals.bench import Bench
from tests.appeals.test_one_matter import AGREED, BY, deduct
from tests.play import Office

WHOLE = {"deposit": 400_000, "arrears": 0, "receivable": 0, "compensation": 0}
ONCE = {"deposit": 380_000, "arrears": 0, "receivable": 0, "compensation": 20_000}


def clear(bench: Bench, ruling_id: str = "rul-1", **changes: Any) -> None:
    """The arbitration ends: it was not the merchant's fault."""
    bench.rule(
        ruling_id, conclusion="NOT_MERCHANT", decided="物流原因,非商家责任。", points=0, deduction_fen=0, **changes
    )


def alarms(office: Office) -> list[str]:
    return [message["finding"] for message in office.messages("integrity_broken", Channel.STAFF)]


# ── cleared (ARB-1) ──


@pytest.mark.parametrize("named", [{"ruling_id": "rul-1"}, *({"ruling_id": None} | by for by in BY)])
def test_a_ruling_that_clears_the_merchant_gives_back_what_was_taken_and_says_so(
    bench: Bench, named: dict[str, Any]
) -> None:
    """ARB-1"""
    deduct(bench, **named)
    assert bench.money() == ONCE
    arrival = bench.arrival(
        "ruling.effective",
        bench.ruled()
        | {
            "conclusion": "NOT_MERCHANT",
            "decided": "物流原因,非商家责任。",
            "points": 0,
            "deduction_fen": 0,
        },
    )
    bench.arrive(arrival)
    bench.arrive(arrival)
    assert bench.money() == WHOLE and bench.counters() == (0, 0, 0)
    told = bench.office.messages("merchant_cleared")
    assert len(told) == 1 and told[0]["to_deposit_fen"] == 20_000 and "物流原因" in told[0]["decided"]
    assert bench.office.events("ruling.voided")[-1]["cause"] == "MERCHANT_CLEARED"
    clear(bench)  # another message says it again
    deduct(bench, deduction_id="ded-2", ruling_id=None, arbitration_id="arb-rul-1")
    assert bench.refusals() == ["ARB-1", "ARB-7"] and bench.money() == WHOLE
    assert bench.office.case(bench.file(deduction_id="ded-1").id).outcome == "REFUSED"
    assert bench.office.books() == [] == bench.office.chains()


def test_after_the_merchant_was_cleared_no_money_is_taken_for_that_matter(bench: Bench) -> None:
    """ARB-1"""
    clear(bench)
    for number, named in enumerate([{"ruling_id": "rul-1"}, *({"ruling_id": None} | by for by in BY)]):
        deduct(bench, deduction_id=f"ded-{number}", **named)
    assert bench.refusals() == ["ARB-7"] * 4 and bench.money() == WHOLE
    assert bench.office.messages("merchant_cleared") == [], "nothing had been taken, nothing told"
    assert "无需申诉" in str(bench.office.case(bench.file().id).outcome_text)


def test_what_was_only_written_down_as_arrears_is_forgiven(office: Office) -> None:
    """ARB-1, DED-9"""
    bench = Bench(office, deposit_fen=15_000)
    deduct(bench)
    assert bench.money() == {"deposit": 0, "arrears": 5_000, "receivable": 0, "compensation": 20_000}
    clear(bench)
    assert bench.money() == {"deposit": 15_000, "arrears": 0, "receivable": 0, "compensation": 0}
    told = office.message("merchant_cleared")
    assert (told["to_deposit_fen"], told["to_arrears_fen"]) == (15_000, 5_000) and office.books() == []


def test_a_running_appeal_has_nothing_left_to_decide(bench: Bench) -> None:
    """ARB-1"""
    deduct(bench)
    appeal = bench.file(deduction_id="ded-1")
    clear(bench)
    assert bench.outcome(appeal) == "SUPERSEDED" and bench.ended_run(appeal)
    assert "非商家责任" in bench.office.message("appeal_moot")["cause"]
    assert bench.money() == WHOLE


def test_a_dismissed_appeal_stays_so_the_money_comes_back_and_the_supervisor_hears_of_the_contradiction(
    bench: Bench,
) -> None:
    """ARB-1, ARB-3"""
    deduct(bench)
    appeal = bench.file(deduction_id="ded-1")
    bench.office.decide(appeal, "zhou-yan", "DISMISS")
    clear(bench)
    assert bench.outcome(appeal) == "DISMISSED" and bench.money() == WHOLE
    [finding] = alarms(bench.office)
    assert appeal.id in finding and "非商家责任" in finding


@pytest.mark.parametrize("settled", [False, True])
def test_money_that_people_decide_about_or_have_decided_about_is_left_to_them(bench: Bench, settled: bool) -> None:
    """ARB-1, ARB-8"""

    def agree() -> None:
        bench.office.decide(appeal, "wu-tao", "AGREED", **AGREED)
        bench.office.decide(appeal, "wang-fang", "CONFIRM")

    deduct(bench)
    appeal = bench.file(deduction_id="ded-1")
    bench.office.decide(appeal, "zhou-yan", "UPHOLD")
    if settled:
        agree()
    clear(bench)
    assert bench.refusals() == []
    assert bench.money() == (WHOLE if settled else ONCE)
    if not settled:
        agree()
    assert bench.money() == WHOLE and bench.office.books() == []


def test_a_banned_shops_money_is_held_like_all_that_is_owed_to_it(bench: Bench) -> None:
    """ARB-1, DED-7"""
    office = bench.office
    deduct(bench)
    forced = office.propose_forced_closure()
    office.decide(forced, "li-na", "CONFIRM")
    office.decide(forced, "he-qiang", "CONFIRM")
    clear(bench)
    assert office.balance(AccountKind.RECEIVABLE_BANNED) == 20_000 and office.balance(AccountKind.DEPOSIT) == 0
    assert office.message("merchant_cleared")["to_receivable_fen"] == 20_000
    assert office.books() == []


def test_an_earlier_ruling_of_the_same_arbitration_falls_with_its_deduction_and_one_that_comes_late_is_refused(
    bench: Bench,
) -> None:
    """ARB-1"""
    before = bench.now
    bench.rule()
    clear(bench, "rul-2", arbitration_id="arb-rul-1", aftersale_id="as-rul-1")
    assert bench.ruling().void_cause == "MERCHANT_CLEARED"
    assert bench.money() == WHOLE and bench.counters() == (0, 0, 0)
    bench.rule("rul-0", arbitration_id="arb-rul-1", aftersale_id="as-rul-1", effective_at=before)
    assert bench.refusals() == ["ARB-1"] and bench.money() == WHOLE


def test_another_arbitrations_deduction_stays(bench: Bench) -> None:
    deduct(bench, ruling_id=None, aftersale_id="as-other")
    clear(bench)
    assert bench.money() == ONCE and bench.counters()[0] == 1


# ── linked afterwards (ambiguity 32) ──


def link(bench: Bench) -> None:
    """Only now it is said that the arbitration is about this after-sale."""
    bench.office.send(
        "arbitration.progressed",
        {
            "shop_id": "shop-1",
            "arbitration_id": "arb-rul-1",
            "aftersale_id": "as-rul-1",
            "stage": "DISCUSSING",
        },
    )


def ruling_and_deduction(bench: Bench) -> None:
    bench.rule(aftersale_id=None)
    deduct(bench, ruling_id=None, aftersale_id="as-rul-1")


def deduction_and_ruling(bench: Bench) -> None:
    deduct(bench, ruling_id=None, aftersale_id="as-rul-1")
    bench.rule(aftersale_id=None)


def two_deductions(bench: Bench) -> None:
    deduct(bench, ruling_id=None, arbitration_id="arb-rul-1")
    deduct(bench, ruling_id=None, aftersale_id="as-rul-1", deduction_id="ded-2")


def a_named_ruling_and_a_deduction(bench: Bench) -> None:
    deduct(bench, arbitration_id="arb-rul-1")
    deduct(bench, ruling_id=None, aftersale_id="as-rul-1", deduction_id="ded-2")


TWO = pytest.mark.parametrize(
    "reported", [ruling_and_deduction, deduction_and_ruling, two_deductions, a_named_ruling_and_a_deduction]
)


@TWO
def test_what_was_taken_twice_for_one_matter_is_given_back_once_it_is_known_to_be_one(
    bench: Bench, reported: Callable[[Bench], None]
) -> None:
    """ARB-3, DED-5"""
    reported(bench)
    assert bench.counters()[0] == 2 and bench.money()["compensation"] == 40_000
    link(bench)
    link(bench)
    assert bench.counters()[0] == 1 and bench.money() == ONCE
    [told] = bench.office.messages("matters_united")
    assert told["to_deposit_fen"] == 20_000 and told["appeal_until"]
    case = bench.file(deduction_id="ded-1")
    assert bench.office.case(case.id).state == "UNDER_REVIEW"
    if reported is not two_deductions:
        assert second(bench) == "ARB-3", "one matter, one appeal"
    bench.office.decide(case, "zhou-yan", "UPHOLD")
    bench.office.decide(case, "wu-tao", "AGREED", **AGREED)
    bench.office.decide(case, "wang-fang", "CONFIRM")
    assert bench.money() == WHOLE and bench.counters() == (0, 0, 0)
    assert bench.office.books() == [] == bench.office.chains()


def test_the_ruling_itself_may_be_what_links_two_deductions(bench: Bench) -> None:
    two_deductions(bench)
    bench.rule()
    assert bench.counters() == (1, 2, 20_000) and bench.money() == ONCE


def test_a_ruling_without_money_takes_over_the_deduction_and_the_later_window(bench: Bench) -> None:
    """ARB-2, ARB-3"""
    bench.rule(aftersale_id=None, deduction_fen=0)
    deduct(bench, ruling_id=None, aftersale_id="as-rul-1")
    later = bench.ruling("deduction/ded-1").appeal_until
    link(bench)
    assert bench.counters() == (1, 2, 20_000) and bench.money() == ONCE
    assert bench.ruling().appeal_until == later
    assert bench.office.message("matters_united")["to_deposit_fen"] == 0


def second(bench: Bench) -> str | None:
    """The clause by which another appeal, under the ruling's own number, is refused."""
    bench.office.clock.advance(timedelta(seconds=1))
    return bench.office.case(bench.file().id).outcome_clause


def appeals(bench: Bench) -> tuple[Case, Case]:
    ruling_and_deduction(bench)
    first = bench.file()
    bench.office.clock.advance(timedelta(seconds=1))
    return first, bench.file(deduction_id="ded-1")


def test_of_two_running_appeals_the_earlier_goes_on(bench: Bench) -> None:
    """ARB-3"""
    first, other = appeals(bench)
    link(bench)
    assert bench.outcome(other) == "SUPERSEDED" and bench.ended_run(other)
    assert first.id in bench.office.message("appeal_moot")["cause"]
    bench.office.decide(first, "zhou-yan", "UPHOLD")
    assert bench.counters() == (0, 0, 0)


def test_an_appeal_against_the_deduction_alone_is_the_matters_appeal_from_then_on(bench: Bench) -> None:
    """ARB-3"""
    ruling_and_deduction(bench)
    appeal = bench.file(deduction_id="ded-1")
    link(bench)
    assert second(bench) == "ARB-3"
    assert bench.look_again(appeal, "zhou-yan", "UPHOLD").accepted, "the ruling is shown before the verdict"
    assert bench.ruling().void_cause == "APPEAL_UPHELD"


@pytest.mark.parametrize("decided", ["the ruling's", "the deduction's"])
def test_one_that_succeeded_before_decides_for_both(bench: Bench, decided: str) -> None:
    """ARB-3, ARB-7"""
    pair = appeals(bench)
    won, other = pair if decided == "the ruling's" else pair[::-1]
    bench.office.decide(won, "zhou-yan", "UPHOLD")
    link(bench)
    assert bench.outcome(other) == "SUPERSEDED"
    assert bench.counters() == (0, 0, 0) and bench.money() == ONCE, "the other's money comes back at once"
    bench.office.decide(won, "wu-tao", "AGREED", **AGREED)
    bench.office.decide(won, "wang-fang", "CONFIRM")
    assert bench.money() == WHOLE and bench.office.books() == []


def test_opposite_results_of_what_turns_out_to_be_one_matter_reach_the_supervisor(bench: Bench) -> None:
    """ARB-3"""
    first, other = appeals(bench)
    bench.office.decide(first, "zhou-yan", "UPHOLD")
    bench.office.decide(other, "zhou-yan", "DISMISS")
    link(bench)
    assert (bench.outcome(other), bench.counters()) == ("DISMISSED", (0, 0, 0))
    [finding] = alarms(bench.office)
    assert first.id in finding and other.id in finding
    assert bench.money() == ONCE


def test_one_that_was_dismissed_before_is_the_matters_result(bench: Bench) -> None:
    """ARB-3"""
    first, other = appeals(bench)
    bench.office.decide(other, "zhou-yan", "DISMISS")
    link(bench)
    assert (bench.outcome(first), bench.outcome(other)) == ("SUPERSEDED", "DISMISSED")
    assert second(bench) == "ARB-3"
    assert bench.counters() == (1, 2, 20_000) and bench.money() == ONCE


def test_withdrawing_what_was_united_asks_about_the_money_once(bench: Bench) -> None:
    """WDR-1"""
    ruling_and_deduction(bench)
    link(bench)
    bench.office.send(
        "arbitration.withdrawal_requested",
        {
            "shop_id": "shop-1",
            "arbitration_id": "arb-rul-1",
            "reason": "BUYER_GIVES_UP",
            "requested_by": "BUYER",
        },
    )
    case = bench.latest()
    bench.office.decide(case, "wu-tao", "CONFIRM", "已电话核实")
    bench.office.decide(case, "wu-tao", "AGREED", **AGREED)
    bench.office.decide(case, "wang-fang", "CONFIRM")
    assert bench.outcome(case) == "ARBITRATION_WITHDRAWN" and bench.money() == WHOLE


def test_a_report_that_is_refused_still_says_what_belongs_together(bench: Bench) -> None:
    """ARB-3, DED-5"""
    ruling_and_deduction(bench)
    deduct(bench, ruling_id=None, arbitration_id="arb-rul-1", aftersale_id="as-rul-1", deduction_id="ded-3")
    assert bench.refusals() == ["DED-5"]
    assert bench.money() == ONCE and bench.counters() == (1, 2, 20_000)


def test_nothing_is_left_of_the_second_but_its_line(bench: Bench) -> None:
    ruling_and_deduction(bench)
    link(bench)
    with reading() as tx:
        gone = tx.get(Ruling, "deduction/ded-1")
        assert gone is not None and gone.merged_into == "rul-1" and gone.void_cause == "SAME_MATTER"
    assert "matter.united" in bench.office.trail("shop/shop-1")
