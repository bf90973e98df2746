"""Settlement: a half of a month drafted, released, posted and handed to the bank, beside what inserting the rows costs.

    python -m benchmarks.settlement                                  SQLite, 10,000 shops with 300,000 orders
    python -m benchmarks.settlement --cluster                        the same, and in a PostgreSQL started for it
    python -m benchmarks.settlement --shops 100000                   3,000,000 orders

Every shop has thirty orders. Paying is begun by another process, which is killed (-9) after a tenth of the shops; what is
measured goes on behind it, and in the end every shop has been paid once, all that is due to it. The floor is the same
driver's ``executemany`` writing the very orders (and, apart, the very rows that the run left behind) into empty tables
with the same indexes and constraints, in transactions of the same size.
"""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.sizes import Others, Rows, Watch, environment, floor, main, peak_mb, table_of

ORDERS = 30
HALF = "2026-10-2"
REPORTED = datetime(2026, 10, 31, 16, tzinfo=UTC)
"""As of when the platform's facts are: new enough to pay on (ambiguity 27)."""
NOW = datetime(2026, 10, 31, 20, 0, 5, tzinfo=UTC)
WRITTEN = ("account", "settlement", "permit", "payout", "transfer", "outbox")


ROWS: Rows = (
    ("shops / orders", lambda f: f"{f['shops']:,} / {f['orders']:,}"),
    ("orders recorded in batches of 1,000", lambda f: f"{f['record_s']:.1f} s ({f['orders'] / f['record_s']:,.0f}/s)"),
    ("floor: inserting the same orders", lambda f: f"{f['orders_floor_s']:.1f} s"),
    ("draft, with totals and anomalies", lambda f: f"{f['draft_s']:.1f} s"),
    ("post and hand to the bank, with messages", lambda f: f"{f['settle_s']:.1f} s"),
    ("shops paid when it was killed −9 (not in the seconds, which are for all)", lambda f: f"{f['killed_at']:,}"),
    ("rows written by it", lambda f: f"{f['rows']:,}"),
    ("floor: inserting the same rows", lambda f: f"{f['floor_s']:.1f} s"),
    (
        "draft, post and pay against inserting orders and rows (target ≤ 3)",
        lambda f: f"{(f['draft_s'] + f['settle_s']) / (f['orders_floor_s'] + f['floor_s']):.2f} ×",
    ),
    (
        "the same by CPU of this process (SQLite runs in it)",
        lambda f: f"{f['cpu_s'] / f['floor_cpu_s']:.2f} ×" if f["database"] == "SQLite" else "–",
    ),
    (
        "another writer waits meanwhile, p95 / worst (target < 500)",
        lambda f: f"{f['wait_p95_ms']:.0f} / {f['wait_worst_ms']:.0f} ms",
    ),
    ("peak memory (target < 400)", lambda f: f"{f['peak_mb']:.0f} MB"),
)


def table(figures: list[dict[str, Any]]) -> str:
    return table_of("settlement", ROWS, figures)


def run(address: str, shops: int, folder: Path) -> dict[str, Any]:
    """One size, in a process of its own."""
    postgres = address != "sqlite"
    floor_url = environment(address, folder, "half")

    import pyotp
    from sqlmodel import SQLModel

    from flows.inline import InlineEngine
    from models.reviews import Role
    from office.base import bulk, clock, db
    from office.cases import decisions, reviews
    from office.cases import gates as review_gates
    from office.money import ledger
    from office.staff import staff
    from tasks.settlement import halves, proof

    virtual = clock.VirtualClock(NOW)
    clock.use_clock(virtual)
    SQLModel.metadata.create_all(db.engine())
    people = [db.in_transaction(lambda tx, one=one: staff.enrol(tx, one, one, [Role.FINANCE])) for one in ("aa", "bb")]  # type: ignore[misc]
    fill(shops)
    record_s = record(shops)
    engine, others = InlineEngine(), Others()
    case = db.in_transaction(lambda tx: halves.begin_half(tx, HALF))

    def decide(who: int, verdict: str) -> None:
        with db.reading() as tx:
            (review,) = reviews.waiting(tx, case_id=case.id)
            tx.expunge_all()
        code = pyotp.TOTP(people[who].secret, interval=staff.STEP).at(int(virtual.at.timestamp()))
        answer = review_gates.Answer(
            review_id=review.id,
            revision=review.revision,
            staff_id=("aa", "bb")[who],
            code=code,
            verdict=verdict,
            reason="核对",
        )
        outcome = db.in_transaction(lambda tx: decisions.decide(tx, answer))
        assert outcome.accepted, outcome.sentence

    draft, settle = Watch(), Watch()
    with others:
        with draft:
            engine.signal(case.id)
        decide(0, "RELEASE")
        killed_at = _killed(case.id, shops // 10)
        with db.reading() as tx:
            second = bool(reviews.waiting(tx, case_id=case.id))
        if second:
            decide(1, "CONFIRM")
            killed_at = _killed(case.id, shops // 10)
        assert killed_at < shops, "it was done before it could be killed"
        with settle:
            engine.signal(case.id)
    all_of_it = shops / (shops - killed_at)
    figures: dict[str, Any] = {
        "database": "PostgreSQL" if postgres else "SQLite",
        "shops": shops,
        "orders": shops * ORDERS,
        "record_s": record_s,
        "draft_s": draft.wall,
        "settle_s": settle.wall * all_of_it,
        "cpu_s": draft.cpu + settle.cpu * all_of_it,
        "killed_at": killed_at,
        "wait_p95_ms": others.p95(),
        "wait_worst_ms": max(others.waits, default=0),
        "peak_mb": peak_mb(),
    }
    with db.reading() as tx:
        wrong = [*proof.check(tx), *ledger.check(tx)]
        paid = tuple(
            tx.execute(bulk.sql("SELECT COUNT(*), COUNT(DISTINCT shop_id), SUM(amount_fen) FROM payout")).one()
        )
    assert not wrong, wrong[:3]
    assert paid == (shops, shops, sum(map(_net, range(shops * ORDERS)))), paid
    orders, _ = floor(floor_url, {"settlement_order": ""}, "shop")
    _copy_case(floor_url)
    written, rows = floor(floor_url, dict.fromkeys(WRITTEN, ""))
    return figures | {
        "orders_floor_s": orders.wall,
        "floor_s": written.wall,
        "floor_cpu_s": orders.cpu + written.cpu,
        "rows": rows,
    }


def go_on(case_id: str) -> None:
    """What a worker does when the case is woken, in a process that can be killed."""
    from flows.inline import InlineEngine
    from office.base import clock

    clock.use_clock(clock.VirtualClock(NOW))
    InlineEngine().signal(case_id)


def _killed(case_id: str, after: int) -> int:
    """Have the case go on and be killed after so many shops, or come to its next question; how many shops are paid."""
    words = f"from benchmarks.settlement import go_on; go_on({case_id!r})"
    child = subprocess.Popen([sys.executable, "-c", words])
    while (ended := child.poll()) is None and _paid() < after:
        time.sleep(0.01)
    if ended:
        raise RuntimeError(f"the other process failed: {ended}")
    child.kill()
    child.wait()
    return _paid()


def _paid() -> int:
    from models.settlement import Half
    from office.base import db

    with db.reading() as tx:
        return tx.get_one(Half, HALF).last_number


def _net(n: int) -> int:
    """What an order brings its shop, in fen."""
    return 5_000 + n % 997 - 250 - 30


def _copy_case(url: str) -> None:
    """The one case that the rows belong to; its JSON goes through the mapper."""
    from sqlalchemy import insert, select

    from models.cases import Case
    from office.base import db

    table, target = Case.__table__, db.make_engine(url)  # type: ignore[attr-defined]
    with db.engine().connect() as reader, target.begin() as writer:
        writer.execute(insert(table), [dict(row) for row in reader.execute(select(table)).mappings()])
    target.dispose()


def fill(shops: int, at: datetime = datetime(2026, 10, 1, tzinfo=UTC)) -> None:
    """Shops that we settle from then on, with an account each, written in bulk."""
    from sqlalchemy import insert

    from benchmarks.shops import shops_of
    from models.payouts import Payee, PayeeMethod
    from models.settlement import SettlementAccount, SettlementSwitch, Settler
    from models.shops import ShopSnapshot
    from office.base import db
    from office.base.vault import place, seal_json
    from tasks.payouts.permits import payee_hash

    for start in range(0, shops, 2_000):
        numbers = range(start, min(start + 2_000, shops))
        accounts = []
        for n in numbers:
            payee = Payee(
                method=PayeeMethod.CORPORATE_ACCOUNT,
                name=f"宁波第 {n} 号文具有限公司",
                account_no=f"33010401600{n:08d}",
            )
            accounts.append(
                {
                    "shop_id": f"shop-{n:07d}",
                    "payee_masked": payee.masked,
                    "payee_sha256": payee_hash(payee),
                    "as_of": at,
                    "changed_at": at,
                    "fits": True,
                    "payee_sealed": seal_json(
                        payee.model_dump(mode="json"), place(SettlementAccount, "payee_sealed", f"shop-{n:07d}")
                    ),
                }
            )
        with db.transaction() as tx:
            shops_of(tx, numbers, at)
            tx.execute(
                insert(SettlementSwitch.__table__),  # type: ignore[attr-defined]
                [
                    {
                        "shop_id": f"shop-{n:07d}",
                        "since": at,
                        "settler": Settler.OFFICE,
                        "platform_fen": 0,
                        "recorded_at": at,
                    }
                    for n in numbers
                ],
            )
            tx.execute(insert(SettlementAccount.__table__), accounts)  # type: ignore[attr-defined]
            tx.execute(
                insert(ShopSnapshot.__table__),  # type: ignore[attr-defined]
                [
                    {"shop_id": f"shop-{n:07d}", "as_of": REPORTED, "received_at": REPORTED, "facts": {}}
                    for n in numbers
                ],
            )


def record(shops: int) -> float:
    """Seconds to record thirty orders a shop, as they come in batches and files."""
    from office.base import db
    from tasks.settlement.orders import record_orders

    seconds = 0.0
    for start in range(0, shops * ORDERS, 1_000):
        batch = [
            (n, {"order_id": f"order-{n}", "shop_id": f"shop-{n // ORDERS:07d}", "goods_fen": 5_000 + n % 997,
                 "commission_fen": 250, "fee_fen": 30, "confirmed_at": f"2026-10-{17 + n % 14:02d}T10:00:00+08:00"})
            for n in range(start, min(start + 1_000, shops * ORDERS))
        ]  # fmt: skip
        began = time.perf_counter()
        done = db.in_transaction(lambda tx, batch=batch: record_orders(tx, batch))  # type: ignore[misc]
        seconds += time.perf_counter() - began
        assert done.accepted == len(batch), done.rejected[:3]
    return seconds


if __name__ == "__main__":
    main(__doc__, "benchmarks.settlement", [10_000], run, table)
