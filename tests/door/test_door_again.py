"""A message that comes again: written another way it is the same, refused it says so, corrected it needs a new id."""

from __future__ import annotations

import json

import pytest
from sqlmodel import update

from models.messages import InboxMessage, InboxState
from office.base.db import in_transaction
from office.record.sameness import same_event
from tests.door.doorkit import Door, message, stored


def test_another_order_of_fields_or_another_sending_time_is_no_conflict(door: Door) -> None:
    first = door.post(message())
    body = message()
    for again in (
        dict(reversed(body.items())),
        body | {"timestamp": "2026-11-22T11:30:00+08:00"},
        body | {"data": dict(reversed(body["data"].items()))},
        json.dumps(body, indent=3, ensure_ascii=True).encode(),
    ):
        answer = door.post(again)
        assert (answer.status_code, answer.json()) == (first.status_code, first.json())
    assert [row.conflicts for row in stored()] == [0]
    assert door.woken == [True]


def test_another_way_of_writing_a_moment_or_of_saying_nothing_is_no_conflict(door: Door) -> None:
    facts, closing = message("shop.snapshot"), message(reason_text=" 转做线下门店 ")
    for number, (one, other) in enumerate(
        [
            (facts, facts | {"data": facts["data"] | {"as_of": "2026-11-22T02:00:00Z"}}),
            (closing, message(reason_text="转做线下门店")),
            (
                message("deposit.paid", payer_account="FTN 1234 5678"),
                message("deposit.paid", payer_account="FTN１２３４５６７８"),
            ),
        ]
    ):
        answers = [door.post(body, message_id=f"m-{number}") for body in (one, other)]
        assert [answer.status_code for answer in answers] == [202, 202], answers[1].text
    assert [row.conflicts for row in stored()] == [0, 0, 0]
    later = facts | {"data": facts["data"] | {"as_of": "2026-11-22T02:00:00+08:00"}}
    assert door.post(later, message_id="m-0").status_code == 409


@pytest.mark.parametrize(
    "words", ["[" * 3_900, "[" * 400 + "]" * 400, '{"a": 1e99999999999999999999}', "[1e-99999999999999999999]"]
)
def test_words_that_only_look_like_json_are_words_when_they_come_again(door: Door, words: str) -> None:
    for sent in ("2026-11-22T10:00:00+08:00", "2026-11-22T10:00:05+08:00"):
        assert door.post(message(reason_text=words) | {"timestamp": sent}).status_code == 202
    assert door.post(message(reason_text=f"{words} ")).status_code == 202
    assert door.post(message(reason_text=f"{words}.")).status_code == 409


def test_what_says_something_else_is_a_conflict_and_told_to_take_an_id_of_its_own(door: Door) -> None:
    door.post(message())
    answer = door.post(message(reason="STOCK_CLEARED"))
    assert answer.status_code == 409 and "an id of its own" in answer.json()["detail"]
    assert [row.conflicts for row in stored()] == [1]


def test_a_refused_message_sent_again_hears_that_only_a_new_id_helps(door: Door) -> None:
    door.post(message())
    in_transaction(lambda tx: tx.execute(update(InboxMessage).values(state=InboxState.REFUSED, note="已拒绝")))
    answer = door.post(message())
    assert answer.status_code == 202 and answer.json()["status"] == "refused"
    assert "new webhook-id" in answer.json()["detail"]
    corrected = door.post(message(reason="STOCK_CLEARED"))
    assert corrected.status_code == 409 and "an id of its own" in corrected.json()["detail"]
    assert door.post(message(reason="STOCK_CLEARED"), message_id="msg_2").json()["status"] == "accepted"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": 1, "b": [1, 2]}, {"b": [1, 2], "a": 1}, True), ({"b": [1, 2]}, {"b": [2, 1]}, False), 
        ({"a": 1}, {"a": 1.0}, True), ({"a": 0}, {"a": -0.0}, True),
        ({"a": 1}, {"a": True}, False), ({"a": 1}, {"a": "1"}, False), ({"a": 10}, {"a": 1}, False), ({"a": 0.1}, {"a": 1}, False),
        ({"a": 1}, {"a": -1}, False), ({"a": '{"b": 100}'}, {"a": '{"b": 1e2}'}, True),
        ({"a": 1}, {"a": True}, False), ({"a": "1"}, {"a": 1}, False), ({"timestamp": 1}, {"timestamp": 2}, True),
        ({"data": {"timestamp": 1}}, {"data": {"timestamp": 2}}, False), ({"a": None}, {}, False),
        ({"d": '{"a":1,"b":2}'}, {"d": '{"b":2, "a":1}'}, True), ({"d": '{"a":1}'}, {"d": {"a": 1}}, False), ({"d": "{x"}, {"d": "{y"}, False),
    ],
)  # fmt: skip
def test_what_the_same_event_is(one: object, other: object, same: bool) -> None:
    assert same_event(json.dumps(one).encode(), json.dumps(other).encode()) is same


@pytest.mark.parametrize("spelling", [b"100", b"100.0", b"1e2", b"1E+2", b"100.00", b"1000e-1"])
def test_one_number_written_otherwise_is_the_same_event(spelling: bytes) -> None:
    assert same_event(
        b'{"data": {"fen": [%s]}, "timestamp": 1}' % spelling, b'{"timestamp": 2, "data": {"fen": [100]}}'
    )
    assert not same_event(b'{"fen": %s}' % spelling, b'{"fen": 101}')
    assert not same_event(b'{"fen": %s}' % spelling, b'{"fen": 1e999999999}')
