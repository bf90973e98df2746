"""What ten thousand waiting cases cost: memory, disk, a restart of the whole stack, a sweep of their deadlines.

    python -m benchmarks.waiting                              10,000 cases, SQLite
    python -m benchmarks.waiting --cases 500 --database postgres

One case comes to its form through the door and a real run; the others are copies of all its rows in both databases
(``benchmarks.copies``). The stack is started with the one and again with all; each start is measured from the first
process until everything has been ready for a while, in the same part of a minute, so that schedules fall alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from prefect.client.orchestration import get_client
from sqlmodel import col, func, select

from benchmarks.case import form_of
from benchmarks.copies import Copier, open_store
from benchmarks.processes import cpu_seconds
from benchmarks.site import Databases, Site, databases, site, until
from models.cases import Case
from models.reviews import Review
from office.base import db
from office.base.db import reading
from office.cases import timekeeping
from office.runs import recovery
from tasks.invoicing import freezes
from tasks.sight import board

SETTLE_SECONDS = 20.0
"""After everything is ready: caches fill, the worker's processes get warm."""


def prepare(home: Path, found: Databases) -> Copier:
    """One case that waits for its review, and what it is called."""
    with site(home, found) as at:
        (shop,) = at.shops(1)
        at.submit(shop)
        run_id, _ = until(lambda: form_of(shop), "the case is reviewed")
        with get_client(sync_client=True) as client:
            until(lambda: (state := client.read_flow_run(run_id).state) and state.is_paused(), "the form is shown")
        at.stage.wait(at.handled, "everybody is told")
        time.sleep(8)  # events and logs on their way are part of a waiting case
        with reading() as tx:
            case_id, review_id = tx.exec(select(Case.id, Review.id).join(Review, col(Review.case_id) == Case.id)).one()
    return Copier([case_id, review_id, f"closure-{shop}"], str(run_id))


def start(home: Path, found: Databases, settle: float, then: Callable[[Site], dict[str, Any]]) -> dict[str, Any]:
    """Start the stack on what is there and see what that costs."""
    now = time.time() % 60
    time.sleep((62 - now) % 60)
    before, began = cpu_seconds(found.server) if found.server else 0.0, time.monotonic()
    with site(home, found) as at:
        ready = time.monotonic() - began
        time.sleep(settle)
        cpu, memory = at.cpu(), at.memory()
        if "postgres" in cpu:
            cpu["postgres"] -= before  # it was not started with the stack
        return {"ready_s": round(ready, 1), "cpu": cpu, "memory": memory, **then(at)}


def sweeps(at: Site, overdue: bool) -> dict[str, Any]:
    """Time of each step of the minute's sweep in this process, of the flow, and with everything overdue."""
    steps: dict[str, Callable[[], Any]] = {
        "deadlines": timekeeping.sweep,
        "freezes": freezes.sweep,
        "recovery": recovery.recover,
        "board": board.publish,
    }
    took = {name: statistics.median(_seconds(step) for _ in range(3)) for name, step in steps.items()}
    flow = _seconds(at.stage.sweep)
    figures = {"sweep_s": round(sum(took.values()), 3), "sweep_flow_s": round(flow, 2)}
    figures |= {f"sweep_{name}_s": round(seconds, 3) for name, seconds in took.items()}
    if overdue:
        at.stack.stop()  # what is measured now is ours alone
        at.stage.advance(timedelta(days=60))
        began, acted = time.perf_counter(), 0
        while done := timekeeping.sweep():
            acted += done
        seconds = time.perf_counter() - began
        figures |= {"overdue": acted, "overdue_s": round(seconds, 2)}
    return figures


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(database: str, cases: int, settle: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with databases(database, home) as found:
            copier = prepare(home, found)
            few = start(home, found, settle, lambda at: {})
            db.dispose()
            before = found.bytes()
            rows = []
            began = time.monotonic()
            for address in (found.own, found.prefect):
                store = open_store(address)
                rows.append(copier.copy(store, cases - 1))
                store.close()
            seeded = time.monotonic() - began
            after = found.bytes()
            many = start(home, found, settle, lambda at: _waiting() | sweeps(at, overdue=True))
    cpu = {name: round(many["cpu"][name] - few["cpu"].get(name, 0), 2) for name in many["cpu"]}
    own, engine = ((b - a) / 1024 / (cases - 1) for a, b in zip(before, after, strict=True))
    assert many["waiting"] == cases, many["waiting"]
    return {
        "part": "waiting", "database": found.name, "cases": cases, "seed_s": round(seeded, 1), "rows_own": rows[0],
        "rows_prefect": rows[1], "own_kb": round(own, 2), "prefect_kb": round(engine, 2),
        "memory_one_mb": few["memory"], "memory_all_mb": many["memory"],
        "memory_kb_per_case": round(
            (sum(many["memory"].values()) - sum(few["memory"].values())) * 1024 / (cases - 1), 2),
        "ready_one_s": few["ready_s"], "ready_all_s": many["ready_s"],
        "restart_cpu_one_s": round(sum(few["cpu"].values()), 2), "restart_cpu_extra_s": round(sum(cpu.values()), 2),
        "restart_cpu_extra_by_part": cpu,
        **{name: value for name, value in many.items() if name.startswith(("sweep", "overdue"))},
    }  # fmt: skip


def _waiting() -> dict[str, int]:
    with reading() as tx:
        query = select(func.count()).where(col(Case.concluded_at).is_(None), col(Case.run_id).is_not(None))
        return {"waiting": tx.exec(query).one()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--settle", type=float, default=SETTLE_SECONDS)
    given = parser.parse_args()
    print(json.dumps(measure(given.database, given.cases, given.settle)))


if __name__ == "__main__":
    main()
