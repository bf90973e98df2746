"""Deposits: paid, drawn on, set off, demanded (DEP-1 … DEP-11, DED-1 … DED-9)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from models.books import AccountKind
from models.deposits import DeductionReason
from models.shop_events import DepositDeducted
from models.shops import Shop
from office.base.db import in_transaction, reading
from tasks.shops import deposits
from tests.play import Office


def deduct(
    office: Office, fen: int, reason: str = "RULE_VIOLATION", deduction_id: str = "ded-1", **changes: Any
) -> None:
    office.deduct(fen, deduction_id, reason=reason, clause="平台规则", **changes)


def set_off(office: Office, fen: int, set_off_id: str = "set-1") -> None:
    office.send("deposit.set_off", {"shop_id": "shop-1", "set_off_id": set_off_id, "amount_fen": fen})


def test_a_payment_becomes_frozen_deposit_and_the_merchant_is_told_the_balance(office: Office) -> None:
    """DEP-9: nothing leads out of it but what the shop owes and the refund after closing (REF-1)."""
    office.open_shop()
    assert (office.balance(AccountKind.DEPOSIT), office.platform_balance(AccountKind.CASH)) == (400_000, 400_000)
    assert office.message("deposit_paid")["balance_fen"] == 400_000
    set_off(office, 1)
    assert office.refusals()[-1][0] == "DEP-9", "nothing is owed"
    assert office.case(office.request_refund().id).outcome_clause == "REF-1", "the shop is open"
    assert (office.balance(AccountKind.DEPOSIT), office.books()) == (400_000, [])


@pytest.mark.parametrize(("channel", "word"), [("ALIPAY", "支付宝"), ("WECHAT", "微信支付"), ("BANK", "银行转账")])
def test_the_channel_of_a_payment_is_remembered_and_said(office: Office, channel: str, word: str) -> None:
    """DEP-8: what came by Alipay or WeChat goes back that way (REF-8), to the account that paid."""
    office.open_shop(deposit_fen=0)
    office.pay_deposit("shop-1", 400_000, channel, payer_account="13800001234")
    assert office.message("deposit_paid")["channel"] == word
    with reading() as tx:
        back, otherwise = deposits.paid_in(tx, "shop-1")
    assert [(one.method.value, one.fen, one.account_no) for one in back] == (
        [] if channel == "BANK" else [(channel, 400_000, "13800001234")]
    )
    assert otherwise is (channel == "BANK")


def test_the_same_payment_under_another_message_id_is_booked_once(office: Office) -> None:
    office.open_shop(deposit_fen=0)
    office.pay_deposit("shop-1", 400_000, payment_id="pay-x")
    office.pay_deposit("shop-1", 400_000, payment_id="pay-x")
    assert office.balance(AccountKind.DEPOSIT) == 400_000
    assert "未重复入账" in office.refusals()[-1][1]


@pytest.mark.parametrize(
    ("clause", "reason", "account"),
    [
        ("DED-1", "RULE_VIOLATION", AccountKind.PENALTY),
        ("DED-2", "LATE_SHIPMENT", AccountKind.PENALTY),
        ("DED-3", "AFTERSALE_DISPUTE", AccountKind.PENALTY),
        ("DED-4", "PRODUCT_VIOLATION", AccountKind.PENALTY),
        ("DED-5", "ADVANCE_COMPENSATION", AccountKind.COMPENSATION),
    ],
)
def test_a_part_is_deducted_and_goes_where_its_reason_says(
    office: Office, clause: str, reason: str, account: AccountKind
) -> None:
    """DED-1, DED-2, DED-3, DED-4, DED-5: the merchant reads which it is and its clause."""
    office.open_shop()
    deduct(office, 150_000, reason, severe=reason == "PRODUCT_VIOLATION")
    assert (office.balance(AccountKind.DEPOSIT), office.platform_balance(account)) == (250_000, 150_000)
    told = office.message("deposit_deducted")
    assert (told["rule"], told["reason"]) == (clause, DeductionReason(reason).label)
    assert office.balance(AccountKind.ARREARS) == 0
    assert office.books() == []


def test_the_whole_deposit_can_be_deducted(office: Office) -> None:
    office.open_shop()
    deduct(office, 400_000)
    assert (office.balance(AccountKind.DEPOSIT), office.balance(AccountKind.ARREARS)) == (0, 0)


def test_what_exceeds_the_deposit_becomes_arrears(office: Office) -> None:
    office.open_shop()
    deduct(office, 450_000)
    assert (office.balance(AccountKind.DEPOSIT), office.balance(AccountKind.ARREARS)) == (0, 50_000)
    told = office.message("deposit_deducted")
    assert (told["from_deposit_fen"], told["arrears_fen"]) == (400_000, 50_000)
    assert office.books() == []


def test_a_deduction_from_an_empty_deposit_is_all_arrears_and_still_booked_once(office: Office) -> None:
    """DED-5, DED-9"""
    office.open_shop(deposit_fen=0)
    deduct(office, 1_000)
    deduct(office, 1_000)
    assert office.balance(AccountKind.ARREARS) == 1_000
    assert "未重复扣款" in office.refusals()[-1][1]


def test_every_deduction_says_how_to_appeal_or_why_nobody_can(office: Office) -> None:
    """DED-8"""
    office.open_shop()
    deduct(office, 100, deduction_id="a")
    deduct(office, 100, deduction_id="b", appealable=False, not_appealable_reason="商家已书面确认")
    first, second = [
        event["text"] for event in office.events("merchant.message.created") if event["topic"] == "deposit_deducted"
    ]
    assert (
        "申诉中心" not in first and "客服" in first
    )  # DED-8: of these, only what paid a buyer is appealed against there
    assert "商家已书面确认" in second


def test_set_off_pays_arrears_and_nothing_else(office: Office) -> None:
    """DED-9"""
    office.open_shop()
    set_off(office, 1)
    assert office.refusals()[-1][0] == "DEP-9"
    deduct(office, 450_000)
    office.pay_deposit("shop-1", 60_000)
    set_off(office, 50_001, "set-2")
    assert office.refusals()[-1][0] == "DEP-9"
    set_off(office, 50_000, "set-3")
    set_off(office, 50_000, "set-3")
    assert (office.balance(AccountKind.DEPOSIT), office.balance(AccountKind.ARREARS)) == (10_000, 0)
    assert "未重复抵扣" in office.refusals()[-1][1]
    assert office.books() == []


def test_set_off_never_takes_more_than_the_deposit_holds(office: Office) -> None:
    office.open_shop()
    deduct(office, 450_000)
    set_off(office, 50_000)
    assert office.refusals()[-1][0] == "DED-9"
    assert office.balance(AccountKind.ARREARS) == 50_000


def test_arrears_are_paid_up_to_what_is_owed(office: Office) -> None:
    office.open_shop()
    deduct(office, 450_000)
    office.pay_deposit("shop-1", 50_001, purpose="ARREARS")
    assert office.refusals()[-1][0] == "DED-9"
    office.pay_deposit("shop-1", 50_000, purpose="ARREARS")
    assert (office.balance(AccountKind.ARREARS), office.balance(AccountKind.DEPOSIT)) == (0, 0)
    assert office.books() == []


def test_a_shortfall_is_demanded_once_and_again_only_when_it_changes(office: Office) -> None:
    """DEP-11"""
    office.open_shop()
    assert office.events("deposit.topup_demanded") == []
    deduct(office, 100_000, deduction_id="a")
    office.send("shop.updated", {"shop_id": "shop-1", "name": "晨光文具旗舰店"})
    assert [event["shortfall_fen"] for event in office.events("deposit.topup_demanded")] == [100_000]
    deduct(office, 50_000, deduction_id="b")
    assert [event["shortfall_fen"] for event in office.events("deposit.topup_demanded")] == [100_000, 150_000]
    office.pay_deposit("shop-1", 150_000)
    deduct(office, 100_000, deduction_id="c")
    assert len(office.events("deposit.topup_demanded")) == 3
    assert office.told().count("deposit_topup_demanded") == 3


def test_a_dearer_category_demands_the_difference_to_the_dearest_never_the_sum(office: Office) -> None:
    """DEP-2, DEP-3, DEP-5, DEP-6: by the table of each entity type, also where it is more than the typical 5,000."""
    office.open_shop()
    for changes, required in (
        ({"categories": ["服饰", "母婴"]}, 1_000_000),
        ({"entity_type": "INDIVIDUAL_BUSINESS"}, 500_000),
        ({"categories": ["珠宝文玩", "母婴"]}, 2_000_000),
    ):
        office.send("shop.updated", {"shop_id": "shop-1"} | changes)
        demanded = office.events("deposit.topup_demanded")[-1]
        assert (demanded["required_fen"], demanded["shortfall_fen"]) == (required, required - 400_000)


def test_a_category_that_is_not_recruited_changes_nothing(office: Office) -> None:
    """DEP-4: nor does a shop of it come in."""
    office.send(
        "shop.registered",
        {
            "shop_id": "shop-2",
            "name": "珠宝铺",
            "entity_type": "PERSON",
            "owner_account_id": "acct-shop-2",
            "owner_name": "林晓",
            "categories": ["珠宝文玩"],
        },
    )
    assert office.refusals()[-1][0] == "DEP-4"
    office.open_shop(entity_type="PERSON", categories=["厨具"], deposit_fen=50_000)
    office.send("shop.updated", {"shop_id": "shop-1", "categories": ["珠宝文玩"], "name": "新名"})
    assert office.refusals()[-1][0] == "DEP-4"
    assert (office.shop().categories, office.shop().name) == (["厨具"], "晨光文具")


def test_a_closed_shop_is_asked_for_no_more_deposit(office: Office) -> None:
    office.closed_shop()
    deduct(office, 100_000)
    assert office.events("deposit.topup_demanded") == []


def test_who_registers_twice_is_told_how_to_change_instead(office: Office) -> None:
    office.open_shop()
    office.open_shop(deposit_fen=0, name="别名")
    assert "shop.updated" in office.refusals()[0][1]
    assert office.shop().name == "晨光文具"


def test_what_is_set_off_and_paid_of_arrears_is_told_with_amounts_clause_and_way_to_object(office: Office) -> None:
    """DEP-9, DED-8, DED-9"""
    office.open_shop()
    deduct(office, 450_000)
    office.pay_deposit("shop-1", 60_000)
    set_off(office, 20_000)
    set_off(office, 20_000)  # sent again: told once
    office.pay_deposit("shop-1", 30_000, purpose="ARREARS", payment_id="pay-arrears")
    office.pay_deposit("shop-1", 30_000, purpose="ARREARS", payment_id="pay-arrears")
    first, second = office.letters("arrears_reduced")
    for said in ("保证金抵扣", "¥200.00", "尚欠：¥300.00", "保证金余额：¥400.00", "DEP-9", "平台客服"):
        assert said in first, said
    for said in ("补缴欠款", "¥300.00", "尚欠：¥0.00", "DED-9", "平台客服"):
        assert said in second, said


@pytest.mark.parametrize(
    ("clause", "said"),
    [
        ("DED-6", {"reason": "FORCED_CLOSURE"}),
        ("DED-8", {"reason": "LATE_SHIPMENT", "appealable": False}),
        ("DED-8", {"not_appealable_reason": "依据终审判决执行。"}),
    ],
)
def test_a_forfeiture_and_a_deduction_without_one_way_to_object_are_not_taken_at_the_door(
    clause: str, said: dict[str, Any]
) -> None:
    """DED-6, DED-8: forfeiture is decided here; how to appeal or why nobody can, and never both."""
    with pytest.raises(ValidationError, match=clause):
        DepositDeducted.model_validate(DepositDeducted.EXAMPLE | said)


@pytest.mark.parametrize("said", [{}, {"severe": False}], ids=["not said", "not severe"])
def test_a_product_violation_that_is_not_severe_draws_on_no_deposit(said: dict[str, bool]) -> None:
    """DED-4: it takes the product off the shelf, nothing else; the door says why it does not take the message."""
    event = DepositDeducted.EXAMPLE | {"reason": "PRODUCT_VIOLATION"}
    with pytest.raises(ValidationError, match="DED-4"):
        DepositDeducted.model_validate(event | said)
    assert DepositDeducted.model_validate(event | {"severe": True}).severe


def test_a_shop_of_other_orders_than_the_figures_are_for_is_refused_and_stays_as_it_was(office: Office) -> None:
    """DEP-1"""
    office.open_shop(order_type="普通订单")
    office.send("shop.updated", {"shop_id": "shop-1", "name": "改名", "order_type": "预售订单"})
    assert office.refusals()[-1][0] == "DEP-1" and office.shop().name == "晨光文具"
    office.send(
        "shop.registered",
        {
            "shop_id": "shop-2",
            "name": "晨光预售",
            "entity_type": "PERSON",
            "owner_account_id": "acct-2",
            "owner_name": "林晓",
            "categories": ["厨具"],
            "order_type": "预售订单",
        },
    )
    assert office.refusals()[-1][0] == "DEP-1" and "普通订单" in office.refusals()[-1][1]


def test_a_shop_whose_category_is_not_recruited_any_more_may_change_everything_else(office: Office) -> None:
    """DEP-4: only a change of categories or entity type is measured against what is recruited now."""
    office.open_shop(entity_type="PERSON", categories=["厨具"], licence_name="", deposit_fen=50_000)

    def dropped_since(tx: Any) -> None:
        shop = tx.get(Shop, "shop-1")
        shop.categories = ["宠物用品"]
        tx.add(shop)

    in_transaction(dropped_since)
    office.send("shop.updated", {"shop_id": "shop-1", "name": "改名", "auto_deduct": True})
    assert office.shop().name == "改名" and office.refusals() == []
    office.send("shop.updated", {"shop_id": "shop-1", "categories": ["宠物用品", "厨具"]})
    assert office.refusals()[-1][0] == "DEP-4"


@pytest.mark.parametrize(("ago", "taken"), [(1, False), (0, True), (-1, True)])
def test_a_change_that_comes_late_does_not_undo_one_that_happened_after_it(
    office: Office, ago: int, taken: bool
) -> None:
    """Who the owner is decides who applies and who is paid: an update that was held up on its way loses to a newer one."""
    office.open_shop()
    then = office.clock.at + timedelta(hours=1)
    office.clock.advance(timedelta(hours=2))
    office.send("shop.updated", {"shop_id": "shop-1", "owner_account_id": "acct-new"}, happened=then)
    late = then - timedelta(seconds=ago)
    office.send(
        "shop.updated", {"shop_id": "shop-1", "owner_account_id": "acct-old", "auto_deduct": True}, "late", late
    )
    assert office.shop().owner_account_id == ("acct-old" if taken else "acct-new")
    assert office.shop().auto_deduct is taken  # all of it or nothing: its sender reads why
    assert [("owner_account_id" in sentence) for _, sentence in office.refusals()] == [True] * (not taken)
    office.send("shop.updated", {"shop_id": "shop-1", "auto_deduct": False}, "other", late)
    assert office.refusals()[(not taken) :] == []  # about another field nothing newer was said


def test_a_change_from_before_the_shop_was_registered_changes_nothing(office: Office) -> None:
    office.open_shop()
    office.send("shop.updated", {"shop_id": "shop-1", "name": "旧名"}, happened=office.clock.at - timedelta(days=2))
    assert office.shop().name != "旧名" and len(office.refusals()) == 1
