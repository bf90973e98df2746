"""How old the platform's facts are that money of a half leaves on, at the moment it leaves (CLS-7, ambiguity 27)."""

from __future__ import annotations

from datetime import timedelta

from models.books import AccountKind
from models.messages import Channel
from models.settlement import HoldReason, SettlementState
from office.base.db import in_transaction
from tasks.settlement import releases
from tests.play import Office
from tests.reading import read
from tests.settlement import kit
from tests.settlement.kit import NET, after, aftersale, confirm, on_first_of_december, order, ours, run, settlement


def drafted(office: Office, *, platform_answers: bool) -> str:
    """A half of two shops that waits for its release, the facts of one of them old."""
    for shop in ("shop-1", "shop-2"):
        ours(office, shop)
        confirm(office, order(shop))
    on_first_of_december(office)
    office.platform_answers = platform_answers
    office.snapshot("shop-2")
    return kit.draft(office).id


def paid(office: Office) -> dict[str, int]:
    return {one["shop_id"]: one["amount_fen"] for one in kit.payments(office)}


def test_the_platform_is_asked_about_the_shops_whose_facts_are_too_old_and_the_half_goes_on_by_itself(
    office: Office,
) -> None:
    half = drafted(office, platform_answers=False)
    assert office.events("facts.requested") == []
    office.decide(half, "wang-fang", "RELEASE")
    assert [one["shop_id"] for one in office.events("facts.requested")] == ["shop-1"]
    assert paid(office) == {} and office.case(half).concluded_at is None
    office.snapshot("shop-1")
    assert paid(office) == {"shop-1": NET, "shop-2": NET} and office.case(half).outcome == "SETTLED"
    assert office.deadline(half, "fresh-facts").next_action_at is None
    office.pass_time(days=1)
    assert office.staff_told("facts_missing") == []
    kit.sound(office)


def test_what_the_new_facts_say_is_kept_back(office: Office) -> None:
    """STL-6: the freeze that came meanwhile, and never more than was released."""
    half = drafted(office, platform_answers=False)
    office.decide(half, "wang-fang", "RELEASE")
    office.snapshot("shop-1", freezes=1, frozen_fen=4_000)
    assert paid(office) == {"shop-1": NET - 4_000, "shop-2": NET}
    kit.sound(office)


def test_nobody_is_kept_waiting_for_a_platform_that_says_nothing_and_its_shop_is_paid_with_the_next_half(
    office: Office,
) -> None:
    half = drafted(office, platform_answers=False)
    office.decide(half, "wang-fang", "RELEASE")
    office.pass_time(hours=3, minutes=59)
    assert paid(office) == {}
    office.pass_time(minutes=2)
    assert paid(office) == {"shop-2": NET} and office.case(half).outcome == "SETTLED"
    row = settlement()
    assert (row.hold, row.state, row.left_fen) == (HoldReason.OLD_FACTS, SettlementState.HELD, NET)
    assert office.staff_told("facts_missing") == ["supervisor"]
    assert "(1 家店铺)" in office.messages("facts_missing", Channel.STAFF)[0]["subject"]
    kit.sound(office)
    kit.at(office, 2026, 12, 16, 4)
    office.platform_answers = True
    run(office, "2026-12-1")
    assert settlement(half="2026-12-1").brought_fen == NET and paid(office)["shop-1"] == NET
    kit.sound(office)


def test_facts_of_exactly_the_hours_are_new_enough_and_a_second_later_not(office: Office) -> None:
    half = drafted(office, platform_answers=False)
    office.snapshot("shop-1")
    office.decide(half, "wang-fang", "REDRAFT")
    office.clock.advance(timedelta(hours=24) - timedelta(minutes=1))  # each code takes half a minute
    office.decide(half, "wang-fang", "RELEASE")
    asked = {one["shop_id"] for one in office.events("facts.requested")}
    assert asked == {"shop-2"}  # a second older than those of the first


def test_a_shop_that_finance_held_out_is_paid_on_facts_that_are_new_enough(office: Office) -> None:
    ours(office)
    confirm(office, order())
    on_first_of_december(office)
    run(office, hold="shop-1:待核实")
    office.platform_answers = False
    office.clock.advance(timedelta(days=2))
    before = len(office.events("facts.requested"))
    for _ in range(2):
        code = office.code("chen-jie")
        refused = in_transaction(
            lambda tx, code=code: releases.release_held(tx, kit.NOVEMBER, "shop-1", "chen-jie", code, "已核实")
        )
        office.settle()
        assert not refused.accepted and "已请平台报送" in refused.sentence
    assert paid(office) == {} and len(office.events("facts.requested")) == before + 1  # asked for once
    office.snapshot(freezes=1)
    assert "冻结" in kit.release_held(office, "chen-jie").sentence
    office.snapshot()
    assert kit.release_held(office, "chen-jie").accepted and paid(office) == {"shop-1": NET}
    kit.sound(office)


def test_what_finance_held_out_is_paid_as_far_as_the_half_was_released(office: Office) -> None:
    """STL-6, ambiguity 23: what the platform has freed since is brought on, and released with the next half."""
    ours(office)
    confirm(office, order())
    on_first_of_december(office)
    office.snapshot(freezes=1, frozen_fen=4_000)
    run(office, hold="shop-1:待核实")
    office.snapshot()
    assert kit.release_held(office, "chen-jie").accepted
    assert paid(office) == {"shop-1": NET - 4_000} and office.balance(AccountKind.RECEIVABLE) == 4_000
    kit.sound(office)
    kit.at(office, 2026, 12, 16, 4)
    run(office, "2026-12-1")
    assert [one["amount_fen"] for one in kit.payments(office)] == [NET - 4_000, 4_000]
    kit.sound(office)


def test_a_shop_that_was_held_in_the_draft_is_not_paid_because_an_after_sale_had_it_drafted_anew(
    office: Office,
) -> None:
    """Ambiguity 23: its account has rested meanwhile, and nobody has released a payment to it."""
    ours(office)
    one, other = order(), order()
    confirm(office, one, other)
    on_first_of_december(office)
    kit.set_account(office, account_no="3301040160000777777")
    case = kit.draft(office)
    assert settlement().hold is HoldReason.NEW_ACCOUNT and "¥0.00" in read(office.question(case))
    kit.at(office, 2026, 12, 2, 12)
    after(office, aftersale(one["order_id"], opened_at="2026-11-30T10:00:00+08:00"))
    assert settlement().left_fen == NET
    office.decide(case, "wang-fang", "RELEASE")
    assert paid(office) == {} and office.balance(AccountKind.RECEIVABLE) == NET
    kit.sound(office)
