"""Proof of refunds: one has ended when all it had to pay has arrived, and pays no more than that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta

from sqlmodel import col, select

from models.cases import Case, CaseKind, CaseState
from models.money import yuan
from models.payouts import Payout, PayoutState
from office.base.db import Tx
from tasks.payouts.payout_proof import corrected
from tasks.refund.request import RefundAsked

SETTLING = timedelta(minutes=10)
"""How long after the bank's answer a case may still be on its way to its end."""


def check(tx: Tx) -> Iterator[str]:
    """What is wrong, a Chinese sentence each."""
    paid: dict[str, list[Payout]] = defaultdict(list)
    query = select(Payout).join(Case, col(Case.id) == Payout.case_id).where(Case.kind == CaseKind.REFUND)
    for payout in tx.exec(query.order_by(col(Payout.request_no))):
        paid[payout.case_id].append(payout)
    ended = select(Case.id).where(Case.kind == CaseKind.REFUND, Case.outcome == CaseState.REFUNDED)
    for case_id in sorted({*paid, *tx.exec(ended)}):
        case, rows = tx.get_one(Case, case_id), paid.get(case_id, [])
        asked = RefundAsked.of(case)
        due = asked.amount_fen if asked.target_fen is None else asked.target_fen
        arrived = sum(row.amount_fen for row in rows if row.state is PayoutState.SETTLED)
        answered = max((row.answered_at for row in rows if row.answered_at), default=None)
        late = answered is None or tx.now - answered > SETTLING
        if rows and arrived == due and case.concluded_at is None and late:
            yield f"案件 {case.id} 的打款 {yuan(arrived)} 已全部到账,案件却没有办结"
        if rows and arrived == due and case.outcome not in {None, CaseState.REFUNDED} and not corrected(tx, case_id):
            yield f"案件 {case.id} 的打款 {yuan(arrived)} 已全部到账,案件却以「{case.state.label}」办结"
        if case.outcome is CaseState.REFUNDED and arrived < due:
            yield f"案件 {case.id} 以「已退还」办结,应退 {yuan(due)},到账的打款只有 {yuan(arrived)}"
        if arrived > due and not corrected(tx, case_id):
            yield f"案件 {case.id} 应退 {yuan(due)},到账的打款却有 {yuan(arrived)}"
