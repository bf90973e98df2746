"""The door under load: how long Douyin's push waits for its answer, with a row stored for each message first.

    python -m benchmarks.door                       8 clients, 100 messages each, SQLite in a temporary folder
    python -m benchmarks.door --clients 16 --each 200

Clients and door share one process, so the door alone is faster than this. The platform expects its answer within 2 s.
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


def push(url: str, client_no: int, each: int, waits: list[float], wrong: list[str]) -> None:
    """Send one client's messages, one after the other."""
    import httpx

    with httpx.Client(trust_env=False, timeout=30) as client:
        for number in range(each):
            data = {"aftersale_id": 1, "arbitrate_id": f"{client_no}-{number}", "arbitrate_status": 255,
                    "arbitrate_conclusion": 1, "p_id": 1, "s_id": 2, "shop_id": 1}  # fmt: skip
            body = json.dumps([{"tag": "216", "msg_id": f"m{client_no}-{number}", "data": json.dumps(data)}])
            sign = hashlib.md5(f"bench{body}bench-secret".encode()).hexdigest()
            headers = {"app-id": "bench", "event-sign": sign, "content-type": "application/json"}
            began = time.perf_counter()
            answer = client.post(url, content=body, headers=headers)
            waits.append(time.perf_counter() - began)
            if answer.status_code != 200 or answer.json() != {"code": 0, "msg": "success"}:
                wrong.append(answer.text[:200])


def measure(clients: int, each: int, port: int) -> None:
    """Start the door, push, print one line."""
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
    threads = [threading.Thread(target=push, args=(url, number, each, waits, wrong)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    waits.sort()
    p99 = waits[int(len(waits) * 0.99)]
    print(
        f"{len(waits)} messages, {clients} clients: {len(waits) / took:.0f}/s, p50 {statistics.median(waits):.3f} s, "
        f"p99 {p99:.3f} s, longest {waits[-1]:.3f} s, not answered as they should be: {len(wrong)}"
    )


def main() -> None:
    """Read the arguments and measure with settings of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--port", type=int, default=8993)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(
            DIANWU_HOME=home, DIANWU_CONFIG=f"{home}/none.toml", DIANWU_RATE_LIMIT="1000000/minute",
            DIANWU_ENCRYPTION_KEYS=json.dumps([Fernet.generate_key().decode()]), DIANWU_AUDIT_KEY="benchmark",
            DIANWU_PLATFORM_SECRETS='["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]',
            DIANWU_API_TOKENS='["benchmark"]', DIANWU_DOUDIAN_APPS='{"bench": "bench-secret"}',
        )  # fmt: skip
        measure(chosen.clients, chosen.each, chosen.port)


if __name__ == "__main__":
    main()
