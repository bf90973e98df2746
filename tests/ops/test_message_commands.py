"""Outbox and inbox from the terminal: listed without their contents, sent round again on request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col

from models.cases import Case
from models.messages import Channel, InboxMessage, InboxState, OutboxMessage, OutboxState
from office.base import settings as settings_module
from office.base.db import in_transaction
from office.record import inbox
from tests.play import PAYEE, Office

Done = Callable[..., str]


def dead(office: Office, topic: str) -> str:
    """One message of that topic, given up."""
    key = office.outbox(Channel.EVENT, topic)[-1].key
    values = {"state": OutboxState.DEAD, "attempts": 9, "note": "HTTP 500"}
    in_transaction(lambda tx: tx.execute(update(OutboxMessage).where(col(OutboxMessage.key) == key).values(**values)))
    return key


def test_a_dead_letter_is_listed_and_sent_again_under_the_same_key(
    office: Office, done: Done, told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.closed_shop()
    key = dead(office, "shop.closed")
    assert [row["key"] for row in told("outbox", "list", "--state", "DEAD")] == [key]
    assert "HTTP 500" in done("outbox", "list", "--state", "DEAD")
    done("outbox", "resend", key)
    assert told("outbox", "list", "--state", "DEAD") == []
    office.settle()
    assert next(row for row in office.outbox(Channel.EVENT) if row.key == key).state is OutboxState.SKIPPED
    assert "outbox.resent" in {action for case in office.cases() for action in office.trail(case.id)}


def test_only_what_did_not_arrive_is_sent_again(office: Office, refused: Done, told: Any) -> None:
    office.closed_shop()
    sent = told("outbox", "list", "--state", "SENT", "--channel", "MERCHANT")[0]["key"]
    assert "只有投递失败或已跳过" in refused("outbox", "resend", sent)
    assert "没有键为" in refused("outbox", "resend", "nothing")


def test_nothing_of_a_case_that_has_stopped_is_sent_again_before_it_goes_on(
    office: Office, done: Done, refused: Done
) -> None:
    office.open_shop()
    case = office.request_closure()
    key = dead(office, "case.accepted") if office.outbox(Channel.EVENT, "case.accepted") else office.outbox()[-1].key
    in_transaction(
        lambda tx: tx.execute(
            update(OutboxMessage)
            .where(col(OutboxMessage.key) == key)
            .values(
                state=OutboxState.DEAD,
                case_id=case.id,
            )
        )
    )
    in_transaction(lambda tx: tx.execute(update(Case).where(col(Case.id) == case.id).values(halted="运行失败")))
    assert f"dianwu cases retry {case.id}" in refused("outbox", "resend", key)
    in_transaction(lambda tx: tx.execute(update(Case).where(col(Case.id) == case.id).values(halted=None)))
    done("outbox", "resend", key)


def test_lists_never_show_what_is_in_a_message(office: Office, done: Done, told: Any) -> None:
    office.closed_shop()
    case = office.request_refund()
    office.decide(case, "wang-fang", "APPROVE")
    shown = "".join(
        [done("outbox", "list"), done("inbox", "list"), str(told("outbox", "list")), str(told("inbox", "list"))]
    )
    assert "payout.requested" in shown
    assert PAYEE["account_no"] not in shown and "sealed" not in shown


def test_a_failed_message_is_handled_again_as_of_when_it_came(
    office: Office, done: Done, refused: Done, told: Any
) -> None:
    office.open_shop()
    office.receive(
        "closure.requested",
        {
            "shop_id": "shop-1",
            "account_id": "acct-shop-1",
            "reason": "POOR_BUSINESS",
            "reason_text": "",
        },
        "msg-late",
    )
    arrived = office.clock.at
    values = {"state": InboxState.FAILED, "note": "OperationalError", "attempts": 7}
    of_that = col(InboxMessage.message_id) == "msg-late"
    in_transaction(lambda tx: tx.execute(update(InboxMessage).where(of_that).values(**values)))
    number = told("inbox", "list", "--state", "FAILED")[0]["id"]
    office.pass_time(hours=30)
    done("inbox", "retry", str(number))
    office.settle()
    assert office.latest().received_at == arrived
    assert "只有处理失败" in refused("inbox", "retry", str(number))
    assert "没有编号" in refused("inbox", "retry", "4711")


def test_a_failed_message_that_cannot_be_mended_is_given_up_by_a_supervisor_and_holds_nothing_up(
    office: Office, done: Done, refused: Done, told: Any
) -> None:
    office.open_shop()
    case = office.request_closure()
    office.receive("merchant.answered", {"broken": "for ever"}, "msg-broken")
    values = {"state": InboxState.FAILED, "note": "ValidationError", "attempts": 7, "shop_id": "shop-1"}
    of_that = col(InboxMessage.message_id) == "msg-broken"
    in_transaction(lambda tx: tx.execute(update(InboxMessage).where(of_that).values(**values)))
    [row] = told("inbox", "list", "--state", "FAILED")
    held = lambda: in_transaction(lambda tx: inbox.unrouted_before(tx, case, office.clock.at))  # noqa: E731
    assert held()

    def dismiss(run: Done, staff_id: str, reason: str, number: int = row["id"]) -> str:
        by = ("--staff", staff_id, "--reason", reason, "--code", office.code(staff_id))
        return run("inbox", "dismiss", str(number), *by)

    assert "只有主管" in dismiss(refused, "wu-tao", "平台已重发")
    assert "理由" in dismiss(refused, "he-qiang", " ")
    assert "没有编号" in dismiss(refused, "he-qiang", "平台已重发", 4711)
    assert held()
    dismiss(done, "he-qiang", "平台已重发")
    assert not held()
    [kept] = [one for one in told("inbox", "list") if one["id"] == row["id"]]
    assert (kept["state"], kept["note"]) == ("KEPT", "he-qiang 放弃处理:平台已重发")
    assert "inbox.dismissed" in office.trail("shop/shop-1")
    assert "没有编号" in dismiss(refused, "he-qiang", "平台已重发")
    assert "只有处理失败" in refused("inbox", "retry", str(row["id"]))


def test_a_state_that_does_not_exist_is_a_usage_error(office: Office, dianwu: Any) -> None:
    assert dianwu("outbox", "list", "--state", "LOST").exit_code == 2
    assert dianwu("inbox", "retry", "seven").exit_code == 2


def test_a_database_without_tables_is_said_in_a_sentence(refused: Done) -> None:
    settings_module.settings.cache_clear()
    assert "dianwu migrate" in refused("outbox", "list")
