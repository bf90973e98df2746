"""Closing a shop, from the merchant's wish to the last message (CLS-1 … CLS-11)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dateutil.relativedelta import relativedelta
from pydantic import ValidationError

from models.books import AccountKind
from models.cases import Case, DeadlineState, Side
from models.closure_events import ClosureRequested
from models.messages import Channel
from models.money import Money
from models.shops import Capability, ShopState
from notifications.catalogue import restore
from notifications.rendering import render
from office.base.db import in_transaction
from office.cases import merchants
from office.money import ledger
from office.money.ledger import shop_account
from office.record import outbox
from policies.policy import SHANGHAI
from tests.deaths import Died, mortal
from tests.invoicing import kit
from tests.play import SILENCE, Office
from tests.reading import read


def test_a_clean_shop_is_closed_and_everybody_is_told(office: Office) -> None:
    """CLS-1, CLS-5, CLS-6: by a person, one capability after the other, and what is closed can do nothing any more."""
    shop_id = office.open_shop()
    case = office.request_closure(shop_id)
    assert office.case(case.id).state == "UNDER_REVIEW"
    assert office.staff_told("review_waiting") == ["closure-reviewer"]

    office.decide(case, "li-na", "APPROVE")
    assert office.shop().state is ShopState.CLEARING
    assert office.shop().capabilities == []
    assert [event["capability"] for event in office.events("shop.capability.disabled")] == list(Capability)

    office.snapshot(shop_id)
    shop = office.shop()
    assert (office.case(case.id).outcome, shop.state, shop.capabilities) == ("CLOSED", ShopState.CLOSED, [])
    assert office.told(case) == ["closure_received", "closure_approved_clearing", "shop_closed"]
    assert [event["case_id"] for event in office.events("shop.closed")] == [case.id]
    assert office.books() == [] == office.chains()


def test_the_shop_may_reopen_six_calendar_months_after_it_was_closed(office: Office) -> None:
    """CLS-6: that moment starts what follows."""
    office.closed_shop()
    shop = office.shop()
    assert shop.closed_at is not None and shop.reopen_from is not None
    assert shop.reopen_from == shop.closed_at + relativedelta(months=6)
    assert office.message("shop_closed")["reopen_from"] == shop.reopen_from.isoformat().replace("+00:00", "Z")


def test_a_shop_closed_on_the_last_of_august_may_reopen_on_the_last_of_february(office: Office) -> None:
    office.clock.at = datetime(2026, 8, 31, 2, 0, tzinfo=UTC)
    office.closed_shop()
    reopen = office.shop().reopen_from
    assert reopen is not None and f"{reopen.astimezone(SHANGHAI):%Y-%m-%d}" == "2027-02-28"


# ── refused ──


def test_only_the_owner_account_may_ask_to_close(office: Office) -> None:
    office.open_shop()
    case = office.case(office.request_closure(account_id="acct-somebody").id)
    assert (case.outcome, case.outcome_clause) == ("REFUSED", "CLS-3")
    assert office.told(case) == ["closure_refused"]
    assert office.shop().state is ShopState.OPEN


def test_the_reason_other_without_words_never_gets_past_the_door() -> None:
    with pytest.raises(ValidationError, match="CLS-2"):
        ClosureRequested(shop_id="shop-1", account_id="acct-shop-1", reason="OTHER")


def test_a_shop_that_is_closed_is_not_closed_again(office: Office) -> None:
    office.closed_shop()
    case = office.case(office.request_closure().id)
    assert (case.outcome, case.outcome_clause) == ("REFUSED", "CLS-6")


def test_a_shop_that_is_being_cleared_is_not_closed_again(office: Office) -> None:
    office.open_shop()
    office.decide(office.request_closure(), "li-na", "APPROVE")
    second = office.case(office.request_closure().id)
    assert (second.outcome, second.outcome_clause) == ("REFUSED", "CLS-9")


def test_a_second_request_is_refused_while_the_first_is_under_way_and_names_it(office: Office) -> None:
    office.open_shop()
    first = office.request_closure()
    second = office.case(office.request_closure().id)
    assert (second.outcome, second.outcome_clause) == ("REFUSED", "CLS-5")
    assert first.id in (second.outcome_text or "")
    assert office.case(first.id).state == "UNDER_REVIEW"


def test_of_two_requests_that_arrive_together_one_is_taken_up_and_one_refused(office: Office) -> None:
    office.open_shop()
    asked = {"shop_id": "shop-1", "account_id": "acct-shop-1", "reason": "STOCK_CLEARED"}
    office.receive("closure.requested", asked)
    office.receive("closure.requested", asked)
    office.settle()
    assert sorted(case.state for case in office.cases()) == ["REFUSED", "UNDER_REVIEW"]


def test_a_request_for_a_shop_nobody_knows_waits_and_is_then_refused_in_a_sentence(office: Office) -> None:
    office.send("closure.requested", {"shop_id": "nowhere", "account_id": "a", "reason": "POOR_BUSINESS"})
    assert office.refusals() == []
    office.pass_time(days=1)
    assert office.cases() == []
    assert [sentence for _, sentence in office.refusals()] == ["店铺 nowhere 尚未登记,请先发送 shop.registered 事件"]


# ── decided ──


def test_a_rejection_ends_the_request_and_the_merchant_reads_why(office: Office) -> None:
    """CLS-5"""
    office.open_shop()
    case = office.request_closure()
    office.decide(case, "li-na", "REJECT", "请先完成年度对账")
    assert office.case(case.id).outcome == "REJECTED"
    assert office.message("closure_rejected")["reason"] == "请先完成年度对账"
    assert office.shop().state is ShopState.OPEN
    assert office.shop().capabilities == list(Capability)


@pytest.mark.parametrize("verdict", ["ASK", "REJECT"])
def test_asking_and_rejecting_need_a_written_reason(office: Office, verdict: str) -> None:
    office.open_shop()
    case = office.request_closure()
    outcome = office.answer(office.question(case), "li-na", verdict, " ")
    assert not outcome.accepted and "理由" in outcome.sentence


def test_over_a_blocking_finding_approval_needs_a_reason_and_then_a_supervisor(office: Office) -> None:
    office.open_shop()
    office.snapshot(open_orders=3)
    case = office.request_closure()
    assert "还有 3 笔订单未完成" in read(office.question(case))
    refused = office.answer(office.question(case), "li-na", "APPROVE")
    assert not refused.accepted and "CLS-7" in refused.sentence

    office.decide(case, "li-na", "APPROVE", "订单均为赠品,商家已书面承诺")
    assert office.case(case.id).state == "SECOND_REVIEW"
    assert office.shop().state is ShopState.OPEN
    assert "订单均为赠品" in read(office.question(case))
    assert not office.answer(office.question(case), "he-qiang", "CONFIRM").accepted  # no reason given

    office.decide(case, "he-qiang", "CONFIRM", "同意审核员意见")
    assert office.case(case.id).state == "CLEARING"


def test_who_approved_cannot_be_the_supervisor_who_overrides(office: Office) -> None:
    office.hire("both", "closure-reviewer", "supervisor")
    office.open_shop()
    office.snapshot(arrears_fen=1)
    case = office.request_closure()
    office.decide(case, "both", "APPROVE", "欠款可以核销")
    outcome = office.answer(office.question(case), "both", "CONFIRM", "还是我")
    assert not outcome.accepted and "另一人" in outcome.sentence


def test_the_supervisor_may_reject_what_the_reviewer_let_pass(office: Office) -> None:
    office.open_shop()
    office.snapshot(open_aftersales=1)
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE", "售后金额很小")
    office.decide(case, "he-qiang", "REJECT", "售后必须先完结")
    assert office.case(case.id).outcome == "REJECTED"
    assert office.message("closure_rejected")["reason"] == "售后必须先完结"


def test_what_the_supervisor_wrote_off_no_longer_keeps_the_shop_open(office: Office) -> None:
    office.open_shop()
    office.snapshot(open_orders=3)
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE", "赠品订单")
    office.decide(case, "he-qiang", "CONFIRM", "核销", write_off=True)
    office.snapshot(open_orders=3)
    assert office.case(case.id).outcome == "CLOSED"


@pytest.mark.parametrize(("now", "outcome"), [(4, None), (3, "CLOSED"), (2, "CLOSED")])
def test_what_was_written_off_covers_what_was_open_then_and_nothing_more(
    office: Office, now: int, outcome: str | None
) -> None:
    case = written_off(office, open_aftersales=3)
    office.snapshot(open_aftersales=now)
    assert office.case(case.id).outcome == outcome


CHANGES: dict[str, Any] = {
    "a blocking fact more": lambda office: office.snapshot(open_orders=1, freezes=9, frozen_fen=999_999),
    "more of the same": lambda office: office.snapshot(open_orders=2),
}


@pytest.mark.parametrize("what", CHANGES)
def test_facts_that_change_between_the_decision_and_the_clearing_are_asked_about_again(
    office: Office, what: str
) -> None:
    case = overridden(office, dies_before="closures.start_clearing")
    CHANGES[what](office)
    office.clock.advance(timedelta(seconds=61))
    office.settle()
    assert office.shop().state is ShopState.OPEN and "written_off" not in office.case(case.id).request
    review = office.question(case)
    assert (review.gate, review.round, office.case(case.id).state) == ("closure-review", 2, "UNDER_REVIEW")
    office.decide(case, "li-na", "APPROVE", "变化已知悉")
    if office.case(case.id).state == "SECOND_REVIEW":
        office.decide(case, "he-qiang", "CONFIRM", "变化已知悉")  # who confirmed before may confirm again
    assert office.case(case.id).state == "CLEARING"


def test_facts_that_got_better_between_the_decision_and_the_clearing_need_nobody_again(office: Office) -> None:
    case = overridden(office, dies_before="closures.start_clearing")
    office.snapshot()
    office.clock.advance(timedelta(seconds=61))
    office.settle()
    assert office.case(case.id).state == "CLEARING" and office.case(case.id).request["written_off"] == {}


def test_an_approval_nobody_had_to_confirm_does_not_reach_what_came_after_it(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    with mortal(lambda when, key: when == "after" and "closures.needs_override" in key), pytest.raises(Died):
        office.decide(case, "li-na", "APPROVE")
    office.snapshot(arrears_fen=500)
    office.clock.advance(timedelta(seconds=61))
    office.settle()
    assert office.question(case).round == 2 and "欠款 ¥5" in read(office.question(case))


def test_facts_that_stay_as_they_were_shown_are_not_asked_about_again(office: Office) -> None:
    case = overridden(office, dies_before="closures.start_clearing")
    office.snapshot(open_orders=1)
    office.clock.advance(timedelta(seconds=61))
    office.settle()
    assert office.case(case.id).state == "CLEARING"
    assert office.case(case.id).request["written_off"] == {"open_orders": [1]}


def overridden(office: Office, dies_before: str) -> Case:
    """A closure confirmed over one open order, by a worker that died before it acted on it."""
    office.open_shop()
    office.snapshot(open_orders=1)
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE", "一笔赠品")
    with mortal(lambda when, key: when == "before" and dies_before in key), pytest.raises(Died):
        office.decide(case, "he-qiang", "CONFIRM", "核销", write_off=True)
    return case


def written_off(office: Office, **facts: Any) -> Case:
    """A closure whose supervisor wrote off what is open, waiting for facts from after clearing began."""
    office.open_shop()
    office.snapshot(**facts)
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE", "金额很小")
    office.decide(case, "he-qiang", "CONFIRM", "核销", write_off=True)
    return case


def test_what_was_let_pass_but_not_written_off_is_waited_for(office: Office) -> None:
    office.open_shop()
    office.snapshot(open_orders=3)
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE", "赠品订单")
    office.decide(case, "he-qiang", "CONFIRM", "清算时再看")
    office.snapshot(open_orders=3)
    assert office.case(case.id).state == "CLEARING"
    office.snapshot(open_orders=0)
    assert office.case(case.id).outcome == "CLOSED"


def test_a_shop_of_which_nothing_is_known_needs_a_supervisor_and_cannot_be_closed_blindly(office: Office) -> None:
    """CLS-7"""
    office.send(
        "shop.registered",
        {
            "shop_id": "shop-1",
            "name": "晨光文具",
            "entity_type": "PERSON",
            "owner_account_id": "acct-shop-1",
            "owner_name": "林晓",
            "categories": ["厨具"],
        },
    )
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE", "新店未经营")
    office.decide(case, "he-qiang", "CONFIRM", "放行", write_off=True)
    assert office.case(case.id).state == "SECOND_REVIEW"  # the duty to look cannot be written off
    assert [event["since"] for event in office.events("facts.requested")] == [None]
    assert office.shop().state is ShopState.AWAITING_DEPOSIT
    office.snapshot()  # better than nothing: nobody has to approve again
    assert office.case(case.id).outcome == "CLOSED"


# ── the merchant is asked ──


def test_the_merchant_is_asked_answers_and_the_review_goes_on_with_the_answer(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    office.decide(case, "li-na", "ASK", "请说明库存如何处理")
    assert office.case(case.id).state == "AWAITING_MERCHANT"
    assert office.message("closure_question")["question"] == "请说明库存如何处理"
    office.merchant_answers(case, "库存已全部退回供应商")
    review = office.question(case)
    assert review.round == 2 and "库存已全部退回供应商" in read(review)
    office.decide(case, "zhao-min", "APPROVE")
    assert office.case(case.id).state == "CLEARING"


def test_an_answer_at_exactly_the_due_second_is_in_time(office: Office) -> None:
    case = asked(office)
    office.clock.at = office.deadline(case, "merchant-answer/1").due_at
    office.sweep()
    office.merchant_answers(case)
    assert office.case(case.id).state == "UNDER_REVIEW"


def test_one_second_later_the_answer_is_refused_and_the_request_lapses(office: Office) -> None:
    case = asked(office)
    office.clock.at = office.deadline(case, "merchant-answer/1").due_at + timedelta(seconds=1)
    office.merchant_answers(case)
    assert [clause for clause, _ in office.refusals()] == ["CLS-5"]
    office.clock.advance(SILENCE)
    office.sweep()
    assert office.case(case.id).outcome == "LAPSED"


def test_silence_closes_the_request_as_the_merchant_was_told_beforehand(office: Office) -> None:
    case = asked(office)
    office.pass_time(days=7, seconds=SILENCE.seconds)
    assert office.case(case.id).outcome == "LAPSED"
    assert office.told(case)[-1] == "closure_question_lapsed"
    assert office.shop().state is ShopState.OPEN
    assert office.case(office.request_closure().id).state == "UNDER_REVIEW"  # asking again is allowed


def test_an_answer_that_reached_the_door_in_time_counts_however_late_it_is_read(office: Office) -> None:
    case = asked(office)
    office.clock.at = office.deadline(case, "merchant-answer/1").due_at
    office.receive(
        "merchant.answered",
        {
            "shop_id": "shop-1",
            "account_id": "acct-shop-1",
            "case_id": case.id,
            "text": "赶上了",
        },
    )
    office.pass_time(hours=5)
    assert office.case(case.id).state == "UNDER_REVIEW"
    assert office.deadline(case, "merchant-answer/1").state is DeadlineState.MET


def test_somebody_else_cannot_answer_for_the_owner(office: Office) -> None:
    case = asked(office)
    office.send("merchant.answered", {"shop_id": "shop-1", "account_id": "other", "case_id": case.id, "text": "我来"})
    assert office.case(case.id).state == "AWAITING_MERCHANT"
    assert "主账号" in office.refusals()[-1][1]


def test_an_answer_nobody_asked_for_is_refused(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    office.merchant_answers(case)
    assert "没有需要商家补充的事项" in office.refusals()[-1][1]


def asked(office: Office) -> Case:
    office.open_shop()
    case = office.request_closure()
    office.decide(case, "li-na", "ASK", "请说明库存如何处理")
    return case


# ── taken back ──


def test_a_request_is_taken_back_before_anybody_looked(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    review = office.question(case)
    office.withdraw(case)
    assert office.case(case.id).outcome == "WITHDRAWN"
    assert office.told(case)[-1] == "closure_withdrawn"
    late = office.answer(review, "li-na", "APPROVE")
    assert not late.accepted and "撤回" in late.sentence


def test_a_request_is_taken_back_while_the_merchant_is_being_asked(office: Office) -> None:
    case = asked(office)
    office.withdraw(case)
    assert office.case(case.id).outcome == "WITHDRAWN"
    assert office.told(case)[-1] == "closure_withdrawn"
    assert len(office.staff_told("review_waiting")) == 1  # nobody is asked about a request that is gone
    office.pass_time(days=8)
    assert "closure_question_lapsed" not in office.told(case)


def test_a_request_is_taken_back_during_the_second_review(office: Office) -> None:
    office.open_shop()
    office.snapshot(open_orders=1)
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE", "赠品")
    office.withdraw(case)
    assert office.case(case.id).outcome == "WITHDRAWN"
    assert office.shop().state is ShopState.OPEN


def test_a_request_taken_back_during_clearing_gives_every_capability_back(office: Office) -> None:
    """CLS-6"""
    office.open_shop()
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE")
    office.withdraw(case)
    assert office.case(case.id).outcome == "WITHDRAWN"
    assert office.shop().capabilities == list(Capability)
    assert office.shop().state is ShopState.OPEN
    assert [event["capability"] for event in office.events("shop.capability.restored")] == list(Capability)
    assert office.message("closure_withdrawn")["restored"] == [capability.label for capability in Capability]


def test_taking_back_twice_is_taking_back_once(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    body = {"shop_id": "shop-1", "account_id": "acct-shop-1", "case_id": case.id}
    office.receive("closure.withdrawn", body)
    office.receive("closure.withdrawn", body)
    office.settle()
    assert office.told(case).count("closure_withdrawn") == 1
    assert office.trail(case.id).count("case.withdrawal") == 1


def test_a_closed_shop_cannot_take_its_request_back(office: Office) -> None:
    office.closed_shop()
    case = office.latest()
    office.withdraw(case)
    assert office.case(case.id).outcome == "CLOSED"
    assert "已办结(已关店)" in office.refusals()[-1][1]


def test_somebody_else_cannot_take_the_request_back(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    office.send("closure.withdrawn", {"shop_id": "shop-1", "account_id": "other", "case_id": case.id})
    assert office.case(case.id).state == "UNDER_REVIEW"


# ── clearing ──


def test_clearing_waits_for_what_is_open_and_looks_again_at_every_snapshot(office: Office) -> None:
    """CLS-9"""
    case = clearing(office)
    for fact in ("open_orders", "open_aftersales", "freezes", "unpaid_bills", "uninvoiced_fen"):
        facts: dict[str, Any] = {fact: 2}
        office.snapshot(**facts)
        assert office.case(case.id).state == "CLEARING", fact
    free, frozen = (shop_account("shop-1", kind) for kind in (AccountKind.RECEIVABLE, AccountKind.RECEIVABLE_FROZEN))
    moved = {"amount": Money(fen=2), "reason": "statement.freeze", "clause": "INV-7"}
    kit.settle_receivable(office, 2)
    in_transaction(lambda tx: ledger.post(tx, "frozen", debit=free, credit=frozen, **moved))
    office.snapshot()
    assert office.case(case.id).state == "CLEARING", "receivables that our books hold frozen"
    in_transaction(lambda tx: ledger.post(tx, "thawed", debit=frozen, credit=free, **moved))
    office.snapshot()
    assert office.case(case.id).outcome == "CLOSED"


def test_facts_from_before_orders_stopped_prove_nothing(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE")
    office.pass_time(minutes=1)
    assert office.case(case.id).state == "CLEARING"


def test_facts_from_before_orders_stopped_are_asked_for_anew_when_they_have_aged(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE")
    office.pass_time(hours=23)
    assert office.events("facts.requested") == []
    for _ in range(3):
        office.pass_time(days=2)
    assert len(office.events("facts.requested")) == 1, "and the platform answers"
    assert office.case(case.id).outcome == "CLOSED"


def test_an_older_snapshot_never_overwrites_a_newer_one(office: Office) -> None:
    case = clearing(office)
    office.snapshot(open_orders=2)
    older = office.clock.at - timedelta(seconds=1)
    office.send("shop.snapshot", {"shop_id": "shop-1", "as_of": older.isoformat(), "facts": {}})
    assert office.case(case.id).state == "CLEARING"
    assert "未采用" in office.refusals()[-1][1]


@pytest.mark.parametrize(("ahead", "taken"), [(timedelta(minutes=5), True), (timedelta(minutes=5, seconds=1), False)])
def test_a_snapshot_from_further_ahead_than_clocks_differ_is_refused_and_freezes_nothing(
    office: Office, ahead: timedelta, taken: bool
) -> None:
    case = clearing(office)
    later = office.clock.at + ahead
    office.send("shop.snapshot", {"shop_id": "shop-1", "as_of": later.isoformat(), "facts": {"open_orders": 1}})
    assert office.refusals() == ([] if taken else [("CLS-7", "该经营快照的时间晚于收到时间超过 5 分钟,未采用")])
    office.snapshot()  # of now: older than the one that was taken
    assert office.case(case.id).state == ("CLEARING" if taken else "CLOSED")


def test_while_clearing_drags_on_the_merchant_is_reminded_every_three_days_of_what_is_left(office: Office) -> None:
    case = clearing(office)
    office.snapshot(open_orders=2)
    for day in range(1, 10):
        office.pass_time(days=1)
        assert office.told(case).count("closure_clearing_reminder") == day // 3, day
    office.snapshot()
    office.pass_time(days=4)
    assert office.told(case).count("closure_clearing_reminder") == 3
    assert office.case(case.id).outcome == "CLOSED"


def clearing(office: Office) -> Case:
    office.open_shop()
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE")
    return case


# ── beside the way ──


def test_starting_to_close_opens_the_exit_invoice_until_the_last_second_of_the_fifth_day(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    deadline = office.deadline(case, "exit-invoice")
    assert (deadline.side, deadline.clause) == (Side.MERCHANT, "CLS-8")
    assert f"{deadline.due_at.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}" == "2026-11-24 23:59:59"
    assert [event["year"] for event in office.events("exit_invoice.opened")] == [2026]


def test_a_late_exit_invoice_is_noted_and_ends_nothing(office: Office) -> None:
    office.open_shop()
    kit.record(office, kit.item())  # fees of this year, so there is something to invoice
    case = office.request_closure()
    office.pass_time(days=6)
    assert office.deadline(case, "exit-invoice").state is DeadlineState.LAPSED
    assert office.case(case.id).state == "UNDER_REVIEW"


def test_facts_that_change_while_a_person_reads_are_shown_again_before_a_decision_counts(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    seen = office.question(case)
    office.receive(
        "shop.snapshot",
        {
            "shop_id": "shop-1",
            "as_of": (office.clock.at + timedelta(seconds=1)).isoformat(),
            "facts": {"open_orders": 7},
        },
    )
    office.settle()
    stale = office.answer(seen, "li-na", "APPROVE")
    assert not stale.accepted
    again = office.question(case)
    assert again.revision == 2 and "还有 7 笔订单未完成" in read(again) and "事实已发生变化" in again.notice


def test_facts_that_do_not_matter_to_the_decision_make_no_new_revision(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    office.snapshot(penalties=[{"id": "p-1", "kind": "迟发", "settled": True}])
    assert office.question(case).revision == 1


def test_the_copy_on_the_platform_says_what_the_merchant_was_told_and_its_words_are_stored_nowhere(
    office: Office,
) -> None:
    office.open_shop()
    case = office.request_closure()
    told = restore("closure_received", office.message("closure_received"))
    words = render(told, merchants.context())
    (copy,) = [event for event in office.events("merchant.message.created") if event["topic"] == "closure_received"]
    assert (copy["subject"], copy["text"], copy["html"]) == (words.subject, words.text, words.html)
    assert (copy["message_id"], copy["shop_id"], copy["case_id"]) == (f"{case.id}/received", "shop-1", case.id)
    (row,) = [row for row in office.outbox(Channel.EVENT, "merchant.message.created") if row.case_id == case.id]
    assert outbox.body(row) == {"at": case.opened_at.isoformat()}


def test_every_message_of_the_case_carries_its_number(office: Office) -> None:
    office.closed_shop()
    case = office.latest()
    rows = [row for row in office.outbox(Channel.MERCHANT) if row.case_id == case.id]
    assert len(rows) == 3
    assert all(event["case_id"] == case.id for event in office.events("merchant.message.created")[-3:])


def test_what_another_shop_sends_about_a_case_is_refused_and_stands_nowhere_in_it(office: Office) -> None:
    office.open_shop()
    office.open_shop("shop-2")
    case = office.request_closure()
    before = office.trail(case.id)
    withdrawn = {"case_id": case.id, "shop_id": "shop-2", "account_id": "acct-shop-2"}
    office.send("closure.withdrawn", withdrawn, "of-another")
    assert len(office.refusals()) == 1 and office.trail(case.id) == before
    office.send("closure.withdrawn", withdrawn | {"shop_id": "shop-1"}, "of-nobodys-account")
    assert len(office.refusals()) == 2 and office.trail(case.id) == [*before, "message.refused"]
