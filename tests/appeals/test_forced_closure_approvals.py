"""A ban rests on what both people have seen: what became of the shop's rulings meanwhile, and the papers (CLS-10, 23)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from models.cases import Case
from models.shops import ShopState
from office.base.settings import settings
from tests.appeals.bench import Bench
from tests.appeals.test_withdrawal import ask
from tests.deaths import Died, mortal
from tests.play import PAPERS
from tests.reading import read


def the_ruling_is_appealed(bench: Bench) -> None:
    bench.file()


def the_ruling_is_struck(bench: Bench) -> None:
    bench.office.decide(ask(bench), "wu-tao", "CONFIRM", "买家同意撤销")


def a_paper_is_lost(bench: Bench) -> None:
    (settings().home / "evidence" / PAPERS[0]["sha256"][:2] / PAPERS[0]["sha256"]).unlink()


NEWS = pytest.mark.parametrize(
    ("happens", "sentence"),
    [
        (the_ruling_is_appealed, "1 件申诉正在审理"),
        (the_ruling_is_struck, "1 项判责已被剔除"),
        (a_paper_is_lost, "丢失或已损坏"),
    ],
)


def one_has_confirmed(bench: Bench) -> Case:
    bench.rule(deduction_fen=0)
    case = bench.office.propose_forced_closure(documents=PAPERS)
    bench.office.decide(case, "li-na", "CONFIRM", "售假属实")
    assert bench.office.question(case).gate == "forced-second"
    return case


@NEWS
def test_what_comes_between_the_two_decisions_is_shown_to_both(
    bench: Bench, happens: Callable[[Bench], None], sentence: str
) -> None:
    case = one_has_confirmed(bench)
    shown = bench.office.question(case)
    happens(bench)
    assert not bench.office.answer(shown, "he-qiang", "CONFIRM", "同意").accepted
    again = bench.office.question(case)
    assert (again.gate, again.round) == ("forced-first", 2) and bench.office.shop().state is ShopState.OPEN
    assert "自您上次查看以来的变化" in read(again) and sentence in read(again)
    bench.office.stage("shop-1", *PAPERS)  # nobody confirms over a lost file
    bench.office.decide(case, "li-na", "CONFIRM", "与本次违规无关")
    assert bench.office.case(case.id).state == "SECOND_REVIEW"
    bench.office.decide(case, "he-qiang", "CONFIRM", "与本次违规无关")
    assert bench.office.case(case.id).outcome == "FORCED_CLOSED"
    assert bench.office.books() == [] == bench.office.chains()


@NEWS
def test_what_comes_between_the_second_decision_and_the_act_is_shown_to_both(
    bench: Bench, happens: Callable[[Bench], None], sentence: str
) -> None:
    case = one_has_confirmed(bench)
    with mortal(lambda when, key: when == "before" and "forced_closures.execute" in key), pytest.raises(Died):
        bench.office.decide(case, "he-qiang", "CONFIRM", "同意")
    happens(bench)
    bench.office.clock.advance(timedelta(seconds=61))
    bench.office.settle()
    again = bench.office.question(case)
    assert (again.gate, again.round) == ("forced-first", 2) and bench.office.shop().state is ShopState.OPEN
    assert sentence in read(again) and read(again).count("查看之后:") == 2
    bench.office.decide(case, "li-na", "DROP", "须先等申诉结果")
    assert bench.office.case(case.id).outcome == "DROPPED"


def test_an_appeal_that_has_ended_meanwhile_asks_nobody_again(bench: Bench) -> None:
    bench.rule(deduction_fen=0)
    appeal = bench.file()
    case = bench.office.propose_forced_closure()
    bench.office.decide(case, "li-na", "CONFIRM", "申诉与本次违规无关")
    bench.office.decide(appeal, "zhou-yan", "DISMISS")
    assert bench.office.question(case).gate == "forced-second"
    if not bench.office.answer(bench.office.question(case), "he-qiang", "CONFIRM", "同意").accepted:
        bench.office.decide(case, "he-qiang", "CONFIRM", "同意")  # shown anew first
    assert bench.office.case(case.id).outcome == "FORCED_CLOSED"


def test_deposits_paid_meanwhile_are_shown_and_undo_no_approval(bench: Bench) -> None:
    """Otherwise a merchant who pays one fen after each approval would never be closed."""
    case = one_has_confirmed(bench)
    shown = bench.office.question(case)
    bench.office.deduct(100_000, "d1", reason="RULE_VIOLATION")
    assert "已过期" in bench.office.answer(shown, "he-qiang", "CONFIRM", "同意").sentence
    assert "¥3,000.00" in read(bench.office.question(case))
    bench.office.decide(case, "he-qiang", "CONFIRM", "同意")
    assert bench.office.case(case.id).outcome == "FORCED_CLOSED"
