"""Files of orders imported by the command that people type, killed in the middle and typed again, and the same signed.

    python -m benchmarks.imports                                     SQLite, 10,000 shops with 300,000 orders
    python -m benchmarks.imports --cluster                           the same, and in a PostgreSQL started for it
    python -m benchmarks.imports --shops 100000                      3,000,000 orders

The first third is a CSV in GBK, the second a Parquet file, the last arrives in signed batches of a thousand through the
inbox. One line in a thousand is wrong in a way of its own and has to come back with its number. The CSV's command is killed
(-9) in the middle and typed again: what is recorded then is what an undisturbed import of the same lines would have recorded.
"""

from __future__ import annotations

import csv
import json
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.settlement import ORDERS, fill
from benchmarks.sizes import Rows, environment, main, peak_mb, table_of

BAD = 1_000
"""Every so manieth line has an amount with half a fen in it."""
BATCH = 1_000
TODAY = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=1)
"""The commands have the clock of the machine: the last order was confirmed yesterday."""
NAMES = ("订单编号", "店铺编号", "确认收货时间", "买家实付(元)", "佣金(元)", "服务费(元)")

ROWS: Rows = (
    ("shops / orders", lambda f: f"{f['shops']:,} / {f['orders']:,}"),
    ("CSV, by the command", lambda f: f"{f['csv_rate']:,.0f}/s"),
    ("killed −9 in the middle, recorded until then", lambda f: f"{f['killed_at']:,} of {f['csv_good']:,}"),
    ("typed again: accepted / repeated / rejected by line", lambda f: " / ".join(f"{n:,}" for n in f["csv_told"])),
    ("Parquet, by the command", lambda f: f"{f['parquet_rate']:,.0f}/s"),
    ("accepted / repeated / rejected by line", lambda f: " / ".join(f"{n:,}" for n in f["parquet_told"])),
    ("signed batches of 1,000, received and read", lambda f: f"{f['signed_rate']:,.0f}/s"),
    ("recorded in the end, and what they add up to", lambda f: f"{f['recorded']:,} / {f['net_fen'] / 100:,.2f} 元"),
    (
        "peak memory of a command / of the inbox (target < 400)",
        lambda f: f"{f['command_mb']:.0f} / {f['peak_mb']:.0f} MB",
    ),
)


def table(figures: list[dict[str, Any]]) -> str:
    return table_of("import of orders", ROWS, figures)


def run(address: str, shops: int, folder: Path) -> dict[str, Any]:
    environment(address, folder, "imports")

    from sqlmodel import SQLModel

    from office.base import db
    from tasks.processes import open_office

    open_office()
    SQLModel.metadata.create_all(db.engine())
    fill(shops, TODAY - timedelta(days=60))
    third = shops * ORDERS // 3
    parts = [range(0, third), range(third, 2 * third), range(2 * third, shops * ORDERS)]
    sheet, parquet = _csv(folder / "orders.csv", parts[0]), _parquet(folder / "orders.parquet", parts[1])
    db.dispose()

    killed_at, killed_after = _killed(sheet, len(parts[0]) // 3)
    csv_s, csv_told = _command(sheet)
    parquet_s, parquet_told = _command(parquet)
    command_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    signed_s = _signed(parts[2])
    recorded, net_fen = _recorded()

    good = [sum(n % BAD != BAD - 1 for n in part) for part in parts]
    assert csv_told == [good[0] - killed_at, killed_at, len(parts[0]) - good[0]], csv_told
    assert parquet_told == [good[1], 0, len(parts[1]) - good[1]], parquet_told
    wanted = sum(_fen(n) - 280 for n in range(shops * ORDERS) if n % BAD != BAD - 1)
    assert (recorded, net_fen) == (sum(good), wanted), "what was killed and gone on with is not what was in the files"
    return {
        "database": "PostgreSQL" if address != "sqlite" else "SQLite", "shops": shops, "orders": shops * ORDERS,
        "csv_rate": len(parts[0]) / (csv_s + killed_after), "killed_at": killed_at, "csv_good": good[0],
        "csv_told": csv_told, "parquet_rate": len(parts[1]) / parquet_s, "parquet_told": parquet_told,
        "signed_rate": len(parts[2]) / signed_s, "recorded": recorded, "net_fen": net_fen, "command_mb": command_mb,
        "peak_mb": peak_mb(),
    }  # fmt: skip


def _fen(n: int) -> int:
    return 5_000 + n % 997


def _lines(numbers: range) -> Iterator[tuple[str, ...]]:
    for n in numbers:
        half_a_fen = "5" if n % BAD == BAD - 1 else ""
        yield (
            f"order-{n}", f"shop-{n // ORDERS:07d}", (TODAY - timedelta(days=n % 14)).isoformat(),
            f"{_fen(n) / 100:.2f}{half_a_fen}", "2.50", "0.30",
        )  # fmt: skip


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


def _killed(path: Path, half: int) -> tuple[int, float]:
    """Begin to import and be killed once so many orders are there; how many there are then, and after how long."""
    began = time.perf_counter()
    command = subprocess.Popen(_typed(path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while _recorded()[0] < half:
        if command.poll() is not None:
            raise RuntimeError("the import ended before it could be killed")
        time.sleep(0.2)
    command.send_signal(signal.SIGKILL)
    command.wait()
    return _recorded()[0], time.perf_counter() - began


def _command(path: Path) -> tuple[float, list[int]]:
    """Import to the end: seconds, and how many were accepted, repeated and rejected; each rejected one by its own line."""
    began = time.perf_counter()
    done = subprocess.run(_typed(path), stdout=subprocess.PIPE, text=True, check=False)
    seconds = time.perf_counter() - began
    told = re.search(r"入账 ([\d,]+) 条,重复 ([\d,]+) 条,拒绝 ([\d,]+) 条", done.stdout)
    if told is None:
        raise RuntimeError(done.stdout[-2_000:])
    counts = [int(number.replace(",", "")) for number in told.groups()]
    with Path(f"{path}.rejects.csv").open(encoding="utf-8-sig", newline="") as file:
        rejects = list(csv.reader(file))[1:]
    header = 1 if path.suffix == ".csv" else 0
    lines = [int(position) - header for position, *_ in rejects]
    assert len(lines) == counts[2] and all(line % BAD == 0 for line in lines), rejects[:3]
    return seconds, counts


def _signed(numbers: range) -> float:
    """Signed batches as the door keeps them, read by the inbox; seconds."""
    from flows.inline import InlineEngine
    from office.cases import routing
    from office.record import inbox
    from tasks import delivery

    carrier, seconds = InlineEngine(), 0.0
    for start in range(numbers.start, numbers.stop, BATCH):
        rows = _lines(range(start, min(start + BATCH, numbers.stop)))
        orders = [
            {"order_id": order, "shop_id": shop, "confirmed_at": at, "commission_fen": 250, "fee_fen": 30,
             "goods_fen": _fen(int(order.removeprefix("order-"))) if len(yuan.partition(".")[2]) == 2 else 0.5}
            for order, shop, at, yuan, *_ in rows
        ]  # fmt: skip
        event = {"type": "orders.confirmed", "timestamp": datetime.now(UTC).isoformat(),
                 "data": {"batch_id": f"batch-{start}", "orders": orders}}  # fmt: skip
        arrival = inbox.Arrival(
            source="platform", message_id=f"batch-{start}", type="orders.confirmed", body=json.dumps(event).encode()
        )
        began = time.perf_counter()
        inbox.receive(arrival, routing.on_conflict)
        delivery.carry_on(carrier)
        seconds += time.perf_counter() - began
    return seconds


def _recorded() -> tuple[int, int]:
    """How many orders are recorded, and what they add up to."""
    from office.base import bulk, db

    with db.reading() as tx:
        many, fen = tx.execute(bulk.sql("SELECT COUNT(*), COALESCE(SUM(net_fen), 0) FROM settlement_order")).one()
    return int(many), int(fen)


if __name__ == "__main__":
    main(__doc__, "benchmarks.imports", [10_000], run, table)
