"""What was asked, answered, taken back and objected to is what the record says: no row that SQL wrote undoes any of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from models.books import AccountKind
from office.base.db import in_transaction
from office.base.settings import settings
from office.cases import judge, retrying
from tasks.sight import examination
from tests.core.sql import read, write
from tests.core.test_decided_as import BIG, asleep, of_gate, ordered
from tests.core.test_sql_authority import TONIGHT, findings
from tests.play import Office

UNDECIDED = "decided_by = NULL, decided_at = NULL, verdict = NULL"


def told(office: Office) -> set[str]:
    return {*office.staff_told("integrity_broken"), *office.staff_told("engine_alarm")}


# ── questions ──


@pytest.mark.parametrize("state", ["WITHDRAWN", "SUPERSEDED"])
@pytest.mark.parametrize("gate", ["forced-first", "forced-second"])
def test_a_ban_is_not_dropped_because_sql_took_a_question_back(office: Office, gate: str, state: str) -> None:
    office.open_shop()
    case = office.propose_forced_closure()
    if gate == "forced-second":
        office.decide(case, "li-na", "CONFIRM")
    write("UPDATE review SET state = :s WHERE gate = :g", s=state, g=gate)
    assert any("question" in problem for problem in office.chains())
    for _ in range(2):
        office.carrier.signal(case.id)
        office.settle()
    assert office.case(case.id).outcome is None and office.question(case).gate == gate
    assert told(office) == {"supervisor"}
    if gate == "forced-first":
        office.decide(case, "li-na", "CONFIRM")
    office.decide(case, "he-qiang", "CONFIRM")
    assert office.case(case.id).outcome == "FORCED_CLOSED" and office.chains() == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE review SET state = 'WITHDRAWN' WHERE gate = 'refund-review'",
        'UPDATE "case" SET withdrawn_at = opened_at',
    ],
)
def test_a_refund_is_not_taken_back_by_sql(office: Office, change: str) -> None:
    office.closed_shop()
    case = office.request_refund()
    write(change)
    office.carrier.signal(case.id)
    office.settle()
    assert office.case(case.id).outcome is None and told(office) == {"supervisor"}
    office.decide(case, "wang-fang", "APPROVE")
    assert ordered(office, case) == [400_000]


@pytest.mark.parametrize("state", ["SUPERSEDED", "WITHDRAWN", "PENDING"])
def test_a_refusal_is_not_forgotten(office: Office, state: str) -> None:
    office.closed_shop(deposit_fen=BIG)
    case = office.request_refund(fen=BIG)
    office.decide(case, "wang-fang", "APPROVE")
    with asleep(office, case):
        office.decide(case, "chen-jie", "REJECT", "不同意")
        write(f"UPDATE review SET state = :s, {UNDECIDED} WHERE gate = 'refund-second'", s=state)
    assert office.case(case.id).outcome == "REJECTED" and ordered(office, case) == []
    assert told(office) == {"supervisor"}
    [row] = [review for review in office.reviews(case) if review.gate == "refund-second"]
    assert (row.decided_by, row.verdict, row.reason) == ("chen-jie", "REJECT", "不同意")


def test_nobody_answers_anew_what_a_colleague_has_refused(office: Office) -> None:
    office.closed_shop(deposit_fen=BIG)
    case = office.request_refund(fen=BIG)
    office.decide(case, "wang-fang", "APPROVE")
    with asleep(office, case):
        office.decide(case, "chen-jie", "REJECT", "不同意")
        write(f"UPDATE review SET state = 'PENDING', {UNDECIDED} WHERE gate = 'refund-second'")
        outcome = office.answer(office.question(case), "he-qiang", "CONFIRM", "同意")
        assert not outcome.accepted
    assert office.case(case.id).outcome == "REJECTED" and ordered(office, case) == []


def test_a_state_that_the_record_does_not_know_is_told_the_next_night(office: Office) -> None:
    office.open_shop()
    case = office.propose_forced_closure()
    assert office.chains() == []
    write("UPDATE review SET state = 'WITHDRAWN'")
    office.clock.at = TONIGHT
    for _ in range(2):
        examination.examine()
    assert findings(office).count(f"question {of_gate(office, case, 'forced-first')}") == 1


# ── objections, and the time for them ──


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIANWU_CONFIRMATION", "window")
    settings.cache_clear()


def test_what_was_objected_to_does_not_count_after_all(office: Office, window: None) -> None:
    office.closed_shop()
    case = office.request_refund()
    review = office.question(case)
    assert office.fill_in(review, "wang-fang", "APPROVE").accepted  # somebody turned her 驳回 round
    assert office.object_to(review, "wang-fang").accepted
    write("UPDATE confirmation SET state = 'OPEN', closed_at = NULL, closed_by = '', note = ''")
    write(
        "UPDATE case_deadline SET state = 'OPEN', closed_at = NULL, next_action_at = due_at WHERE kind = 'confirmation'"
    )
    office.pass_time(hours=5)
    assert ordered(office, case) == [] and office.question(case).decided_by is None
    assert "review.held_forged" in office.trail(case.id) and told(office) == {"supervisor"}


def test_the_time_to_object_is_the_time_that_was_said(office: Office, window: None) -> None:
    office.closed_shop()
    case = office.request_refund()
    assert office.fill_in(office.question(case), "wang-fang", "APPROVE").accepted
    [due] = read("SELECT due_at FROM confirmation")
    write("UPDATE case_deadline SET due_at = started_at, next_action_at = started_at WHERE kind = 'confirmation'")
    for _ in range(2):
        office.pass_time(seconds=30)
    assert ordered(office, case) == [] and office.question(case).decided_by is None
    assert read("SELECT due_at FROM case_deadline WHERE kind = 'confirmation'") == [due]
    assert "review.held_early" in office.trail(case.id) and told(office) == {"supervisor"}
    office.pass_time(hours=5)
    assert ordered(office, case) == [400_000]


def objected(office: Office) -> tuple[str, str]:
    """A refund that is approved, waits for fresh facts, and is objected to: its case, and who let it go on by SQL."""
    office.closed_shop()
    case = office.request_refund(fen=100_000)
    review = office.question(case)
    office.platform_answers = False
    office.clock.advance(timedelta(hours=30))
    office.decide(case, "wang-fang", "APPROVE")
    assert office.object_to(review, "wang-fang").accepted
    write('UPDATE "case" SET halted = NULL')
    return case.id, review.id


def test_an_objection_is_not_lifted_by_sql(office: Office) -> None:
    case_id, _ = objected(office)
    office.reported["shop-1"] = office.reported.get("shop-1", {})
    with pytest.raises(Exception, match="异议"):
        office.snapshot()
    assert office.events("deposit.payout.requested") == []
    assert (office.case(case_id).halted or "").endswith("的决定提出异议") and told(office) >= {"supervisor"}


def test_nor_by_whoever_may_retry_a_case_that_a_fault_has_stopped(office: Office) -> None:
    case_id, _ = objected(office)
    assert not in_transaction(lambda tx: retrying.retry(tx, case_id, "wang-fang")).accepted
    code = office.code("he-qiang")
    assert in_transaction(lambda tx: retrying.retry(tx, case_id, "he-qiang", code)).accepted
    case = office.case(case_id)
    assert not in_transaction(lambda tx: judge.disputed(tx, case))
    office.settle()
    office.snapshot()
    assert len(office.events("deposit.payout.requested")) == 1


# ── messages ──


def test_a_settlement_does_not_become_a_return(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    office.decide(case, "wang-fang", "APPROVE")
    office.bank(f"{case.id}-P1", "settled")
    assert office.case(case.id).outcome == "REFUNDED"
    write(
        "UPDATE inbox SET type = 'payout.returned', state = 'NEW', next_at = received_at WHERE type = 'payout.settled'"
    )
    for _ in range(2):
        office.sweep()
    assert office.case(case.id).outcome == "REFUNDED" and ordered(office, case) == [400_000]
    assert read("SELECT COUNT(*) FROM inbox WHERE type = 'payout.settled' AND state = 'DONE'") == [1]
    assert office.staff_told("integrity_broken") == ["supervisor"]


@pytest.mark.parametrize("change", ["type = 'nothing.we.know'", "shop_id = 'shop-2'", "shop_id = NULL"])
def test_what_came_is_acted_on_as_it_came(office: Office, change: str) -> None:
    office.open_shop("shop-2")
    office.open_shop("shop-1")
    office.receive("shop.updated", {"shop_id": "shop-1", "owner_account_id": "acct-new"})
    write(f"UPDATE inbox SET {change} WHERE state = 'NEW'")
    office.sweep()
    assert office.shop("shop-1").owner_account_id == "acct-new"
    assert office.staff_told("integrity_broken") == ["supervisor"]


def test_a_case_goes_by_the_rules_and_the_time_that_it_was_opened_under(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    was = (case.policy_version, case.received_at)
    write(
        "UPDATE \"case\" SET policy_version = '2026-12-01', received_at = '2026-01-02 00:00:00' WHERE id = :id",
        id=case.id,
    )
    office.decide(case, "wang-fang", "APPROVE")
    now = office.case(case.id)
    assert (now.policy_version, now.received_at) == was and told(office) == {"supervisor"}
    assert len(office.staff_told("integrity_broken")) == 1 and office.chains() == []


def test_nobody_is_paid_out_of_another_shops_money_because_sql_has_moved_the_case(office: Office) -> None:
    office.closed_shop("shop-2")
    office.closed_shop("shop-1")
    case = office.request_refund()
    with asleep(office, case):
        office.decide(case, "wang-fang", "APPROVE")
        write("UPDATE \"case\" SET shop_id = 'shop-2' WHERE id = :id", id=case.id)
    assert office.balance(AccountKind.DEPOSIT, "shop-2") == 400_000
    assert office.case(case.id).shop_id == "shop-1" and told(office) == {"supervisor"}
