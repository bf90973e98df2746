"""An approval holds for what its author was shown; what comes after it is shown to everybody before money moves (23)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from models.cases import Case
from models.reviews import Review, ReviewState
from office.base.db import Tx, in_transaction
from office.record import decision_seals
from tests.deaths import Died, mortal
from tests.play import PAYEE, Office, paper
from tests.reading import read


def fined(*settled: bool) -> dict[str, Any]:
    """So many penalties, settled or not."""
    return {"penalties": [{"id": f"p-{n}", "kind": "虚假发货", "settled": one} for n, one in enumerate(settled)]}


PENALTY = {"penalties": [{"id": "p-1", "kind": "虚假发货", "settled": False}]}


def first_has_approved(office: Office, **facts: Any) -> Case:
    """A refund of ¥20,000 that one finance person has approved on these facts."""
    office.closed_shop(deposit_fen=2_000_000)
    office.snapshot(**facts)
    case = office.request_refund(fen=2_000_000)
    office.decide(case, "wang-fang", "APPROVE", "情况属实")
    assert office.question(case).gate == "refund-second"
    return case


def paid(office: Office) -> list[int]:
    return [order["amount_fen"] for order in office.events("deposit.payout.requested")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, PENALTY),
        ({"open_orders": 1}, {"open_orders": 2}),
        ({"open_orders": 1}, {"open_orders": 1, "open_aftersales": 1}),
        ({"freezes": 1, "frozen_fen": 100}, {"freezes": 1, "frozen_fen": 101}),
        ({"uninvoiced_fen": 100}, {"uninvoiced_fen": 101}),
        (fined(True, False), fined(False, True)),
    ],
    ids=["appears", "grows", "another one", "the same number of more money", "more fees", "another is unsettled"],
)
def test_the_first_person_is_asked_again_when_something_blocking_comes_after_their_approval(
    office: Office, before: dict[str, Any], after: dict[str, Any]
) -> None:
    case = first_has_approved(office, **before)
    office.snapshot(**after)
    review = office.question(case)
    assert (review.gate, review.round) == ("refund-review", 2)
    assert [one.state for one in office.reviews(case) if one.gate == "refund-second"] == [ReviewState.SUPERSEDED]
    assert "自您上次查看以来的变化" in read(review) and "**王芳**" in read(review)
    assert paid(office) == []
    office.decide(case, "wang-fang", "APPROVE", "已知悉新的情况")
    office.decide(case, "chen-jie", "CONFIRM", "同意放行")
    assert paid(office) == [2_000_000]


def test_the_second_person_cannot_confirm_alone_over_what_the_first_never_saw(office: Office) -> None:
    case = first_has_approved(office)
    shown = office.question(case)
    office.receive(
        "shop.snapshot",
        {
            "shop_id": "shop-1",
            "as_of": (office.clock.at + timedelta(seconds=1)).isoformat(),
            "facts": PENALTY,
        },
    )
    office.clock.advance(timedelta(seconds=1))
    office.sweep()
    late = office.answer(shown, "chen-jie", "CONFIRM", "同意")
    assert not late.accepted
    assert office.question(case).gate == "refund-review" and paid(office) == []


def test_what_our_own_books_say_anew_goes_back_to_the_first_person_by_itself(office: Office) -> None:
    """Before anybody answers; an answer to what was shown before does not count."""
    case = first_has_approved(office)
    shown = office.question(case)
    office.deduct(100)
    assert office.question(case).id != shown.id
    refused = office.answer(shown, "chen-jie", "CONFIRM", "同意")
    assert not refused.accepted
    assert (office.question(case).gate, office.question(case).round) == ("refund-review", 2)
    assert "已更改:保证金余额" in read(office.question(case))


def test_another_payee_is_seen_by_both_before_anything_is_paid_to_it(office: Office) -> None:
    case = first_has_approved(office)
    office.correct_payee(case, account_no="3301040160000125678")
    review = office.question(case)
    assert (review.gate, review.round) == ("refund-review", 2)
    assert "收款账户" in read(review).split("自您上次查看以来的变化")[1].split("####")[0]


STRANGER = {"name": "杭州陌生贸易有限公司", "account_no": "3301040160000999999"}


def test_who_approved_because_a_second_person_would_look_is_asked_again_when_none_would(office: Office) -> None:
    """REF-5, ambiguity 25: the payee was a stranger when the first person looked; then the licence gets the stranger's name."""
    office.closed_shop()
    case = office.request_refund(payee=PAYEE | STRANGER)
    shown = office.question(case)
    assert "需要第二人复核的原因" in read(shown)
    office.send("shop.updated", {"shop_id": "shop-1", "licence_name": STRANGER["name"]})
    refused = office.answer(shown, "wang-fang", "APPROVE", "第二人会核实收款户名")
    assert not refused.accepted and paid(office) == []
    assert "已更改:收款账户与规则不一致之处" in read(office.question(case))


def test_who_approved_one_wrong_licence_name_is_asked_again_when_it_is_another(office: Office) -> None:
    """REF-5: that the payee deviates is not enough, from what it deviates was approved, too."""
    office.closed_shop()
    office.send("shop.updated", {"shop_id": "shop-1", "licence_name": "杭州受让贸易有限公司"})
    case = office.request_refund()
    office.decide(case, "wang-fang", "APPROVE")
    assert office.question(case).gate == "refund-second"
    office.send("shop.updated", {"shop_id": "shop-1", "licence_name": "义乌再转让贸易有限公司"})
    review = office.question(case)
    assert (review.gate, review.round) == ("refund-review", 2)
    assert "义乌再转让" in read(review) and "已更改:收款账户与规则不一致之处" in read(review)
    office.decide(case, "wang-fang", "APPROVE")
    office.decide(case, "chen-jie", "CONFIRM")
    assert paid(office) == [400_000]


def test_a_payee_that_deviates_only_after_both_approved_is_shown_to_both_before_it_is_paid(office: Office) -> None:
    office.closed_shop(deposit_fen=2_000_000)
    office.platform_answers = False
    office.clock.advance(timedelta(hours=30))
    case = office.request_refund(fen=2_000_000)
    office.decide(case, "wang-fang", "APPROVE")
    office.decide(case, "chen-jie", "CONFIRM")
    office.send("shop.updated", {"shop_id": "shop-1", "licence_name": "杭州受让贸易有限公司"})
    office.snapshot()
    assert paid(office) == [] and office.question(case).gate == "refund-review"


def test_what_becomes_less_asks_nobody_again(office: Office) -> None:
    case = first_has_approved(office, open_orders=2, open_aftersales=1, uninvoiced_fen=100, **fined(False, False))
    office.snapshot(open_orders=1, uninvoiced_fen=99, **fined(True, False))
    assert office.question(case).gate == "refund-second"
    office.decide(case, "chen-jie", "CONFIRM", "同意放行")
    assert paid(office) == [2_000_000]


def test_a_paper_fewer_to_miss_asks_nobody_again(office: Office) -> None:
    """REF-2: of two papers missing one has come."""
    office.closed_shop(entity_type="INDIVIDUAL_BUSINESS", licence_name="")
    licence, identity = paper("执照.pdf", "BUSINESS_LICENCE"), paper("身份证.pdf", "IDENTITY_CARD")
    office.stage("shop-1", licence)
    case = office.request_refund(staged=False, documents=[licence, identity])
    office.decide(case, "wang-fang", "APPROVE", "原件已在柜台核对")
    assert "还缺：身份证明、收款账户证明" in read(office.question(case))
    office.stage("shop-1", identity)
    assert office.question(case).gate == "refund-second"
    office.decide(case, "chen-jie", "CONFIRM", "同意放行")
    assert paid(office) == [400_000]


def test_one_person_is_not_enough_when_a_second_is_needed_by_the_time_of_the_permit(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    with mortal(lambda when, key: when == "after" and "refunds.needs_second" in key), pytest.raises(Died):
        office.decide(case, "wang-fang", "APPROVE")
    office.snapshot(**PENALTY)
    office.clock.advance(timedelta(seconds=61))
    office.settle()
    assert paid(office) == [] and (office.question(case).gate, office.question(case).round) == ("refund-review", 2)


@pytest.mark.parametrize("after", ["refunds.needs_second", "refunds.grant", "waiting._open_review"])
def test_whenever_the_worker_dies_both_have_seen_what_stands(office: Office, after: str) -> None:
    case = first_has_approved(office)
    with mortal(lambda when, key: when == "after" and after in key):
        try:
            office.decide(case, "chen-jie", "CONFIRM", "同意")
        except Died:
            office.snapshot(**PENALTY)
            office.clock.advance(timedelta(seconds=61))
            office.settle()
            assert paid(office) == []
            assert office.question(case).gate == "refund-review"


def test_what_is_new_since_the_form_was_shown_stands_in_its_next_version(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund(payee=PAYEE)
    assert "自您上次查看以来的变化" not in read(office.question(case))
    office.snapshot(open_orders=3)
    review = office.question(case)
    assert review.revision == 2 and "新出现:还有 3 笔订单未完成" in read(review)
    office.snapshot()
    assert "已消除" in read(office.question(case))


def without_what_was_seen(tx: Tx) -> None:
    """As a version before it was kept left it, and the migration sealed it."""
    for review in tx.exec(select(Review)):
        review.seen = None
        decision_seals.put_question(tx, review)


def test_a_question_that_an_older_version_asked_is_answered_once(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    in_transaction(without_what_was_seen)
    office.decide(case, "wang-fang", "APPROVE")
    assert paid(office) == [400_000]


def test_a_decision_of_an_older_version_that_kept_nothing_of_what_it_saw_is_asked_for_again(office: Office) -> None:
    case = first_has_approved(office)
    in_transaction(without_what_was_seen)
    office.answer(office.question(case), "chen-jie", "CONFIRM", "同意")
    assert (office.question(case).gate, office.question(case).round) == ("refund-review", 2)
    assert paid(office) == []
