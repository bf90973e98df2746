"""A yes counts at the act only while whoever gave it may still give it: who was dismissed or lost the role is not one of two."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from models.reviews import ReviewState, Role
from models.shops import ShopState
from office.base.db import in_transaction
from office.staff import people, staff
from tests.core.sql import write
from tests.deaths import Died, mortal
from tests.play import Office
from tests.settlement import kit
from tests.stories.test_approvals import first_has_approved, paid

CLOSURE, FINANCE = Role.CLOSURE_REVIEWER, Role.FINANCE


def dismissed(who: str) -> None:
    in_transaction(lambda tx: staff.set_active(tx, who, False))


def without_the_role(who: str) -> None:
    in_transaction(lambda tx: staff.enrol(tx, who, who, [Role.INVOICE_CLERK]))


def unlike_the_record(who: str) -> None:
    """Somebody dismissed whom SQL has taken back."""
    dismissed(who)
    write("UPDATE staff SET active = :active WHERE id = :who", active=True, who=who)


GONE = pytest.mark.parametrize("gone", [dismissed, without_the_role, unlike_the_record])
Gone = Callable[[str], None]


@GONE
def test_a_ban_is_decided_by_two_who_may_decide_it_when_it_is_carried_out(office: Office, gone: Gone) -> None:
    """CLS-10: the second alone bans nobody; the question goes back by itself."""
    office.open_shop()
    case = office.propose_forced_closure()
    office.decide(case, "li-na", "CONFIRM")
    shown = office.question(case)
    gone("li-na")
    assert not office.answer(shown, "he-qiang", "CONFIRM", "同意").accepted
    again = office.question(case)
    assert (again.gate, again.round) == ("forced-first", 2) and office.shop().state is ShopState.OPEN
    assert "review.overtaken" in office.trail(case.id)
    office.decide(case, "zhao-min", "CONFIRM")
    office.decide(case, "he-qiang", "CONFIRM")
    assert office.case(case.id).outcome == "FORCED_CLOSED"


@GONE
def test_who_goes_between_the_last_yes_and_the_act_has_not_agreed_to_it(office: Office, gone: Gone) -> None:
    """CLS-10, whichever of the two."""
    office.open_shop()
    case = office.propose_forced_closure()
    office.decide(case, "li-na", "CONFIRM")
    with mortal(lambda when, key: when == "before" and "forced_closures.execute" in key), pytest.raises(Died):
        office.decide(case, "he-qiang", "CONFIRM")
    gone("he-qiang")
    office.clock.advance(timedelta(seconds=61))
    office.settle()
    again = office.question(case)
    assert (again.gate, again.round) == ("forced-first", 2) and office.shop().state is ShopState.OPEN


def test_the_question_goes_back_the_moment_the_first_is_dismissed(office: Office) -> None:
    """REF-7: nobody need answer it in vain; nothing is paid on one yes."""
    case = first_has_approved(office)
    dismissed("wang-fang")
    office.settle()
    again = office.question(case)
    assert (again.gate, again.round) == ("refund-review", 2) and paid(office) == []
    assert [one.state for one in office.reviews(case) if one.gate == "refund-second"] == [ReviewState.SUPERSEDED]


def test_who_comes_back_before_it_was_looked_at_has_agreed_all_along(office: Office) -> None:
    case = first_has_approved(office)

    def mistaken(tx: people.Tx) -> None:
        staff.set_active(tx, "wang-fang", False)
        staff.set_active(tx, "wang-fang", True)

    in_transaction(mistaken)
    office.settle()
    office.decide(case, "chen-jie", "CONFIRM")
    assert paid(office) == [2_000_000]


def test_a_half_is_paid_on_the_word_of_who_may_release_it(office: Office) -> None:
    """STL-1: it is drafted and released anew."""
    kit.ours(office)
    kit.confirm(office, kit.order(goods=200_000_000))
    kit.on_first_of_december(office)
    case = kit.run(office)
    assert office.question(case).gate == "settlement-second"
    dismissed("wang-fang")
    office.settle()
    office.decide(case, "he-qiang", "CONFIRM")
    assert (office.question(case).gate, kit.payments(office)) == ("settlement-release", [])
    office.decide(case, "chen-jie", "RELEASE")
    office.decide(case, "he-qiang", "CONFIRM")
    assert len(kit.payments(office)) == 1
    kit.sound(office)
