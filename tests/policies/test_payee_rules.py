"""To whom a deposit goes back: shares, accounts and names per channel (REF-3, REF-5, REF-8; ambiguities 6 and 25)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.payouts import Payee, PayeeMethod
from models.shops import EntityType
from policies.payees import Account, Holder, PaidIn, Share, account_of, judgement, share_out

COMPANY, TRADER, PERSON = EntityType.ENTERPRISE, EntityType.INDIVIDUAL_BUSINESS, EntityType.PERSON
LICENCE, OWNER = "晨光(北京)文具有限公司", "王小明"
CORPORATE = Payee(
    method=PayeeMethod.CORPORATE_ACCOUNT, name=LICENCE, account_no="110060149018001234", bank_name="工商银行"
)
CARD = Payee(method=PayeeMethod.BANK_CARD, name=OWNER, account_no="6222021234567890", bank_name="建设银行")
ALIPAY = Payee(method=PayeeMethod.ALIPAY, name=OWNER, account_no="13800001234")
WECHAT = Payee(method=PayeeMethod.WECHAT, name=OWNER, account_no="wx-owner")
USUAL = {COMPANY: CORPORATE, TRADER: CARD, PERSON: CARD}


def came(payee: Payee, fen: int, name: str = "") -> PaidIn:
    return PaidIn(method=payee.method, account_no=payee.account_no, name=name, fen=fen)


def shared(
    *named: Payee,
    fen: int = 400_000,
    entity: EntityType = PERSON,
    paid_in: tuple[PaidIn, ...] = (),
    paid_back: dict[Account, int] | None = None,
    balance: int | None = None,
    licence: str = LICENCE,
    otherwise: bool | None = None,
) -> tuple[Share, ...]:
    holder = Holder(entity=entity, licence_name=licence, owner_name=OWNER)
    return share_out(
        fen,
        holder,
        named,
        paid_in=paid_in,
        paid_back=paid_back or {},
        balance_fen=fen if balance is None else balance,
        otherwise=not paid_in if otherwise is None else otherwise,
    )


def brief(shares: tuple[Share, ...]) -> list[tuple[PayeeMethod, int, list[str]]]:
    return [(share.payee.method, share.fen, [finding.code for finding in share.findings]) for share in shares]


@pytest.mark.parametrize("entity", EntityType)
def test_a_deposit_paid_by_bank_goes_to_the_usual_payee_of_each_entity(entity: EntityType) -> None:
    """REF-5"""
    assert brief(shared(USUAL[entity], entity=entity)) == [(USUAL[entity].method, 400_000, [])]


@pytest.mark.parametrize(
    ("entity", "payee", "codes"),
    [
        (COMPANY, CARD, ["payee_method", "payee_name"]),
        (COMPANY, CARD.model_copy(update={"name": LICENCE}), ["payee_method"]),
        (TRADER, CORPORATE, ["payee_method", "payee_name"]),
        (PERSON, ALIPAY, ["payee_method"]),
        (COMPANY, CORPORATE.model_copy(update={"name": "晨光文具"}), ["payee_name"]),
        (PERSON, CARD.model_copy(update={"name": "王大明"}), ["payee_name"]),
        (PERSON, CARD.model_copy(update={"name": ""}), ["payee_name"]),
    ],
)
def test_another_payee_than_the_rule_expects_gets_it_all_and_deviates(
    entity: EntityType, payee: Payee, codes: list[str]
) -> None:
    assert brief(shared(payee, entity=entity)) == [(payee.method, 400_000, codes)]


def test_one_fen_through_a_channel_makes_nobody_the_payee_of_the_rest() -> None:
    came_in = (came(ALIPAY, 1),)
    stranger = shared(ALIPAY, fen=400_001, entity=COMPANY, paid_in=came_in)
    assert brief(stranger) == [(PayeeMethod.ALIPAY, 400_001, ["payee_name", "payee_share"])]
    both = shared(ALIPAY.model_copy(update={"name": LICENCE}), CORPORATE, fen=400_001, entity=COMPANY, paid_in=came_in)
    assert brief(both) == [(PayeeMethod.ALIPAY, 1, []), (PayeeMethod.CORPORATE_ACCOUNT, 400_000, [])]
    unnamed = shared(CORPORATE, fen=400_001, entity=COMPANY, paid_in=(came(ALIPAY, 1, "张三"),))
    assert brief(unnamed) == [(PayeeMethod.CORPORATE_ACCOUNT, 400_000, []), (PayeeMethod.ALIPAY, 1, [])]
    assert unnamed[1].payee.name == "张三"


def test_half_wechat_and_half_alipay_go_back_each_to_its_own() -> None:
    """REF-8, DEP-8"""
    came_in = (came(WECHAT, 200_000, OWNER), came(ALIPAY, 200_000, OWNER))
    assert brief(shared(ALIPAY, paid_in=came_in)) == [
        (PayeeMethod.ALIPAY, 200_000, []),
        (PayeeMethod.WECHAT, 200_000, []),
    ]


def test_wechat_with_the_number_of_the_alipay_account_is_another_account() -> None:
    wrong = ALIPAY.model_copy(update={"method": PayeeMethod.WECHAT})
    assert brief(shared(wrong, paid_in=(came(ALIPAY, 400_000),))) == [(PayeeMethod.WECHAT, 400_000, ["payee_method"])]
    both = (came(ALIPAY, 200_000), came(WECHAT, 200_000))
    assert brief(shared(wrong, paid_in=both)) == [(PayeeMethod.WECHAT, 400_000, ["payee_origin"])]


def test_the_number_may_be_grouped_differently() -> None:
    assert brief(
        shared(ALIPAY, paid_in=(came(ALIPAY.model_copy(update={"account_no": "138 0000-1234"}), 400_000),))
    ) == [(PayeeMethod.ALIPAY, 400_000, [])]


def test_the_name_is_the_payers_where_it_is_recorded_and_the_registered_one_otherwise() -> None:
    other = ALIPAY.model_copy(update={"name": "李四"})
    assert brief(shared(other, paid_in=(came(ALIPAY, 400_000, "李四"),))) == [(PayeeMethod.ALIPAY, 400_000, [])]
    assert brief(shared(ALIPAY, paid_in=(came(ALIPAY, 400_000, "李四"),)))[0][2] == ["payee_name"]
    assert brief(shared(other, paid_in=(came(ALIPAY, 400_000),)))[0][2] == ["payee_name"]


def test_an_account_nobody_named_whose_payer_is_not_recorded_is_looked_at_by_two() -> None:
    shares = shared(CARD, fen=400_001, paid_in=(came(ALIPAY, 1),))
    assert brief(shares)[1] == (PayeeMethod.ALIPAY, 1, ["payer_name_unknown"])
    assert shares[1].payee.name == OWNER


def test_what_an_account_got_back_before_counts() -> None:
    back = {account_of(ALIPAY): 200_000}
    came_in = (came(ALIPAY, 200_000),)
    assert brief(shared(CARD, fen=200_000, paid_in=came_in, paid_back=back)) == [(PayeeMethod.BANK_CARD, 200_000, [])]
    assert brief(shared(ALIPAY, fen=200_000, paid_in=came_in, paid_back=back))[0][2] == ["payee_share"]


def test_who_has_got_all_of_theirs_leaves_the_rest_to_the_other_accounts_that_paid() -> None:
    back = {account_of(ALIPAY): 200_000}
    came_in = (came(ALIPAY, 200_000, OWNER), came(WECHAT, 200_000, OWNER))
    for named in (ALIPAY, CARD):
        shares = shared(named, fen=200_000, paid_in=came_in, paid_back=back, otherwise=True)
        assert brief(shares) == [(PayeeMethod.WECHAT, 200_000, [])]


def test_all_of_it_came_by_alipay_and_the_merchant_wants_it_on_a_card() -> None:
    assert brief(shared(CARD, paid_in=(came(ALIPAY, 400_000, OWNER),))) == [
        (PayeeMethod.BANK_CARD, 400_000, ["payee_method"])
    ]


def test_a_part_asked_back_goes_to_whom_the_merchant_named_as_far_as_the_rule_has_it_for_them() -> None:
    came_in = (came(ALIPAY, 200_000),)
    for named in (CARD, ALIPAY):
        assert brief(shared(named, fen=200_000, balance=400_000, paid_in=came_in)) == [(named.method, 200_000, [])]


def test_a_payment_whose_account_is_not_recorded_is_pointed_out() -> None:
    unknown = (PaidIn(method=PayeeMethod.ALIPAY, fen=400_000),)
    assert brief(shared(ALIPAY, paid_in=unknown)) == [(PayeeMethod.ALIPAY, 400_000, ["payee_origin_unknown"])]
    partly = (PaidIn(method=PayeeMethod.ALIPAY, fen=100_000),)
    assert brief(shared(CARD, paid_in=partly)) == [(PayeeMethod.BANK_CARD, 400_000, ["payee_origin_unknown"])]


def test_a_shop_without_a_registered_name_cannot_confirm_any_payee() -> None:
    shares = shared(CORPORATE.model_copy(update={"name": " "}), entity=COMPANY, licence=" ")
    assert brief(shares)[0][2] == ["payee_name_unknown"]


ACCOUNTS = [CORPORATE, CARD, ALIPAY, WECHAT, ALIPAY.model_copy(update={"account_no": "13911112222"})]


@given(
    fen=st.integers(1, 1_000),
    more=st.integers(0, 500),
    otherwise=st.booleans(),
    entity=st.sampled_from(list(EntityType)),
    named=st.lists(st.sampled_from(ACCOUNTS), min_size=1, max_size=3),
    paid=st.lists(st.tuples(st.sampled_from(ACCOUNTS[2:]), st.integers(1, 600)), max_size=4),
    back=st.dictionaries(st.sampled_from([account_of(one) for one in ACCOUNTS[2:]]), st.integers(0, 300)),
)
def test_every_fen_goes_somewhere_once_and_a_channel_gets_more_than_it_brought_only_with_a_finding(
    fen: int,
    more: int,
    otherwise: bool,
    entity: EntityType,
    named: list[Payee],
    paid: list[tuple[Payee, int]],
    back: dict[Account, int],
) -> None:
    paid_in = tuple(came(payee, amount) for payee, amount in paid)
    shares = shared(
        *named, fen=fen, balance=fen + more, entity=entity, paid_in=paid_in, paid_back=back, otherwise=otherwise
    )
    assert sum(share.fen for share in shares) == fen and all(share.fen > 0 for share in shares)
    accounts = [account_of(share.payee) for share in shares]
    assert len({*accounts}) == len(accounts)
    for share, account in zip(shares, accounts, strict=True):
        room = sum(amount for payee, amount in paid if account_of(payee) == account) - back.get(account, 0)
        usual = share.payee.method is USUAL[entity].method
        assert usual or share.fen <= max(0, room) or share.findings


@pytest.mark.parametrize(
    ("entity", "payee", "paid"),
    list(itertools.product(EntityType, ACCOUNTS, [(), (came(ALIPAY, 1),), (came(WECHAT, 5), came(ALIPAY, 9))])),
)
def test_no_sentence_about_a_payee_shows_its_account_number_or_blocks(
    entity: EntityType, payee: Payee, paid: tuple[Any, ...]
) -> None:
    unusual = judgement(shared(payee, entity=entity, paid_in=paid))
    assert unusual.deviates is bool(unusual.sentences)
    for finding in unusual.findings:
        assert not finding.blocking
        assert not any(one.account_no in finding.model_dump_json() for one in ACCOUNTS)
