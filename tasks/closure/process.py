"""Closing a shop: what each step of the story does to the shop, the case and the merchant (CLS)."""

from __future__ import annotations

from datetime import timedelta

from models.cases import CaseKind, CaseState
from models.closure_events import (
    ClosureRequested,
    ClosureWithdrawn,
    MerchantAnswered,
)
from office.cases import deadlines
from office.cases.cases import rules
from office.process import Process
from tasks.closure.clock import clearing_drags, nothing, question_lapsed, remind_exit_invoice, remind_question
from tasks.closure.intake import may_send, request, withdraw_request
from tasks.closure.request import ClosureAsked
from tasks.closure.review import OVERRIDE, REVIEW
from tasks.closure.steps import CLEARING, EXIT_INVOICE
from tasks.closure.write_off import STUCK, STUCK_SECOND
from tasks.shops.questions import QUESTION, answer

PROCESS = Process(
    name="closure",
    kind=CaseKind.CLOSURE,
    leaves=True,
    request=ClosureAsked,
    states=(
        CaseState.UNDER_REVIEW,
        CaseState.AWAITING_MERCHANT,
        CaseState.SECOND_REVIEW,
        CaseState.CLEARING,
        CaseState.CLOSED,
        CaseState.REJECTED,
        CaseState.LAPSED,
        CaseState.WITHDRAWN,
        CaseState.SUPERSEDED,
    ),
    clause="CLS-5",
    hears={ClosureRequested: request, ClosureWithdrawn: withdraw_request, MerchantAnswered: answer},
    asks=(REVIEW, OVERRIDE, STUCK, STUCK_SECOND),
    clocks={
        QUESTION: deadlines.Kind(title="商家补充材料", remind=remind_question, due=question_lapsed),
        EXIT_INVOICE: deadlines.Kind(title="退店发票", remind=remind_exit_invoice, due=nothing),
        CLEARING: deadlines.Kind(
            title="清算",
            remind=nothing,
            due=clearing_drags,
            late_text="清算仍未完成,已提醒商家",
            every=lambda case: timedelta(days=rules(case).closure.clearing_reminder_every.n),
        ),
    },
    waits={QUESTION: "商家补充材料"},
    may_send=may_send,
)
