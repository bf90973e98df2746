"""What the worker promises: work starts at once, and nothing that goes wrong loses a run."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolUpdate
from prefect.states import Cancelling, Pending, Suspended

from ops.worker import verdict
from ops.worker.journal import Journal

pytestmark = pytest.mark.engine

SLOW_POLL = {"DIANWU_WORKER_POLL_SECONDS": "3600"}
"""No poll within a test's lifetime: whatever runs was learned of by an event."""


def test_a_run_starts_on_its_event_long_before_the_next_poll(bench):
    bench.write(
        "flows/quick.py",
        """
        @flow
        def quick(n: int = 0):
            get_run_logger().info("hello from %s", n)
            note(f"ran {n}")
    """,
    )
    deployment = bench.deploy("flows/quick.py:quick")
    bench.work(**SLOW_POLL)
    first = bench.submit(deployment, n=1)  # may be found by the poll at the start
    bench.reaches(first, "Completed")
    second = bench.submit(deployment, n=2)  # the next poll is an hour away
    bench.reaches(second, "Completed")
    assert bench.lines() == ["ran 1", "ran 2"]
    bench.until(lambda: "hello from 2" in bench.logs(second))


PAUSING = """
    @flow
    def pausing(rounds: int = 1):
        for n in range(rounds):
            note(f"before {n}")
            suspend_flow_run(key=f"round-{n}", timeout=None)
        note("through")
"""


def test_a_run_resumed_the_moment_it_suspends_is_never_lost_twenty_times_over(bench):
    bench.write("flows/pausing.py", PAUSING)
    deployment = bench.deploy("flows/pausing.py:pausing")
    worker = bench.work(**SLOW_POLL)
    run = bench.submit(deployment, rounds=20)
    for _ in range(20):
        seen = bench.reaches(run, "Suspended")
        bench.client.resume_flow_run(run.id)
        bench.until(lambda seen=seen: bench.state(run).id != seen.id)
    bench.reaches(run, "Completed")
    assert bench.lines().count("through") == 1
    assert "Crashed" not in bench.history(run)
    assert worker.poll() is None


def test_many_runs_share_few_processes_and_all_come_through(bench):
    bench.write("flows/pausing.py", PAUSING)
    deployment = bench.deploy("flows/pausing.py:pausing")
    bench.work(**SLOW_POLL)
    runs = [bench.submit(deployment, rounds=1) for _ in range(20)]
    for run in runs:
        bench.reaches(run, "Suspended")
        bench.client.resume_flow_run(run.id)
    for run in runs:
        bench.reaches(run, "Completed")
    assert bench.lines().count("through") == 20


FRAGILE = """
    @flow
    def fragile():
        note(f"up {os.getpid()}")
        wait_for("go")

    @flow
    def steady(n: int = 0):
        note(f"steady {n}")
"""


@pytest.mark.parametrize(("blow", "told"), [(signal.SIGKILL, "SIGKILL"), (signal.SIGSEGV, "SIGSEGV")])
def test_a_killed_process_is_reported_as_crashed_and_others_go_on(bench, blow, told):
    bench.write("flows/fragile.py", FRAGILE)
    fragile, steady = bench.deploy("flows/fragile.py:fragile"), bench.deploy("flows/fragile.py:steady")
    bench.work(**SLOW_POLL)
    victim = bench.submit(fragile)
    pid = int(bench.until(bench.lines)[0].split()[1])
    os.kill(pid, blow)
    crashed = bench.reaches(victim, "Crashed")
    assert told in crashed.message
    runs = [bench.submit(steady, n=n) for n in range(4)]
    for run in runs:
        bench.reaches(run, "Completed")


def test_a_flow_that_ends_its_process_or_raises_systemexit_is_crashed_not_lost(bench):
    bench.write(
        "flows/leaving.py",
        """
        @flow
        def leaving(how: str):
            note(how)
            if how == "exit":
                os._exit(7)
            raise SystemExit(3)
    """,
    )
    deployment = bench.deploy("flows/leaving.py:leaving")
    bench.work(**SLOW_POLL)
    hard, soft = bench.submit(deployment, how="exit"), bench.submit(deployment, how="system-exit")
    assert "status 7" in bench.reaches(hard, "Crashed").message
    bench.reaches(soft, "Crashed")


def test_a_failing_flow_fails_and_a_flow_that_cannot_be_loaded_crashes_with_the_reason(bench):
    bench.write(
        "flows/failing.py",
        """
        @flow
        def failing():
            raise ValueError("no such shop")
    """,
    )
    bench.write("flows/broken.py", "import a_module_that_is_not_there\n")
    failing, broken = bench.deploy("flows/failing.py:failing"), bench.deploy("flows/broken.py:broken")
    bench.work(**SLOW_POLL)
    assert "no such shop" in bench.reaches(bench.submit(failing), "Failed").message
    assert "a_module_that_is_not_there" in bench.reaches(bench.submit(broken), "Crashed").message


def test_a_retrying_flow_and_its_tasks_run_as_with_a_stock_worker(bench):
    bench.write(
        "flows/retrying.py",
        """
        @task
        def double(n):
            return 2 * n

        @flow(retries=1)
        def retrying(n: int):
            note("attempt")
            if double(n) == 4 and not Path(os.environ["MARK"]).exists():
                Path(os.environ["MARK"]).touch()
                raise ValueError("once")
            note(os.environ["COLOUR"])
    """,
    )
    env = {"MARK": str(bench.folder / "mark"), "COLOUR": "blue"}
    deployment = bench.deploy("flows/retrying.py:retrying", job_variables={"env": env})
    bench.work(**SLOW_POLL)
    bench.reaches(bench.submit(deployment, n=2), "Completed")
    assert bench.lines() == ["attempt", "attempt", "blue"]


def test_asynchronous_flows_and_deployments_with_pull_steps_run_too(bench):
    bench.write(
        "flows/others.py",
        """
        @flow
        async def asynchronous():
            note("asynchronous")

        @flow
        def pulled():
            note("pulled")
    """,
    )
    named = [{"prefect.deployments.steps.set_working_directory": {"directory": str(bench.code)}}]
    fetched = [{"prefect.deployments.steps.run_shell_script": {"script": "true"}}, *named]
    bench.work(**SLOW_POLL)
    bench.reaches(bench.submit(bench.deploy("flows/others.py:asynchronous", pull_steps=named)), "Completed")
    bench.reaches(bench.submit(bench.deploy("flows/others.py:pulled", pull_steps=fetched)), "Completed")
    assert bench.lines() == ["asynchronous", "pulled"]


def test_a_hanging_flow_blocks_only_its_own_process_and_can_be_cancelled(bench):
    bench.write(
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
    hanging, steady = bench.deploy("flows/hanging.py:hanging"), bench.deploy("flows/hanging.py:steady")
    bench.work(**SLOW_POLL)
    stuck = bench.submit(hanging)
    bench.until(bench.lines)
    bench.reaches(bench.submit(steady), "Completed")
    cancel(bench, stuck)
    bench.reaches(stuck, "Cancelled")
    assert "Crashed" not in bench.history(stuck)
    assert "cleaned up" in bench.lines()
    bench.reaches(bench.submit(steady), "Completed")


def test_a_flow_that_ignores_cancellation_is_killed_and_cancelled_all_the_same(bench):
    bench.write(
        "flows/stubborn.py",
        """
        @flow
        def stubborn():
            note("up")
            while True:
                try:
                    time.sleep(3600)
                except BaseException:
                    note("ignored")
    """,
    )
    deployment = bench.deploy("flows/stubborn.py:stubborn")
    bench.work(DIANWU_WORKER_CANCEL_GRACE_SECONDS="1", **SLOW_POLL)
    run = bench.submit(deployment)
    bench.until(bench.lines)
    cancel(bench, run)
    bench.reaches(run, "Cancelled")
    assert "ignored" in bench.lines()


def test_a_run_suspended_from_outside_stops_at_its_next_task_and_resumes(bench):
    bench.write(
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
    deployment = bench.deploy("flows/outside.py:outside")
    worker = bench.work(**SLOW_POLL)
    run = bench.submit(deployment)
    bench.until(lambda: "step 1" in bench.lines())
    bench.client.set_flow_run_state(run.id, Suspended(timeout_seconds=3600))
    bench.until(lambda: "told to suspend" in bench.logs(run))
    bench.allow("go")
    bench.until(lambda: bench.idle(worker))
    assert bench.state(run).name == "Suspended"
    assert "step 2" not in bench.lines()
    bench.client.resume_flow_run(run.id)
    bench.reaches(run, "Completed")
    assert "step 2" in bench.lines()


WAITING = """
    @flow
    def waiting():
        note(f"up {os.getpid()}")
        wait_for("go")
        note("through")
"""


def test_a_worker_killed_outright_takes_its_children_along_and_its_successor_takes_up_the_runs(bench):
    bench.write("flows/waiting.py", WAITING)
    deployment = bench.deploy("flows/waiting.py:waiting")
    worker = bench.work("old")
    runs = [bench.submit(deployment) for _ in range(2)]
    bench.until(lambda: len(bench.lines()) == 2)
    children = bench.children(worker)
    worker.kill()
    bench.until(lambda: not any(alive(pid) for pid in children))
    assert {bench.state(run).name for run in runs} == {"Running"}
    bench.allow("go")
    bench.work("new")  # any worker of this pool on this machine will do
    for run in runs:
        bench.reaches(run, "Completed")
    assert bench.lines().count("through") == 2


def test_a_supervised_worker_starts_itself_again_and_takes_up_what_it_left(bench):
    bench.write("flows/waiting.py", WAITING)
    deployment = bench.deploy("flows/waiting.py:waiting")
    supervisor = bench.work(supervised=True)
    run = bench.submit(deployment)
    bench.until(bench.lines)
    (worker,) = bench.children(supervisor)
    os.kill(worker, signal.SIGKILL)
    bench.allow("go")
    bench.reaches(run, "Completed")
    assert bench.stop(supervisor) == 0


def test_sigterm_lets_running_segments_finish_and_leaves_the_rest_scheduled(bench):
    bench.write("flows/waiting.py", WAITING)
    deployment = bench.deploy("flows/waiting.py:waiting")
    worker = bench.work(processes=1)
    running = bench.submit(deployment)
    bench.until(bench.lines)
    queued = bench.submit(deployment)
    worker.terminate()
    bench.allow("go")
    assert worker.wait(90) == 0
    assert bench.state(running).name == "Completed"
    assert bench.state(queued).is_scheduled()
    bench.work()
    bench.reaches(queued, "Completed")


def test_a_segment_longer_than_the_grace_period_is_set_back_and_runs_again(bench):
    bench.write("flows/waiting.py", WAITING)
    deployment = bench.deploy("flows/waiting.py:waiting")
    worker = bench.work(DIANWU_WORKER_GRACE_SECONDS="1")
    run = bench.submit(deployment)
    bench.until(bench.lines)
    bench.stop(worker)
    assert bench.state(run).name == "AwaitingRetry"
    bench.allow("go")
    bench.work()
    bench.reaches(run, "Completed")
    assert bench.lines().count("through") == 1


def test_a_process_is_replaced_after_so_many_segments(bench):
    bench.write(
        "flows/pids.py",
        """
        @flow
        def pids():
            note(str(os.getpid()))
    """,
    )
    deployment = bench.deploy("flows/pids.py:pids")
    worker = bench.work(processes=1, DIANWU_WORKER_RECYCLE_AFTER="2", **SLOW_POLL)

    def one_more() -> bool:
        bench.reaches(bench.submit(deployment), "Completed")
        return len(set(bench.lines())) >= 3

    bench.until(one_more)
    bench.until(lambda: len(bench.children(worker)) <= 2)


def test_code_deployed_anew_is_what_runs_next(bench):
    flow = """
        @flow
        def versioned():
            note("{version}")
    """
    bench.write("flows/versioned.py", flow.format(version="old"))
    deployment = bench.deploy("flows/versioned.py:versioned")
    bench.work(processes=1, **SLOW_POLL)
    bench.reaches(bench.submit(deployment), "Completed")
    bench.write("flows/versioned.py", flow.format(version="new"))
    bench.reaches(bench.submit(deployment), "Completed")
    bench.write("other/versioned.py", flow.format(version="newest"))
    moved = bench.deploy("other/versioned.py:versioned")  # same name: the deployment now points elsewhere
    assert moved == deployment
    bench.until(lambda: bench.reaches(bench.submit(deployment), "Completed") and "newest" in bench.lines())
    assert bench.lines()[:2] == ["old", "new"]


def test_the_limit_of_the_work_pool_is_honoured(bench):
    bench.client.update_work_pool(bench.pool, WorkPoolUpdate(concurrency_limit=1))
    bench.write("flows/waiting.py", WAITING)
    deployment = bench.deploy("flows/waiting.py:waiting")
    bench.work(processes=2)
    runs = [bench.submit(deployment) for _ in range(3)]
    bench.until(bench.lines)
    names = sorted(bench.state(run).name for run in runs)
    assert names == ["Running", "Scheduled", "Scheduled"]
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
    bench.work("twin", processes=1)
    bench.work("twin", processes=1)  # even under one name
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


def test_the_stock_process_worker_runs_the_same_deployment(bench):
    bench.write("flows/pausing.py", PAUSING)
    deployment = bench.deploy("flows/pausing.py:pausing")
    bench.stock_work()
    run = bench.submit(deployment, rounds=1)
    bench.reaches(run, "Suspended")
    bench.client.resume_flow_run(run.id)
    bench.reaches(run, "Completed")


def test_the_worker_shows_its_heartbeat_in_the_pool(bench):
    bench.work("pulse")
    bench.until(lambda: [worker for worker in bench.workers_online() if worker["name"] == "pulse"])


def cancel(bench, run):
    """What the Cancel button does."""
    bench.client.set_flow_run_state(run.id, Cancelling())


def alive(pid: int) -> bool:
    """Whether the process runs still (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
