"""How a refund pays, and what the bank's answer means to it (REF-3, CLS-10, ambiguity 24)."""

from __future__ import annotations

from models.cases import Case, CaseState
from models.payouts import Payout, PayoutState
from models.refund_events import PayoutRequested, PayoutUpdated
from models.shops import ShopState
from office.base.db import Tx
from office.cases import cases
from office.process import Pays
from tasks.payouts import payouts
from tasks.shops import bans, deposits, shops

BACK = {PayoutState.FAILED, PayoutState.RETURNED}


def _taken(tx: Tx, case: Case, payout: Payout, before: PayoutState) -> None:
    """What came back of a banned shop is forfeited, a refund that had ended is taken up again, or ends with the ban."""
    shop = shops.find_shop(tx, payout.shop_id or "")
    if payout.state in BACK and shop.state is ShopState.FORCED_CLOSED:  # nobody is asked to pay again (ambiguity 24)
        deposits.forfeit(tx, shop, case, f"{case.id}/forfeit/{payout.attempt}")
    if payout.state in BACK and case.outcome is CaseState.REFUNDED and before is PayoutState.SETTLED:
        cases.reopen(tx, case, CaseState.UNDER_REVIEW, "退票:款项被退回,重新处理", clause="REF-3", actor="bank")
    if _unpaid(tx, case) and bans.is_banned(tx, shop.id):
        bans.end_refunds(tx, [case])


def _unpaid(tx: Tx, case: Case) -> bool:
    """Whether something of the case's last turn did not reach its payee."""
    rows = payouts.of_case(tx, case.id)
    last = max(row.turn for row in rows)
    return any(row.turn == last and row.state in BACK for row in rows)


PAYS = Pays(
    asks_bank=PayoutRequested, tells=PayoutUpdated, clause="REF-8", permitted_under="REF-7", answered_under="REF-3",
    taken=_taken,
)  # fmt: skip
