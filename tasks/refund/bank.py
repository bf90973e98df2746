"""How a refund pays, and what the bank's answer means to it (REF-3, CLS-10, ambiguity 24)."""

from __future__ import annotations

from models.cases import Case, CaseState
from models.payouts import Payout, PayoutState
from models.refund_events import PayoutRequested, PayoutUpdated
from models.shops import Shop, ShopState
from notifications import refund as words
from office.base.db import Tx
from office.cases import cases, merchants
from office.process import Pays
from tasks.payouts import payouts
from tasks.refund.plan import outstanding
from tasks.shops import bans, demands, deposits, shops

TO_THE_DEPOSIT = "这笔款项已回到保证金账户,没有损失。店铺处于关店状态时,可以核对收款账户后重新申请退还。"
FORFEITED = "店铺已被强制关店,款项已罚没,已通知商家。"
BACK = {PayoutState.FAILED, PayoutState.RETURNED}


def _taken(tx: Tx, case: Case, payout: Payout, before: PayoutState) -> None:
    """What came back of a banned shop is forfeited, a refund that had ended is taken up again, or ends with the ban."""
    shop, back = shops.find_shop(tx, payout.shop_id or ""), payout.state in BACK
    if back and shop.state is ShopState.FORCED_CLOSED:  # nobody is asked to pay again (ambiguity 24)
        deposits.forfeit(tx, shop, case, f"{case.id}/forfeit/{payout.attempt}")
    elif back:
        demands.look(tx, shop)  # of a shop that has opened again it may be what was missing
    if back and case.outcome is CaseState.REFUNDED and before is PayoutState.SETTLED:
        cases.reopen(tx, case, CaseState.UNDER_REVIEW, "退票:款项被退回,重新处理", clause="REF-3", actor="bank")
        if bans.is_banned(tx, shop.id):
            payouts.nobody_waits(tx, case, payout, FORFEITED)
    elif back and case.concluded_at is not None:
        _came_back_late(tx, case, payout, shop)
    if bans.is_banned(tx, shop.id) and outstanding(tx, case):  # of whichever turn
        bans.end_refunds(tx, [case])


def _came_back_late(tx: Tx, case: Case, payout: Payout, shop: Shop) -> None:
    """Of a refund that ended with only a part paid, and nobody takes up again: merchant and finance hear where it lies now."""
    banned = shop.state is ShopState.FORCED_CLOSED
    told = words.RefundCameBack(
        shop_name=shop.name,
        case_id=case.id,
        amount_fen=payout.amount_fen,
        payee=payout.payee_masked,
        bank_reason=payout.bank_reason or payout.state.label,
        then=bans.NO_REFUND if banned else TO_THE_DEPOSIT,
    )
    merchants.tell(tx, told, f"{payout.request_no}/back/{tx.now:%Y%m%d%H%M%S%f}", case=case)
    payouts.nobody_waits(tx, case, payout, FORFEITED if banned else "款项已回到保证金账户,已通知商家。")


PAYS = Pays(
    asks_bank=PayoutRequested,
    tells=PayoutUpdated,
    clause="REF-8",
    permitted_under="REF-7",
    answered_under="REF-3",
    taken=_taken,
)
