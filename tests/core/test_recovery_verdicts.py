"""Lost runs: which states mean that nobody carries the case any more, and when helping is given up aloud."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, StateType

from models.cases import Case
from models.messages import Channel, OutboxState
from office.base.db import in_transaction
from office.base.settings import settings
from office.cases import retrying
from office.cases.locks import UnknownCase
from office.runs import recovery, unrest
from office.runs.engine import DISPLACED, PUT_OFF, displaced, put_off
from tests.play import Office

NOW = timedelta(0)
LONG = timedelta(minutes=2, seconds=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def case(office: Office) -> Case:
    office.open_shop()
    return office.case(office.request_closure().id)


def verdict(
    office: Office, case: Case, state: StateType | None, since: timedelta, seen: timedelta | None
) -> str | None:
    at = office.clock.at
    watched = case.model_copy(update={"run_seen_at": None if seen is None else at - seen})
    found = None if state is None else (state, "原因", at - since)
    return recovery._trouble(watched, found, at)


@pytest.mark.parametrize("state", [StateType.CANCELLED, StateType.FAILED, StateType.CRASHED, StateType.COMPLETED, None])
def test_a_run_that_ended_or_vanished_carries_nothing(office: Office, case: Case, state: StateType | None) -> None:
    assert verdict(office, case, state, NOW, NOW)


def test_a_run_that_waits_is_well_however_long_it_waits(office: Office, case: Case) -> None:
    assert verdict(office, case, StateType.PAUSED, timedelta(days=30), timedelta(days=30)) is None


@pytest.mark.parametrize("amiss", [PUT_OFF, DISPLACED])
def test_a_run_that_somebody_put_off_or_took_out_of_our_queues_carries_nothing(
    office: Office, case: Case, amiss: str
) -> None:
    found = (StateType.SCHEDULED, amiss, office.clock.at)
    assert recovery._trouble(case, found, office.clock.at) == amiss
    recovery.compare([case], {str(case.run_id): found})
    assert office.case(case.id).run_id != case.run_id and office.staff_told("engine_alarm") == ["supervisor"]


def test_a_run_that_waits_for_its_turn_in_our_queue_is_well(office: Office, case: Case) -> None:
    assert recovery._trouble(case, (StateType.SCHEDULED, "", office.clock.at - LONG), office.clock.at) is None


@pytest.mark.parametrize(("queue", "pool", "lost"), [
    ("default", True, False), ("month-end", True, False), ("limbo", True, True), (None, True, True), ("default", False, True), (None, None, True),
])  # fmt: skip
def test_what_stands_in_no_queue_of_ours_is_displaced(
    office: Office, queue: str | None, pool: bool | None, lost: bool
) -> None:
    name = {True: settings().work_pool, False: "another", None: None}[pool]
    run = FlowRun(flow_id=uuid4(), work_queue_name=queue)
    run.work_pool_name = name
    assert displaced(run) is lost


@pytest.mark.parametrize(("minutes", "late"), [(-5, False), (1, False), (3, True), (60 * 24 * 365, True)])
def test_what_is_due_now_was_not_put_off(minutes: int, late: bool) -> None:
    due = datetime.now(UTC) + timedelta(minutes=minutes)
    assert put_off(FlowRun(flow_id=uuid4(), next_scheduled_start_time=due)) is late
    assert put_off(FlowRun(flow_id=uuid4())) is False


@pytest.mark.parametrize("state", [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING])
@pytest.mark.parametrize(
    ("since", "seen", "lost"),
    [
        (NOW, NOW, False),
        (LONG, NOW, False),
        (NOW, LONG, False),
        (LONG, LONG, True),
        (LONG, None, True),
    ],
)
def test_a_busy_run_is_lost_when_neither_it_nor_its_case_has_moved_for_long(
    office: Office, case: Case, state: StateType, since: timedelta, seen: timedelta | None, lost: bool
) -> None:
    assert (verdict(office, case, state, since, seen) is not None) is lost


@pytest.mark.parametrize("state", [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING])
def test_a_busy_run_that_never_comes_to_rest_is_lost_however_often_its_state_is_set_anew(
    office: Office, case: Case, state: StateType
) -> None:
    """The test before this one once held the opposite for ever: Prefect's time of the state was believed, and whoever
    reaches its API may set a state anew every minute. Now our own reckoning of when it last rested decides."""
    found = (state, "", office.clock.at)
    assert recovery._trouble(case, found, office.clock.at, held=True)
    assert recovery._trouble(case, found, office.clock.at, held=False) is None


QUARTER = unrest.FOR_LONG


@pytest.mark.parametrize(("after", "held"), [(QUARTER - SECOND, False), (QUARTER, False), (QUARTER + SECOND, True)])
def test_unrest_is_counted_from_when_we_first_saw_it(office: Office, case: Case, after: timedelta, held: bool) -> None:
    def looked() -> set[str]:
        return in_transaction(lambda tx: unrest.for_long(tx, [case], [str(case.run_id)]))

    assert looked() == looked() == set()
    office.clock.advance(after)
    assert (looked() == {str(case.run_id)}) is held


def test_unrest_ends_when_the_run_rests_or_its_case_gets_on(office: Office, case: Case) -> None:
    def looked(case: Case, *restless: str) -> set[str]:
        office.clock.advance(timedelta(minutes=14))
        return in_transaction(lambda tx: unrest.for_long(tx, [case], restless))

    run = str(case.run_id)
    assert looked(case, run) == looked(case) == looked(case, run) == set()
    moved = case.model_copy(update={"run_seen_at": office.clock.at})
    assert looked(moved, run) == set()
    assert looked(moved, run) == set() and looked(moved, run) == {run}


def test_runs_that_should_have_begun_and_have_not_are_told_and_keep_their_turn(office: Office, case: Case) -> None:
    runs = {str(case.run_id): (StateType.SCHEDULED, "", office.clock.at)}
    for minutes in (0, 16, 16):
        office.clock.advance(timedelta(minutes=minutes))
        held = in_transaction(lambda tx: recovery._held_up(tx, [case], runs))
        assert recovery.compare([case], runs, held)["restarted"] == 0
    assert office.staff_told("engine_alarm") == ["supervisor"]
    assert office.case(case.id).run_id == case.run_id


def test_a_case_whose_first_wake_up_is_still_on_its_way_is_left_alone(office: Office, case: Case) -> None:
    waiting = case.model_copy(update={"run_id": None})
    assert recovery._trouble(waiting, None, office.clock.at) is None


def test_a_demonstration_that_moved_its_clock_still_finds_lost_runs(office: Office, case: Case) -> None:
    outside = office.clock.at - timedelta(days=7)

    class Ahead:
        def now(self, session: object) -> datetime:
            return office.clock.at

        def real(self) -> datetime:
            return outside

    from office.base.clock import use_clock

    use_clock(Ahead())
    watched = case.model_copy(update={"run_seen_at": office.clock.at - LONG})
    assert recovery._trouble(watched, (StateType.RUNNING, "", outside - LONG), office.clock.at)


def restart(case: Case) -> str:
    return in_transaction(lambda tx: recovery._restart(tx, case.id, "运行失败"))


def test_a_lost_case_gets_another_run_and_goes_on(office: Office, case: Case) -> None:
    assert restart(case) == "restarted"
    assert office.case(case.id).run_id is None
    office.settle()
    now = office.case(case.id)
    assert (now.run_attempt, now.restarts) == (2, 0)  # it got as far as waiting, so the count begins anew
    office.decide(case, "li-na", "APPROVE")
    assert office.case(case.id).state == "CLEARING"


def test_a_case_that_never_gets_on_is_halted_and_the_supervisor_is_told_once(office: Office, case: Case) -> None:
    assert [restart(case) for _ in range(7)] == ["restarted"] * 5 + ["halted", "ended"]
    assert "运行失败" in (office.case(case.id).halted or "")
    assert office.staff_told("case_halted") == ["supervisor"]


def test_an_operator_who_mended_it_lets_it_go_on(office: Office, case: Case) -> None:
    for _ in range(6):
        restart(case)
    assert not in_transaction(lambda tx: retrying.retry(tx, case.id, "he-qiang")).accepted
    assert "case.retried" not in office.trail(case.id), "in nobody's name who was not there"
    code = office.code("he-qiang")
    assert in_transaction(lambda tx: retrying.retry(tx, case.id, "he-qiang", code)).accepted
    office.settle()
    assert (office.case(case.id).halted, office.case(case.id).run_id is not None) == (None, True)
    assert "case.retried" in office.trail(case.id)


def test_a_case_that_has_ended_is_not_restarted(office: Office, case: Case) -> None:
    office.withdraw(case)
    assert restart(case) == "ended"


def test_restarting_wakes_the_case_once_however_often_it_is_noticed(office: Office, case: Case) -> None:
    for _ in range(3):
        restart(case)
    waiting = [row for row in office.outbox(Channel.RUN) if row.state is OutboxState.NEW]
    assert len(waiting) == 1


def test_a_case_that_cannot_be_restarted_leaves_the_next_one_its_turn(office: Office, case: Case) -> None:
    gone = case.model_copy(update={"id": "CLS-000000-GONE00"})
    runs = {str(case.run_id): (StateType.CRASHED, "", office.clock.at)}
    with pytest.raises(ExceptionGroup) as raised:
        recovery.compare([gone, case], runs)
    assert [type(fault) for fault in raised.value.exceptions] == [UnknownCase]
    assert office.case(case.id).restarts == 1
