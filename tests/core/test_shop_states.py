"""What a shop is, since when, and that the bank's contradiction about its money is open, is what the record says."""

from __future__ import annotations

import pytest

from office.base.db import in_transaction, reading
from tasks.payouts import contradictions
from tasks.shops import states
from tasks.sight import examination
from tests.core.sql import read, write
from tests.opening.test_reopening import closed, later
from tests.play import Office
from tests.settlement import kit
from tests.stories.test_bank_contradictions import after, clear


def test_a_shop_that_sql_has_closed_gets_no_refund(office: Office) -> None:
    office.open_shop()
    write(
        "UPDATE shop SET state = 'CLOSED', closed_at = registered_at, reopen_from = registered_at WHERE id = 'shop-1'"
    )
    assert any("shop/shop-1" in problem for problem in office.chains())
    case = office.request_refund()
    assert (office.case(case.id).outcome, read("SELECT state FROM shop")) == ("REFUSED", ["OPEN"])
    assert office.staff_told("integrity_broken") == ["supervisor"] and office.chains() == []


def test_a_refund_under_way_goes_by_what_the_shop_is(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    [since] = read("SELECT closed_at FROM shop")
    write("UPDATE shop SET state = 'OPEN', closed_at = NULL WHERE id = 'shop-1'")
    office.decide(case, "wang-fang", "APPROVE")  # by its row it stood in the way
    assert office.case(case.id).state == "PAYING"
    assert read("SELECT state FROM shop") == ["CLOSED"] and read("SELECT closed_at FROM shop") == [since]
    assert "integrity_broken" in {row.topic for row in office.outbox()} and office.chains() == []


@pytest.mark.parametrize(
    "change",
    [
        "closed_at = '2025-01-01 00:00:00.000000', reopen_from = '2025-07-01 00:00:00.000000'",
        "state = 'APPLYING'",
    ],
)
def test_a_shop_does_not_come_back_earlier_because_sql_says_it_closed_earlier(office: Office, change: str) -> None:
    applicant = closed(office)
    [before] = read("SELECT closed_at FROM shop")
    write(f"UPDATE shop SET {change} WHERE id = 'shop-1'")
    case = applicant.reopen()
    assert office.case(case.id).outcome_clause == "REO-1" and read("SELECT closed_at FROM shop") == [before]
    assert office.chains() == []


def test_the_record_lets_a_shop_come_back_when_it_may(office: Office) -> None:
    applicant = closed(office)
    later(office)
    assert office.case(applicant.reopen().id).outcome is None and office.chains() == []


def test_a_half_pays_no_shop_whose_ban_sql_has_undone(office: Office) -> None:
    kit.ours(office)
    kit.confirm(office, kit.order())
    case = office.propose_forced_closure()
    office.decide(case, "li-na", "CONFIRM")
    office.decide(case, "he-qiang", "CONFIRM")
    write("UPDATE shop SET state = 'OPEN', closed_at = NULL WHERE id = 'shop-1'")
    kit.on_first_of_december(office)
    kit.run(office)
    assert kit.payments(office) == [] and read("SELECT state FROM shop") == ["FORCED_CLOSED"]
    assert "supervisor" in office.staff_told("integrity_broken")


def test_what_a_shop_of_an_earlier_version_is_stands_in_the_record_from_the_first_sweep_on(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    said_now = states.said
    monkeypatch.setattr(states, "said", lambda shop: {})
    for number in range(1, 4):
        office.open_shop(f"shop-{number}")
    monkeypatch.setattr(states, "said", said_now)
    monkeypatch.setattr(examination, "SHOPS", 2)
    for _ in range(3):
        examination.examine()
    assert [office.trail(f"shop/shop-{number}").count("shop.found") for number in range(1, 4)] == [1, 1, 1]
    write(
        "UPDATE shop SET state = 'CLOSED', closed_at = registered_at, reopen_from = registered_at WHERE id = 'shop-3'"
    )
    assert any("shop/shop-3" in problem for problem in office.chains())
    assert office.case(office.request_refund("shop-3").id).outcome == "REFUSED"
    assert office.staff_told("integrity_broken") == ["supervisor"] and office.chains() == []


def test_a_contradiction_of_the_bank_that_sql_has_closed_is_in_the_way_until_two_people_have_ended_it(
    office: Office,
) -> None:
    after(office, ("failed", 400_000), ("settled", 400_000))
    write("UPDATE bank_contradiction SET closed_at = received_at, verdict = 'BOOKS', closed_by = 'wang-fang,he-qiang'")
    with reading() as tx:
        [row] = contradictions.open_for(tx, "shop-1")
    assert any(row.id in problem for problem in office.chains())
    for _ in range(2):
        in_transaction(contradictions.put_right)  # as before a half is drafted
    assert office.staff_told("integrity_broken") == ["supervisor"]
    assert read("SELECT closed_at FROM bank_contradiction") == [None] and office.chains() == []
    clear(office, "BOOKS")
    with reading() as tx:
        assert contradictions.open_for(tx, "shop-1") == []
    in_transaction(contradictions.put_right)
    assert office.staff_told("integrity_broken") == ["supervisor"] and office.chains() == []


@pytest.mark.parametrize(
    "change", ["DELETE FROM bank_contradiction", "UPDATE bank_contradiction SET shop_id = 'shop-2', kind = 'UNKNOWN'"]
)
def test_a_contradiction_that_sql_has_taken_away_or_made_anothers_is_put_back_and_told(
    office: Office, change: str
) -> None:
    office.open_shop("shop-2")
    after(office, ("failed", 400_000), ("settled", 400_000))
    before = read("SELECT request_no FROM bank_contradiction WHERE shop_id = 'shop-1'")
    write(change)
    for _ in range(2):
        examination.examine()
    assert read("SELECT request_no FROM bank_contradiction WHERE shop_id = 'shop-1'") == before
    assert office.staff_told("integrity_broken") == ["supervisor"] and office.chains() == []
