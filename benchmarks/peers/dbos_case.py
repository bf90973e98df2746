"""The same case on DBOS: check, wait for a review, effect. Run by a Python that has ``dbos.txt`` installed.

    python benchmarks/peers/dbos_case.py postgresql://user@host/database 100

Prints one JSON object. The whole of DBOS runs in this process, beside the caller.
"""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from dbos import DBOS, DBOSConfig, SetWorkflowID

done: dict[str, float] = {}


@DBOS.step()
def check(number: int) -> bool:
    return number >= 0


@DBOS.step()
def effect(number: int, verdict: str) -> str:
    return f"{number}: {verdict}"


@DBOS.workflow()
def case(number: int) -> str:
    check(number)
    DBOS.set_event("review", "waiting")
    verdict = DBOS.recv("decision", timeout_seconds=3600)
    result = effect(number, verdict)
    done[DBOS.workflow_id] = time.monotonic()
    return result


def one(number: int, prefix: str) -> tuple[float, float, bool]:
    name = f"{prefix}-{number}"
    began = time.monotonic()
    with SetWorkflowID(name):
        handle = DBOS.start_workflow(case, number)
    DBOS.get_event(name, "review", timeout_seconds=60)
    shown = time.monotonic()
    DBOS.send(name, "REJECT", topic="decision")  # at once: the prompt decision
    decided = time.monotonic()
    taken = handle.get_result() == f"{number}: REJECT"
    return shown - began, done[name] - decided, taken


def main() -> None:
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": sys.argv[1],
        "run_admin_server": False,
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.launch()
    cases = int(sys.argv[2])
    for number in range(3):
        one(number, "warm")
    rounds = [one(number, "single") for number in range(20)]
    before, began = time.process_time(), time.monotonic()
    with ThreadPoolExecutor(8) as hands:
        many = list(hands.map(lambda number: one(number, "many"), range(cases)))
    took, cpu = time.monotonic() - began, time.process_time() - before
    shown, effects = sorted(r[0] for r in rounds), sorted(max(r[1], 0.0) for r in rounds)
    print(
        json.dumps(
            {
                "peer": "DBOS",
                "shown_p50_s": round(statistics.median(shown), 3),
                "shown_p95_s": round(shown[18], 3),
                "done_p50_s": round(statistics.median(effects), 3),
                "done_p95_s": round(effects[18], 3),
                "cpu_client": cpu,
                "cases": cases,
                "cases_per_s": round(cases / took, 1),
                "prompt": cases + 20,
                "lost": sum(not r[2] for r in [*rounds, *many]),
                "threads": threading.active_count(),
            }
        ),
        flush=True,
    )
    DBOS.destroy()


if __name__ == "__main__":
    main()
