"""What an arbitrator or merchant service decided is done only on what they saw (ARB-7, WDR-3, ambiguities 23 and 26)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from models.cases import Case
from office.base.db import reading
from office.base.settings import settings
from tasks.appeal import submissions
from tests.appeals.bench import Bench
from tests.appeals.test_correction_approvals import money_is_taken
from tests.appeals.test_withdrawal import ask
from tests.deaths import Died, mortal
from tests.play import PAPERS
from tests.reading import read


def its_file_is_lost(bench: Bench, case: Case) -> None:
    with reading() as tx:
        sha256 = [item.sha256 for _, item in submissions.submitted(tx, case.id)][-1]
    (settings().home / "evidence" / sha256[:2] / sha256).unlink()


def happens_before(bench: Bench, effect: str, decide: Callable[[], None], happens: Callable[[], None]) -> None:
    """The worker dies between the decision and the act; meanwhile something happens; another worker goes on."""
    with mortal(lambda when, key: when == "before" and effect in key), pytest.raises(Died):
        decide()
    happens()
    bench.office.clock.advance(timedelta(seconds=61))
    bench.office.settle()


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize(("verdict", "effect"), [("UPHOLD", "appeals.uphold"), ("DISMISS", "appeals.dismiss")])
@pytest.mark.parametrize(("news", "word"), [(money_is_taken, "已扣赔付款"), (its_file_is_lost, "凭证文件丢失或损坏")])
def test_what_comes_between_the_arbitrators_decision_and_the_act_is_judged_again(
    bench: Bench, news: Callable[[Bench, Case], None], word: str, verdict: str, effect: str, again: bool
) -> None:
    bench.office.hire("tang-wei", "arbitrator")
    bench.rule(deduction_fen=0)
    case = bench.file()
    who = "tang-wei" if again else "zhou-yan"
    if again:  # after further evidence, in the last instance
        bench.office.decide(case, "zhou-yan", "INSUFFICIENT")
        bench.send_more(case)
    gate = "appeal-second" if again else "appeal-review"
    happens_before(bench, effect, lambda: bench.office.decide(case, who, verdict), lambda: news(bench, case))
    question = bench.office.question(case)
    assert (question.gate, question.round) == (gate, 2) and bench.outcome(case) is None
    assert bench.ruling().voided_at is None and "appeal_upheld" not in bench.office.told(case)
    assert "自您上次查看以来的变化" in read(question) and f"已更改:{word}" in read(question)
    if news is its_file_is_lost:
        refused = bench.office.answer(question, who, verdict, "理由充分")
        assert not refused.accepted and "丢失或已损坏" in refused.sentence
        return
    bench.office.decide(case, who, "UPHOLD")
    assert bench.ruling().voided_at is not None and bench.office.case(case.id).state == "COMPENSATING"
    bench.office.decide(case, "wu-tao", "AGREED", "约定退回", contact="电话", handling="TO_DEPOSIT")
    bench.office.decide(case, "wang-fang", "CONFIRM")
    assert bench.outcome(case) == "UPHELD" and bench.office.told(case).count("appeal_upheld") == 1
    assert bench.office.books() == [] == bench.office.chains()


def test_after_a_changed_matter_evidence_can_still_be_asked_for_once(bench: Bench) -> None:
    bench.rule(deduction_fen=0)
    case = bench.file()
    happens_before(
        bench,
        "appeals.uphold",
        lambda: bench.office.decide(case, "zhou-yan", "UPHOLD"),
        lambda: its_file_is_lost(bench, case),
    )
    bench.office.decide(case, "zhou-yan", "INSUFFICIENT", "原文件无法打开,请重新上传")
    assert bench.office.message("appeal_evidence_requested")["reason"] == "原文件无法打开,请重新上传"
    with reading() as tx:
        (lost,) = [item for _, item in submissions.submitted(tx, case.id)]
    bench.send_more(case)
    question = bench.office.question(case)
    assert (question.gate, question.round) == ("appeal-second", 1) and lost.name in read(question)


def test_the_act_once_more_after_another_look_strikes_nothing_twice(bench: Bench) -> None:
    bench.rule(deduction_fen=0)
    case = bench.file()
    happens_before(
        bench,
        "appeals.uphold",
        lambda: bench.office.decide(case, "zhou-yan", "UPHOLD"),
        lambda: money_is_taken(bench, case),
    )
    with mortal(lambda when, key: when == "after" and "appeals.uphold_again" in key), pytest.raises(Died):
        bench.office.decide(case, "zhou-yan", "UPHOLD")
    bench.office.clock.advance(timedelta(seconds=61))
    bench.office.settle()
    assert bench.office.case(case.id).state == "COMPENSATING"
    assert len(bench.office.events("ruling.voided")) == 1 and bench.office.told(case).count("appeal_upheld") == 1


# ── the papers of a withdrawal (WDR-3, WDR-4) ──


def with_papers(bench: Bench) -> Case:
    bench.rule(deduction_fen=0)
    bench.office.stage("shop-1", *PAPERS[:1])
    return ask(bench, documents=PAPERS[:1])


def the_paper_is_lost(bench: Bench) -> None:
    (settings().home / "evidence" / PAPERS[0]["sha256"][:2] / PAPERS[0]["sha256"]).unlink()


def a_second_ruling_comes(bench: Bench) -> None:
    bench.rule("rul-2", arbitration_id="arb-rul-1", aftersale_id="as-rul-1", deduction_fen=0)


@pytest.mark.parametrize(
    ("news", "shown"), [(the_paper_is_lost, "丢失或已损坏"), (a_second_ruling_comes, "已更改:相关判责")]
)
def test_what_comes_between_merchant_services_yes_and_the_withdrawal_asks_them_again(
    bench: Bench, news: Callable[[Bench], None], shown: str
) -> None:
    case = with_papers(bench)
    happens_before(
        bench,
        "arbitration.withdraw",
        lambda: bench.office.decide(case, "wu-tao", "CONFIRM", "买家同意"),
        lambda: news(bench),
    )
    question = bench.office.question(case)
    assert (question.gate, question.round) == ("withdrawal", 2) and bench.ruling().voided_at is None
    assert shown in read(question) and "arbitration_withdrawn" not in bench.office.told(case)
    again = bench.office.answer(question, "wu-tao", "CONFIRM", "买家同意")
    if news is the_paper_is_lost:
        assert not again.accepted and "丢失或已损坏" in again.sentence
        bench.office.stage("shop-1", *PAPERS[:1])
        bench.office.decide(case, "wu-tao", "CONFIRM", "买家同意,材料已重新上传")
    assert bench.outcome(case) == "ARBITRATION_WITHDRAWN" and bench.ruling().voided_at is not None
    assert bench.office.told(case).count("arbitration_withdrawn") == 1 and bench.office.chains() == []


def test_over_a_paper_lost_before_the_act_merchant_service_can_still_say_no(bench: Bench) -> None:
    case = with_papers(bench)
    happens_before(
        bench,
        "arbitration.withdraw",
        lambda: bench.office.decide(case, "wu-tao", "CONFIRM", "买家同意"),
        lambda: the_paper_is_lost(bench),
    )
    bench.office.decide(case, "wu-tao", "REJECT", "材料无法查看,请重新提交")
    assert bench.outcome(case) == "REJECTED" and "材料无法查看" in str(bench.office.case(case.id).outcome_text)
    assert bench.ruling().voided_at is None
