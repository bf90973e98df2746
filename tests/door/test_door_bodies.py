"""What may be in a body: size, encoding, depth, types, amounts, times, text; and the refusals."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.money import MAX_FEN
from models.wire import INBOUND
from office.base.settings import Settings
from tests.door.doorkit import Door, door_of, message, stored, traces


def refused(door: Door, body: Any, field: str, **headers: Any) -> dict[str, Any]:
    """Post, demand a 422 that names ``field`` and left nothing behind; returns that field's error."""
    before = traces()
    answer = door.post(body, **headers)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert {"type", "title", "status", "detail", "instance", "errors"} <= problem.keys()
    assert (problem["status"], problem["instance"]) == (422, "/webhooks/platform")
    assert traces() == before
    assert door.woken == []
    found = {error["field"]: error for error in problem["errors"]}
    assert field in found, found
    return found[field]


def test_an_unknown_type_is_refused_and_the_known_ones_are_named(door: Door) -> None:
    error = refused(door, {**message(), "type": "shop.exploded"}, "/type")
    assert all(known in error["expected"] for known in INBOUND)


def test_a_misspelt_field_is_refused_and_never_lost_in_silence(door: Door) -> None:
    error = refused(door, message("deposit.paid", amont_fen=5), "/data/amont_fen")
    assert error["expected"] == "no such field"


def test_a_missing_field_is_named(door: Door) -> None:
    error = refused(door, message("deposit.paid", amount_fen=...), "/data/amount_fen")
    assert error["remedy"] == "add the field"


def test_a_field_deep_inside_is_named_by_its_path(door: Door) -> None:
    documents = [
        {"name": "a", "kind": "OTHER", "sha256": "00" * 32},
        {"name": "b", "kind": "OTHER", "sha256": "x"},
    ]
    refused(door, message("merchant.answered", documents=documents), "/data/documents/1/sha256")


def test_a_field_name_with_a_slash_is_escaped_in_the_pointer(door: Door) -> None:
    refused(door, message("deposit.paid", **{"a/b~c": 1}), "/data/a~1b~0c")


def test_a_second_wrong_field_is_named_in_the_same_answer(door: Door) -> None:
    body = {**message("deposit.paid", channel="CASH", amount_fen=-1), "timestamp": "today"}
    errors = door.post(body).json()["errors"]
    assert {e["field"] for e in errors} == {"/timestamp", "/data/channel", "/data/amount_fen"}


AMOUNTS = [-1, 0, 0.5, 100.0, "100", True, None, [], {}, MAX_FEN + 1, 10**30, "¥100"]


@pytest.mark.parametrize("amount", AMOUNTS, ids=repr)
def test_an_amount_that_is_not_whole_fen_above_zero_is_refused(door: Door, amount: Any) -> None:
    refused(door, message("deposit.paid", amount_fen=amount), "/data/amount_fen")


@pytest.mark.parametrize("amount", [1, MAX_FEN])
def test_the_smallest_and_the_largest_amount_are_accepted(door: Door, amount: int) -> None:
    assert door.post(message("deposit.paid", amount_fen=amount)).status_code == 202


TIMES = [
    "2026-11-22T10:00:00", "2026-11-22", "22/11/2026", "now", "", 1_700_000_000, "1700000000", None,
    "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    "1999-12-31T23:59:59Z", "2026-11-22T10:00:00+99:00", "2026-W01-1T00:00:00Z", "2026-11-22T10:00:00Z ",
]  # fmt: skip


@pytest.mark.parametrize("time", TIMES, ids=repr)
def test_a_time_without_a_zone_or_out_of_range_is_refused(door: Door, time: Any) -> None:
    refused(door, message("deposit.paid", paid_at=time), "/data/paid_at")


@pytest.mark.parametrize("time", ["2026-11-22T10:00:00+08:00", "2026-11-22T02:00:00Z", "2026-11-22T02:00:00.123456Z"])
def test_a_time_with_a_zone_is_accepted(door: Door, time: str) -> None:
    assert door.post(message("deposit.paid", paid_at=time)).status_code == 202


@pytest.mark.parametrize("id_", ["", " ", "a b", "x" * 65, "店铺", "a\n", "../etc", "a/b", "<b>", 7, None])
def test_an_id_of_another_form_is_refused(door: Door, id_: Any) -> None:
    refused(door, message(shop_id=id_), "/data/shop_id")


@pytest.mark.parametrize("char", ["\u0000", "\u0007", "\u001b", "\u007f", "\u0085", "\u202e", "\u2028", "\n"])
def test_a_name_with_a_control_character_is_refused(door: Door, char: str) -> None:
    refused(door, message("shop.registered", name=f"晨光{char}文具"), "/data/name")


def test_free_text_may_have_new_lines_and_markup_which_stay_text(door: Door) -> None:
    text = "第一行\r\n<script>alert(1)</script> **粗体** {{ 7*7 }} 🧧"
    assert door.post(message(reason_text=text)).status_code == 202


@pytest.mark.parametrize("char", ["\u0000", "\u0007", "\u001b", "\u202e"])
def test_free_text_may_not_have_other_control_characters(door: Door, char: str) -> None:
    refused(door, message(reason_text=f"a{char}b"), "/data/reason_text")


def test_text_longer_than_its_limit_is_refused(door: Door) -> None:
    refused(door, message(reason_text="长" * 4001), "/data/reason_text")


CROSS = {
    "other reasons need words": ("closure.requested", {"reason": "OTHER", "reason_text": "  "}),
    "an enterprise needs a licence": ("shop.registered", {"licence_name": ...}),
    "an update changes something": ("shop.updated", {"categories": ...}),
    "an answer says something": ("merchant.answered", {"text": ..., "documents": ...}),
    "what cannot be appealed says why": ("deposit.deducted", {"reason": "LATE_SHIPMENT", "appealable": False}),
    "money paid to a buyer can always be appealed against": (
        "deposit.deducted",
        {"appealable": False, "not_appealable_reason": "依据终审判决执行。"},
    ),
    "forfeiture is decided here": ("deposit.deducted", {"reason": "FORCED_CLOSURE"}),
}


@pytest.mark.parametrize(("type_", "changes"), CROSS.values(), ids=CROSS.keys())
def test_fields_that_contradict_each_other_are_refused(door: Door, type_: str, changes: dict[str, Any]) -> None:
    refused(door, message(type_, **changes), "/data")


@pytest.mark.parametrize("account", ["12345", "1" * 33, "6222 021", "abc@example.com", "622202123456789X"])
def test_a_bank_account_that_is_none_is_refused_without_being_repeated(door: Door, account: str) -> None:
    payee = {"method": "BANK_CARD", "name": "林晓", "account_no": account}
    answer = door.post(message("refund.requested", payee=payee))
    assert answer.status_code == 422
    assert account not in answer.text


def test_an_alipay_account_may_be_an_address(door: Door) -> None:
    payee = {"method": "ALIPAY", "name": "林晓", "account_no": "lin.xiao@example.com"}
    assert door.post(message("refund.requested", payee=payee)).status_code == 202


ACCOUNT = "6222021234567890123"
MISPLACED: dict[str, dict[str, Any]] = {
    "as an amount": {"amount_fen": int(ACCOUNT)},
    "as an amount in quotes": {"amount_fen": ACCOUNT},
    "as a method": {"payee": {"method": ACCOUNT, "name": "林晓", "account_no": ACCOUNT}},
    "as the name of a field": {ACCOUNT: 1},
    "under another name": {"acct": ACCOUNT},
    "among the documents": {"documents": [ACCOUNT]},
    "as an object": {"payee": {"method": "BANK_CARD", "name": "林晓", "account_no": {"no": ACCOUNT}}},
}


@pytest.mark.parametrize("changes", MISPLACED.values(), ids=MISPLACED.keys())
def test_an_account_number_in_the_wrong_place_is_never_repeated(door: Door, changes: dict[str, Any]) -> None:
    answer = door.post(message("refund.requested", **changes))
    assert answer.status_code == 422
    assert ACCOUNT not in answer.text


def test_a_contact_that_is_no_address_is_refused_without_being_repeated(door: Door) -> None:
    answer = door.post(message("shop.registered", contacts=["hunter2 at example"]))
    assert answer.status_code == 422
    assert "hunter2" not in answer.text


def test_a_contact_that_no_letter_could_be_sent_to_is_refused_and_not_kept_for_nothing(door: Door) -> None:
    for contact in ("zhang;x@example.com", "mailto:zhang,x@example.com", "zhang@example", "@example.com"):
        refused(door, message("shop.registered", contacts=[contact]), "/data/contacts/0")


def test_six_contacts_are_one_too_many(door: Door) -> None:
    contacts = [f"mailto://user{n}@example.com" for n in range(6)]
    refused(door, message("shop.registered", contacts=contacts), "/data/contacts")


def nested(depth: int) -> bytes:
    return b'{"type": "shop.snapshot", "data": ' + b"[" * depth + b"]" * depth + b"}"


UNREADABLE: dict[str, bytes] = {
    "nothing": b"",
    "half": b'{"type": ',
    "words": b"hello",
    "a list": b"[]",
    "a string": b'"x"',
    "null": b"null",
    "not a number": b'{"type": NaN}',
    "infinity": b'{"type": -Infinity}',
    "a number beyond all": b'{"type": 1e999}',
    "a number of ten thousand digits": b'{"type": ' + b"9" * 10_000 + b"}",
    "a name twice": b'{"type": "shop.updated", "type": "shop.registered"}',
    "a name twice, further in": b'{"data": {"amount_fen": 1, "amount_fen": 100}}',
    "two documents": b"{} {}",
    "a comment": b'{} // "',
    "single quotes": b"{'type': 'x'}",
    "GBK": "店铺".encode("gbk"),
    "UTF-16": json.dumps(message()).encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "half a surrogate pair": b'{"type": "\\ud800"}',
    "an overlong encoding": b'{"type": "\xc0\xaf"}',
    "a raw control character": b'{"type": "a\x01b"}',
    "thirty-three levels": nested(32),
    "a hundred thousand levels": nested(100_000),
    "open brackets without end": b"[" * 500_000,
    "a text without an end, of quotation marks": b'{"type": "' + b'\\"' * 500_000,
    "backslashes without end": b'{"type": "' + b"\\" * 999_999,
}


@pytest.mark.parametrize("raw", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_body_that_is_not_one_plain_json_object_is_refused(door: Door, raw: bytes) -> None:
    before = traces()
    answer = door.post(raw)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/not-json")
    assert traces() == before


def test_thirty_two_levels_can_be_read_and_are_refused_for_what_they_say(door: Door) -> None:
    assert door.post(nested(31)).status_code == 422


def test_brackets_inside_text_are_no_levels(door: Door) -> None:
    assert door.post(message(reason_text='"[' * 100)).status_code == 202


@pytest.mark.parametrize("type_", [None, 7, [], {}, "", "x" * 101])
def test_a_type_that_is_no_word_is_refused(door: Door, type_: Any) -> None:
    assert door.post({**message(), "type": type_}).status_code == 422


MEDIA: dict[str, dict[str, str | None]] = {
    "no content type": {"content_type": None},
    "a form": {"content_type": "application/x-www-form-urlencoded"},
    "text": {"content_type": "text/plain"},
    "another charset": {"content_type": "application/json; charset=gbk"},
    "compressed": {"content_encoding": "gzip"},
}


@pytest.mark.parametrize("headers", MEDIA.values(), ids=MEDIA.keys())
def test_anything_but_plain_json_is_refused_as_media(door: Door, headers: dict[str, str | None]) -> None:
    assert door.post(message(), **headers).status_code == 415
    assert stored() == []


def test_a_compressed_bomb_is_never_opened(door: Door) -> None:
    assert door.post(gzip.compress(b"0" * 10_000_000), content_encoding="gzip").status_code == 415


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'])
def test_json_that_says_it_is_utf_8_is_accepted(door: Door, content_type: str) -> None:
    assert door.post(message(), content_type=content_type).status_code == 202


def test_ten_megabytes_are_refused(door: Door) -> None:
    answer = door.post(b"x" * 10_000_000)
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")
    assert stored() == []


def test_a_body_of_exactly_the_limit_is_read(installation: Settings) -> None:
    raw = json.dumps(message()).encode()
    limited = installation.model_copy(update={"max_body_bytes": len(raw)})
    door = door_of(limited)
    assert door.post(raw).status_code == 202
    assert door.post(raw + b" ", message_id="longer").status_code == 413


def test_too_many_requests_are_turned_away_before_anything_is_read(installation: Settings) -> None:
    door = door_of(installation.model_copy(update={"rate_limit": "3/hour"}))
    for n in range(5):
        assert door.post(message(), message_id=f"m{n}").status_code == 202, "what is signed counts elsewhere"
    for _ in range(3):
        assert door.post(message(), webhook_signature="v1,AAAA").status_code == 401
    answer = door.post(b"x" * 10_000_000)
    assert (answer.status_code, answer.json()["type"]) == (429, "/problems/too-many-requests")
    assert 1 <= int(answer.headers["retry-after"]) <= 7200
    assert len(stored()) == 5


def test_signed_messages_have_a_limit_of_their_own(installation: Settings) -> None:
    door = door_of(installation.model_copy(update={"signed_rate_limit": "2/hour"}))
    assert [door.post(message(), message_id=f"m{n}").status_code for n in range(3)] == [202, 202, 429]
    assert len(stored()) == 2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
quiet = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@quiet
@given(raw=st.binary(max_size=300) | json_values.map(lambda v: json.dumps(v).encode()))
def test_whatever_is_signed_the_door_stands_and_stores_nothing(door: Door, raw: bytes) -> None:
    before = traces()
    assert 400 <= door.post(raw).status_code < 500
    assert traces() == before


@quiet
@given(data=st.data())
def test_an_event_with_any_one_field_replaced_is_stored_or_refused_but_never_breaks_the_door(
    door: Door, data: st.DataObject
) -> None:
    type_ = data.draw(st.sampled_from(sorted(INBOUND)))
    field = data.draw(st.sampled_from(sorted(INBOUND[type_].model_fields)))
    body = json.dumps(message(type_, **{field: data.draw(json_values)})).encode()
    before = traces()
    answer = door.post(body, message_id=f"m-{data.draw(st.integers(0, 10**12))}")
    assert answer.status_code in {202, 400, 409, 422}
    if answer.status_code in {400, 422}:
        assert traces() == before


@quiet
@given(
    headers=st.dictionaries(
        st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=80),
    )
)
def test_whatever_the_headers_say_the_door_stands_and_stores_nothing(door: Door, headers: dict[str, str]) -> None:
    headers = {"content-type": "application/json", **headers}
    answer = door.client.post("/webhooks/platform", content=b"{}", headers=headers)
    assert answer.status_code == 401
    assert stored() == []
