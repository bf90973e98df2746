"""Refunds: who is refused, the payee rule, the gates, the second person, the due date."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cases import Finding
from models.deposits import BookFacts, RefundDocument
from models.money import Money
from models.payouts import Payee, PayeeMethod
from models.shops import EntityType, Penalty, ShopFacts, ShopState
from models.windows import CalendarDays
from policies.obstacles import Obstacle
from policies.payees import PayeeJudgement
from policies.policy import policy
from policies.refund import (
    missing_documents,
    needs_second_person,
    net_refund,
    not_to_be_overridden,
    refund_due,
    refund_early_reminder,
    refund_findings,
    refundable,
    refuse_application,
)
from policies.text import normalise_name, same_name

SHANGHAI = ZoneInfo("Asia/Shanghai")
POLICY = policy("2026-01-01")
LENIENT = POLICY.model_copy(update={"refund": POLICY.refund.model_copy(update={"penalty_policy": "unsettled"})})
NOW = datetime(2026, 3, 10, 4, 0, tzinfo=UTC)
AS_OF = NOW - timedelta(hours=1)
COMPANY, TRADER, PERSON = EntityType.ENTERPRISE, EntityType.INDIVIDUAL_BUSINESS, EntityType.PERSON
LICENCE, OWNER = "晨光(北京)文具有限公司", "王小明"
BALANCE = BookFacts(deposit_fen=400_000)
CORPORATE = Payee(
    method=PayeeMethod.CORPORATE_ACCOUNT, name=LICENCE, account_no="110060149018001234", bank_name="工商银行"
)
CARD = Payee(method=PayeeMethod.BANK_CARD, name=OWNER, account_no="6222021234567890", bank_name="建设银行")
UNUSUAL = PayeeJudgement(
    findings=tuple(
        Finding(code=code, clause="REF-5", blocking=False, sentence=f"{code}。")
        for code in ("payee_method", "payee_name")
    )
)
ALIPAY = Payee(method=PayeeMethod.ALIPAY, name=OWNER, account_no="13800001234")


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def apply(**changes):
    usual = {
        "requester": "acct-1",
        "owner": "acct-1",
        "shop_state": ShopState.CLOSED,
        "amount_fen": 400_000,
        "books": BALANCE,
        "other_refund": None,
    }
    return refuse_application(**{**usual, **changes})


def findings(facts=None, books=BALANCE, **changes):
    """Findings by code for an otherwise refundable company."""
    usual = {
        "as_of": AS_OF,
        "entity": COMPANY,
        "documents": set(RefundDocument),
        "payees": [CORPORATE],
        "judgement": PayeeJudgement(),
        "open_cases": {},
        "exit_invoices": (0, 0),
        "now": NOW,
        "policy": POLICY,
    }
    found = refund_findings(facts or ShopFacts(), books=books, **{**usual, **changes})
    assert len({finding.code for finding in found}) == len(found)
    return {finding.code: finding for finding in found}


def penalised(*, settled: bool, blocks: bool = False) -> ShopFacts:
    return ShopFacts(penalties=(Penalty(id="P1", kind="x", settled=settled, blocks_refund=blocks),))


@pytest.mark.parametrize("amount", [1, 399_999, 400_000])
def test_up_to_the_whole_balance_of_a_closed_shop_may_be_asked_back(amount):
    assert apply(amount_fen=amount) is None


@pytest.mark.parametrize(
    ("changes", "clause", "code"),
    [
        ({"requester": "acct-2"}, "REF-6", "not-owner"),
        ({"shop_state": ShopState.OPEN}, "REF-1", "shop-not-closed"),
        ({"shop_state": ShopState.CLEARING}, "REF-1", "shop-not-closed"),
        ({"shop_state": ShopState.FORCED_CLOSED}, "REF-10", "shop-forced-closed"),
        ({"other_refund": "REF-260301-ABCDEF"}, "REF-7", "refund-under-way"),
        ({"amount_fen": 0}, "REF-6", "amount-not-positive"),
        ({"amount_fen": -1}, "REF-6", "amount-not-positive"),
        ({"amount_fen": 400_001}, "REF-6", "amount-over-balance"),
        ({"books": BookFacts()}, "REF-8", "nothing-to-refund"),
    ],
)
def test_each_refusal_names_its_clause_and_says_why(changes, clause, code):
    refusal = apply(**changes)
    assert (refusal.clause, refusal.code) == (clause, code)
    assert refusal.sentence.endswith("。")


def test_too_much_is_refused_with_both_amounts():
    assert "¥4,000.01" in apply(amount_fen=400_001).sentence
    assert "¥4,000.00" in apply(amount_fen=400_001).sentence


def test_after_a_forced_closure_nothing_is_refundable_and_the_merchant_reads_both_clauses():
    assert refundable(BALANCE, ShopState.FORCED_CLOSED) == Money()
    assert refundable(BALANCE, ShopState.CLOSED) == Money(fen=400_000)
    assert "REF-10、CLS-10" in apply(shop_state=ShopState.FORCED_CLOSED).sentence


def test_a_stranger_learns_nothing_about_the_shop():
    assert apply(requester="acct-2", shop_state=ShopState.FORCED_CLOSED) == apply(requester="acct-2")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("晨光(北京)文具有限公司", "晨光（北京）文具有限公司"),
        ("晨光【北京】文具有限公司", "晨光(北京) 文具有限公司"),
        ("ＡＢＣ贸易", "abc贸易"),
        ("阿依古丽·买买提", "阿依古丽•买买提"),
        ("王小明\u200b", "王　小明"),
    ],
)
def test_width_brackets_dots_and_spaces_do_not_make_another_name(one, other):
    assert same_name(one, other)


@given(st.text())
def test_normalising_twice_changes_nothing_more_and_nothing_equals_an_empty_name(name):
    assert normalise_name(normalise_name(name)) == normalise_name(name)
    assert same_name(name, name) is bool(normalise_name(name))


def test_a_refundable_company_shows_nothing():
    assert findings() == {}


def test_missing_documents_are_named_by_entity_type():
    assert missing_documents(PERSON, [RefundDocument.IDENTITY_CARD], POLICY) == (RefundDocument.ACCOUNT_PROOF,)
    finding = findings(documents={RefundDocument.BUSINESS_LICENCE})["documents_missing"]
    assert (finding.blocking, finding.clause, finding.value) == (True, "REF-2", "对公账户开户证明")
    assert "对公账户开户证明" in finding.sentence


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"account_no": ""}, "payee_incomplete"),
        ({"bank_name": " "}, "payee_incomplete"),
        ({"account_no": "1234567"}, "payee_account_unreadable"),
        ({"account_no": "62220212345678X0"}, "payee_account_unreadable"),
        ({"account_no": "1" * 33}, "payee_account_unreadable"),
    ],
)
def test_payee_information_that_no_bank_could_use_blocks(change, code):
    finding = findings(payees=[CORPORATE.model_copy(update=change)])[code]
    assert (finding.blocking, finding.clause) == (True, "REF-2")


def test_an_account_typed_in_groups_or_full_width_is_readable_and_alipay_needs_no_bank():
    assert findings(payees=[CORPORATE.model_copy(update={"account_no": "６２２２ 0212-3456 7890"})]) == {}
    assert findings(payees=[ALIPAY]) == {}


@pytest.mark.parametrize(
    ("facts", "usually", "leniently"),
    [
        (penalised(settled=True), True, False),
        (penalised(settled=False), True, True),
        (penalised(settled=True, blocks=True), True, True),
    ],
)
def test_any_penalty_blocks_unless_the_policy_reads_only_unsettled_ones_ambiguity_4(facts, usually, leniently):
    assert ("penalties" in findings(facts)) is usually
    assert ("penalties" in findings(facts, policy=LENIENT)) is leniently


def test_leniently_read_a_settled_penalty_still_goes_to_the_reviewer_ambiguity_4():
    found = findings(penalised(settled=True), policy=LENIENT)
    assert not found["penalties_settled"].blocking
    assert found["penalties_settled"].as_of == AS_OF


@pytest.mark.parametrize(
    ("facts", "books", "code"),
    [
        (ShopFacts(arrears_fen=1), BALANCE, Obstacle.ARREARS),
        (ShopFacts(), BookFacts(deposit_fen=1, arrears_fen=1), Obstacle.BOOK_ARREARS),
        (ShopFacts(), BookFacts(deposit_fen=1, arrears_fen=2), Obstacle.BOOK_ARREARS),
        (ShopFacts(unsettled_payouts=1), BALANCE, Obstacle.UNSETTLED_PAYOUTS),
    ],
)
def test_arrears_and_unsettled_payouts_block_the_refund_whatever_was_written_off_ambiguity_3(facts, books, code):
    finding = findings(facts, books, written_off={code.value: (9, 9)})[code]
    assert (finding.blocking, finding.clause) == (True, "REF-9")


def test_arrears_that_the_deposit_covers_are_set_off_and_do_not_block_ambiguity_29():
    books = BookFacts(deposit_fen=400_000, arrears_fen=100_000)
    finding = findings(books=books)[Obstacle.BOOK_ARREARS]
    assert not finding.blocking and "先从保证金抵扣" in finding.sentence
    assert net_refund(Money(fen=400_000), books).text() == "先抵扣欠款 ¥1,000.00,退还 ¥3,000.00"


@pytest.mark.parametrize(
    ("asked", "deposit", "arrears", "set_off", "paid"),
    [
        (400_000, 400_000, 0, 0, 400_000),
        (400_000, 400_000, 1, 1, 399_999),
        (100_000, 400_000, 100_000, 100_000, 100_000),
        (300_001, 400_000, 100_000, 100_000, 300_000),
        (400_000, 400_000, 400_000, 400_000, 0),
        (400_000, 400_000, 900_000, 400_000, 0),
    ],
)
def test_what_is_owed_is_taken_first_and_never_more_than_the_rest_is_paid_ambiguity_29(
    asked, deposit, arrears, set_off, paid
):
    net = net_refund(Money(fen=asked), BookFacts(deposit_fen=deposit, arrears_fen=arrears))
    assert (net.set_off.fen, net.paid.fen) == (set_off, paid)


@pytest.mark.parametrize(("arrears", "refused"), [(399_999, False), (400_000, True), (400_001, True)])
def test_an_application_that_arrears_eat_up_is_refused_ambiguity_29(arrears, refused):
    refusal = apply(amount_fen=1, books=BookFacts(deposit_fen=400_000, arrears_fen=arrears))
    assert (refusal is not None) is refused
    assert not refused or refusal.clause == "REF-9"


def test_arrears_are_never_overridden_ambiguity_29():
    found = findings(ShopFacts(arrears_fen=1, open_orders=1)).values()
    assert [finding.code for finding in not_to_be_overridden(list(found))] == [Obstacle.ARREARS]


def test_a_dispute_that_came_up_after_closing_blocks_unless_it_was_written_off_ambiguity_22():
    facts = ShopFacts(open_aftersales=1)
    assert findings(facts)[Obstacle.OPEN_AFTERSALES].clause == "REF-8"
    assert findings(facts, written_off={Obstacle.OPEN_AFTERSALES.value: (1,)}) == {}
    assert list(findings(ShopFacts(open_aftersales=2), written_off={Obstacle.OPEN_AFTERSALES.value: (1,)})) == [
        Obstacle.OPEN_AFTERSALES
    ]


def test_without_facts_the_refund_is_blocked_and_not_assumed_clean():
    assert list(findings(as_of=None)) == [Obstacle.FACTS_UNKNOWN]


def test_a_deviating_payee_is_shown_after_what_blocks():
    judgement = UNUSUAL
    found = list(findings(ShopFacts(open_orders=1), judgement=judgement).values())
    assert [finding.blocking for finding in found] == [True, False, False]


@pytest.mark.parametrize(("fen", "two"), [(999_999, False), (1_000_000, False), (1_000_001, True)])
def test_above_the_threshold_a_second_person_is_needed_and_at_it_not(fen, two):
    assert bool(needs_second_person(Money(fen=fen), PayeeJudgement(), [], POLICY)) is two


def test_a_deviating_payee_or_an_overridden_finding_needs_a_second_person_and_says_which_ambiguity_6():
    judgement = UNUSUAL
    overridden = list(findings(ShopFacts(open_orders=2)).values())
    reasons = needs_second_person(Money(fen=2_000_000), judgement, overridden, POLICY)
    assert len(reasons) == 3
    assert "超过 ¥10,000.00" in reasons[0]
    assert judgement.sentences[0] in reasons[1]
    assert "还有 2 笔订单未完成" in reasons[2]


def test_information_is_nothing_to_override():
    note = Finding(code="deposit", clause="CLS-9", blocking=False, sentence="…")
    assert needs_second_person(Money(fen=1), PayeeJudgement(), [note], POLICY) == ()


def test_the_refund_is_due_seven_working_days_after_closure_or_application_if_later_ambiguity_5():
    closed, applied = local("2026-09-24T10:00:00"), local("2026-09-30T10:00:00")
    assert refund_due(closed, closed - timedelta(days=1), POLICY).due == local("2026-10-12T23:59:59")
    reckoned = refund_due(closed, applied, POLICY)
    assert reckoned.due == local("2026-10-15T23:59:59")
    assert reckoned.clause == "REF-3"


def test_within_a_week_only_reminds_us_after_seven_natural_days_ambiguity_5():
    closed = local("2026-09-24T10:00:00")
    reminder = refund_early_reminder(closed, closed, POLICY)
    assert reminder.due == local("2026-10-01T10:00:00")
    assert reminder.clause == "REF-4"
    assert reminder.due < refund_due(closed, closed, POLICY).due


def test_an_owner_may_change_the_kind_of_day_in_the_policy_alone_ambiguity_9():
    refund = POLICY.refund.model_copy(update={"sla": CalendarDays(n=7)})
    changed = POLICY.model_copy(update={"refund": refund})
    closed = local("2026-09-24T10:00:00")
    assert refund_due(closed, closed, changed).due == local("2026-10-01T23:59:59")


@pytest.mark.parametrize(
    ("facts", "books"),
    [
        (ShopFacts(unsettled_payouts=1, unsettled_payout_fen=1), BALANCE),
        (ShopFacts(), BALANCE.model_copy(update={"unsettled": 1, "unsettled_fen": 1})),
    ],
    ids=["by the platform's facts", "by our own books"],
)
def test_an_unpaid_cycle_is_set_aside_by_nobody_whoever_settles_it(facts, books):
    """REF-9: the same sentence as the arrears."""
    [never] = not_to_be_overridden(list(findings(facts, books).values()))
    assert never.clause == "REF-9"
    off = {never.code: [*never.extent]}  # nor does a write-off at closing help
    assert not_to_be_overridden(list(findings(facts, books, written_off=off).values())) == (never,)
