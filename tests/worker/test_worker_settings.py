"""Settings, journal and pool of the worker: no engine needed."""

from __future__ import annotations

import asyncio
import logging
import os
from uuid import uuid4

import pytest

from ops.worker.journal import Journal
from ops.worker.pool import Phase, WarmPool, WarmProcess
from ops.worker.settings import WorkerSettings


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
