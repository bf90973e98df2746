"""Runs start at once, come through, and share warm processes without noticing one another."""

from __future__ import annotations

import pytest

from tests.worker.conftest import PAUSING, STANDING

pytestmark = pytest.mark.engine

OFTEN = [7, pytest.param(20, marks=pytest.mark.nightly)]
"""How often what could go wrong at any time is tried."""


def test_a_run_starts_on_its_event_long_before_the_next_poll(standing):
    standing.write(
        "flows/quick.py",
        """
        @flow
        def quick(n: int = 0):
            get_run_logger().info("hello from %s", n)
            note(f"ran {n}")
    """,
    )
    deployment = standing.deploy("flows/quick.py:quick")
    first = standing.submit(deployment, n=1)
    standing.reaches(first, "Completed")
    second = standing.submit(deployment, n=2)  # the next poll is an hour away
    standing.reaches(second, "Completed")
    assert standing.lines() == ["ran 1", "ran 2"]
    standing.until(lambda: "hello from 2" in standing.logs(second))


@pytest.mark.parametrize("often", OFTEN)
def test_a_run_resumed_the_moment_it_suspends_is_never_lost_however_often(standing, often):
    standing.write("flows/pausing.py", PAUSING)
    deployment = standing.deploy("flows/pausing.py:pausing")
    run = standing.submit(deployment, rounds=often)
    for _ in range(often):
        seen = standing.reaches(run, "Suspended")
        standing.client.resume_flow_run(run.id)
        standing.until(lambda seen=seen: standing.state(run).id != seen.id)
    standing.reaches(run, "Completed")
    assert standing.lines().count("through") == 1
    assert "Crashed" not in standing.history(run)


@pytest.mark.parametrize("many", OFTEN)
def test_many_runs_share_few_processes_and_all_come_through(standing, many):
    standing.write("flows/pausing.py", PAUSING)
    deployment = standing.deploy("flows/pausing.py:pausing")
    runs = [standing.submit(deployment, rounds=1) for _ in range(many)]
    for run in runs:
        standing.reaches(run, "Suspended")
        standing.client.resume_flow_run(run.id)
    for run in runs:
        standing.reaches(run, "Completed")
    assert standing.lines().count("through") == many


def test_a_failing_flow_fails_and_a_flow_that_cannot_be_loaded_crashes_with_the_reason(standing):
    standing.write(
        "flows/failing.py",
        """
        @flow
        def failing():
            raise ValueError("no such shop")
    """,
    )
    standing.write("flows/broken.py", "import a_module_that_is_not_there\n")
    failing, broken = standing.deploy("flows/failing.py:failing"), standing.deploy("flows/broken.py:broken")
    assert "no such shop" in standing.reaches(standing.submit(failing), "Failed").message
    assert "a_module_that_is_not_there" in standing.reaches(standing.submit(broken), "Crashed").message


def test_a_retrying_flow_and_its_tasks_run_as_with_a_stock_worker(standing):
    standing.write(
        "flows/retrying.py",
        """
        @task
        def double(n):
            return 2 * n

        @flow(retries=1)
        def retrying(n: int):
            note("attempt")
            if double(n) == 4 and not Path("MARK").exists():
                Path("MARK").touch()
                raise ValueError("once")
    """.replace("MARK", str(standing.folder / "mark")),
    )
    deployment = standing.deploy("flows/retrying.py:retrying")
    standing.reaches(standing.submit(deployment, n=2), "Completed")
    assert standing.lines() == ["attempt", "attempt"]


def test_an_asynchronous_flow_runs_too(standing):
    standing.write(
        "flows/others.py",
        """
        @flow
        async def asynchronous():
            note("asynchronous")
    """,
    )
    standing.reaches(standing.submit(standing.deploy("flows/others.py:asynchronous")), "Completed")
    assert standing.lines() == ["asynchronous"]


def test_what_a_flow_does_to_its_surroundings_ends_with_its_segment(standing):
    standing.write(
        "flows/messy.py",
        """
        import sys

        @flow
        def messy():
            note(str(os.getpid()))
            os.environ["MESS"] = "left behind"
            del os.environ["HOME"]
            os.chdir("/")
            sys.path.insert(0, "/mess")

        @flow
        def tidy():
            note(f"{os.getpid()} {os.environ.get('MESS')} {'HOME' in os.environ} {os.getcwd()} {'/mess' in sys.path}")
            wait_for("go")
    """,
    )
    messy, tidy = standing.deploy("flows/messy.py:messy"), standing.deploy("flows/messy.py:tidy")
    standing.reaches(standing.submit(messy), "Completed")
    (pid,) = standing.lines()
    runs = [standing.submit(tidy) for _ in range(STANDING)]  # as many at one time as there are: one is in that process
    standing.until(lambda: len(standing.lines()) == 1 + len(runs))
    standing.allow("go")
    for run in runs:
        standing.reaches(run, "Completed")
    assert f"{pid} None True {standing.code} False" in standing.lines()


def test_the_worker_shows_its_heartbeat_in_the_pool(standing):
    standing.until(standing.workers_online)
