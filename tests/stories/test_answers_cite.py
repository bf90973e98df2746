"""Refusing what a merchant answered cites the clause of what was asked, not the one of closing a shop."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tasks.shops import questions
from tests.play import Office


def test_a_refunds_merchant_who_was_asked_nothing_reads_the_clause_of_refunds(office: Office) -> None:
    """REF-2"""
    office.closed_shop()
    case = office.request_refund()
    office.merchant_answers(case)
    assert office.refusals()[-1][0] == "REF-2"


@pytest.mark.parametrize("seconds", [-1, 0, 1])
def test_an_answer_to_a_refunds_question_is_judged_by_its_own_due_time_and_clause(office: Office, seconds: int) -> None:
    """REF-2"""
    office.closed_shop()
    case = office.request_refund()
    office.decide(case, "wang-fang", "ASK", "请补充开户许可证")
    due = office.deadline(case, f"{questions.QUESTION}/1").due_at
    office.clock.at = due + timedelta(seconds=seconds)
    office.merchant_answers(case)
    clauses = [clause for clause, _ in office.refusals()]
    assert clauses == ([] if seconds <= 0 else [office.deadline(case, f"{questions.QUESTION}/1").clause])
    assert "CLS-5" not in clauses


def test_a_closures_merchant_reads_the_clause_of_closing(office: Office) -> None:
    """CLS-5"""
    office.open_shop()
    case = office.request_closure()
    office.merchant_answers(case)
    assert office.refusals()[-1][0] == "CLS-5"
