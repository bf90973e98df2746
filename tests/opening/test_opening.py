"""Opening a shop, step by step: what is asked, in which order, by whom, and when the shop is open (OPN)."""

from __future__ import annotations

from models.shops import Capability, ShopState
from tasks.sight.merchant import merchant_view
from tests.opening.bench import IDENTITY, PRODUCTS, Applicant, opened, to_pay
from tests.play import Office


def test_a_person_opens_a_shop_from_the_application_to_the_deposit(office: Office) -> None:
    """OPN-2, OPN-3, OPN-5, OPN-6, OPN-11, OPN-12, OPN-13, OPN-16: two people's decisions, and no transfer (ambiguity 44)."""
    applicant = Applicant(office)
    assert office.shop().state is ShopState.APPLYING
    applicant.materials()
    applicant.approve()
    applicant.finishing()
    assert office.shop().capabilities == []
    applicant.approve()
    assert office.shop().state is ShopState.AWAITING_DEPOSIT and office.shop().capabilities == []
    office.pay_deposit("shop-1", 50_000)
    assert applicant.now.outcome == "OPENED" and office.shop().state is ShopState.OPEN
    granted = [event["capability"] for event in office.events("shop.capability.granted")]
    assert granted == [capability.value for capability in Capability]
    assert office.told(applicant.case) == ["opening_to_do", "opening_to_do", "contract_offered", "shop_opened"]
    assert office.books() == [] == office.chains()


def test_the_deposit_opens_the_shop_only_when_it_is_paid_in_full(office: Office) -> None:
    """OPN-13, DEP-10: part payments count, and open nothing."""
    to_pay(office)
    office.pay_deposit("shop-1", 49_999)
    assert office.shop().state is ShopState.AWAITING_DEPOSIT and office.events("shop.opened") == []
    assert office.events("shop.capability.granted") == []
    office.pay_deposit("shop-1", 1)
    assert office.shop().state is ShopState.OPEN and len(office.events("shop.opened")) == 1


def test_what_is_missing_is_told_and_comes_in_any_order(office: Office) -> None:
    """OPN-3, OPN-5, OPN-7, OPN-8: parts and papers, whichever comes first."""
    applicant = Applicant(office)
    assert applicant.missing() == ["BASICS", "ENTITY", "IDENTITY_CARD", "PRODUCT_INFO", "TRAINING"]
    applicant.training()
    applicant.papers(PRODUCTS)
    applicant.entity_info()
    assert applicant.missing() == ["BASICS", "IDENTITY_CARD"]
    applicant.papers(IDENTITY)
    assert applicant.now.state == "AWAITING_MATERIALS"
    applicant.basics()
    assert applicant.missing() == [] and applicant.now.state == "UNDER_REVIEW"


def test_a_paper_without_a_file_is_no_paper(office: Office) -> None:
    """OPN-4, ambiguity 26: it counts when the file is here, and then at once."""
    applicant = Applicant(office)
    applicant.basics()
    applicant.entity_info()
    applicant.training()
    applicant.papers(IDENTITY, PRODUCTS, staged=False)
    assert applicant.missing() == ["IDENTITY_CARD", "PRODUCT_INFO"]
    office.stage("shop-1", IDENTITY, PRODUCTS)
    assert applicant.now.state == "UNDER_REVIEW"


def test_an_opened_shop_is_as_any_other(office: Office) -> None:
    """It may be asked to close, its deposit is its own."""
    opened(office)
    assert office.shop().name == "晨光文具旗舰店" and office.shop().owner_name == "林晓"
    case = office.request_closure()
    assert office.case(case.id).state == "UNDER_REVIEW"


def test_the_merchants_side_reads_what_is_missing_until_when_and_what_it_may_send(office: Office) -> None:
    """OPN-3, OPN-6: with the reviewer's reason where something is asked again; nothing once it is here."""
    applicant = Applicant(office)
    applicant.materials()
    seen = merchant_view(applicant.case.id)
    assert seen.missing is None and seen.waits_for == "平台审核"
    applicant.ask_again("身份证明:照片模糊")
    seen = merchant_view(applicant.case.id)
    assert seen.missing is not None and seen.due_at is not None
    assert [(one["what"], one["why"], one["clause"]) for one in seen.missing] == [
        ("IDENTITY_CARD", "照片模糊", "OPN-7")
    ]
    assert "opening.papers_submitted" in seen.allowed_actions and "opening.withdrawn" in seen.allowed_actions
    applicant.papers(IDENTITY)
    assert merchant_view(applicant.case.id).missing is None
