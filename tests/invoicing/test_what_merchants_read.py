"""What a shop is asked for, what happens when it does not, and what it reads of both, to the fen (INV-5, INV-10 to INV-12)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from models.arbitration import MerchantCounter
from models.books import AccountKind
from notifications.catalogue import restore
from notifications.rendering import render
from office.base.db import reading
from office.cases import merchants
from tasks.shops import penalties
from tests.invoicing import kit
from tests.invoicing.kit import after_due, billed, send_invoice, settle_receivable, statement, told
from tests.play import Office


def letters(office: Office, name: str) -> list[str]:
    """The words of every letter of this name, as they left."""
    return [render(restore(name, fields), merchants.context()).text for fields in told(office, name)]


def line(name: str, content: str = "SERVICE", **changes: Any) -> dict[str, Any]:
    return {"name": name, "content": content, "net_fen": 8_491, "tax_fen": 509, "rate": "6"} | changes


# ── INV-5: a service invoice for platform subsidies ──


def test_the_letter_asks_for_a_service_invoice_and_names_what_else_is_taken(office: Office) -> None:
    """INV-5, INV-6"""
    billed(office)
    (text,) = letters(office, "statement_issued")
    assert "平台补贴账单" in text and "服务费、推广费等服务类" in text and "INV-5" in text
    assert "数量请写成 0" in text and "请说明原因" in text.split("INV-6")[0], "goods: why, and quantity 0"


@pytest.mark.parametrize("name", ["*现代服务*推广费", "*信息技术服务*服务费", "*广告服务*推广服务"])
def test_service_fees_and_promotion_fees_are_accepted_without_a_person(office: Office, name: str) -> None:
    """INV-5"""
    billed(office)
    assert send_invoice(office, lines=[line(name)]).state == "ACCEPTED"
    assert statement().state == "INVOICED"
    kit.books_agree(office)


@pytest.mark.parametrize("name", ["*餐饮服务*餐费", "*经营租赁*房租", "推广"])
def test_what_is_no_such_service_reaches_a_clerk_and_the_merchant_reads_which_line(office: Office, name: str) -> None:
    """INV-5"""
    billed(office)
    assert send_invoice(office, lines=[line(name)]).state == "IN_REVIEW"
    found = [ground for ground in told(office, "invoice_in_review")[0]["grounds"] if ground["clause"] == "INV-5"]
    assert len(found) == 1 and f"第 1 行「{name}」" in found[0]["sentence"]
    assert statement().invoiced_fen == 0


# ── INV-10: the switch ──


def test_with_the_switch_on_the_share_is_set_off_and_the_letter_says_so_to_the_fen(office: Office) -> None:
    """INV-10"""
    one = billed(office, auto_deduct=True)
    assert "自动扣款" in letters(office, "statement_issued")[0] and "INV-10" in letters(office, "statement_issued")[0]
    settle_receivable(office, 1_000)
    after_due(office, one)
    (first,) = letters(office, "statement_deducted")
    for words in ("INV-10", one.number or "", "本次扣款：¥10.00", "累计扣款：¥10.00", "应扣 ¥27.00", "剩余 ¥17.00"):
        assert words in first
    assert "已经扣足" not in first
    settle_receivable(office, 9_000)
    _, second = letters(office, "statement_deducted")
    for words in ("本次扣款：¥17.00", "累计扣款：¥27.00", "已经扣足"):
        assert words in second
    assert "statement_frozen" not in office.told() and office.balance(AccountKind.RECEIVABLE_FROZEN) == 0
    assert office.platform_balance(AccountKind.SET_OFF) == 2_700
    kit.sweep(office)
    assert len(letters(office, "statement_deducted")) == 2
    kit.books_agree(office)


@pytest.mark.parametrize("on", [True, False])
def test_the_switch_counts_as_it_stands_when_the_statement_falls_due(office: Office, on: bool) -> None:
    """INV-10"""
    one = billed(office, auto_deduct=not on)
    settle_receivable(office, 10_000)
    office.send("shop.updated", {"shop_id": "shop-1", "auto_deduct": on})
    after_due(office, one)
    taken = (office.platform_balance(AccountKind.SET_OFF), office.balance(AccountKind.RECEIVABLE_FROZEN))
    assert taken == ((2_700, 0) if on else (0, 2_700))
    letter, other = ("statement_deducted", "statement_frozen")[:: 1 if on else -1]
    assert letter in office.told() and other not in office.told()


# ── INV-11: no violation ──


@pytest.mark.parametrize("switch", [True, False])
def test_not_invoicing_moves_no_counter_no_deposit_no_capability_and_is_no_penalty(
    office: Office, switch: bool
) -> None:
    """INV-11"""
    one = billed(office, auto_deduct=switch)
    before = office.shop()
    settle_receivable(office, 10_000)
    after_due(office, one)
    office.clock.advance(timedelta(days=60))
    kit.sweep(office)
    after = office.shop()
    with reading() as tx:
        counter = tx.get(MerchantCounter, "shop-1")
        assert counter is None or (counter.rulings, counter.points, counter.deducted_fen) == (0, 0, 0)
        assert penalties.of_shop(tx, "shop-1") == ()
    assert (after.state, after.capabilities) == (before.state, before.capabilities)
    assert (office.balance(AccountKind.DEPOSIT), office.balance(AccountKind.ARREARS)) == (400_000, 0)
    assert office.platform_balance(AccountKind.PENALTY) == 0
    told_of = "statement_deducted" if switch else "statement_frozen"
    assert letters(office, told_of) and not {"deposit_deducted", "shop_suspended", "ruling_effective"} & {
        *office.told()
    }
    if not switch:
        assert "不属于违规" in letters(office, told_of)[0] and "INV-11" in letters(office, told_of)[0]


# ── INV-12: release ──


def test_what_an_accepted_invoice_covers_is_released_at_once_and_the_letter_says_what_is_left(office: Office) -> None:
    """INV-12"""
    one = billed(office, 9_999)
    settle_receivable(office, 10_000)
    after_due(office, one)
    assert office.balance(AccountKind.RECEIVABLE_FROZEN) == 3_000
    send_invoice(office, 3_333)
    send_invoice(office, 6_666)
    first, second = letters(office, "statement_released")
    for words in ("INV-12", one.number or "", "本次退回：¥10.00", "尚待开票：¥66.66", "仍冻结或已扣：¥20.00"):
        assert words in first
    for words in ("本次退回：¥20.00", "尚待开票：¥0.00", "仍冻结或已扣：¥0.00"):
        assert words in second
    assert (office.balance(AccountKind.RECEIVABLE_FROZEN), office.balance(AccountKind.RECEIVABLE)) == (0, 10_000)
    assert [event["amount_fen"] for event in office.events("statement.released")] == [1_000, 2_000]
    kit.sweep(office)
    assert len(letters(office, "statement_released")) == 2
    kit.books_agree(office)


def test_an_invoice_that_a_clerk_returns_releases_nothing(office: Office) -> None:
    """INV-12: an accepted one does."""
    one = billed(office)
    settle_receivable(office, 10_000)
    after_due(office, one)
    send_invoice(office, kind="ORDINARY", difficulty="税务机关系统升级")
    office.decide(kit.review_of(office), "xu-jing", "RETURN", "请开具专用发票")
    assert office.balance(AccountKind.RECEIVABLE_FROZEN) == 2_700
    assert "statement_released" not in office.told()
