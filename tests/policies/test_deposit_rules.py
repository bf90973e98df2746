"""Deposits: the whole schedule, the highest and never the sum, and deductions that add up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.deposits import DeductionReason
from models.money import Money
from models.shops import EntityType
from policies.deposit import NotRecruiting, required_deposit, split_deduction, topup_due
from policies.policy import policy, versions

POLICY = policy("2026-01-01")
COMPANY, TRADER, PERSON = EntityType.ENTERPRISE, EntityType.INDIVIDUAL_BUSINESS, EntityType.PERSON
AMOUNTS = st.integers(0, 10**9).map(lambda fen: Money(fen=fen))


@pytest.mark.parametrize(
    ("entity", "category", "yuan"),
    [
        (TRADER, "服饰", "2000"),
        (TRADER, "珠宝文玩", "20000"),
        (TRADER, "母婴", "5000"),
        (COMPANY, "服饰", "4000"),
        (COMPANY, "珠宝文玩", "20000"),
        (COMPANY, "母婴", "10000"),
        (PERSON, "服饰内衣", "500"),
        (PERSON, "运动户外", "500"),
        (PERSON, "鞋靴", "500"),
        (PERSON, "厨具", "500"),
    ],
)
def test_every_figure_of_the_schedule(entity, category, yuan):
    """DEP-1, DEP-2, DEP-3, DEP-4"""
    assert required_deposit(entity, [category], POLICY) == Money.yuan(yuan)


@pytest.mark.parametrize(
    ("entity", "least", "most"), [(TRADER, 2000, 20000), (COMPANY, 4000, 20000), (PERSON, 500, 500)]
)
def test_the_table_governs_and_not_the_typical_2000_to_5000_ambiguity_8(entity, least, most):
    """DEP-6"""
    schedule = POLICY.deposit.of(entity)
    assert (schedule.least_fen, schedule.most_fen) == (least * 100, most * 100)


def test_six_hundred_a_year_is_no_deposit_ambiguity_2():
    """DEP-7"""
    figures = {fen for entity in EntityType for fen in POLICY.deposit.of(entity).categories.values()}
    assert 600_00 not in figures


def test_several_categories_pay_the_highest_and_never_the_sum():
    """DEP-5"""
    assert required_deposit(COMPANY, ["服饰", "母婴", "服饰"], POLICY) == Money.yuan("10000")
    assert required_deposit(PERSON, ["鞋靴", "厨具"], POLICY) == Money.yuan("500")


@pytest.mark.parametrize(("entity", "yuan"), [(TRADER, "2000"), (COMPANY, "4000")])
def test_a_category_the_schedule_does_not_name_costs_the_lower_bound(entity, yuan):
    assert required_deposit(entity, ["宠物用品"], POLICY) == Money.yuan(yuan)
    assert required_deposit(entity, [], POLICY) == Money.yuan(yuan)


def test_an_unlisted_category_does_not_lower_a_listed_one():
    assert required_deposit(TRADER, ["宠物用品", "珠宝文玩"], POLICY) == Money.yuan("20000")


def test_a_person_cannot_sell_jewellery_and_is_told_what_is_open_instead():
    with pytest.raises(NotRecruiting) as refused:
        required_deposit(PERSON, ["鞋靴", "珠宝文玩"], POLICY)
    assert refused.value.categories == ("珠宝文玩",)
    assert "珠宝文玩类目暂不招商(DEP-4)" in refused.value.sentence
    assert "服饰内衣、运动户外、鞋靴、厨具" in refused.value.sentence


def test_a_balance_below_the_requirement_is_topped_up_and_a_full_one_is_not():
    """DEP-11"""
    assert topup_due(Money.yuan("4000"), Money.yuan("3999.99")) == Money(fen=1)
    assert topup_due(Money.yuan("4000"), Money.yuan("4000")) == Money()
    assert topup_due(Money.yuan("4000"), Money.yuan("9000")) == Money()


@pytest.mark.parametrize(
    ("amount", "balance", "taken", "owed"),
    [(1, 100, 1, 0), (100, 100, 100, 0), (101, 100, 100, 1), (5, 0, 0, 5)],
)
def test_a_deduction_takes_the_deposit_first_and_the_rest_becomes_arrears(amount, balance, taken, owed):
    assert split_deduction(Money(fen=amount), Money(fen=balance)) == (Money(fen=taken), Money(fen=owed))


def test_a_deduction_of_nothing_is_refused():
    with pytest.raises(ValueError, match="DED-9"):
        split_deduction(Money(), Money(fen=100))


def test_currencies_do_not_mix():
    with pytest.raises(ValueError, match="USD"):
        topup_due(Money(fen=1), Money(fen=1, currency="USD"))


@given(AMOUNTS.filter(bool), AMOUNTS)
def test_a_split_gives_away_every_fen_and_never_overdraws(amount, balance):
    taken, owed = split_deduction(amount, balance)
    assert taken.fen + owed.fen == amount.fen
    assert taken.fen <= balance.fen
    assert not owed or taken == balance


@given(AMOUNTS, AMOUNTS)
def test_after_the_top_up_the_requirement_is_met_exactly_when_it_was_short(required, balance):
    due = topup_due(required, balance)
    assert balance.fen + due.fen == max(required.fen, balance.fen)


@given(st.lists(st.sampled_from(["服饰", "珠宝文玩", "母婴", "宠物用品"])), st.sampled_from([COMPANY, TRADER]))
def test_whatever_the_categories_the_deposit_lies_in_the_range(categories, entity):
    schedule = POLICY.deposit.of(entity)
    assert schedule.least_fen <= required_deposit(entity, categories, POLICY).fen <= schedule.most_fen


def test_every_reason_to_deduct_has_a_label_and_its_own_clause():
    assert [reason.clause for reason in DeductionReason] == [f"DED-{n}" for n in range(1, 7)]
    assert DeductionReason("LATE_SHIPMENT").label == "未按时发货"


def test_a_frozen_deposit_is_used_up_by_set_off_only_and_never_goes_negative_ambiguity_21():
    balance = Money.yuan("500")
    taken, owed = split_deduction(Money.yuan("800"), balance)
    assert (taken, owed) == (balance, Money.yuan("300"))


@pytest.mark.parametrize(
    ("entity", "name", "yuan"),
    [
        (EntityType.PERSON, "服饰", 500),
        (EntityType.PERSON, "服饰内衣", 500),
        (EntityType.INDIVIDUAL_BUSINESS, "服饰内衣", 2_000),
        (EntityType.ENTERPRISE, "服饰内衣", 4_000),
    ],
)
def test_a_category_goes_by_each_of_its_names_ambiguity_45(entity, name, yuan):
    """DEP-2, DEP-3, DEP-4: under the policy in force and the one before it."""
    for version in versions():
        assert required_deposit(entity, [name], policy(version)).fen == yuan * 100
    assert required_deposit(EntityType.ENTERPRISE, [name, "母婴"], POLICY).fen == 1_000_000
