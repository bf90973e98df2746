"""Month-end: a whole month drafted, released and issued, and the freeze a month later, beside what inserting the rows costs.

    python -m benchmarks.month_end                                   SQLite, 10,000 and 100,000 shops
    python -m benchmarks.month_end --postgres postgresql+psycopg://… the same, and on PostgreSQL (two schemas are made)
    python -m benchmarks.month_end --cluster                         … in a PostgreSQL started for it
    python -m benchmarks.month_end --shops 500                       one small size, for a quick look

The floor is the same driver's ``executemany`` writing the very rows that the run left behind (statements, lines,
documents, outbox) into empty tables with the same indexes and constraints, in transactions of the same size. Each
size runs in a process of its own, so its peak memory is its own.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.sizes import Others, Rows, environment, floor, main, peak_mb, table_of

LINES = 3
CHECKS = 5_000
INVOICED = 200
"""Shops that send a clean invoice in time; the rest is frozen."""
CATEGORIES = ("COUPON", "LIVESTREAM", "FREIGHT")


ROWS: Rows = (
    ("shops / lines", lambda f: f"{f['shops']:,} / {f['lines']:,}"),
    ("draft, with totals and anomalies", lambda f: f"{f['draft_s']:.2f} s"),
    ("release and issue, with messages", lambda f: f"{f['issue_s']:.2f} s"),
    ("rows written", lambda f: f"{f['rows']:,}"),
    ("floor: inserting the same rows", lambda f: f"{f['floor_s']:.2f} s"),
    ("ratio to the floor (target ≤ 3)", lambda f: f"{(f['draft_s'] + f['issue_s']) / f['floor_s']:.2f} ×"),
    ("second run of the same month", lambda f: f"{f['again_ms']:.1f} ms, {f['again_rows']} rows"),
    ("another writer waits meanwhile, p95 / worst", lambda f: f"{f['wait_p95_ms']:.0f} / {f['wait_worst_ms']:.0f} ms"),
    ("freeze sweep over all that are due", lambda f: f"{f['sweep_s']:.2f} s ({f['shops'] / f['sweep_s']:,.0f}/s)"),
    ("rows written by it", lambda f: f"{f['sweep_rows']:,}"),
    ("floor: inserting the same rows", lambda f: f"{f['sweep_floor_s']:.2f} s"),
    ("ratio to the floor", lambda f: f"{f['sweep_s'] / f['sweep_floor_s']:.2f} ×"),
    (
        "another writer waits meanwhile, p95 / worst",
        lambda f: f"{f['sweep_wait_p95_ms']:.0f} / {f['sweep_wait_worst_ms']:.0f} ms",
    ),
    ("clean invoices received, kept and accepted", lambda f: f"{f['accepted_s']:,.0f}/s"),
    ("invoice checks alone (fields / with XML)", lambda f: f"{f['checks_s']:,.0f}/s / {f['xml_checks_s']:,.0f}/s"),
    ("peak memory to issue / in all (target < 400)", lambda f: f"{f['issue_mb']:.0f} / {f['peak_mb']:.0f} MB"),
)


def table(figures: list[dict[str, Any]]) -> str:
    return table_of("month-end", ROWS, figures)


# ── one size, in a process of its own ────────────────────────────────────────


def run(address: str, shops: int, folder: Path) -> dict[str, Any]:
    postgres = address != "sqlite"
    floor_url = environment(address, folder, "month")

    from sqlmodel import SQLModel

    from flows.inline import InlineEngine
    from models.reviews import Role
    from office.base import clock, db
    from office.cases import decisions, reviews
    from office.cases import gates as review_gates
    from office.money import ledger
    from office.record.sending import Skip
    from office.staff import staff
    from tasks.invoicing import freeze_proof, freezes, periods

    virtual = clock.VirtualClock(datetime(2026, 10, 31, 18, 0, 5, tzinfo=UTC))
    clock.use_clock(virtual)
    SQLModel.metadata.create_all(db.engine())
    fill(shops)
    secret = db.in_transaction(lambda tx: staff.enrol(tx, "bench-lin", "林", [Role.FINANCE])).secret
    engine, others = InlineEngine(), Others()
    case = db.in_transaction(lambda tx: periods.open_month(tx, "2026-10"))
    with others:
        began = time.perf_counter()
        engine.signal(case.id)
        drafted = time.perf_counter()
        import pyotp

        with db.reading() as tx:
            (review,) = reviews.waiting(tx, case_id=case.id)
            tx.expunge_all()
        code = pyotp.TOTP(secret, interval=staff.STEP).at(int(virtual.at.timestamp()))
        answer = review_gates.Answer(
            review_id=review.id, revision=review.revision, staff_id="bench-lin", code=code, verdict="RELEASE"
        )
        outcome = db.in_transaction(lambda tx: decisions.decide(tx, answer))
        assert outcome.accepted, outcome.sentence
        decided = time.perf_counter()
        engine.signal(case.id)
        issued = time.perf_counter()
    issue_mb = peak_mb()
    before = _count()
    with contextlib.suppress(Skip):
        engine.signal(db.in_transaction(lambda tx: periods.open_month(tx, "2026-10")).id)
    again = time.perf_counter()
    figures: dict[str, Any] = {
        "database": "PostgreSQL" if postgres else "SQLite",
        "shops": shops,
        "lines": shops * LINES,
        "draft_s": drafted - began,
        "issue_s": issued - decided,
        "again_ms": (again - issued) * 1000,
        "again_rows": _count() - before,
        "wait_p95_ms": others.p95(),
        "wait_worst_ms": max(others.waits, default=0),
        "issue_mb": issue_mb,
    }
    written = dict.fromkeys(("statement", "statement_line", "statement_document", "outbox"), "")
    watch, figures["rows"] = floor(floor_url, written, "shop")
    figures["floor_s"] = watch.wall
    figures["accepted_s"] = INVOICED / _invoices(virtual.at)
    last, beside = _last_message(), Others()
    virtual.at += timedelta(days=30, minutes=1)
    with beside:
        began = time.perf_counter()
        swept = freezes.sweep()
        figures["sweep_s"] = time.perf_counter() - began
    assert swept == shops - INVOICED, (swept, shops)
    figures |= {
        "peak_mb": peak_mb(),
        "sweep_wait_p95_ms": beside.p95(),
        "sweep_wait_worst_ms": max(beside.waits, default=0),
    }
    moved = {
        "transfer": "WHERE reason LIKE 'statement.%%'" if postgres else "WHERE reason LIKE 'statement.%'",
        "statement_move": "",
        "outbox": f"WHERE id > {last}",
    }
    watch, figures["sweep_rows"] = floor(floor_url, moved, "account")
    figures["sweep_floor_s"] = watch.wall
    assert figures["sweep_rows"] >= 4 * swept, figures["sweep_rows"]  # a move and three messages each
    with db.reading() as tx:
        wrong = [*ledger.check(tx), *freeze_proof.check(tx)]
    assert not wrong, wrong[:3]
    return figures | _checks()


def _count() -> int:
    from office.base import bulk, db

    with db.reading() as tx:
        return sum(
            int(tx.execute(bulk.sql(f"SELECT COUNT(*) FROM {name}")).scalar_one())
            for name in ("statement", "statement_line", "statement_document", "outbox")
        )


def fill(shops: int, period: str = "2026-10") -> None:
    """Shops with three items each and a receivable, written in bulk."""
    from sqlalchemy import insert

    from benchmarks.shops import shops_of
    from models.books import AccountKind
    from models.invoicing import BillableCategory, BillableItem, Period
    from models.shops import EntityType
    from office.base import db
    from office.money import ledger
    from policies.deposit import required_deposit
    from policies.policy import policy_at

    settled = datetime.fromisoformat(f"{period}-08T00:00:00+00:00")
    for start in range(0, shops, 2_000):
        numbers = range(start, min(start + 2_000, shops))
        with db.transaction() as tx:
            if start == 0:
                tx.add(Period(id=period))
                tx.flush()
            shops_of(tx, numbers, settled, lambda n: n % 10 == 0)
            tx.execute(
                insert(BillableItem.__table__),  # type: ignore[attr-defined]
                [
                    {
                        "id": f"sub-{n}-{line}",
                        "shop_id": f"shop-{n:07d}",
                        "category": BillableCategory(CATEGORIES[line]),
                        "amount_fen": 1_000 + n % 997 + line,
                        "corrects": None,
                        "description": "国庆补贴",
                        "settled_at": settled,
                        "own_period": period,
                        "period": period,
                        "recorded_at": settled,
                    }
                    for n in numbers
                    for line in range(LINES)
                ],
            )
            ledger.post_many(
                tx,
                [
                    ledger.Posting(
                        key=f"receivable/{n}",
                        debit=ledger.platform_account(AccountKind.CASH),
                        fen=100_000,
                        credit=ledger.shop_account(f"shop-{n:07d}", AccountKind.RECEIVABLE),
                        reason="bench",
                        clause="STL-1",
                    )
                    for n in numbers
                ],
            )
            deposit = required_deposit(EntityType.ENTERPRISE, ["服饰"], policy_at(tx.now))
            ledger.post_many(
                tx,
                [
                    ledger.Posting(
                        key=f"deposit/{n}",
                        debit=ledger.platform_account(AccountKind.CASH),
                        fen=deposit.fen,
                        credit=ledger.shop_account(f"shop-{n:07d}", AccountKind.DEPOSIT),
                        reason="bench",
                        clause="DEP-1",
                    )
                    for n in numbers
                ],
            )


def _invoices(now: datetime) -> float:
    """Seconds to receive and accept the clean invoices of the first shops, their PDFs staged before."""
    from sqlmodel import col, select

    from models.invoicing import Invoice, InvoiceState, Statement
    from office.base import db
    from office.cases import routing
    from office.record import inbox
    from tests.invoicing import kit

    with db.reading() as tx:
        found = list(
            tx.exec(select(Statement.shop_id, Statement.total_fen).order_by(col(Statement.shop_id)).limit(INVOICED))
        )
    arrivals = []
    for number, (shop_id, fen) in enumerate(found):
        data = kit.invoice(
            fen,
            shop_id,
            number=f"26{number:018d}",
            account_id=f"acct-{int(shop_id[5:])}",
            issued_on="2026-11-01",
            seller_name=f"宁波第 {int(shop_id[5:])} 号文具有限公司",
        )
        body = {"type": "invoice.submitted", "timestamp": now.isoformat(), "data": data}
        arrivals.append(
            inbox.Arrival(
                source="platform",
                message_id=f"inv-{number}",
                type="invoice.submitted",
                shop_id=shop_id,
                body=json.dumps(body, ensure_ascii=False).encode(),
            )
        )
    began = time.perf_counter()
    for arrival in arrivals:
        inbox.receive(arrival, routing.on_conflict)
    while routing.route_due(50):
        pass
    took = time.perf_counter() - began
    with db.reading() as tx:
        accepted = list(tx.exec(select(Invoice.id).where(Invoice.state == InvoiceState.ACCEPTED)))
    assert len(accepted) == INVOICED, len(accepted)
    return took


def _last_message() -> int:
    """The newest row of the outbox."""
    from office.base import bulk, db

    with db.reading() as tx:
        return int(tx.execute(bulk.sql("SELECT COALESCE(MAX(id), 0) FROM outbox")).scalar_one())


def _checks() -> dict[str, float]:
    """Clean invoices through every check, from fields alone and with their XML."""
    from models.event_parts import TaxpayerType
    from models.invoicing_events import InvoiceSubmitted
    from policies.einvoice import read_einvoice
    from policies.invoice_checks import Expected, check_invoice
    from policies.policy import policy

    sent = InvoiceSubmitted.model_validate(
        InvoiceSubmitted.EXAMPLE
        | {
            "documents": [{"name": "发票.pdf", "kind": "OTHER", "sha256": "ab" * 32}],
        }
    )
    expected = Expected(
        today=sent.issued_on,
        buyer_name=sent.buyer_name,
        buyer_tax_no=sent.buyer_tax_no,
        seller_name=sent.seller_name,
        seller_tax_no=sent.seller_tax_no,
        taxpayer=TaxpayerType.GENERAL,
        used_before=False,
        covers={"ZD": 9000},
        open_fen={"ZD": 9000},
    )
    numbers = policy("2026-01-01").invoicing
    assert check_invoice(sent, expected, numbers) == ()
    xml = f"""<EInvoice><Header><InvoiceNumber>{sent.number}</InvoiceNumber></Header><EInvoiceData>
        <BuyerInformation><BuyerIdNum>{sent.buyer_tax_no}</BuyerIdNum></BuyerInformation>
        <BasicInformation><TotalAmWithoutTax>84.91</TotalAmWithoutTax><TotalTaxAm>5.09</TotalTaxAm>
        <TotalTax-includedAmount>90.00</TotalTax-includedAmount></BasicInformation></EInvoiceData></EInvoice>""".encode()

    def rate(work: Callable[[], object]) -> float:
        began = time.perf_counter()
        for _ in range(CHECKS):
            work()
        return CHECKS / (time.perf_counter() - began)

    with_xml = rate(lambda: check_invoice(sent, expected.model_copy(update={"xml": read_einvoice(xml)}), numbers))
    return {"checks_s": rate(lambda: check_invoice(sent, expected, numbers)), "xml_checks_s": with_xml}


if __name__ == "__main__":
    main(__doc__, "benchmarks.month_end", [10_000, 100_000], run, table)
