"""Wrong codes under somebody's id: they count where they were typed, and keep the holder out of nothing for long."""

from __future__ import annotations

from datetime import timedelta

import pytest

from models.cases import Case
from office.base.db import in_transaction, reading
from office.cases import confirmations, hands, reviews
from office.cases import gates as review_gates
from office.staff import guard, staff
from office.staff.guard import Place
from tasks.sight.lines import audit_lines
from tests.core.sql import write
from tests.play import Office

pytestmark = pytest.mark.both

WRONG = "000000"


@pytest.fixture
def case(office: Office) -> Case:
    office.open_shop()
    return office.request_closure()


def in_the_form(office: Office, case: Case, staff_id: str, code: str) -> review_gates.Outcome:
    """An answer that came through Prefect's form, which carries the time it was sent."""
    asked = office.question(case)
    given = review_gates.Answer(
        review_id=asked.id,
        revision=asked.revision,
        staff_id=staff_id,
        code=code,
        verdict="APPROVE",
        given_at=office.clock.at,
        through=Place.FORM,
    )
    gate = reviews.gate_of(asked)
    outcome = in_transaction(lambda tx: confirmations.take_form_answer(tx, asked.id, gate, given))
    office.settle()
    return outcome


def lock_the_form(office: Office, case: Case, staff_id: str = "li-na") -> None:
    for _ in range(5):
        last = in_the_form(office, case, staff_id, WRONG)
    assert "锁定" in last.sentence


def test_wrong_codes_in_the_form_leave_the_terminal_alone(office: Office, case: Case) -> None:
    lock_the_form(office, case)
    assert office.staff_told("staff_locked") == ["supervisor"]
    assert office.answer(office.question(case), "li-na", "APPROVE").accepted


def test_the_holders_second_code_in_a_row_opens_the_lock(office: Office, case: Case) -> None:
    lock_the_form(office, case)
    first = in_the_form(office, case, "li-na", office.code("li-na"))
    assert not first.accepted and "下一个口令" in first.sentence
    assert in_the_form(office, case, "li-na", office.code("li-na")).accepted


def test_who_guesses_learns_nothing_from_a_first_right_code(office: Office, case: Case) -> None:
    lock_the_form(office, case)
    right = office.code("li-na")
    wrong = in_the_form(office, case, "li-na", WRONG).sentence
    assert in_the_form(office, case, "li-na", right).sentence == wrong


@pytest.mark.parametrize(("seconds", "opens"), [(-1, True), (0, True), (30, False)])
def test_the_second_code_must_follow_soon(office: Office, case: Case, seconds: int, opens: bool) -> None:
    """Five minutes by policy, counted in the codes' own steps of half a minute."""
    office.clock.at = office.clock.at.replace(second=0, microsecond=0)
    lock_the_form(office, case)
    in_the_form(office, case, "li-na", office.code("li-na"))
    office.clock.advance(timedelta(minutes=5, seconds=seconds - 30))
    assert in_the_form(office, case, "li-na", office.code("li-na")).accepted is opens


def test_wrong_codes_between_the_holders_two_change_nothing(office: Office, case: Case) -> None:
    lock_the_form(office, case)
    in_the_form(office, case, "li-na", office.code("li-na"))
    for _ in range(7):
        in_the_form(office, case, "li-na", WRONG)
    assert in_the_form(office, case, "li-na", office.code("li-na")).accepted
    assert office.staff_told("staff_locked") == ["supervisor"], "told once for one lock"


@pytest.mark.parametrize(("seconds", "locked"), [(-1, True), (0, False), (1, False)])
def test_a_lock_ends_by_itself(office: Office, case: Case, seconds: int, locked: bool) -> None:
    lock_the_form(office, case)
    with reading() as tx:
        until = guard.locked_until(tx, staff.find(tx, "li-na"), Place.FORM, office.clock.at)
    assert until is not None
    office.clock.at = until + timedelta(seconds=seconds - 30)
    assert in_the_form(office, case, "li-na", office.code("li-na")).accepted is not locked


def test_nothing_unproved_stands_in_the_history_in_anybodys_name(office: Office, case: Case) -> None:
    lock_the_form(office, case)
    office.answer(office.question(case), "nobody-we-know", "APPROVE", code=WRONG)
    office.decide(case, "zhao-min", "APPROVE")
    office.answer(office.reviews(case)[0], "li-na", "REJECT", "太晚了", code=WRONG)
    with reading() as tx:
        for stream in (case.id, "staff/li-na"):
            lines = [
                line
                for line in audit_lines(tx, stream)
                if line.action in {"review.refused", "staff.wrong_code", "staff.locked"}
            ]
            assert lines and all(line.who == "未证明身份" and line.actor == "unproved" for line in lines)
    assert office.chains() == []


def test_what_a_proved_person_may_not_do_stands_in_their_name(office: Office, case: Case) -> None:
    office.answer(office.question(case), "wang-fang", "APPROVE")
    with reading() as tx:
        (line,) = [line for line in audit_lines(tx, case.id) if line.action == "review.refused"]
    assert line.actor == "staff/wang-fang"


def test_a_supervisor_unlocks_with_their_own_code_and_nobody_else(office: Office, case: Case) -> None:
    lock_the_form(office, case)
    for who, code, why in (("zhao-min", office.code("zhao-min"), "只有主管"), ("he-qiang", WRONG, "口令不正确")):
        proof = in_transaction(lambda tx, who=who, code=code: staff.unlock(tx, "li-na", who, code))  # type: ignore[misc]
        assert not proof.ok and why in proof.sentence
    code = office.code("he-qiang")
    assert in_transaction(lambda tx: staff.unlock(tx, "li-na", "he-qiang", code)).ok
    assert in_the_form(office, case, "li-na", office.code("li-na")).accepted
    again = office.code("he-qiang")
    assert "未被锁定" in in_transaction(lambda tx: staff.unlock(tx, "li-na", "he-qiang", again)).sentence
    assert "staff.unlocked" in office.trail("staff/li-na")


@pytest.mark.parametrize("act", [hands.claim, hands.release])
def test_claiming_and_releasing_are_proved(office: Office, case: Case, act: object) -> None:
    """A claim keeps others from deciding: it is no note that anybody may write in somebody's name."""
    review = office.question(case)
    code = office.code("li-na")
    assert in_transaction(lambda tx: hands.claim(tx, review.id, "li-na", code)).accepted
    for bad in ("", WRONG, code):
        assert not in_transaction(lambda tx, bad=bad: act(tx, review.id, "li-na", bad)).accepted  # type: ignore[operator]
    assert office.question(case).claimed_by == "li-na"


def test_no_code_of_the_future_that_sql_says_was_used_keeps_anybody_out(office: Office, case: Case) -> None:
    write("INSERT INTO spent_code (staff_id, step, at) VALUES ('li-na', 99999999, '2026-11-19 00:00:00')")
    write("INSERT INTO installation (key, value) VALUES ('form_codes_after', '99999999')")
    assert in_the_form(office, case, "li-na", office.code("li-na")).accepted


@pytest.mark.parametrize(
    "meddled",
    [
        "DELETE FROM code_guard",
        "UPDATE code_guard SET wrong = 0, locked_until = NULL, first_step = {last}",
        "UPDATE code_guard SET wrong = -99, locked_until = NULL, first_step = {last}",
    ],
)
def test_nobody_guesses_codes_because_sql_takes_away_what_was_counted(office: Office, case: Case, meddled: str) -> None:
    def meddle() -> None:
        write(meddled.format(last=int(office.clock.at.timestamp()) // staff.STEP))

    for _ in range(16):
        assert not in_the_form(office, case, "li-na", WRONG).accepted
        meddle()
    assert "supervisor" in office.staff_told("staff_locked")
    guessed = office.code("li-na")
    meddle()
    assert not in_the_form(office, case, "li-na", guessed).accepted
    code = office.code("he-qiang")
    assert in_transaction(lambda tx: staff.unlock(tx, "li-na", "he-qiang", code)).ok
    assert in_the_form(office, case, "li-na", office.code("li-na")).accepted


def test_who_guesses_in_the_form_while_sql_takes_away_the_lock_locks_nothing_else(office: Office, case: Case) -> None:
    for _ in range(16):
        in_the_form(office, case, "li-na", WRONG)
        write("DELETE FROM code_guard")
    assert office.answer(office.question(case), "li-na", "APPROVE").accepted
