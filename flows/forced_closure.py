"""Forced closure (强制关店): the platform proposes for a violation, two different people decide.

    proposed ─▶ reviewer ─▶ supervisor ─▶ closed, deposit forfeited, no reopening
                 ▲ │           │ │
                 │ └───────────┴─│─▶ dropped
                 └───────────────┘ what they saw has changed

Rules and numbers:       CLS-10, DED-6, REO-5
What the merchant reads: notifications/closure.py
When nobody answers:     flows/deadlines.py
"""

from __future__ import annotations

from itertools import count

from flows.story import story
from flows.waiting import ask
from models.cases import CaseKind
from tasks.forced_closure import forced_closures
from tasks.forced_closure.forced_closures import ForcedVerdict


@story(CaseKind.FORCED_CLOSURE, "强制关店：平台因违规提议，两名不同人员先后审核，罚没保证金(CLS-10、DED-6)。")
def close_by_force(case_id: str) -> None:
    """Take one proposal to close a shop by force to a decision of two people."""
    forced_closures.admit(case_id)
    for round in count(1):
        first = ask(case_id, forced_closures.FIRST, round=round)
        if first.verdict is None:
            return  # it has ended otherwise
        if first.verdict != ForcedVerdict.CONFIRM:
            return forced_closures.drop(case_id, first.reason)

        if round == 1:
            forced_closures.to_second(case_id)
        else:
            forced_closures.to_second_again(case_id, round)
        second = ask(case_id, forced_closures.SECOND, round=round)  # another person, CLS-10
        if not second.overtaken:
            if second.verdict is None:
                return
            if second.verdict != ForcedVerdict.CONFIRM:
                return forced_closures.drop(case_id, second.reason)
            if forced_closures.execute(case_id, round):  # DED-6, REO-5
                return
        forced_closures.again(case_id, round)  # ambiguity 23: not everybody has seen what stands now
