"""An appeal from the ruling to its final result, each way it can go."""

from __future__ import annotations

from models.books import AccountKind
from tests.appeals.bench import Bench


def test_an_upheld_appeal_strikes_the_ruling_and_its_money_comes_back_after_two_people(bench: Bench) -> None:
    bench.rule()
    assert bench.money() == {"deposit": 380_000, "arrears": 0, "receivable": 0, "compensation": 20_000}
    assert bench.counters() == (1, 2, 20_000)
    case = bench.file()
    bench.office.decide(case, "zhou-yan", "UPHOLD")
    assert bench.ruling().void_cause == "APPEAL_UPHELD"
    assert bench.counters() == (0, 0, 0)
    assert bench.office.balance(AccountKind.DEPOSIT) == 380_000, "nothing is credited by itself (ARB-8)"

    bench.office.decide(case, "wu-tao", "AGREED", contact="11 月 20 日电话联系林晓", handling="退回保证金")
    assert bench.office.balance(AccountKind.DEPOSIT) == 380_000
    bench.office.decide(case, "wang-fang", "CONFIRM")
    assert bench.money() == {"deposit": 400_000, "arrears": 0, "receivable": 0, "compensation": 0}
    assert bench.outcome(case) == "UPHELD"
    assert bench.office.told(case) == ["appeal_received", "appeal_upheld", "compensation_returned"]
    assert bench.office.books() == [] == bench.office.chains()


def test_a_dismissed_appeal_is_final_and_names_the_channels_outside(bench: Bench) -> None:
    """ARB-3, ARB-10"""
    bench.rule()
    case = bench.file()
    bench.office.decide(case, "zhou-yan", "DISMISS")
    assert bench.outcome(case) == "DISMISSED"
    assert len(bench.office.message("appeal_dismissed")["channels"]) == 4
    assert bench.counters() == (1, 2, 20_000)
    assert bench.office.told(case) == ["appeal_received", "appeal_dismissed"]
