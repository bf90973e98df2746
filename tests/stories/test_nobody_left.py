"""Nobody left to decide (ambiguity 37): the supervisor hears it at once, and appoints somebody for this question."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from models.cases import Case
from models.messages import Channel
from models.reviews import Role
from office.base.db import in_transaction
from office.cases import appointing, hands
from office.cases import gates as review_gates
from office.record.sending import Item
from office.staff import staff
from tasks.outbox_words import made
from tests.play import Office

REVIEWERS = ("li-na", "zhao-min")


@pytest.fixture
def case(office: Office) -> Case:
    """A closure waiting for its reviewer."""
    office.open_shop()
    return office.request_closure()


def stranded(office: Office) -> list[dict[str, Any]]:
    """What the supervisors were told about questions that nobody may answer."""
    rows = office.outbox(Channel.STAFF, "review_stranded")
    assert {row.audience for row in rows} <= {"supervisor"}
    return [made(Item.of(row)) for row in rows]


def dismiss(staff_id: str) -> None:
    in_transaction(lambda tx: staff.set_active(tx, staff_id, False))


def take_roles(staff_id: str, *roles: Role) -> None:
    in_transaction(lambda tx: staff.enrol(tx, staff_id, staff_id, list(roles)))


def send_away(office: Office, staff_id: str, by: str, hours: int = 1) -> None:
    until = office.clock.at + timedelta(hours=hours)
    in_transaction(lambda tx: staff.set_substitute(tx, staff_id, by, until))


def appoint(office: Office, review_id: str, to: str, by: str = "he-qiang", code: str = "") -> review_gates.Outcome:
    given = code or office.code(by)
    outcome = in_transaction(lambda tx: appointing.appoint(tx, review_id, to, by, given))
    office.settle()
    return outcome


def gone(office: Office, how: str, staff_id: str) -> None:
    match how:
        case "dismissed":
            dismiss(staff_id)
        case "without the role":
            take_roles(staff_id, Role.FINANCE)
        case "away":
            send_away(office, staff_id, "wang-fang")
        case _:
            raise AssertionError(how)


@pytest.mark.parametrize("how", ["dismissed", "without the role", "away"])
def test_the_supervisor_is_told_at_once_when_the_last_one_who_may_answer_goes(
    office: Office, case: Case, how: str
) -> None:
    dismiss("zhao-min")
    assert stranded(office) == []
    gone(office, how, "li-na")
    (told,) = stranded(office)
    assert told["case_id"] == case.id and told["review_id"] == office.question(case).id and told["rule"] == "CLS-5"
    office.pass_time(minutes=1)
    assert len(stranded(office)) == 1, "once for as long as it lasts"
    assert "review.stranded" in office.trail(case.id)


def test_it_is_told_when_the_question_is_opened_with_nobody_to_answer_it(office: Office) -> None:
    for one in REVIEWERS:
        dismiss(one)
    office.open_shop()
    office.request_closure()
    (told,) = stranded(office)
    assert told["hindered"] == ["李娜(li-na):已停用", "赵敏(zhao-min):已停用"]


def test_it_is_told_again_when_it_happens_again(office: Office, case: Case) -> None:
    dismiss("zhao-min")
    send_away(office, "li-na", "wang-fang")
    office.pass_time(hours=2)
    assert office.question(case).stranded_at is None, "she is back"
    dismiss("li-na")
    assert len(stranded(office)) == 2


def test_somebody_appointed_answers_this_question_and_no_other(office: Office, case: Case) -> None:
    office.open_shop("shop-2")
    other = office.request_closure("shop-2")
    for one in REVIEWERS:
        dismiss(one)
    asked = office.question(case)
    assert "岗位权限" in office.answer(asked, "wu-tao", "APPROVE").sentence
    assert appoint(office, asked.id, "wu-tao").accepted
    assert office.staff_told("review_appointed") == ["merchant-service", "supervisor"]
    assert "岗位权限" in office.answer(office.question(other), "wu-tao", "APPROVE").sentence
    office.decide(case, "wu-tao", "APPROVE")
    office.snapshot()
    assert office.case(case.id).outcome == "CLOSED"
    assert office.chains() == []


def test_when_the_appointed_goes_too_the_supervisor_hears_it_again(office: Office, case: Case) -> None:
    for one in REVIEWERS:
        dismiss(one)
    appoint(office, office.question(case).id, "wu-tao")
    dismiss("wu-tao")
    assert len(stranded(office)) == 2
    assert not office.answer(office.question(case), "wu-tao", "APPROVE").accepted


@pytest.mark.parametrize(
    ("to", "by", "code", "why"),
    [
        ("wu-tao", "wang-fang", "", "只有主管"),
        ("wu-tao", "he-qiang", "000000", "口令不正确"),
        ("he-qiang", "he-qiang", "", "不能任命自己"),
        ("li-na", "he-qiang", "", "已停用"),
    ],
)
def test_who_may_appoint_whom(office: Office, case: Case, to: str, by: str, code: str, why: str) -> None:
    for one in REVIEWERS:
        dismiss(one)
    refused = appoint(office, office.question(case).id, to, by, code)
    assert not refused.accepted and why in refused.sentence
    assert not office.question(case).appointed


def test_as_long_as_somebody_is_left_nobody_is_appointed(office: Office, case: Case) -> None:
    dismiss("zhao-min")
    refused = appoint(office, office.question(case).id, "wu-tao")
    assert not refused.accepted and "李娜" in refused.sentence and "改派" in refused.sentence


def over_a_blocking_finding(office: Office) -> Case:
    """A closure approved by its reviewer over open orders: the supervisor's confirmation is asked (four eyes)."""
    office.open_shop()
    office.snapshot(open_orders=3)
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE")
    return case


def test_who_acted_before_is_never_appointed_to_be_the_second(office: Office) -> None:
    """Four eyes stay four eyes, also when the supervisors' own question has nobody left."""
    case = over_a_blocking_finding(office)
    dismiss("gao-yuan")
    take_roles("li-na", Role.CLOSURE_REVIEWER, Role.SUPERVISOR)
    send_away(office, "he-qiang", "wang-fang")
    asked = office.question(case)
    assert asked.stranded_at is not None, "the only supervisor at hand has approved it herself"
    office.pass_time(hours=2)
    assert office.question(case).stranded_at is None


def test_a_supervisor_who_acted_appoints_only_where_there_is_no_other_and_never_themselves(office: Office) -> None:
    office.hire("li-na", "closure-reviewer", "supervisor")
    case = over_a_blocking_finding(office)
    for one in ("he-qiang", "gao-yuan"):
        dismiss(one)
    asked = office.question(case)
    assert asked.stranded_at is not None
    assert not office.answer(asked, "li-na", "CONFIRM", "可以").accepted
    assert "不能任命自己" in appoint(office, asked.id, "li-na", "li-na").sentence
    assert appoint(office, asked.id, "wu-tao", "li-na").accepted
    office.decide(case, "wu-tao", "CONFIRM", "买家已取消", write_off=True)
    assert office.case(case.id).state == "CLEARING"


def test_a_supervisor_who_acted_leaves_it_to_one_who_has_not(office: Office) -> None:
    """Away is not gone: the other supervisor is waited for rather than passed over."""
    office.hire("li-na", "closure-reviewer", "supervisor")
    case = over_a_blocking_finding(office)
    dismiss("gao-yuan")
    send_away(office, "he-qiang", "wang-fang")
    refused = appoint(office, office.question(case).id, "wu-tao", "li-na")
    assert not refused.accepted and "何强" in refused.sentence
    assert appoint(office, office.question(case).id, "wu-tao", "he-qiang").accepted


@pytest.mark.parametrize("how", ["dismissed", "without the role"])
def test_a_claim_falls_when_its_holder_may_no_longer_answer(office: Office, case: Case, how: str) -> None:
    review, code = office.question(case), office.code("li-na")
    assert in_transaction(lambda tx: hands.claim(tx, review.id, "li-na", code)).accepted
    gone(office, how, "li-na")
    assert (office.question(case).state, office.question(case).claimed_by) == ("PENDING", None)
    assert "review.released" in office.trail(case.id)
    assert stranded(office) == []
    assert office.answer(review, "zhao-min", "APPROVE").accepted
