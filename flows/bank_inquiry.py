"""Bank inquiry (银行回执核对): the bank contradicts itself, finance brings its proof, a supervisor confirms, the case ends.

    contradiction ─▶ finance with proof ─▶ supervisor ─▶ books right, or corrected ─▶ payments go on
                          ▲                     │
                          └──── sent back ◀─────┘

Rules and numbers:       REF-3, REF-7, ambiguity 38
What the merchant reads: notifications/refund.py (only when their money is corrected)
When nobody answers:     flows/deadlines.py
"""

from __future__ import annotations

from itertools import count

from flows.story import story
from flows.waiting import ask
from models.cases import CaseKind
from tasks.payouts import bank_inquiries, inquiry_review
from tasks.payouts.inquiry_review import ConfirmVerdict


@story(CaseKind.BANK_INQUIRY, "银行回执核对：回执互相矛盾时，财务凭银行证明核对，主管复核，核清前停止打款(REF-3)。")
def clear_contradiction(case_id: str) -> None:
    """Take one contradiction of the bank to what two people found with its proof."""
    bank_inquiries.admit(case_id)
    for round in count(1):
        ask(case_id, inquiry_review.PROOF, round=round)
        bank_inquiries.to_second(case_id, round)
        second = ask(case_id, inquiry_review.CONFIRM, round=round)
        if second.verdict == ConfirmVerdict.CONFIRM and bank_inquiries.carry_out(case_id, round):
            return
        bank_inquiries.again(case_id, round)
    raise AssertionError("unreachable")
