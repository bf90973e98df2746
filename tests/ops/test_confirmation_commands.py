"""A person's word at the terminal: confirming, objecting, and where they are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from models.cases import Case
from office.base.db import reading
from office.base.settings import settings
from office.staff import staff
from tests.play import Office

Done = Callable[..., str]


@pytest.fixture
def refund(office: Office, monkeypatch: pytest.MonkeyPatch) -> Case:
    """Finance has approved a refund in Prefect's dialog, and it waits for their word."""
    monkeypatch.setenv("DIANWU_CONFIRMATION", "confirm")
    settings.cache_clear()
    office.closed_shop()
    case = office.request_refund()
    assert office.fill_in(office.question(case), "wang-fang", "APPROVE").accepted
    return case


def test_what_waits_for_its_authors_word_is_seen_and_confirmed(
    office: Office, refund: Case, done: Done, told: Callable[..., Any]
) -> None:
    review = office.question(refund)
    assert "王芳 已答复，待本人确认" in done("review", "list")
    assert told("review", "list")[0]["held_by"] == "王芳"
    assert "同意退还" in done("cases", "show", refund.id)
    assert "生效" in done("review", "confirm", review.id, "--as", "wang-fang", "--code", office.code("wang-fang"))
    office.settle()
    assert office.case(refund.id).state == "PAYING"


def test_who_objects_has_the_question_asked_again(office: Office, refund: Case, done: Done) -> None:
    review = office.question(refund)
    said = done(
        "review", "object", review.id, "--as", "wang-fang", "--reason", "我选的是驳回", typed=office.code("wang-fang")
    )
    assert "已作废" in said
    office.settle()
    assert office.question(refund).id == review.id


def test_a_wrong_code_confirms_nothing_and_an_unknown_question_is_named(
    office: Office, refund: Case, refused: Done
) -> None:
    review = office.question(refund)
    refused("review", "confirm", review.id, "--as", "wang-fang", "--code", "000000")
    assert "没有编号" in refused("review", "object", "RV-1", "--as", "wang-fang", "--code", "000000")
    assert office.case(refund.id).state != "PAYING"


def test_only_the_person_says_where_they_are_told(office: Office, done: Done, refused: Done) -> None:
    refused("staff", "contact", "wang-fang", "mailto://wang@example.com", "--code", "000000")
    done("staff", "contact", "wang-fang", "mailto://wang@example.com", "--code", office.code("wang-fang"))
    with reading() as tx:
        assert staff.contacts(tx, "wang-fang") == ["mailto://wang@example.com"]
        assert staff.contacts(tx, "li-na") == []
    assert "wang@example.com" not in str(office.trail("staff/wang-fang"))
    done("staff", "contact", "wang-fang", "--code", office.code("wang-fang"))
    with reading() as tx:
        assert staff.contacts(tx, "wang-fang") == []


def test_a_bare_mail_address_needs_a_relay(office: Office, dianwu: Callable[..., Any]) -> None:
    answer = dianwu("staff", "contact", "wang-fang", "wang@example.com", "--code", office.code("wang-fang"))
    assert answer.exit_code == 2 and "mail_relay" in answer.output
