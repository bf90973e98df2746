"""The stories: which page tells which kind of case, a line each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prefect import Flow

from flows import (
    account_binding,
    appeal,
    arbitration_withdrawal,
    bank_inquiry,
    closure,
    deposit_demand,
    forced_closure,
    held_receivables,
    invoice_review,
    invoicing,
    opening,
    refund,
    ruling_correction,
    settlement,
    settlement_return,
)
from models.cases import CaseKind
from office.runs.engine import LONG_WORK


@dataclass(frozen=True)
class Story:
    """A page of ``flows``, and where its runs wait their turn. Its kind is the flow's name."""

    tell: Flow[[str], str]
    queue: str | None = None
    """A work queue of its own, one run at a time, so that long work never takes the place of people's cases."""


STORIES: Mapping[CaseKind, Story] = {
    CaseKind(story.tell.name): story
    for story in (
        Story(closure.close_shop),
        Story(forced_closure.close_by_force),
        Story(held_receivables.decide_held_receivables),
        Story(refund.refund_deposit),
        Story(appeal.hear_appeal),
        Story(arbitration_withdrawal.withdraw_arbitration),
        Story(bank_inquiry.clear_contradiction),
        Story(deposit_demand.demand_deposit),
        Story(account_binding.bind_account),
        Story(opening.open_shop),
        Story(opening.reopen_shop),
        Story(ruling_correction.correct_ruling),
        Story(invoicing.invoice_month, queue=LONG_WORK),
        Story(invoice_review.review_invoice),
        Story(settlement.settle_half, queue=LONG_WORK),
        Story(settlement_return.pay_again),
    )
}
