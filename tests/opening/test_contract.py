"""The online contract: an open shop that has not signed is reminded until it has (OPN-12)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from models.cases import Case, CaseState
from models.opening import ShopContract
from models.settlement import HoldReason
from office.base.db import Tx, in_transaction, reading
from tasks.settlement import drafts
from tasks.shops import contracts
from tests.opening.bench import Applicant, unsigned
from tests.play import Office


def reminders(office: Office) -> int:
    return office.told().count("contract_unsigned")


@pytest.mark.parametrize(("seconds", "told"), [(-1, 0), (0, 1), (1, 1)])
def test_who_has_not_signed_is_reminded_after_three_days_to_the_second_and_once(
    office: Office, seconds: int, told: int
) -> None:
    """OPN-12"""
    unsigned(office)
    with reading() as tx:
        offered = tx.exec(select(ShopContract.offered_at)).one()
    office.clock.at = offered + timedelta(days=3, seconds=seconds)
    assert (contracts.sweep(), contracts.sweep()) == (told, 0)
    assert reminders(office) == told


def test_reminders_end_with_the_signature_and_days_that_went_by_unseen_bring_one(office: Office) -> None:
    """OPN-12: nothing is settled before, and that is said."""
    applicant = unsigned(office)
    office.clock.advance(timedelta(days=16))  # two reminders were due: 3, 7 and 15 days
    assert (contracts.sweep(), contracts.sweep()) == (1, 0)
    assert office.message("contract_unsigned")["days"] == 16
    with reading() as tx:
        assert drafts.hold_now(tx, "shop-1") is HoldReason.CONTRACT
    applicant.sign()
    office.clock.advance(timedelta(days=30))
    assert contracts.sweep() == 0 and reminders(office) == 1


def test_no_two_open_applications_of_an_account_can_be_written(office: Office) -> None:
    """OPN-2: by the database, also for two that are taken up at the same moment; one that has ended keeps nobody out."""
    first = Applicant(office, owner="acct-1")
    second = Applicant(office, shop_id="shop-2", owner="acct-1")
    assert (second.now.outcome, second.now.outcome_clause) == ("REFUSED", "OPN-2")

    def take_up_too(tx: Tx) -> None:
        other = tx.get_one(Case, second.case.id)
        other.sole, other.concluded_at, other.outcome = tx.get_one(Case, first.case.id).sole, None, None

    with pytest.raises(IntegrityError):
        in_transaction(take_up_too)
    first.send("opening.withdrawn")
    assert Applicant(office, shop_id="shop-3", owner="acct-1").now.concluded_at is None


def test_an_application_that_was_taken_up_comes_before_one_that_was_opened_earlier(office: Office) -> None:
    """OPN-2: whoever of two at once is taken up first is; the other one reads of it."""
    first = Applicant(office, owner="acct-1")

    def as_if_opened_later(tx: Tx) -> None:
        case = tx.get_one(Case, first.case.id)
        case.state, case.opened_at = CaseState.SUBMITTED, case.opened_at + timedelta(hours=1)

    in_transaction(as_if_opened_later)
    assert Applicant(office, shop_id="shop-2", owner="acct-1").now.outcome_clause == "OPN-2"
