"""Returning a deposit (退保证金): a merchant applies, finance decides, the money goes out, its arrival is confirmed.

    applied ─▶ checks ─▶ finance ─┬─▶ approved ─▶ (second person) ─▶ permit ─▶ bank ─┬─▶ settled
       │         ▲                ├─▶ rejected                                       └─▶ failed, returned
       │         └── answered ◀── └─▶ merchant asked ── silence ─▶ lapsed                      │
       └─▶ refused        ▲                                                                  ▼
                          └────────────── payee corrected ◀── merchant asked ◀── finance looks again

Money that came in several ways leaves in several instructions of one turn; what comes back is the next turn's.

Rules and numbers:       policies/refund.py, policies/payees.py, policies/obstacles.py      REF-1 … REF-11, ambiguities 3 … 6
What the merchant reads: notifications/refund.py
When nobody answers:     flows/deadlines.py
"""

from __future__ import annotations

from itertools import count
from typing import assert_never

from flows.acting import on_fresh_facts
from flows.story import story
from flows.waiting import ask, wait_for, wait_until
from models.cases import CaseKind, WaitState
from tasks.refund import review, steps
from tasks.refund.review import Paid, RefundVerdict, ReturnVerdict, SecondVerdict


@story(CaseKind.REFUND, "退保证金：商家申请，财务审核（必要时第二人复核），银行打款，确认到账（REF-1 至 REF-11）。")
def refund_deposit(case_id: str) -> None:
    """Take one application from the merchant to money that has arrived, or to a reason they have been told."""
    if steps.admit(case_id):  # REF-1, REF-6, REF-10
        return

    turn = 1
    for round in count(1):
        steps.check(case_id, round)  # REF-2, REF-8, REF-9
        decision = ask(case_id, review.REVIEW, round=round)  # REF-7
        match decision.read(RefundVerdict):
            case None:
                return withdraw(case_id)
            case RefundVerdict.REJECT:
                return steps.reject(case_id, decision.reason)
            case RefundVerdict.ASK:
                question = steps.ask_merchant(case_id, round, decision.reason)
                answered = wait_for(case_id, question)
                if answered is WaitState.CANCELLED:
                    return withdraw(case_id)
                if answered is WaitState.LAPSED:
                    return steps.lapse(case_id, question)
                steps.resume_review(case_id, round)
                continue
            case RefundVerdict.APPROVE:
                pass
            case unknown:
                assert_never(unknown)

        if steps.to_second(case_id, round):  # ambiguity 6, or over the threshold
            second = ask(case_id, review.SECOND, round=round)
            if second.overtaken:  # ambiguity 23: the first person has not seen what stands now
                steps.review_again(case_id, round)
                continue
            if second.verdict is None:
                return withdraw(case_id)
            if second.verdict == SecondVerdict.REJECT:
                return steps.reject(case_id, second.reason)

        match pay_and_see(case_id, round, turn):
            case Paid.ARRIVED:
                return steps.settle(case_id, turn)  # REF-3
            case Paid.FACTS_CHANGED:  # nobody has decided about what is there now
                steps.review_again(case_id, round)
            case Paid.CAME_BACK:
                if not finance_looks_again(case_id, round, turn):
                    return
                turn += 1
            case unknown_end:
                assert_never(unknown_end)


def pay_and_see(case_id: str, round: int, turn: int) -> Paid:
    """Pay, and see whether it arrives: a permit, the bank instructed, its answer to every instruction of the turn."""
    if not on_fresh_facts(steps.grant, case_id, round, turn):  # ambiguities 23, 25, 29
        return Paid.FACTS_CHANGED
    if not on_fresh_facts(steps.pay, case_id, round, turn):  # ambiguity 27
        return Paid.FACTS_CHANGED
    wait_until(case_id, lambda: steps.answered(case_id, turn))
    return Paid.ARRIVED if steps.arrived(case_id, turn) else Paid.CAME_BACK


def finance_looks_again(case_id: str, round: int, turn: int) -> bool:
    """Finance decides what becomes of money that came back; ``False`` when the case is over with it."""
    steps.back_to_finance(case_id, turn)
    returned = ask(case_id, review.RETURNED, round=round)
    match returned.read(ReturnVerdict):
        case None:
            withdraw(case_id)
            return False
        case ReturnVerdict.ABANDON:
            steps.abandon(case_id, returned.reason)
            return False
        case ReturnVerdict.AGAIN:
            return True
        case ReturnVerdict.ASK_PAYEE:
            question = steps.ask_payee(case_id, turn)
            match wait_for(case_id, question):
                case WaitState.CANCELLED:
                    withdraw(case_id)
                    return False
                case WaitState.LAPSED:
                    steps.lapse(case_id, question)
                    return False
            steps.resume_review(case_id, round)
            return True
        case unknown:
            assert_never(unknown)


def withdraw(case_id: str) -> None:
    """The merchant has taken the application back; the deposit stays where it is."""
    steps.withdraw(case_id)
