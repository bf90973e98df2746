"""A decision is what a person decided: what SQL writes into the table is asked again, and the supervisor hears of it."""

from __future__ import annotations

import pytest
from alembic import command

from models.cases import Case, CaseState
from models.reviews import ReviewState
from office.base import db
from office.base.db import in_transaction
from office.record import outbox
from ops import migrate
from tests.core.sql import read, write
from tests.play import Office


@pytest.fixture
def case(office: Office) -> Case:
    office.open_shop()
    return office.request_closure()


def wake(office: Office, case: Case) -> None:
    in_transaction(lambda tx: outbox.wake(tx, tx.get_one(Case, case.id)))
    office.settle()


FORGED = """
    UPDATE review SET state = 'DECIDED', decided_by = 'li-na', verdict = 'APPROVE', reason = '同意', decided_at = opened_at,
        decision_seal = :seal WHERE case_id = :case
"""


@pytest.mark.parametrize("seal", [None, "", "0" * 64, "封"])
def test_a_decision_that_sql_wrote_is_nobodys_and_the_question_is_open_again(
    office: Office, case: Case, seal: str | None
) -> None:
    write(FORGED, case=case.id, seal=seal)
    wake(office, case)
    question = office.question(case)
    assert (question.state, question.decided_by) == (ReviewState.PENDING, None)
    assert "没有可信的来源" in question.notice
    assert office.case(case.id).state is CaseState.UNDER_REVIEW
    assert office.staff_told("integrity_broken") == ["supervisor"]
    assert "review.forged" in office.trail(case.id)
    office.decide(case, "li-na", "REJECT", "材料不全")
    assert office.case(case.id).outcome == "REJECTED"


def test_the_seal_of_one_decision_does_not_fit_another(office: Office, case: Case) -> None:
    office.open_shop("shop-2")
    other = office.request_closure("shop-2")
    office.decide(other, "li-na", "APPROVE", "同意")
    [seal] = read("SELECT decision_seal FROM review WHERE case_id = :case AND state = 'DECIDED'", case=other.id)
    write(FORGED, case=case.id, seal=seal)
    wake(office, case)
    assert office.question(case).decided_by is None


@pytest.mark.parametrize(
    "change", ["verdict = 'APPROVE'", "decided_by = 'zhao-min'", "reason = 'x'", "answer = '{\"days\": 99}'"]
)
def test_a_decision_that_sql_changed_before_it_was_acted_on_is_asked_again(
    office: Office, case: Case, change: str
) -> None:
    settle, office.settle = office.settle, lambda: None  # type: ignore[method-assign]
    office.decide(case, "li-na", "REJECT", "材料不全")
    write(f"UPDATE review SET {change} WHERE case_id = :case", case=case.id)
    office.settle = settle  # type: ignore[method-assign]
    wake(office, case)
    assert office.question(case).state is ReviewState.PENDING
    assert office.case(case.id).outcome is None


def test_an_office_of_the_version_before_goes_on_with_what_it_decided_and_sealed(office: Office) -> None:
    """Back to the tables of that version and up again, with a refund under way."""
    office.closed_shop()
    refund = office.request_refund()
    office.decide(refund, "wang-fang", "APPROVE")
    with db.engine().connect() as connection:
        made = migrate.config()
        made.attributes["connection"] = connection
        command.stamp(made, "head")
        command.downgrade(made, "0006")
        connection.commit()
    db.dispose()
    assert all(value.startswith("gAAAA") for value in read("SELECT totp_sealed FROM staff"))
    migrate.upgrade()
    db.dispose()
    assert None not in read("SELECT decision_seal FROM review WHERE state = 'DECIDED'")
    wake(office, refund)
    office.bank(f"{refund.id}-P1")
    assert office.case(refund.id).outcome == "REFUNDED"
    assert office.books() == [] == office.chains()
