"""Filing an appeal: seven days to the second, once, with evidence of one's own; a refusal is an outcome."""

from __future__ import annotations

from datetime import timedelta

import pytest
from typer.testing import CliRunner

from models.messages import Channel
from models.shop_events import DepositDeducted
from office.base.db import reading
from office.cases.cases import findings
from ops.commands.inbox import app as command_line
from tests.appeals.bench import Bench
from tests.play import Office
from tests.reading import read

SEVEN_DAYS = timedelta(days=7)


def test_the_merchant_is_told_what_was_decided_and_until_when_to_appeal(bench: Bench) -> None:
    effective = bench.now - timedelta(hours=3)
    bench.rule(effective_at=effective)
    told = bench.office.message("ruling_effective")
    assert told["decided"] == "商家未能证明按时发货。"
    assert told["deduction_fen"] == 20_000
    assert told["appeal_until"] == (effective + SEVEN_DAYS).isoformat().replace("+00:00", "Z")
    assert "仅可申诉一次" in told["appeal_how"]
    assert bench.office.events("ruling.recorded")[0]["appeal_until"] == told["appeal_until"]


def test_a_deduction_beyond_the_deposit_becomes_arrears_and_the_whole_of_it_is_recorded(office: Office) -> None:
    bench = Bench(office, deposit_fen=15_000)
    bench.rule()
    assert bench.money() == {"deposit": 0, "arrears": 5_000, "receivable": 0, "compensation": 20_000}
    assert (bench.ruling().from_deposit_fen, bench.ruling().arrears_fen) == (15_000, 5_000)


@pytest.mark.parametrize(("late_by", "outcome"), [(-1, None), (0, None), (1, "REFUSED")])
def test_an_appeal_filed_in_the_last_second_is_heard_and_one_second_later_it_is_refused(
    bench: Bench, late_by: int, outcome: str | None
) -> None:
    bench.rule()
    item = bench.stage()
    bench.office.clock.at = bench.ruling().appeal_until + timedelta(seconds=late_by)
    case = bench.file(items=[item])
    assert bench.outcome(case) == outcome
    if outcome:
        ended = bench.office.case(case.id)
        assert ended.outcome_clause == "ARB-2"
        assert "申诉期限内提交,截止时间为" in str(ended.outcome_text)
        assert bench.office.told(case) == ["appeal_refused"]
        assert bench.office.events("message.refused") == [], "a refusal is a case outcome, not an error"


def test_a_filing_received_in_time_and_read_on_day_nine_is_heard(bench: Bench) -> None:
    """ARB-2"""
    bench.rule()
    item = bench.stage()
    bench.office.clock.at = bench.ruling().appeal_until
    bench.office.receive("appeal.filed", bench.filing(items=[item]))
    bench.office.pass_time(days=2)
    assert bench.latest().state == "UNDER_REVIEW"


def test_a_filing_against_a_ruling_that_we_failed_to_record_waits_and_is_heard_once_it_is(bench: Bench) -> None:
    bench.office.receive("ruling.effective", bench.ruled())
    number = bench.fail("ruling.effective")
    bench.office.send("appeal.filed", bench.filing())
    bench.office.pass_time(days=1)
    assert bench.office.cases() == []
    assert CliRunner().invoke(command_line, ["retry", str(number)]).exit_code == 0
    bench.office.pass_time(days=9)
    assert bench.latest().state == "UNDER_REVIEW"


def test_a_filing_about_a_ruling_nobody_has_sent_is_refused_at_once_also_while_another_shop_waits(bench: Bench) -> None:
    bench.office.receive("ruling.effective", bench.ruled(shop_id="shop-9"))
    bench.fail("ruling.effective")
    assert bench.office.case(bench.file("rul-9").id).outcome_clause == "ARB-1"


def test_a_second_appeal_is_refused_whether_the_first_is_running_or_over(bench: Bench) -> None:
    bench.rule()
    first = bench.file()
    again = bench.file()
    assert (bench.outcome(again), bench.office.case(again.id).outcome_clause) == ("REFUSED", "ARB-3")
    bench.office.decide(first, "zhou-yan", "DISMISS")
    third = bench.file()
    assert bench.office.case(third.id).outcome_clause == "ARB-3"
    assert first.id in str(bench.office.case(third.id).outcome_text)


def test_a_filing_without_evidence_is_refused_and_may_be_made_again_in_time(bench: Bench) -> None:
    bench.rule()
    empty = bench.file(items=[])
    assert bench.office.case(empty.id).outcome_clause == "ARB-4"
    assert "重新提交" in bench.office.message("appeal_refused")["next_step"]
    assert bench.outcome(bench.file()) is None


def test_evidence_of_another_shop_is_left_out_and_with_nothing_else_the_filing_is_refused(bench: Bench) -> None:
    bench.rule()
    bench.office.open_shop("shop-2")
    foreign = bench.stage(shop_id="shop-2")
    refused = bench.file(items=[foreign])
    assert bench.office.case(refused.id).outcome_clause == "ARB-4"
    own = bench.stage()
    bench.file(items=[own, foreign])
    told = bench.office.message("appeal_received")
    assert told["left_out"] == [foreign]
    assert len(told["accepted"]) == 1


@pytest.mark.parametrize("count", [19, 20, 21, 23])
def test_evidence_beyond_the_twentieth_piece_is_named_to_the_merchant_and_the_arbitrator(
    bench: Bench, count: int
) -> None:
    bench.rule()
    items = [bench.stage() for _ in range(count)]
    case = bench.file(items=items)
    told = bench.office.message("appeal_received")
    assert len(told["accepted"]) == min(count, 20)
    assert told["left_out"] == items[20:]
    with reading() as tx:
        left = [finding.value for finding in findings(tx, case.id) if finding.code == "evidence-too-many"]
    assert left == items[20:]


def test_further_evidence_beyond_the_twentieth_piece_is_named_too(bench: Bench) -> None:
    bench.rule()
    case = bench.file()
    bench.office.decide(case, "zhou-yan", "INSUFFICIENT")
    items = [bench.stage() for _ in range(21)]
    bench.send_more(case, items)
    assert bench.office.message("appeal_evidence_received")["left_out"] == items[20:]


def test_a_dossier_says_how_many_earlier_appeals_it_does_not_list(bench: Bench) -> None:
    for number in range(12):
        bench.office.clock.advance(timedelta(seconds=1))
        bench.rule(f"rul-{number}", deduction_fen=0)
        last = bench.file(f"rul-{number}")
    assert "另有更早的申诉 1 件" in read(bench.office.question(last))


@pytest.mark.parametrize(
    ("changes", "clause"),
    [({"ruling_id": "rul-unknown"}, "ARB-1"), ({"account_id": "acct-stranger"}, "ARB-1")],
)
def test_what_is_unknown_or_filed_by_a_stranger_is_refused_with_the_clause(
    bench: Bench, changes: dict[str, str], clause: str
) -> None:
    """ARB-1"""
    bench.rule()
    case = bench.file(**changes)
    assert (bench.outcome(case), bench.office.case(case.id).outcome_clause) == ("REFUSED", clause)


def test_another_shops_ruling_is_as_unknown_as_none(bench: Bench) -> None:
    bench.rule()
    bench.office.open_shop("shop-2")
    item = bench.stage(shop_id="shop-2")
    case = bench.file(items=[item], shop_id="shop-2", account_id="acct-shop-2")
    assert bench.office.case(case.id).outcome_clause == "ARB-1"


def test_a_deduction_that_paid_a_buyer_can_be_appealed_against_like_a_ruling(bench: Bench) -> None:
    bench.office.deduct(30_000, reason="ADVANCE_COMPENSATION", clause="先行赔付规则第五条", order_id="order-9")
    until = bench.now + SEVEN_DAYS
    assert bench.office.message("deposit_deducted")["appeal_until"] == until.isoformat().replace("+00:00", "Z")
    case = bench.file(deduction_id="ded-1")
    assert case.state == "UNDER_REVIEW"
    bench.office.decide(case, "sun-lei", "UPHOLD")
    bench.office.decide(case, "wu-tao", "AGREED", contact="电话联系店主", handling="TO_RECEIVABLE")
    bench.office.decide(case, "wang-fang", "CONFIRM")
    assert bench.money() == {"deposit": 370_000, "arrears": 0, "receivable": 30_000, "compensation": 0}


def test_money_paid_to_a_buyer_can_always_be_appealed_against_ambiguity_34() -> None:
    """ARB-1, DED-5"""
    final = DepositDeducted.EXAMPLE | {"appealable": False, "not_appealable_reason": "依据终审判决执行。"}
    with pytest.raises(ValueError, match="can always be appealed"):
        DepositDeducted.model_validate(final)


def test_a_penalty_declared_final_cannot_be_appealed_against(bench: Bench) -> None:
    bench.office.deduct(
        30_000,
        reason="RULE_VIOLATION",
        clause="违规处罚规则",
        appealable=False,
        not_appealable_reason="依据终审判决执行。",
    )
    case = bench.file(deduction_id="ded-1")
    assert bench.office.case(case.id).outcome_clause == "ARB-1"


def test_every_event_sent_twice_changes_nothing_the_second_time(bench: Bench) -> None:
    office = bench.office
    ruling = {
        "shop_id": "shop-1",
        "ruling_id": "rul-1",
        "arbitration_id": "arb-1",
        "effective_at": bench.now.isoformat(),
        "conclusion": "SHARED",
        "decided": "双方各担一半。",
        "deduction_fen": 1_000,
    }
    filing = bench.filing()
    sent = [bench.arrival("ruling.effective", ruling), bench.arrival("appeal.filed", filing)]
    for arrival in sent:
        assert bench.arrive(arrival) == "NEW"
    case = bench.latest()
    office.decide(case, "zhou-yan", "INSUFFICIENT")
    sent.append(bench.arrival("appeal.evidence_submitted", bench.more(case)))
    assert bench.arrive(sent[-1]) == "NEW"
    office.decide(case, "sun-lei", "DISMISS")
    before = bench.picture()
    for arrival in sent:
        assert bench.arrive(arrival) == "SAME"
    assert bench.picture() == before


def test_the_same_ruling_under_another_message_id_is_refused_and_takes_no_money_again(bench: Bench) -> None:
    bench.rule()
    before = bench.money()
    bench.rule()
    assert bench.refusals() == ["ARB-1"]
    assert bench.money() == before
    assert len(bench.office.outbox(Channel.MERCHANT, "ruling_effective")) == 1
