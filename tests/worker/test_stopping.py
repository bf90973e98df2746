"""A worker told to stop lets segments finish, and sets back what it has to cut off."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.worker.conftest import STUBBORN, WAITING

pytestmark = pytest.mark.engine


def test_sigterm_lets_running_segments_finish_and_leaves_the_rest_scheduled(bench):
    bench.write("flows/waiting.py", WAITING)
    deployment = bench.deploy("flows/waiting.py:waiting")
    worker = bench.work()
    running = bench.submit(deployment)
    bench.until(bench.lines)
    queued = bench.submit(deployment)
    worker.terminate()
    bench.until(lambda: received(worker))  # before its process is free for the next one
    bench.allow("go")
    assert worker.wait(90) == 0
    assert bench.state(running).name == "Completed"
    assert bench.state(queued).is_scheduled()
    bench.work()
    bench.reaches(queued, "Completed")


def test_segments_longer_than_the_grace_period_are_set_back_and_run_again(bench):
    bench.write("flows/waiting.py", WAITING)
    deployment = bench.deploy("flows/waiting.py:waiting")
    worker = bench.work(processes=2, DIANWU_WORKER_GRACE_SECONDS="1")
    runs = [bench.submit(deployment) for _ in range(2)]
    bench.until(lambda: len(bench.lines()) == 2)
    assert bench.stop(worker) == 0
    assert [bench.state(run).name for run in runs] == ["AwaitingRetry", "AwaitingRetry"]
    assert bench.idle()
    bench.allow("go")
    bench.work()
    for run in runs:
        bench.reaches(run, "Completed")
    assert bench.lines().count("through") == 2


def test_a_second_sigterm_ends_the_grace_period_and_sets_back_what_runs(bench):
    bench.write("flows/waiting.py", WAITING)
    worker = bench.work(processes=2, DIANWU_WORKER_GRACE_SECONDS="3600")
    runs = [bench.submit(bench.deploy("flows/waiting.py:waiting")) for _ in range(2)]
    bench.until(lambda: len(bench.lines()) == 2)
    worker.terminate()
    bench.until(lambda: received(worker))
    assert bench.stop(worker) == 0
    assert [bench.state(run).name for run in runs] == ["AwaitingRetry", "AwaitingRetry"]


def test_a_process_that_dies_by_itself_during_the_grace_period_is_crashed(bench):
    bench.write("flows/waiting.py", WAITING)
    worker = bench.work(DIANWU_WORKER_GRACE_SECONDS="3600")
    run = bench.submit(bench.deploy("flows/waiting.py:waiting"))
    pid = int(bench.until(bench.lines)[0].split()[1])
    worker.terminate()
    bench.until(lambda: received(worker))
    os.kill(pid, signal.SIGSEGV)
    assert worker.wait(90) == 0
    assert "SIGSEGV" in bench.reaches(run, "Crashed").message


def test_a_run_being_cancelled_when_the_grace_period_ends_is_cancelled(bench):
    bench.write("flows/stubborn.py", STUBBORN)
    worker = bench.work(DIANWU_WORKER_GRACE_SECONDS="1", DIANWU_WORKER_CANCEL_GRACE_SECONDS="3600")
    run = bench.submit(bench.deploy("flows/stubborn.py:stubborn"))
    bench.until(bench.lines)
    bench.cancel(run)
    bench.until(lambda: "ignored" in bench.lines())
    assert bench.stop(worker) == 0
    assert bench.state(run).name == "Cancelled"


def received(worker: subprocess.Popen[bytes]) -> bool:
    """Whether every signal sent to the worker has reached it."""
    status = Path(f"/proc/{worker.pid}/status").read_text(encoding="ascii")
    return all(int(mask, 16) == 0 for mask in re.findall(r"(?:Sig|Shd)Pnd:\t(\w+)", status))
