"""A correction by a court's judgment rests on what both supervisors have seen (ARB-10, ambiguity 23)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from models.cases import Case
from office.base.settings import settings
from tests.appeals.bench import Bench
from tests.appeals.test_withdrawal import ask
from tests.deaths import Died, mortal
from tests.play import PAPERS
from tests.reading import read


def money_is_taken(bench: Bench, _: Case) -> None:
    bench.office.deduct(30_000, "ded-9", reason="ADVANCE_COMPENSATION", clause="先行赔付", ruling_id="rul-1")


def the_appeal_is_dismissed(bench: Bench, appeal: Case) -> None:
    bench.office.decide(appeal, "zhou-yan", "DISMISS")


def something_new(bench: Bench, before: Callable[[Bench, Case], None]) -> tuple[Case, Callable[[], None]]:
    """A correction one supervisor has agreed to, and what is to happen next."""
    bench.rule(deduction_fen=0)
    appeal = bench.file()
    case = bench.office.propose_correction()
    bench.office.decide(case, "he-qiang", "CONFIRM", "判决书已核对")
    return case, lambda: before(bench, appeal)


@pytest.mark.parametrize(("news", "word"), [(money_is_taken, "扣款"), (the_appeal_is_dismissed, "该判责的申诉")])
def test_what_comes_between_the_two_supervisors_is_shown_to_both(
    bench: Bench, news: Callable[[Bench, Case], None], word: str
) -> None:
    case, happens = something_new(bench, news)
    shown = bench.office.question(case)
    happens()
    assert not bench.office.answer(shown, "gao-yuan", "CONFIRM", "判决书已核对").accepted
    again = bench.office.question(case)
    assert (again.gate, again.round) == ("correction", 2) and bench.ruling().voided_at is None
    assert "自您上次查看以来的变化" in read(again) and f"已更改:{word}" in read(again)
    bench.office.decide(case, "he-qiang", "CONFIRM", "都看过了")
    assert bench.office.case(case.id).state == "SECOND_REVIEW"
    assert "四眼" in bench.office.answer(bench.office.question(case), "he-qiang", "CONFIRM", "同意").sentence
    bench.office.decide(case, "gao-yuan", "CONFIRM", "都看过了")
    assert bench.ruling().voided_at is not None and bench.counters() == (0, 0, 0)
    assert bench.office.books() == [] == bench.office.chains()


@pytest.mark.parametrize("news", [money_is_taken, the_appeal_is_dismissed])
def test_what_comes_between_the_second_supervisor_and_the_act_is_shown_to_both(
    bench: Bench, news: Callable[[Bench, Case], None]
) -> None:
    case, happens = something_new(bench, news)
    with mortal(lambda when, key: when == "before" and "arbitration.correct" in key), pytest.raises(Died):
        bench.office.decide(case, "gao-yuan", "CONFIRM", "判决书已核对")
    happens()
    bench.office.clock.advance(timedelta(seconds=61))
    bench.office.settle()
    again = bench.office.question(case)
    assert (again.gate, again.round) == ("correction", 2) and bench.ruling().voided_at is None
    assert read(again).count("查看之后:") == 2, "each reads what is new since they looked"
    bench.office.decide(case, "gao-yuan", "CONFIRM", "都看过了")
    bench.office.decide(case, "he-qiang", "CONFIRM", "都看过了")
    assert bench.ruling().voided_at is not None


def test_the_act_once_more_strikes_nothing_twice(bench: Bench) -> None:
    bench.rule(deduction_fen=0)
    case = bench.office.propose_correction()
    bench.office.decide(case, "he-qiang", "CONFIRM", "判决书已核对")
    with mortal(lambda when, key: when == "after" and "arbitration.correct" in key), pytest.raises(Died):
        bench.office.decide(case, "gao-yuan", "CONFIRM", "判决书已核对")
    bench.office.clock.advance(timedelta(seconds=61))
    bench.office.settle()
    assert bench.outcome(case) == "CORRECTED"
    assert len(bench.office.events("ruling.voided")) == 1 and bench.office.told(case).count("ruling_corrected") == 1


def test_a_ruling_struck_between_the_two_supervisors_leaves_nothing_to_correct(bench: Bench) -> None:
    bench.rule(deduction_fen=0)
    case = bench.office.propose_correction()
    bench.office.decide(case, "he-qiang", "CONFIRM", "判决书已核对")
    shown = bench.office.question(case)
    bench.office.decide(ask(bench), "wu-tao", "CONFIRM", "买家同意撤销")
    assert not bench.office.answer(shown, "gao-yuan", "CONFIRM", "判决书已核对").accepted
    assert bench.outcome(case) == "SUPERSEDED" and len(bench.office.events("ruling.voided")) == 1


def test_a_paper_that_is_lost_between_the_two_supervisors_is_seen_by_both(bench: Bench) -> None:
    bench.rule()
    bench.office.stage("shop-1", *PAPERS)
    case = bench.office.propose_correction(documents=PAPERS)
    bench.office.decide(case, "he-qiang", "CONFIRM", "判决书已核对")
    shown = bench.office.question(case)
    (settings().home / "evidence" / PAPERS[0]["sha256"][:2] / PAPERS[0]["sha256"]).unlink()
    assert not bench.office.answer(shown, "gao-yuan", "CONFIRM", "判决书已核对").accepted
    assert "丢失或已损坏" in read(bench.office.question(case)) and bench.office.question(case).round == 2
    bench.office.decide(case, "he-qiang", "REJECT", "请重新提交判决书")
    assert bench.outcome(case) == "REJECTED" and "请重新提交判决书" in str(bench.office.case(case.id).outcome_text)
