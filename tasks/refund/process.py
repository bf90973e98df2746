"""Returning a deposit: what each step of the story does to the case, the money and the merchant (REF)."""

from __future__ import annotations

from models.cases import CaseKind, CaseState
from models.refund_events import RefundPayeeCorrected, RefundRequested, RefundWithdrawn
from office.cases import deadlines
from office.process import Process
from tasks.refund import bank, refund_proof
from tasks.refund.clock import late, payee_lapsed, remind_early, remind_payee
from tasks.refund.intake import correct_payee, may_send, request, withdraw_request
from tasks.refund.plan import DUE, PAYEE
from tasks.refund.request import RefundAsked
from tasks.refund.review import RETURNED, REVIEW, SECOND

PROCESS = Process(
    name="refund",
    kind=CaseKind.REFUND,
    leaves=True,
    request=RefundAsked,
    states=(
        CaseState.UNDER_REVIEW,
        CaseState.AWAITING_MERCHANT,
        CaseState.SECOND_REVIEW,
        CaseState.PAYING,
        CaseState.REFUNDED,
        CaseState.REJECTED,
        CaseState.LAPSED,
        CaseState.WITHDRAWN,
        CaseState.ABANDONED,
    ),
    clause="REF-2",
    hears={RefundRequested: request, RefundPayeeCorrected: correct_payee, RefundWithdrawn: withdraw_request},
    asks=(REVIEW, SECOND, RETURNED),
    clocks={
        DUE: deadlines.Kind(
            title="退款到账", remind=remind_early, due=late, late_text="退款已超过到账时限,已升级至主管"
        ),
        PAYEE: deadlines.Kind(title="商家更正收款账户", remind=remind_payee, due=payee_lapsed),
    },
    waits={PAYEE: "商家更正收款账户"},
    may_send=may_send,
    pays=bank.PAYS,
    proves=refund_proof.check,
)
