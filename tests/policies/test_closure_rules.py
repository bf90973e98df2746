"""Closing: who is refused, every gate with its proof, what clearing waits for, the six months after."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cases import CaseKind
from models.closures import ClosureReason
from models.deposits import BookFacts
from models.shops import Penalty, ShopFacts, ShopState
from policies.approvals import covered
from policies.closure import (
    clearing_remaining,
    closure_findings,
    exit_invoice_due,
    may_reopen,
    refuse_request,
    reopen_from,
)
from policies.obstacles import Obstacle, forgiven_of
from policies.policy import policy

SHANGHAI = ZoneInfo("Asia/Shanghai")
POLICY = policy("2026-01-01")
NOW = datetime(2026, 3, 10, 4, 0, tzinfo=UTC)
AS_OF = NOW - timedelta(hours=1)
SECOND = timedelta(seconds=1)
STRICT = POLICY.model_copy(update={"closure": POLICY.closure.model_copy(update={"reopen_strict": True})})


def ask(**changes):
    usual = {
        "requester": "acct-1",
        "owner": "acct-1",
        "reason": ClosureReason.POOR_BUSINESS,
        "reason_text": "",
        "shop_state": ShopState.OPEN,
        "other_closure": None,
    }
    return refuse_request(**{**usual, **changes})


def findings(facts=None, books=None, cases=None, **changes):
    """Findings by code for an otherwise clean shop."""
    usual = {"as_of": AS_OF, "open_cases": cases or {}, "now": NOW, "policy": POLICY}
    found = closure_findings(facts or ShopFacts(), books=books or BookFacts(), **{**usual, **changes})
    assert len({finding.code for finding in found}) == len(found)
    return {finding.code: finding for finding in found}


def remaining(facts=None, books=None, **changes):
    """Codes that keep an otherwise cleared shop from CLOSED."""
    usual = {"as_of": AS_OF, "open_cases": {}, "exit_invoices": (0, 0), "now": NOW}
    return [
        f.code for f in clearing_remaining(facts or ShopFacts(), books=books or BookFacts(), **{**usual, **changes})
    ]


def extents(facts):
    """What writing off everything that blocks is kept as."""
    return {code: finding.extent for code, finding in findings(facts).items() if finding.blocking}


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def test_the_owner_of_an_open_shop_with_a_reason_is_heard():
    assert ask() is None
    assert ask(reason=ClosureReason.OTHER, reason_text="搬家") is None


@pytest.mark.parametrize(
    ("changes", "clause", "code"),
    [
        ({"requester": "acct-2"}, "CLS-3", "not-owner"),
        ({"reason": None}, "CLS-4", "reason-missing"),
        ({"reason": ClosureReason.OTHER}, "CLS-4", "reason-text-missing"),
        ({"reason": ClosureReason.OTHER, "reason_text": " 　\n"}, "CLS-4", "reason-text-missing"),
        ({"shop_state": ShopState.CLOSED}, "CLS-6", "shop-closed"),
        ({"shop_state": ShopState.CLEARING}, "CLS-9", "shop-clearing"),
        ({"shop_state": ShopState.FORCED_CLOSED}, "CLS-10", "shop-forced-closed"),
        ({"other_closure": "CLS-260301-ABCDEF"}, "CLS-5", "closure-under-way"),
    ],
)
def test_each_refusal_names_its_clause_and_says_why(changes, clause, code):
    refusal = ask(**changes)
    assert (refusal.clause, refusal.code) == (clause, code)
    assert refusal.sentence.endswith("。")


def test_a_second_request_is_told_which_one_is_under_way():
    assert "CLS-260301-ABCDEF" in ask(other_closure="CLS-260301-ABCDEF").sentence


def test_a_stranger_learns_nothing_about_the_shop():
    assert ask(requester="acct-2", shop_state=ShopState.FORCED_CLOSED) == ask(requester="acct-2")


def test_a_missing_reason_lists_the_four_there_are():
    assert "经营不善、经营策略转变、商品库存清零、其他原因" in ask(reason=None).sentence


def test_a_clean_shop_shows_only_its_deposit_and_nothing_blocks():
    found = findings(books=BookFacts(deposit_fen=400_000))
    assert set(found) == {"deposit"}
    assert not found["deposit"].blocking
    assert "¥4,000.00" in found["deposit"].sentence


@pytest.mark.parametrize(
    ("facts", "code", "clause", "shown"),
    [
        ({"arrears_fen": 1}, Obstacle.ARREARS, "CLS-7", "¥0.01"),
        (
            {"unsettled_payouts": 2, "unsettled_payout_fen": 123_400},
            Obstacle.UNSETTLED_PAYOUTS,
            "CLS-7",
            "2 笔,合计 ¥1,234.00",
        ),
        ({"open_orders": 3}, Obstacle.OPEN_ORDERS, "CLS-9", "3 笔订单"),
        ({"open_aftersales": 4}, Obstacle.OPEN_AFTERSALES, "CLS-9", "4 笔售后"),
        ({"open_arbitrations": 5}, Obstacle.OPEN_ARBITRATIONS, "CLS-9", "5 件仲裁"),
        ({"open_appeals": 6}, Obstacle.OPEN_APPEALS, "CLS-9", "6 件申诉"),
        ({"freezes": 1, "frozen_fen": 2_700}, Obstacle.FREEZES, "CLS-9", "1 笔,合计 ¥27.00"),
        ({"unpaid_bills": 1, "unpaid_bill_fen": 9_000}, Obstacle.UNPAID_BILLS, "CLS-9", "1 笔,合计 ¥90.00"),
        (
            {"penalties": (Penalty(id="P1", kind="x", settled=False),)},
            "penalties_unsettled",
            "CLS-9",
            "1 项处罚",
        ),
    ],
)
def test_each_gate_of_the_facts_blocks_with_clause_value_time_and_sentence_ambiguity_3_and_22(
    facts, code, clause, shown
):
    """CLS-7, CLS-9"""
    found = findings(ShopFacts(**facts))
    assert set(found) == {str(code), "deposit"}
    finding = found[str(code)]
    assert finding.blocking
    assert (finding.clause, finding.as_of) == (clause, AS_OF)
    assert shown in finding.sentence
    assert str(finding.value) in finding.sentence


def test_an_unsettled_amount_without_a_count_still_blocks():
    assert Obstacle.UNSETTLED_PAYOUTS in findings(ShopFacts(unsettled_payout_fen=1))


@pytest.mark.parametrize(
    ("books", "code", "shown"),
    [
        (BookFacts(arrears_fen=50_000), Obstacle.BOOK_ARREARS, "¥500.00"),
        (BookFacts(receivable_frozen_fen=2_700), Obstacle.BOOK_FROZEN, "¥27.00"),
    ],
)
def test_what_our_own_books_hold_against_the_shop_blocks_too(books, code, shown):
    """CLS-7"""
    finding = findings(books=books)[code]
    assert finding.blocking
    assert shown in finding.sentence


def test_open_cases_of_the_shop_block_and_are_named():
    finding = findings(cases={CaseKind.APPEAL: ["a", "b"], CaseKind.INVOICE_REVIEW: ["c"], CaseKind.WITHDRAWAL: []})[
        Obstacle.OPEN_CASES
    ]
    assert finding.blocking
    assert finding.value == "仲裁申诉 2 件、发票审核 1 件"


def test_receivables_still_to_be_paid_and_settled_penalties_are_for_information():
    settled = ShopFacts(penalties=(Penalty(id="P1", kind="x", settled=True),))
    found = findings(settled, BookFacts(receivable_fen=100))
    assert not found["penalties_settled"].blocking
    assert not found["receivable"].blocking


@pytest.mark.parametrize(("facts", "as_of"), [(None, None), (None, AS_OF), (ShopFacts(), None)])
def test_without_any_snapshot_nothing_is_proved_and_the_closure_is_blocked(facts, as_of):
    found = closure_findings(facts, as_of, BookFacts(), open_cases={}, now=NOW, policy=POLICY)
    assert [f.code for f in found if f.blocking] == [Obstacle.FACTS_UNKNOWN]


@pytest.mark.parametrize(("age", "mentioned"), [(-SECOND, False), (0 * SECOND, False), (SECOND, True)])
def test_facts_older_than_the_policys_hours_are_pointed_out_but_do_not_block(age, mentioned):
    limit = timedelta(hours=POLICY.closure.facts_stale_after.n)
    found = findings(as_of=NOW - limit - age)
    assert ("facts_stale" in found) is mentioned
    assert not any(finding.blocking for finding in found.values())


def test_blocking_findings_come_first():
    found = list(findings(ShopFacts(open_orders=1), BookFacts(deposit_fen=1, receivable_fen=1)).values())
    assert [finding.blocking for finding in found] == [True, False, False]


def test_a_cleared_shop_has_nothing_left():
    assert remaining() == []


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"open_orders": 1}, Obstacle.OPEN_ORDERS),
        ({"open_aftersales": 1}, Obstacle.OPEN_AFTERSALES),
        ({"open_arbitrations": 1}, Obstacle.OPEN_ARBITRATIONS),
        ({"open_appeals": 1}, Obstacle.OPEN_APPEALS),
        ({"unsettled_payouts": 1}, Obstacle.UNSETTLED_PAYOUTS),
        ({"freezes": 1}, Obstacle.FREEZES),
        ({"unpaid_bills": 1}, Obstacle.UNPAID_BILLS),
    ],
)
def test_clearing_waits_for_each_open_thing_unless_a_reviewer_wrote_it_off_ambiguity_22(facts, code):
    """CLS-9"""
    assert remaining(ShopFacts(**facts)) == [code]
    assert remaining(ShopFacts(**facts), written_off=extents(ShopFacts(**facts))) == []
    assert remaining(ShopFacts(**facts), written_off={"something_else": (1,)}) == [code]


@pytest.mark.parametrize(
    ("then", "now", "left"),
    [
        ({"open_orders": 3}, {"open_orders": 3}, False),
        ({"open_orders": 3}, {"open_orders": 4}, True),
        ({"open_orders": 3}, {"open_orders": 2}, False),
        ({"freezes": 1, "frozen_fen": 500}, {"freezes": 1, "frozen_fen": 501}, True),
        ({"freezes": 1, "frozen_fen": 500}, {"freezes": 2, "frozen_fen": 400}, True),
        ({"unpaid_bills": 2, "unpaid_bill_fen": 9}, {"unpaid_bills": 1, "unpaid_bill_fen": 9}, False),
    ],
)
def test_what_was_written_off_covers_what_was_open_then_and_not_more(then, now, left):
    assert bool(remaining(ShopFacts(**now), written_off=extents(ShopFacts(**then)))) is left


def test_an_appeal_that_was_written_off_does_not_cover_a_case_of_another_kind():
    found = findings(cases={CaseKind.APPEAL: ["a"]})[Obstacle.OPEN_CASES]
    as_before = {found.code: found.extent}  # as an older version kept it
    for off in (as_before, {found.code: forgiven_of(found)}):
        assert remaining(open_cases={CaseKind.APPEAL: ["a"]}, written_off=off) == []
        assert remaining(open_cases={CaseKind.CORRECTION: ["b"]}, written_off=off) == [Obstacle.OPEN_CASES]


def test_an_appeal_that_was_written_off_does_not_cover_another_in_its_place():
    """CLS-9, ambiguity 22: which it was counts, not that there was one."""
    found = findings(cases={CaseKind.APPEAL: ["a"]})[Obstacle.OPEN_CASES]
    off = {found.code: forgiven_of(found)}
    assert remaining(open_cases={CaseKind.APPEAL: ["b"]}, written_off=off) == [Obstacle.OPEN_CASES]
    assert remaining(open_cases={CaseKind.APPEAL: ["a", "b"]}, written_off=off) == [Obstacle.OPEN_CASES]
    assert not covered(findings(cases={CaseKind.APPEAL: ["b"]})[Obstacle.OPEN_CASES], found)


def test_clearing_waits_for_exit_invoices_and_our_own_open_cases():
    assert remaining(exit_invoices=(1, 0)) == [Obstacle.EXIT_INVOICES] == remaining(exit_invoices=(0, 1))
    assert remaining(open_cases={CaseKind.APPEAL: ["a"]}) == [Obstacle.OPEN_CASES]
    assert remaining(books=BookFacts(receivable_frozen_fen=1)) == [Obstacle.BOOK_FROZEN]


def test_arrears_and_penalties_keep_the_deposit_and_not_the_shop_ambiguity_3():
    facts = ShopFacts(arrears_fen=1, penalties=(Penalty(id="P1", kind="x", settled=False),))
    assert remaining(facts, BookFacts(arrears_fen=1)) == []


def test_nobody_closes_a_shop_blind_even_if_the_missing_facts_were_written_off():
    """CLS-7"""
    assert remaining(as_of=None, written_off={Obstacle.FACTS_UNKNOWN.value: ()}) == [Obstacle.FACTS_UNKNOWN]


@pytest.mark.parametrize(
    ("later", "left"), [(-SECOND, [Obstacle.FACTS_BEFORE_CLEARING]), (0 * SECOND, []), (SECOND, [])]
)
def test_facts_from_before_orders_were_shut_off_do_not_prove_that_none_came_in(later, left):
    shut_off = NOW - timedelta(minutes=30)
    assert remaining(as_of=shut_off + later, shut_off_at=shut_off) == left


@given(st.sets(st.sampled_from([gate.value for gate in Obstacle])), st.integers(0, 3), st.integers(0, 3))
def test_writing_off_more_never_leaves_more_to_wait_for(codes, orders, aftersales):
    facts = ShopFacts(open_orders=orders, open_aftersales=aftersales, freezes=1)
    everything = remaining(facts)
    codes -= {Obstacle.FREEZES.value}
    assert remaining(facts, written_off={code: (3,) for code in codes}) == [
        code for code in everything if code not in codes
    ]


def test_exit_invoices_are_due_at_the_last_second_of_the_fifth_day_ambiguity_9():
    reckoned = exit_invoice_due(local("2026-03-10T00:00:01"), POLICY)
    assert reckoned.due == local("2026-03-15T23:59:59")
    assert reckoned.clause == "CLS-8"


@pytest.mark.parametrize(
    ("closed", "again"),
    [
        ("2025-08-31T12:00:00", "2026-02-28T12:00:00"),
        ("2027-08-31T12:00:00", "2028-02-29T12:00:00"),
        ("2026-01-15T00:30:00", "2026-07-15T00:30:00"),
    ],
)
def test_a_shop_may_open_again_after_six_calendar_months(closed, again):
    assert reopen_from(local(closed), POLICY) == local(again)


@pytest.mark.parametrize(
    ("after", "usually", "strictly"),
    [(-SECOND, False, False), (0 * SECOND, True, False), (SECOND, True, True)],
)
def test_at_exactly_six_months_it_may_unless_the_policy_is_strict_ambiguity_7(after, usually, strictly):
    closed, moment = local("2025-08-31T12:00:00"), local("2026-02-28T12:00:00") + after
    assert may_reopen(moment, closed, POLICY) is usually
    assert may_reopen(moment, closed, STRICT) is strictly


def test_a_shop_closed_by_force_never_opens_again():
    assert not may_reopen(local("2036-01-01T00:00:00"), local("2026-01-01T00:00:00"), POLICY, forced=True)
