"""Several workers, of either type, and the server's limits: each run once, and none too many."""

from __future__ import annotations

import asyncio

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolUpdate
from prefect.states import Pending

from ops.worker import verdict
from ops.worker.journal import Journal
from tests.worker.conftest import PAUSING, WAITING

pytestmark = pytest.mark.engine


def test_the_limit_of_the_work_pool_is_honoured(bench):
    bench.client.update_work_pool(bench.pool, WorkPoolUpdate(concurrency_limit=1))
    bench.write("flows/waiting.py", WAITING)
    deployment = bench.deploy("flows/waiting.py:waiting")
    bench.work(processes=2)
    runs = [bench.submit(deployment) for _ in range(3)]
    bench.until(bench.lines)
    states = sorted(bench.state(run).type for run in runs)  # by type: who waits long is called late
    assert states == ["RUNNING", "SCHEDULED", "SCHEDULED"]
    bench.allow("go")
    for run in runs:
        bench.reaches(run, "Completed")


def test_two_workers_on_one_pool_run_each_run_once(bench):
    bench.write(
        "flows/counted.py",
        """
        @flow
        def counted(n: int):
            note(f"ran {n}")
    """,
    )
    deployment = bench.deploy("flows/counted.py:counted")
    bench.work("twin")
    bench.work("twin")  # even under one name
    runs = [bench.submit(deployment, n=n) for n in range(20)]
    for run in runs:
        bench.reaches(run, "Completed")
    assert sorted(bench.lines()) == sorted(f"ran {n}" for n in range(20))


def test_a_claim_that_came_after_the_run_had_ended_is_undone_and_nothing_runs_twice(bench):
    bench.write(
        "flows/once.py",
        """
        @flow(persist_result=False)
        def once():
            note("ran")
    """,
    )
    run = bench.submit(bench.deploy("flows/once.py:once"))
    first = bench.work("first")
    ended = bench.reaches(run, "Completed")
    bench.stop(first)
    # What a worker with an old list does, and that worker's death before it noticed.
    assert bench.client.set_flow_run_state(run.id, Pending()).status.value == "ACCEPT"
    due = next(state for state in bench.client.read_flow_run_states(run.id) if state.type.value == "SCHEDULED")
    dead = Journal(bench.folder / "state", bench.pool, "dead")
    dead.open(run.id, due.id)
    dead.release()
    bench.work("second")
    bench.until(lambda: bench.state(run).is_final())
    bench.until(bench.workers_online)
    again = bench.state(run)
    assert (again.type, again.name, again.message) == (ended.type, ended.name, ended.message)
    assert bench.lines() == ["ran"]


def test_a_claim_of_a_run_that_was_due_is_left_alone(bench):
    run = bench.submit(_nothing(bench))
    bench.client.set_flow_run_state(run.id, Pending())
    assert asyncio.run(_undo(run)) is False
    assert bench.state(run).is_pending()


def _nothing(bench):
    bench.write("flows/none.py", "")
    return bench.deploy("flows/none.py:none")


async def _undo(run):
    async with get_client() as client:
        return await verdict.undo_late_claim(client, run.id)


@pytest.mark.nightly
def test_the_stock_process_worker_runs_the_same_deployment(bench):
    bench.write("flows/pausing.py", PAUSING)
    deployment = bench.deploy("flows/pausing.py:pausing")
    bench.stock_work()
    run = bench.submit(deployment, rounds=1)
    bench.reaches(run, "Suspended")
    bench.client.resume_flow_run(run.id)
    bench.reaches(run, "Completed")
