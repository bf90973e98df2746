"""Where a text is required, what shows nothing is none: in forms, at the terminal, in events."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from models.arbitration_events import AppealFiled
from models.closure_events import ClosureRequested, MerchantAnswered
from models.shop_events import ShopRegistered
from office.base.db import in_transaction
from office.cases import routing
from tests.play import Office

NOTHING = ["\u200b\u200b", "\u00a0\u00a0", "\u3164\u3164", "\u200e\u200f", "  ", "。。"]


@pytest.mark.parametrize("nothing", NOTHING)
def test_a_reason_that_shows_nothing_is_no_reason(office: Office, nothing: str) -> None:
    office.open_shop()
    case = office.request_closure()
    told = office.answer(office.question(case), "li-na", "REJECT", nothing)
    assert not told.accepted and "理由" in told.sentence


@pytest.mark.parametrize("nothing", NOTHING)
def test_nothing_approves_over_a_blocking_finding(office: Office, nothing: str) -> None:
    office.open_shop()
    office.snapshot(open_orders=3)
    case = office.request_closure()
    assert not office.answer(office.question(case), "li-na", "APPROVE", nothing).accepted


@pytest.mark.parametrize("nothing", NOTHING)
def test_closing_for_another_reason_needs_that_reason(nothing: str) -> None:
    """CLS-2, CLS-4"""
    with pytest.raises(ValidationError, match="reason_text"):
        ClosureRequested.model_validate(ClosureRequested.EXAMPLE | {"reason": "OTHER", "reason_text": nothing})


def test_a_failed_message_is_not_given_up_without_a_reason(office: Office) -> None:
    code = office.code("he-qiang")
    told = in_transaction(lambda tx: routing.dismiss(tx, 1, "he-qiang", code, "\u200b\u200b"))
    assert "理由" in told.sentence


@pytest.mark.parametrize("field", ["name", "owner_name"])
@pytest.mark.parametrize("nothing", NOTHING[:5])
def test_a_name_in_an_event_shows_something(field: str, nothing: str) -> None:
    with pytest.raises(ValidationError, match=field):
        ShopRegistered.model_validate(ShopRegistered.EXAMPLE | {field: nothing})


@pytest.mark.parametrize("nothing", NOTHING[:5])
def test_a_text_in_an_event_that_shows_nothing_is_none(nothing: str) -> None:
    assert AppealFiled.model_validate(AppealFiled.EXAMPLE | {"statement": nothing}).statement == ""


def test_a_text_that_may_be_left_out_may_be_left_out() -> None:
    assert ClosureRequested.model_validate(ClosureRequested.EXAMPLE | {"reason_text": ""}).reason_text == ""
    assert MerchantAnswered.model_validate(MerchantAnswered.EXAMPLE | {"text": ""}).text == ""
