"""Deposit demand (保证金催缴): a shop lacks some of its deposit; it pays within the window, or somebody decides.

    short ─▶ window (15 days) ── silence ─▶ finance ─┬─▶ longer window, at most twice, by somebody else ─┐
                                               ▲     └─▶ suspended until fully paid ─▶ SUSPENDED         │
                                               └──────────────── silence ◀───────────────────────────────┘
    fully paid, at any time ─▶ PAID, whatever was shut off comes back by itself        clearing begins ─▶ SUPERSEDED

Rules and numbers:       policies/deposit.py          DEP-7, DEP-10, DEP-11, ambiguities 2 and 36
What the merchant reads: notifications/deposit.py
When nobody answers:     flows/deadlines.py
"""

from __future__ import annotations

from itertools import count
from typing import assert_never

from flows.story import story
from flows.waiting import ask, wait_for
from models.cases import CaseKind, WaitState
from tasks.shops import demand_review, demands
from tasks.shops.demands import Carried


@story(
    CaseKind.DEPOSIT_DEMAND, "保证金催缴：限期缴足，逾期由财务决定延长期限或暂停营业，缴足后自动恢复(DEP-10、DEP-11)。"
)
def demand_deposit(case_id: str) -> None:
    """Take one demand from its first window to its end. Paying ends it in the transaction that books the money."""
    if wait_for(case_id, demands.window(1)) is not WaitState.LAPSED:
        return

    for round in count(1):
        if ask(case_id, demand_review.OVERDUE, round=round).verdict is None:
            return  # paid, or being closed
        match demands.carry_out(case_id, round):
            case Carried.LONGER:
                if wait_for(case_id, demands.window(round + 1)) is not WaitState.LAPSED:
                    return
            case Carried.CHANGED:
                continue  # ambiguity 23: nobody has decided about what is missing now
            case Carried.SUSPENDED | Carried.OVER:
                return
            case unknown:
                assert_never(unknown)
