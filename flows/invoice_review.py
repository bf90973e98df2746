"""Invoice review (发票审核): an invoice that is not clean by rule is looked at by a clerk.

    submitted ─▶ findings ─▶ clerk ─┬─▶ accepted, with the reason ─▶ statements covered, receivables released
                               ▲    │       │
                               └────│── what the clerk saw has changed
                                    └─▶ returned, saying what to correct

Rules and numbers:       policies/invoice_checks.py      INV-2 … INV-6, ambiguity 13
What the merchant reads: notifications/invoicing.py
When nobody answers:     flows/deadlines.py
"""

from __future__ import annotations

from itertools import count
from typing import assert_never

from flows.story import story
from flows.waiting import ask
from models.cases import CaseKind
from tasks.invoicing import invoice_review
from tasks.invoicing.invoice_review import InvoiceVerdict


@story(CaseKind.INVOICE_REVIEW, "发票审核：规则检查有疑问的发票由开票专员采纳或退回（INV-2 至 INV-6）。")
def review_invoice(case_id: str) -> None:
    """Take one doubtful invoice to an answer the merchant has been told."""
    invoice_review.to_clerk(case_id)
    for round in count(1):
        decision = ask(case_id, invoice_review.REVIEW, round=round)
        match decision.read(InvoiceVerdict):
            case None:
                return  # undone by a red letter meanwhile
            case InvoiceVerdict.ACCEPT:
                ended = (
                    invoice_review.accept_by_clerk(case_id)
                    if round == 1
                    else invoice_review.accept_again(case_id, round)
                )
                if ended is not None:  # or sent back, where something overtook the answer
                    return
                invoice_review.review_again(case_id, round)  # ambiguity 23: the clerk has not seen what stands now
            case InvoiceVerdict.RETURN:
                return invoice_review.return_by_clerk(case_id)
            case unknown:
                assert_never(unknown)
