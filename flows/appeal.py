"""Arbitration appeal (仲裁申诉): a merchant asks us to look at a ruling again, once.

    filed (7 days) ─▶ arbitrator ─┬─▶ upheld ──────▶ ruling struck ─▶ (money: merchant service, finance) ─▶ UPHELD
        │                         ├─▶ dismissed ───▶ final, external channels named ─▶ DISMISSED
        └─▶ refused               └─▶ insufficient ─▶ notice sent ─▶ 3 days ─┬─▶ arbitrator again, final
                                                                             └─▶ silence ─▶ CLOSED_TIMEOUT
    the arbitration withdrawn meanwhile ─▶ MOOT; the matter no longer what was seen ─▶ the arbitrator again

Rules and windows:       policies/appeal.py           ARB-1 … ARB-10, ambiguities 9, 10, 11
What the merchant reads: notifications/appeal.py
When nobody answers:     flows/deadlines.py
"""

from __future__ import annotations

from itertools import count
from typing import assert_never

from flows.compensation import handle_compensation
from flows.story import story
from flows.waiting import ask, wait_for, wait_until
from models.cases import CaseKind, WaitState
from models.reviews import Decision
from tasks.appeal import review, steps, window
from tasks.appeal.review import AppealVerdict, FinalVerdict


@story(CaseKind.APPEAL, "仲裁申诉：限期内申诉一次，仲裁员审核，举证不足可限期补充一次（ARB-1 至 ARB-10）。")
def hear_appeal(case_id: str) -> None:
    """Take one appeal from filing to a final result the merchant has been told about."""
    if steps.admit(case_id):  # ARB-1, ARB-2, ARB-3, ARB-4, WDR-2
        return

    for attempt in count(1):
        decision = ask(case_id, review.REVIEW, round=attempt)  # never the arbitrator who made the ruling
        if decision.verdict == AppealVerdict.INSUFFICIENT:
            break
        if finish(case_id, decision, attempt):
            return

    if not steps.ask_for_evidence(case_id):  # ARB-5
        return
    wait_until(case_id, lambda: steps.window_may_open(case_id))  # sending the notice starts the three days
    steps.open_window(case_id)
    if wait_for(case_id, window.EVIDENCE) is WaitState.LAPSED:
        return steps.close_unanswered(case_id)  # ARB-6
    steps.resume(case_id)
    for round in count(1):
        decision = ask(case_id, review.SECOND, round=round)  # ambiguity 10: only uphold or dismiss
        if finish(case_id, decision, attempt - 1 + round):
            return


def finish(case_id: str, decision: Decision, attempt: int) -> bool:
    """Carry out the final verdict; ``False`` when the matter is no longer what the arbitrator saw (ambiguity 23)."""
    match decision.read(FinalVerdict):
        case None:
            pass  # WDR-1: the arbitration was withdrawn, or a court has decided
        case FinalVerdict.DISMISS:  # ARB-3, ARB-10
            return not (steps.dismiss(case_id) if attempt == 1 else steps.dismiss_again(case_id, attempt))
        case FinalVerdict.UPHOLD:  # ARB-7
            money = steps.uphold(case_id) if attempt == 1 else steps.uphold_again(case_id, attempt)
            if money is None:
                return False
            if money and handle_compensation(case_id):  # ARB-8
                steps.conclude_upheld(case_id)
        case unknown:
            assert_never(unknown)
    return True
