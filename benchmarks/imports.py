"""Files of orders imported by the command that people type, and the same signed; each killed in the middle and begun again.

    python -m benchmarks.imports                                     SQLite, 10,000 shops with 300,000 orders
    python -m benchmarks.imports --cluster                           the same, and in a PostgreSQL started for it
    python -m benchmarks.imports --shops 100000                      3,000,000 orders

The first third is a CSV in GBK, the second a Parquet file, the last arrives in signed batches of a thousand through the
inbox. One line in a thousand is wrong in a way of its own and has to come back with its number. Commands are typed at a
terminal, where the bar shows how far they are; whoever reads is killed (-9) when a third is done and begun anew, from the
first line or batch on. What is recorded in the end is what an undisturbed import of the same lines would have recorded.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.settlement import ORDERS, fill
from benchmarks.sizes import Rows, environment, main, table_of

BAD = 1_000
"""Every so manieth line has an amount with half a fen in it."""
BATCH = 1_000
TODAY = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=1)
"""The commands have the clock of the machine: the last order was confirmed yesterday."""
NAMES = ("订单编号", "店铺编号", "确认收货时间", "买家实付(元)", "佣金(元)", "服务费(元)")
WAYS = {
    "csv": "CSV, by the command",
    "parquet": "Parquet, by the command",
    "signed": "signed batches of 1,000, by the inbox",
}


def _of(way: str, name: str) -> Rows:
    return (
        (f"{name}: lines a second, those read twice included", lambda f: f"{f[way]['rate']:,.0f}/s"),
        (
            "killed −9 when so much was recorded / shown as done",
            lambda f: f"{f[way]['killed_at']:,} of {f[way]['good']:,} / {f[way]['shown'][-1]} %",
        ),
        ("begun again: accepted / repeated / rejected by line", lambda f: " / ".join(f"{n:,}" for n in f[way]["told"])),
        ("peak memory (target < 400)", lambda f: f"{f[way]['peak_mb']:.0f} MB"),
    )


ROWS: Rows = (
    ("shops / orders", lambda f: f"{f['shops']:,} / {f['orders']:,}"),
    *(row for way, name in WAYS.items() for row in _of(way, name)),
    ("recorded in the end, and what they add up to", lambda f: f"{f['recorded']:,} / {f['net_fen'] / 100:,.2f} 元"),
    ("all of it, files made and shops written included", lambda f: f"{f['all_s']:.0f} s"),
)


def table(figures: list[dict[str, Any]]) -> str:
    return table_of("import of orders", ROWS, figures)


def run(address: str, shops: int, folder: Path) -> dict[str, Any]:
    began = time.perf_counter()
    environment(address, folder, "imports")

    from sqlmodel import SQLModel

    from office.base import db
    from tasks.processes import open_office

    open_office()
    SQLModel.metadata.create_all(db.engine())
    fill(shops, TODAY - timedelta(days=60))
    third = shops * ORDERS // 3
    parts = dict(zip(WAYS, (range(n * third, (n + 1) * third) for n in range(len(WAYS))), strict=True))
    sheet, parquet = _csv(folder / "orders.csv", parts["csv"]), _parquet(folder / "orders.parquet", parts["parquet"])
    commands = {"csv": _typed(sheet), "parquet": _typed(parquet), "signed": _signed(parts["signed"])}
    before, figures = 0, dict[str, Any]()
    for way, command in commands.items():
        good = sum(n % BAD != BAD - 1 for n in parts[way])
        killed, recorded = Run(command).until(100 // 3), _recorded()[0] - before
        assert 0 < recorded < good, f"{way}: {recorded} recorded when it was killed"
        again = Run(command).until(None)
        told, wanted = again.told(), [good - recorded, recorded, third - good]
        if way == "signed":  # a batch that was read is not read again when it comes again
            told, wanted = _answered(parts[way]), [good, 0, third - good]
        assert told == wanted, (way, told, wanted)
        assert _recorded()[0] - before == good, f"{way}: something was lost, or is there twice"
        before += good
        figures[way] = {
            "rate": (third + third * killed.shown[-1] / 100) / (killed.seconds + again.seconds),
            "killed_at": recorded,
            "good": good,
            "told": told,
            "shown": killed.shown,
            "peak_mb": max(killed.peak_mb, again.peak_mb),
        }
    for path, header in ((sheet, 1), (parquet, 0)):
        lines = [int(position) - header for position in _rejects(path)]
        assert len(lines) == third // BAD and all(line % BAD == 0 for line in lines), lines[:3]
    recorded, net_fen = _recorded()
    assert net_fen == sum(_fen(n) - 280 for n in range(shops * ORDERS) if n % BAD != BAD - 1), (
        "what was killed and gone on with is not what was in the files"
    )
    return figures | {
        "database": "PostgreSQL" if address != "sqlite" else "SQLite",
        "shops": shops,
        "orders": shops * ORDERS,
        "recorded": recorded,
        "net_fen": net_fen,
        "all_s": time.perf_counter() - began,
    }


@dataclass
class Run:
    """A command at a terminal of its own: what its bar has shown, how long it took and how much memory at most."""

    command: list[str]
    shown: list[int] = field(default_factory=lambda: [0])
    seconds: float = 0.0
    peak_mb: float = 0.0
    _said: str = ""

    def until(self, percent: int | None) -> Run:
        """Run it to its end, or kill it once its bar shows so many per cent."""
        began, (ours, theirs) = time.perf_counter(), pty.openpty()
        child = subprocess.Popen(
            self.command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=os.environ | {"COLUMNS": "200", "TERM": "xterm"},
        )
        os.close(theirs)
        with contextlib.suppress(OSError):  # the other end is closed
            while read := os.read(ours, 1 << 16):
                self._hear(read.decode(errors="replace"))
                if percent is not None and self.shown[-1] >= percent:
                    child.send_signal(signal.SIGKILL)
                    break
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)  # or it would be waited for once more
        os.close(ours)
        self.seconds, self.peak_mb = time.perf_counter() - began, usage.ru_maxrss / 1024
        assert (child.returncode == -signal.SIGKILL) is (percent is not None), self._said[-2_000:]
        assert self.shown == sorted(self.shown), self.shown
        return self

    def _hear(self, text: str) -> None:
        self._said = (self._said + text)[-20_000:]
        self.shown += [int(one) for one in re.findall(r"(\d+)%", text) if int(one) != self.shown[-1]]

    def told(self) -> list[int]:
        """How many a command says were accepted, repeated and rejected."""
        found = re.search(r"入账 ([\d,]+) 条,重复 ([\d,]+) 条,拒绝 ([\d,]+) 条", self._said)
        return [int(number.replace(",", "")) for number in found.groups()] if found else []


# ── files ────────────────────────────────────────────────────────────────────


def _fen(n: int) -> int:
    return 5_000 + n % 997


def _lines(numbers: range) -> Iterator[tuple[str, ...]]:
    for n in numbers:
        half_a_fen = "5" if n % BAD == BAD - 1 else ""
        yield (
            f"order-{n}",
            f"shop-{n // ORDERS:07d}",
            (TODAY - timedelta(days=n % 14)).isoformat(),
            f"{_fen(n) / 100:.2f}{half_a_fen}",
            "2.50",
            "0.30",
        )


def _csv(path: Path, numbers: range) -> Path:
    with path.open("w", encoding="gbk", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(NAMES)
        writer.writerows(_lines(numbers))
    return path


def _parquet(path: Path, numbers: range) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.string()) for name in NAMES])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(numbers.start, numbers.stop, 50_000):
            columns = zip(*_lines(range(start, min(start + 50_000, numbers.stop))), strict=True)
            writer.write_table(pa.table([list(column) for column in columns], schema=schema))
    return path


def _typed(path: Path) -> list[str]:
    dianwu = Path(sys.executable).with_name("dianwu")
    return [str(dianwu), "settlement", "import-orders", str(path), "--rejects", f"{path}.rejects.csv"]


def _rejects(path: Path) -> list[str]:
    """The positions of the lines that were rejected."""
    with Path(f"{path}.rejects.csv").open(encoding="utf-8-sig", newline="") as file:
        return [position for position, *_ in list(csv.reader(file))[1:]]


# ── signed batches ───────────────────────────────────────────────────────────


def _signed(numbers: range) -> list[str]:
    words = f"from benchmarks.imports import read_signed; read_signed(range({numbers.start}, {numbers.stop}))"
    return [sys.executable, "-c", words]


def read_signed(numbers: range) -> None:
    """Batches as the door keeps them, each read by the inbox at once: all of them, from the first, whoever was here before."""
    from flows.inline import InlineEngine
    from office.cases import routing
    from office.record import inbox
    from tasks import delivery
    from tasks.processes import open_office

    open_office()
    carrier, came = InlineEngine(), 0
    for start in range(numbers.start, numbers.stop, BATCH):
        event = {"type": "orders.confirmed", "timestamp": TODAY.isoformat(), "data": _batch(numbers, start)}
        arrival = inbox.Arrival(
            source="platform", message_id=f"batch-{start}", type="orders.confirmed", body=json.dumps(event).encode()
        )
        came += inbox.receive(arrival, routing.on_conflict) == "SAME"
        delivery.carry_on(carrier)
        print(f"{(min(start + BATCH, numbers.stop) - numbers.start) * 100 // len(numbers)}%", flush=True)
    print(f"{came} batches had come before")


def _batch(numbers: range, start: int) -> dict[str, Any]:
    lines = range(start, min(start + BATCH, numbers.stop))
    orders = [
        {
            "order_id": order,
            "shop_id": shop,
            "confirmed_at": at,
            "commission_fen": 250,
            "fee_fen": 30,
            "goods_fen": _fen(n) + (0.5 if n % BAD == BAD - 1 else 0),
        }
        for n, (order, shop, at, *_) in zip(lines, _lines(lines), strict=True)
    ]
    return {"batch_id": f"batch-{start}", "orders": orders}


def _answered(numbers: range) -> list[int]:
    """What the receipts say was accepted, repeated and rejected: one receipt a batch, and each bad line by its position."""
    from sqlmodel import select

    from models.messages import OutboxMessage
    from office.base import db
    from office.record import outbox

    counts, batches = [0, 0, 0], list[str]()
    with db.reading() as tx:
        for row in tx.exec(select(OutboxMessage).where(OutboxMessage.topic == "orders.received")):
            said = outbox.body(row)["data"]
            start = int(said["batch_id"].removeprefix("batch-"))
            lines = [start + line["position"] - 1 for line in said["rejected"]]
            assert all(n % BAD == BAD - 1 for n in lines), said
            batches.append(said["batch_id"])
            counts = [a + b for a, b in zip(counts, (said["accepted"], said["repeated"], len(lines)), strict=True)]
    assert sorted(batches) == sorted(f"batch-{start}" for start in range(numbers.start, numbers.stop, BATCH))
    return counts


def _recorded() -> tuple[int, int]:
    """How many orders are recorded, and what they add up to."""
    from office.base import bulk, db

    with db.reading() as tx:
        many, fen = tx.execute(bulk.sql("SELECT COUNT(*), COALESCE(SUM(net_fen), 0) FROM settlement_order")).one()
    return int(many), int(fen)


if __name__ == "__main__":
    main(__doc__, "benchmarks.imports", [10_000], run, table)
