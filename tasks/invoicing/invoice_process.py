"""Invoices from merchants: checked by rule, accepted at once when clean, looked at by a clerk otherwise (INV-2 … 6)."""

from __future__ import annotations

from models.cases import CaseKind, CaseState
from models.invoicing_events import (
    InvoiceRedLetter,
    InvoiceSubmitted,
)
from office.process import Process
from tasks.invoicing.invoice_intake import reverse, submit
from tasks.invoicing.invoice_review import REVIEW
from tasks.invoicing.invoices import documents, invoiced, names_file
from tasks.invoicing.request import InvoiceReviewAsked
from tasks.shops import shops

PROCESS = Process(
    name="invoice-review",
    kind=CaseKind.INVOICE_REVIEW,
    request=InvoiceReviewAsked,
    states=(CaseState.UNDER_REVIEW, CaseState.ACCEPTED, CaseState.RETURNED, CaseState.WITHDRAWN),
    clause="INV-2",
    hears={InvoiceSubmitted: shops.about_shop(submit), InvoiceRedLetter: shops.about_shop(reverse)},
    asks=(REVIEW,),
    papers=documents,
    names_file=names_file,
    evidence=invoiced,
)
