"""The arbitrator's desk: what is shown, who may judge, and that our own lateness costs the merchant nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from flows.stories import STORIES
from models.messages import Channel
from office.base.db import in_transaction
from office.cases import hands
from office.cases.markdown import markdown
from tests.appeals.bench import Bench
from tests.appeals.test_one_matter import deduct
from tests.reading import read


def test_the_arbitrator_sees_everything_in_the_dialog(bench: Bench) -> None:
    bench.rule()
    item = bench.stage(name="../../<script>.png")
    case = bench.file(items=[item], statement="我方**已发货**。")
    shown = bench.office.question(case)
    for part in ("各结论的后果", "判责自动剔除", "十天未收到货", "¥200.00", "物流凭证", "沟通记录", "有效判责 1 项", item,
                 "剩余", "SHA-256"):  # fmt: skip
        assert part in read(shown)
    assert "<script>" not in read(shown)
    assert "**已发货**" not in markdown(shown.dossier), "a merchant's words are never markup"


def test_the_verdict_carries_the_hashes_of_the_evidence_it_rests_on(bench: Bench) -> None:
    bench.rule()
    case = bench.file()
    bench.office.decide(case, "zhou-yan", "DISMISS")
    from office.base.db import reading
    from office.record import audit

    with reading() as tx:
        lines = {line.action: line for line in audit.timeline(tx, case.id)}
        submitted = lines["evidence.submitted"].detail["sha256"]
        assert lines["appeal.decided"].detail["sha256"] == submitted
        assert all(len(sha256) == 64 for sha256 in submitted.values())
    assert bench.office.chains() == []


def test_the_arbitrator_who_made_the_ruling_never_judges_the_appeal(bench: Bench) -> None:
    """ARB-4: however the platform writes who that was."""
    bench.rule(ruled_by="Zhou-Yan")
    case = bench.file()
    outcome = bench.office.answer(bench.office.question(case), "zhou-yan", "UPHOLD", "我认为成立")
    assert not outcome.accepted
    assert "四眼" in outcome.sentence
    bench.office.decide(case, "sun-lei", "INSUFFICIENT")
    bench.send_more(case)
    bench.office.hire("tang-wei", "arbitrator")
    assert not bench.office.answer(bench.office.question(case), "zhou-yan", "UPHOLD", "我认为成立").accepted
    bench.office.decide(case, "tang-wei", "UPHOLD")


def test_who_turns_out_to_have_made_the_ruling_judges_no_appeal_that_is_asked_already(bench: Bench) -> None:
    """ARB-4, ambiguity 32: the deduction is told first, its ruling and whose it was while the question is open."""
    deduct(bench, ruling_id=None, arbitration_id="arb-rul-1")
    case = bench.file(deduction_id="ded-1")
    asked = bench.office.question(case)
    claimed = in_transaction(lambda tx: hands.claim(tx, asked.id, "zhou-yan", bench.office.code("zhou-yan")))
    assert claimed.accepted
    bench.rule(ruled_by="zhou-yan", deduction_fen=0)
    outcome = bench.office.answer(bench.office.question(case), "zhou-yan", "UPHOLD", "我认为成立")
    assert not outcome.accepted and "四眼" in outcome.sentence
    bench.office.decide(case, "sun-lei", "UPHOLD")
    assert bench.office.chains() == []


def test_only_an_arbitrator_may_judge_and_only_with_a_reason(bench: Bench) -> None:
    bench.rule()
    case = bench.file()
    assert "岗位权限" in bench.office.answer(bench.office.question(case), "wu-tao", "UPHOLD", "成立").sentence
    assert "理由" in bench.office.answer(bench.office.question(case), "zhou-yan", "UPHOLD", "").sentence


def test_in_the_second_review_there_is_no_third_way(bench: Bench) -> None:
    bench.rule(ruled_by="li-na")
    case = bench.file()
    bench.office.decide(case, "zhou-yan", "INSUFFICIENT")
    bench.send_more(case)
    review = bench.office.question(case)
    assert review.verdicts == ["UPHOLD", "DISMISS"]
    assert not bench.office.answer(review, "sun-lei", "INSUFFICIENT", "仍不足").accepted
    assert not bench.office.answer(bench.office.question(case), "zhou-yan", "UPHOLD", "成立").accepted, (
        "another one judges"
    )
    bench.office.decide(case, "sun-lei", "UPHOLD")


def test_by_another_policy_the_same_arbitrator_judges_again_and_nobody_else(
    bench: Bench, appeal_policy: Callable[..., None]
) -> None:
    appeal_policy(second_reviewer="same")
    bench.rule(ruled_by="li-na")
    case = bench.file()
    bench.office.decide(case, "zhou-yan", "INSUFFICIENT")
    bench.send_more(case)
    assert not bench.office.answer(bench.office.question(case), "sun-lei", "UPHOLD", "成立").accepted
    bench.office.decide(case, "zhou-yan", "UPHOLD")
    assert bench.ruling().void_cause == "APPEAL_UPHELD"


def test_our_own_lateness_is_escalated_and_costs_the_merchant_nothing(bench: Bench) -> None:
    bench.rule()
    case = bench.file()
    bench.office.pass_time(days=10)
    bench.office.pass_time(days=1, minutes=1)
    assert bench.outcome(case) is None
    assert len(bench.office.outbox(Channel.STAFF, "review_overdue")) >= 2
    bench.office.answer(bench.office.question(case), "zhou-yan", "INSUFFICIENT", "请补充")  # its links had grown old
    bench.office.decide(case, "zhou-yan", "INSUFFICIENT")
    assert bench.office.deadline(case, "re-evidence").due_at - bench.now > timedelta(days=2, hours=23)


def test_a_link_that_grows_old_is_renewed_while_the_question_is_open(bench: Bench) -> None:
    bench.rule()
    case = bench.file()
    first = bench.office.question(case)
    bench.office.pass_time(days=8)
    stale = bench.office.answer(first, "zhou-yan", "UPHOLD", "凭证充分")
    assert not stale.accepted
    renewed = bench.office.question(case)
    assert renewed.revision == first.revision + 1
    assert read(renewed) != read(first)
    assert bench.office.answer(renewed, "zhou-yan", "UPHOLD", "凭证充分").accepted


def test_running_a_finished_appeal_again_from_the_top_changes_nothing(bench: Bench) -> None:
    bench.rule()
    case = bench.file()
    bench.office.decide(case, "zhou-yan", "UPHOLD")
    bench.office.decide(case, "wu-tao", "AGREED", contact="电话联系店主", handling="TO_DEPOSIT")
    bench.office.decide(case, "wang-fang", "CONFIRM")
    before = bench.picture()
    assert "已办结" in STORIES[case.kind].tell.fn(case.id)
    bench.office.settle()
    assert bench.picture() == before
