"""One closure from the merchant's wish to its refusal, through the door, Prefect and back: check, review, effect.

    python -m benchmarks.case                                    our worker, SQLite
    python -m benchmarks.case --worker process --database postgres --cases 6 --single 3

First cases one by one, for the two latencies: submitted → the form is shown; decision given → its effect is recorded.
Then many at once, for CPU-seconds per whole case (two segments) and cases per second.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from sqlmodel import col, func, select

from benchmarks.site import Site, answer, databases, keyset, site, spent, times, until
from models.cases import Case, CaseState
from models.reviews import Review
from office.base.db import reading

HANDS = 4
"""Threads that submit and decide."""


def form_of(shop: str) -> tuple[UUID, str] | None:
    """The run and the pause key of the form that is about to be shown."""
    with reading() as tx:
        query = select(Case.run_id, Review.pause_key).join(Review, col(Review.case_id) == Case.id)
        found = tx.exec(query.where(Case.shop_id == shop, col(Review.pause_key).is_not(None))).first()
    return (UUID(found[0]), found[1]) if found and found[0] and found[1] else None


def rejected(shops: list[str]) -> int:
    """How many of their cases have come to their end."""
    with reading() as tx:
        query = select(func.count()).where(col(Case.shop_id).in_(shops), Case.state == CaseState.REJECTED)
        return tx.exec(query).one()


def one_by_one(at: Site, shops: list[str]) -> tuple[list[float], list[float]]:
    """Both latencies of each case, with nothing else under way."""
    with get_client(sync_client=True) as client:
        both = [one(at, client, shop) for shop in shops]
    return [shown for shown, _ in both], [done for _, done in both]


def one(at: Site, client: SyncPrefectClient, shop: str) -> tuple[float, float]:
    """Seconds from the submission until the form is shown, and from the decision to its effect."""
    person = at.person()
    began = time.monotonic()
    at.submit(shop)
    run_id, key = until(lambda: form_of(shop), f"{shop} is reviewed")
    until(lambda: (state := client.read_flow_run(run_id).state) and state.is_paused(), f"{shop} is shown")
    shown = time.monotonic() - began
    began = time.monotonic()
    until(lambda: not answer(client, run_id, keyset(key), person), "the decision is taken")
    until(lambda: rejected([shop]), f"{shop} is rejected")
    return shown, time.monotonic() - began


def all_at_once(at: Site, shops: list[str]) -> tuple[float, dict[str, float]]:
    """Seconds from the first submission to the last effect, and CPU by part with everything that trails behind."""
    people = iter([at.person() for _ in range(2 * len(shops))])
    at.stage.wait(at.handled, "all is quiet")
    time.sleep(3)
    before, began = at.cpu(), time.monotonic()
    answered: set[str] = set()

    with get_client(sync_client=True) as client, ThreadPoolExecutor(HANDS) as hands:
        sent = [hands.submit(at.submit, shop) for shop in shops]

        def decide(form: tuple[str, str]) -> str | None:
            run_id, key = form
            state = client.read_flow_run(UUID(run_id)).state
            shown = state is not None and state.is_paused()
            return key if shown and not answer(client, UUID(run_id), keyset(key), next(people)) else None

        def ended() -> bool:
            with reading() as tx:
                query = select(Case.run_id, Review.pause_key).join(Review, col(Review.case_id) == Case.id)
                forms = tx.exec(query.where(col(Case.shop_id).in_(shops), col(Review.pause_key).is_not(None))).all()
            # A code may be too old when its run is reached: then the form comes again, under another key.
            ready = [(run_id, key) for run_id, key in forms if run_id and key and key not in answered]
            answered.update(key for key in hands.map(decide, ready) if key)
            return rejected(shops) == len(shops)

        until(ended, "every case has ended", patience=600, pause=0.1)
        for each in sent:
            each.result()
    took = time.monotonic() - began
    at.stage.wait(at.handled, "what follows is delivered")
    time.sleep(4)  # logs and events still on their way belong to the cost
    return took, spent(before, at.cpu())


def measure(worker: str, database: str, cases: int, single: int, idle: float) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with databases(database, home) as found, site(home, found, worker) as at:
            shops = at.shops(cases + single + 2)
            one_by_one(at, shops[:2])  # whoever is warm later is warm now
            shown, done = one_by_one(at, shops[2 : 2 + single])
            resting = at.idle(idle)
            began = time.monotonic()
            took, cpu = all_at_once(at, shops[2 + single :])
            window = time.monotonic() - began
            memory = at.memory()
    total = sum(cpu.values())
    return {
        "part": "case", "worker": worker, "database": found.name, "cases": cases, "single": single,
        **times("shown", shown), **times("done", done),
        "cpu_per_case": round(total / cases, 3), "cpu_net_per_case": round((total - resting * window) / cases, 3),
        "cpu_by_part": {name: round(used / cases, 3) for name, used in cpu.items()},
        "idle_cpu": round(resting, 3), "cases_per_s": round(cases / took, 2), "memory_mb": memory,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", choices=["dianwu", "process"], default="dianwu")
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--single", type=int, default=20)
    parser.add_argument("--idle", type=float, default=20, help="seconds over which the idle stack is watched")
    given = parser.parse_args()
    print(json.dumps(measure(given.worker, given.database, given.cases, given.single, given.idle)))


if __name__ == "__main__":
    main()
