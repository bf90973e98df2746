"""Settings, journal and pool of the worker: no engine needed."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from types import SimpleNamespace
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun

from ops.worker import journal
from ops.worker.journal import Journal
from ops.worker.pool import Phase, WarmPool, WarmProcess
from ops.worker.settings import WorkerSettings
from ops.worker.worker import DianwuWorker


def test_settings_come_from_the_environment_and_bad_ones_are_named():
    assert WorkerSettings.from_env({"DIANWU_WORKER_PROCESSES": "3"}).processes == 3
    assert WorkerSettings.from_env({}).recycle_after == WorkerSettings().recycle_after
    for bad in ("none", "0", "-1"):
        with pytest.raises(ValueError, match="DIANWU_WORKER_PROCESSES"):
            WorkerSettings.from_env({"DIANWU_WORKER_PROCESSES": bad})


def test_claims_of_a_living_worker_are_left_alone_and_those_of_a_dead_one_are_found(tmp_path):
    dead, finder = Journal(tmp_path, "pool", "one"), Journal(tmp_path, "pool", "two")
    run, scheduled, pending = uuid4(), uuid4(), uuid4()
    dead.claimed(dead.open(run, scheduled), pending)
    assert list(finder.left_behind()) == []
    dead.release()  # what the kernel does when the worker dies
    ((path, (claim,)),) = finder.left_behind()
    assert (claim.flow_run_id, claim.pending_state_id) == (str(run), str(pending))
    finder.forget(path)
    assert list(finder.left_behind()) == []


def test_two_workers_of_one_name_keep_separate_journals_and_pools_do_not_mix(tmp_path):
    first, second = Journal(tmp_path, "pool", "twin"), Journal(tmp_path, "pool", "twin")
    second.open(uuid4(), None)
    first.open(uuid4(), None)
    first.release()
    second.release()
    assert len(list(Journal(tmp_path, "pool", "other").left_behind())) == 2
    assert list(Journal(tmp_path, "elsewhere", "other").left_behind()) == []


def test_a_full_disk_takes_no_process_out_of_the_workers_hands(tmp_path, monkeypatch):
    """Four runs that could not be noted down had been four processes less, and a worker that took nothing for ever."""
    monkeypatch.setenv("DIANWU_WORKER_STATE_DIR", str(tmp_path))
    worker, taken, full = DianwuWorker("pool"), [], [True]
    worker._journal = Journal(tmp_path, "pool", "one")
    worker._work_pool = SimpleNamespace(base_job_template={})
    monkeypatch.setattr(DianwuWorker, "client", None)
    monkeypatch.setattr(worker.pool, "_processes", [process := WarmProcess("root")])
    process.phase = Phase.IDLE
    monkeypatch.setattr(worker, "_deployments", SimpleNamespace(read=lambda *_: asyncio.sleep(0, "deployment")))
    monkeypatch.setattr(worker, "authority", SimpleNamespace(code_of=lambda *_: ("root", "flows/x.py:x")))
    monkeypatch.setattr(worker, "_run_segment", lambda *given: taken.append(given))
    monkeypatch.setattr(worker, "_background", lambda _: None)
    monkeypatch.setattr(worker, "due", SimpleNamespace(take=lambda _: None))
    written = journal._write

    def write(*given):
        if full and full.pop():
            raise OSError(errno.ENOSPC, "full")
        written(*given)

    monkeypatch.setattr(journal, "_write", write)
    run = FlowRun(id=uuid4(), flow_id=uuid4(), deployment_id=uuid4(), name="x")
    with pytest.raises(OSError):
        asyncio.run(worker._take(run))
    assert worker.pool.idle == 1 and worker._journal._claims == {} and worker._segments == {}
    assert asyncio.run(worker._take(run)) and len(taken) == 1


def test_a_journal_cut_off_by_a_power_failure_does_not_stop_the_start(tmp_path):
    (tmp_path / "pool--one.json").write_text('[{"flow_run_id": "ab')
    assert list(Journal(tmp_path, "pool", "one").left_behind()) == []


def test_no_more_processes_start_at_once_than_there_are_cores_and_all_come_up(monkeypatch):
    starting, at_once, cores = 0, [], os.cpu_count() or 1

    async def start(process, entrypoints, seconds):
        nonlocal starting
        starting += 1
        at_once.append(starting)
        await asyncio.sleep(0)
        starting -= 1
        process.phase = Phase.IDLE

    async def opened():
        warm = asyncio.Event()
        pool = WarmPool(
            WorkerSettings(processes=3 * cores), lambda: warm.set() if pool.idle == 3 * cores else None, logging
        )
        pool.open()
        await asyncio.wait_for(warm.wait(), 30)

    monkeypatch.setattr(WarmProcess, "start", start)
    asyncio.run(opened())
    assert (len(at_once), max(at_once)) == (3 * cores, cores)
