"""What reviewers of an application see and may do: reasons per paper, differences, nothing over what blocks (OPN-6, OPN-16)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from office.cases import deadlines
from office.cases.forms import form_description, form_schema
from office.cases.markdown import markdown
from office.cases.reviews import gate_of
from tests.deaths import Died, mortal
from tests.opening.bench import IDENTITY, LICENCE, PRODUCTS, Applicant, opened
from tests.play import Office, paper

NEWER = paper("身份证.pdf", "IDENTITY_CARD", b"%PDF-1.7 newer identity of an applicant")


def asked(office: Office, entity: str = "PERSON") -> Applicant:
    applicant = Applicant(office, entity)
    applicant.materials()
    return applicant


def test_what_is_asked_again_is_named_with_its_reason_and_nothing_else_is_sent_again(office: Office) -> None:
    """OPN-6: the merchant reads the reason per paper, sends that one, and is looked at again."""
    applicant = asked(office)
    applicant.ask_again("身份证明:照片模糊\n店铺名称、简介和联系方式：名称含有他人商标")
    assert applicant.missing() == ["BASICS", "IDENTITY_CARD"]
    told = office.outbox(topic="opening_to_do")
    assert len(told) == 2
    applicant.basics("清风文具")
    applicant.papers(NEWER)
    assert applicant.now.state == "UNDER_REVIEW"
    sent = [one["sha256"] for one in applicant.now.request["documents"] if one["kind"] == "IDENTITY_CARD"]
    assert sent == [NEWER["sha256"]]  # OPN-4: it stands instead of the one before
    applicant.approve()
    assert office.shop().name == "清风文具"


def test_asking_again_without_saying_what_is_not_taken(office: Office) -> None:
    applicant = asked(office)
    for items in ("", "请补充材料", "营业执照", "店铺 Logo:太小", "身份证明:\u200b\u3164", "身份证明:。。"):
        outcome = office.answer(office.question(applicant.case), "tang-yu", "ASK", items=items)
        assert not outcome.accepted and "名称可选" in outcome.sentence, items
    assert applicant.now.state == "UNDER_REVIEW"


def test_nobody_approves_over_what_blocks(office: Office) -> None:
    """OPN-7, OPN-8: a licence that is over; only asking again or rejecting is left."""
    applicant = Applicant(office, "INDIVIDUAL_BUSINESS")
    applicant.basics()
    applicant.entity_info(licence_until="2026-11-18")
    applicant.papers(LICENCE, IDENTITY, PRODUCTS)
    applicant.training()
    outcome = office.answer(office.question(applicant.case), "tang-yu", "APPROVE", "同意")
    assert not outcome.accepted and "已于 2026-11-18 到期" in outcome.sentence
    applicant.ask_again("主体和法人信息:执照已到期")
    applicant.entity_info()
    applicant.approve()


def test_an_approval_is_about_what_was_shown(office: Office) -> None:
    """OPN-16, ambiguity 23: what the merchant sends while somebody looks is shown anew before anybody decides on it."""
    applicant = asked(office)
    before = office.question(applicant.case)
    applicant.papers(NEWER)
    outcome = office.answer(before, "tang-yu", "APPROVE", "同意")
    assert not outcome.accepted
    applicant.approve()
    assert applicant.stage == "FINISHING"


def test_what_is_sent_between_the_reviewers_yes_and_the_act_is_looked_at_again(office: Office) -> None:
    """OPN-6, OPN-16, ambiguity 23: the worker that was to act on the approval has died."""
    applicant = asked(office)
    with mortal(lambda when, key: when == "before" and "openings.accept" in key), pytest.raises(Died):
        applicant.approve()
    applicant.papers(NEWER)
    office.clock.advance(timedelta(seconds=61))
    office.settle()
    question = office.question(applicant.case)
    assert (question.gate, question.round, applicant.stage) == ("opening-entity", 2, "MATERIALS")
    applicant.approve()
    assert applicant.stage == "FINISHING"


def test_the_reviewer_reads_what_differs_from_the_last_application(office: Office) -> None:
    applicant = asked(office)
    office.decide(applicant.case, "tang-yu", "REJECT", "类目与资料不符")
    applicant.apply(categories=["鞋靴"])
    assert applicant.missing() == [], "what is here is not sent again"
    applicant.papers(NEWER)
    applicant.basics("清风鞋铺")
    shown = markdown(office.question(applicant.case).dossier).replace("\\", "")
    assert "类目:厨具 → **鞋靴**" in shown and "店铺名称:晨光文具旗舰店 → **清风鞋铺**" in shown
    assert "身份证明:**已更换文件**" in shown and "商品资料:" not in shown.partition("差异")[2].partition("####")[0]


def test_papers_open_from_the_dossier_and_numbers_are_masked(office: Office) -> None:
    """OPN-6: hostile text stays text, a phone and an identity number are shown by their tails."""
    applicant = Applicant(office)
    applicant.basics("<script>alert(1)</script>", introduction="**好** [点我](https://evil.example)")
    applicant.entity_info()
    applicant.papers(IDENTITY, PRODUCTS)
    applicant.training()
    shown = markdown(office.question(applicant.case).dossier).replace("\\", "")
    assert shown.count("](http") >= 2 and "<script>" not in shown and "](https://evil" not in shown
    assert "13800001234" not in shown and "330226199001011234" not in shown and "1234" in shown


def test_a_name_that_another_shop_has_is_refused_at_once(office: Office) -> None:
    """OPN-3: width, case and blanks make no other name; of a running application it is reserved, a closed shop's is free."""
    opened(office)
    other = Applicant(office, shop_id="shop-2")
    other.basics("晨光 文具旗舰店")
    assert office.refusals()[-1][0] == "OPN-3" and "BASICS" in other.missing()
    other.basics("清风文具")
    third = Applicant(office, shop_id="shop-3")
    third.basics("清风文具")
    assert "BASICS" in third.missing()
    other.send("opening.withdrawn")
    third.basics("清风文具")
    assert "BASICS" not in third.missing()


def test_the_shop_review_is_late_after_three_working_days(office: Office) -> None:
    """OPN-11: one to three working days, then the supervisor is told; the question stays."""
    applicant = asked(office)
    applicant.approve()
    applicant.finishing()
    review = office.question(applicant.case)
    due = office.deadline(applicant.case, f"review/{review.id}")
    assert due.clause == "OPN-11" and due.reckoned["window"] == {"unit": "working_days", "n": 3}
    office.clock.at = due.due_at - timedelta(seconds=1)
    office.sweep()
    assert office.staff_told("review_overdue") == []
    office.pass_time(seconds=1)
    assert office.staff_told("review_overdue") == ["supervisor"]
    applicant.approve()


def test_the_form_says_what_can_be_asked_for_again(office: Office) -> None:
    applicant = asked(office)
    review = office.question(applicant.case)
    assert "需重新提交的材料" in str(form_schema(review, gate_of(review)))
    assert "逐项把原因告知商家" in form_description(review, gate_of(review))


def test_a_rejection_names_the_reason_and_the_way_to_object(office: Office) -> None:
    applicant = asked(office)
    office.decide(applicant.case, "tang-yu", "REJECT", "营业执照经营范围不含所选类目")
    assert applicant.now.outcome == "REJECTED"
    assert "客服" in office.message("opening_rejected")["appeal_how"]
    assert deadlines.DeadlineState.OPEN not in {office.deadline(applicant.case, "opening-tasks/MATERIALS/1").state}
