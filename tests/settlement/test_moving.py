"""A shop moved between our settlement and the platform's while money of either side is on its way: every fen is paid once, by
the side whose it is (STL-1)."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from models.books import AccountKind
from models.cases import CaseKind
from models.messages import Channel
from models.settlement import HoldReason, SettlementState
from office.base.db import reading
from ops.cli import app
from tasks.payouts import unanswered
from tasks.settlement import sides
from tasks.shops import settling
from tests.core.sql import said
from tests.invoicing import kit as invoicing
from tests.play import Office
from tests.settlement import kit
from tests.settlement.kit import NET, after, aftersale, confirm, on_first_of_december, order, ours, run, settlement
from tests.settlement.test_sides import assign, gate, platform_pays, platform_settles

DECEMBER = ("2026-12-02T00:00:00+08:00", "2026-12-04T00:00:00+08:00")
"""From when on the platform settles, and from when on we do again."""


def away_and_back(office: Office, fen: int = 0) -> None:
    """The platform settles the shop for two days of December, and so much of it; then we do again."""
    assign(office, "PLATFORM", DECEMBER[0])
    kit.at(office, 2026, 12, 3)
    if fen:
        platform_settles(office, fen, "2026-12-02T10:00:00+08:00")
    assign(office, "OFFICE", DECEMBER[1])
    kit.at(office, 2026, 12, 5)


def held_for_want_of_an_account(office: Office) -> None:
    office.open_shop()
    office.send("settlement.assigned", {"shop_id": "shop-1", "settler": "OFFICE", "since": kit.BEGAN})
    confirm(office, order())
    on_first_of_december(office)
    run(office)
    assert (settlement().hold, settlement().left_fen) == (HoldReason.NO_ACCOUNT, NET)


def test_what_we_held_is_ours_to_pay_when_the_shop_comes_back_and_the_platforms_is_its_own(office: Office) -> None:
    held_for_want_of_an_account(office)
    away_and_back(office, 5_000)
    kit.set_account(office)
    kit.at(office, 2026, 12, 16, 4)
    run(office, "2026-12-1")
    assert (settlement(half="2026-12-1").brought_fen, settlement(half="2026-12-1").paid_fen) == (NET, NET)
    platform_pays(office, 5_001)
    assert office.refusals()[-1][0] == "STL-1" and office.staff_told("platform_overpaid") == ["finance", "supervisor"]
    platform_pays(office, 5_000)
    assert office.balance(AccountKind.RECEIVABLE) == 0
    kit.sound(office)


@pytest.mark.parametrize("verdict", ["DEFER", "AGAIN"])
def test_what_the_bank_sent_back_is_ours_to_pay_when_the_shop_comes_back(office: Office, verdict: str) -> None:
    case = kit.sent_back(office)
    away_and_back(office, 5_000)
    office.decide(case, "wang-fang", verdict)
    kit.at(office, 2026, 12, 16, 4)
    run(office, "2026-12-1")
    assert [one["amount_fen"] for one in kit.payments(office)] == [NET, NET]
    platform_pays(office, 5_000)
    assert office.balance(AccountKind.RECEIVABLE) == 0
    kit.sound(office)


def test_what_was_with_the_bank_when_the_shop_moved_and_came_back_is_paid_once_more_by_us(office: Office) -> None:
    ours(office)
    confirm(office, order())
    on_first_of_december(office)
    run(office)
    (payment,) = kit.payments(office)
    away_and_back(office, 5_000)
    kit.bank(office, payment, "returned", "账户已注销")
    office.decide(kit.return_case(), "wang-fang", "AGAIN")
    for _ in range(2):
        kit.bank(office, kit.payments(office)[-1])
    platform_pays(office, 5_000)
    assert settlement().state is SettlementState.PAID and office.balance(AccountKind.RECEIVABLE) == 0
    kit.sound(office)


def test_what_was_carried_is_taken_from_what_we_owe_later_and_not_from_the_platforms(office: Office) -> None:
    ours(office)
    one = order()
    confirm(office, one)
    on_first_of_december(office)
    run(office)
    assign(office, "PLATFORM", DECEMBER[0])
    kit.at(office, 2026, 12, 5)
    platform_settles(office, 50_000, "2026-12-03T10:00:00+08:00")
    after(office, aftersale(one["order_id"], ended_at="2026-12-04T10:00:00+08:00", refund_fen=10_000))
    kit.at(office, 2026, 12, 16, 4)
    run(office, "2026-12-1")
    assert settlement(half="2026-12-1").carried_fen == -10_000
    assign(office, "OFFICE", "2026-12-17T00:00:00+08:00")
    kit.at(office, 2026, 12, 25)
    confirm(office, order(goods=30_000, confirmed_at="2026-12-20T10:00:00+08:00"))
    kit.at(office, 2027, 1, 1, 4)
    run(office, "2026-12-2")
    assert settlement(half="2026-12-2").paid_fen == 30_000 - 550 - 10_000
    platform_pays(office, 50_000)
    assert office.balance(AccountKind.RECEIVABLE) == 0
    kit.sound(office)


def test_what_the_platform_settles_until_a_switch_that_was_told_in_advance_is_its_own_to_pay(office: Office) -> None:
    office.open_shop()
    kit.set_account(office)
    platform_settles(office, 1_000, "2026-11-18T10:00:00+08:00")
    assign(office, "OFFICE", "2026-12-01T00:00:00+08:00")
    kit.at(office, 2026, 11, 25)
    platform_settles(office, 70_000, "2026-11-24T10:00:00+08:00")
    platform_pays(office, 21_000)
    office.snapshot()
    assert gate(office) == []  # it is nothing that we should have settled
    kit.at(office, 2026, 12, 10)
    confirm(office, order(confirmed_at="2026-12-05T10:00:00+08:00"))
    kit.at(office, 2026, 12, 16, 4)
    run(office, "2026-12-1")
    assert [one["amount_fen"] for one in kit.payments(office)] == [NET]
    platform_pays(office, 50_001)
    platform_pays(office, 50_000)
    assert office.balance(AccountKind.RECEIVABLE) == 0
    kit.sound(office)


def test_the_platform_settles_nothing_of_our_time_whoever_settles_now(office: Office) -> None:
    ours(office)
    assign(office, "PLATFORM", DECEMBER[0])
    kit.at(office, 2026, 12, 3)
    platform_settles(office, 900, "2026-11-20T10:00:00+08:00")
    assert office.refusals()[-1][0] == "STL-1" and office.balance(AccountKind.RECEIVABLE) == 0
    assign(office, "OFFICE", DECEMBER[1])
    kit.at(office, 2026, 12, 5)
    for at in ("2026-12-01T23:59:59+08:00", *DECEMBER[::-1]):  # ours, ours, and the first moment of the platform's
        platform_settles(office, 800, at)
    assert len(office.refusals()) == 3 and office.balance(AccountKind.RECEIVABLE) == 800
    platform_pays(office, 800)
    assert office.balance(AccountKind.RECEIVABLE) == 0
    kit.sound(office)


def test_what_finance_held_out_is_paid_once_though_the_shop_has_moved(office: Office) -> None:
    ours(office)
    confirm(office, order())
    on_first_of_december(office)
    run(office, hold="shop-1:待核实")
    away_and_back(office, 5_000)
    assert kit.release_held(office, "chen-jie").accepted
    kit.at(office, 2026, 12, 16, 4)
    confirm(office, order(confirmed_at="2026-12-10T10:00:00+08:00"))
    run(office, "2026-12-1")
    assert [one["amount_fen"] for one in sorted(kit.payments(office), key=lambda one: one["request_no"])] == [NET, NET]
    platform_pays(office, 5_000)
    assert office.balance(AccountKind.RECEIVABLE) == 0
    kit.sound(office)


# ── what comes free when the platform settles ──


NUMBER_27 = f"27{77:018d}"
"""Of an invoice of 2027."""


def frozen_of_ours(office: Office) -> None:
    """Of November's second half, which we settled, 27.00 are frozen for a statement of 90.00 that nobody invoiced."""
    ours(office)
    invoicing.record(office, invoicing.item(fen=9_000))
    kit.at(office, 2026, 12, 1, 2)
    invoicing.issue_month(office)
    invoicing.after_due(office, invoicing.statement(), 60)
    kit.at(office, 2027, 1, 2)
    confirm(office, order(confirmed_at="2027-01-01T10:00:00+08:00"))
    kit.at(office, 2027, 1, 16, 4)
    run(office, "2027-01-1")
    kit.bank(office, kit.payments(office)[-1])
    assert office.balance(AccountKind.RECEIVABLE_FROZEN) == 2_700 and office.balance(AccountKind.RECEIVABLE) == 0


def told_freed(office: Office) -> list[tuple[int, int]]:
    """What finance was told is the platform's to pay: all of it, and what of it is open. The platform was told the same."""
    for _ in range(2):
        sides.tell_freed()
        office.settle()
    told = office.messages("receivable_freed", Channel.STAFF)
    assert {audience for audience in office.staff_told("receivable_freed")} <= {"finance"}
    amounts = [(one["amount_fen"], one["open_fen"]) for one in told]
    assert [(one["amount_fen"], one["open_fen"]) for one in office.events("receivable.freed")] == amounts
    return amounts


def test_what_an_invoice_frees_after_the_shop_moved_is_told_as_the_platforms_to_pay_until_it_is_paid(
    office: Office,
) -> None:
    """STL-1, INV-12: no half of ours pays it, and the platform cannot know of it."""
    frozen_of_ours(office)
    assign(office, "PLATFORM", "2027-01-17T00:00:00+08:00")
    kit.at(office, 2027, 1, 18)
    platform_settles(office, 5_000, "2027-01-17T10:00:00+08:00")
    assert told_freed(office) == []
    invoicing.send_invoice(office, 9_000, issued_on="2027-01-18", number=NUMBER_27)
    assert told_freed(office) == [(2_700, 2_700)]
    assert "解冻货款 ¥27.00 待平台支付" in CliRunner().invoke(app, ["books", "check"]).output
    assert "¥27.00" in CliRunner().invoke(app, ["doctor"]).output
    assert gate(office) == ["book_unsettled"]
    platform_pays(office, 6_000)
    assert gate(office) == ["book_unsettled"]
    platform_pays(office, 1_700)
    assert gate(office) == [] and told_freed(office) == [(2_700, 2_700)]
    assert "待平台支付" not in CliRunner().invoke(app, ["books", "check"]).output
    kit.sound(office)


def test_what_was_free_and_in_no_half_of_ours_when_the_shop_moved_is_the_platforms_to_pay_and_told(
    office: Office,
) -> None:
    """STL-1: the moment of the move says so, though nothing happens in it."""
    frozen_of_ours(office)
    invoicing.send_invoice(office, 9_000, issued_on="2027-01-16", number=NUMBER_27)
    assign(office, "PLATFORM", "2027-01-20T00:00:00+08:00")
    assert told_freed(office) == []  # until then the next half would pay it
    kit.at(office, 2027, 1, 20)
    assert told_freed(office) == [(2_700, 2_700)]
    assign(office, "OFFICE", "2027-01-21T00:00:00+08:00")
    kit.at(office, 2027, 1, 22)
    assert told_freed(office) == [(2_700, 2_700)]
    platform_pays(office, 2_700)
    assert office.balance(AccountKind.RECEIVABLE) == 0
    kit.sound(office)


def test_a_bank_that_says_nothing_about_a_half_is_heard_of_and_listed_until_it_answers(office: Office) -> None:
    """STL-1, REF-3: after three working days, that last second not yet; the half itself is settled and waits for nothing."""
    ours(office)
    confirm(office, order())
    on_first_of_december(office)
    run(office)
    kit.at(office, 2026, 12, 4, 23, 59, 59)  # a Friday
    assert unanswered.tell() == 0
    kit.at(office, 2026, 12, 5)
    assert unanswered.tell() == unanswered.tell() == 1
    office.settle()
    (told,) = office.messages("payments_unanswered", Channel.STAFF)
    assert (told["count"], told["amount_fen"]) == (1, NET) and "finance" in office.staff_told("payments_unanswered")
    assert "银行未回执" in CliRunner().invoke(app, ["books", "check"]).output
    assert "¥94.50" in CliRunner().invoke(app, ["doctor"]).output
    kit.bank(office, kit.payments(office)[0])
    assert unanswered.tell() == 0 and "银行未回执" not in CliRunner().invoke(app, ["books", "check"]).output


def test_what_came_free_of_many_shops_is_found_by_one_question(office: Office) -> None:
    """STL-1: who ends our settling moves every shop at once, and each minute asks."""
    for shop_id in ("shop-1", "shop-2", "shop-3"):
        office.open_shop(shop_id)
        for settler, day in (("OFFICE", 17), ("PLATFORM", 18)):
            since = f"2026-11-{day}T00:00:00+08:00"
            office.send("settlement.assigned", {"shop_id": shop_id, "settler": settler, "since": since})
        invoicing.settle_receivable(office, 5_000, shop_id)
    with reading() as tx, said() as heard:
        assert settling.freed(tx) == []
    assert [one.partition(" ")[0] for one in heard if one != "BEGIN"] == ["SELECT"]


def test_what_the_platform_freezes_and_frees_of_its_own_is_none_of_ours(office: Office) -> None:
    """STL-1, INV-12: it has settled it, and pays it when it is free."""
    frozen_of_ours(office)
    invoicing.record(office, invoicing.item(fen=9_000, settled_at="2027-01-10T10:00:00+08:00"))
    assign(office, "PLATFORM", "2027-01-17T00:00:00+08:00")
    kit.at(office, 2027, 2, 1, 2)
    invoicing.issue_month(office, "2027-01")
    platform_settles(office, 5_000, "2027-01-17T10:00:00+08:00")
    invoicing.after_due(office, invoicing.statement(period="2027-01"), 60)
    assert office.balance(AccountKind.RECEIVABLE_FROZEN) == 5_400 and told_freed(office) == []
    invoicing.send_invoice(office, 18_000, issued_on="2027-02-28", number=NUMBER_27)
    assert office.balance(AccountKind.RECEIVABLE) == 7_700 and told_freed(office) == [(2_700, 2_700)]
    kit.sound(office)


def test_a_payment_that_was_proved_and_comes_back_when_a_later_one_has_paid_the_half_is_told_to_finance(
    office: Office,
) -> None:
    """STL-1: nobody is asked to pay it again; it is among the receivables, and the next half brings it."""
    case = kit.sent_back(office)
    office.decide(case, "wang-fang", "AGAIN")
    first, second = kit.payments(office)
    kit.bank(office, second)
    office.clock.advance(kit.HOUR)
    kit.bank(office, first)  # it had been paid after all: twice
    (inquiry,) = [one for one in office.cases() if one.kind is CaseKind.BANK_INQUIRY]
    office.decide(inquiry, "wang-fang", "ANSWER", "银行出具回单", **office.bank_proof())
    office.decide(inquiry, "he-qiang", "CONFIRM", "已核对")
    kit.bank(office, first, "returned")
    (told,) = office.messages("payment_came_back", Channel.STAFF)
    assert (told["request_no"], "并入下期结算" in told["then"]) == (first["request_no"], True)
    assert office.balance(AccountKind.RECEIVABLE) == NET
    kit.sound(office)


# ── between draft and payment ────────────────────────────────────────────────


def test_a_half_whose_only_shop_has_nothing_any_more_when_it_is_posted_is_settled(office: Office) -> None:
    """STL-4: it was drafted for an order that waited for its after-sale, which has ended meanwhile, for the next half."""
    ours(office)
    one = order()
    sale = aftersale(one["order_id"])
    confirm(office, one)
    after(office, sale)
    on_first_of_december(office)
    case = kit.draft(office)
    assert settlement().waiting_orders == 1
    after(office, sale | {"ended_at": office.clock.at.isoformat(), "refund_fen": 1_000})
    office.decide(case, "wang-fang", "RELEASE")
    assert office.case(case.id).outcome == "SETTLED" and kit.payments(office) == []
    kit.at(office, 2026, 12, 16, 4)
    run(office, "2026-12-1")
    assert [payment["amount_fen"] for payment in kit.payments(office)] == [NET - 1_000]
    kit.sound(office)


def test_a_shop_that_was_held_out_and_has_no_draft_any_more_stops_nobody(office: Office) -> None:
    """STL-4: between the two who release, its only order has left the half."""
    for shop in ("shop-1", "shop-2"):
        ours(office, shop)
    one = order("shop-2")
    confirm(office, order(goods=120_000_550), one)
    on_first_of_december(office)
    case = run(office, hold="shop-2:待核实")
    after(office, aftersale(one["order_id"], "shop-2", ended_at=office.clock.at.isoformat(), refund_fen=1_000))
    office.decide(case, "chen-jie", "CONFIRM")
    assert [payment["shop_id"] for payment in kit.payments(office)] == ["shop-1"]
    kit.at(office, 2026, 12, 16, 4)
    run(office, "2026-12-1")
    assert kit.payments(office)[-1]["amount_fen"] == NET - 1_000
    kit.sound(office)


# ── late ─────────────────────────────────────────────────────────────────────


def test_what_comes_after_a_leap_february_was_settled_is_in_march_to_the_fen(office: Office) -> None:
    """STL-2, STL-4: an order of its last second, its after-sale of that second, and one of an order that was paid."""
    office.clock.at = office.clock.at.replace(year=2028, month=2, day=1)
    office.open_shop()
    office.send("settlement.assigned", {"shop_id": "shop-1", "settler": "OFFICE", "since": "2028-02-01T00:00:00+08:00"})
    kit.set_account(office)
    last = "2028-02-29T23:59:59+08:00"
    kit.at(office, 2028, 2, 29, 12)
    paid = order(confirmed_at="2028-02-16T00:00:00+08:00")
    confirm(office, paid)
    kit.at(office, 2028, 3, 1, 4)
    run(office, "2028-02-2")
    late = order(confirmed_at=last)
    sales = [
        aftersale(one["order_id"], opened_at="2028-02-20T10:00:00+08:00", ended_at=last, refund_fen=fen)
        for one, fen in ((late, 1_000), (paid, 2_000))
    ]
    after(office, *sales)
    confirm(office, late)
    assert {kit.order_row(late["order_id"]).half, *(kit.aftersale_row(one["aftersale_id"]).half for one in sales)} == {
        "2028-03-1"
    }
    kit.at(office, 2028, 3, 16, 4)
    run(office, "2028-03-1")
    assert [one["amount_fen"] for one in kit.payments(office)] == [NET, NET - 3_000]
    kit.sound(office)


def test_amounts_of_odd_types_and_sizes_come_back_by_line_and_good_lines_stay(office: Office) -> None:
    """STL-1"""
    ours(office)
    good, bad = [2**31, 10**13], [10**13 + 1, 2**63, 1e3, True, "100", None, -1, {"$gt": 0}]
    receipt = confirm(office, *(order(goods=fen) for fen in (*good, *bad)), order())  # type: ignore[arg-type]
    assert receipt["accepted"] == 3
    assert [(line["position"], line["field"]) for line in receipt["rejected"]] == [
        (n, "goods_fen") for n in range(3, 11)
    ]


@pytest.mark.parametrize("ended", [None, "2026-11-25T10:00:00+08:00"])
def test_an_after_sale_that_named_another_shop_is_put_right_and_keeps_no_order_out_for_ever(
    office: Office, ended: str | None
) -> None:
    """STL-4: as long as its order is not here; afterwards nobody moves it to another shop."""
    for shop in ("shop-1", "shop-2"):
        ours(office, shop)
    kit.at(office, 2026, 11, 26)
    one = order()
    sale = aftersale(one["order_id"], "shop-2", **({"ended_at": ended, "refund_fen": 1_000} if ended else {}))
    after(office, sale)
    assert confirm(office, one)["rejected"][0]["field"] == "shop_id"
    assert after(office, sale | {"shop_id": "shop-1"})["accepted"] == 1
    assert confirm(office, one)["accepted"] == 1
    assert after(office, sale)["rejected"][0]["field"] == "aftersale_id"
    on_first_of_december(office)
    run(office)
    due = NET - 1_000 if ended else 0
    assert (settlement().due_fen, settlement().waiting_orders, settlement().paid_fen) == (due, int(not ended), due)
    kit.sound(office)
