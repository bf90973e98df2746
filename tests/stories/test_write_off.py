"""Clearing that drags on: two people write off what stands open, as far as both have seen, or wait (CLS-9, ambiguity 22)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from models.cases import Case
from models.shops import ShopState
from office.base.db import in_transaction
from policies.policy import policy_at
from tasks.invoicing import exit_invoices
from tests.play import START, Office
from tests.reading import read

WINDOW = timedelta(days=policy_at(START).closure.write_off_after.n)


def clearing(office: Office, **facts: int) -> Case:
    """A shop in clearing, which still has this open."""
    office.open_shop()
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE")
    office.snapshot(**(facts or {"open_orders": 3}))
    assert office.case(case.id).state == "CLEARING" and questions(office, case) == []
    return case


def questions(office: Office, case: Case) -> list[str]:
    return [review.gate for review in office.reviews(case) if review.state in {"PENDING", "CLAIMED"}]


def dragging(office: Office, **facts: int) -> Case:
    case = clearing(office, **facts)
    office.pass_time(days=WINDOW.days + 3)
    assert questions(office, case) == ["clearing-stuck"]
    return case


def began(office: Office, case: Case) -> timedelta:
    return office.clock.at - office.deadline(case.id, "clearing").started_at


def test_reviewer_and_supervisor_write_off_what_stands_open_and_the_shop_is_closed(office: Office) -> None:
    case = dragging(office)
    assert "还有 3 笔订单未完成" in read(office.question(case))
    office.decide(case, "li-na", "WRITE_OFF", "订单已由平台处理")
    assert "订单已由平台处理" in read(office.question(case)) and office.shop().state is ShopState.CLEARING
    office.decide(case, "he-qiang", "CONFIRM", "同意核销")
    office.snapshot(open_orders=3)
    assert office.case(case.id).outcome == "CLOSED"
    assert "closure.written_off" in office.trail(case.id)
    assert office.books() == [] == office.chains()


@pytest.mark.parametrize(("seconds", "asked"), [(-1, False), (0, True), (1, True)])
def test_nobody_is_asked_before_the_window_is_over(office: Office, seconds: int, asked: bool) -> None:
    case = clearing(office)
    office.clock.at = office.deadline(case.id, "clearing").started_at + WINDOW + timedelta(seconds=seconds - 1)
    office.snapshot(open_orders=3)  # a second later, and the case looks
    assert bool(questions(office, case)) is asked


def test_one_person_is_not_enough_nor_is_the_same_one_twice(office: Office) -> None:
    office.hire("both", "closure-reviewer", "supervisor")
    case = dragging(office)
    office.decide(case, "both", "WRITE_OFF", "订单已由平台处理")
    assert "四眼" in office.answer(office.question(case), "both", "CONFIRM", "同意").sentence
    office.decide(case, "he-qiang", "REJECT", "还要等")
    office.snapshot(open_orders=3)
    assert office.case(case.id).state == "CLEARING"


def test_what_grows_between_the_two_is_shown_to_both(office: Office) -> None:
    case = dragging(office)
    office.decide(case, "li-na", "WRITE_OFF", "订单已由平台处理")
    office.snapshot(open_orders=4)
    assert (office.question(case).gate, office.question(case).round) == ("clearing-stuck", 2)
    office.decide(case, "li-na", "WRITE_OFF", "四笔都看过了")
    office.snapshot(open_orders=2)
    assert office.question(case).gate == "clearing-stuck-second", "less asks nobody again"
    office.decide(case, "he-qiang", "CONFIRM", "同意核销")
    office.snapshot(open_orders=2)
    assert office.case(case.id).outcome == "CLOSED"


def test_what_comes_after_it_is_not_covered_and_is_asked_about_in_its_own_time(office: Office) -> None:
    case = dragging(office, open_orders=3)
    office.decide(case, "li-na", "WRITE_OFF", "订单已由平台处理")
    ban = office.propose_forced_closure()
    office.decide(case, "he-qiang", "CONFIRM", "同意核销")
    office.snapshot(open_orders=4)
    office.decide(ban, "zhao-min", "DROP", "证据不足")
    assert office.case(case.id).state == "CLEARING" and questions(office, case) == []
    office.pass_time(days=WINDOW.days)
    assert questions(office, case) == ["clearing-stuck"]
    office.decide(case, "li-na", "WRITE_OFF", "第四笔也已处理")
    office.decide(case, "he-qiang", "CONFIRM", "同意核销")
    office.snapshot(open_orders=4)
    assert office.case(case.id).outcome == "CLOSED"


def test_exit_invoices_are_waived_by_it_also_where_they_outgrew_a_waiver_and_it_counts_at_the_refund(
    office: Office,
) -> None:
    """CLS-8, REF-8, ambiguity 23: what has grown beyond a waiver asks people again."""
    case = clearing(office, open_orders=1, uninvoiced_fen=100)
    code = office.code("he-qiang")
    in_transaction(lambda tx: exit_invoices.waive(tx, case.id, "he-qiang", code, "无法开票"))
    office.snapshot(uninvoiced_fen=150)
    office.pass_time(days=WINDOW.days + 3)
    assert "平台报告 ¥0.50" in read(office.question(case))
    office.decide(case, "li-na", "WRITE_OFF", "多出的也无法开票")
    office.decide(case, "gao-yuan", "CONFIRM", "同意核销")
    office.snapshot(uninvoiced_fen=150)
    assert office.case(case.id).outcome == "CLOSED"
    refund = office.request_refund()
    assert "尚未开票" not in read(office.question(refund))
    office.snapshot(uninvoiced_fen=151)
    assert "尚未开票" in read(office.question(refund))


def test_what_was_written_off_covers_no_other_kind_and_no_other_closing(office: Office) -> None:
    """CLS-9, ambiguities 22 and 23: as many of something else are not it, nor does it outlive a closing that is taken back."""
    case = dragging(office, open_aftersales=3)
    office.platform_answers = False
    office.pass_time(days=2)
    office.decide(case, "li-na", "WRITE_OFF", "售后已由平台处理")
    office.decide(case, "he-qiang", "CONFIRM", "同意核销")
    office.snapshot(open_aftersales=3, open_orders=1)
    assert office.shop().state is ShopState.CLEARING
    office.withdraw(case)
    again = office.request_closure()
    office.snapshot(open_aftersales=3)
    office.decide(again, "li-na", "APPROVE", "同意")
    assert office.question(again).gate == "closure-override"


def test_waiting_is_asked_again_after_as_long_and_facts_that_clear_it_end_the_question(office: Office) -> None:
    case = dragging(office)
    office.decide(case, "li-na", "WAIT")
    office.pass_time(days=6)
    assert questions(office, case) == []
    office.pass_time(days=WINDOW.days)
    assert questions(office, case) == ["clearing-stuck"]
    office.snapshot()
    assert office.case(case.id).outcome == "CLOSED" and questions(office, case) == []


def test_the_merchant_may_still_take_it_back_while_it_is_asked(office: Office) -> None:
    case = dragging(office)
    office.withdraw(case)
    assert office.case(case.id).outcome == "WITHDRAWN" and office.shop().state is ShopState.OPEN


def test_a_proposed_ban_is_never_written_off(office: Office) -> None:
    """Ambiguity 24"""
    case = dragging(office)
    office.propose_forced_closure()
    office.decide(case, "li-na", "WRITE_OFF", "订单已由平台处理")
    office.decide(case, "he-qiang", "CONFIRM", "同意核销")
    office.snapshot(open_orders=3)
    assert office.case(case.id).state == "CLEARING"
