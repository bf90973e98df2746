"""What every measurement shares: databases, a running stack of its own, its people, and what its processes cost."""

from __future__ import annotations

import itertools
import json
import sqlite3
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pyotp
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.responses import SetStateStatus
from prefect.input.run_input import keyset_from_base_key

from benchmarks.processes import cpu_seconds, memory_mb
from models.reviews import Role
from office.base.db import in_transaction, reading
from office.staff import staff
from ops.rehearsal import Rehearsal
from ops.scenes.stage import register
from ops.stack import Stack
from tests.postgres import binaries, cluster
from tests.stack.conftest import running_stack

REJECT = "驳回申请"


# ── databases ────────────────────────────────────────────────────────────────


@dataclass
class Databases:
    """Where our tables and Prefect's are, and the process that serves them, if there is one."""

    name: str
    settings: dict[str, str] = field(default_factory=dict)
    own: str = ""
    prefect: str = ""
    """For psycopg, or the file of SQLite."""
    server: int = 0

    def bytes(self) -> tuple[int, int]:
        """Size on disk: ours, Prefect's."""
        if not self.server:
            return _file_bytes(self.own), _file_bytes(self.prefect)
        import psycopg

        sizes = []
        for address in (self.own, self.prefect):
            with psycopg.connect(address) as connection:
                sizes.append(int(connection.execute("SELECT pg_database_size(current_database())").fetchone()[0]))  # type: ignore[index]
        return sizes[0], sizes[1]


def _file_bytes(file: str) -> int:
    with sqlite3.connect(file, timeout=60) as connection:
        pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    return int(pages * size)


@contextmanager
def databases(kind: str, home: Path) -> Iterator[Databases]:
    """``sqlite``: two files in ``home``. ``postgres``: a cluster of their own for both, gone with the block."""
    if kind == "sqlite":
        yield Databases("SQLite", own=str(home / "dianwu.db"), prefect=str(home / "prefect" / "prefect.db"))
        return
    import psycopg

    folder = binaries()
    if folder is None:
        raise SystemExit("no PostgreSQL is installed (on Debian: apt-get install postgresql)")
    with cluster(folder) as address:
        base = address.replace("+psycopg", "").rpartition("/")[0]
        with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE dianwu")
            connection.execute("CREATE DATABASE prefect")
            backend = connection.execute("SELECT pg_backend_pid()").fetchone()[0]  # type: ignore[index]
            postmaster = int(Path(f"/proc/{backend}/stat").read_text("ascii").rpartition(")")[2].split()[1])
        with psycopg.connect(f"{base}/prefect", autocommit=True) as connection:
            connection.execute("CREATE EXTENSION pg_trgm")
        yield Databases(
            "PostgreSQL",
            own=f"{base}/dianwu",
            prefect=f"{base}/prefect",
            server=postmaster,
            settings={
                "DIANWU_DATABASE_URL": f"{address.rpartition('/')[0]}/dianwu",
                "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"{base.replace('postgresql', 'postgresql+asyncpg')}/prefect",
            },
        )


# ── a running stack ──────────────────────────────────────────────────────────


@dataclass
class Site:
    """A running stack, with the outside world that plays on it."""

    stack: Stack
    stage: Rehearsal
    databases: Databases
    _shops: Iterator[int] = field(default_factory=itertools.count)
    _people: Iterator[int] = field(default_factory=itertools.count)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def processes(self) -> dict[str, int]:
        """Who runs: server, worker, door with courier, and PostgreSQL."""
        parts = {
            name: part.process.pid
            for name, part in self.stack.parts.items()
            if part.process is not None and part.process.poll() is None
        }
        return parts | ({"postgres": self.databases.server} if self.databases.server else {})

    def cpu(self) -> dict[str, float]:
        return {name: cpu_seconds(pid) for name, pid in self.processes().items()}

    def memory(self) -> dict[str, float]:
        return {name: round(memory_mb(pid), 1) for name, pid in self.processes().items()}

    def idle(self, seconds: float) -> float:
        """CPU-seconds a second that the stack uses when nobody wants anything (server loops, the minute's sweeps)."""
        before = self.cpu()
        time.sleep(seconds)
        return sum(spent(before, self.cpu()).values()) / seconds

    def shops(self, count: int) -> list[str]:
        """That many registered shops, all their messages handled."""
        names = [f"bench-{next(self._shops):05}" for _ in range(count)]
        for name in names:
            register(self.stage, name, "晨光文具", "ENTERPRISE", 400_000, "BANK", "3301040160000121234")
        self.stage.wait(self.handled, "every registration is handled", patience=300)
        return names

    def handled(self) -> bool:
        """Whether nothing is left in the inbox or to be delivered."""
        from sqlmodel import func, select

        from models.messages import InboxMessage, InboxState, OutboxMessage, OutboxState

        with reading() as tx:
            due = (OutboxMessage.state == OutboxState.NEW, OutboxMessage.next_at <= tx.now)  # a bundle waits
            left = tx.exec(select(func.count()).where(InboxMessage.state == InboxState.NEW)).one()
            return left + tx.exec(select(func.count()).where(*due)).one() == 0

    def person(self) -> tuple[str, str]:
        """Somebody new who may review closures, and their code: a code counts once, so each decides once."""
        with self._lock:
            name = f"bench-{next(self._people):05}"
        secret = in_transaction(lambda tx: staff.enrol(tx, name, "审核员", [Role.CLOSURE_REVIEWER])).secret
        return name, secret

    def submit(self, shop: str) -> None:
        """A merchant asks for closure, signed, through the door."""
        self.stage.send(
            "closure.requested",
            {
                "shop_id": shop,
                "account_id": f"acct-{shop}",
                "reason": "STRATEGY_CHANGE",
                "reason_text": "转做线下门店",
            },
            f"closure-{shop}",
        )


def spent(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """CPU used between two readings, by part. A part that was started again in between counts from its start."""
    return {name: used - (before.get(name, 0) if used >= before.get(name, 0) else 0) for name, used in after.items()}


def answer(client: SyncPrefectClient, run_id: UUID, keyset: dict[str, str], person: tuple[str, str]) -> str:
    """Reject through Prefect's own resume, once, as its UI does; empty when it was taken, else why not."""
    name, secret = person
    schema = json.loads(client.read_flow_run_input(run_id, keyset["schema"]))
    given = {
        "staff_id": name,
        "code": _code(secret),
        "verdict": REJECT,
        "reason": "材料不全",
        "task": schema["properties"]["task"]["default"],
    }
    result = client.resume_flow_run(run_id, run_input=given)
    return "" if result.status is SetStateStatus.ACCEPT else f"{result.status}: {getattr(result.details, 'reason', '')}"


def _code(secret: str) -> str:
    """The code that stays valid longest: the next one."""
    return pyotp.TOTP(secret, interval=staff.STEP).at((int(time.time()) // staff.STEP + 1) * staff.STEP)


def keyset(pause_key: str) -> dict[str, str]:
    return {str(name): key for name, key in keyset_from_base_key(pause_key).items()}


@contextmanager
def site(home: Path, found: Databases, worker: str = "dianwu", **own: str) -> Iterator[Site]:
    """The whole stack on these databases, with settings of its own."""
    more = {"DIANWU_WORKER_TYPE": worker, "DIANWU_RATE_LIMIT": "1000000/minute", **found.settings, **own}
    with running_stack(home, **more) as (stack, stage):
        yield Site(stack, stage, found)


def until(reached: Callable[[], Any], what: str, patience: float = 120, pause: float = 0.01) -> Any:
    """Look as often as ``pause`` allows until there is something."""
    give_up = time.monotonic() + patience
    while not (seen := reached()):
        if time.monotonic() > give_up:
            raise TimeoutError(f"after {patience:.0f} s still not so: {what}")
        time.sleep(pause)
    return seen


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which that part of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0


def times(name: str, values: Sequence[float]) -> dict[str, float]:
    return {
        f"{name}_p50_s": round(statistics.median(values), 3) if values else 0.0,
        f"{name}_p95_s": round(percentile(values, 0.95), 3),
    }
