"""Opening a shop (开店入驻), and opening one again (重新开店): the merchant brings, people review, the deposit opens.

    requested ─┬─▶ refused, with the clause
               └─▶ materials ─▶ entity review ─┬─▶ rejected
                     ▲  │ silence ─▶ lapsed     ├─▶ asked again, reasons per paper ─▶ materials
                     │  ▼                       ▼ approved
                 (taken up again)      certificate form, random transfer (enterprises)
                                                ▼
                          logo, links ─▶ shop review ─▶ contract, deposit ─▶ fully paid: OPEN
                               ▲ └────── licence has run out meanwhile ──┘

Rules and numbers:       policies/opening.py, policies/opening_numbers.py      OPN-1 … OPN-19, REO-1 … REO-5
What the merchant reads: notifications/opening.py
When nobody answers:     flows/deadlines.py
"""

from __future__ import annotations

from itertools import count
from typing import assert_never

from flows.acting import on_fresh_facts
from flows.story import story
from flows.waiting import ask, wait_until
from models.cases import CaseKind, WaitState
from models.opening import Stage, TransferState
from office.cases import cases
from tasks.opening import steps, transfer
from tasks.opening.review import GATES, TRANSFER, OpeningVerdict, TransferVerdict


@story(
    CaseKind.OPENING,
    "开店入驻：商家提交资料，人工审核，打款验证，店铺审核，签合同，缴足保证金即开店（OPN-1 至 OPN-19）。",
)
def open_shop(case_id: str) -> None:
    """Take one application from the merchant's wish to a shop that is open, or to a reason they have been told."""
    if steps.admit(case_id):  # OPN-1, OPN-18, DEP-4
        return
    take_through(case_id)


@story(
    CaseKind.REOPENING,
    "重新开店：关店已满期限、原账号、无欠款，按开店步骤重新审核，缴足保证金即开店（REO-1 至 REO-5）。",
)
def reopen_shop(case_id: str) -> None:
    """Take a closed shop from its owner's wish to open again, or to the reason why it stays closed."""
    if steps.admit(case_id):  # REO-1, REO-2, REO-5
        return
    if on_fresh_facts(steps.admit_money, case_id):  # REO-4
        return
    take_through(case_id)  # REO-3


def take_through(case_id: str) -> None:
    """The steps that every shop takes, the first time and again."""
    if not reviewed(case_id, Stage.MATERIALS):  # OPN-3 … OPN-8
        return
    if steps.certifies(case_id) and not reviewed(case_id, Stage.CERTIFICATE):  # OPN-9
        return
    if steps.transfers(case_id) and not verified(case_id):  # OPN-10
        return
    round = 0
    for number in count(1):
        round = reviewed(case_id, Stage.FINISHING, after=round)  # OPN-11
        if not round:
            return
        wait_until(case_id, lambda n=number: steps.paid_or_over(case_id, n))  # type: ignore[misc]  # OPN-12, OPN-13
        if not steps.renew(case_id, number):  # OPN-7
            break
    steps.finish(case_id)


def reviewed(case_id: str, stage: Stage, *, after: int = 0) -> int:
    """Have the merchant bring what a stage asks for, and a person approve it; in which round, or 0 when the case is over."""
    for round in count(after + 1):
        if not brought(case_id, stage, round):
            return 0
        steps.check(case_id, stage, round)
        decision = ask(case_id, GATES[stage], round=round)
        match decision.read(OpeningVerdict):
            case None:
                steps.withdraw(case_id)
                return 0
            case OpeningVerdict.REJECT:
                steps.reject(case_id, decision.reason)
                return 0
            case OpeningVerdict.ASK:
                steps.ask_again(case_id, stage, round)
            case OpeningVerdict.APPROVE:
                if steps.rests_on_facts(case_id, stage):  # REO-4
                    accepted = on_fresh_facts(steps.accept, case_id, stage, round)
                else:
                    accepted = steps.accept(case_id, stage, round)
                if accepted:
                    return round  # otherwise nobody has decided about what is there now
            case unknown:
                assert_never(unknown)
    return 0


def brought(case_id: str, stage: Stage, round: int) -> bool:
    """Wait until everything a stage asks for is here; ``False`` when the case is over instead."""
    key = steps.ask_for(case_id, stage, round)
    wait_until(case_id, lambda: steps.complete(case_id, key))
    match cases.wait_state(case_id, key):
        case WaitState.CANCELLED:
            steps.withdraw(case_id)
            return False
        case WaitState.LAPSED:
            steps.lapse(case_id, stage, round)
            return False
        case _:
            return True


def verified(case_id: str) -> bool:
    """Have the account verified by a random amount, or by a person where that does not help; ``False`` when the case ends."""
    for number in count(1):
        if not transfer.allowed(case_id, number):  # two transfers, three tries each, and those of earlier applications
            decision = ask(case_id, TRANSFER, round=number)
            match decision.read(TransferVerdict):
                case None:
                    steps.withdraw(case_id)
                    return False
                case TransferVerdict.REJECT:
                    steps.reject(case_id, decision.reason)
                    return False
                case TransferVerdict.PROVED:
                    transfer.take_word(case_id, number)
                    return True
                case TransferVerdict.OTHER_ACCOUNT:
                    transfer.ask_other_account(case_id, number, decision.reason)
                    if not brought(case_id, Stage.TRANSFER, number):
                        return False
                case TransferVerdict.AGAIN:
                    pass
                case unknown:
                    assert_never(unknown)
        wait_until(case_id, lambda: transfer.free(case_id))  # ambiguity 38
        transfer.send(case_id, number)
        wait_until(case_id, lambda n=number: transfer.over(case_id, n))  # type: ignore[misc]
        match transfer.state_of(case_id, number):
            case None:
                steps.withdraw(case_id)
                return False
            case TransferState.VERIFIED:
                return True
            case TransferState.EXPIRED:
                transfer.lapse(case_id, number)
                return False
            case TransferState.RETURNED:
                transfer.ask_account(case_id, number)
                if not brought(case_id, Stage.TRANSFER, number):
                    return False
            case _:
                pass  # every try is used up: another transfer, or a person
    return False
