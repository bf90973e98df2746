"""A half is paid on the word of people who may release it when it is paid, hours and chunks after they did (STL-1, ambiguity 23)."""

from __future__ import annotations

import pytest

from models.settlement import HalfState, SettlementState
from tests.deaths import Died, mortal, until_done
from tests.play import Office
from tests.reading import read
from tests.settlement import kit
from tests.settlement.kit import NET, after, aftersale, confirm, on_first_of_december, order, ours
from tests.settlement.test_ages import drafted, paid
from tests.settlement.test_dying import chunks_of_one
from tests.stories.test_gone_before_the_act import GONE, Gone, dismissed

SHOPS = ["shop-1", "shop-2", "shop-3"]


@GONE
def test_who_released_a_half_and_goes_while_it_waits_for_facts_has_released_nothing(office: Office, gone: Gone) -> None:
    half = drafted(office, platform_answers=False)
    office.decide(half, "wang-fang", "RELEASE")
    assert len(office.events("facts.requested")) == 1
    gone("wang-fang")
    office.settle()
    again = office.question(half)
    assert (again.gate, again.round) == ("settlement-release", 2) and paid(office) == {}
    assert office.trail(half).count("release.lapsed") == 1 and office.staff_told("review_waiting")[-1] == "finance"
    assert office.deadline(half, "fresh-facts").next_action_at is None
    office.decide(half, "chen-jie", "RELEASE")
    assert paid(office) == {} and len(office.events("facts.requested")) == 1, "asked again about the same facts"
    office.snapshot("shop-1")
    assert paid(office) == {"shop-1": NET, "shop-2": NET} and len(kit.payments(office)) == 2
    assert office.case(half).outcome == "SETTLED"
    kit.sound(office)


@pytest.mark.both
def test_who_goes_between_the_release_and_the_first_payment_has_released_nothing(office: Office) -> None:
    half = drafted(office, platform_answers=True)
    with mortal(lambda when, key: when == "after" and "settlement.release/" in key), pytest.raises(Died):
        office.decide(half, "wang-fang", "RELEASE")
    dismissed("wang-fang")
    office.pass_time(minutes=2)
    assert office.question(half).round == 2 and paid(office) == {}
    office.decide(half, "chen-jie", "RELEASE")
    assert paid(office) == {"shop-1": NET, "shop-2": NET}
    kit.sound(office)


def test_the_second_of_two_is_asked_about_as_the_first(office: Office) -> None:
    ours(office)
    confirm(office, order(goods=200_000_000))
    on_first_of_december(office)
    office.platform_answers = False
    half = kit.run(office).id
    office.decide(half, "chen-jie", "CONFIRM")
    assert office.case(half).concluded_at is None and office.events("facts.requested")
    dismissed("chen-jie")
    office.snapshot()
    assert (office.question(half).gate, paid(office)) == ("settlement-release", {})


def stopped_after_the_first_shop(office: Office, monkeypatch: pytest.MonkeyPatch) -> tuple[str, dict[str, str]]:
    """A half of three shops, one in a chunk: its worker dies when the first has been paid, and who released it goes."""
    for shop in SHOPS:
        ours(office, shop)
    orders = [order(shop) for shop in SHOPS]
    confirm(office, *orders)
    on_first_of_december(office)
    for shop in SHOPS:
        office.snapshot(shop)
    chunks_of_one(monkeypatch)
    half = kit.draft(office).id
    with mortal(lambda when, key: when == "after" and key == "pay/shop-1"), pytest.raises(Died):
        office.decide(half, "wang-fang", "RELEASE")
    dismissed("wang-fang")
    office.pass_time(minutes=2)
    return half, {one["shop_id"]: one["order_id"] for one in orders}


@pytest.mark.both
def test_what_was_paid_before_somebody_went_stays_paid_and_the_rest_is_released_anew(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    half, orders = stopped_after_the_first_shop(office, monkeypatch)
    again = office.question(half)
    assert (again.gate, again.round, kit.half_of().state) == ("settlement-release", 2, HalfState.DRAFTED)
    assert paid(office) == {"shop-1": NET} and "1 家,¥94.50" in read(again)
    refused = office.answer(again, "chen-jie", "RELEASE", hold="shop-1:待核实")
    assert not refused.accepted and "没有可暂缓的结算单" in refused.sentence
    confirm(office, order("shop-1"), order("shop-2"))  # late
    after(office, aftersale(orders["shop-1"]), aftersale(orders["shop-3"], "shop-3"))
    office.decide(half, "chen-jie", "REDRAFT")
    office.decide(half, "chen-jie", "RELEASE")
    assert paid(office) == {"shop-1": NET, "shop-2": 2 * NET} and len(kit.payments(office)) == 2
    assert office.case(half).outcome == "SETTLED" and kit.settlement("shop-3").state is SettlementState.NIL
    assert [kit.settlement(shop).number for shop in SHOPS] == [f"JS202611-2-{n:06d}" for n in range(1, 4)]
    assert len(office.events("settlement.issued")) == 3
    kit.sound(office)
    for payment in kit.payments(office):
        kit.bank(office, payment)
    kit.at(office, 2026, 12, 16, 4)
    kit.run(office, "2026-12-1", "chen-jie")
    assert paid(office)["shop-1"] == NET and len(kit.payments(office)) == 3
    kit.sound(office)


def test_a_half_that_is_released_again_is_paid_once_though_its_worker_dies_at_every_chunk(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    half, _ = stopped_after_the_first_shop(office, monkeypatch)
    died: list[tuple[str, str]] = []

    def strike(at: str, key: str) -> bool:
        if (at, key) in died or not key.startswith(("pay/", half)):
            return False
        died.append((at, key))
        return True

    with mortal(strike):
        until_done(office, lambda: office.decide(half, "chen-jie", "RELEASE"))
    assert {key for _, key in died if key.startswith("pay/")} == {"pay/shop-2", "pay/shop-3"}
    assert paid(office) == dict.fromkeys(SHOPS, NET) and len(kit.payments(office)) == 3
    kit.sound(office)
