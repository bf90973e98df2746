"""A half drafted: what each shop is due, what is taken from it, what is paid and what stays and why, in chunks (STL-1 … 6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import col, func, select

from models.cases import Case
from models.settlement import Half, HalfState, HoldReason, Settlement, SettlementAnomaly
from office.base import bulk
from office.base.db import Tx, reading
from office.cases.cases import rules
from policies.obstacles import oldest_facts
from policies.policy import policy_at
from policies.settlement import previous_half
from policies.settlement_numbers import SettlementPolicy
from tasks.releasing import over_shops
from tasks.settlement.halves import half_row
from tasks.settlement.request import HalfAsked

CHUNK = 1_000
"""Shops in one transaction."""
MOVERS = 10


def draft(case_id: str) -> Iterator[tuple[int, int]]:
    """Draft what is not drafted yet, with progress (:func:`tasks.releasing.over_shops`)."""
    with reading() as tx:
        half = HalfAsked.of(tx.get_one(Case, case_id)).half
        row = tx.get_one(Half, half)
        drafting, cursor = row.state is HalfState.DRAFTING, row.cursor
    if drafting:
        yield from over_shops(cursor, lambda tx: draft_chunk(tx, half))


def draft_chunk(tx: Tx, half_id: str, size: int = CHUNK) -> int:
    """Draft the next shops of the half; returns how many, 0 when the draft is complete."""
    half = half_row(tx, half_id)
    if half.state is not HalfState.DRAFTING:
        return 0
    shops, first, last = tx.execute(
        bulk.sql("""
        SELECT COUNT(*), MIN(id), MAX(id) FROM (SELECT id FROM shop WHERE id > :cursor ORDER BY id LIMIT :size) AS next_shops
        """),
        {"cursor": half.cursor, "size": size},
    ).one()
    if not shops:
        return 0
    write(tx, half, first, last)
    half.cursor = last
    tx.add(half)
    return int(shops)


def redraft(tx: Tx, half: Half, shop_ids: Sequence[str]) -> None:
    """Draft these shops of a closed half anew: an order of theirs has left it. What finance held out stays held out, and
    nobody is paid more than the draft said that people read: what stood in the way may have gone meanwhile (ambiguity 23)."""
    if half.state is HalfState.OPEN:
        return
    for shop_id in shop_ids:
        if half.state is HalfState.DRAFTING and shop_id > half.cursor:
            continue
        own = {"id": f"{half.id}/{shop_id}"}
        tx.execute(bulk.sql("DELETE FROM settlement_anomaly WHERE settlement_id = :id"), own)
        held = tx.execute(
            bulk.sql("""
            DELETE FROM settlement WHERE id = :id AND state = 'DRAFT' RETURNING hold, held_reason, held_by, paid_fen
            """),
            own,
        ).one_or_none()
        write(tx, half, shop_id, shop_id)
        if held is not None and held[0] == "FINANCE":
            hold(tx, half.id, shop_id, held[1], held[2])
        elif half.state is not HalfState.DRAFTING:
            tx.execute(
                bulk.sql("""
                UPDATE settlement SET left_fen = left_fen + paid_fen - :most, paid_fen = :most
                WHERE id = :id AND state = 'DRAFT' AND paid_fen > :most
                """),
                own | {"most": held[3] if held is not None else 0},
            )


def hold(tx: Tx, half: str, shop_id: str, reason: str, by: str) -> bool:
    """Keep what is drafted for the shop; ``False`` if it has no draft."""
    given = {"id": f"{half}/{shop_id}", "reason": reason, "by": by}
    done = tx.execute(
        bulk.sql("""
        UPDATE settlement SET hold = 'FINANCE', held_reason = :reason, held_by = :by, left_fen = left_fen + paid_fen,
            paid_fen = 0 WHERE id = :id AND state = 'DRAFT'
        """),
        given,
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


def write(tx: Tx, half: Half, first: str, last: str, *, acting: bool = False) -> None:
    """Write the drafts of the shops from the first to the last, and what is odd about them. ``acting``: to be paid at this
    moment, so that facts that are too old hold a shop (ambiguity 27); while people read, newer ones can still come."""
    case = tx.get_one(Case, half.case_id)
    numbers = rules(case).settlement
    given: dict[str, Any] = {"half": half.id, "lo": first, "hi": last}
    tx.execute(_draft(tx, numbers, oldest_facts(tx.now, rules(case)) if acting else None), given | {"but": ""})
    given |= {
        "before": previous_half(half.id),
        "jump": numbers.jump_percent,
        "drop": numbers.drop_percent,
        "floor": numbers.change_floor_fen,
    }
    tx.execute(bulk.sql(_ANOMALIES), given)


DECIDING = """state = 'RETURNED' AND EXISTS (SELECT 1 FROM "case" rc WHERE rc.shop_id = settlement.shop_id
    AND rc.kind = 'settlement-return' AND rc.concluded_at IS NULL)"""
"""Of what earlier halves left: that finance still decides about it in a case of its own."""
_MINE = "shop_id >= :lo AND shop_id <= :hi"


def _fact(tx: Tx, name: str) -> str:
    """A figure of the platform's newest facts, as SQL."""
    if tx.postgres:
        return f"CAST(COALESCE(f.facts->>'{name}', '0') AS bigint)"
    return f"COALESCE(json_extract(f.facts, '$.{name}'), 0)"


def _hold(tx: Tx) -> str:
    """Why a shop is paid nothing now, as SQL over ``s``, its facts ``f`` and its account ``p``; empty when nothing is in the way.

    The contract is the one offered last, as in ``tasks.shops.contracts`` (STL-5, ambiguity 46).
    """
    return f"""CASE WHEN s.state = 'FORCED_CLOSED' THEN 'BANNED'
        WHEN EXISTS (SELECT 1 FROM "case" fc WHERE fc.shop_id = s.id AND fc.kind = 'forced-closure'
            AND fc.concluded_at IS NULL) THEN 'PROPOSED'
        WHEN {_fact(tx, "freezes")} > 0 AND {_fact(tx, "frozen_fen")} = 0 THEN 'FROZEN'
        WHEN EXISTS (SELECT 1 FROM shop_contract c WHERE c.shop_id = s.id AND c.signed_at IS NULL AND NOT EXISTS (
            SELECT 1 FROM shop_contract n WHERE n.shop_id = s.id AND (n.offered_at > c.offered_at
            OR (n.offered_at = c.offered_at AND n.version > c.version)))) THEN 'CONTRACT'
        WHEN EXISTS (SELECT 1 FROM bank_contradiction b WHERE b.shop_id = s.id AND b.closed_at IS NULL)
            THEN 'CONTRADICTION'
        WHEN EXISTS (SELECT 1 FROM "case" rc WHERE rc.shop_id = s.id AND rc.kind = 'settlement-return'
            AND rc.concluded_at IS NULL AND rc.id <> :but) THEN 'RETURNED'
        WHEN p.shop_id IS NULL THEN 'NO_ACCOUNT' WHEN NOT p.fits THEN 'OTHER_NAME'
        WHEN p.changed_at > :rested THEN 'NEW_ACCOUNT' ELSE '' END"""  # noqa: S608


def hold_now(tx: Tx, shop_id: str, but: str = "") -> HoldReason:
    """Why the shop is paid nothing at this moment, besides the case ``but``; ``NONE`` when nothing is in the way."""
    rested = tx.now - timedelta(hours=policy_at(tx.now).settlement.account_rest_hours)
    found = tx.execute(bulk.sql(f"""
        SELECT {_hold(tx)} FROM shop s LEFT JOIN shop_snapshot f ON f.shop_id = s.id
        LEFT JOIN settlement_account p ON p.shop_id = s.id WHERE s.id = :shop
        """, rested=rested), {"shop": shop_id, "but": but}).scalar_one()  # noqa: S608  # fmt: skip
    return HoldReason(found)


def _draft(tx: Tx, numbers: SettlementPolicy, fresh: datetime | None) -> Any:
    """One statement: base figures per shop, then arrears first, the frozen share after them, the rest paid (ambiguity 49)."""
    least, most = ("LEAST", "GREATEST") if tx.postgres else ("MIN", "MAX")
    age = "CASE WHEN f.as_of >= :fresh THEN '' ELSE 'OLD_FACTS' END" if fresh else "''"

    words = f"""
    INSERT INTO settlement (id, half, shop_id, state, shop_name, orders, aftersales, goods_fen, subsidy_fen, refund_fen,
        commission_fen, fee_fen, due_fen, waiting_orders, waiting_fen, carried_in_fen, brought_fen, set_off_fen, kept_fen,
        frozen_fen, paid_fen, left_fen, carried_fen, owed_fen, hold, held_reason, held_by, payee_masked)
    SELECT :half || '/' || id, :half, id, 'DRAFT', name, orders, aftersales, goods, subsidy, refund, commission, fee, due,
        waiting, waiting_fen, carried_in, brought, set_off, kept,
        CASE WHEN whole THEN rest ELSE {least}(rest, frozen) END,
        CASE WHEN hold = '' THEN {most}(rest - frozen, 0) ELSE 0 END,
        CASE WHEN hold = '' THEN {least}(rest, frozen) ELSE rest END,
        CASE WHEN leaving THEN 0 ELSE short END, CASE WHEN leaving THEN short ELSE 0 END,
        CASE WHEN rest > 0 THEN hold ELSE '' END, '', '', masked
    FROM (
      SELECT *, free - set_off - kept AS rest FROM (
        SELECT *, {least}(free - set_off, wanted) AS kept FROM (
          SELECT *, {least}(free, arrears) AS set_off FROM (
            SELECT *, {most}(brought + due + carried_in, 0) AS free, {least}(brought + due + carried_in, 0) AS short FROM (
              SELECT s.id, s.name, COALESCE(o.orders, 0) AS orders, COALESCE(a.aftersales, 0) AS aftersales,
                COALESCE(o.goods, 0) AS goods, COALESCE(o.subsidy, 0) - COALESCE(a.subsidy, 0) AS subsidy,
                COALESCE(o.refund, 0) + COALESCE(a.refund, 0) AS refund,
                COALESCE(o.commission, 0) - COALESCE(a.commission, 0) AS commission,
                COALESCE(o.fee, 0) - COALESCE(a.fee, 0) AS fee, COALESCE(o.net, 0) + COALESCE(a.net, 0) AS due,
                COALESCE(w.waiting, 0) AS waiting, COALESCE(w.fen, 0) AS waiting_fen, COALESCE(c.carried, 0) AS carried_in,
                CASE WHEN sw.settler = 'OFFICE'
                    THEN {most}(COALESCE(r.credit_fen - r.debit_fen, 0) - sw.platform_fen - COALESCE(c.deciding, 0), 0)
                    ELSE {least}(COALESCE(r.credit_fen - r.debit_fen, 0), COALESCE(c.left_fen - c.deciding, 0))
                    END AS brought,
                COALESCE(d.debit_fen - d.credit_fen, 0) AS arrears, COALESCE(k.wanted, 0) AS wanted,
                {_fact(tx, "frozen_fen")} AS frozen, ({_fact(tx, "freezes")} > 0 AND {_fact(tx, "frozen_fen")} = 0) AS whole,
                (s.state IN ('CLEARING', 'CLOSED', 'FORCED_CLOSED')) AS leaving, COALESCE(p.payee_masked, '') AS masked,
                COALESCE(NULLIF({_hold(tx)}, ''), {age}) AS hold
              FROM shop s
              LEFT JOIN (SELECT shop_id, COUNT(*) AS orders, SUM(goods_fen) AS goods, SUM(subsidy_fen) AS subsidy,
                  SUM(refund_fen) AS refund, SUM(commission_fen) AS commission, SUM(fee_fen) AS fee, SUM(net_fen) AS net
                FROM settlement_order WHERE half = :half AND {_MINE} GROUP BY shop_id) o ON o.shop_id = s.id
              LEFT JOIN (SELECT shop_id, COUNT(*) AS aftersales, SUM(refund_fen) AS refund, SUM(subsidy_back_fen) AS subsidy,
                  SUM(commission_back_fen) AS commission, SUM(fee_back_fen) AS fee, SUM(net_fen) AS net
                FROM settlement_aftersale WHERE half = :half AND {_MINE} GROUP BY shop_id) a ON a.shop_id = s.id
              LEFT JOIN (SELECT shop_id, COUNT(*) AS waiting, SUM(net_fen) AS fen FROM settlement_order
                WHERE half IS NULL AND {_MINE} GROUP BY shop_id) w ON w.shop_id = s.id
              LEFT JOIN (SELECT shop_id, SUM(carried_fen) AS carried, SUM(left_fen) AS left_fen,
                  SUM(CASE WHEN {DECIDING} THEN left_fen ELSE 0 END) AS deciding FROM settlement
                WHERE {_MINE} AND state <> 'DRAFT' AND taken_on IS NULL AND (left_fen > 0 OR carried_fen < 0)
                GROUP BY shop_id) c ON c.shop_id = s.id
              LEFT JOIN account r ON r.id = 'shop/' || s.id || '/receivable'
              LEFT JOIN account d ON d.id = 'shop/' || s.id || '/arrears'
              LEFT JOIN (SELECT shop_id, SUM(share_fen - frozen_fen - set_off_fen) AS wanted FROM statement
                WHERE {_MINE} AND state = 'OVERDUE' AND share_fen > frozen_fen + set_off_fen GROUP BY shop_id) k
                ON k.shop_id = s.id
              LEFT JOIN shop_snapshot f ON f.shop_id = s.id
              LEFT JOIN settlement_account p ON p.shop_id = s.id
              LEFT JOIN settlement_switch sw ON sw.shop_id = s.id AND sw.since = (
                SELECT MAX(since) FROM settlement_switch l WHERE l.shop_id = s.id AND l.since <= :now)
              WHERE s.id >= :lo AND s.id <= :hi AND (o.orders IS NOT NULL OR a.aftersales IS NOT NULL
                OR w.waiting IS NOT NULL OR c.shop_id IS NOT NULL
                OR (sw.settler = 'OFFICE' AND r.credit_fen - r.debit_fen > sw.platform_fen))
            ) AS base
          ) AS summed
        ) AS after_arrears
      ) AS after_freezes
    ) AS shared
    WHERE true ON CONFLICT (id) DO NOTHING"""  # noqa: S608
    moments = {"rested": tx.now - timedelta(hours=numbers.account_rest_hours), "now": tx.now}
    return bulk.sql(words, **moments, **({"fresh": fresh} if fresh else {}))


# The same shape as the anomalies of a month of invoicing: against the half before, from a floor on.
_ANOMALIES = """
    INSERT INTO settlement_anomaly (settlement_id, kind, value_fen, before_fen)
    SELECT id, kind, due_fen, COALESCE(before_fen, 0) FROM (
        SELECT d.id, d.due_fen, p.due_fen AS before_fen, k.kind,
            CASE k.kind
            WHEN 'NEGATIVE' THEN d.due_fen < 0
            WHEN 'SHOP_CLOSED' THEN d.due_fen <> 0 AND s.state IN ('CLOSED', 'FORCED_CLOSED')
            WHEN 'JUMP' THEN p.due_fen > 0 AND ABS(d.due_fen - p.due_fen) >= :floor AND d.due_fen * 100 > p.due_fen * :jump
            WHEN 'DROP' THEN p.due_fen > 0 AND ABS(d.due_fen - p.due_fen) >= :floor AND d.due_fen * 100 < p.due_fen * :drop
            END AS odd
        FROM settlement d JOIN shop s ON s.id = d.shop_id
        LEFT JOIN settlement p ON p.half = :before AND p.shop_id = d.shop_id
        CROSS JOIN (SELECT 'NEGATIVE' AS kind UNION ALL SELECT 'SHOP_CLOSED' UNION ALL SELECT 'JUMP'
                    UNION ALL SELECT 'DROP') k
        WHERE d.half = :half AND d.shop_id >= :lo AND d.shop_id <= :hi AND d.state = 'DRAFT') judged
    WHERE odd ON CONFLICT (settlement_id, kind) DO NOTHING"""

SUMS = (
    "orders", "aftersales", "goods_fen", "subsidy_fen", "refund_fen", "commission_fen", "fee_fen", "due_fen",
    "waiting_orders", "waiting_fen", "carried_in_fen", "brought_fen", "set_off_fen", "kept_fen", "frozen_fen", "paid_fen",
    "left_fen", "carried_fen", "owed_fen",
)  # fmt: skip


def sums(tx: Tx, half: str) -> dict[str, int]:
    """The sums of a half over all its shops, and how many there are (``shops``) and are paid (``payments``)."""
    added = ", ".join(f"COALESCE(SUM({name}), 0)" for name in SUMS)
    shops, payments, *found = tx.execute(bulk.sql(f"""
        SELECT COUNT(*), COALESCE(SUM(CASE WHEN paid_fen > 0 THEN 1 ELSE 0 END), 0), {added} FROM settlement
        WHERE half = :half
        """), {"half": half}).one()  # noqa: S608  # fmt: skip
    return {"shops": int(shops), "payments": int(payments)} | dict(zip(SUMS, map(int, found), strict=True))


def totals(tx: Tx, half: str) -> dict[str, Any]:
    """Control totals of the finished draft, beside those of the half before."""
    given = {"half": half, "before": previous_half(half)}

    def many(words: str) -> list[Any]:
        return [list(row) for row in tx.execute(bulk.sql(words), given)]

    return {
        **sums(tx, half), "last": sums(tx, previous_half(half)),
        "posted": [int(value) for value in many("""
            SELECT COUNT(*), COALESCE(SUM(paid_fen), 0) FROM settlement WHERE half = :half AND state <> 'DRAFT'""")[0]],
        "holds": [[row[0], int(row[1]), int(row[2])] for row in many("""
            SELECT hold, COUNT(*), SUM(left_fen) FROM settlement WHERE half = :half AND hold <> '' GROUP BY hold
            ORDER BY 3 DESC, 1""")],
        "anomalies": [[row[0], int(row[1])] for row in many("""
            SELECT a.kind, COUNT(*) FROM settlement_anomaly a JOIN settlement s ON s.id = a.settlement_id
            WHERE s.half = :half GROUP BY a.kind ORDER BY 2 DESC, 1""")],
        "anomalous": int(many("""
            SELECT COUNT(DISTINCT a.settlement_id) FROM settlement_anomaly a JOIN settlement s ON s.id = a.settlement_id
            WHERE s.half = :half""")[0][0]),
        "movers": [[row[0], row[1], int(row[2]), int(row[3])] for row in many(f"""
            SELECT d.shop_id, d.shop_name, d.due_fen, COALESCE(p.due_fen, 0) FROM settlement d
            LEFT JOIN settlement p ON p.half = :before AND p.shop_id = d.shop_id
            WHERE d.half = :half AND d.due_fen <> COALESCE(p.due_fen, 0)
            ORDER BY ABS(d.due_fen - COALESCE(p.due_fen, 0)) DESC, d.shop_id LIMIT {MOVERS}""")],  # noqa: S608
        "strays": int(many("""
            SELECT COUNT(*) FROM settlement_aftersale a WHERE a.half IS NULL
            AND NOT EXISTS (SELECT 1 FROM settlement_order o WHERE o.id = a.order_id)""")[0][0]),
    }  # fmt: skip


def anomalies(tx: Tx, half: str, limit: int | None = 50) -> list[tuple[Settlement, SettlementAnomaly]]:
    """The anomalies of a half, those with the most money first."""
    query = (
        select(Settlement, SettlementAnomaly)
        .join(SettlementAnomaly, col(SettlementAnomaly.settlement_id) == Settlement.id)
        .where(Settlement.half == half)
        .order_by(func.abs(SettlementAnomaly.value_fen).desc(), col(Settlement.shop_id), col(SettlementAnomaly.kind))
    )
    return list(tx.exec(query.limit(limit)))


def held(tx: Tx, half: str, limit: int | None = None) -> list[Settlement]:
    """The shops of a half that are paid nothing although something is left for them, those with most first."""
    query = select(Settlement).where(Settlement.half == half, col(Settlement.left_fen) > 0)
    return list(tx.exec(query.order_by(col(Settlement.left_fen).desc(), col(Settlement.shop_id)).limit(limit)))
