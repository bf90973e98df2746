"""Who is taken up, and who is refused at once with the clause: accounts, bans, categories, the old route (OPN-1, OPN-14, OPN-18)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from models.opening_events import AccountState, OtherShop
from policies.opening import refuse_legacy
from policies.opening_numbers import OpeningPolicy
from policies.policy import policy, use_policies
from tests.opening.bench import FORM, GOOD, LICENCE, Applicant, opened, unsigned
from tests.play import Office, paper

TAOBAO = {"platform": "TAOBAO", "name": "晨光淘宝店", "ratings": ["4.7", "4.8", "4.9"], "diamonds": 1}


@pytest.fixture
def opening_policy() -> Iterator[Callable[..., None]]:
    """Chooses the policy on openings: ``opening_policy(legacy_third_party_shop=True)``."""

    def choose(**changes: Any) -> None:
        published = policy("2026-01-01")
        use_policies(published.model_copy(update={"opening": published.opening.model_copy(update=changes)}))

    yield choose
    use_policies()


@pytest.mark.parametrize(
    "entity, account, clause",
    [
        ("ENTERPRISE", {"blue_v": False}, "OPN-1"),
        ("INDIVIDUAL_BUSINESS", {"blue_v": False}, "OPN-1"),
        ("PERSON", {"blue_v": False}, None),
        ("PERSON", {"real_name": False}, "OPN-18"),
        ("PERSON", {"active": False}, "OPN-18"),
        ("PERSON", {"compliant": False}, "OPN-18"),
        ("ENTERPRISE", {}, None),
    ],
)
def test_businesses_need_blue_v_and_persons_their_real_name(
    office: Office, entity: str, account: dict[str, Any], clause: str | None
) -> None:
    """OPN-1, OPN-18, ambiguity 1: refused at once, with the clause and the way to object; blue V itself is free (OPN-17)."""
    applicant = Applicant(office, entity, account=GOOD | account)
    assert applicant.now.outcome_clause == clause
    if clause:
        assert office.told(applicant.case) == ["opening_refused"]
        assert "客服" in office.message("opening_refused")["next_step"]


@pytest.mark.parametrize("fans, taken", [(999, False), (1_000, True), (1_001, True)])
def test_fans_are_asked_for_where_the_policy_says_so(
    office: Office, opening_policy: Callable[..., None], fans: int, taken: bool
) -> None:
    """OPN-18."""
    opening_policy(least_fans=1_000)
    applicant = Applicant(office, owner="acct-shop-1")
    applicant.send("opening.withdrawn")
    applicant.apply(account=GOOD | {"fans": fans})
    assert (applicant.now.outcome is None) is taken


def test_categories_that_are_not_recruited_are_refused(office: Office) -> None:
    """DEP-4: of a person."""
    assert Applicant(office, categories=["珠宝文玩"]).now.outcome_clause == "DEP-4"


def test_an_account_has_one_application_and_one_shop(office: Office) -> None:
    """OPN-2: whatever number the second one would have."""
    first = Applicant(office)
    second = Applicant(office, shop_id="shop-2", owner="acct-shop-1")
    assert second.now.outcome_clause == "OPN-2" and first.now.outcome is None
    again = first.apply()
    assert office.case(again.id).outcome_clause == "OPN-2", "nor twice for the same shop"


def test_who_has_a_shop_opens_no_other(office: Office) -> None:
    """OPN-2; a number that is somebody else's shop is refused without a case."""
    opened(office)
    assert Applicant(office, shop_id="shop-2", owner="acct-shop-1").now.outcome_clause == "OPN-2"
    office.send(
        "opening.requested",
        {
            "shop_id": "shop-1",
            "account_id": "acct-other",
            "owner_name": "王明",
            "entity_type": "PERSON",
            "categories": ["厨具"],
            "account": GOOD,
        },
    )
    assert office.refusals()[-1][0] == "OPN-2"


def test_a_banned_person_does_not_come_back_by_another_account(office: Office) -> None:
    """REO-5: the same identity number, or the same business, blocks at the review and cannot be set aside."""
    opened(office)
    case = office.propose_forced_closure()
    office.decide(case, "li-na", "CONFIRM")
    office.decide(case, "he-qiang", "CONFIRM")
    other = Applicant(office, shop_id="shop-2", owner="acct-other")
    other.materials("清风文具")
    outcome = office.answer(office.question(other.case), "tang-yu", "APPROVE", "同意")
    assert not outcome.accepted and "REO-5" in outcome.sentence
    third = Applicant(office, shop_id="shop-3", owner="acct-third")
    third.materials("明月文具")
    office.decide(third.case, "tang-yu", "REJECT", "主体曾被强制关店")


@pytest.mark.parametrize(
    "on, account, shops, clause",
    [
        (False, {"fans": 300_000}, [TAOBAO], "OPN-14"),
        (True, {"fans": 300_000}, [TAOBAO], None),
        (True, {"fans": 299_999}, [TAOBAO], "OPN-14"),
        (True, {"fans": 300_000}, [], "OPN-14"),
        (True, {"fans": 300_000}, [TAOBAO | {"ratings": ["4.7", "4.69"]}], "OPN-14"),
        (True, {"fans": 300_000}, [TAOBAO | {"ratings": []}], "OPN-14"),
        (True, {"fans": 300_000}, [TAOBAO | {"diamonds": 0}], "OPN-14"),
        (True, {"fans": 300_000}, [TAOBAO | {"platform": "JD", "diamonds": 0}], None),
        (True, {"fans": 300_000, "blue_v": False}, [TAOBAO], "OPN-1"),
    ],
)
def test_the_old_route_is_off_and_asks_for_fans_ratings_and_a_diamond(
    office: Office,
    opening_policy: Callable[..., None],
    on: bool,
    account: dict[str, Any],
    shops: list[Any],
    clause: str | None,
) -> None:
    """OPN-14, ambiguities 1 and 47: 以上 includes the number; the level is asked of Taobao shops only."""
    opening_policy(legacy_third_party_shop=on)
    applicant = Applicant(
        office, "ENTERPRISE", profile="LEGACY_THIRD_PARTY_SHOP", other_shops=shops, account=GOOD | account
    )
    assert applicant.now.outcome_clause == clause


def test_one_good_shop_elsewhere_is_enough() -> None:
    """OPN-14."""
    numbers = OpeningPolicy(legacy_third_party_shop=True)
    good, bad = OtherShop(**TAOBAO), OtherShop(platform="TMALL", name="天猫店", ratings=("3.0",))
    state = AccountState(real_name=True, blue_v=True, fans=300_000)
    assert refuse_legacy(state, [bad, good], numbers) is None and refuse_legacy(state, [bad], numbers) is not None


def test_conditional_papers_are_asked_for_where_their_condition_holds(office: Office) -> None:
    """OPN-4, OPN-7: an own trademark, a category that needs a licence; nothing of the kind otherwise."""
    plain = Applicant(office, "ENTERPRISE")
    assert {"TRADEMARK", "INDUSTRY_LICENCE"}.isdisjoint(plain.missing())
    full = Applicant(office, "ENTERPRISE", "shop-2", own_trademark=True, categories=["食品"])
    assert {"TRADEMARK", "INDUSTRY_LICENCE"} <= set(full.missing())


def test_what_is_not_declared_true_is_not_taken(office: Office) -> None:
    """OPN-8."""
    applicant = Applicant(office)
    applicant.entity_info(declared_true=False)
    assert office.refusals()[-1][0] == "OPN-8" and "ENTITY" in applicant.missing()


def test_costs_are_told_and_ask_for_nothing(office: Office) -> None:
    """OPN-19: hints in the first letter, and no condition anywhere."""
    Applicant(office)
    hints = " ".join(office.message("opening_to_do")["hints"])
    assert "OPN-19" in hints and "2 万元" in hints


def test_products_may_be_imported_from_taobao_and_tmall_after_opening(office: Office) -> None:
    """OPN-15: an offer by event, for these two only, and no gate."""
    opened(office, other_shops=[{"platform": "TMALL", "name": "天猫店"}, {"platform": "JD", "name": "京东店"}])
    assert [event["platforms"] for event in office.events("opening.import_offered")] == [["TMALL"]]
    assert office.message("shop_opened")["import_from"] == ["天猫"]


def test_the_form_of_the_certificate_is_drawn_up_with_what_was_reviewed(office: Office) -> None:
    """OPN-9: prefilled, printable on A4, hostile text is text; numbers of people and accounts are left to be written in."""
    applicant = Applicant(office, "ENTERPRISE")
    applicant.basics("<b>晨光</b>")
    applicant.entity_info()
    applicant.papers(LICENCE, *(paper(f"{kind}.pdf", kind) for kind in ("IDENTITY_CARD", "PRODUCT_INFO")))
    applicant.training()
    applicant.approve()
    [drawn] = office.events("opening.certificate_form")
    assert (
        "宁波晨光文具有限公司" in drawn["html"]
        and "91330226MA2AB1C2D8" in drawn["html"]
        and "size: A4" in drawn["html"]
    )
    assert "<b>晨光</b>" not in drawn["html"] and "330226199001011234" not in drawn["html"]
    applicant.papers(FORM)
    assert applicant.missing() == ["ACCOUNT"]


def test_the_contract_is_the_text_that_was_offered_and_settlement_waits_for_it(office: Office) -> None:
    """OPN-12, ambiguity 46: the deposit opens the shop, the signature lets it be settled; another text is not signed."""
    from office.base.db import reading
    from tasks.shops import contracts

    applicant = unsigned(office)
    assert office.shop().state == "OPEN" and office.message("shop_opened")["unsigned"] is True

    def blocked() -> bool:
        with reading() as tx:
            return contracts.blocks_settlement(tx, "shop-1")

    assert blocked()
    for changes in ({"sha256": "ab" * 32}, {"version": "2020-01-01"}, {"account_id": "acct-other"}):
        applicant.sign(**changes)
        assert office.refusals()[-1][0] == "OPN-12" and blocked()
    applicant.sign()
    assert not blocked()
    applicant.sign()
    assert office.trail("shop/shop-1").count("contract.signed") == 1, "the same again changes nothing"
    [offered] = office.events("contract.offered")
    assert "签署前不予结算" in offered["text"]


def test_the_certification_fee_is_a_fee_and_an_official_account_waives_it(office: Office) -> None:
    """OPN-17, ambiguity 2: 600 beside the deposit, never of it; nothing where an account is bound."""
    for shop_id, bound in (("shop-1", False), ("shop-2", True)):
        applicant = Applicant(office, "INDIVIDUAL_BUSINESS", shop_id, official_account=bound)
        applicant.materials(f"晨光 {shop_id}")
        applicant.approve()
        applicant.finishing()
        applicant.approve()
        office.pay_deposit(shop_id, 200_000)
        assert (applicant.now.outcome == "OPENED") is bound
    office.pay_deposit("shop-1", 60_000, purpose="CERTIFICATION_FEE")
    assert office.shop().state == "OPEN" and office.books() == []
