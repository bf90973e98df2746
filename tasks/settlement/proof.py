"""Proof of settlement: orders, rows, payments and books say the same, over the whole database (STL-1 to STL-6)."""

from __future__ import annotations

from collections.abc import Iterator

from models.money import yuan
from office.base import bulk
from office.base.db import Tx

_CHECKS = {
    "结算单 {0}:订单与售后合计 {1:yuan},应结却为 {2:yuan}": """
        SELECT s.id, COALESCE(o.net, 0) + COALESCE(a.net, 0), s.due_fen FROM settlement s
        LEFT JOIN (SELECT half, shop_id, SUM(net_fen) AS net FROM settlement_order WHERE half IS NOT NULL
            GROUP BY half, shop_id) o ON o.half = s.half AND o.shop_id = s.shop_id
        LEFT JOIN (SELECT half, shop_id, SUM(net_fen) AS net FROM settlement_aftersale WHERE half IS NOT NULL
            GROUP BY half, shop_id) a ON a.half = s.half AND a.shop_id = s.shop_id
        WHERE s.state <> 'DRAFT' AND COALESCE(o.net, 0) + COALESCE(a.net, 0) <> s.due_fen""",
    "店铺 {1} 在已结算的 {0} 有 {2} 笔订单,却没有结算单": """
        SELECT o.half, o.shop_id, COUNT(*) FROM settlement_order o JOIN settlement_half h ON h.id = o.half
        LEFT JOIN settlement s ON s.half = o.half AND s.shop_id = o.shop_id
        WHERE h.state = 'SETTLED' AND (s.id IS NULL OR s.state = 'DRAFT') GROUP BY o.half, o.shop_id""",
    "店铺 {1} 在已结算的 {0} 有 {2} 笔售后,却没有结算单": """
        SELECT a.half, a.shop_id, COUNT(*) FROM settlement_aftersale a JOIN settlement_half h ON h.id = a.half
        LEFT JOIN settlement s ON s.half = a.half AND s.shop_id = a.shop_id
        WHERE h.state = 'SETTLED' AND (s.id IS NULL OR s.state = 'DRAFT') GROUP BY a.half, a.shop_id""",
    "订单 {0} 有未结束的售后 {1},却已归入结算期 {2}": """
        SELECT o.id, a.id, o.half FROM settlement_aftersale a JOIN settlement_order o ON o.id = a.order_id
        JOIN settlement s ON s.half = o.half AND s.shop_id = o.shop_id
        WHERE a.ended_at IS NULL AND a.opened_at < s.issued_at AND s.state <> 'DRAFT' AND a.recorded_at < s.issued_at""",
    "结算单 {0} 付款 {1:yuan},打款指令为 {2:yuan}": """
        SELECT s.id, s.paid_fen, p.amount_fen FROM settlement s JOIN payout p ON p.request_no = s.request_no
        WHERE s.state IN ('PAYING', 'PAID') AND s.paid_fen <> p.amount_fen""",
    "结算单 {0}({1})付款 {2:yuan},却没有打款指令": """
        SELECT s.id, s.state, s.paid_fen FROM settlement s LEFT JOIN payout p ON p.request_no = s.request_no
        WHERE s.paid_fen > 0 AND s.state <> 'DRAFT' AND p.request_no IS NULL""",
    "结算单 {0} 应结 {1:yuan},账簿入账 {2:yuan}": """
        SELECT s.id, s.due_fen + s.carried_in_fen - s.carried_fen, COALESCE(SUM(CASE WHEN t.key LIKE '%/due'
            THEN t.amount_fen ELSE -t.amount_fen END), 0)
        FROM settlement s LEFT JOIN transfer t ON t.key IN ('settlement/' || s.id || '/due',
            'settlement/' || s.id || '/taken-back', 'settlement/' || s.id || '/owed')
        WHERE s.state <> 'DRAFT' GROUP BY s.id, s.due_fen, s.carried_in_fen, s.carried_fen
        HAVING s.due_fen + s.carried_in_fen - s.carried_fen <> COALESCE(SUM(CASE WHEN t.key LIKE '%/due'
            THEN t.amount_fen ELSE -t.amount_fen END), 0)""",
    "店铺 {0} 各期抵扣欠款 {1:yuan},账簿为 {2:yuan}": """
        SELECT s.shop_id, SUM(s.set_off_fen), COALESCE(MAX(t.fen), 0) FROM settlement s
        LEFT JOIN (SELECT credit_account, SUM(amount_fen) AS fen FROM transfer WHERE reason = 'settlement.set-off'
            GROUP BY credit_account) t ON t.credit_account = 'shop/' || s.shop_id || '/arrears'
        WHERE s.state <> 'DRAFT' GROUP BY s.shop_id HAVING SUM(s.set_off_fen) <> COALESCE(MAX(t.fen), 0)""",
    "店铺 {0} 结余 {1:yuan} 超过账上可用货款 {2:yuan}": """
        SELECT s.shop_id, SUM(s.left_fen), COALESCE(MAX(a.credit_fen - a.debit_fen), 0) FROM settlement s
        JOIN shop ON shop.id = s.shop_id AND shop.state <> 'FORCED_CLOSED'
        LEFT JOIN account a ON a.id = 'shop/' || s.shop_id || '/receivable'
        WHERE s.state <> 'DRAFT' AND s.taken_on IS NULL AND s.left_fen > 0 AND NOT EXISTS (
            SELECT 1 FROM statement_move m WHERE m.shop_id = s.shop_id AND m.at > s.issued_at)
        GROUP BY s.shop_id HAVING SUM(s.left_fen) > COALESCE(MAX(a.credit_fen - a.debit_fen), 0)""",
}


def check(tx: Tx) -> Iterator[str]:
    """What is wrong, a Chinese sentence each."""
    for sentence, words in _CHECKS.items():
        for row in tx.execute(bulk.sql(words)):
            yield sentence.replace(":yuan", "").format(
                *(yuan(int(value)) if f"{{{place}:yuan}}" in sentence else value for place, value in enumerate(row))
            )
