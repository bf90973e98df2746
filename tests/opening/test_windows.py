"""Windows of an application: the last second counts, silence ends it, and it is taken up again (OPN-2, OPN-6)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.opening.bench import IDENTITY, PRODUCTS, Applicant
from tests.play import SILENCE, Office

KEY = "opening-tasks/MATERIALS/1"


def almost(office: Office) -> Applicant:
    """Everything but the training is here."""
    applicant = Applicant(office)
    applicant.basics()
    applicant.entity_info()
    applicant.papers(IDENTITY, PRODUCTS)
    return applicant


@pytest.mark.parametrize("seconds, taken", [(-1, True), (0, True), (1, False)])
def test_the_last_second_of_thirty_days_counts(office: Office, seconds: int, taken: bool) -> None:
    applicant = almost(office)
    due = office.deadline(applicant.case, KEY)
    assert due.due_at - due.started_at == timedelta(days=30)
    office.clock.at = due.due_at + timedelta(seconds=seconds)
    applicant.training()
    assert (applicant.now.state == "UNDER_REVIEW") is taken
    if not taken:
        assert office.refusals()[-1][1].startswith("提交期限已过")
        office.pass_time(seconds=SILENCE.total_seconds())
        assert applicant.now.outcome == "LAPSED"


def test_silence_ends_it_and_it_is_taken_up_again_without_sending_what_is_here(office: Office) -> None:
    """OPN-6: reminded before, told after; the next application has what was brought, and lacks what was not."""
    applicant = almost(office)
    office.pass_time(days=27)
    office.pass_time(days=2)
    assert office.told(applicant.case).count("merchant_deadline_reminder") == 2
    office.pass_time(days=1, minutes=1)
    assert applicant.now.outcome == "LAPSED" and office.told(applicant.case)[-1] == "opening_lapsed"
    first = applicant.case
    applicant.apply()
    assert applicant.case.id != first.id and applicant.missing() == ["TRAINING"]
    applicant.training()
    assert applicant.now.state == "UNDER_REVIEW"
    applicant.approve()


def test_a_file_that_came_in_time_counts_though_its_sweep_comes_later(office: Office) -> None:
    """OPN-4: the paper was named and its file staged before the end; nobody had looked yet."""
    applicant = almost(office)
    office.clock.at = office.deadline(applicant.case, KEY).due_at
    office.receive(
        "opening.training_completed",
        applicant.own()
        | {
            "course": "新商家必修课",
            "completed_at": office.clock.at.isoformat(),
        },
    )
    office.pass_time(minutes=5)
    assert applicant.now.outcome is None and applicant.missing() == []


def test_an_application_is_withdrawn_until_its_deposit_is_asked_for(office: Office) -> None:
    """OPN-2, OPN-13."""
    applicant = almost(office)
    applicant.send("opening.withdrawn")
    assert applicant.now.outcome == "WITHDRAWN" and office.told(applicant.case)[-1] == "opening_withdrawn"
    applicant.apply()
    applicant.training()
    applicant.approve()
    applicant.finishing()
    applicant.approve()
    applicant.send("opening.withdrawn")
    assert applicant.now.outcome is None and office.refusals()[-1][0] == "OPN-13"


def test_a_deposit_that_is_not_paid_ends_the_application_and_opens_the_shop_when_it_is(office: Office) -> None:
    """OPN-13, DEP-10, ambiguity 36: window, a person's decision, and nothing is lost."""
    applicant = almost(office)
    applicant.training()
    applicant.approve()
    applicant.finishing()
    applicant.approve()
    office.pass_time(days=15, minutes=1)
    demand = next(case for case in office.cases() if case.kind == "deposit-demand")
    office.decide(demand, "wang-fang", "SUSPEND")
    assert applicant.now.outcome == "LAPSED" and applicant.now.outcome_clause == "OPN-13"
    office.pay_deposit("shop-1", 50_000)
    assert office.shop().state == "OPEN" and len(office.events("shop.capability.granted")) == 5
    assert office.books() == [] == office.chains()


def test_money_that_comes_before_it_is_asked_for_is_not_taken(office: Office) -> None:
    """OPN-13: the platform is told to send it back."""
    almost(office)
    office.pay_deposit("shop-1", 50_000)
    assert office.refusals()[-1][0] == "OPN-13" and office.events("shop.opened") == []
