"""Who may answer which question, written down once more: nobody is given a question by a slip in its declaration."""

from __future__ import annotations

from models.reviews import Role
from office import process
from tasks.processes import open_office

WHO = {
    "appeal-review": {Role.ARBITRATOR},
    "appeal-second": {Role.ARBITRATOR},
    "bank-proof": {Role.FINANCE},
    "bank-proof-second": {Role.SUPERVISOR},
    "clearing-stuck": {Role.CLOSURE_REVIEWER},
    "clearing-stuck-second": {Role.SUPERVISOR},
    "closure-override": {Role.SUPERVISOR},
    "closure-review": {Role.CLOSURE_REVIEWER},
    "compensation-finance": {Role.FINANCE},
    "compensation-service": {Role.MERCHANT_SERVICE},
    "correction": {Role.SUPERVISOR},
    "correction-second": {Role.SUPERVISOR},
    "deposit-overdue": {Role.FINANCE},
    "forced-first": {Role.CLOSURE_REVIEWER},
    "forced-second": {Role.SUPERVISOR},
    "held-first": {Role.FINANCE},
    "held-second": {Role.SUPERVISOR},
    "invoice-review": {Role.INVOICE_CLERK},
    "invoicing-release": {Role.FINANCE},
    "invoicing-second": {Role.FINANCE, Role.SUPERVISOR},
    "opening-certificate": {Role.OPENING_REVIEWER},
    "opening-entity": {Role.OPENING_REVIEWER},
    "opening-shop": {Role.OPENING_REVIEWER},
    "opening-transfer": {Role.FINANCE},
    "refund-returned": {Role.FINANCE},
    "refund-review": {Role.FINANCE},
    "refund-second": {Role.FINANCE},
    "settlement-release": {Role.FINANCE},
    "settlement-returned": {Role.FINANCE},
    "settlement-returned-second": {Role.FINANCE, Role.SUPERVISOR},
    "settlement-second": {Role.FINANCE, Role.SUPERVISOR},
    "withdrawal": {Role.MERCHANT_SERVICE},
}
"""CLS-5, CLS-7, CLS-9, CLS-10, REF-3, REF-7, ARB-4, ARB-5, ARB-8, ARB-10, WDR-3, DED-7, DEP-10, INV-1, INV-2, OPN-6, OPN-9,
OPN-10, OPN-11, STL-1."""


def test_every_question_is_for_those_whom_the_rules_name_and_for_nobody_else() -> None:
    open_office()
    assert {name: set(gate.roles) for name, gate in process.office().gates.items()} == WHO
