"""Lost runs: which states mean that nobody carries the case any more, and when helping is given up aloud."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, StateType

from models.cases import Case
from models.messages import Channel, OutboxState
from office.base.db import in_transaction
from office.cases.locks import UnknownCase
from office.runs import recovery
from office.runs.engine import put_off
from tests.play import Office

NOW = timedelta(0)
LONG = timedelta(minutes=2, seconds=1)


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


def test_a_run_that_somebody_put_off_carries_nothing(office: Office, case: Case) -> None:
    assert verdict(office, case, StateType.SCHEDULED, NOW, NOW) == "运行被人推迟"


@pytest.mark.parametrize(("minutes", "late"), [(-5, False), (1, False), (3, True), (60 * 24 * 365, True)])
def test_what_is_due_now_was_not_put_off(minutes: int, late: bool) -> None:
    due = datetime.now(UTC) + timedelta(minutes=minutes)
    assert put_off(FlowRun(flow_id=uuid4(), next_scheduled_start_time=due)) is late
    assert put_off(FlowRun(flow_id=uuid4())) is False


@pytest.mark.parametrize("state", [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING])
@pytest.mark.parametrize(("since", "seen", "lost"), [
    (NOW, NOW, False), (LONG, NOW, False), (NOW, LONG, False), (LONG, LONG, True), (LONG, None, True),
])  # fmt: skip
def test_a_busy_run_is_lost_when_neither_it_nor_its_case_has_moved_for_long(
    office: Office, case: Case, state: StateType, since: timedelta, seen: timedelta | None, lost: bool
) -> None:
    assert (verdict(office, case, state, since, seen) is not None) is lost


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
    in_transaction(lambda tx: recovery.retry(tx, case.id, "he-qiang"))
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
