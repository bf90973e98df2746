"""Returning a deposit, from the application to money that has arrived (REF-1 … REF-11)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from models.books import AccountKind, Transfer
from models.cases import Case, DeadlineState
from models.payouts import Order, Payee, PayeeMethod, Permit
from models.reviews import Review
from models.shops import ShopState
from office.base.db import in_transaction, reading
from office.cases import routing
from office.cases.locks import lock_case
from tasks.payouts import payouts, permits
from tasks.payouts.payouts import PermitRefused
from tasks.refund import review
from tasks.sight import proof
from tests.core.sql import said
from tests.deaths import Died, mortal
from tests.play import PAPERS, PAYEE, SILENCE, Office
from tests.reading import read

OTHER_ACCOUNT = {"account_no": "3301040160000125678"}


def test_finance_approves_the_bank_pays_and_the_case_ends(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    assert "将退还 **¥4,000.00** 至 **对公账户 尾号 1234**" in read(office.question(case))
    office.decide(case, "wang-fang", "APPROVE")
    assert [order["amount_fen"] for order in office.events("deposit.payout.requested")] == [400_000]
    assert office.platform_balance(AccountKind.CLEARING) == 400_000
    office.bank(f"{case.id}-P1")
    assert office.case(case.id).outcome == "REFUNDED"
    assert office.told(case) == ["refund_received", "refund_approved", "refund_settled"]
    assert (office.balance(AccountKind.DEPOSIT), office.platform_balance(AccountKind.CASH)) == (0, 0)
    assert office.deadline(case, "refund-due").state is DeadlineState.MET
    assert office.books() == [] == office.chains()


def test_a_part_of_the_deposit_may_be_asked_back_and_the_rest_stays(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund(fen=100_000)
    office.decide(case, "wang-fang", "APPROVE")
    office.bank(f"{case.id}-P1", fen=100_000)
    assert office.case(case.id).outcome == "REFUNDED"
    assert office.balance(AccountKind.DEPOSIT) == 300_000


# ── refused ──


@pytest.mark.parametrize("state", ["open", "clearing"])
def test_before_the_shop_is_closed_nothing_is_refunded(office: Office, state: str) -> None:
    office.open_shop()
    if state == "clearing":
        office.decide(office.request_closure(), "li-na", "APPROVE")
    case = office.case(office.request_refund().id)
    assert (case.outcome, case.outcome_clause) == ("REFUSED", "REF-1")
    assert office.told(case) == ["refund_refused"]


def test_after_a_forced_closure_the_refund_is_refused_with_its_clause(office: Office) -> None:
    office.open_shop()
    forced = office.propose_forced_closure()
    office.decide(forced, "li-na", "CONFIRM")
    office.decide(forced, "he-qiang", "CONFIRM")
    case = office.case(office.request_refund().id)
    assert (case.outcome, case.outcome_clause) == ("REFUSED", "REF-10")


def test_only_the_owner_account_may_ask_the_deposit_back(office: Office) -> None:
    office.closed_shop()
    case = office.case(office.request_refund(account_id="acct-somebody").id)
    assert (case.outcome, case.outcome_clause) == ("REFUSED", "REF-6")


def test_more_than_the_balance_is_refused_to_the_fen(office: Office) -> None:
    office.closed_shop()
    assert office.case(office.request_refund(fen=400_001).id).outcome_clause == "REF-6"
    assert office.case(office.request_refund(fen=400_000).id).state == "UNDER_REVIEW"


def test_a_second_application_is_refused_while_the_first_is_under_way_and_names_it(office: Office) -> None:
    office.closed_shop()
    first = office.request_refund(fen=1)
    second = office.case(office.request_refund(fen=1).id)
    assert (second.outcome, second.outcome_clause) == ("REFUSED", "REF-7")
    assert first.id in (second.outcome_text or "")


def test_what_the_bank_sends_back_later_goes_before_an_application_made_since(office: Office) -> None:
    """REF-7: one refund at a time; nobody approves the second over the first, not two people either."""
    office.closed_shop()
    first = office.request_refund(fen=100_000)
    office.decide(first, "wang-fang", "APPROVE")
    office.bank(f"{first.id}-P1", fen=100_000)
    second = office.request_refund(fen=200_000)
    office.bank(f"{first.id}-P1", "returned", fen=100_000, reason="账户已销户")
    assert office.question(first).gate == "refund-returned"
    for person in ("wang-fang", "chen-jie"):
        refused = office.answer(office.question(second), person, "APPROVE", "可以退")
        assert not refused.accepted
    assert "REF-7" in refused.sentence and first.id in refused.sentence
    office.decide(first, "wang-fang", "ABANDON", "商家不再要求")
    office.decide(second, "wang-fang", "APPROVE")
    office.bank(f"{second.id}-P1", fen=200_000)
    assert office.case(second.id).outcome == "REFUNDED"
    assert office.books() == [] == office.chains()


def test_a_return_while_the_second_is_with_the_bank_waits_for_the_banks_answer(office: Office) -> None:
    """REF-7"""
    office.closed_shop()
    first = office.request_refund(fen=100_000)
    office.decide(first, "wang-fang", "APPROVE")
    office.bank(f"{first.id}-P1", fen=100_000)
    second = office.request_refund(fen=200_000)
    office.decide(second, "wang-fang", "APPROVE")
    office.bank(f"{first.id}-P1", "returned", fen=100_000, reason="账户已销户")
    office.decide(first, "wang-fang", "AGAIN")
    assert "REF-7" in office.answer(office.question(first), "wang-fang", "APPROVE", "再付一次").sentence
    office.bank(f"{second.id}-P1", fen=200_000)
    office.decide(first, "wang-fang", "APPROVE", "再付一次")
    if office.case(first.id).state == "SECOND_REVIEW":
        office.decide(first, "chen-jie", "CONFIRM", "再付一次")
    office.bank(f"{first.id}-P2", fen=100_000)
    assert [office.case(one.id).outcome for one in (first, second)] == ["REFUNDED", "REFUNDED"]
    assert office.books() == [] == office.chains()


def test_a_deposit_is_not_returned_while_a_settlement_cycle_is_unpaid_whoever_says_so(office: Office) -> None:
    """REF-9: a gate like arrears, of the same sentence; it opens when the platform reports the cycle paid."""
    office.closed_shop()
    office.snapshot(unsettled_payouts=1, unsettled_payout_fen=100)
    case = office.request_refund()
    for person in ("wang-fang", "chen-jie"):
        refused = office.answer(office.question(case), person, "APPROVE", "差额很小")
        assert not refused.accepted and "REF-9" in refused.sentence
    office.snapshot()
    office.decide(case, "wang-fang", "APPROVE")
    assert office.case(case.id).state == "PAYING"


def test_a_deposit_that_was_returned_cannot_be_returned_again(office: Office) -> None:
    paid_out(office)
    case = office.case(office.request_refund().id)
    assert (case.outcome, case.outcome_clause) == ("REFUSED", "REF-8")


# ── decided ──


def test_a_rejection_leaves_the_money_and_a_new_application_is_possible(office: Office) -> None:
    """REF-11"""
    office.closed_shop()
    case = office.request_refund()
    office.decide(case, "wang-fang", "REJECT", "户名与执照不符")
    assert office.case(case.id).outcome == "REJECTED"
    assert office.message("refund_rejected")["reason"] == "户名与执照不符"
    assert office.balance(AccountKind.DEPOSIT) == 400_000
    assert office.case(office.request_refund().id).state == "UNDER_REVIEW"


def test_a_payee_that_deviates_takes_a_second_finance_person(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund(payee=PAYEE | {"method": "BANK_CARD", "name": "林晓"})
    office.decide(case, "wang-fang", "APPROVE")
    assert office.case(case.id).state == "SECOND_REVIEW"
    assert office.events("deposit.payout.requested") == []
    same = office.answer(office.question(case), "wang-fang", "CONFIRM", "没问题")
    assert not same.accepted and "四眼" in same.sentence
    office.decide(case, "chen-jie", "CONFIRM")
    assert office.case(case.id).state == "PAYING"
    with reading() as tx:
        assert tx.exec(select(Permit.granted_by)).one() == "wang-fang,chen-jie"


@pytest.mark.parametrize(("fen", "second"), [(1_000_000, False), (1_000_001, True)])
def test_over_ten_thousand_yuan_takes_a_second_finance_person(office: Office, fen: int, second: bool) -> None:
    office.closed_shop(deposit_fen=2_000_000)
    case = office.request_refund(fen=fen)
    office.decide(case, "wang-fang", "APPROVE")
    assert office.case(case.id).state == ("SECOND_REVIEW" if second else "PAYING")


@pytest.mark.parametrize(("fen", "second"), [(600_000, False), (600_001, True)])
def test_a_large_refund_in_several_small_parts_takes_a_second_person_too(
    office: Office, fen: int, second: bool
) -> None:
    office.closed_shop(deposit_fen=2_000_000)
    returned, paid = office.request_refund(fen=400_000), "wang-fang"
    office.decide(returned, paid, "APPROVE")
    office.bank(f"{returned.id}-P1", "failed")  # money that did not go out does not count
    office.decide(returned, paid, "ABANDON")
    first = office.request_refund(fen=400_000)
    office.decide(first, paid, "APPROVE")
    office.bank(f"{first.id}-P1")
    case = office.request_refund(fen=fen)
    office.decide(case, paid, "APPROVE")
    assert office.case(case.id).state == ("SECOND_REVIEW" if second else "PAYING")
    if second:
        assert "已退还的 ¥4,000.00 共 ¥10,000.01" in read(office.question(case))


def test_the_second_person_may_reject(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund(payee=PAYEE | {"name": "别的公司"})
    office.decide(case, "wang-fang", "APPROVE")
    office.decide(case, "chen-jie", "REJECT", "户名不一致,请商家说明")
    assert office.case(case.id).outcome == "REJECTED"
    assert office.balance(AccountKind.DEPOSIT) == 400_000


def test_conditions_that_are_not_met_take_a_reason_and_a_second_person(office: Office) -> None:
    office.closed_shop()
    office.snapshot(penalties=[{"id": "p-1", "kind": "虚假发货", "settled": True}])
    case = office.request_refund()
    silent = office.answer(office.question(case), "wang-fang", "APPROVE")
    assert not silent.accepted and "REF-2" in silent.sentence
    office.decide(case, "wang-fang", "APPROVE", "处罚已执行完毕")
    assert office.case(case.id).state == "SECOND_REVIEW"
    office.decide(case, "chen-jie", "CONFIRM", "同意")
    assert office.case(case.id).state == "PAYING"


@pytest.mark.parametrize(("now", "blocked"), [(4, True), (3, False), (2, False)])
def test_what_was_written_off_at_closure_covers_what_was_open_then_and_nothing_more(
    office: Office, now: int, blocked: bool
) -> None:
    office.open_shop()
    office.snapshot(open_aftersales=3)
    closing = office.request_closure()
    office.decide(closing, "li-na", "APPROVE", "金额很小")
    office.decide(closing, "he-qiang", "CONFIRM", "核销", write_off=True)
    office.snapshot(open_aftersales=3)
    assert office.case(closing.id).outcome == "CLOSED"
    office.snapshot(open_aftersales=now)
    case = office.request_refund()
    assert (f"还有 {now} 笔售后未完结" in read(office.question(case))) is blocked
    assert office.answer(office.question(case), "wang-fang", "APPROVE").accepted is not blocked


def test_missing_papers_are_asked_for_named_and_taken_from_the_answer(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund(documents=PAPERS[:1])
    assert "对公账户开户证明" in read(office.question(case))
    office.decide(case, "wang-fang", "ASK", "请补充开户证明")
    assert office.message("refund_question")["missing"] == ["对公账户开户证明"]
    office.merchant_answers(case, "已补充", PAPERS[1])
    review = office.question(case)
    assert review.round == 2 and "退款资料不齐" not in read(review).split("检查结果")[1]
    assert "已消除:退款资料不齐" in read(review)
    office.decide(case, "wang-fang", "APPROVE")
    assert office.case(case.id).state == "PAYING"


@pytest.mark.parametrize(("late", "state"), [(-1, "UNDER_REVIEW"), (0, "UNDER_REVIEW"), (1, "LAPSED")])
def test_papers_count_until_the_due_second_and_not_one_later(office: Office, late: int, state: str) -> None:
    office.closed_shop()
    case = office.request_refund(documents=[])
    office.decide(case, "wang-fang", "ASK", "请补充材料")
    office.clock.at = office.deadline(case, "merchant-answer/1").due_at + timedelta(seconds=late)
    office.merchant_answers(case, "", *PAPERS)
    office.pass_time(seconds=SILENCE.seconds)
    assert office.case(case.id).state == state
    if state == "LAPSED":
        assert office.told(case)[-1] == "refund_question_lapsed"
        assert office.balance(AccountKind.DEPOSIT) == 400_000


# ── the bank ──


def test_a_returned_payment_is_paid_again_to_the_corrected_payee_in_the_same_case(office: Office) -> None:
    case = with_the_bank(office)
    assert office.balance(AccountKind.DEPOSIT) == 0
    office.bank(f"{case.id}-P1", "returned", reason="账户已销户")
    assert office.balance(AccountKind.DEPOSIT) == 400_000
    assert "账户已销户" in read(office.question(case))
    office.decide(case, "wang-fang", "ASK_PAYEE")
    assert office.message("refund_payee_needed")["bank_reason"] == "账户已销户"
    office.correct_payee(case, **OTHER_ACCOUNT)
    assert "尾号 5678" in read(office.question(case))
    office.decide(case, "wang-fang", "APPROVE")
    office.bank(f"{case.id}-P2")
    assert office.case(case.id).outcome == "REFUNDED"
    assert [order["request_no"] for order in office.events("deposit.payout.requested")] == [
        f"{case.id}-P1",
        f"{case.id}-P2",
    ]
    assert office.platform_balance(AccountKind.CASH) == 0 == office.platform_balance(AccountKind.CLEARING)
    assert office.books() == [] == office.chains()


@pytest.mark.parametrize("answer", ["failed", "returned"])
def test_whether_the_bank_refuses_or_returns_the_money_is_in_the_deposit_again(office: Office, answer: str) -> None:
    case = with_the_bank(office)
    office.bank(f"{case.id}-P1", answer, reason="户名不符")
    assert office.balance(AccountKind.DEPOSIT) == 400_000
    assert (office.platform_balance(AccountKind.CASH), office.platform_balance(AccountKind.CLEARING)) == (400_000, 0)
    office.decide(case, "wang-fang", "AGAIN")
    office.decide(case, "chen-jie", "APPROVE")
    office.bank(f"{case.id}-P2")
    assert office.case(case.id).outcome == "REFUNDED"
    assert office.books() == []


def test_a_return_that_follows_the_settlement_takes_the_same_case_up_again(office: Office) -> None:
    case = paid_out(office)
    office.bank(f"{case.id}-P1", "returned", reason="退票")
    again = office.case(case.id)
    assert (again.outcome, again.state) == (None, "UNDER_REVIEW")
    assert office.balance(AccountKind.DEPOSIT) == 400_000 == office.platform_balance(AccountKind.CASH)
    office.decide(case, "wang-fang", "ASK_PAYEE")
    office.correct_payee(case, **OTHER_ACCOUNT)
    office.decide(case, "wang-fang", "APPROVE")
    office.bank(f"{case.id}-P2")
    assert office.case(case.id).outcome == "REFUNDED"
    assert office.told(case).count("refund_settled") == 2
    assert office.books() == [] == office.chains()


def test_a_return_that_follows_the_settlement_sets_the_seven_working_days_running_again(office: Office) -> None:
    case = paid_out(office)
    due = office.deadline(case, "refund-due").due_at
    office.bank(f"{case.id}-P1", "returned", reason="退票")
    assert office.deadline(case, "refund-due").state is DeadlineState.OPEN
    office.clock.at = due
    office.sweep()
    assert office.told(case).count("refund_late") == 1


def test_a_case_taken_up_again_is_carried_by_whichever_run_comes_next(office: Office) -> None:
    case = paid_out(office)
    office.receive(
        "payout.returned",
        {
            "shop_id": "shop-1",
            "request_no": f"{case.id}-P1",
            "amount_fen": 400_000,
            "at": office.clock.at.isoformat(),
        },
    )
    routing.route_due()
    assert office.case(case.id).run_id is None  # the run that ended it does not stand in the next one's way
    office.settle()
    assert (office.case(case.id).run_attempt, office.question(case).gate) == (2, "refund-returned")


def test_the_same_answer_again_changes_nothing(office: Office) -> None:
    case = paid_out(office)
    before = len(transfers())
    office.bank(f"{case.id}-P1")
    office.bank(f"{case.id}-P1")
    assert len(transfers()) == before
    assert office.refusals() == []
    assert office.case(case.id).outcome == "REFUNDED"


def test_a_settlement_delivered_after_the_return_it_came_before_changes_nothing(office: Office) -> None:
    case = with_the_bank(office)
    office.bank(f"{case.id}-P1", "returned")
    office.bank(f"{case.id}-P1", "settled")
    assert office.case(case.id).state == "UNDER_REVIEW"
    assert office.balance(AccountKind.DEPOSIT) == 400_000
    assert office.books() == []


def test_an_answer_that_contradicts_a_refusal_is_left_to_people(office: Office) -> None:
    case = with_the_bank(office)
    office.bank(f"{case.id}-P1", "failed")
    office.bank(f"{case.id}-P1", "settled")
    assert "请人工核对银行流水" in office.refusals()[-1][1]
    assert office.balance(AccountKind.DEPOSIT) == 400_000


def test_an_answer_about_another_amount_or_an_unknown_request_posts_nothing(office: Office) -> None:
    case = with_the_bank(office)
    office.bank(f"{case.id}-P1", fen=399_999)
    office.bank("REF-NOBODY-P1")
    assert [("金额与指令不符" in text, "没有请求号" in text) for _, text in office.refusals()] == [
        (True, False),
        (False, True),
    ]
    assert office.case(case.id).state == "PAYING"


def test_finance_may_end_it_after_a_return_and_the_money_stays(office: Office) -> None:
    case = with_the_bank(office)
    office.bank(f"{case.id}-P1", "failed")
    office.decide(case, "wang-fang", "ABANDON", "商家要求改日再退")
    assert office.case(case.id).outcome == "ABANDONED"
    assert office.balance(AccountKind.DEPOSIT) == 400_000
    assert office.case(office.request_refund().id).state == "UNDER_REVIEW"


def test_nobody_correcting_the_payee_closes_the_application(office: Office) -> None:
    case = with_the_bank(office)
    office.bank(f"{case.id}-P1", "returned")
    office.decide(case, "wang-fang", "ASK_PAYEE")
    office.pass_time(days=7, seconds=SILENCE.seconds)
    assert office.case(case.id).outcome == "LAPSED"
    assert office.balance(AccountKind.DEPOSIT) == 400_000


def test_a_payee_corrected_before_anybody_asked_is_not_asked_for_again(office: Office) -> None:
    case = with_the_bank(office)
    office.bank(f"{case.id}-P1", "returned")
    office.correct_payee(case, **OTHER_ACCOUNT)
    office.decide(case, "wang-fang", "ASK_PAYEE")
    assert office.outbox(topic="refund_payee_needed") == []
    assert "尾号 5678" in read(office.question(case))


def test_while_the_money_is_on_its_way_the_payee_stays(office: Office) -> None:
    case = with_the_bank(office)
    office.correct_payee(case, **OTHER_ACCOUNT)
    assert "打款途中" in office.refusals()[-1][1]


def test_after_a_return_two_finance_people_are_enough_to_pay_again(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund(payee=PAYEE | {"name": "别的公司"})
    for attempt, (first, second) in enumerate((("wang-fang", "chen-jie"), ("chen-jie", "wang-fang")), start=1):
        office.decide(case, first, "APPROVE")
        assert not office.answer(office.question(case), first, "CONFIRM").accepted
        office.decide(case, second, "CONFIRM")
        if attempt == 1:
            office.bank(f"{case.id}-P1", "returned")
            office.decide(case, "wang-fang", "AGAIN")
    assert office.case(case.id).state == "PAYING"


# ── taken back ──


def test_an_application_is_taken_back_before_anybody_looked(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    office.withdraw(case)
    assert office.case(case.id).outcome == "WITHDRAWN"
    assert office.balance(AccountKind.DEPOSIT) == 400_000


def test_an_application_is_taken_back_while_papers_are_awaited(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund(documents=[])
    office.decide(case, "wang-fang", "ASK", "请补充材料")
    office.withdraw(case)
    assert office.case(case.id).outcome == "WITHDRAWN"


def test_an_application_is_taken_back_during_the_second_review(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund(payee=PAYEE | {"name": "别的公司"})
    office.decide(case, "wang-fang", "APPROVE")
    office.withdraw(case)
    assert office.case(case.id).outcome == "WITHDRAWN"


@pytest.mark.parametrize("asked", [False, True])
def test_an_application_is_taken_back_after_the_bank_returned_the_money(office: Office, asked: bool) -> None:
    case = with_the_bank(office)
    office.bank(f"{case.id}-P1", "returned")
    if asked:
        office.decide(case, "wang-fang", "ASK_PAYEE")
    office.withdraw(case)
    assert office.case(case.id).outcome == "WITHDRAWN"
    assert office.balance(AccountKind.DEPOSIT) == 400_000
    assert office.books() == []


def test_once_the_bank_has_it_nothing_is_taken_back(office: Office) -> None:
    """REF-6"""
    case = with_the_bank(office)
    office.withdraw(case)
    assert "不能撤回" in office.refusals()[-1][1]
    assert office.case(case.id).state == "PAYING"


def test_money_that_has_arrived_is_not_taken_back_in_the_moment_before_the_case_ends(office: Office) -> None:
    case = with_the_bank(office)
    office.receive(
        "payout.settled",
        {
            "shop_id": "shop-1",
            "request_no": f"{case.id}-P1",
            "amount_fen": 400_000,
            "at": office.clock.at.isoformat(),
        },
    )
    office.receive("refund.withdrawn", {"shop_id": "shop-1", "account_id": "acct-shop-1", "case_id": case.id})
    office.settle()
    assert len(office.refusals()) == 1
    assert office.case(case.id).outcome == "REFUNDED"


# ── the permit ──


def test_a_permit_is_for_one_payment_to_one_payee_of_one_amount(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    payee = Payee(method=PayeeMethod.CORPORATE_ACCOUNT, name="甲", account_no="6222000011112222", bank_name="乙")
    other = payee.model_copy(update={"account_no": "6222000011113333"})

    def pay(fen: int, to: Payee) -> None:
        in_transaction(lambda tx: payouts.instruct(tx, lock_case(tx, case.id), 1, [Order(payee=to, fen=fen)]))

    with pytest.raises(PermitRefused, match="0 unused permits"):
        pay(100, payee)
    order = Order(payee=payee, fen=100)
    in_transaction(lambda tx: permits.grant(tx, lock_case(tx, case.id), [order], ["wang-fang"]))
    for fen, to in ((101, payee), (99, payee), (100, other)):
        with pytest.raises(PermitRefused, match="another amount or payee"):
            pay(fen, to)
    pay(100, payee)
    with pytest.raises(PermitRefused, match="0 unused permits"):
        pay(100, payee)
    assert office.balance(AccountKind.DEPOSIT) == 399_900
    assert office.books() == []


def test_facts_that_change_between_the_look_and_the_decision_are_shown_and_asked_again(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    seen = office.question(case)
    office.snapshot(arrears_fen=500)
    refused = office.answer(seen, "wang-fang", "APPROVE")
    assert not refused.accepted
    now = office.question(case)
    assert now.revision == 2 and "在平台尚有欠款 ¥5" in read(now)


def test_a_deduction_between_the_look_and_the_decision_is_shown_and_nobody_approves_over_it(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    seen = office.question(case)
    deduct(office, 100)
    assert not office.answer(seen, "wang-fang", "APPROVE").accepted
    refused = office.answer(office.question(case), "wang-fang", "APPROVE")
    assert not refused.accepted and "超过保证金余额" in refused.sentence
    assert office.events("deposit.payout.requested") == []


CHANGES: dict[str, Any] = {
    "the balance": lambda office, case: deduct(office, 100),
    "the payee": lambda office, case: office.correct_payee(case, **OTHER_ACCOUNT),
    "an order": lambda office, case: office.snapshot(open_orders=1),
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("after", ["refunds.needs_second", "refunds.grant"])
def test_facts_that_change_between_the_decision_and_the_payment_are_asked_about_again(
    office: Office, what: str, after: str
) -> None:
    office.closed_shop()
    case = office.request_refund(fen=400_000)
    with mortal(lambda when, key: when == "after" and after in key), pytest.raises(Died):
        office.decide(case, "wang-fang", "APPROVE")
    CHANGES[what](office, case)
    office.clock.advance(timedelta(seconds=61))
    office.settle()
    assert office.events("deposit.payout.requested") == []
    review = office.question(case)
    assert (review.gate, review.round) == ("refund-review", 2)
    assert office.case(case.id).state == "UNDER_REVIEW"


def test_an_application_taken_back_between_the_permit_and_the_payment_is_not_paid(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    with mortal(lambda when, key: when == "after" and "refunds.grant" in key), pytest.raises(Died):
        office.decide(case, "wang-fang", "APPROVE")
    office.withdraw(case)
    office.clock.advance(timedelta(seconds=61))
    office.settle()
    assert office.case(case.id).outcome == "WITHDRAWN"
    assert office.balance(AccountKind.DEPOSIT) == 400_000
    assert office.events("deposit.payout.requested") == []


def test_a_shop_closed_by_force_meanwhile_gets_nothing_back(office: Office) -> None:
    office.open_shop()
    closing = office.request_closure()
    forced = office.propose_forced_closure()
    office.decide(closing, "li-na", "APPROVE", "强制关店案件另行处理")
    office.decide(closing, "gao-yuan", "CONFIRM", "核销", write_off=True)
    office.snapshot()
    assert office.shop().state is ShopState.CLEARING  # a pending ban is never written off
    assert office.case(office.request_refund().id).outcome_clause == "REF-1"
    office.decide(forced, "zhao-min", "CONFIRM", "售假属实")
    office.decide(forced, "he-qiang", "CONFIRM", "售假属实")
    assert (office.balance(AccountKind.DEPOSIT), office.platform_balance(AccountKind.FORFEITURE)) == (0, 400_000)
    assert office.case(office.request_refund().id).outcome_clause == "REF-10"
    with reading() as tx:
        assert list(proof.check(tx)) == []


@pytest.mark.parametrize("asked", ["ASK", "ASK_PAYEE"])
def test_taking_back_in_the_moment_after_the_question_was_decided_asks_nothing(office: Office, asked: str) -> None:
    office.closed_shop()
    case = office.request_refund()
    if asked == "ASK_PAYEE":
        office.decide(case, "wang-fang", "APPROVE")
        office.bank(f"{case.id}-P1", "returned")
    with mortal(lambda when, key: when == "before" and "refunds.ask_" in key), pytest.raises(Died):
        office.decide(case, "wang-fang", asked, "请补充")
    office.withdraw(case)
    office.clock.advance(timedelta(seconds=61))
    office.settle()
    assert office.case(case.id).outcome == "WITHDRAWN"
    assert not {"refund_question", "refund_payee_needed"} & set(office.told(case))


# ── helpers ──


def with_the_bank(office: Office) -> Case:
    """A refund whose payment is on its way."""
    office.closed_shop()
    case = office.request_refund()
    office.decide(case, "wang-fang", "APPROVE")
    assert office.case(case.id).state == "PAYING"
    return case


def paid_out(office: Office) -> Case:
    case = with_the_bank(office)
    office.bank(f"{case.id}-P1")
    assert office.case(case.id).outcome == "REFUNDED"
    return case


def deduct(office: Office, fen: int) -> None:
    office.deduct(fen, f"ded-{fen}")


def transfers() -> list[Transfer]:
    with reading() as tx:
        return list(tx.exec(select(Transfer)))


def test_a_look_at_a_refund_asks_our_books_once(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    shown = office.question(case)
    with reading() as tx, said() as heard:
        review.finance_dossier(tx, tx.get_one(Case, case.id), tx.get_one(Review, shown.id))
    asked = {table: sum(f"FROM {table} " in one for one in heard) for table in ("billable_item", "deposit_payment")}
    assert asked == {"billable_item": 1, "deposit_payment": 1}
    assert sum("FROM account " in one and "WHERE account.shop_id" in one for one in heard) == 1
