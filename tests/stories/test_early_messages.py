"""What comes before what it needs: it waits a while for its shop or its blue invoice, then it is refused and told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from models.books import AccountKind
from models.messages import InboxMessage, InboxState
from office.base.db import reading
from policies.policy import policy_at
from tests.invoicing import kit
from tests.play import START, Office

WAIT = timedelta(hours=policy_at(START).inbox.early_hours)


def states() -> dict[str, InboxState]:
    with reading() as tx:
        return {row.message_id: row.state for row in tx.exec(select(InboxMessage).order_by(col(InboxMessage.id)))}


def paid(office: Office, **changes: Any) -> dict[str, Any]:
    return {
        "shop_id": "shop-1",
        "payment_id": "p-1",
        "amount_fen": 400_000,
        "channel": "BANK",
        "payer_account": "3301040160000121234",
        "paid_at": office.clock.at.isoformat(),
    } | changes


@pytest.mark.both
def test_a_payment_that_overtook_its_shop_is_posted_the_moment_the_shop_is_known(office: Office) -> None:
    for _ in range(2):
        office.send("deposit.paid", paid(office), "early")
    office.pass_time(hours=3)
    assert states()["early"] is InboxState.NEW and office.refusals() == []
    office.open_shop(deposit_fen=0)
    assert states()["early"] is InboxState.DONE
    assert office.balance(AccountKind.DEPOSIT) == 400_000
    assert office.books() == [] == office.chains()


@pytest.mark.parametrize(("late", "refused"), [(-1, False), (0, True), (1, True)])
def test_it_waits_as_long_as_policy_says_and_no_second_longer(office: Office, late: int, refused: bool) -> None:
    office.send("deposit.paid", paid(office), "early")
    office.clock.at = START + WAIT + timedelta(seconds=late)
    office.settle()
    assert (states()["early"] is InboxState.REFUSED) is refused
    assert [sentence for _, sentence in office.refusals()] == [
        "店铺 shop-1 尚未登记,请先发送 shop.registered 事件"
    ] * refused
    assert office.staff_told("inbox_odd") == ["supervisor"] * refused


def test_the_refusal_says_that_a_new_id_is_needed(office: Office) -> None:
    office.send("deposit.paid", paid(office), "early")
    office.pass_time(hours=WAIT / timedelta(hours=1))
    (refused,) = office.events("message.refused")
    assert "新的消息编号" in refused["remedy"]
    office.open_shop(deposit_fen=0)
    office.send("deposit.paid", paid(office), "early")
    assert office.balance(AccountKind.DEPOSIT) == 0, "refused is refused"
    office.send("deposit.paid", paid(office), "new")
    assert office.balance(AccountKind.DEPOSIT) == 400_000


def test_several_early_messages_of_a_shop_are_acted_on_in_their_order(office: Office) -> None:
    office.send("deposit.paid", paid(office), "first")
    office.send("deposit.paid", paid(office, payment_id="p-2", amount_fen=1), "second")
    office.open_shop(deposit_fen=0)
    assert [states()[name] for name in ("first", "second")] == [InboxState.DONE] * 2
    assert office.balance(AccountKind.DEPOSIT) == 400_001


@pytest.mark.both
def test_a_red_letter_that_overtook_its_blue_invoice_waits_for_it(office: Office) -> None:
    kit.billed(office)
    blue = kit.invoice()
    red = {
        "shop_id": "shop-1",
        "account_id": "acct-shop-1",
        "number": "26990000000000000001",
        "original_number": blue["number"],
        "amount_fen": 9_000,
        "issued_on": "2026-12-01",
        "reason": "开票有误",
    }
    office.send("invoice.red_letter", red, "red")
    assert states()["red"] is InboxState.NEW
    office.pass_time(minutes=10)
    office.send("invoice.submitted", blue)
    assert states()["red"] is InboxState.DONE
    assert [row.state for row in kit.invoices()] == ["REVERSED"]
    assert office.books() == [] == office.chains()


def test_a_red_letter_whose_blue_invoice_never_comes_is_refused_and_told(office: Office) -> None:
    kit.billed(office)
    office.send(
        "invoice.red_letter",
        {
            "shop_id": "shop-1",
            "account_id": "acct-shop-1",
            "number": "26990000000000000001",
            "original_number": "26990000000000000009",
            "amount_fen": 9_000,
            "issued_on": "2026-12-01",
            "reason": "开票有误",
        },
        "red",
    )
    office.pass_time(days=1)
    assert states()["red"] is InboxState.REFUSED
    assert office.refusals()[-1] == ("INV-7", "没有找到该店铺的蓝字发票 26990000000000000009")
    assert office.staff_told("inbox_odd") == ["supervisor"]
