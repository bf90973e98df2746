"""What the merchant's side is told about a case: where it stands, until when, and what may be sent now."""

from __future__ import annotations

import pytest

from models.views import CaseView
from office.base.settings import settings
from office.cases.locks import UnknownCase
from tasks.sight import views
from tasks.sight.disputes import dispute_file
from tasks.sight.merchant import merchant_view
from tasks.sight.views import case_dossier
from tests.play import PAYEE, SILENCE, Office

CORRECTION = {"shop_id": "shop-1", "account_id": "acct-shop-1", "payee": {**PAYEE, "account_no": "3301040160000125678"}}


def test_a_closure_can_be_taken_back_until_the_shop_is_closed(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    view = merchant_view(case.id)
    assert (view.state_label, view.waits_for, view.allowed_actions) == ("审核中", "平台审核", ("closure.withdrawn",))
    office.decide(case, "li-na", "APPROVE")
    clearing = merchant_view(case.id)
    assert "closure.withdrawn" in clearing.allowed_actions and "清算" in clearing.waits_for
    office.snapshot()
    closed = merchant_view(case.id)
    assert (closed.outcome, closed.waits_for, closed.allowed_actions, closed.due_at) == ("CLOSED", "", (), None)


def test_every_state_says_who_helps(office: Office) -> None:
    """CLS-11"""
    office.open_shop()
    case = office.request_closure()
    under_review = merchant_view(case.id)
    office.decide(case, "li-na", "APPROVE")
    clearing = merchant_view(case.id)
    office.snapshot()
    closed = merchant_view(case.id)
    assert [view.state for view in (under_review, clearing, closed)] == ["UNDER_REVIEW", "CLEARING", "CLOSED"]
    assert {view.service_contact for view in (under_review, clearing, closed)} == {settings().service_contact}
    assert settings().service_contact


def test_a_question_counts_down_and_can_be_answered_until_its_last_second(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    office.decide(case, "li-na", "ASK", "请补充库存清单")
    due = office.deadline(case, "merchant-answer/1").due_at
    view = merchant_view(case.id)
    assert view.waits_for == "商家补充材料"
    assert set(view.allowed_actions) == {"merchant.answered", "closure.withdrawn"}
    office.clock.at = due
    assert "merchant.answered" in merchant_view(case.id).allowed_actions
    office.pass_time(seconds=1)
    assert merchant_view(case.id).allowed_actions == ("closure.withdrawn",)
    office.pass_time(seconds=SILENCE.seconds)
    assert merchant_view(case.id).allowed_actions == ()
    assert merchant_view(case.id).outcome == "LAPSED"


def test_a_refund_cannot_be_taken_back_while_its_money_is_at_the_bank(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    before = ("refund.payee_corrected", "refund.withdrawn")
    assert merchant_view(case.id).allowed_actions == before
    office.decide(case, "wang-fang", "APPROVE")
    paying = merchant_view(case.id)
    assert (paying.allowed_actions, paying.waits_for) == ((), "银行回执")
    office.bank(f"{case.id}-P1", "returned")
    assert merchant_view(case.id).allowed_actions == before


@pytest.mark.parametrize("state", ["under review", "at the bank", "returned"])
def test_what_is_said_to_be_allowed_is_taken_and_nothing_else_is(office: Office, state: str) -> None:
    office.closed_shop()
    case = office.request_refund()
    if state != "under review":
        office.decide(case, "wang-fang", "APPROVE")
    if state == "returned":
        office.bank(f"{case.id}-P1", "returned")
    allowed = merchant_view(case.id).allowed_actions
    for type_, data in (
        ("merchant.answered", {"shop_id": "shop-1", "account_id": "acct-shop-1", "case_id": case.id, "text": "好"}),
        ("refund.payee_corrected", {**CORRECTION, "case_id": case.id}),
        ("refund.withdrawn", {"shop_id": "shop-1", "account_id": "acct-shop-1", "case_id": case.id}),
    ):
        refused = len(office.events("message.refused"))
        office.send(type_, data)
        assert (len(office.events("message.refused")) == refused) == (type_ in allowed), type_


def test_our_lateness_shows_as_past_due_with_nothing_left(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    assert not merchant_view(case.id).past_due
    office.pass_time(days=20)
    view = merchant_view(case.id)
    assert view.past_due and view.seconds_left == 0 and view.outcome is None


def test_the_merchants_timeline_names_no_colleague(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    office.decide(case, "wang-fang", "APPROVE")
    office.bank(f"{case.id}-P1")
    view = merchant_view(case.id)
    assert isinstance(view, CaseView)
    told = view.model_dump_json()
    assert "银行回执:已到账" in told
    assert "wang-fang" not in told and "王芳" not in told and PAYEE["account_no"] not in told


def test_the_whole_picture_masks_the_account_and_knows_every_paper(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    office.decide(case, "wang-fang", "ASK", "请补充开户证明")
    office.send(
        "merchant.answered",
        {
            "shop_id": "shop-1",
            "account_id": "acct-shop-1",
            "case_id": case.id,
            "text": "已补充",
            "documents": [{"name": "开户证明.pdf", "kind": "ACCOUNT_PROOF", "sha256": "ef" * 32}],
        },
    )
    picture = case_dossier(case.id)
    assert [item.name for item in picture.evidence] == ["营业执照.pdf", "开户许可.pdf", "开户证明.pdf"]
    assert picture.evidence[0].where == "随申请提交"
    assert picture.evidence[-1].where == "答复「请补充开户证明」时提交,未收到文件"
    assert [wait.answer for wait in picture.waits] == ["已补充"]
    assert PAYEE["account_no"] not in picture.model_dump_json()


def test_a_case_nobody_knows_is_unknown(office: Office) -> None:
    with pytest.raises(UnknownCase):
        merchant_view("REF-000000-XXXXXX")
    with pytest.raises(UnknownCase):
        case_dossier("REF-000000-XXXXXX")


def test_what_a_half_or_a_month_has_for_every_shop_is_shown_in_part_and_the_rest_is_counted(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.closed_shop()
    case = office.request_refund()
    office.decide(case, "wang-fang", "APPROVE")
    whole = case_dossier(case.id)
    assert whole.left_off == () and len(whole.messages) > 1
    monkeypatch.setattr(views, "SHOWN", 1)
    part = case_dossier(case.id)
    assert part.messages == whole.messages[:1] and part.payouts == whole.payouts
    assert dict(part.left_off)["消息"] == len(whole.messages) - 1 and "打款" not in dict(part.left_off)
    assert f"另有 {len(whole.messages) - 1} 条消息未列出" in dispute_file(part)
