"""Correcting a ruling by a court's judgment (判责更正): two supervisors decide; the only way past a final result.

    proposed ─▶ supervisor ─▶ another supervisor ─▶ ruling struck ─▶ (money: merchant service, finance)
       └─▶ refused   └──────────────┴─▶ ruling stays

Rules and numbers:       policies/appeal.py           ARB-10, ambiguity 11
What the merchant reads: notifications/appeal.py
When nobody answers:     flows/deadlines.py
"""

from __future__ import annotations

from flows.compensation import handle_compensation
from flows.story import story
from flows.waiting import ask
from models.cases import CaseKind
from tasks import arbitration
from tasks.arbitration import CorrectionVerdict


@story(CaseKind.CORRECTION, "判责更正:依据法院判决,两名主管先后同意后剔除判责(ARB-10)。")
def correct_ruling(case_id: str) -> None:
    """Take one judgment against a ruling to a decision of two supervisors."""
    if arbitration.admit_correction(case_id):
        return

    first = ask(case_id, arbitration.CORRECTION)
    if first.verdict != CorrectionVerdict.CONFIRM:
        return arbitration.reject_correction(case_id)

    arbitration.correction_to_second(case_id)
    second = ask(case_id, arbitration.CORRECTION_SECOND)  # another person
    if second.verdict != CorrectionVerdict.CONFIRM:
        return arbitration.reject_correction(case_id)

    if arbitration.correct(case_id) and handle_compensation(case_id):  # ARB-7, ARB-8
        arbitration.conclude_correction(case_id)
