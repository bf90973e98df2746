"""Why money went from one account to another, as people read it."""

from __future__ import annotations

from models.deposits import DeductionReason

REASONS = {reason.value: reason.label for reason in DeductionReason} | {
    "certification_fee.paid": "缴纳认证审核费",
    "compensation.returned": "退还赔付款",
    "compensation.reversed": "冲回赔付扣款",
    "deposit.paid": "缴款入账",
    "deposit.set_off": "保证金抵扣欠款",
    "payout.corrected": "凭银行证明更正",
    "payout.funded": "平台出资",
    "payout.requested": "提交银行打款",
    "payout.returned": "银行退回",
    "payout.reversed": "打款未成,款项退回",
    "payout.settled": "打款到账",
    "payout.uncovered": "随机打款差额调整",
    "receivable.forfeited": "罚没货款",
    "receivable.freed": "解冻货款",
    "receivable.held": "冻结货款",
    "receivable.paid_out": "货款打款",
    "receivable.set_off": "货款抵扣欠款",
    "receivable.settled": "货款入账",
    "settlement.due": "应结货款",
    "settlement.owed": "不足部分转为欠款",
    "settlement.set-off": "货款抵扣欠款",
    "settlement.taken-back": "扣回货款",
    "statement.freeze": "未开票冻结货款",
    "statement.release": "解冻货款",
    "statement.return": "退回扣款",
    "statement.set_off": "未开票扣款",
}


def reason_word(reason: str) -> str:
    """The word for a reason as the books keep it."""
    return REASONS.get(reason, reason)
