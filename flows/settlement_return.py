"""Settlement return (货款退票处理): a payment of receivables came back; finance pays once more, or leaves it to the next half.

    back ─▶ finance ─┬─▶ pay again ─▶ (large: second person) ─▶ bank ─┬─▶ arrived
              ▲  ▲   │                                                │
              │  └───│─────────────── back again ◀────────────────────┘
              └──────┴─▶ brought on to the next half

Rules and numbers:       policies/settlement.py      STL-1
What the merchant reads: notifications/settlement.py
When nobody answers:     flows/deadlines.py
"""

from __future__ import annotations

from itertools import count
from typing import assert_never

from flows.acting import on_fresh_facts
from flows.story import story
from flows.waiting import ask, wait_until
from models.cases import CaseKind
from tasks.settlement import returns
from tasks.settlement.returns import ReturnSecond, ReturnVerdict


@story(CaseKind.SETTLEMENT_RETURN, "货款退票处理：银行退回的货款由财务再次付款，或并入下期结算(STL-1)。")
def pay_again(case_id: str) -> None:
    """Take one payment that came back to money that has arrived, or to the next half."""
    for round in count(1):
        returns.admit(case_id, round)
        decision = ask(case_id, returns.RETURNED, round=round)
        match decision.read(ReturnVerdict):
            case None:
                return  # taken over meanwhile
            case ReturnVerdict.DEFER:
                return returns.defer(case_id)
            case ReturnVerdict.AGAIN:
                pass
            case unknown:
                assert_never(unknown)
        if returns.to_second(case_id, round):
            second = ask(case_id, returns.SECOND, round=round)
            if second.verdict != ReturnSecond.CONFIRM:
                continue
        if not on_fresh_facts(returns.pay, case_id, round):  # ambiguities 23 and 27: what they saw is no longer so
            continue
        wait_until(case_id, lambda: returns.answered(case_id))
        if returns.arrived(case_id):
            return returns.settle(case_id, round)
