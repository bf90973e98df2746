"""Closing a shop (关店): a merchant asks, a person decides, the shop is cleared and closed.

    requested ─▶ checks ─▶ reviewer ─┬─▶ approved ─▶ (blocking findings: supervisor) ─┬─▶ clearing ─▶ CLOSED
        │         ▲ ▲                ├─▶ rejected                                     │
        │         │ └── answered ◀── ├─▶ merchant asked (7 days) ── silence ─▶ lapsed │
        │         └──────────────────│── facts have changed since they were shown ◀───┘
        └─▶ refused                  └─▶ withdrawn by the merchant, any time until CLOSED

Clearing that drags on asks reviewer and supervisor whether what stands open is written off, or goes on waiting.

Rules and numbers:       policies/closure.py, policies/obstacles.py      CLS-1 … CLS-11, ambiguities 3, 9, 22
What the merchant reads: notifications/closure.py
When nobody answers:     flows/deadlines.py
"""

from __future__ import annotations

from itertools import count
from typing import assert_never

from flows.acting import on_fresh_facts
from flows.story import story
from flows.waiting import ask, wait_for, wait_until
from models.cases import CaseKind, WaitState
from models.shops import Capability
from office.cases import cases
from tasks.closure import review, steps, write_off
from tasks.closure.review import ClosureVerdict, OverrideVerdict
from tasks.closure.steps import Approved
from tasks.closure.write_off import StuckSecondVerdict, StuckVerdict


@story(CaseKind.CLOSURE, "关店：商家申请，人工审核，逐项关闭店铺能力，清算完成后关店（CLS-1 至 CLS-11）。")
def close_shop(case_id: str) -> None:
    """Take one closing request from the merchant's wish to an outcome they have been told about."""
    if steps.admit(case_id):  # CLS-3, CLS-4
        return

    for round in count(1):
        steps.check(case_id, round)  # CLS-7, ambiguity 22
        decision = ask(case_id, review.REVIEW, round=round)  # CLS-5
        match decision.read(ClosureVerdict):
            case None:
                return withdraw(case_id)
            case ClosureVerdict.REJECT:
                return steps.reject(case_id, decision.reason)
            case ClosureVerdict.ASK:
                answered = wait_for(case_id, steps.ask_merchant(case_id, round, decision.reason))
                if answered is WaitState.CANCELLED:
                    return withdraw(case_id)
                if answered is WaitState.LAPSED:
                    return steps.lapse(case_id, round)
                steps.resume_review(case_id, round)
                continue
            case ClosureVerdict.APPROVE:
                written_off = False
            case unknown:
                assert_never(unknown)

        if steps.to_override(case_id, round):  # four eyes over a blocking finding
            override = ask(case_id, review.OVERRIDE, round=round)
            if override.overtaken:  # ambiguity 23: the reviewer has not seen what stands now
                steps.review_again(case_id, round)
                continue
            match override.read(OverrideVerdict):
                case None:
                    return withdraw(case_id)
                case OverrideVerdict.REJECT:
                    return steps.reject(case_id, override.reason)
                case OverrideVerdict.CONFIRM:
                    written_off = bool(override.answer.get("write_off"))
                case unknown_override:
                    assert_never(unknown_override)

        match on_fresh_facts(steps.start_clearing, case_id, round, written_off):
            case Approved.STANDS:
                break
            case Approved.TAKEN_BACK:
                return withdraw(case_id)
            case Approved.FACTS_CHANGED:  # nobody has decided about what is there now
                steps.review_again(case_id, round)
            case unknown_start:
                assert_never(unknown_start)

    for capability in Capability:  # CLS-1, one platform event each
        steps.shut_off(case_id, capability)
    round, turn = 1, 1
    while not steps.close(case_id):  # CLS-6
        # CLS-9, looked at again as facts arrive; when it drags on, people are asked what still stands open (ambiguity 22)
        wait_until(case_id, lambda t=turn: steps.cleared(case_id) or write_off.drags(case_id, t))  # type: ignore[misc]
        if write_off.drags(case_id, turn):
            round, turn = ask_what_stands_open(case_id, round), turn + 1
    if cases.is_withdrawn(case_id):
        return withdraw(case_id)


def ask_what_stands_open(case_id: str, round: int) -> int:
    """Ask reviewer and supervisor, anew while one has not seen what stands now; returns the next round."""
    for asked in count(round):
        first = ask(case_id, write_off.STUCK, round=asked)
        if first.read(StuckVerdict) is not StuckVerdict.WRITE_OFF:
            return asked + 1
        second = ask(case_id, write_off.STUCK_SECOND, round=asked)
        if second.overtaken:
            continue
        if second.read(StuckSecondVerdict) is not StuckSecondVerdict.CONFIRM or write_off.write_off(case_id, asked):
            return asked + 1
    raise AssertionError("unreachable")


def withdraw(case_id: str) -> None:
    """The merchant has taken the request back: everything shut off is given back."""
    steps.withdraw(case_id)
