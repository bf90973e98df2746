"""Half a month: orders recorded, drafted, released by people, posted and paid; once, and never missed (STL)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from models.books import AccountKind
from models.opening import ShopContract
from models.settlement import HalfState, HoldReason, SettlementState
from office.base.db import Tx, in_transaction
from office.money.ledger import BooksForged
from office.record.inbox import Refused
from policies import contracts
from tasks.settlement import halves
from tests.core.sql import write
from tests.play import Office
from tests.reading import read
from tests.settlement import kit
from tests.settlement.kit import (
    NET,
    NOVEMBER,
    after,
    aftersale,
    confirm,
    on_first_of_december,
    order,
    ours,
    run,
    settlement,
)

CONTRACT = "2026-12-01"


# ── a half that goes well ────────────────────────────────────────────────────


def test_a_shop_is_paid_once_what_its_confirmed_orders_brought(office: Office) -> None:
    """STL-1: every half month."""
    ours(office)
    receipt = confirm(office, order(), order(goods=20_000, subsidy_fen=1_000, refund_fen=3_000))
    assert (receipt["accepted"], receipt["rejected"]) == (2, [])
    on_first_of_december(office)
    case = run(office)
    due = NET + 20_000 + 1_000 - 3_000 - 550
    row = settlement()
    assert (row.due_fen, row.paid_fen, row.left_fen, row.state) == (due, due, 0, SettlementState.PAYING)
    assert row.number == "JS202611-2-000001"
    (payment,) = kit.payments(office)
    assert (payment["amount_fen"], payment["shop_id"]) == (due, "shop-1")
    assert office.balance(AccountKind.RECEIVABLE) == 0
    kit.sound(office)
    for _ in range(2):
        kit.bank(office, payment)
    assert settlement().state is SettlementState.PAID
    assert (office.case(case.id).outcome, kit.half_of().state) == ("SETTLED", HalfState.SETTLED)
    kit.sound(office)


def test_the_merchant_and_the_platform_are_told_the_same_figures(office: Office) -> None:
    ours(office)
    confirm(office, order())
    on_first_of_december(office)
    run(office)
    office.pass_time(days=1)
    (event,) = office.events("settlement.issued")
    assert (event["due_fen"], event["paid_fen"], event["hold"]) == (NET, NET, "")
    assert "settlement_issued" in office.told()


def test_the_run_begins_by_itself_and_only_once_the_half_is_over(office: Office) -> None:
    """STL-2: on the 1st, of the 16th to the last."""
    ours(office)
    confirm(office, order())
    kit.at(office, 2026, 12, 1, 3, 59, 59)
    assert halves.catch_up() == []
    kit.at(office, 2026, 12, 1, 4)
    assert halves.catch_up() == [NOVEMBER]
    assert halves.catch_up() == []
    with pytest.raises(Refused):
        in_transaction(lambda tx: halves.begin_half(tx, "2026-12-1"))


def test_halves_that_were_missed_are_caught_up_one_after_the_other(office: Office) -> None:
    """A half is drawn up when the one before is settled: what that one leaves is brought on."""
    ours(office)
    confirm(office, order())
    kit.at(office, 2027, 1, 16, 5)
    done = []
    for _ in range(4):
        (half,) = halves.catch_up()
        done.append(half)
        assert halves.catch_up() == []
        office.settle()
        office.decide(kit.half_of(half).case_id or "", "wang-fang", "RELEASE")
    assert done == ["2026-11-2", "2026-12-1", "2026-12-2", "2027-01-1"]
    assert halves.catch_up() == []


# ── in which half ────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("confirmed", "half"),
    [
        ("2026-11-30T23:59:59+08:00", "2026-11-2"),
        ("2026-12-01T00:00:00+08:00", "2026-12-1"),
        ("2026-12-01T00:00:01+08:00", "2026-12-1"),
        ("2026-12-15T23:59:59+08:00", "2026-12-1"),
        ("2026-12-16T00:00:00+08:00", "2026-12-2"),
        ("2026-12-31T23:59:59+08:00", "2026-12-2"),
        ("2026-12-31T16:00:00+00:00", "2027-01-1"),
    ],
)
def test_the_moment_of_confirming_decides_the_half(office: Office, confirmed: str, half: str) -> None:
    """STL-2, STL-3: the 1st to the 15th, the 16th to the last, to the second."""
    ours(office)
    kit.at(office, 2027, 1, 1, 1)
    one = order(confirmed_at=confirmed)
    assert confirm(office, one)["accepted"] == 1
    assert kit.order_row(one["order_id"]).half == half


def test_an_order_that_comes_after_its_half_was_closed_is_settled_in_the_next(office: Office) -> None:
    ours(office)
    confirm(office, order())
    on_first_of_december(office)
    run(office)
    late = order(confirmed_at="2026-11-28T10:00:00+08:00")
    confirm(office, late)
    assert kit.order_row(late["order_id"]).half == "2026-12-1"


@pytest.mark.both
def test_drafted_again_a_half_takes_in_what_came_late(office: Office) -> None:
    ours(office)
    confirm(office, order())
    on_first_of_december(office)
    case = kit.draft(office)
    confirm(office, order(confirmed_at="2026-11-28T10:00:00+08:00"))
    office.decide(case, "wang-fang", "REDRAFT")
    assert settlement().due_fen == 2 * NET
    office.decide(case, "wang-fang", "RELEASE")
    assert settlement().paid_fen == 2 * NET
    kit.sound(office)


# ── orders twice, wrong, or not ours ─────────────────────────────────────────


@pytest.mark.both
def test_an_order_counts_once_however_often_it_comes_and_another_content_is_refused(office: Office) -> None:
    ours(office)
    one = order()
    assert confirm(office, one, one)["repeated"] == 1
    assert confirm(office, one)["repeated"] == 1
    (line,) = confirm(office, one | {"goods_fen": 1})["rejected"]
    assert (line["position"], line["field"]) == (1, "order_id")


def test_bad_orders_come_back_with_position_field_and_reason_and_good_ones_stay(office: Office) -> None:
    ours(office)
    office.open_shop("shop-2")
    receipt = confirm(
        office,
        order(),
        order(goods=12.5),
        order("shop-9"),
        order("shop-2"),
        order(refund_fen=10_001),
        order(confirmed_at="2026-11-10"),
        order(confirmed_at="2027-11-10T10:00:00+08:00"),
        order(goods=-1),
        order(confirmed_at="2026-11-15T23:59:59+08:00"),
        order(colour="red"),
        order(confirmed_at="2024-01-01T00:00:00+08:00"),
    )
    assert receipt["accepted"] == 1
    assert [(line["position"], line["field"]) for line in receipt["rejected"]] == [
        (2, "goods_fen"), (3, "shop_id"), (4, "shop_id"), (5, "refund_fen"), (6, "confirmed_at"), (7, "confirmed_at"),
        (8, "goods_fen"), (9, "shop_id"), (10, "colour"), (11, "shop_id"),
    ]  # fmt: skip
    assert all(line["reason"] for line in receipt["rejected"])


# ── after-sales ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("ended", "half"),
    [
        ("2026-11-30T23:59:59+08:00", "2026-11-2"),
        ("2026-12-01T00:00:00+08:00", "2026-12-1"),
        ("2026-12-15T23:59:59+08:00", "2026-12-1"),
        ("2026-12-16T00:00:00+08:00", "2026-12-2"),
        ("2026-12-16T00:00:01+08:00", "2026-12-2"),
    ],
)
@pytest.mark.parametrize("first", ["order", "aftersale"])
def test_an_order_with_an_after_sale_is_settled_in_the_first_half_that_is_cut_off_after_its_end(
    office: Office, ended: str, half: str, first: str
) -> None:
    """Ambiguity 48, whichever of the two we hear of first."""
    ours(office)
    kit.at(office, 2026, 12, 17)
    one = order()
    sale = aftersale(one["order_id"], ended_at=ended, refund_fen=2_000)
    for what in (one, sale) if first == "order" else (sale, one):
        (confirm if what is one else after)(office, what)
    assert kit.order_row(one["order_id"]).half == half == kit.aftersale_row(sale["aftersale_id"]).half


def test_an_open_after_sale_keeps_its_order_out_until_it_has_ended(office: Office) -> None:
    """STL-4: and then it is in the first half that is cut off after its end."""
    ours(office)
    one = order()
    sale = aftersale(one["order_id"])
    confirm(office, one, order())
    after(office, sale)
    on_first_of_december(office)
    run(office)
    row = settlement()
    assert (row.paid_fen, row.waiting_orders, row.waiting_fen) == (NET, 1, NET)
    kit.at(office, 2026, 12, 11)
    after(office, sale | {"ended_at": "2026-12-10T12:00:00+08:00", "refund_fen": 4_000, "commission_back_fen": 200})
    assert after(office, sale)["repeated"] == 1  # what is older than its end changes nothing
    kit.at(office, 2026, 12, 16, 4)
    run(office, "2026-12-1")
    assert settlement(half="2026-12-1").due_fen == NET - 4_000 + 200
    kit.sound(office)


def test_an_after_sale_of_an_order_that_was_paid_is_taken_back_in_the_half_of_its_end(office: Office) -> None:
    ours(office)
    one = order()
    confirm(office, one)
    on_first_of_december(office)
    run(office)
    kit.at(office, 2026, 12, 5)
    after(office, aftersale(one["order_id"], opened_at="2026-12-02T10:00:00+08:00"))
    sale = aftersale(
        one["order_id"], opened_at="2026-12-02T10:00:00+08:00", ended_at="2026-12-04T10:00:00+08:00", refund_fen=3_000
    )
    after(office, sale)
    confirm(office, order(confirmed_at="2026-12-03T10:00:00+08:00"))
    kit.at(office, 2026, 12, 16, 4)
    run(office, "2026-12-1")
    assert settlement(half="2026-12-1").due_fen == NET - 3_000
    kit.sound(office)


def test_an_after_sale_that_comes_after_the_draft_takes_its_order_out_of_it(office: Office) -> None:
    ours(office)
    one, other = order(), order()
    confirm(office, one, other)
    on_first_of_december(office)
    case = kit.draft(office)
    assert settlement().paid_fen == 2 * NET
    after(office, aftersale(one["order_id"]))
    assert settlement().paid_fen == NET
    office.decide(case, "wang-fang", "RELEASE")
    assert [payment["amount_fen"] for payment in kit.payments(office)] == [NET]
    kit.sound(office)


def test_a_negative_rest_is_carried_to_the_next_half(office: Office) -> None:
    ours(office)
    one = order()
    confirm(office, one)
    on_first_of_december(office)
    run(office)
    kit.at(office, 2026, 12, 5)
    sale = aftersale(one["order_id"], ended_at="2026-12-04T10:00:00+08:00", refund_fen=10_000)
    after(office, sale)
    kit.at(office, 2026, 12, 16, 4)
    run(office, "2026-12-1")
    row = settlement(half="2026-12-1")
    assert (row.due_fen, row.carried_fen, row.state) == (-10_000, -10_000, SettlementState.CARRIED)
    kit.at(office, 2026, 12, 25)
    confirm(office, order(goods=30_000, confirmed_at="2026-12-20T10:00:00+08:00"))
    kit.at(office, 2027, 1, 1, 4)
    run(office, "2026-12-2")
    row = settlement(half="2026-12-2")
    assert (row.carried_in_fen, row.paid_fen) == (-10_000, 30_000 - 550 - 10_000)
    kit.sound(office)


# ── what is taken before anything is paid ────────────────────────────────────


def test_arrears_are_set_off_first(office: Office) -> None:
    """Ambiguity 49: before anything frozen is kept back and anything is paid."""
    ours(office)
    kit.owe(office, 2_000)
    confirm(office, order())
    on_first_of_december(office)
    run(office)
    row = settlement()
    assert (row.set_off_fen, row.paid_fen) == (2_000, NET - 2_000)
    assert office.balance(AccountKind.ARREARS) == 0
    kit.sound(office)


@pytest.mark.parametrize(("frozen", "paid"), [(3_000, NET - 3_000), (NET, 0), (NET + 1, 0)])
def test_what_the_platform_has_frozen_is_kept_back_and_paid_when_it_is_free_again(
    office: Office, frozen: int, paid: int
) -> None:
    """STL-6, ambiguity 49."""
    ours(office)
    confirm(office, order())
    on_first_of_december(office)
    office.snapshot(freezes=1, frozen_fen=frozen)
    run(office)
    row = settlement()
    assert (row.frozen_fen, row.paid_fen, row.left_fen) == (NET - paid, paid, NET - paid)
    office.snapshot()
    kit.at(office, 2026, 12, 16, 4)
    run(office, "2026-12-1")
    assert settlement(half="2026-12-1").paid_fen == NET - paid
    kit.sound(office)


# ── holds ────────────────────────────────────────────────────────────────────


def test_a_shop_without_an_account_is_held_and_paid_with_the_next_half(office: Office) -> None:
    office.open_shop()
    office.send("settlement.assigned", {"shop_id": "shop-1", "settler": "OFFICE", "since": kit.BEGAN})
    confirm(office, order())
    on_first_of_december(office)
    run(office)
    assert (settlement().hold, settlement().left_fen) == (HoldReason.NO_ACCOUNT, NET)
    kit.set_account(office)
    kit.at(office, 2026, 12, 16, 4)
    run(office, "2026-12-1")
    row = settlement(half="2026-12-1")
    assert (row.brought_fen, row.paid_fen) == (NET, NET)
    kit.sound(office)


def offer(version: str, at: datetime) -> None:
    def work(tx: Tx) -> None:
        tx.add(ShopContract(shop_id="shop-1", version=version, sha256=contracts.sha256_of(CONTRACT), offered_at=at))

    in_transaction(work)


def sign(office: Office) -> None:
    office.send(
        "contract.signed",
        {
            "shop_id": "shop-1",
            "account_id": "acct-shop-1",
            "version": CONTRACT,
            "sha256": contracts.sha256_of(CONTRACT),
            "signed_at": office.clock.at.isoformat(),
        },
    )


def test_nothing_is_paid_before_the_contract_is_signed_and_all_of_it_after(office: Office) -> None:
    """STL-5: the one that was offered last; a signature under an earlier one does not do."""
    ours(office)
    offer("2020-01-01", office.clock.at - timedelta(days=30))
    offer(CONTRACT, office.clock.at)
    confirm(office, order())
    on_first_of_december(office)
    run(office)
    assert (settlement().hold, settlement().paid_fen, settlement().left_fen) == (HoldReason.CONTRACT, 0, NET)
    assert kit.payments(office) == []
    sign(office)
    kit.at(office, 2026, 12, 16, 4)
    run(office, "2026-12-1")
    assert settlement(half="2026-12-1").paid_fen == NET
    kit.sound(office)


def test_nothing_is_paid_while_a_ban_is_proposed_and_all_of_it_when_it_is_dropped(office: Office) -> None:
    """CLS-10, DED-7, ambiguity 24: also where it is proposed after finance has released the half."""
    ours(office)
    confirm(office, order())
    on_first_of_december(office)
    case = kit.draft(office)
    question = office.question(case)
    proposal = office.propose_forced_closure()
    office.answer(question, "wang-fang", "RELEASE", "理由充分")
    assert kit.payments(office) == [] and settlement().hold is HoldReason.PROPOSED and settlement().left_fen == NET
    kit.at(office, 2026, 12, 3)
    office.snapshot()
    office.decide(proposal, "li-na", "DROP", "证据不足")
    kit.at(office, 2026, 12, 16, 4)
    kit.run(office, "2026-12-1")
    assert [one["amount_fen"] for one in kit.payments(office)] == [NET]
    kit.sound(office)


def test_what_the_bank_sent_back_is_not_paid_again_while_a_ban_is_proposed(office: Office) -> None:
    """CLS-10, ambiguity 24"""
    case = kit.sent_back(office)
    office.propose_forced_closure()
    refused = office.answer(office.question(case), "wang-fang", "AGAIN", "账户已恢复")
    assert not refused.accepted and "提议强制关店" in refused.sentence
    assert len(kit.payments(office)) == 1 and "提议强制关店" in read(office.question(case))


def test_what_the_bank_sent_back_is_paid_again_on_facts_that_are_new_enough(office: Office) -> None:
    """CLS-7, ambiguity 27"""
    ours(office)
    confirm(office, order())
    on_first_of_december(office)
    run(office)
    office.platform_answers = False
    office.pass_time(hours=24, seconds=1)
    kit.bank(office, kit.payments(office)[0], "returned", "账户已注销")
    case = kit.return_case()
    assert "距今已超过 24 小时" in read(office.question(case))
    office.decide(case, "wang-fang", "AGAIN", "账户已恢复")
    assert len(kit.payments(office)) == 1
    assert office.events("facts.requested")[-1]["case_id"] == case.id
    office.snapshot(freezes=1, frozen_fen=0)
    assert len(kit.payments(office)) == 1 and "冻结全部货款" in read(office.question(case))
    office.snapshot()
    office.decide(case, "wang-fang", "AGAIN", "已解冻")
    assert [one["amount_fen"] for one in kit.payments(office)] == [NET, NET]
    kit.sound(office)


def test_a_contract_signed_before_the_money_leaves_is_enough(office: Office) -> None:
    ours(office)
    offer(CONTRACT, office.clock.at)
    sign(office)
    confirm(office, order())
    on_first_of_december(office)
    run(office)
    assert settlement().paid_fen == NET


def test_an_account_in_another_name_is_not_paid(office: Office) -> None:
    ours(office, payee={"name": "别人有限公司"})
    confirm(office, order())
    on_first_of_december(office)
    run(office)
    assert settlement().hold is HoldReason.OTHER_NAME
    assert kit.payments(office) == []


@pytest.mark.parametrize("first", ["旧名贸易有限公司", "宁波晨光文具有限公司"])
def test_an_account_is_compared_with_the_name_the_shop_has_now(office: Office, first: str) -> None:
    """STL-1: both ways, in the draft already."""
    ours(office, licence_name=first)
    confirm(office, order())
    office.send(
        "shop.updated",
        {"shop_id": "shop-1", "licence_name": "宁波晨光文具有限公司" if first[0] == "旧" else "新名有限公司"},
    )
    on_first_of_december(office)
    kit.draft(office)
    assert settlement().hold is (HoldReason.NONE if first[0] == "旧" else HoldReason.OTHER_NAME)


@pytest.mark.parametrize(("hours", "hold"), [(24, HoldReason.NONE), (23.999, HoldReason.NEW_ACCOUNT)])
def test_a_changed_account_rests_before_money_goes_there(office: Office, hours: float, hold: HoldReason) -> None:
    ours(office)
    confirm(office, order())
    on_first_of_december(office)
    office.clock.advance(-timedelta(hours=hours))
    kit.set_account(office, account_no="3301040160000129999")
    on_first_of_december(office)
    kit.draft(office)
    assert settlement().hold is hold


def test_an_account_that_came_just_now_is_not_paid_because_sql_says_it_has_rested(office: Office) -> None:
    ours(office)
    confirm(office, order())
    on_first_of_december(office)
    kit.set_account(office, account_no="3301040160000129999")
    write("UPDATE settlement_account SET changed_at = '2026-01-01 00:00:00'")
    run(office)
    assert (settlement().hold, kit.payments(office)) == (HoldReason.NEW_ACCOUNT, [])


@pytest.mark.both
def test_finance_holds_one_shop_out_and_another_person_pays_it_later(office: Office) -> None:
    ours(office)
    ours(office, "shop-2")
    confirm(office, order(), order("shop-2"))
    on_first_of_december(office)
    run(office, hold="shop-1:疑似刷单,待核实")
    assert settlement().hold is HoldReason.FINANCE
    assert [payment["shop_id"] for payment in kit.payments(office)] == ["shop-2"]
    kit.sound(office)
    alone = kit.release_held(office, "wang-fang")
    assert not alone.accepted and "另一位财务" in alone.sentence and len(kit.payments(office)) == 1
    outcome = kit.release_held(office, "chen-jie")
    assert outcome.accepted, outcome.sentence
    assert [payment["shop_id"] for payment in kit.payments(office)] == ["shop-2", "shop-1"]
    assert not kit.release_held(office, "chen-jie").accepted
    kit.sound(office)


# ── returns ──────────────────────────────────────────────────────────────────


def test_nothing_is_paid_out_of_receivables_that_nobody_posted(office: Office) -> None:
    ours(office)
    write("""
        INSERT INTO account (id, shop_id, kind, debit_fen, credit_fen)
        VALUES ('shop/shop-1/receivable', 'shop-1', 'receivable', 0, 1000000)
        """)
    confirm(office, order())
    on_first_of_december(office)
    case = kit.draft(office)
    with pytest.raises(BooksForged):
        office.decide(case, "wang-fang", "RELEASE")
    assert kit.payments(office) == []


@pytest.mark.both
@pytest.mark.parametrize("what", ["failed", "returned"])
def test_what_the_bank_sends_back_goes_to_finance_and_is_paid_once_more(office: Office, what: str) -> None:
    ours(office)
    confirm(office, order())
    on_first_of_december(office)
    run(office)
    (payment,) = kit.payments(office)
    for _ in range(2):
        kit.bank(office, payment, what, "收款账户已销户")
    assert (settlement().state, settlement().left_fen) == (SettlementState.RETURNED, NET)
    assert office.message("settlement_returned")["amount_fen"] == NET
    assert office.balance(AccountKind.RECEIVABLE) == NET
    kit.sound(office)
    kit.set_account(office, account_no="3301040160000129999")
    office.clock.advance(timedelta(hours=24))
    office.sweep()
    case = kit.return_case()
    office.decide(case, "wang-fang", "AGAIN")
    again = kit.payments(office)[-1]
    assert again["request_no"] != payment["request_no"] and again["amount_fen"] == NET
    assert again["payee"]["account_no"].endswith("9999")
    kit.bank(office, again)
    assert office.case(case.id).outcome == "PAID_AGAIN"
    assert settlement().state is SettlementState.PAID
    kit.sound(office)


def test_what_is_left_to_the_next_half_is_brought_on(office: Office) -> None:
    office.decide(kit.sent_back(office), "wang-fang", "DEFER")
    kit.at(office, 2026, 12, 16, 4)
    run(office, "2026-12-1")
    assert settlement(half="2026-12-1").paid_fen == NET
    assert len(kit.payments(office)) == 2
    kit.sound(office)


def test_a_half_does_not_pay_what_a_case_is_still_deciding_about(office: Office) -> None:
    kit.sent_back(office)
    kit.at(office, 2026, 12, 10)
    confirm(office, order(confirmed_at="2026-12-05T10:00:00+08:00"))
    kit.at(office, 2026, 12, 16, 4)
    run(office, "2026-12-1")
    assert settlement(half="2026-12-1").hold is HoldReason.RETURNED
    assert len(kit.payments(office)) == 1
    office.decide(kit.return_case(), "wang-fang", "AGAIN")
    kit.bank(office, kit.payments(office)[-1])
    kit.at(office, 2027, 1, 1, 4)
    run(office, "2026-12-2")
    assert settlement(half="2026-12-2").paid_fen == NET
    assert [payment["amount_fen"] for payment in kit.payments(office)] == [NET, NET, NET]  # one of them came back
    kit.sound(office)
