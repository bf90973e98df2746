"""An arbitration that was reported since the platform's newest facts counts before they count it (ARB-9, CLS-9, REF-8)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from models.arbitration import Stage
from models.books import AccountKind
from models.cases import Case, CaseKind
from tests.appeals.bench import Bench
from tests.play import Office
from tests.reading import read
from tests.stories.test_refund import with_the_bank


def applied(office: Office, number: str = "arb-1") -> None:
    office.clock.advance(timedelta(seconds=1))
    office.send(
        "arbitration.applied",
        {
            "shop_id": "shop-1",
            "arbitration_id": number,
            "order_id": "order-88",
            "aftersale_id": f"as-{number}",
        },
    )


def test_it_stands_in_the_way_of_closing_until_the_facts_know_better(office: Office) -> None:
    """ARB-9, CLS-9"""
    office.open_shop()
    applied(office)
    case = office.request_closure()
    assert "还有 1 件仲裁未完结" in read(office.question(case))
    assert not office.answer(office.question(case), "li-na", "APPROVE").accepted  # blocking: it takes a reason
    office.snapshot(open_arbitrations=1)
    assert "还有 1 件仲裁未完结" in read(office.question(case)), "counted once, by whoever reported last"
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
        assert "内容已过期" in office.answer(shown, "wang-fang", "APPROVE", "同意").sentence, "it is shown anew at once"
    office.decide(case, "wang-fang", "APPROVE", "仲裁与保证金无关")
    assert office.question(case).gate == "refund-second" and "仲裁未完结" in read(office.question(case))
    office.decide(case, "chen-jie", "CONFIRM", "同意")
    assert office.platform_balance(AccountKind.CLEARING) == 400_000


def test_one_that_is_ruled_is_no_longer_under_way(office: Office) -> None:
    bench = Bench(office)
    applied(office, "arb-rul-1")
    bench.rule(deduction_fen=0)
    assert "仲裁未完结" not in read(office.question(office.request_closure()))


# ── what stood in the way has ended ──


def ruled(office: Office, conclusion: str = "MERCHANT_LIABLE") -> None:
    office.send(
        "ruling.effective",
        {
            "shop_id": "shop-1",
            "ruling_id": "rul-1",
            "arbitration_id": "arb-1",
            "order_id": "order-88",
            "aftersale_id": "as-arb-1",
            "effective_at": office.clock.at.isoformat(),
            "conclusion": conclusion,
            "decided": "以物流记录为准。",
            "buyer_account": "十天未收到货。",
            "merchant_account": "已发货。",
            "ruled_by": "sun-lei",
            "points": 2 if conclusion == "MERCHANT_LIABLE" else 0,
            "deduction_fen": 0,
        },
    )


def ruled_for_the_merchant(office: Office) -> None:
    ruled(office, "NOT_MERCHANT")


def withdrawn(office: Office) -> None:
    office.send(
        "arbitration.withdrawal_requested",
        {
            "shop_id": "shop-1",
            "arbitration_id": "arb-1",
            "reason": "BUYER_GIVES_UP",
            "requested_by": "BUYER",
        },
    )
    (case,) = [case for case in office.cases() if case.kind is CaseKind.WITHDRAWAL]
    office.decide(case, "wu-tao", "CONFIRM", "已电话核实买家")


ENDS = pytest.mark.parametrize("ends", [ruled, ruled_for_the_merchant, withdrawn])


def waits_for_arbitration(office: Office) -> Case:
    """A closing that only an arbitration keeps from CLOSED: the facts are of the moment before it was reported."""
    office.open_shop()
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE")
    office.clock.advance(timedelta(seconds=1))
    facts = {"shop_id": "shop-1", "as_of": office.clock.at.isoformat(), "facts": {}}
    applied(office)
    office.send("shop.snapshot", facts)
    assert office.case(case.id).outcome is None
    return case


@ENDS
def test_a_closing_goes_on_at_once_when_it_ends(office: Office, ends: Callable[[Office], None]) -> None:
    """ARB-9, CLS-9"""
    case = waits_for_arbitration(office)
    ends(office)
    assert office.case(case.id).outcome == "CLOSED"
    assert office.told(case).count("shop_closed") == 1


def test_a_closing_goes_on_at_once_when_the_shops_last_appeal_is_decided(office: Office) -> None:
    """CLS-9"""
    bench = Bench(office)
    bench.rule(deduction_fen=0)
    appeal = bench.file()
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE")
    office.decide(case, "he-qiang", "CONFIRM", "放行")
    office.snapshot()
    assert office.case(case.id).outcome is None
    office.decide(appeal, "zhou-yan", "DISMISS")
    assert office.case(case.id).outcome == "CLOSED"


@ENDS
def test_whoever_looks_at_a_refund_is_shown_that_it_ended(office: Office, ends: Callable[[Office], None]) -> None:
    """ARB-9, REF-8"""
    office.closed_shop()
    applied(office)
    case = office.request_refund()
    assert "仲裁未完结" in read(office.question(case))
    ends(office)
    assert "已消除:还有 1 件仲裁未完结" in read(office.question(case))


# ── whatever stage it is at, whenever it is reported ──

UNDER_WAY = [stage for stage in Stage if stage not in {Stage.RULED, Stage.WITHDRAWN}]
TWO = pytest.mark.parametrize("stage", [Stage.APPLIED, Stage.DISCUSSING])


def reported(office: Office, stage: Stage) -> None:
    """The platform says how far the buyer's arbitration is."""
    if stage is Stage.APPLIED:
        return applied(office)
    office.clock.advance(timedelta(seconds=1))
    office.send(
        "arbitration.progressed",
        {
            "shop_id": "shop-1",
            "arbitration_id": "arb-1",
            "order_id": "order-88",
            "aftersale_id": "as-arb-1",
            "stage": stage,
        },
    )


@pytest.mark.parametrize("stage", UNDER_WAY)
def test_at_every_stage_of_its_own_it_keeps_a_clearing_from_its_end_until_it_is_ruled(
    office: Office, stage: Stage
) -> None:
    """ARB-9, CLS-9"""
    office.open_shop()
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE")
    office.clock.advance(timedelta(seconds=1))
    facts = {"shop_id": "shop-1", "as_of": office.clock.at.isoformat(), "facts": {}}
    reported(office, stage)
    office.send("shop.snapshot", facts)
    assert office.case(case.id).outcome is None
    ruled(office)
    assert office.case(case.id).outcome == "CLOSED"


@TWO
@pytest.mark.parametrize("when", ["before the request", "while it is reviewed", "when one has approved"])
def test_at_every_stage_of_a_closing_whoever_decides_is_shown_it_and_nobody_approves_alone(
    office: Office, when: str, stage: Stage
) -> None:
    """ARB-9, CLS-5, ambiguity 23"""
    office.open_shop()
    if when == "before the request":
        reported(office, stage)
    case = office.request_closure()
    if when == "while it is reviewed":
        reported(office, stage)
    if when == "when one has approved":
        office.snapshot(open_orders=1)
        office.decide(case, "li-na", "APPROVE", "订单由客服跟进")
        assert office.question(case).gate == "closure-override"
        reported(office, stage)
    shown = office.question(case)
    assert shown.gate == "closure-review" and "还有 1 件仲裁未完结" in read(shown)
    assert not office.answer(shown, "li-na", "APPROVE").accepted, "without a reason"
    office.decide(case, "li-na", "APPROVE", "仲裁由客服跟进")
    second = office.question(case)
    assert second.gate == "closure-override" and "还有 1 件仲裁未完结" in read(second)
    office.decide(case, "he-qiang", "CONFIRM", "同意放行")
    assert office.case(case.id).state == "CLEARING"


@TWO
@pytest.mark.parametrize(
    "when", ["before the application", "while it is reviewed", "when one has approved", "when the bank has returned it"]
)
def test_at_every_stage_of_a_refund_whoever_decides_is_shown_it_and_nobody_pays_alone(
    office: Office, when: str, stage: Stage
) -> None:
    """ARB-9, REF-8, ambiguity 23"""
    paid = 0
    if when == "when the bank has returned it":
        case = with_the_bank(office)
        office.bank(f"{case.id}-P1", "returned", reason="退票")
        reported(office, stage)
        office.decide(case, "wang-fang", "AGAIN")
        paid = 1
    else:
        office.closed_shop(deposit_fen=2_000_000)
        if when == "before the application":
            reported(office, stage)
        case = office.request_refund(fen=2_000_000)
        if when == "while it is reviewed":
            reported(office, stage)
        if when == "when one has approved":
            office.decide(case, "wang-fang", "APPROVE")
            assert office.question(case).gate == "refund-second", "over ¥10,000.00"
            reported(office, stage)
    shown = office.question(case)
    assert shown.gate == "refund-review" and "还有 1 件仲裁未完结" in read(shown)
    assert not office.answer(shown, "wang-fang", "APPROVE").accepted, "without a reason"
    office.decide(case, "wang-fang", "APPROVE", "仲裁与保证金无关")
    second = office.question(case)
    assert second.gate == "refund-second" and "还有 1 件仲裁未完结" in read(second)
    assert len(office.events("deposit.payout.requested")) == paid
    office.decide(case, "chen-jie", "CONFIRM", "同意")
    assert len(office.events("deposit.payout.requested")) == paid + 1
