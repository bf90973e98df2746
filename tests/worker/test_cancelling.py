"""Cancelled and suspended from outside: the flow is told, and what will not listen is ended."""

from __future__ import annotations

import pytest
from prefect.states import Suspended

from tests.worker.conftest import SLOW_POLL, STUBBORN, WAITING

pytestmark = pytest.mark.engine


def test_a_hanging_flow_blocks_only_its_own_process_and_can_be_cancelled(standing):
    standing.write(
        "flows/hanging.py",
        """
        @flow
        def hanging():
            note("hangs")
            try:
                time.sleep(3600)
            finally:
                note("cleaned up")

        @flow
        def steady():
            note("steady")
    """,
    )
    hanging, steady = standing.deploy("flows/hanging.py:hanging"), standing.deploy("flows/hanging.py:steady")
    stuck = standing.submit(hanging)
    standing.until(standing.lines)
    standing.reaches(standing.submit(steady), "Completed")
    standing.cancel(stuck)
    standing.reaches(stuck, "Cancelled")
    assert "Crashed" not in standing.history(stuck)
    assert "cleaned up" in standing.lines()
    standing.reaches(standing.submit(steady), "Completed")


def test_a_flow_that_ignores_cancellation_is_killed_and_cancelled_all_the_same(bench):
    bench.write("flows/stubborn.py", STUBBORN)
    deployment = bench.deploy("flows/stubborn.py:stubborn")
    bench.work(DIANWU_WORKER_CANCEL_GRACE_SECONDS="3", **SLOW_POLL)
    run = bench.submit(deployment)
    bench.until(bench.lines)
    bench.cancel(run)
    bench.reaches(run, "Cancelled")
    assert "ignored" in bench.lines()


def test_a_run_suspended_from_outside_stops_at_its_next_task_and_resumes(standing):
    standing.write(
        "flows/outside.py",
        """
        @task
        def step(n):
            note(f"step {n}")

        @flow
        def outside():
            step(1)
            wait_for("go")
            step(2)
    """,
    )
    deployment = standing.deploy("flows/outside.py:outside")
    run = standing.submit(deployment)
    standing.until(lambda: "step 1" in standing.lines())
    standing.client.set_flow_run_state(run.id, Suspended(timeout_seconds=3600))
    standing.until(lambda: "told to suspend" in standing.logs(run))
    standing.allow("go")
    standing.until(standing.idle)
    assert standing.state(run).name == "Suspended"
    assert "step 2" not in standing.lines()
    standing.client.resume_flow_run(run.id)
    standing.reaches(run, "Completed")
    assert "step 2" in standing.lines()


def test_without_the_event_stream_work_is_asked_for_and_cancelling_is_noticed(bench, relay):
    relay.close_for(b"/events/out")
    bench.write("flows/waiting.py", WAITING)
    bench.work(PREFECT_API_URL=relay.url)
    bench.until(lambda: relay.turned_away and bench.workers_online())
    run = bench.submit(bench.deploy("flows/waiting.py:waiting"))
    bench.until(bench.lines)
    bench.cancel(run)
    bench.reaches(run, "Cancelled")
