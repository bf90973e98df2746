"""The door under load: how long Douyin's push waits for its answer, with a row stored for each message first.

    python -m benchmarks.door                            8 clients, 100 messages each, SQLite
    python -m benchmarks.door --database postgres --clients 16 --each 200

The door is the product's own process, with the courier that acts on what came in beside it, in a whole running stack;
the clients are another process. One more body brings 200 events at once. The platform expects its answer within 2 s:
one answer later than that, or another than theirs, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.site import databases, percentile, site

LONGEST = 2.0
"""Seconds within which the platform wants its answer."""
MANY = 200
"""Events in the one large body."""
ABOUT = {
    "aftersale_id": 1,
    "arbitrate_status": 255,
    "arbitrate_conclusion": 1,
    "p_id": 1,
    "s_id": 2,
    "shop_id": 1,
}


def push(url: str, client_no: int, each: int, events: int, waits: list[float], wrong: list[str]) -> None:
    """Send one client's messages, one after the other, each with so many events."""
    import httpx

    with httpx.Client(trust_env=False, timeout=30) as client:
        for number in range(each):
            names = [f"{client_no}-{number}-{event}" for event in range(events)]
            body = json.dumps(
                [{"tag": "216", "msg_id": name, "data": json.dumps(ABOUT | {"arbitrate_id": name})} for name in names]
            )
            sign = hashlib.md5(f"bench{body}bench-secret".encode()).hexdigest()
            headers = {"app-id": "bench", "event-sign": sign, "content-type": "application/json"}
            began = time.perf_counter()
            answer = client.post(url, content=body, headers=headers)
            waits.append(time.perf_counter() - began)
            if answer.status_code != 200 or answer.json() != {"code": 0, "msg": "success"}:
                wrong.append(answer.text[:200])


def clients(url: str, count: int, each: int) -> dict[str, Any]:
    """All clients at once, in this process, and what they saw."""
    waits: list[float] = []
    wrong: list[str] = []
    threads = [threading.Thread(target=push, args=(url, number, each, 1, waits, wrong)) for number in range(count)]
    threads.append(threading.Thread(target=push, args=(url, count, 1, MANY, waits, wrong)))
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    return {
        "clients": count,
        "requests": len(waits),
        "wrong": wrong[:3],
        "requests_per_second": round(len(waits) / took, 1),
        "p50_s": round(statistics.median(waits), 4),
        "p99_s": round(percentile(waits, 0.99), 4),
        "max_s": round(max(waits), 4),
        "good": not wrong and max(waits) <= LONGEST,
    }


def measure(database: str, count: int, each: int) -> dict[str, Any]:
    own = {"DIANWU_DOUDIAN_APPS": '{"bench": "bench-secret"}', "DIANWU_SIGNED_RATE_LIMIT": "1000000/minute"}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with databases(database, home) as found, site(home, found, **own) as at:
            url = f"{at.stage.settings.door_url}/webhooks/doudian"
            command = [
                sys.executable, "-m", "benchmarks.door", "--url", url, "--clients", str(count), "--each", str(each),
            ]  # fmt: skip
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            return {"part": "door", "database": found.name, **json.loads(done.stdout)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--url", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.url:
        print(json.dumps(clients(given.url, given.clients, given.each)))
        return 0
    figures = measure(given.database, given.clients, given.each)
    print(json.dumps(figures))
    return 0 if figures["good"] else 1


if __name__ == "__main__":
    sys.exit(main())
