"""Receivables frozen by a ban (封店货款处理): released or forfeited later, by two different people.

    frozen ─▶ finance: release or forfeit ─▶ supervisor ─┬─▶ released, what the shop owes first
                 ▲                                       ├─▶ forfeited
                 └── another opinion, or more has come ◀─┘

Rules and numbers:       CLS-10, DED-7, ambiguity 24
What the merchant reads: notifications/closure.py
When nobody answers:     flows/deadlines.py
"""

from __future__ import annotations

from itertools import count

from flows.acting import on_fresh_facts
from flows.story import story
from flows.waiting import ask
from models.cases import CaseKind
from tasks.forced_closure import held_receivables
from tasks.forced_closure.held_receivables import HeldSecondVerdict


@story(CaseKind.HELD_RECEIVABLES, "封店货款处理：强制关店冻结的货款，由两名不同人员决定解冻或罚没(DED-7)。")
def decide_held_receivables(case_id: str) -> None:
    """Take what a ban has frozen to a decision of two people, of which the merchant is told."""
    held_receivables.admit(case_id)
    for round in count(1):
        ask(case_id, held_receivables.FIRST, round=round)
        held_receivables.to_second(case_id, round)
        second = ask(case_id, held_receivables.SECOND, round=round)  # another person
        if second.verdict == HeldSecondVerdict.CONFIRM and on_fresh_facts(held_receivables.carry_out, case_id, round):
            return
        held_receivables.back_to_first(case_id, round)
    raise AssertionError("unreachable")
