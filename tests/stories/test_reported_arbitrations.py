"""An arbitration that was reported since the platform's newest facts counts before they count it (ARB-9, CLS-9, REF-8)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from models.books import AccountKind
from tests.appeals.bench import Bench
from tests.play import Office


def applied(office: Office, number: str = "arb-1") -> None:
    office.clock.advance(timedelta(seconds=1))
    office.send("arbitration.applied", {
        "shop_id": "shop-1", "arbitration_id": number, "order_id": "order-88", "aftersale_id": f"as-{number}",
    })  # fmt: skip


def test_it_stands_in_the_way_of_closing_until_the_facts_know_better(office: Office) -> None:
    """ARB-9, CLS-9"""
    office.open_shop()
    applied(office)
    case = office.request_closure()
    assert "还有 1 件仲裁未完结" in office.question(case).dossier
    assert not office.answer(office.question(case), "li-na", "APPROVE").accepted  # blocking: it takes a reason
    office.snapshot(open_arbitrations=1)
    assert "还有 1 件仲裁未完结" in office.question(case).dossier, "counted once, by whoever reported last"
    office.snapshot()
    office.decide(case, "li-na", "APPROVE")
    office.snapshot()
    assert office.case(case.id).outcome == "CLOSED"


@pytest.mark.parametrize("before", ["the application", "the approval"])
def test_it_is_seen_by_everybody_before_a_deposit_leaves(office: Office, before: str) -> None:
    """ARB-9, REF-8"""
    office.closed_shop()
    if before == "the application":
        applied(office)
    case = office.request_refund()
    if before == "the approval":
        shown = office.question(case)
        applied(office)
        assert "事实已发生变化" in office.answer(shown, "wang-fang", "APPROVE", "同意").sentence
    office.decide(case, "wang-fang", "APPROVE", "仲裁与保证金无关")
    assert office.question(case).gate == "refund-second" and "仲裁未完结" in office.question(case).dossier
    office.decide(case, "chen-jie", "CONFIRM", "同意")
    assert office.platform_balance(AccountKind.CLEARING) == 400_000


def test_one_that_is_ruled_is_no_longer_under_way(office: Office) -> None:
    bench = Bench(office)
    applied(office, "arb-rul-1")
    bench.rule(deduction_fen=0)
    assert "仲裁未完结" not in office.question(office.request_closure()).dossier
