"""A deposit that came in several ways goes back several ways: one case, an instruction for each account (25, 29)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from models.books import AccountKind
from models.cases import Case
from models.messages import Channel
from models.payouts import Payout, PayoutState, Permit
from office.base.db import reading
from office.cases.gates import OPEN
from tasks.sight import proof
from tests.deaths import Died, mortal
from tests.invoicing import kit
from tests.play import PAYEE, Office
from tests.reading import read

ALIPAY = {"method": "ALIPAY", "name": "林晓", "account_no": "13800001234", "bank_name": ""}
WECHAT = {"method": "WECHAT", "name": "林晓", "account_no": "wx-linxiao-77", "bank_name": ""}


def two_ways(office: Office, **payment: Any) -> str:
    """A closed shop whose deposit of ¥4,000 came half by Alipay, half by WeChat, both from the owner."""
    office.open_shop(deposit_fen=0)
    for payee in (ALIPAY, WECHAT):
        office.pay_deposit(
            "shop-1", 200_000, payee["method"], payer_account=payee["account_no"], payer_name="林晓", **payment
        )
    return close(office)


def close(office: Office) -> str:
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE")
    if office.case(case.id).state == "SECOND_REVIEW":
        office.decide(case, "he-qiang", "CONFIRM", write_off=True)
    office.snapshot()
    assert office.case(case.id).outcome == "CLOSED"
    return "shop-1"


def orders(office: Office) -> list[tuple[str, str, int]]:
    """What the bank was told to pay: by which method, to which account, how much."""
    return [
        (order["payee"]["method"], order["payee"]["account_no"], order["amount_fen"])
        for order in office.events("deposit.payout.requested")
    ]


def payouts_of(case: Case) -> list[Payout]:
    with reading() as tx:
        rows = list(tx.exec(select(Payout).where(Payout.case_id == case.id).order_by(col(Payout.attempt))))
        tx.expunge_all()
        return rows


def whole(office: Office) -> None:
    """Books, chains and the proof across payouts and cases."""
    assert office.books() == [] == office.chains()
    with reading() as tx:
        assert list(proof.check(tx)) == []


def test_each_channel_gets_back_what_came_in_through_it_and_the_case_ends_when_all_have_arrived(office: Office) -> None:
    two_ways(office)
    case = office.request_refund(payee=ALIPAY)
    dossier = read(office.question(case))
    assert "**¥2,000.00** 至 **支付宝 尾号 1234**" in dossier and "**¥2,000.00** 至 **微信支付 尾号 o-77**" in dossier
    office.decide(case, "wang-fang", "APPROVE")
    assert orders(office) == [("ALIPAY", "13800001234", 200_000), ("WECHAT", "wx-linxiao-77", 200_000)]
    assert office.message("refund_approved")["shares"] == [
        {"amount_fen": 200_000, "payee": "支付宝 尾号 1234"},
        {"amount_fen": 200_000, "payee": "微信支付 尾号 o-77"},
    ]
    with reading() as tx:
        permits = [(one.attempt, one.amount_fen, one.granted_by) for one in tx.exec(select(Permit))]
    assert permits == [(1, 200_000, "wang-fang"), (2, 200_000, "wang-fang")]
    office.bank(f"{case.id}-P1", fen=200_000)
    assert office.case(case.id).state == "PAYING" and office.told(case)[-1] == "refund_approved"
    office.bank(f"{case.id}-P2", fen=200_000)
    assert office.case(case.id).outcome == "REFUNDED"
    assert office.message("refund_settled")["amount_fen"] == 400_000
    whole(office)


def test_a_return_of_one_reopens_only_that_ones_way(office: Office) -> None:
    two_ways(office)
    case = office.request_refund(payee=ALIPAY)
    office.decide(case, "wang-fang", "APPROVE")
    office.bank(f"{case.id}-P1", fen=200_000)
    office.bank(f"{case.id}-P2", "returned", fen=200_000, reason="账户已注销")
    assert office.balance(AccountKind.DEPOSIT) == 200_000
    review = office.question(case)
    assert review.gate == "refund-returned" and "待退还" not in read(review)
    office.decide(case, "wang-fang", "AGAIN")
    office.decide(case, "wang-fang", "APPROVE")
    assert orders(office)[2:] == [("WECHAT", "wx-linxiao-77", 200_000)]
    office.bank(f"{case.id}-P3", fen=200_000)
    assert office.case(case.id).outcome == "REFUNDED"
    assert [(row.turn, row.state) for row in payouts_of(case)] == [
        (1, PayoutState.SETTLED),
        (1, PayoutState.RETURNED),
        (2, PayoutState.SETTLED),
    ]
    whole(office)


@pytest.mark.parametrize("first", [1, 2])
def test_a_return_after_the_end_takes_up_that_way_and_later_the_other(office: Office, first: int) -> None:
    two_ways(office)
    case = office.request_refund(payee=ALIPAY)
    office.decide(case, "wang-fang", "APPROVE")
    for number in (1, 2):
        office.bank(f"{case.id}-P{number}", fen=200_000)
    for again, number in enumerate((first, 3 - first), start=3):
        office.bank(f"{case.id}-P{number}", "returned", fen=200_000)
        assert office.case(case.id).state == "UNDER_REVIEW"
        office.decide(case, "wang-fang", "AGAIN")
        office.decide(case, "wang-fang", "APPROVE")
        office.bank(f"{case.id}-P{again}", fen=200_000)
        assert office.case(case.id).outcome == "REFUNDED"
    assert sorted(account for _, account, _ in orders(office)[2:]) == ["13800001234", "wx-linxiao-77"]
    whole(office)


def test_one_fen_from_somebodys_alipay_makes_them_payee_of_one_fen(office: Office) -> None:
    office.open_shop()
    office.pay_deposit("shop-1", 1, "ALIPAY", payer_account="13900009999", payer_name="张三")
    close(office)
    stranger = ALIPAY | {"account_no": "13900009999", "name": "张三"}
    case = office.request_refund(fen=400_001, payee=stranger)
    office.decide(case, "wang-fang", "APPROVE")
    assert office.case(case.id).state == "SECOND_REVIEW"  # all of it there is a deviating payee
    office.decide(case, "chen-jie", "REJECT", "请按规则填写收款账户")
    case = office.request_refund(fen=400_001, payee=PAYEE, other_payees=[stranger])
    office.decide(case, "wang-fang", "APPROVE")
    assert orders(office) == [
        ("CORPORATE_ACCOUNT", PAYEE["account_no"], 400_000),
        ("ALIPAY", "13900009999", 1),
    ]


@pytest.mark.parametrize("name", ["林晓", "李四"])
@pytest.mark.parametrize("method", ["ALIPAY", "WECHAT"])
def test_name_method_and_account_are_compared_with_who_paid(office: Office, method: str, name: str) -> None:
    office.open_shop(deposit_fen=0)
    office.pay_deposit("shop-1", 400_000, "ALIPAY", payer_account="13800001234", payer_name="林晓")
    close(office)
    case = office.request_refund(payee=ALIPAY | {"method": method, "name": name})
    office.decide(case, "wang-fang", "APPROVE")
    proper = (method, name) == ("ALIPAY", "林晓")
    assert office.case(case.id).state == ("PAYING" if proper else "SECOND_REVIEW")


def test_the_merchant_corrects_the_way_that_came_back_and_two_people_look_at_it(office: Office) -> None:
    two_ways(office)
    case = office.request_refund(payee=ALIPAY)
    office.decide(case, "wang-fang", "APPROVE")
    office.bank(f"{case.id}-P1", fen=200_000)
    office.bank(f"{case.id}-P2", "failed", fen=200_000, reason="账户已注销")
    office.decide(case, "wang-fang", "ASK_PAYEE")
    needed = office.message("refund_payee_needed")
    assert (needed["amount_fen"], needed["payee"]) == (200_000, "微信支付 尾号 o-77")
    office.correct_payee(case)
    office.decide(case, "wang-fang", "APPROVE")
    assert office.case(case.id).state == "SECOND_REVIEW"  # WeChat money to a bank account
    office.decide(case, "chen-jie", "CONFIRM")
    assert orders(office)[2:] == [("CORPORATE_ACCOUNT", PAYEE["account_no"], 200_000)]
    office.bank(f"{case.id}-P3", fen=200_000)
    assert office.case(case.id).outcome == "REFUNDED"
    whole(office)


def test_what_came_back_may_be_taken_back_and_stays_in_the_deposit(office: Office) -> None:
    two_ways(office)
    case = office.request_refund(payee=ALIPAY)
    office.decide(case, "wang-fang", "APPROVE")
    office.bank(f"{case.id}-P1", "failed", fen=200_000)
    office.withdraw(case)
    assert "不能撤回" in office.refusals()[-1][1]  # the other half is still on its way
    office.bank(f"{case.id}-P2", fen=200_000)
    office.withdraw(case)
    assert office.case(case.id).outcome == "WITHDRAWN"
    assert office.balance(AccountKind.DEPOSIT) == 200_000
    whole(office)


def half_paid_and_over(office: Office, how: str) -> Case:
    """One of two accounts was paid, the other came back, and the application ended so."""
    two_ways(office)
    case = office.request_refund(payee=ALIPAY)
    office.decide(case, "wang-fang", "APPROVE")
    office.bank(f"{case.id}-P1", fen=200_000)
    office.bank(f"{case.id}-P2", "failed", fen=200_000)
    if how == "WITHDRAWN":
        office.withdraw(case)
    elif how == "ABANDONED":
        office.decide(case, "wang-fang", "ABANDON")
    elif how == "LAPSED":
        office.decide(case, "wang-fang", "ASK_PAYEE")
        office.pass_time(days=8)
    else:
        office.decide(case, "wang-fang", "AGAIN")
        office.decide(case, "wang-fang", "REJECT", "资料有误")
    assert office.case(case.id).outcome == how
    return case


@pytest.mark.parametrize("how", ["WITHDRAWN", "ABANDONED", "LAPSED", "REJECTED"])
def test_a_part_that_the_bank_returns_when_the_refund_is_over_is_told_to_merchant_and_finance(
    office: Office, how: str
) -> None:
    """REF-3: it is in the deposit again, no case takes it up by itself, and it can be asked for once more."""
    case = half_paid_and_over(office, how)
    assert [one["amount_fen"] for one in office.messages("refund_rejected")] in ([], [200_000])  # what was not paid
    for _ in range(2):
        office.bank(f"{case.id}-P1", "returned", fen=200_000, reason="账户已注销")
    told = office.message("refund_came_back")
    assert (told["amount_fen"], told["bank_reason"], told["case_id"]) == (200_000, "账户已注销", case.id)
    assert "重新申请" in told["then"] and office.staff_told("payment_came_back") == ["finance"]
    assert office.case(case.id).outcome == how and office.balance(AccountKind.DEPOSIT) == 400_000
    assert office.case(office.request_refund(payee=ALIPAY).id).state == "UNDER_REVIEW"
    whole(office)


def test_a_part_returned_after_a_ban_of_a_refund_that_was_over_is_forfeited_and_told_so(office: Office) -> None:
    """REF-10, DED-6"""
    case = half_paid_and_over(office, "ABANDONED")
    proposal = office.propose_forced_closure()
    for who in ("li-na", "he-qiang"):
        office.decide(proposal, who, "CONFIRM", "售假属实")
    office.bank(f"{case.id}-P1", "returned", fen=200_000)
    assert "不予退还" in office.message("refund_came_back")["then"]
    assert "已罚没" in office.messages("payment_came_back", Channel.STAFF)[0]["then"]
    assert office.balance(AccountKind.DEPOSIT) == 0
    whole(office)


@pytest.mark.parametrize("number", [1, 3])
def test_whichever_share_of_a_paid_refund_the_bank_returns_after_a_ban_nobody_is_asked_to_pay_it_again(
    office: Office, number: int
) -> None:
    """CLS-10, REF-10, DED-6: that of the first turn as that of the last; it is forfeited, and finance hears of it."""
    two_ways(office)
    case = office.request_refund(payee=ALIPAY)
    office.decide(case, "wang-fang", "APPROVE")
    office.bank(f"{case.id}-P1", fen=200_000)
    office.bank(f"{case.id}-P2", "failed", fen=200_000)
    office.decide(case, "wang-fang", "AGAIN")
    office.decide(case, "wang-fang", "APPROVE")
    office.bank(f"{case.id}-P3", fen=200_000)
    assert office.case(case.id).outcome == "REFUNDED"
    kit.settle_receivable(office, 100)
    proposal = office.propose_forced_closure()
    for who in ("li-na", "he-qiang"):
        office.decide(proposal, who, "CONFIRM", "售假属实")
    office.bank(f"{case.id}-P{number}", "returned", fen=200_000)
    assert office.case(case.id).outcome == "REJECTED" and office.balance(AccountKind.DEPOSIT) == 0
    assert [review.gate for review in office.reviews(case) if review.state in OPEN] == []
    assert office.message("refund_rejected")["amount_fen"] == 200_000  # the other half is theirs
    assert "已罚没" in office.messages("payment_came_back", Channel.STAFF)[0]["then"]
    whole(office)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", ["refunds.grant", "refunds.pay", "refunds.settle"])
def test_wherever_the_worker_dies_every_account_is_paid_once(office: Office, at: str, when: str) -> None:
    two_ways(office)
    case = office.request_refund(payee=ALIPAY)
    with mortal(lambda moment, key: moment == when and at in key):
        try:
            office.decide(case, "wang-fang", "APPROVE")
            for number in (1, 2):
                office.bank(f"{case.id}-P{number}", fen=200_000)
        except Died:
            office.carrier.faults.clear()
    office.clock.advance(timedelta(seconds=61))
    office.settle()
    for number in (1, 2):
        office.bank(f"{case.id}-P{number}", fen=200_000)
    assert office.case(case.id).outcome == "REFUNDED"
    assert len(orders(office)) == 2 and office.told(case).count("refund_settled") == 1
    whole(office)


def test_half_paid_permits_of_a_changed_plan_are_taken_back(office: Office) -> None:
    two_ways(office)
    case = office.request_refund(payee=ALIPAY)
    with mortal(lambda moment, key: moment == "after" and "refunds.grant" in key), pytest.raises(Died):
        office.decide(case, "wang-fang", "APPROVE")
    office.correct_payee(case, **WECHAT | {"name": "王五"})
    assert orders(office) == []
    assert (office.question(case).gate, office.question(case).round) == ("refund-review", 2)
    with reading() as tx:
        assert list(tx.exec(select(Permit))) == []


# ── arrears ──


def owing(office: Office, fen: int = 100_000, deposit: int = 400_000) -> None:
    """A closed shop that owes in our books and has a deposit again."""
    office.open_shop(deposit_fen=10_000)
    office.deduct(10_000 + fen, reason="ADVANCE_COMPENSATION", clause="先行赔付规则第五条")
    office.pay_deposit("shop-1", deposit)
    close(office)


def test_arrears_are_set_off_first_as_the_dossier_says_and_the_merchant_is_told(office: Office) -> None:
    owing(office)
    case = office.request_refund()
    assert "先抵扣欠款 ¥1,000.00，退还 ¥3,000.00" in read(office.question(case))
    approve(office, case)
    assert orders(office) == [("CORPORATE_ACCOUNT", PAYEE["account_no"], 300_000)]
    assert (office.balance(AccountKind.ARREARS), office.balance(AccountKind.DEPOSIT)) == (0, 0)
    told = office.message("refund_approved")
    assert (told["set_off_fen"], told["amount_fen"]) == (100_000, 300_000)
    office.bank(f"{case.id}-P1", "returned", fen=300_000)
    assert office.balance(AccountKind.DEPOSIT) == 300_000
    office.decide(case, "wang-fang", "AGAIN")
    approve(office, case)
    office.bank(f"{case.id}-P2", fen=300_000)
    assert office.case(case.id).outcome == "REFUNDED"
    whole(office)


def approve(office: Office, case: Case) -> None:
    """The first person, and the second where one is needed."""
    office.decide(case, "wang-fang", "APPROVE")
    if office.case(case.id).state == "SECOND_REVIEW":
        office.decide(case, "chen-jie", "CONFIRM")


def test_arrears_that_come_between_the_approval_and_the_payment_are_previewed_to_everybody_first(
    office: Office,
) -> None:
    office.closed_shop(deposit_fen=2_000_000)
    case = office.request_refund(fen=2_000_000)
    office.decide(case, "wang-fang", "APPROVE")
    office.deduct(2_500_000, reason="ADVANCE_COMPENSATION", clause="先行赔付规则第五条")
    office.pay_deposit("shop-1", 2_000_000)
    late = office.answer(office.question(case), "chen-jie", "CONFIRM", "同意")
    assert not late.accepted and orders(office) == []
    assert "先抵扣欠款 ¥5,000.00，退还 ¥15,000.00" in read(office.question(case))
    assert office.question(case).gate == "refund-review"


def test_nobody_approves_over_arrears_that_the_platform_reports(office: Office) -> None:
    office.closed_shop()
    office.snapshot(arrears_fen=1)
    case = office.request_refund()
    for _ in range(2):
        refused = office.answer(office.question(case), "wang-fang", "APPROVE", "已与商家约定")
        assert not refused.accepted and "REF-9" in refused.sentence
    office.snapshot()
    office.decide(case, "wang-fang", "APPROVE")
    assert office.case(case.id).state == "PAYING"


def test_a_refund_that_arrears_eat_up_is_refused_at_the_door_or_blocked_later(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    office.deduct(900_000, reason="ADVANCE_COMPENSATION", clause="先行赔付规则第五条")
    office.pay_deposit("shop-1", 400_000)
    refused = office.answer(office.question(case), "wang-fang", "APPROVE", "照退")
    assert not refused.accepted
    office.decide(case, "wang-fang", "REJECT", "欠款未清")
    again = office.case(office.request_refund(fen=1).id)
    assert (again.outcome, again.outcome_clause) == ("REFUSED", "REF-9")
