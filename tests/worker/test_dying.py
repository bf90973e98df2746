"""Whatever dies, flow, process or worker, no run is lost and the others go on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.worker.conftest import SLOW_POLL, WAITING, alive

pytestmark = pytest.mark.engine


FRAGILE = """
    @flow
    def fragile():
        note(f"up {os.getpid()}")
        get_run_logger().info("last words")
        wait_for("go")

    @flow
    def steady(n: int = 0):
        note(f"steady {n}")
"""


@pytest.mark.parametrize(("blow", "told"), [(signal.SIGKILL, "SIGKILL"), (signal.SIGSEGV, "SIGSEGV")])
def test_a_killed_process_is_reported_as_crashed_and_others_go_on(standing, blow, told):
    standing.write("flows/fragile.py", FRAGILE)
    fragile, steady = standing.deploy("flows/fragile.py:fragile"), standing.deploy("flows/fragile.py:steady")
    victim = standing.submit(fragile)
    pid = int(standing.until(standing.lines)[0].split()[1])
    standing.until(lambda: "last words" in standing.logs(victim))
    os.kill(pid, blow)
    crashed = standing.reaches(victim, "Crashed")
    assert told in crashed.message
    standing.until(lambda: "Reported as crashed" in standing.logs(victim))
    assert "last words" in standing.logs(victim)
    runs = [standing.submit(steady, n=n) for n in range(4)]
    for run in runs:
        standing.reaches(run, "Completed")


def test_a_flow_that_ends_its_process_or_raises_systemexit_is_crashed_not_lost(standing):
    standing.write(
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
    deployment = standing.deploy("flows/leaving.py:leaving")
    hard, soft = standing.submit(deployment, how="exit"), standing.submit(deployment, how="system-exit")
    assert "status 7" in standing.reaches(hard, "Crashed").message
    standing.reaches(soft, "Crashed")


def test_a_thread_that_a_flow_leaves_behind_ends_its_process(standing):
    standing.write(
        "flows/threads.py",
        """
        import threading

        @flow
        def leaving_a_thread():
            threading.Thread(target=threading.Event().wait).start()
            note(str(os.getpid()))
    """,
    )
    standing.reaches(standing.submit(standing.deploy("flows/threads.py:leaving_a_thread")), "Completed")
    (pid,) = standing.lines()
    standing.until(lambda: not alive(int(pid)))


@pytest.mark.parametrize("limit", [{"DIANWU_WORKER_RECYCLE_AFTER": "2"}, {"DIANWU_WORKER_MAX_RSS_MB": "1"}], ids=str)
def test_a_process_is_replaced_after_so_many_segments_or_so_much_memory(bench, limit):
    bench.write(
        "flows/pids.py",
        """
        @flow
        def pids():
            note(str(os.getpid()))
    """,
    )
    deployment = bench.deploy("flows/pids.py:pids")
    worker = bench.work(**limit, **SLOW_POLL)

    def one_more() -> bool:
        bench.reaches(bench.submit(deployment), "Completed")
        return len(set(bench.lines())) >= 3

    bench.until(one_more)
    bench.until(lambda: len(bench.children(worker)) <= 2)


def test_a_death_that_could_not_be_reported_at_once_is_reported_when_the_server_is_back(bench, relay):
    bench.write("flows/fragile.py", FRAGILE)
    run = bench.submit(bench.deploy("flows/fragile.py:fragile"))
    bench.work(PREFECT_API_URL=relay.url, PREFECT_CLIENT_MAX_RETRIES="0")
    pid = int(bench.until(bench.lines)[0].split()[1])
    relay.close_for(b"")
    os.kill(pid, signal.SIGKILL)
    bench.until(lambda: any(b"/flow_run_states" in request for request in relay.turned_away))
    relay.close_for(None)
    bench.reaches(run, "Crashed")
    bench.until(bench.idle)


def test_a_worker_killed_outright_takes_its_children_along_and_its_successor_takes_up_the_runs(bench):
    bench.write("flows/waiting.py", WAITING)
    deployment = bench.deploy("flows/waiting.py:waiting")
    worker = bench.work("old", processes=2)
    runs = [bench.submit(deployment) for _ in range(2)]
    bench.until(lambda: len(bench.lines()) == 2)
    children = bench.children(worker)
    assert {command(pid) for pid in children} == {command(worker.pid)}, "copies of it, which have imported nothing anew"
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


def command(pid: int) -> bytes:
    """How a process was started."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()
