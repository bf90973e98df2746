"""Who may decide, how they prove who they are, and what happens when several try (four eyes, codes, claims)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from models.cases import Case
from models.reviews import Review, ReviewState
from office.base.db import Tx, in_transaction
from office.cases import decisions, hands, reviews
from office.cases.gates import Answer, Outcome
from office.staff import staff
from tests.play import Office


@pytest.fixture
def case(office: Office) -> Case:
    """A closure waiting for its reviewer."""
    office.open_shop()
    return office.request_closure()


def given(review: Review, staff_id: str, code: str, verdict: str = "APPROVE") -> Answer:
    return Answer(review_id=review.id, revision=review.revision, staff_id=staff_id, code=code, verdict=verdict)


def acting(work: Callable[[Tx], Outcome]) -> Outcome:
    return in_transaction(work)


# ── who ──


def test_somebody_without_the_role_is_told_which_role_it_takes(office: Office, case: Case) -> None:
    outcome = office.answer(office.question(case), "wang-fang", "APPROVE")
    assert not outcome.accepted and "关店审核员" in outcome.sentence


def test_somebody_unknown_and_somebody_dismissed_hear_the_same(office: Office, case: Case) -> None:
    in_transaction(lambda tx: staff.set_active(tx, "li-na", False))
    unknown = office.answer(office.question(case), "ghost", "APPROVE", code="000000")
    dismissed = office.answer(office.question(case), "li-na", "APPROVE")
    assert unknown.sentence == dismissed.sentence
    assert office.case(case.id).state == "UNDER_REVIEW"
    assert office.trail(case.id).count("review.refused") == 2


def test_who_is_taken_back_may_decide_again(office: Office, case: Case) -> None:
    in_transaction(lambda tx: staff.set_active(tx, "li-na", False))
    in_transaction(lambda tx: staff.set_active(tx, "li-na", True))
    office.decide(case, "li-na", "APPROVE")


def test_a_decision_is_kept_with_who_why_and_what_they_saw(office: Office, case: Case) -> None:
    shown = office.question(case)
    office.decide(case, "li-na", "REJECT", "材料不符")
    review = office.reviews(case)[0]
    assert (review.state, review.decided_by, review.reason) == (ReviewState.DECIDED, "li-na", "材料不符")
    assert review.dossier_sha256 == shown.dossier_sha256
    assert "review.decided" in office.trail(case.id)


def test_who_comes_second_is_told_who_was_first(office: Office, case: Case) -> None:
    seen = office.question(case)
    office.decide(case, "li-na", "APPROVE")
    late = office.answer(seen, "zhao-min", "REJECT", "我不同意")
    assert not late.accepted and "李娜" in late.sentence
    assert office.trail(case.id).count("review.refused") == 1


def test_who_answers_a_question_that_was_taken_back_is_told_so_and_it_is_noted(office: Office, case: Case) -> None:
    seen, code = office.question(case), office.code("li-na")
    office.withdraw(case)
    late = office.answer(seen, "li-na", "APPROVE", code=code)
    assert not late.accepted and "撤回" in late.sentence
    assert office.trail(case.id).count("review.refused") == 1
    office.open_shop("shop-2")
    other = office.request_closure("shop-2")
    assert office.answer(office.question(other), "li-na", "APPROVE", code=code).accepted  # it was not spent


def test_a_verdict_that_is_not_offered_is_refused(office: Office, case: Case) -> None:
    assert office.answer(office.question(case), "li-na", "WHATEVER").sentence == "请选择一个结论"


def test_a_form_that_shows_an_old_revision_is_turned_away(office: Office, case: Case) -> None:
    seen = office.question(case)
    office.snapshot(open_orders=1)
    stale = office.answer(seen, "li-na", "REJECT", "不同意")
    assert not stale.accepted and "已过期" in stale.sentence


# ── at once ──


def at_once(*answers: Answer) -> list[Outcome]:
    """Everybody presses the button at the same moment, each in a thread of their own."""
    start = threading.Barrier(len(answers))
    outcomes: list[Outcome] = []

    def press(answer: Answer) -> None:
        start.wait()
        outcomes.append(in_transaction(lambda tx: decisions.decide(tx, answer)))

    threads = [threading.Thread(target=press, args=(answer,)) for answer in answers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == len(answers)
    return outcomes


def test_of_two_people_pressing_at_once_one_decides_and_the_other_is_told(office: Office, case: Case) -> None:
    review = office.question(case)
    first, second = office.code("li-na"), office.code("zhao-min")
    outcomes = at_once(given(review, "li-na", first), given(review, "zhao-min", second, "REJECT"))
    assert sorted(outcome.accepted for outcome in outcomes) == [False, True]
    assert [line for line in office.trail(case.id) if line == "review.decided"] == ["review.decided"]
    assert office.trail(case.id).count("review.refused") == 1


def test_a_double_click_decides_once(office: Office, case: Case) -> None:
    answer = given(office.question(case), "li-na", office.code("li-na"))
    assert sorted(outcome.accepted for outcome in at_once(answer, answer)) == [False, True]


def test_nobody_fills_a_cases_record_with_answers_that_are_not_taken(office: Office, case: Case) -> None:
    review = office.question(case)
    said = Answer(review_id=review.id, revision=review.revision, staff_id="li-na", code="", verdict="APPROVE")

    def refused() -> int:
        for _ in range(60):
            outcome = in_transaction(lambda tx: decisions.decide(tx, said))
            assert not outcome.accepted and "没有填写动态口令" in outcome.sentence, "each hears why"
        return office.trail(case.id).count("review.refused")

    assert refused() == 50
    office.clock.advance(timedelta(hours=1))
    assert refused() == 100
    office.decide(case, "li-na", "APPROVE")
    assert office.chains() == []


def test_one_code_used_for_two_tasks_at_once_opens_one(office: Office, case: Case) -> None:
    office.open_shop("shop-2")
    other = office.request_closure("shop-2")
    code = office.code("li-na")
    outcomes = at_once(given(office.question(case), "li-na", code), given(office.question(other), "li-na", code))
    assert sorted(outcome.accepted for outcome in outcomes) == [False, True]
    assert any("已使用过" in outcome.sentence for outcome in outcomes)


# ── codes ──


def test_a_code_is_spent_by_the_answer_it_came_with_even_if_that_was_refused(office: Office, case: Case) -> None:
    code = office.code("li-na")
    assert not office.answer(office.question(case), "li-na", "REJECT", "", code=code).accepted
    again = office.answer(office.question(case), "li-na", "REJECT", "理由在此", code=code)
    assert not again.accepted and "已使用过" in again.sentence


@pytest.mark.parametrize(("seconds", "taken"), [(29, True), (89, False)])
def test_a_code_is_taken_for_one_step_longer_than_it_is_shown(
    office: Office, case: Case, seconds: int, taken: bool
) -> None:
    code = office.code("li-na")
    office.clock.advance(timedelta(seconds=seconds))
    assert office.answer(office.question(case), "li-na", "APPROVE", code=code).accepted is taken


@pytest.mark.parametrize(
    ("read_after", "taken"),
    [(timedelta(seconds=299), True), (timedelta(minutes=5), True), (timedelta(seconds=301), False)],
)
def test_an_answer_that_we_read_late_is_judged_by_the_moment_it_was_given(
    office: Office, case: Case, read_after: timedelta, taken: bool
) -> None:
    answer = given(office.question(case), "li-na", office.code("li-na"))
    answer = answer.model_copy(update={"given_at": office.clock.real()})
    office.clock.advance(read_after)
    assert in_transaction(lambda tx: decisions.decide(tx, answer)).accepted is taken


def test_an_answer_read_too_late_is_no_wrong_code_and_its_author_reads_why(office: Office, case: Case) -> None:
    for _ in range(6):
        answer = given(office.question(case), "li-na", office.code("li-na"))
        late = answer.model_copy(update={"given_at": office.clock.real() - timedelta(minutes=56)})
        assert "过晚" in in_transaction(lambda tx, late=late: decisions.decide(tx, late)).sentence
    assert office.answer(office.question(case), "li-na", "APPROVE").accepted  # nobody was locked for it


def test_a_code_that_was_passed_over_is_spent(office: Office, case: Case) -> None:
    """Somebody reads a code that was never used; its owner goes on; from then on it opens nothing."""
    office.open_shop("shop-2")
    other = office.request_closure("shop-2")
    read_by_another, at = office.code("li-na"), office.clock.real()
    office.decide(other, "li-na", "APPROVE")
    old = given(office.question(case), "li-na", read_by_another).model_copy(update={"given_at": at})
    refused = in_transaction(lambda tx: decisions.decide(tx, old))
    assert not refused.accepted and "已使用过" in refused.sentence


def test_an_answer_from_the_future_is_judged_now(office: Office, case: Case) -> None:
    later = office.clock.real() + timedelta(minutes=5)
    old = given(office.question(case), "li-na", office.code("li-na")).model_copy(update={"given_at": later})
    assert in_transaction(lambda tx: decisions.decide(tx, old)).accepted


def test_a_code_may_be_typed_full_width_and_with_blanks(office: Office, case: Case) -> None:
    code = office.code("li-na").translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    assert office.answer(office.question(case), "li-na", "APPROVE", code=f" {code[:3]} {code[3:]} ").accepted


def test_a_colleagues_code_is_a_wrong_code(office: Office, case: Case) -> None:
    assert not office.answer(office.question(case), "li-na", "APPROVE", code=office.code("zhao-min")).accepted


def test_five_wrong_codes_lock_the_person_and_tell_the_supervisor_once(office: Office, case: Case) -> None:
    for attempt in range(1, 6):
        outcome = office.answer(office.question(case), "li-na", "APPROVE", code="000000")
        assert ("锁定" in outcome.sentence) is (attempt == 5)
    assert office.staff_told("staff_locked") == ["supervisor"]
    right = office.answer(office.question(case), "li-na", "APPROVE")
    assert not right.accepted and "分钟后再试" in right.sentence
    assert office.answer(office.question(case), "zhao-min", "APPROVE").accepted  # nobody else is locked


def test_the_lock_opens_by_itself_and_the_count_begins_anew(office: Office, case: Case) -> None:
    for _ in range(5):
        office.answer(office.question(case), "li-na", "APPROVE", code="000000")
    office.clock.advance(timedelta(minutes=15, seconds=1))
    assert "锁定" not in office.answer(office.question(case), "li-na", "APPROVE", code="000000").sentence
    assert office.answer(office.question(case), "li-na", "APPROVE").accepted


def test_a_right_code_in_between_forgets_the_wrong_ones(office: Office, case: Case) -> None:
    for _ in range(4):
        office.answer(office.question(case), "li-na", "APPROVE", code="000000")
    office.answer(office.question(case), "li-na", "REJECT", "")  # right code, incomplete answer
    office.answer(office.question(case), "li-na", "APPROVE", code="000000")
    assert office.answer(office.question(case), "li-na", "APPROVE").accepted


def test_wrong_codes_for_different_tasks_are_counted_together(office: Office, case: Case) -> None:
    office.open_shop("shop-2")
    other = office.request_closure("shop-2")
    for about in (case, other, case, other, case):
        office.answer(office.question(about), "li-na", "APPROVE", code="000000")
    assert office.staff_told("staff_locked") == ["supervisor"]


def test_a_new_enrolment_makes_the_old_device_useless(office: Office, case: Case) -> None:
    old = office.code("li-na")
    office.hire("li-na", "closure-reviewer")
    assert not office.answer(office.question(case), "li-na", "APPROVE", code=old).accepted
    assert office.answer(office.question(case), "li-na", "APPROVE").accepted


def test_spent_codes_are_forgotten_only_when_they_could_not_be_used_again(office: Office, case: Case) -> None:
    code = office.code("li-na")
    office.answer(office.question(case), "li-na", "REJECT", "", code=code)
    in_transaction(staff.forget_spent_codes)
    assert "已使用过" in office.answer(office.question(case), "li-na", "APPROVE", code=code).sentence


# ── claim, release, reassign, stand in ──


def test_what_one_has_claimed_nobody_else_decides(office: Office, case: Case) -> None:
    review = office.question(case)
    assert acting(lambda tx: hands.claim(tx, review.id, "li-na", office.code("li-na"))).accepted
    assert acting(lambda tx: hands.claim(tx, review.id, "li-na", office.code("li-na"))).accepted  # again is no harm
    assert not acting(lambda tx: hands.claim(tx, review.id, "zhao-min", office.code("zhao-min"))).accepted
    other = office.answer(review, "zhao-min", "APPROVE")
    assert not other.accepted and "李娜" in other.sentence
    assert office.answer(review, "li-na", "APPROVE").accepted


def test_what_was_released_is_everybodys_again(office: Office, case: Case) -> None:
    review = office.question(case)
    acting(lambda tx: hands.claim(tx, review.id, "li-na", office.code("li-na")))
    assert not acting(lambda tx: hands.release(tx, review.id, "zhao-min", office.code("zhao-min"))).accepted
    assert not acting(lambda tx: hands.release(tx, review.id, "he-qiang", "")).accepted  # anybody could say so
    code = office.code("he-qiang")
    assert acting(lambda tx: hands.release(tx, review.id, "he-qiang", code)).accepted  # a supervisor may
    assert not acting(lambda tx: hands.release(tx, review.id, "he-qiang", code)).accepted
    assert office.answer(review, "zhao-min", "APPROVE").accepted


def test_only_a_supervisor_reassigns_and_only_to_somebody_who_may_decide(office: Office, case: Case) -> None:
    review = office.question(case)
    acting(lambda tx: hands.claim(tx, review.id, "li-na", office.code("li-na")))
    assert not reassigned(office, review, "zhao-min", "li-na").accepted
    assert not reassigned(office, review, "wang-fang", "he-qiang").accepted
    assert office.question(case).claimed_by == "li-na"
    assert not reassigned(office, review, "zhao-min", "he-qiang", "000000").accepted
    assert reassigned(office, review, "zhao-min", "he-qiang").accepted
    assert not office.answer(review, "li-na", "APPROVE").accepted
    assert office.answer(review, "zhao-min", "APPROVE").accepted


def reassigned(office: Office, review: Review, to: str, by: str, code: str = "") -> Outcome:
    code = code or office.code(by)
    return acting(lambda tx: hands.reassign(tx, review.id, to, by, code))


def test_a_dismissed_supervisor_neither_reassigns_nor_releases(office: Office, case: Case) -> None:
    review = office.question(case)
    acting(lambda tx: hands.claim(tx, review.id, "li-na", office.code("li-na")))
    in_transaction(lambda tx: staff.set_active(tx, "he-qiang", False))
    assert not reassigned(office, review, "zhao-min", "he-qiang").accepted
    code = office.code("he-qiang")
    assert not acting(lambda tx: hands.release(tx, review.id, "he-qiang", code)).accepted
    assert office.question(case).claimed_by == "li-na"


def test_of_a_decision_and_a_reassignment_at_once_the_decision_stands(office: Office, case: Case) -> None:
    review, start = office.question(case), threading.Barrier(2)
    code, answer = office.code("he-qiang"), given(review, "li-na", office.code("li-na"))

    def reassign() -> None:
        start.wait()
        acting(lambda tx: hands.reassign(tx, review.id, "zhao-min", "he-qiang", code))

    other = threading.Thread(target=reassign)
    other.start()
    start.wait()
    outcome = acting(lambda tx: decisions.decide(tx, answer))
    other.join()
    (after,) = office.reviews(case)
    held = (after.state, after.decided_by, after.claimed_by)
    assert held[:2] == (ReviewState.DECIDED, "li-na") if outcome.accepted else held[::2] == ("CLAIMED", "zhao-min")


def test_a_task_is_not_handed_to_somebody_who_was_dismissed(office: Office, case: Case) -> None:
    in_transaction(lambda tx: staff.set_active(tx, "zhao-min", False))
    review = office.question(case)
    assert not reassigned(office, review, "zhao-min", "he-qiang").accepted
    assert not acting(lambda tx: hands.claim(tx, review.id, "zhao-min", office.code("zhao-min"))).accepted


def test_a_task_that_is_decided_is_neither_claimed_nor_reassigned(office: Office, case: Case) -> None:
    review = office.question(case)
    office.decide(case, "li-na", "APPROVE")
    assert not acting(lambda tx: hands.claim(tx, review.id, "zhao-min", office.code("zhao-min"))).accepted
    assert not reassigned(office, review, "zhao-min", "he-qiang").accepted


def test_a_substitute_decides_what_the_absent_claimed_until_they_are_back(office: Office, case: Case) -> None:
    review = office.question(case)
    acting(lambda tx: hands.claim(tx, review.id, "li-na", office.code("li-na")))
    until = office.clock.at + timedelta(hours=1)
    in_transaction(lambda tx: staff.set_substitute(tx, "li-na", "zhao-min", until))
    office.clock.advance(timedelta(hours=2))
    assert not office.answer(review, "zhao-min", "APPROVE").accepted
    in_transaction(lambda tx: staff.set_substitute(tx, "li-na", "zhao-min", office.clock.at + timedelta(hours=1)))
    assert office.answer(review, "zhao-min", "APPROVE").accepted


def test_a_substitute_without_the_role_decides_nothing(office: Office, case: Case) -> None:
    review = office.question(case)
    acting(lambda tx: hands.claim(tx, review.id, "li-na", office.code("li-na")))
    in_transaction(lambda tx: staff.set_substitute(tx, "li-na", "wang-fang", office.clock.at + timedelta(days=1)))
    assert not office.answer(review, "wang-fang", "APPROVE").accepted


def test_what_a_dismissed_person_had_claimed_others_may_decide(office: Office, case: Case) -> None:
    review = office.question(case)
    acting(lambda tx: hands.claim(tx, review.id, "li-na", office.code("li-na")))
    in_transaction(lambda tx: staff.set_active(tx, "li-na", False))
    assert office.answer(review, "zhao-min", "APPROVE").accepted


def test_nobody_is_their_own_substitute_and_ids_are_plain_words() -> None:
    with pytest.raises(staff.StaffError, match="工号"):
        staff.enrol(None, "Li Na", "李娜", [])  # type: ignore[arg-type]


def test_the_most_urgent_questions_come_first_and_by_role(office: Office, case: Case) -> None:
    office.closed_shop("shop-2")
    refund = office.request_refund("shop-2")

    def waiting(role: str | None) -> list[str]:
        return in_transaction(lambda tx: [review.case_id for review in reviews.waiting(tx, role)])

    assert waiting("closure-reviewer") == [case.id]
    assert waiting("finance") == [refund.id]
    assert waiting(None) == [case.id, refund.id]
