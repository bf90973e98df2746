"""Withdrawing an arbitration (撤销仲裁): buyer and merchant have settled, or the buyer gives up; people check it.

    requested ─▶ merchant service ─┬─▶ withdrawn: never again for this case, a running appeal is moot
        │                          │        └─▶ (policy returns the deduction: merchant service, finance)
        └─▶ refused                ├─▶ stays
                                   └─▶ no longer what was seen: merchant service again

Rules and numbers:       policies/appeal.py           WDR-1 … WDR-4, ambiguity 12
What the merchant reads: notifications/appeal.py
When nobody answers:     flows/deadlines.py
"""

from __future__ import annotations

from itertools import count
from typing import assert_never

from flows.compensation import handle_compensation
from flows.story import story
from flows.waiting import ask
from models.cases import CaseKind
from tasks.arbitration import withdrawal
from tasks.arbitration.withdrawal import WithdrawalVerdict, Withdrawn


@story(CaseKind.WITHDRAWAL, "撤销仲裁：商服核实双方意愿后撤销，同一售后不可再次仲裁（WDR-1 至 WDR-4）。")
def withdraw_arbitration(case_id: str) -> None:
    """Take one request to withdraw an arbitration to a decision of merchant service."""
    if withdrawal.admit_withdrawal(case_id):  # WDR-1, WDR-2, ARB-3
        return

    for round in count(1):
        decision = ask(case_id, withdrawal.WITHDRAWAL, round=round)  # WDR-3, WDR-4: with the buyer's consent
        if decision.verdict is None:
            return  # it has ended otherwise
        if decision.verdict != WithdrawalVerdict.CONFIRM:
            return withdrawal.reject_withdrawal(case_id)

        match withdrawal.withdraw(case_id) if round == 1 else withdrawal.withdraw_again(case_id, round):
            case Withdrawn.CHANGED:  # ambiguity 23
                continue
            case Withdrawn.TOO_LATE:  # the appeal's result became final meanwhile
                return
            case Withdrawn.DONE:
                return
            case Withdrawn.MONEY:
                if handle_compensation(case_id):  # ARB-8
                    withdrawal.conclude_withdrawal(case_id)
                return
            case unknown:
                assert_never(unknown)
