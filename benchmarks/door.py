"""The door under load: how long Douyin's push waits for its answer, with a row stored for each message first.

    python -m benchmarks.door                       8 clients, 100 messages each, SQLite in a temporary folder
    python -m benchmarks.door --clients 16 --each 200
    python -m benchmarks.door --json                one JSON object instead of the line

One more body brings 200 events at once. Clients and door share one process, so the door alone is faster than this. The
platform expects its answer within 2 s: one answer later than that, or another than theirs, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import tempfile
import threading
import time

from cryptography.fernet import Fernet

LONGEST = 2.0
"""Seconds within which the platform wants its answer."""
MANY = 200
"""Events in the one large body."""


def push(url: str, client_no: int, each: int, events: int, waits: list[float], wrong: list[str]) -> None:
    """Send one client's messages, one after the other, each with so many events."""
    import httpx

    with httpx.Client(trust_env=False, timeout=30) as client:
        for number in range(each):
            names = [f"{client_no}-{number}-{event}" for event in range(events)]
            about = {
                "aftersale_id": 1,
                "arbitrate_status": 255,
                "arbitrate_conclusion": 1,
                "p_id": 1,
                "s_id": 2,
                "shop_id": 1,
            }
            body = json.dumps(
                [{"tag": "216", "msg_id": name, "data": json.dumps(about | {"arbitrate_id": name})} for name in names]
            )
            sign = hashlib.md5(f"bench{body}bench-secret".encode()).hexdigest()
            headers = {"app-id": "bench", "event-sign": sign, "content-type": "application/json"}
            began = time.perf_counter()
            answer = client.post(url, content=body, headers=headers)
            waits.append(time.perf_counter() - began)
            if answer.status_code != 200 or answer.json() != {"code": 0, "msg": "success"}:
                wrong.append(answer.text[:200])


def measure(clients: int, each: int, port: int, as_json: bool) -> bool:
    """Start the door, push, print one line; whether every answer was right and in time."""
    import uvicorn
    from sqlmodel import SQLModel

    import tasks.desk  # noqa: F401  (declares every table)
    from tasks.db import engine
    from tasks.settings import settings
    from webhooks.app import create_app

    SQLModel.metadata.create_all(engine())
    config = uvicorn.Config(create_app(settings()), port=port, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    waits: list[float] = []
    wrong: list[str] = []
    url = f"http://127.0.0.1:{port}/webhooks/doudian"
    began = time.perf_counter()
    threads = [threading.Thread(target=push, args=(url, number, each, 1, waits, wrong)) for number in range(clients)]
    threads.append(threading.Thread(target=push, args=(url, clients, 1, MANY, waits, wrong)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    waits.sort()
    p99 = waits[int(len(waits) * 0.99)]
    good = not wrong and waits[-1] <= LONGEST
    if as_json:
        found = {
            "database": engine().dialect.name, "clients": clients, "requests": len(waits), "wrong": len(wrong),
            "requests_per_second": round(len(waits) / took, 1), "p50_s": round(statistics.median(waits), 4),
            "p99_s": round(p99, 4), "max_s": round(waits[-1], 4), "good": good,
        }  # fmt: skip
        print(json.dumps(found))
        return good
    print(
        f"{len(waits)} requests, {clients} clients: {len(waits) / took:.0f}/s, p50 {statistics.median(waits):.3f} s, "
        f"p99 {p99:.3f} s, longest {waits[-1]:.3f} s, not answered as they should be: {len(wrong)}"
    )
    return good


def main() -> None:
    """Read the arguments and measure with settings of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--port", type=int, default=8993)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(
            DIANWU_HOME=home, DIANWU_CONFIG=f"{home}/none.toml", DIANWU_SIGNED_RATE_LIMIT="1000000/minute",
            DIANWU_ENCRYPTION_KEYS=json.dumps([Fernet.generate_key().decode()]), DIANWU_AUDIT_KEY="benchmark",
            DIANWU_PLATFORM_SECRETS='["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]',
            DIANWU_API_TOKENS='["benchmark"]', DIANWU_DOUDIAN_APPS='{"bench": "bench-secret"}',
        )  # fmt: skip
        good = measure(chosen.clients, chosen.each, chosen.port, chosen.json)
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
