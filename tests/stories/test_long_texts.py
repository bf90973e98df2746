"""What is too long is given back with the count, or says how much of it was left off; nothing is cut silently."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from models.cases import Case
from models.dossier import Quote, Rows
from models.shop_events import ShopRegistered
from models.text import MOST_REASON, shortened, too_long
from notifications.mail import recipients
from notifications.text import prose
from office.base.db import in_transaction, reading
from office.cases import objections, routing
from office.cases.markdown import drawn, plain
from ops.cli import app
from tasks import releasing
from tasks.invoicing import exit_invoices, statements
from tasks.sight import lookup
from tests.invoicing.kit import all_statements, at, item, open_month, record
from tests.play import Office
from webhooks.problems import MAX_ERRORS, field_errors

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
    assert releasing.read_holds(f"shop-1:{LONG}") == {"shop-1": LONG}
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
        lambda tx, code: objections.dispute(tx, review.id, "he-qiang", code, LONG),
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
    for shown in (drawn([Quote.of(text)]), drawn([Rows.of({"说明": text})])):
        assert "第 19 段" in shown and "…" not in shown
    assert plain("字" * 1_500).count("字") == 1_500


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


def test_a_list_at_the_terminal_says_that_there_is_more(office: Office) -> None:
    for number in range(3):
        office.open_shop(f"shop-{number}", deposit_fen=0)
        office.request_closure(f"shop-{number}")
    for words in (["cases", "list"], ["inbox", "list"], ["outbox", "list"]):
        cut = CliRunner().invoke(app, [*words, "--limit", "2"])
        assert "只列出了前 2 个，还有更多" in cut.output, words
        assert "还有更多" not in CliRunner().invoke(app, [*words, "--limit", "9999"]).output


def test_a_shops_page_counts_the_cases_it_does_not_list(office: Office) -> None:
    office.open_shop()
    for _ in range(lookup.MOST + 2):
        office.request_closure(account_id="somebody")  # refused, and a case all the same
    with reading() as tx:
        shown = lookup.shop(tx, "shop-1")
        assert shown is not None and (len(shown.cases), shown.more_cases) == (lookup.MOST, 2)


@pytest.mark.parametrize(("count", "taken"), [(5, True), (6, False)])
def test_a_contact_names_no_more_addresses_than_are_written_to(count: int, taken: bool) -> None:
    contact = "mailto://robot@example.com?to=" + ",".join(f"a{n}@example.cn" for n in range(count))
    try:
        ShopRegistered.model_validate(ShopRegistered.EXAMPLE | {"contacts": [contact]})
        assert taken and len(recipients(contact) or ()) == count
    except ValidationError as error:
        assert not taken and "at most 5 mail addresses" in str(error)


def test_more_errors_than_the_door_lists_are_counted() -> None:
    with pytest.raises(ValidationError) as error:
        ShopRegistered.model_validate({f"odd{n}": 1 for n in range(30)})
    listed = field_errors(error.value)
    assert len(listed) == MAX_ERRORS + 1 and "more errors, not listed" in listed[-1].got
