"""Correcting a ruling by a court's judgment (判责更正): two supervisors decide; the only way past a final result.

    proposed ─▶ supervisor ─▶ another supervisor ─▶ ruling struck ─▶ (money: merchant service, finance)
       │          │  ▲              │  │
       │          │  └── what they saw has changed
       └─▶ refused└─────────────────┴─▶ ruling stays

Rules and numbers:       policies/appeal.py           ARB-10, ambiguity 11
What the merchant reads: notifications/appeal.py
When nobody answers:     flows/deadlines.py
"""

from __future__ import annotations

from itertools import count

from flows.compensation import handle_compensation
from flows.story import story
from flows.waiting import ask
from models.cases import CaseKind
from tasks.arbitration import correction
from tasks.arbitration.correction import CorrectionVerdict


@story(CaseKind.CORRECTION, "判责更正：依据法院判决，两名主管先后同意后剔除判责(ARB-10)。")
def correct_ruling(case_id: str) -> None:
    """Take one judgment against a ruling to a decision of two supervisors."""
    if correction.admit_correction(case_id):
        return

    for round in count(1):
        first = ask(case_id, correction.CORRECTION, round=round)
        if first.verdict is None:
            return  # it has ended otherwise
        if first.verdict != CorrectionVerdict.CONFIRM:
            return correction.reject_correction(case_id)

        if round == 1:
            correction.correction_to_second(case_id)
        else:
            correction.correction_to_second_again(case_id, round)
        second = ask(case_id, correction.CORRECTION_SECOND, round=round)  # another person
        if not second.overtaken:
            if second.verdict is None:
                return
            if second.verdict != CorrectionVerdict.CONFIRM:
                return correction.reject_correction(case_id)
            money = correction.correct(case_id) if round == 1 else correction.correct_again(case_id, round)  # ARB-7
            if money is not None:
                break
        if not correction.correction_again(case_id, round):  # ambiguity 23: not everybody has seen what stands now
            return

    if money and handle_compensation(case_id):  # ARB-8
        correction.conclude_correction(case_id)
