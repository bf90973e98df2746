"""Deducted money after its ruling was annulled (ARB-8): merchant service calls until agreed, finance confirms, posted once.

    call ─┬─▶ agreed ─▶ (money moves: finance) ─┬─▶ posted
      ▲   └─▶ not reached ─┐                    └─▶ sent back ─┐
      └────────────────────┴────────────────────────────────────┘

A part of three stories: appeal, withdrawal, correction. Rules: policies/appeal.py.
"""

from __future__ import annotations

from itertools import count

from flows.waiting import ask
from tasks.arbitration import compensation
from tasks.arbitration.compensation import FinanceVerdict, ServiceVerdict


def handle_compensation(case_id: str) -> bool:
    """See the deducted money of every annulled ruling through; ``False`` when the case has ended meanwhile."""
    for round in count(1):
        called = ask(case_id, compensation.SERVICE, round=round)
        if called.verdict is None:
            return False
        if called.verdict == ServiceVerdict.UNREACHED:
            continue
        if compensation.to_finance(case_id, round):  # four eyes where money moves
            confirmed = ask(case_id, compensation.FINANCE, round=round)
            if confirmed.verdict is None:
                return False
            if confirmed.verdict == FinanceVerdict.SEND_BACK:
                continue
        if compensation.settle(case_id, round):
            return True  # otherwise the next round is about the next ruling of the same case
    raise AssertionError("unreachable")
