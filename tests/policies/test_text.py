"""Text from outside: what is a character is taken, however young; what steers a line or is none is not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from models.evidence import MediaType
from models.text import has_text, odd, without_odd
from models.wire import Contact, Line, Prose, WebAddress
from notifications.text import one_line, prose
from office.cases.gates import Answer
from policies.evidence import safe_name
from policies.text import same_name

YOUNG = ["🩷", "🫩", "\U00031350", "\U000323af", "\U0002ebf0", "\U0003347f", "\U0001fae9"]
"""A pink heart, Han extensions H, I and J, faces of 2024 and after: Python 3.11 knows none of them."""
ODD = ["\x00", "\x07", "\x1b", "\x7f", "\x85", "\ud800", "\udcd6", "\udfff", "\ufdd0", "\ufffe", "\uffff", "\U0010ffff",
       "\u202e", "\u2066", "\u2028"]  # fmt: skip


@pytest.mark.parametrize("sign", [*YOUNG, "㐀", "𠮷", "👨\u200d👩\u200d👧", "é", "\ue000", "\u200e"])
def test_a_character_is_taken_whether_or_not_this_interpreter_knows_it(sign: str) -> None:
    assert odd(sign) is None and without_odd(sign) == sign
    assert TypeAdapter(Line).validate_python(f"晨光{sign}文具") == f"晨光{sign}文具"
    assert TypeAdapter(Prose).validate_python(f"已发货{sign}\n谢谢") == f"已发货{sign}\n谢谢"


@pytest.mark.parametrize("sign", YOUNG)
def test_a_young_character_is_still_there_where_it_is_shown(sign: str) -> None:
    assert sign in one_line(f"晨{sign}光") and sign in prose(f"晨{sign}光")
    assert same_name(f"晨{sign}光", f"晨 {sign} 光") and not same_name(f"晨{sign}光", "晨光")
    if ord(sign) >= 0x20000:
        assert safe_name(f"{sign}.jpg", MediaType.JPEG) == f"{sign}.jpg"


@pytest.mark.parametrize("sign", ODD, ids=lambda sign: f"U+{ord(sign):04X}")
def test_what_is_no_character_or_steers_the_line_is_refused_with_its_number(sign: str) -> None:
    assert odd(f"晨{sign}光") == f"U+{ord(sign):04X}"
    for kind in (Line, Prose):
        with pytest.raises(ValidationError):
            TypeAdapter(kind).validate_python(f"晨{sign}光")
    assert without_odd(f"晨{sign}光") == one_line(f"晨{sign}光").replace(" ", "") == "晨光"


@pytest.mark.parametrize("sign", ["\x00", "\x1b", "\u202e", "\ufffe"])
def test_no_address_holds_one_either(sign: str) -> None:
    for kind, address in ((WebAddress, "https://x.example/"), (Contact, "mailto://x.example/")):
        with pytest.raises(ValidationError):
            TypeAdapter(kind).validate_python(address + sign)


def test_what_a_person_typed_is_cleaned_of_them_in_every_field_of_an_answer() -> None:
    answer = Answer(
        review_id="RV-1",
        revision=1,
        staff_id="li-na\x00",
        code="123\u202e456",
        verdict="APPROVE",
        reason="第一行\r\n第二行\x00\ud83e🩷",
        extra={"note\x00": ["a\x00", {"b": "\udcd6c"}], "n": 3},
        given_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert (answer.staff_id, answer.code, answer.reason) == ("li-na", "123456", "第一行\n第二行🩷")
    assert answer.extra == {"note": ["a", {"b": "c"}], "n": 3}
    answer.model_dump_json().encode()


@pytest.mark.parametrize(
    "nothing", ["", " \n\t", "\u200b\u200b", "\u00a0\u00a0", "\u3000", "\u3164\u115f", "\u200e\u200f", "\u2060\ufeff",
                "\ufe0f\ufe0f", "\u0301\u0301", "\u2800", "\u00ad", "。。", "……", "-", "\U000e0041"],
)  # fmt: skip
def test_what_shows_nothing_or_only_dots_is_no_text(nothing: str) -> None:
    assert not has_text(nothing)


@pytest.mark.parametrize("something", ["同意", "ok", "１", "a\u200b", *YOUNG[3:6]])
def test_one_letter_or_digit_is_a_text_and_two_may_be_asked_for(something: str) -> None:
    assert has_text(something)
    assert has_text(something, 2) is (something in {"同意", "ok"})
    assert has_text(f"{something}。", 2)
