"""What is too long is given back with the count, or says how much of it was left off; nothing is cut silently."""

from __future__ import annotations

import pytest

from models.cases import Case
from models.text import MOST_REASON, shortened, too_long
from notifications.text import prose
from office.base.db import in_transaction
from office.cases import confirmations, dossier, routing
from tasks.invoicing import exit_invoices, statements
from tests.invoicing.kit import all_statements, at, item, open_month, record
from tests.play import Office

LONG = "字" * (MOST_REASON + 3)
GIVEN_BACK = "共 1,003 字,最多 1,000 字,请缩短 3 字"


@pytest.mark.parametrize("through", ["form", "terminal"])
def test_a_reason_of_three_characters_too_many_is_given_back_with_the_count(office: Office, through: str) -> None:
    office.open_shop()
    case = office.request_closure()
    question = office.question(case)
    answer = office.fill_in if through == "form" else office.answer
    told = answer(question, "li-na", "REJECT", LONG)
    assert not told.accepted and f"理由{GIVEN_BACK}" in told.sentence
    assert office.case(case.id).concluded_at is None
    if through == "form":
        assert (office.question(case).unaccepted or {})["reason"] == LONG


def test_a_reason_that_just_fits_is_kept_whole(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    office.decide(case, "li-na", "REJECT", f"  {LONG[:MOST_REASON]}\n")
    assert office.reviews(case)[0].reason == LONG[:MOST_REASON]


def test_a_field_of_the_question_that_is_too_long_is_given_back_by_its_name(office: Office) -> None:
    month = _a_month(office)
    told = office.answer(office.question(month), "wang-fang", "RELEASE", hold="店" * 20_001)
    assert "暂缓出账的店铺共 20,001 字,最多 20,000 字" in told.sentence


def test_a_reason_to_hold_a_statement_back_is_given_back_when_too_long_and_kept_whole_otherwise(office: Office) -> None:
    month = _a_month(office)
    told = office.answer(office.question(month), "wang-fang", "RELEASE", hold=f"shop-1:{LONG}")
    assert GIVEN_BACK in told.sentence and "shop-1" in told.sentence
    assert statements.read_holds(f"shop-1:{LONG}") == {"shop-1": LONG}
    office.decide(month, "wang-fang", "RELEASE", hold=f"shop-1:{'字' * 900}")
    assert [one.held_reason for one in all_statements()] == ["字" * 900]


def _a_month(office: Office) -> Case:
    """A month that waits to be released."""
    office.open_shop()
    record(office, item())
    at(office, 2026, 12, 1, 2)
    return open_month(office)


def test_whoever_gives_up_a_message_waives_a_duty_or_objects_hears_when_the_words_are_too_long(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    office.decide(case, "li-na", "REJECT")
    review = office.reviews(case)[0]
    acts = [
        lambda tx, code: routing.dismiss(tx, 1, "he-qiang", code, LONG),
        lambda tx, code: exit_invoices.waive(tx, case.id, "he-qiang", code, LONG),
        lambda tx, code: confirmations.dispute(tx, review.id, "he-qiang", code, LONG),
    ]
    for act in acts:
        code = office.code("he-qiang")
        told = in_transaction(lambda tx, act=act, code=code: act(tx, code))  # type: ignore[misc]
        assert not told.accepted and GIVEN_BACK in told.sentence
    code = office.code("wang-fang")
    told = in_transaction(lambda tx: statements.release_held(tx, "2026-11", "shop-1", "wang-fang", code, LONG))
    assert not told.accepted and GIVEN_BACK in told.sentence


def test_whoever_decides_reads_all_that_a_merchant_may_write(office: Office) -> None:
    text = "\n".join(f"第 {n} 段 {'证' * 180}" for n in range(20))
    assert 3_000 < len(text) <= 4_000
    for shown in (dossier.quoted(text), dossier.lines(text)):
        assert "第 19 段" in shown and "…" not in shown
    assert dossier.plain("字" * 1_500).count("字") == 1_500


def test_what_a_message_leaves_off_is_counted() -> None:
    assert prose("字" * 2_500).endswith("字")
    cut = prose("字" * 10_000)
    assert len(cut) <= 4_000 and cut.endswith(f"…(另有 {10_000 - cut.count('字') + 1:,} 字)")


@pytest.mark.parametrize("length", [0, 63, 64, 65, 300])
def test_a_shortened_text_is_no_longer_than_allowed_and_counts_what_it_leaves_off(length: int) -> None:
    text = "字" * length
    short = shortened(text, 64)
    assert len(short) <= 64
    if length <= 64:
        assert short == text
    else:
        kept, said = short.split("…(另有 ")
        assert len(kept) + int(said.removesuffix(" 字)").replace(",", "")) == length


def test_what_fits_exactly_is_not_too_long() -> None:
    assert too_long("字" * MOST_REASON, "理由") is None
    assert too_long("", "理由") is None
