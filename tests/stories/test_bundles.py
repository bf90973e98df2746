"""Not a letter for each case: what can wait a quarter of an hour reaches a role as one list, what cannot leaves at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import select

from models.messages import Channel, OutboxState
from models.reviews import Role, Staff
from notifications.operations import InboxConflict
from notifications.plugins.robots import pieces
from notifications.review import ReviewOverdue, ReviewReminder, ReviewWaiting
from notifications.scripted import ScriptedNotifier
from office.base.db import in_transaction, reading
from office.cases import bundles
from office.cases.links import of_queue
from office.staff import staff
from tasks import delivery
from tests.play import START, Office

pytestmark = pytest.mark.both

REVIEWER, BOSS = Role.CLOSURE_REVIEWER, Role.SUPERVISOR


@pytest.fixture
def post(office: Office) -> ScriptedNotifier:
    notifier = ScriptedNotifier()
    delivery.use_notifier(notifier)
    return notifier


def letters(post: ScriptedNotifier) -> list[tuple[str, str]]:
    """To whom and under which subject, in order, since the last look."""
    found = [(str(target.audience), said.subject) for target, said in post.sent if target.audience != "merchant"]
    post.sent.clear()
    return found


def overdue(number: int) -> ReviewOverdue:
    return ReviewOverdue(
        case_id=f"CLS-{number}",
        case_kind="关店",
        subject=f"晨光文具 {number}",
        gate="关店审核",
        role="关店审核员",
        link=f"https://desk.example/{number}",
        due=START - timedelta(hours=number),
        hours_late=number,
    )


def waiting(number: int, hours: float = 72) -> ReviewWaiting:
    return ReviewWaiting(
        case_id=f"CLS-{number}",
        case_kind="关店",
        subject=f"晨光文具 {number}",
        gate="关店审核",
        role="关店审核员",
        link=f"https://desk.example/{number}",
        opened_at=START,
        due=START + timedelta(hours=hours),
    )


def tell(role: Role, message: ReviewOverdue | ReviewWaiting | ReviewReminder | InboxConflict, key: str) -> None:
    in_transaction(lambda tx: bundles.tell(tx, role, message, key))


def test_nineteen_escalations_are_one_list_with_every_case_and_its_link(office: Office, post: ScriptedNotifier) -> None:
    for number in range(1, 20):
        for _ in range(2):
            tell(BOSS, overdue(number), f"k{number}")
    office.settle()
    assert letters(post) == [], "they wait for the end of the quarter"
    office.clock.at = START + timedelta(minutes=15)
    office.settle()
    [sent] = [said for target, said in post.sent if target.audience == BOSS]
    assert "19 项" in sent.subject
    for number in range(1, 20):
        assert f"晨光文具 {number}" in sent.text and f"https://desk.example/{number}\n" in sent.text
        assert f'href="https://desk.example/{number}"' in sent.html
    assert sent.text.count("已超时的审核") == 1
    post.sent.clear()
    office.pass_time(days=1)
    assert letters(post) == [], "each is told once"


@pytest.mark.parametrize(("seconds", "count"), [(-1, 0), (0, 1), (1, 1)])
def test_a_bundle_leaves_when_its_quarter_of_an_hour_is_over(
    office: Office, post: ScriptedNotifier, seconds: int, count: int
) -> None:
    office.clock.at = START + timedelta(minutes=7)
    tell(BOSS, overdue(1), "a")
    tell(BOSS, overdue(2), "b")
    office.clock.at = START + timedelta(minutes=15, seconds=seconds)
    office.settle()
    assert len(letters(post)) == count


def test_the_first_question_is_told_at_once_and_those_that_follow_come_together(
    office: Office, post: ScriptedNotifier
) -> None:
    for number in range(1, 6):
        tell(REVIEWER, waiting(number), f"k{number}")
        office.settle()
    [(_, first)] = letters(post)
    assert "晨光文具 1" in first
    office.pass_time(minutes=15)
    [(role, listed)] = letters(post)
    assert role == REVIEWER and "4 项" in listed
    tell(REVIEWER, waiting(9), "k9")
    office.settle()
    assert len(letters(post)) == 1, "a new quarter"


def test_each_role_has_its_own_list_and_a_list_of_one_is_the_letter_itself(
    office: Office, post: ScriptedNotifier
) -> None:
    tell(BOSS, overdue(1), "a")
    tell(Role.FINANCE, overdue(2), "b")
    tell(Role.FINANCE, overdue(3), "c")
    office.pass_time(minutes=15)
    found = dict(letters(post))
    assert "晨光文具 1" in found[BOSS] and "2 项" in found[Role.FINANCE]


@pytest.mark.parametrize(("minutes", "at_once"), [(59, True), (60, True), (61, False)])
def test_what_is_due_within_the_hour_does_not_wait_for_a_list(
    office: Office, post: ScriptedNotifier, minutes: int, at_once: bool
) -> None:
    tell(REVIEWER, waiting(1), "first")
    office.settle()
    letters(post)
    tell(REVIEWER, waiting(2, hours=minutes / 60), "urgent")
    office.settle()
    assert bool(letters(post)) is at_once


def test_what_asks_for_a_hand_now_leaves_at_once_however_many_there_are(office: Office, post: ScriptedNotifier) -> None:
    for number in range(3):
        conflict = InboxConflict(
            source="platform",
            message_id=f"m{number}",
            message_type="x",
            first_received_at=START,
            seen_at=START,
            conflicts=1,
        )
        tell(BOSS, conflict, f"c{number}")
    office.settle()
    assert len(letters(post)) == 3


def test_a_list_that_does_not_arrive_is_tried_again_whole(office: Office, post: ScriptedNotifier) -> None:
    tell(BOSS, overdue(1), "a")
    tell(BOSS, overdue(2), "b")
    post.fail_next()
    office.pass_time(minutes=15)
    office.pass_time(minutes=1)
    assert any("2 项" in subject for _, subject in letters(post))


def test_what_comes_while_a_list_is_leaving_stands_in_the_next_one(office: Office, post: ScriptedNotifier) -> None:
    tell(BOSS, overdue(1), "a")
    office.clock.at = START + timedelta(minutes=15)
    office.settle()
    assert len(letters(post)) == 1
    office.clock.at = START + timedelta(minutes=14)  # a transaction that began before the end
    tell(BOSS, overdue(2), "b")
    office.clock.at = START + timedelta(minutes=30)
    office.settle()
    assert len(letters(post)) == 1
    rows = office.outbox(Channel.STAFF, "review_overdue")
    assert [row.state for row in rows] == [OutboxState.SKIPPED] * 2 and all("并入汇总" in row.note for row in rows)


def test_what_was_answered_while_its_list_waited_is_not_in_it(office: Office, post: ScriptedNotifier) -> None:
    for number in (1, 2, 3, 4):
        office.open_shop(f"shop-{number}")
    first, second, third, fourth = (office.request_closure(f"shop-{number}") for number in (1, 2, 3, 4))
    office.decide(second, "li-na", "REJECT", "材料不全")
    office.pass_time(minutes=15)
    [listed] = [said for target, said in post.sent if "项" in said.subject]
    assert "2 项" in listed.subject and second.id not in listed.text
    assert third.id in listed.text and fourth.id in listed.text and first.id not in listed.text
    post.sent.clear()
    for number in (5, 6):
        office.open_shop(f"shop-{number}")
        office.decide(office.request_closure(f"shop-{number}"), "li-na", "REJECT", "材料不全")
    office.pass_time(minutes=15)
    assert not [subject for audience, subject in letters(post) if audience == REVIEWER and "项" in subject]


def test_a_list_too_long_for_a_chat_leads_to_the_queue_and_not_to_one_of_its_cases(
    office: Office, post: ScriptedNotifier
) -> None:
    for number in range(1, 215):
        tell(REVIEWER, waiting(number), f"k{number}")
    office.pass_time(minutes=15)
    [listed] = [said for target, said in post.sent if "项" in said.subject]
    said = pieces(listed.text, 2048)
    assert "另有" in listed.text and "/v2/artifacts/key/review-inbox-closure-reviewer" in said[-1]
    assert f'href="{of_queue(REVIEWER)}"' in listed.html


def test_what_one_cause_does_to_many_cases_is_one_letter_and_one_list(office: Office, post: ScriptedNotifier) -> None:
    """The last who could answer leaves: the supervisor hears of the first question at once."""
    for number in (1, 2, 3, 4):
        office.open_shop(f"shop-{number}")
        office.request_closure(f"shop-{number}")
    office.settle()
    letters(post)
    with reading() as tx:
        reviewers = [person.id for person in tx.exec(select(Staff)) if REVIEWER in person.roles]
    for one in reviewers:
        in_transaction(lambda tx, one=one: staff.set_active(tx, one, False))  # type: ignore[misc]
    office.pass_time(minutes=1)
    assert ["无人可处理" in subject for audience, subject in letters(post) if audience == BOSS] == [True]
    office.pass_time(minutes=15)
    [listed] = [subject for audience, subject in letters(post) if audience == BOSS]
    assert "3 项" in listed
