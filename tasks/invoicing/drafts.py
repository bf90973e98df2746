"""A month drafted: one statement per shop from its fees, in chunks, totals and anomalies (INV-1, INV-4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import func
from sqlmodel import col, select

from models.cases import Case, CaseState
from models.invoicing import Period, PeriodState, Statement, StatementAnomaly, StatementState
from office.base import bulk
from office.base.db import Tx, reading
from office.cases import cases
from office.cases.cases import rules
from office.cases.effects import effects_of
from policies.invoicing import needs_second_person, previous_period
from tasks import releasing
from tasks.invoicing import periods
from tasks.invoicing.request import MonthAsked
from tasks.releasing import over_shops

effect = effects_of("statements")

CHUNK = 2_000
"""Shops in one transaction."""
MOVERS = 10


def period_row(tx: Tx, period: str) -> Period:
    """A month, locked, and read anew under the lock: its last number is not what this transaction saw before."""
    query = select(Period).where(Period.id == period).execution_options(populate_existing=True)
    row = tx.exec(query.with_for_update() if tx.postgres else query).first()
    if row is None:
        raise LookupError(f"no period {period}")
    return row


# ── drafting ─────────────────────────────────────────────────────────────────


@effect("开始起草账单")
def begin(tx: Tx, case: Case, round: int) -> None:
    """Close the month to new items and begin a draft; another round throws the last draft away.

    A new draft also takes in items of the month that came late, unless their next month is drafted already.
    """
    period = period_row(tx, MonthAsked.of(case).period)
    if round > 1:
        drafted = "SELECT id FROM statement WHERE period = :period AND state IN ('DRAFT', 'HELD')"
        for table in ("statement_anomaly", "statement_line"):
            tx.execute(bulk.sql(f"DELETE FROM {table} WHERE statement_id IN ({drafted})"), {"period": period.id})  # noqa: S608
        tx.execute(
            bulk.sql("DELETE FROM statement WHERE period = :period AND state IN ('DRAFT', 'HELD')"),
            {"period": period.id},
        )
        tx.execute(
            bulk.sql("""
            UPDATE billable_item SET period = :period WHERE own_period = :period
            AND period IN (SELECT id FROM invoice_period WHERE state = 'OPEN')
            """),
            {"period": period.id},
        )
    period.state, period.cursor, period.drafts, period.totals = PeriodState.DRAFTING, "", round, {}
    period.closed_at = period.closed_at or tx.now
    tx.add(period)
    cases.move(tx, case, CaseState.DRAFTING, f"{periods.label(period.id)}账单起草中", clause="INV-1")


def draft(case_id: str) -> Iterator[tuple[int, int]]:
    """Draft what is not drafted yet, with progress (:func:`tasks.releasing.over_shops`)."""
    with reading() as tx:
        period = MonthAsked.of(tx.get_one(Case, case_id)).period
        row = tx.get_one(Period, period)
        drafting, cursor = row.state is PeriodState.DRAFTING, row.cursor
    if drafting:
        yield from over_shops(cursor, lambda tx: draft_chunk(tx, period))


def draft_chunk(tx: Tx, period_id: str, size: int = CHUNK) -> int:
    """Draft the next shops of the month; returns how many, 0 when the draft is complete."""
    period = period_row(tx, period_id)
    if period.state is not PeriodState.DRAFTING:
        return 0
    shops, last = tx.execute(
        bulk.sql("""
        SELECT COUNT(*), MAX(id) FROM (SELECT id FROM shop WHERE id > :cursor ORDER BY id LIMIT :size) AS next_shops
        """),
        {"cursor": period.cursor, "size": size},
    ).one()
    if not shops:
        return 0
    given = {"period": period.id, "lo": period.cursor, "hi": last, "year": int(period.id[:4])}
    tx.execute(bulk.sql(_DRAFT), given)
    tx.execute(bulk.sql(_LINES), given)
    numbers = rules(tx.get_one(Case, period.case_id)).invoicing
    given |= {
        "before": previous_period(period.id),
        "jump": numbers.jump_percent,
        "drop": numbers.drop_percent,
        "floor": numbers.change_floor_fen,
    }
    tx.execute(bulk.sql(_ANOMALIES), given)
    tx.execute(bulk.sql(_DUPLICATES), given)
    period.cursor = last
    tx.add(period)
    return int(shops)


_RANGE = "shop_id > :lo AND shop_id <= :hi"

_DRAFT = f"""
    INSERT INTO statement (id, period, shop_id, state, total_fen, items, taxpayer_type, shop_name, seller_name,
        seller_tax_no, year, invoiced_fen, pending_fen, share_fen, frozen_fen, set_off_fen, auto, moves, held_reason,
        held_by)
    SELECT :period || '/' || s.id, :period, s.id, 'DRAFT', COALESCE(b.total, 0), COALESCE(b.items, 0), s.taxpayer_type,
        s.name, CASE WHEN s.licence_name <> '' THEN s.licence_name ELSE s.owner_name END, s.uscc, :year,
        0, 0, 0, 0, 0, false, 0, '', ''
    FROM shop s LEFT JOIN (
        SELECT shop_id, SUM(amount_fen) AS total, COUNT(*) AS items FROM billable_item
        WHERE period = :period AND {_RANGE} GROUP BY shop_id) b ON b.shop_id = s.id
    WHERE s.id > :lo AND s.id <= :hi AND (s.state IN ('OPEN', 'CLEARING') OR b.items IS NOT NULL)
    ON CONFLICT (id) DO NOTHING"""  # noqa: S608

_LINES = f"""
    INSERT INTO statement_line (statement_id, category, own_period, amount_fen, items)
    SELECT :period || '/' || shop_id, category, own_period, SUM(amount_fen), COUNT(*) FROM billable_item
    WHERE period = :period AND {_RANGE} GROUP BY shop_id, category, own_period
    ON CONFLICT (statement_id, category, own_period) DO NOTHING"""  # noqa: S608

# The same rules as policies.invoicing.anomalies, for a whole chunk at once.
_ANOMALIES = """
    INSERT INTO statement_anomaly (statement_id, kind, value_fen, before_fen)
    SELECT id, kind, total_fen, COALESCE(before_fen, 0) FROM (
        SELECT d.id, d.total_fen, p.total_fen AS before_fen, k.kind,
            CASE k.kind
            WHEN 'NEGATIVE' THEN d.total_fen < 0
            WHEN 'NO_TAX_IDENTITY' THEN d.total_fen > 0
                AND (d.taxpayer_type = '' OR d.seller_tax_no = '' OR d.seller_name = '')
            WHEN 'SHOP_CLOSED' THEN d.total_fen <> 0 AND s.state IN ('CLOSED', 'FORCED_CLOSED')
            WHEN 'JUMP' THEN p.total_fen > 0 AND ABS(d.total_fen - p.total_fen) >= :floor
                AND d.total_fen * 100 > p.total_fen * :jump
            WHEN 'DROP' THEN p.total_fen > 0 AND ABS(d.total_fen - p.total_fen) >= :floor
                AND d.total_fen * 100 < p.total_fen * :drop
            END AS odd
        FROM statement d JOIN shop s ON s.id = d.shop_id
        LEFT JOIN statement p ON p.period = :before AND p.shop_id = d.shop_id
        CROSS JOIN (SELECT 'NEGATIVE' AS kind UNION ALL SELECT 'NO_TAX_IDENTITY' UNION ALL SELECT 'SHOP_CLOSED'
                    UNION ALL SELECT 'JUMP' UNION ALL SELECT 'DROP') k
        WHERE d.period = :period AND d.shop_id > :lo AND d.shop_id <= :hi AND d.state = 'DRAFT') judged
    WHERE odd ON CONFLICT (statement_id, kind) DO NOTHING"""

# An item that came again under a new id after its month was billed counts, too: the first of its kind may be anywhere.
_DUPLICATES = f"""
    INSERT INTO statement_anomaly (statement_id, kind, value_fen, before_fen)
    SELECT :period || '/' || shop_id, 'DUPLICATE', SUM((times - billed_now_first) * amount_fen), 0 FROM (
        SELECT shop_id, amount_fen, COUNT(*) AS times, CASE WHEN own_period < :period AND EXISTS (
            SELECT 1 FROM billable_item o WHERE o.shop_id = i.shop_id AND o.period <> :period AND o.corrects IS NULL
            AND o.category = i.category AND o.amount_fen = i.amount_fen AND o.settled_at = i.settled_at
            AND o.description = i.description) THEN 0 ELSE 1 END AS billed_now_first
        FROM billable_item i WHERE period = :period AND {_RANGE} AND corrects IS NULL AND category <> 'CARRIED'
        GROUP BY shop_id, category, amount_fen, settled_at, description, own_period) repeats
    WHERE times > billed_now_first GROUP BY shop_id ON CONFLICT (statement_id, kind) DO NOTHING"""  # noqa: S608


@effect("汇总账单")
def total_up(tx: Tx, case: Case, round: int) -> bool:
    """Control totals of the finished draft; ``False`` if there is nothing to release, so nobody need be asked."""
    period = period_row(tx, MonthAsked.of(case).period)
    period.totals = _totals(tx, period.id)
    period.state, period.drafted_at = PeriodState.DRAFTED, tx.now
    tx.add(period)
    cases.move(
        tx,
        case,
        CaseState.UNDER_REVIEW,
        f"{periods.label(period.id)}账单待财务放行",
        clause="INV-1",
        statements=period.totals["statements"],
        total_fen=period.totals["total_fen"],
        **{releasing.TOTALS: releasing.digest(period.totals)},
    )
    return True


def _totals(tx: Tx, period: str) -> dict[str, Any]:
    given = {"period": period, "before": previous_period(period)}
    both = "((s.period = :period AND s.state IN ('DRAFT', 'HELD')) OR s.period = :before)"
    now = "CASE WHEN s.period = :period THEN 1 ELSE 0 END"

    def many(words: str) -> list[Any]:
        return [list(row) for row in tx.execute(bulk.sql(words), given)]

    ((shops, total, invoiceable, negative, nothing),) = many("""
        SELECT COUNT(*), COALESCE(SUM(total_fen), 0), SUM(CASE WHEN total_fen > 0 THEN 1 ELSE 0 END),
            SUM(CASE WHEN total_fen < 0 THEN 1 ELSE 0 END), SUM(CASE WHEN total_fen = 0 THEN 1 ELSE 0 END)
        FROM statement WHERE period = :period AND state IN ('DRAFT', 'HELD')""")
    ((shops_before, total_before),) = many("""
        SELECT COUNT(*), COALESCE(SUM(total_fen), 0) FROM statement WHERE period = :before""")
    return {
        "shops": int(shops), "statements": int(invoiceable or 0), "negative": int(negative or 0), "nil": int(nothing or 0),
        "total_fen": int(total), "shops_before": int(shops_before), "total_before_fen": int(total_before),
        "by_category": [[row[0], int(row[1]), int(row[2]), int(row[3])] for row in many(f"""
            SELECT l.category, SUM({now} * l.amount_fen), SUM({now} * l.items), SUM((1 - {now}) * l.amount_fen)
            FROM statement_line l JOIN statement s ON s.id = l.statement_id WHERE {both}
            GROUP BY l.category ORDER BY 2 DESC, 1""")],  # noqa: S608
        "by_taxpayer": [[row[0], int(row[1]), int(row[2]), int(row[3])] for row in many(f"""
            SELECT taxpayer_type, SUM({now} * total_fen), SUM({now}), SUM((1 - {now}) * total_fen) FROM statement s
            WHERE {both} AND total_fen <> 0 GROUP BY taxpayer_type ORDER BY 2 DESC, 1""")],  # noqa: S608
        "anomalies": [[row[0], int(row[1])] for row in many("""
            SELECT a.kind, COUNT(*) FROM statement_anomaly a JOIN statement s ON s.id = a.statement_id
            WHERE s.period = :period AND s.state IN ('DRAFT', 'HELD') GROUP BY a.kind ORDER BY 2 DESC, 1""")],
        "anomalous": int(many("""
            SELECT COUNT(DISTINCT a.statement_id) FROM statement_anomaly a JOIN statement s ON s.id = a.statement_id
            WHERE s.period = :period AND s.state IN ('DRAFT', 'HELD')""")[0][0]),
        "movers": [[row[0], row[1], int(row[2]), int(row[3])] for row in many(f"""
            SELECT d.shop_id, d.shop_name, d.total_fen, COALESCE(p.total_fen, 0) FROM statement d
            LEFT JOIN statement p ON p.period = :before AND p.shop_id = d.shop_id
            WHERE d.period = :period AND d.state IN ('DRAFT', 'HELD') AND d.total_fen <> COALESCE(p.total_fen, 0)
            ORDER BY ABS(d.total_fen - COALESCE(p.total_fen, 0)) DESC, d.shop_id LIMIT {MOVERS}""")],  # noqa: S608
        "held_before": [[row[0], row[1], row[2], int(row[3]), row[4], row[5]] for row in many("""
            SELECT period, shop_id, shop_name, total_fen, held_reason, held_by FROM statement
            WHERE state = 'HELD' AND period < :period ORDER BY period, shop_id""")],
    }  # fmt: skip


def anomalies(tx: Tx, period: str, limit: int | None = 50) -> list[tuple[Statement, StatementAnomaly]]:
    """The anomalies of a month's draft, those with the most money first."""
    query = (
        select(Statement, StatementAnomaly)
        .join(StatementAnomaly, col(StatementAnomaly.statement_id) == Statement.id)
        .where(Statement.period == period, col(Statement.state).in_([StatementState.DRAFT, StatementState.HELD]))
        .order_by(func.abs(StatementAnomaly.value_fen).desc(), col(Statement.shop_id), col(StatementAnomaly.kind))
    )
    return list(tx.exec(query.limit(limit)))


def several_eyes(tx: Tx, case: Case) -> bool:
    """Whether the draft has so many anomalies that two people must release it."""
    totals = period_row(tx, MonthAsked.of(case).period).totals
    return needs_second_person(totals["anomalous"], totals["shops"], rules(case).invoicing)


# ── releasing ────────────────────────────────────────────────────────────────


@effect("提交第二人放行")
def to_second(tx: Tx, case: Case, round: int) -> bool:
    """Whether a second person must release the draft, and if so note that they are awaited."""
    needed = several_eyes(tx, case)
    if needed:
        cases.move(tx, case, CaseState.SECOND_REVIEW, "异常较多,等待第二人放行", clause="INV-1")
    return needed
