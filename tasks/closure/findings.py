"""What stands in the way of a closing, from facts and books (CLS-2, CLS-3)."""

from __future__ import annotations

from models.cases import (
    NEVER_IN_THE_WAY,
    Case,
    CaseKind,
    Finding,
)
from models.deposits import BookFacts
from office.base.db import Tx
from office.cases import cases
from office.cases.cases import rules
from office.cases.merchants import shop_of
from office.files import papers
from policies import closure as policy_of_closure
from tasks.invoicing import bills
from tasks.shops import shops


def books(tx: Tx, case: Case) -> BookFacts:
    """What our books say, with the bills of earlier years: those of the year of the start are the exit duty (ambiguity 30)."""
    fen, _ = bills.of_years_before(tx, case)
    return shops.book_facts(tx, case.shop_id or "").model_copy(update={"bills_fen": fen})


def others(tx: Tx, case: Case) -> dict[CaseKind, list[str]]:
    """The shop's other cases that must end first, by kind."""
    return cases.open_by_kind(tx, case.shop_id or "", but=case.id, apart={CaseKind.CLOSURE, *NEVER_IN_THE_WAY})


def findings_now(tx: Tx, case: Case) -> tuple[Finding, ...]:
    """What the rules find about the shop at this moment (CLS-7, ambiguity 22)."""
    shop = shop_of(tx, case)
    known, snapshot = shops.facts_of(tx, shop.id)
    found = policy_of_closure.closure_findings(
        known,
        snapshot.as_of if snapshot else None,
        books(tx, case),
        open_cases=others(tx, case),
        now=tx.now,
        policy=rules(case),
    )
    return tuple(sorted((*papers.findings(tx, case, "CLS-5"), *found), key=lambda finding: not finding.blocking))
