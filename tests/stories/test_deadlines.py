"""Time passing: reminders, lapses, lateness of our own, and who is told when."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flows.deadlines import take_steps
from models.cases import Case, DeadlineState
from models.messages import Channel, OutboxMessage, OutboxState
from office.base.db import Tx, in_transaction, reading
from office.cases import deadlines, timekeeping
from office.record import audit, outbox
from policies.policy import SHANGHAI
from tests.play import PAPERS, SILENCE, Office


def refund(office: Office) -> Case:
    office.closed_shop()
    return office.request_refund()


def asked(office: Office) -> Case:
    office.open_shop()
    case = office.request_closure()
    office.decide(case, "li-na", "ASK", "请说明库存")
    return case


@pytest.mark.parametrize(("late", "told"), [(-1, 0), (0, 1), (1, 1)])
def test_a_refund_is_late_from_the_end_of_the_seventh_working_day(office: Office, late: int, told: int) -> None:
    case = refund(office)
    due = office.deadline(case, "refund-due").due_at
    assert f"{due.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}" == "2026-11-30 23:59:59"  # Thu 19 Nov and seven working days
    office.clock.at = due + timedelta(seconds=late)
    office.sweep()
    assert office.staff_told("refund_overdue") == ["supervisor"] * told
    assert office.told(case).count("refund_late") == told


def test_while_it_is_late_the_supervisor_hears_daily_and_the_merchant_once(office: Office) -> None:
    case = refund(office)
    office.clock.at = office.deadline(case, "refund-due").due_at
    office.sweep()
    for day in range(1, 4):
        office.pass_time(hours=23)
        assert len(office.staff_told("refund_overdue")) == day
        office.pass_time(hours=1)
        assert len(office.staff_told("refund_overdue")) == day + 1
    assert office.told(case).count("refund_late") == 1
    assert office.case(case.id).outcome is None  # our own silence ends nothing


def test_once_it_is_paid_nobody_is_told_any_more(office: Office) -> None:
    case = refund(office)
    office.decide(case, "wang-fang", "APPROVE")
    office.bank(f"{case.id}-P1")
    office.pass_time(days=30)
    assert office.staff_told("refund_overdue") == []


def test_finance_is_reminded_once_after_seven_natural_days(office: Office) -> None:
    """REF-4"""
    case = refund(office)
    office.clock.at = case.received_at + timedelta(days=7, seconds=-1)
    office.sweep()
    assert office.staff_told("refund_early_reminder") == []
    office.pass_time(seconds=1)
    office.pass_time(hours=1)
    assert office.staff_told("refund_early_reminder") == ["finance"]


def test_the_clock_of_a_refund_starts_with_the_application_when_that_came_after_the_closure(office: Office) -> None:
    office.closed_shop()
    office.clock.advance(timedelta(days=11))
    case = office.request_refund()
    assert f"{office.deadline(case, 'refund-due').due_at.astimezone(SHANGHAI):%m-%d}" == "12-09"


def test_a_merchant_is_reminded_three_days_one_day_and_two_hours_before(office: Office) -> None:
    case = asked(office)
    due = office.deadline(case, "merchant-answer/1").due_at
    for hours, count in ((73, 0), (72, 1), (24, 2), (2, 3)):
        office.clock.at = due - timedelta(hours=hours)
        office.sweep()
        assert len(reminders(office, case)) == count


def test_reminders_missed_while_we_were_down_are_one_reminder(office: Office) -> None:
    case = asked(office)
    office.clock.at = office.deadline(case, "merchant-answer/1").due_at - timedelta(hours=1)
    office.sweep()
    office.sweep()
    assert len(reminders(office, case)) == 1


def test_a_reminder_in_the_night_waits_for_the_morning(office: Office) -> None:
    case = asked(office)
    due = office.deadline(case, "merchant-answer/1").due_at
    office.clock.at = (due - timedelta(hours=60)).astimezone(SHANGHAI).replace(hour=23, minute=0).astimezone(due.tzinfo)
    office.sweep()
    rows = faces(office, case)
    assert [(row.state, f"{row.next_at.astimezone(SHANGHAI):%H:%M}") for row in rows] == [
        (OutboxState.NEW, "08:00")
    ] * 2
    left = round((due - rows[0].next_at) / timedelta(hours=1))
    assert outbox.body(rows[0])["hours_left"] == left  # when it is read, not when it was written
    office.pass_time(hours=9)
    told, on_platform = faces(office, case)
    assert told.state is OutboxState.SENT and on_platform.closed_at == told.closed_at


def test_a_reminder_that_waits_for_the_morning_is_dropped_when_the_merchant_answers_in_the_night(
    office: Office,
) -> None:
    case = asked(office)
    due = office.deadline(case, "merchant-answer/1").due_at
    office.clock.at = (due - timedelta(hours=60)).astimezone(SHANGHAI).replace(hour=23, minute=0).astimezone(due.tzinfo)
    office.sweep()
    office.merchant_answers(case)
    office.pass_time(hours=9)
    assert [row.note for row in faces(office, case)] == ["已无需提醒"] * 2


def test_a_reminder_that_waits_for_the_morning_is_dropped_when_the_case_ends_in_the_night(office: Office) -> None:
    case = asked(office)
    due = office.deadline(case, "merchant-answer/1").due_at
    office.clock.at = (due - timedelta(hours=60)).astimezone(SHANGHAI).replace(hour=23, minute=0).astimezone(due.tzinfo)
    office.sweep()
    office.withdraw(case)
    assert [row.state for row in faces(office, case)] == [OutboxState.SKIPPED] * 2
    assert all("无需提醒" in row.note for row in faces(office, case))


def test_what_clearing_waits_for_is_told_in_the_morning_and_not_at_all_once_it_is_done(office: Office) -> None:
    for shop_id, done in (("shop-1", False), ("shop-2", True)):
        office.open_shop(shop_id)
        case = office.request_closure(shop_id)
        night = office.clock.at.astimezone(SHANGHAI).replace(hour=23, minute=30).astimezone(office.clock.at.tzinfo)
        office.clock.at = night
        office.decide(case, "li-na", "APPROVE")
        office.snapshot(shop_id, open_orders=2)
        office.pass_time(days=3, minutes=1)
        (row,) = [row for row in office.outbox(Channel.MERCHANT, "closure_clearing_reminder") if row.case_id == case.id]
        assert (row.state, f"{row.next_at.astimezone(SHANGHAI):%H:%M}") == (OutboxState.NEW, "08:00")
        if done:
            office.snapshot(shop_id)
        office.pass_time(hours=9)
        (row,) = [row for row in office.outbox(Channel.MERCHANT, "closure_clearing_reminder") if row.case_id == case.id]
        assert row.state is (OutboxState.SKIPPED if done else OutboxState.SENT)


@pytest.mark.parametrize("paid", [False, True])
def test_that_a_refund_is_late_is_told_in_the_morning_and_not_at_all_once_it_is_paid(
    office: Office, paid: bool
) -> None:
    case = refund(office)
    office.decide(case, "wang-fang", "APPROVE")
    office.clock.at = office.deadline(case, "refund-due").due_at
    office.sweep()
    (row,) = office.outbox(Channel.MERCHANT, "refund_late")
    assert (row.state, f"{row.next_at.astimezone(SHANGHAI):%H:%M}") == (OutboxState.NEW, "08:00")
    assert office.staff_told("refund_overdue") == ["supervisor"]  # who can hasten it hears at once
    if paid:
        office.bank(f"{case.id}-P1")
    office.pass_time(hours=9)
    (row,) = office.outbox(Channel.MERCHANT, "refund_late")
    assert row.state is (OutboxState.SKIPPED if paid else OutboxState.SENT)


def test_a_reminder_that_was_sent_before_is_noted_inside_and_not_sent_again(office: Office) -> None:
    case = refund(office)
    office.clock.at = office.deadline(case, "refund-due").due_at
    office.sweep()
    office.pass_time(days=1)
    with reading() as tx:
        lines = [line for line in audit.timeline(tx, case.id) if line.action == "merchant.told_before"]
    assert [(line.text, line.public, line.detail) for line in lines] == [
        ("已发送过,未重复提醒", False, {"message": "refund_late"})
    ]
    assert office.told(case).count("refund_late") == 1


def faces(office: Office, case: Case) -> list[OutboxMessage]:
    """The reminder to the merchant's contacts and the same for their inbox on the platform."""
    return [row for row in office.outbox() if row.case_id == case.id and "merchant-answer/1/remind/" in row.key]


def reminders(office: Office, case: Case) -> list[OutboxMessage]:
    return [
        row
        for row in office.outbox(Channel.MERCHANT, "merchant_deadline_reminder")
        if row.case_id == case.id and "merchant-answer" in row.key
    ]


def test_a_reviewer_is_reminded_then_the_supervisor_told_daily_and_nothing_lapses(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    due = office.question(case).due_at
    assert due is not None
    for hours in (24, 4):
        office.clock.at = due - timedelta(hours=hours)
        office.sweep()
    assert office.staff_told("review_reminder") == ["closure-reviewer"] * 2
    office.clock.at = due
    office.sweep()
    office.pass_time(days=1)
    assert office.staff_told("review_overdue") == ["supervisor"] * 2
    office.decide(case, "li-na", "APPROVE")
    assert office.case(case.id).outcome == "CLOSED"  # asked by itself, the platform has sent new facts


def test_a_timer_that_fires_after_the_answer_does_nothing(office: Office) -> None:
    case = asked(office)
    office.merchant_answers(case)
    office.decide(case, "li-na", "APPROVE")
    office.snapshot()
    office.pass_time(days=30)
    assert office.case(case.id).outcome == "CLOSED"
    assert "closure_question_lapsed" not in office.told(case)


def test_an_answer_in_the_due_second_that_nobody_has_read_yet_keeps_the_window_open(office: Office) -> None:
    case = asked(office)
    due = office.deadline(case, "merchant-answer/1").due_at
    office.clock.at = due.replace(microsecond=700_000)
    office.receive(
        "merchant.answered",
        {
            "shop_id": "shop-1",
            "account_id": "acct-shop-1",
            "case_id": case.id,
            "text": "最后一秒",
        },
    )
    office.clock.at = due + SILENCE
    timekeeping.sweep()  # the sweep is faster than the inbox
    office.settle()
    assert office.deadline(case, "merchant-answer/1").state is DeadlineState.MET
    assert office.case(case.id).state == "UNDER_REVIEW"


def test_a_message_of_another_shop_keeps_no_window_open(office: Office) -> None:
    case = asked(office)
    office.clock.at = office.deadline(case, "merchant-answer/1").due_at
    office.receive("merchant.answered", {"shop_id": "shop-9", "account_id": "x", "case_id": "y", "text": "z"})
    office.clock.advance(SILENCE)
    timekeeping.sweep()
    assert office.deadline(case, "merchant-answer/1").state is DeadlineState.LAPSED


def spoil(case: Case, key: str) -> None:
    """Make one deadline a kind that nobody knows, as a rolled back version might leave it."""

    def work(tx: Tx) -> None:
        row = deadlines.find(tx, case.id, key)
        assert row is not None
        row.kind = "nobody-knows"
        tx.add(row)

    in_transaction(work)


def test_a_deadline_with_a_fault_waits_and_holds_up_no_other(office: Office) -> None:
    spoiled = asked(office)
    office.open_shop("shop-2", name="远山茶铺")
    sound = office.request_closure("shop-2")
    office.decide(sound, "li-na", "ASK", "请说明库存")
    spoil(spoiled, "merchant-answer/1")
    office.clock.at = office.deadline(sound, "merchant-answer/1").due_at + SILENCE
    office.sweep()
    assert office.case(sound.id).outcome == "LAPSED"
    waits = office.deadline(spoiled, "merchant-answer/1")
    assert (waits.state, waits.next_action_at) == (DeadlineState.OPEN, office.clock.at + timekeeping.RETRY)


def test_the_supervisor_hears_once_of_a_deadline_with_a_fault_and_mended_it_is_acted_on(office: Office) -> None:
    case = asked(office)
    kind = office.deadline(case, "merchant-answer/1").kind
    spoil(case, "merchant-answer/1")
    office.clock.at = office.deadline(case, "merchant-answer/1").due_at + SILENCE
    for _ in range(3):
        office.sweep()
        office.clock.advance(timekeeping.RETRY)
    assert office.staff_told("deadline_stuck") == ["supervisor"]

    def mend(tx: Tx) -> None:
        row = deadlines.find(tx, case.id, "merchant-answer/1")
        assert row is not None
        row.kind = kind
        tx.add(row)

    in_transaction(mend)
    office.sweep()
    assert office.case(case.id).outcome == "LAPSED"


def test_one_step_of_the_sweep_that_fails_leaves_the_others_their_turn(office: Office) -> None:
    case = asked(office)
    office.clock.at = office.deadline(case, "merchant-answer/1").due_at + SILENCE

    def down() -> dict[str, int]:
        raise ConnectionError("Prefect is away")

    with pytest.raises(ExceptionGroup) as raised:
        take_steps({"recovery": down, "deadlines": lambda: {"acted": timekeeping.sweep()}})
    assert [type(fault) for fault in raised.value.exceptions] == [ConnectionError]
    assert office.deadline(case, "merchant-answer/1").state is DeadlineState.LAPSED


def test_a_step_that_failed_is_told_once_an_hour(office: Office) -> None:
    def down() -> None:
        raise ConnectionError("Prefect is away")

    for _ in range(2):
        with pytest.raises(ExceptionGroup):
            take_steps({"recovery": down, "strays": down})
    assert office.staff_told("engine_alarm") == ["supervisor"] * 2  # one for each step


def test_sweeping_twice_at_one_moment_is_sweeping_once(office: Office) -> None:
    case = refund(office)
    office.clock.at = office.deadline(case, "refund-due").due_at
    office.sweep()
    before = len(office.outbox())
    office.sweep()
    assert len(office.outbox()) == before


def test_a_working_day_of_a_year_that_is_not_published_is_marked_provisional_and_told_once(office: Office) -> None:
    office.clock.at = office.clock.at.replace(month=12, day=28)
    office.closed_shop()
    case = office.request_refund(documents=PAPERS)
    assert office.deadline(case, "refund-due").provisional
    assert office.staff_told("calendar_provisional") == ["supervisor"]
