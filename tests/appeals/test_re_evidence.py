"""The second window: three days from the sending of the rejection notice, once, and nothing in time is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from typer.testing import CliRunner

from models.cases import Case
from models.messages import Channel
from notifications.channels import MERCHANT
from notifications.scripted import ScriptedNotifier
from office.base.db import in_transaction, reading
from office.cases import decisions, routing, timekeeping
from office.cases import gates as review_gates
from office.record import inbox, outbox
from ops.commands.inbox import app as command_line
from tasks import delivery
from tasks.appeal import window as appeal_window
from tasks.sight.merchant import allowed_actions
from tests.appeals.bench import Bench
from tests.deaths import Died, mortal
from tests.play import SILENCE
from webhooks.requests import BODY_SECONDS

THREE_DAYS = timedelta(days=3)


@pytest.fixture
def asked(bench: Bench) -> Case:
    """An appeal that was found insufficient, with the notice sent."""
    bench.rule(ruled_by="li-na")
    case = bench.file()
    bench.office.decide(case, "zhou-yan", "INSUFFICIENT", "请补充揽收证明")
    return case


def test_the_notice_says_why_and_the_window_runs_from_its_sending(bench: Bench, asked: Case) -> None:
    told = bench.office.message("appeal_evidence_requested")
    assert told["reason"] == "请补充揽收证明"
    assert (told["window_hours"], told["still_expected"]) == (72, ["沟通记录"])
    with reading() as tx:
        sent_at = appeal_window.notice_sent_at(tx, asked.id)
    assert sent_at is not None
    deadline = bench.office.deadline(asked, "re-evidence")
    assert (deadline.started_at, deadline.due_at, deadline.clause) == (sent_at, sent_at + THREE_DAYS, "ARB-5")
    assert bench.office.events("appeal.evidence_window")[0]["due_at"] == deadline.due_at.isoformat().replace(
        "+00:00", "Z"
    )


@pytest.mark.parametrize(("late_by", "taken"), [(-1, True), (0, True), (1, False)])
def test_evidence_in_the_last_second_counts_and_one_second_later_it_does_not(
    bench: Bench, asked: Case, late_by: int, taken: bool
) -> None:
    item = bench.stage()
    bench.office.clock.at = bench.office.deadline(asked, "re-evidence").due_at + timedelta(seconds=late_by)
    bench.send_more(asked, [item])
    assert bench.office.case(asked.id).state == ("SECOND_REVIEW" if taken else "AWAITING_MERCHANT")
    assert bench.refusals() == ([] if taken else ["ARB-6"])
    bench.office.pass_time(days=1)
    assert bench.outcome(asked) == (None if taken else "CLOSED_TIMEOUT")


def test_evidence_received_in_time_counts_although_we_were_down_until_the_fourth_day(bench: Bench, asked: Case) -> None:
    """ARB-5"""
    more = bench.more(asked)
    bench.office.clock.at = bench.office.deadline(asked, "re-evidence").due_at + timedelta(milliseconds=900)
    bench.office.receive("appeal.evidence_submitted", more)
    bench.office.clock.advance(timedelta(days=1))

    timekeeping.sweep()  # the sweep comes first: what is unread keeps the window open
    bench.office.settle()
    assert bench.office.case(asked.id).state == "SECOND_REVIEW"


def test_evidence_that_came_in_time_and_failed_through_our_fault_keeps_the_window_open_until_it_is_mended(
    bench: Bench, asked: Case
) -> None:
    bench.office.clock.at = bench.office.deadline(asked, "re-evidence").due_at
    bench.office.receive("appeal.evidence_submitted", bench.more(asked))
    number = bench.fail("appeal.evidence_submitted")
    bench.office.pass_time(days=2)
    assert bench.outcome(asked) is None
    assert "supervisor" in bench.office.staff_told("inbox_failed")
    assert CliRunner().invoke(command_line, ["retry", str(number)]).exit_code == 0
    bench.office.sweep()
    assert bench.office.case(asked.id).state == "SECOND_REVIEW"


def test_what_failed_of_another_shop_or_came_too_late_holds_nobody(bench: Bench, asked: Case) -> None:
    due = bench.office.deadline(asked, "re-evidence").due_at
    bench.office.clock.at = due
    for shop_id in ("shop-9", None):
        bench.office.receive("nobody.knows", {"shop_id": shop_id})
        bench.fail("nobody.knows")
    bench.office.clock.at = due + timedelta(seconds=2)
    bench.office.receive("appeal.evidence_submitted", bench.more(asked))
    bench.fail("appeal.evidence_submitted")
    bench.office.pass_time(seconds=SILENCE.seconds)
    assert bench.outcome(asked) == "CLOSED_TIMEOUT"


def test_a_window_lapses_only_when_what_is_on_its_way_through_the_door_must_have_arrived(
    bench: Bench, asked: Case
) -> None:
    bench.office.clock.at = bench.office.deadline(asked, "re-evidence").due_at
    since = bench.office.clock.ticks()
    bench.office.pass_time(seconds=BODY_SECONDS + 1)
    assert bench.outcome(asked) is None
    inbox.receive(bench.arrival("appeal.evidence_submitted", bench.more(asked)), routing.on_conflict, since)
    bench.office.settle()
    assert bench.office.case(asked.id).state == "SECOND_REVIEW"


def test_silence_closes_the_appeal_for_good(bench: Bench, asked: Case) -> None:
    bench.office.pass_time(days=3, seconds=SILENCE.seconds)
    assert bench.outcome(asked) == "CLOSED_TIMEOUT"
    assert bench.office.case(asked.id).outcome_clause == "ARB-6"
    assert len(bench.office.message("appeal_closed_timeout")["channels"]) == 4
    bench.send_more(asked)
    again = bench.file()
    assert bench.outcome(again) == "REFUSED"
    assert bench.outcome(asked) == "CLOSED_TIMEOUT"
    assert "message.refused" in bench.office.trail(asked.id)
    assert bench.counters() == (1, 2, 20_000)
    assert bench.office.chains() == []


def test_reminders_come_a_day_and_two_hours_before_and_none_at_the_start(bench: Bench, asked: Case) -> None:
    due = bench.office.deadline(asked, "re-evidence").due_at
    assert bench.office.outbox(Channel.MERCHANT, "merchant_deadline_reminder") == []
    for hours in (24, 2):
        bench.office.clock.at = due - timedelta(hours=hours)
        bench.office.sweep()
    assert len(bench.office.outbox(Channel.MERCHANT, "merchant_deadline_reminder")) == 2


def test_evidence_is_taken_once_and_not_while_nobody_asked(bench: Bench) -> None:
    bench.rule()
    case = bench.file()
    bench.send_more(case)
    assert bench.refusals() == ["ARB-4"]
    bench.office.decide(case, "zhou-yan", "INSUFFICIENT")
    bench.send_more(case)
    bench.send_more(case)
    assert bench.refusals() == ["ARB-4", "ARB-5"]


def test_the_three_days_run_from_the_sending_however_late_we_come_to_open_them(bench: Bench) -> None:
    """ARB-5"""
    bench.rule()
    case = bench.file()
    with mortal(lambda when, key: when == "before" and "appeals.open_window" in key), pytest.raises(Died):
        bench.office.decide(case, "zhou-yan", "INSUFFICIENT")
    sent = bench.now
    bench.office.clock.advance(timedelta(days=1))
    bench.office.settle()
    assert bench.office.deadline(case, appeal_window.EVIDENCE).due_at == sent + timedelta(days=3)


def test_no_evidence_is_taken_when_the_result_is_out_and_only_money_is_left(bench: Bench) -> None:
    """ARB-3, ARB-4"""
    bench.rule()
    case = bench.file()
    bench.office.decide(case, "zhou-yan", "UPHOLD")
    bench.send_more(case)
    assert bench.refusals() == ["ARB-4"]
    assert bench.office.question(case).gate == "compensation-service"


def test_only_what_is_new_and_the_shops_own_counts_as_further_evidence(bench: Bench) -> None:
    bench.rule()
    item = bench.stage()
    case = bench.file(items=[item])
    bench.office.decide(case, "zhou-yan", "INSUFFICIENT")
    bench.office.open_shop("shop-2")
    bench.send_more(case, [item, bench.stage(shop_id="shop-2")])
    assert bench.refusals() == ["ARB-4"]
    bench.send_more(case)
    assert bench.office.case(case.id).state == "SECOND_REVIEW"


def _insufficient(bench: Bench, case: Case) -> review_gates.Answer:
    review = bench.office.question(case)
    return review_gates.Answer(
        review_id=review.id,
        revision=review.revision,
        staff_id="zhou-yan",
        code=bench.office.code("zhou-yan"),
        verdict="INSUFFICIENT",
        reason="请补充",
    )


def test_evidence_between_the_verdict_and_the_wait_is_not_lost(bench: Bench) -> None:
    bench.rule()
    case = bench.file()
    given = _insufficient(bench, case)
    assert in_transaction(lambda tx: decisions.decide(tx, given)).accepted  # the run has not come to see it yet
    bench.office.receive("appeal.evidence_submitted", bench.more(case))
    routing.route_due()
    bench.office.settle()
    assert bench.office.case(case.id).state == "SECOND_REVIEW"
    assert bench.office.told(case) == ["appeal_received", "appeal_evidence_received"], "nothing is left to ask for"


@pytest.fixture
def deaf() -> Iterator[None]:
    """No message reaches anybody until further notice."""
    channel = ScriptedNotifier()
    channel.fail_next(10_000)
    delivery.use_notifier(channel)
    yield
    delivery.use_notifier(None)


def test_a_notice_we_could_not_send_for_hours_starts_its_window_when_it_is_sent(bench: Bench, deaf: None) -> None:
    """ARB-5"""
    bench.rule()
    case = bench.file()
    bench.office.decide(case, "zhou-yan", "INSUFFICIENT")
    for _ in range(6):
        bench.office.pass_time(minutes=30)
    extras = _extras(bench, case)
    with reading() as tx:
        assert appeal_window.notice_sent_at(tx, case.id) is None
    assert extras["due_by"] is None
    assert extras["allowed_actions"] == ["appeal.evidence_submitted"], "what comes before the notice is welcome"
    delivery.use_notifier(ScriptedNotifier())
    for _ in range(8):
        bench.office.pass_time(minutes=30)
    deadline = bench.office.deadline(case, "re-evidence")
    assert deadline.due_at - deadline.started_at == THREE_DAYS
    assert deadline.started_at > case.opened_at + timedelta(hours=3)


def test_the_window_stays_where_it_began_when_the_notice_is_sent_again(bench: Bench) -> None:
    delivery.use_notifier(ScriptedNotifier(without=[MERCHANT]))  # no way to reach them, so the window runs at once
    bench.rule()
    case = bench.file()
    bench.office.decide(case, "zhou-yan", "INSUFFICIENT")
    due = bench.office.deadline(case, "re-evidence").due_at
    delivery.use_notifier(ScriptedNotifier())
    bench.office.pass_time(days=2)
    in_transaction(lambda tx: outbox.resend(tx, f"merchant:{case.id}/evidence-requested"))
    bench.office.settle()
    assert _extras(bench, case)["due_by"] == due.isoformat()
    more = bench.more(case)
    bench.office.clock.at = due + timedelta(seconds=1)
    bench.office.send("appeal.evidence_submitted", more)
    assert bench.refusals() == ["ARB-6"]


def test_evidence_received_before_the_verdict_does_not_use_up_the_round(bench: Bench) -> None:
    bench.rule()
    case = bench.file()
    bench.office.receive("appeal.evidence_submitted", bench.more(case))  # not read before the verdict
    bench.office.clock.advance(timedelta(seconds=1))
    given = _insufficient(bench, case)
    assert in_transaction(lambda tx: decisions.decide(tx, given)).accepted
    bench.office.settle()
    assert bench.refusals() == ["ARB-4"]
    assert bench.office.told(case) == ["appeal_received", "appeal_evidence_requested"]
    bench.send_more(case)
    assert bench.office.case(case.id).state == "SECOND_REVIEW"


def test_a_notice_that_has_not_gone_out_is_not_sent_after_its_answer(bench: Bench, deaf: None) -> None:
    bench.rule()
    case = bench.file()
    bench.office.decide(case, "zhou-yan", "INSUFFICIENT")
    bench.send_more(case)
    forms = [row for row in bench.office.outbox() if row.key in appeal_window.notice_forms(case.id)]
    assert [row.state for row in forms] == ["SKIPPED", "SKIPPED"]
    assert _extras(bench, case)["due_by"] is None
    assert bench.office.case(case.id).state == "SECOND_REVIEW"


def _extras(bench: Bench, case: Case) -> dict[str, object]:
    now = bench.office.case(case.id)
    with reading() as tx:
        return {**appeal_window.view_extras(tx, now), "allowed_actions": [*allowed_actions(tx, now)]}


def test_the_merchant_sees_due_time_submissions_and_checklist(bench: Bench, asked: Case) -> None:
    due = bench.office.deadline(asked, "re-evidence").due_at
    seen = _extras(bench, asked)
    assert datetime.fromisoformat(str(seen["due_by"])) == due
    assert (seen["past_due"], seen["submission_count"]) == (False, 1)
    assert seen["allowed_actions"] == ["appeal.evidence_submitted"]
    satisfied: Callable[[dict[str, object]], list[tuple[str, bool]]] = lambda extras: [  # noqa: E731
        (line["kind"], line["satisfied"])
        for line in extras["evidence"]  # type: ignore[attr-defined]
    ]
    assert satisfied(seen) == [("LOGISTICS", True), ("CHAT", False)]
    bench.office.clock.at = due + timedelta(seconds=1)
    late = _extras(bench, asked)
    assert (late["past_due"], late["allowed_actions"]) == (True, [])
    bench.office.clock.at = due
    bench.send_more(asked)
    assert satisfied(_extras(bench, asked)) == [("LOGISTICS", True), ("CHAT", True)]
    assert _extras(bench, asked)["submission_count"] == 2
