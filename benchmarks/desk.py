"""What the desk answers in while ten thousand questions wait: queue, question, decision with the next one, and the pulse.

    python -m benchmarks.desk                              10,000 questions, SQLite
    python -m benchmarks.desk --questions 500 --database postgres

One closure comes to its question by everybody's own acts; the others are copies of its shop, case, question and deadline, each
sealed as if it had been asked. Times are those of the application itself, from request to answer, in this process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy import insert
from sqlmodel import SQLModel, select

from benchmarks.site import Databases, databases, percentile
from models.cases import Case, CaseDeadline
from models.reviews import Review, ReviewState
from models.shops import Shop, ShopSnapshot
from notifications.scripted import ScriptedNotifier
from office.base import db
from office.base.clock import VirtualClock, use_clock
from office.base.db import Tx, in_transaction
from office.base.settings import settings
from office.cases.gates import DEADLINE
from office.record import decision_seals
from tasks import delivery
from tasks.processes import open_office
from tests.desk.seat import Page, Seat
from tests.play import START, Office

LOOKERS, EVERY = 50, 5
"""People whose pages ask the pulse, each every so many seconds."""


def prepare(home: Path, found: Databases) -> Office:
    """An office with its staff in an empty database."""
    os.environ |= {
        "DIANWU_HOME": str(home),
        "DIANWU_CONFIG": str(home / "none.toml"),
        "DIANWU_AUDIT_KEY": "of-the-benchmark",
        "DIANWU_ENCRYPTION_KEYS": json.dumps([Fernet.generate_key().decode()]),
        **found.settings,
    }
    home.mkdir(parents=True, exist_ok=True)
    settings.cache_clear()
    open_office()
    SQLModel.metadata.create_all(db.engine())
    delivery.use_notifier(ScriptedNotifier())
    clock = VirtualClock(START)
    use_clock(clock)
    return Office(clock)


def ask(office: Office, questions: int, decided: int = 0) -> None:
    """So many open questions, of one shop each; and behind them so many that were decided, a hundred a day."""
    office.open_shop()
    case = office.request_closure()

    def copy(tx: Tx) -> None:
        rows: dict[type[SQLModel], dict[str, Any]] = {}
        originals: list[tuple[type[SQLModel], Any]] = [
            (Shop, select(Shop)),
            (ShopSnapshot, select(ShopSnapshot)),
            (Case, select(Case).where(Case.id == case.id)),
            (Review, select(Review).where(Review.case_id == case.id)),
            (CaseDeadline, select(CaseDeadline).where(CaseDeadline.case_id == case.id, CaseDeadline.kind == DEADLINE)),
        ]
        for table, query in originals:
            row = tx.exec(query).one()
            rows[table] = {one.name: getattr(row, one.name) for one in table.__table__.columns}  # type: ignore[attr-defined]
        del rows[CaseDeadline]["id"]
        made: dict[type[SQLModel], list[dict[str, Any]]] = {table: [] for table in rows}
        for n in range(1, questions):
            shop, about, review = f"shop-{n + 1}", f"CLS-261119-{n:06d}", f"RV-261119-{n:06d}"
            own: dict[type[SQLModel], dict[str, Any]] = {
                Shop: {"id": shop},
                ShopSnapshot: {"shop_id": shop},
                Case: {"id": about, "shop_id": shop, "origin": f"copy/{n}", "run_id": None},
                Review: {"id": review, "case_id": about, "pause_key": None},
                CaseDeadline: {"case_id": about, "key": f"{DEADLINE}/{review}"},
            }
            for table, changes in own.items():
                made[table].append(rows[table] | changes)
            asked = Review(**made[Review][-1])
            decision_seals.put_question(_Nowhere(), asked)  # type: ignore[arg-type]
            made[Review][-1]["question_seal"] = asked.question_seal
        for table, values in made.items():
            tx.execute(insert(table), values)
        before = rows[Review] | {
            "state": ReviewState.DECIDED,
            "decided_by": "zhao-min",
            "verdict": "APPROVE",
            "dossier": "",
            "pause_key": None,
            "case_id": case.id,
        }
        for n in range(decided):
            at = START - timedelta(days=n // 100, seconds=n % 100)
            tx.execute(
                insert(Review), [before | {"id": f"RV-{n:07d}", "round": n + 2, "opened_at": at, "decided_at": at}]
            )

    in_transaction(copy)


class _Nowhere:
    """Takes what is sealed and keeps it nowhere."""

    def add(self, row: object) -> None: ...


def timed(act: Callable[[], Any], times: int) -> list[float]:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        took.append(time.perf_counter() - began)
    return took


async def beats(seat: Seat, query: str, times: int) -> float:
    """CPU-seconds of one question for what is new, without a client's own."""
    cookies = "; ".join(f"{name}={value}" for name, value in seat.client.cookies.items())
    headers = [(b"host", seat.origin.partition("://")[2].encode()), (b"cookie", cookies.encode())]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": "/pulse", "raw_path": b"/pulse", "query_string": query.encode(), "headers": headers, "root_path": "",
        "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1),
    }  # fmt: skip
    answered: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        answered.append(message.get("status"))

    began = time.process_time()
    for _ in range(times):
        await seat.client.app(dict(scope), receive, send)
    took = (time.process_time() - began) / times
    assert answered.count(304) == times, answered[:4]
    return took


def measure(database: str, questions: int, times: int, decided: int = 0) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with databases(database, home) as found:
            office = prepare(home, found)
            ask(office, questions, decided)
            seat = Seat(office, "li-na")
            seat.log_in()
            queue = timed(lambda: seat.client.get("/q").raise_for_status(), times)
            rows = [address for word, address in seat.see("/q").links.items() if address.startswith("/r/")]
            question = timed(lambda: seat.client.get(rows[0]).raise_for_status(), times)
            page = seat.see(rows[0])
            own = {"origin": seat.origin, "sec-fetch-site": "same-origin"}
            took_to_decide = []
            for _ in range(times):
                form = page.form("/decide")
                began = time.perf_counter()
                answer = seat.client.post(
                    form.action, data=form.values | {"verdict": "APPROVE", "reason": ""}, headers=own
                )
                took_to_decide.append(time.perf_counter() - began)
                answer.raise_for_status()
                page = Page(answer)
            version = seat.client.get("/pulse?v=").json()["version"]
            pulse = asyncio.run(beats(seat, f"v={version}", 500))
            size = max(len(seat.client.get(address).content) for address in ("/q", rows[-1]))
            db.dispose()
    figures = {"queue": queue, "question": question, "decide": took_to_decide}
    return {
        "part": "desk",
        "database": found.name,
        "questions": questions,
        "decided_before": decided,
        "page_kb": round(size / 1024, 1),
        "lookers_cores": round(pulse * LOOKERS / EVERY, 4),
        **{f"{name}_p50_s": round(percentile(took, 0.5), 4) for name, took in figures.items()},
        **{f"{name}_p95_s": round(percentile(took, 0.95), 4) for name, took in figures.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--questions", type=int, default=10_000)
    parser.add_argument("--decided", type=int, default=0, help="how many were decided in the days before")
    parser.add_argument("--times", type=int, default=40)
    given = parser.parse_args()
    print(json.dumps(measure(given.database, given.questions, given.times, given.decided)))


if __name__ == "__main__":
    main()
