"""What a ban holds back: no receivable is free, no deposit comes back, two people decide what becomes of it (amb. 24)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from models.books import AccountKind
from models.cases import Case, CaseKind
from models.shops import ShopState
from office.base.db import in_transaction, reading
from tasks.shops import bans
from tasks.sight import proof
from tests.deaths import Died, mortal
from tests.invoicing import kit
from tests.play import Office
from tests.reading import read

HELD, FREED, FREE = AccountKind.RECEIVABLE_BANNED, AccountKind.RECEIVABLE_FREED, AccountKind.RECEIVABLE


def settles(office: Office, fen: int, number: str = "s1") -> None:
    office.send(
        "receivable.settled",
        {
            "shop_id": "shop-1",
            "settlement_id": number,
            "amount_fen": fen,
            "settled_at": office.clock.at.isoformat(),
        },
    )


def pays_out(office: Office, fen: int, number: str = "p1") -> None:
    office.send(
        "receivable.paid_out",
        {
            "shop_id": "shop-1",
            "payment_id": number,
            "amount_fen": fen,
            "paid_at": office.clock.at.isoformat(),
        },
    )


def ban(office: Office) -> Case:
    case = office.propose_forced_closure()
    office.decide(case, "li-na", "CONFIRM", "售假属实")
    office.decide(case, "he-qiang", "CONFIRM", "售假属实")
    return case


def banned(office: Office, fen: int = 500_000) -> None:
    office.open_shop()
    settles(office, fen)
    ban(office)


def held_case(office: Office) -> Case:
    (case,) = [case for case in office.cases() if case.kind is CaseKind.HELD_RECEIVABLES and case.concluded_at is None]
    return case


def whole(office: Office) -> None:
    with reading() as tx:
        assert list(proof.check(tx)) == []
    assert office.chains() == []


def on_its_way(office: Office) -> int:
    return office.platform_balance(AccountKind.CLEARING)


# ── frozen at once, and what comes later ──


def test_a_ban_freezes_the_receivables_at_once_and_says_so(office: Office) -> None:
    banned(office)
    assert (office.balance(FREE), office.balance(HELD)) == (0, 500_000)
    assert office.events("shop.forced_closed")[0]["frozen_fen"] == 500_000
    assert office.message("forced_closure_decided")["frozen_fen"] == 500_000
    assert [event["held_fen"] for event in office.events("receivables.held")] == [500_000]
    whole(office)


def test_what_a_statement_held_of_a_banned_shop_is_held_by_the_ban_once_it_is_invoiced(office: Office) -> None:
    """INV-12, DED-7: an invoice lets go of the share, and not of the money."""
    statement = kit.billed(office)
    kit.settle_receivable(office, 100_000)
    kit.after_due(office, statement)
    ban(office)
    kit.send_invoice(office)
    if office.balance(AccountKind.RECEIVABLE_FROZEN):
        office.decide(kit.review_of(office), "xu-jing", "ACCEPT", "已核对")
    held = [office.balance(kind) for kind in (AccountKind.RECEIVABLE_FROZEN, FREE, HELD)]
    assert held == [0, 0, 100_000] and office.books() == []


def test_what_arrives_after_the_ban_is_frozen_too_and_the_merchant_is_told(office: Office) -> None:
    banned(office, 500_000)
    settles(office, 7_00, "s2")
    settles(office, 7_00, "s2")  # said twice
    assert (office.balance(FREE), office.balance(HELD)) == (0, 500_700)
    assert office.message("receivables_held")["amount_fen"] == 700
    [letter] = office.letters("receivables_held")  # DED-8: it names the way to object
    assert "如有异议：请联系平台客服" in letter
    assert len([case for case in office.cases() if case.kind is CaseKind.HELD_RECEIVABLES]) == 1
    whole(office)


def test_a_shop_banned_before_receivables_were_frozen_with_it_is_caught_up_with(office: Office) -> None:
    office.open_shop()
    settles(office, 500_000)

    def close_as_before(tx: Any) -> None:
        shop = bans.Shop
        row = tx.get(shop, "shop-1")
        row.state = ShopState.FORCED_CLOSED
        tx.add(row)

    in_transaction(close_as_before)
    assert bans.sweep() == 1 and bans.sweep() == 0
    office.settle()
    assert (office.balance(FREE), office.balance(HELD)) == (0, 500_000)
    assert held_case(office).state == "UNDER_REVIEW"


def test_a_payment_to_a_banned_shop_is_not_booked_and_people_hear_of_it(office: Office) -> None:
    banned(office)
    pays_out(office, 500_000)
    pays_out(office, 500_000)  # the same payment in another message
    assert office.balance(HELD) == 500_000
    assert office.refusals()[-1][0] == "DED-7"
    assert sorted(office.staff_told("banned_shop_paid")) == ["finance", "supervisor"]
    whole(office)


# ── what becomes of it ──


def test_two_people_forfeit_it_and_the_merchant_reads_why_and_how_to_object(office: Office) -> None:
    banned(office)
    case = held_case(office)
    office.decide(case, "wang-fang", "FORFEIT", "全部为假货销售款")
    assert office.balance(HELD) == 500_000
    office.decide(case, "gao-yuan", "CONFIRM", "同意罚没")
    assert (office.balance(HELD), office.platform_balance(AccountKind.FORFEITURE)) == (0, 900_000)
    told = office.message("receivables_decided")
    assert (told["forfeited_fen"], told["reason"]) == (500_000, "全部为假货销售款") and told["appeal_how"]
    assert (office.case(case.id).outcome, office.case(case.id).outcome_clause) == ("FORFEITED", "DED-7")
    whole(office)


def test_two_people_release_it_less_what_the_shop_owes_and_only_that_can_be_paid_out(office: Office) -> None:
    """DED-7, DED-9"""
    office.open_shop()
    office.deduct(500_000, "d1", reason="RULE_VIOLATION")
    settles(office, 500_000)
    ban(office)
    case = held_case(office)
    assert "先抵扣欠款 **¥1,000.00**" in read(office.question(case))
    office.decide(case, "wang-fang", "RELEASE", "投诉已处理完")
    office.decide(case, "he-qiang", "CONFIRM", "同意解冻")
    assert (office.balance(HELD), office.balance(FREED), office.balance(AccountKind.ARREARS)) == (0, 400_000, 0)
    assert office.events("receivables.decided")[0]["released_fen"] == 400_000
    settles(office, 300, "s2")  # frozen again: it takes another decision
    assert (office.balance(HELD), held_case(office).id != case.id) == (300, True)
    pays_out(office, 400_001)
    assert sorted(office.staff_told("banned_shop_paid")) == ["finance", "supervisor"]
    pays_out(office, 400_000, "p2")
    assert (office.balance(FREED), office.balance(HELD)) == (0, 300)
    whole(office)


def test_nothing_is_released_over_arrears_that_the_platform_reports(office: Office) -> None:
    """DED-7, CLS-7: they cannot be set off here, so they must be gone first; forfeiting does not wait for them."""
    banned(office)
    case = held_case(office)
    office.snapshot(arrears_fen=1)
    assert "商家在平台尚有欠款" in read(office.question(case))
    refused = office.answer(office.question(case), "wang-fang", "RELEASE", "投诉已处理完")
    assert not refused.accepted and "平台尚有欠款 ¥0.01" in refused.sentence and "DED-7" in refused.sentence
    office.snapshot(arrears_fen=0)
    office.decide(case, "wang-fang", "RELEASE", "投诉已处理完")
    office.decide(case, "he-qiang", "CONFIRM", "同意解冻")
    assert (office.balance(HELD), office.balance(FREED)) == (0, 500_000)
    whole(office)


def test_nothing_is_released_while_the_bank_contradicts_itself_about_the_shop(office: Office) -> None:
    """DED-7, ambiguity 38: before anybody answers and between the two of them; forfeiting pays nobody."""
    office.open_shop(deposit_fen=500_000)
    settles(office, 500_000)
    ban(office)
    case = held_case(office)
    office.decide(case, "wang-fang", "RELEASE", "投诉已处理完")
    office.bank(f"{case.id}-P1", fen=300)  # a number that is none of ours, about this shop
    question = office.question(case)
    assert (question.gate, question.round) == ("held-first", 2) and "银行回执有矛盾" in read(question)
    refused = office.answer(question, "wang-fang", "RELEASE", "投诉已处理完")
    assert not refused.accepted and "核清前不能解冻" in refused.sentence
    (inquiry,) = [one for one in office.cases() if one.kind is CaseKind.BANK_INQUIRY]
    office.decide(inquiry, "wang-fang", "BOOKS", "银行已书面更正", **office.bank_proof())
    office.decide(inquiry, "he-qiang", "CONFIRM", "已核对")
    office.decide(case, "wang-fang", "RELEASE", "投诉已处理完")
    office.decide(case, "he-qiang", "CONFIRM", "同意解冻")
    assert office.balance(FREED) == 500_000
    whole(office)


def test_what_is_forfeited_may_be_so_over_arrears_on_the_platform(office: Office) -> None:
    banned(office)
    case = held_case(office)
    office.snapshot(arrears_fen=100)
    office.decide(case, "wang-fang", "FORFEIT", "全部为假货销售款")
    office.decide(case, "gao-yuan", "CONFIRM", "同意罚没")
    assert office.balance(HELD) == 0


@pytest.mark.parametrize("when", ["before the supervisor", "before the act"])
def test_arrears_that_the_platform_reports_after_somebody_looked_stop_the_release(office: Office, when: str) -> None:
    """DED-7, ambiguity 23"""
    banned(office)
    case = held_case(office)
    office.decide(case, "wang-fang", "RELEASE", "投诉已处理完")
    if when == "before the act":
        with mortal(lambda when, key: when == "before" and "held_receivables.carry_out" in key), pytest.raises(Died):
            office.decide(case, "he-qiang", "CONFIRM", "同意解冻")
    office.snapshot(arrears_fen=5_000)
    office.clock.advance(timedelta(seconds=61))
    office.settle()
    assert (office.question(case).gate, office.question(case).round) == ("held-first", 2)
    assert "商家在平台尚有欠款" in read(office.question(case)) and office.balance(FREED) == 0


def test_what_two_people_decided_is_done_on_facts_that_are_new_enough(office: Office) -> None:
    """DED-7, ambiguity 27: the platform is asked, and the money stays frozen until it has answered."""
    banned(office)
    case = held_case(office)
    office.snapshot()
    office.platform_answers = False
    office.pass_time(days=2)
    office.decide(case, "wang-fang", "RELEASE", "投诉已处理完")
    office.decide(case, "he-qiang", "CONFIRM", "同意解冻")
    assert (office.balance(HELD), office.events("facts.requested")[-1]["case_id"]) == (500_000, case.id)
    office.snapshot()
    assert (office.balance(HELD), office.balance(FREED)) == (0, 500_000)
    whole(office)


def test_who_proposed_the_ban_and_one_person_alone_decide_nothing_about_the_money(office: Office) -> None:
    office.hire("both", "finance", "supervisor")
    office.hire("risk-17", "finance")
    banned(office)
    case = held_case(office)
    assert not office.answer(office.question(case), "risk-17", "RELEASE", "我来").accepted
    office.decide(case, "both", "RELEASE", "投诉已处理完")
    assert "四眼" in office.answer(office.question(case), "both", "CONFIRM", "再次").sentence
    assert office.balance(HELD) == 500_000


def test_the_supervisor_may_want_another_opinion(office: Office) -> None:
    banned(office)
    case = held_case(office)
    office.decide(case, "wang-fang", "RELEASE", "投诉已处理完")
    office.decide(case, "he-qiang", "AGAIN", "仍有买家投诉")
    assert (office.question(case).gate, office.question(case).round, office.balance(HELD)) == ("held-first", 2, 500_000)


def test_money_that_arrives_between_the_two_decisions_is_seen_by_both(office: Office) -> None:
    banned(office)
    case = held_case(office)
    office.decide(case, "wang-fang", "RELEASE", "投诉已处理完")
    settles(office, 900_000, "s2")
    assert (office.question(case).gate, office.question(case).round) == ("held-first", 2)
    assert "冻结金额" in read(office.question(case))


def test_money_that_arrives_between_the_second_decision_and_the_act_is_seen_by_both(office: Office) -> None:
    """DED-7"""
    banned(office)
    case = held_case(office)
    office.decide(case, "wang-fang", "RELEASE", "投诉已处理完")
    with mortal(lambda when, key: when == "before" and "held_receivables.carry_out" in key), pytest.raises(Died):
        office.decide(case, "he-qiang", "CONFIRM", "同意解冻")
    settles(office, 900_000, "s2")
    office.clock.advance(timedelta(seconds=61))
    office.settle()
    assert (office.question(case).gate, office.question(case).round) == ("held-first", 2)
    assert "冻结金额" in read(office.question(case)) and office.balance(FREED) == 0
    office.decide(case, "wang-fang", "RELEASE", "投诉已处理完")
    office.decide(case, "he-qiang", "CONFIRM", "同意解冻")
    assert office.balance(FREED) == 1_400_000
    whole(office)


# ── a proposal that is still open ──


def test_an_open_proposal_is_never_written_off_and_keeps_the_shop_from_closing(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    ban_case = office.propose_forced_closure()
    office.decide(case, "li-na", "APPROVE", "先关")
    office.decide(case, "he-qiang", "CONFIRM", "放行", write_off=True)
    office.snapshot()
    assert office.case(case.id).state == "CLEARING"
    assert "forced_closure" not in office.case(case.id).request["written_off"]
    office.decide(ban_case, "li-na", "CONFIRM", "售假属实")
    office.decide(ban_case, "gao-yuan", "CONFIRM", "售假属实")
    assert office.case(case.id).outcome == "SUPERSEDED" and office.platform_balance(AccountKind.FORFEITURE) == 400_000


def test_a_proposal_that_comes_while_the_shop_is_cleared_stops_it_and_dropping_it_lets_it_go_on(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE")
    proposal = office.propose_forced_closure()
    office.snapshot()
    assert office.case(case.id).state == "CLEARING"
    office.decide(proposal, "li-na", "DROP", "证据不足")
    assert office.case(case.id).outcome == "CLOSED"


def test_closing_first_is_no_way_past_a_ban(office: Office) -> None:
    office.closed_shop()
    refund = office.request_refund()
    proposal = office.propose_forced_closure()
    refused = office.answer(office.question(refund), "wang-fang", "APPROVE", "理由充分")
    assert not refused.accepted
    refused = office.answer(office.question(refund), "wang-fang", "APPROVE", "理由充分")
    assert "强制关店提议待决" in refused.sentence and "CLS-10" in refused.sentence
    closed_at = office.shop().closed_at
    office.decide(proposal, "li-na", "CONFIRM", "售假属实")
    office.decide(proposal, "he-qiang", "CONFIRM", "售假属实")
    assert (office.shop().state, office.shop().closed_at) == (ShopState.FORCED_CLOSED, closed_at)
    assert (office.case(refund.id).outcome, office.case(refund.id).outcome_clause) == ("REJECTED", "REF-10")
    assert (on_its_way(office), office.platform_balance(AccountKind.FORFEITURE)) == (0, 400_000)
    assert (
        "REF-10" in office.message("refund_rejected")["reason"]
        and "客服" in office.message("refund_rejected")["reason"]
    )
    whole(office)


def test_a_proposal_between_the_approval_and_the_payout_stops_the_payout(office: Office) -> None:
    office.closed_shop()
    refund = office.request_refund()
    office.platform_answers = False
    office.pass_time(days=2)
    office.answer(office.question(refund), "wang-fang", "APPROVE", "理由充分")  # waits for newer facts
    proposal = office.propose_forced_closure()
    office.snapshot()
    assert on_its_way(office) == 0 and office.question(refund).round == 2
    office.decide(proposal, "li-na", "DROP", "证据不足")
    office.decide(refund, "wang-fang", "APPROVE", "理由充分")
    assert on_its_way(office) == 400_000


# ── money that was out already ──


@pytest.mark.parametrize("answer", ["failed", "returned"])
def test_what_the_bank_brings_back_after_the_ban_is_forfeited_and_nobody_is_asked_to_pay_again(
    office: Office, answer: str
) -> None:
    """DED-6"""
    office.closed_shop()
    refund = office.request_refund()
    office.decide(refund, "wang-fang", "APPROVE")
    proposal = office.propose_forced_closure()
    assert "¥4,000.00** 正在打款途中" in read(office.question(proposal))
    office.decide(proposal, "li-na", "CONFIRM", "售假属实")
    office.decide(proposal, "he-qiang", "CONFIRM", "售假属实")
    assert office.events("shop.forced_closed")[0]["on_the_way_fen"] == 400_000
    assert office.case(refund.id).concluded_at is None  # the bank has it
    for _ in range(2):
        office.bank(f"{refund.id}-P1", answer)
    assert (office.case(refund.id).outcome, office.case(refund.id).outcome_clause) == ("REJECTED", "REF-10")
    assert "refund-returned" not in {row.gate for row in office.reviews(refund)}
    assert (office.balance(AccountKind.DEPOSIT), office.platform_balance(AccountKind.FORFEITURE)) == (0, 400_000)
    whole(office)


def test_a_refund_that_arrived_and_comes_back_after_the_ban_is_forfeited_too(office: Office) -> None:
    office.closed_shop(deposit_fen=500_000)
    refund = office.request_refund(fen=400_000)
    office.decide(refund, "wang-fang", "APPROVE")
    office.bank(f"{refund.id}-P1")
    assert office.case(refund.id).outcome == "REFUNDED"
    ban(office)
    office.bank(f"{refund.id}-P1", "returned")
    assert (office.case(refund.id).outcome, office.platform_balance(AccountKind.FORFEITURE)) == ("REJECTED", 500_000)
    assert office.told(refund).count("refund_rejected") == 1
    whole(office)
