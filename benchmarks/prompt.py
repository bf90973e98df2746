"""Decisions given the moment the form appears: each is tried once, as an eager person would, and none may be lost.

    python -m benchmarks.prompt                    1,000 decisions, SQLite
    python -m benchmarks.prompt --decisions 100 --database postgres

The watcher asks Prefect without a pause which runs are Suspended, and gives the answer the moment one is. Lost is
what Prefect would not take at once, and what it took without the decision being recorded by the person who gave it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from sqlmodel import col, select

from benchmarks.site import Site, answer, databases, site
from models.cases import Case
from models.reviews import Review, ReviewState
from office.base.db import reading

UNDER_WAY = 16
"""Cases that are between submission and decision at one time."""
SUSPENDED = {"flow_runs": {"state": {"name": {"any_": ["Suspended"]}}}, "sort": "ID_DESC", "limit": 200}


def promptly(at: Site, shops: list[str]) -> dict[str, Any]:
    """Submit the cases one after the other and decide each at once; returns what became of the decisions."""
    people = [at.person() for _ in shops]
    room, given = threading.Semaphore(UNDER_WAY), dict[str, str]()
    answers: dict[str, Future[str]] = {}
    with get_client(sync_client=True) as client, ThreadPoolExecutor(8) as hands, ThreadPoolExecutor(2) as merchants:

        def decide(run_id: str, keys: dict[str, str], person: tuple[str, str]) -> str:
            try:
                return answer(client, UUID(run_id), keys, person)
            except Exception as error:
                return f"{type(error).__name__}: {error}"
            finally:
                room.release()

        def submit(shop: str) -> None:
            room.acquire()
            at.submit(shop)

        sent = [merchants.submit(submit, shop) for shop in shops]
        give_up = time.monotonic() + 60 + len(shops) * 3
        while len(answers) < len(shops) and time.monotonic() < give_up:
            for run in client.request("POST", "/flow_runs/filter", json=SUSPENDED).json():
                keys = run["state"]["state_details"].get("run_input_keyset")
                if keys and run["id"] not in answers:
                    person = people[len(answers)]
                    given[run["id"]] = person[0]
                    answers[run["id"]] = hands.submit(decide, run["id"], keys, person)
        for _ in shops:
            room.release()  # whoever is still outside may go home
        for each in sent:
            each.result()
    refused = [why for each in answers.values() if (why := each.result())]
    unseen = _unrecorded(given, patience=60)
    return {
        "decisions": len(shops),
        "shown": len(answers),
        "refused": len(refused),
        "unrecorded": len(unseen),
        "lost": len(shops) - len(answers) + len(unseen),
        "why": sorted(set(refused))[:3],
    }


def _unrecorded(given: dict[str, str], patience: float) -> list[str]:
    """Runs whose answer is not the decision in our books, once all had time to arrive."""
    give_up = time.monotonic() + patience
    while True:
        with reading() as tx:
            query = select(Case.run_id, Review.decided_by).join(Review, col(Review.case_id) == Case.id)
            recorded = dict(tx.exec(query.where(Review.state == ReviewState.DECIDED)).all())
        left = [run_id for run_id, person in given.items() if recorded.get(run_id) != person]
        if not left or time.monotonic() > give_up:
            return left
        time.sleep(0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--worker", choices=["dianwu", "process"], default="dianwu")
    parser.add_argument("--decisions", type=int, default=1000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with databases(given.database, home) as found, site(home, found, given.worker) as at:
            shops = at.shops(given.decisions)
            began = time.monotonic()
            result = promptly(at, shops)
            took = round(time.monotonic() - began, 1)
    print(json.dumps({"part": "prompt", "database": found.name, "worker": given.worker, **result, "took_s": took}))


if __name__ == "__main__":
    main()
