"""Secrets of a whole story: accounts, contacts and TOTP secrets are nowhere but sealed, and with the bank."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select as sql_select
from sqlmodel import SQLModel, select

from models.messages import Channel
from models.payouts import Payee, PayeeMethod
from models.reviews import Review
from notifications.channels import AppriseNotifier
from notifications.plugins.folder import folder_url
from office.base.db import reading
from office.base.settings import settings
from office.base.vault import bind, place_named, seal, unseal
from office.cases.forms import form_description, form_schema
from office.cases.reviews import gate_of
from policies.masking import mask_accounts
from tasks import delivery
from tests.play import PAYEE, Office
from tests.reading import read

ACCOUNT, CORRECTED, PAYER = "6217009988776655443", "6217001122334455667", "6222998877665544331"
PHONE, MAIL = "13912345678", "lin.xiao@secret.example"


@pytest.fixture
def story(office: Office, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Office:
    """A refund told in full, with a bank return and wrong codes, its messages written into a folder."""
    caplog.set_level(logging.DEBUG)
    folder = folder_url(tmp_path / "told", quiet=True)
    delivery.use_notifier(AppriseNotifier({"staff": [folder], "merchant": [folder]}))
    office.open_shop(deposit_fen=0, contacts=[f"sms://{PHONE}/", f"dianwufolder:///{MAIL}"])
    office.pay_deposit("shop-1", 400_000, payer_account=PAYER)
    closing = office.request_closure(reason="OTHER", reason_text=f"联系 {PHONE} 账号 {ACCOUNT}")
    office.decide(closing, "li-na", "ASK", "请说明库存")
    office.merchant_answers(closing, f"货款请付至 {CORRECTED},电话 {PHONE}")
    office.decide(closing, "li-na", "APPROVE")
    office.snapshot()
    case = office.request_refund(payee=PAYEE | {"account_no": ACCOUNT})
    office.answer(office.question(case), "wang-fang", "APPROVE", code="000000")
    office.decide(case, "wang-fang", "APPROVE", f"已与商家核对账号 {ACCOUNT},电话 {PHONE}")
    spoken = f"{ACCOUNT[:4]} {ACCOUNT[4:8]}-{ACCOUNT[8:]}"
    office.bank(f"{case.id}-P1", "returned", reason=f"账户{ACCOUNT}({spoken})已销户,请致电{PHONE}")
    office.decide(case, "wang-fang", "ASK_PAYEE")
    office.correct_payee(case, account_no=CORRECTED)
    office.decide(case, "wang-fang", "APPROVE")
    office.bank(f"{case.id}-P2")
    assert office.case(case.id).outcome == "REFUNDED"
    return office


def secrets_of(office: Office) -> list[str]:
    return [ACCOUNT, ACCOUNT[8:], CORRECTED, PAYER, PHONE, MAIL, *office.secrets.values()]


def leaks(office: Office, where: str, text: str) -> list[str]:
    return [
        f"{where}: …{text[max(text.find(secret) - 60, 0) :][:120]}" for secret in secrets_of(office) if secret in text
    ]


def test_no_column_of_any_table_holds_a_secret_in_the_clear(story: Office) -> None:
    found, columns = [], 0
    with reading() as tx:
        for table in SQLModel.metadata.sorted_tables:
            for row in tx.execute(sql_select(table)).mappings():
                for name, value in row.items():
                    columns += 1
                    found += leaks(story, f"{table.name}.{name}", json.dumps(value, ensure_ascii=False, default=str))
    assert columns > 1000
    assert found == []


def test_no_form_shows_a_secret(story: Office) -> None:
    with reading() as tx:
        for review in tx.exec(select(Review)):
            gate = gate_of(review)
            shown = form_description(review, gate) + json.dumps(form_schema(review, gate), ensure_ascii=False)
            assert leaks(story, review.id, shown) == []


def test_no_log_line_holds_a_secret(story: Office, caplog: pytest.LogCaptureFixture) -> None:
    assert [leak for record in caplog.records for leak in leaks(story, record.name, record.getMessage())] == []


def test_no_notification_that_was_written_holds_a_secret(story: Office, tmp_path: Path) -> None:
    files = [file for file in (tmp_path / "told").rglob("*") if file.is_file()]
    assert len(files) > 10
    assert [leak for file in files for leak in leaks(story, file.name, file.read_text(encoding="utf-8"))] == []


def test_only_the_bank_reads_the_account_number(story: Office) -> None:
    rows = story.outbox(Channel.EVENT)
    assert {row.audience for row in rows} == {"platform", "bank"}
    to_bank: list[Any] = story.events("deposit.payout.requested")
    assert [order["payee"]["account_no"] for order in to_bank] == [ACCOUNT, CORRECTED]
    for type_ in {row.topic for row in rows} - {"deposit.payout.requested"}:
        for event in story.events(type_):
            assert leaks(story, type_, json.dumps(event, ensure_ascii=False)) == []


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("账户3301040160000121234已销户", "账户尾号 1234已销户"),
        ("3301 0401-6000 0121 234", "尾号 1234"),
        ("３３０１０４０１６００００１２１２３４", "尾号 1234"),
        ("电话 13912345678,13800001111", "电话 尾号 5678,尾号 1111"),
        ("2026-11-19 10:00 退回 1234567 元", "2026-11-19 10:00 退回 1234567 元"),
        ("2026-11-19 3301040160000121234", "2026-11-19 尾号 1234"),
        ("订单号:6921234567890123456未发货,运单773000111222", "订单号:6921234567890123456未发货,运单773000111222"),
        ("订单退款到3301040160000121234", "订单退款到尾号 1234"),
    ],
)
def test_in_free_text_what_looks_like_an_account_is_only_its_tail(said: str, shown: str) -> None:
    assert mask_accounts(said) == shown


@pytest.mark.parametrize("text", ["x", "x" * 499, "x" * 500, "退" * 4_000, '{"html":"' + "<p>已受理</p>" * 500 + '"}'])
def test_what_is_sealed_is_opened_again_and_what_is_long_takes_less_room(text: str, database: None) -> None:
    here = place_named("shop", "contacts_sealed", "shop-1")
    sealed = seal(text, here)
    assert unseal(sealed, here) == text
    assert len(text.encode()) < 4_000 or len(sealed) < len(text.encode()) / 4


def test_what_was_sealed_before_long_values_were_packed_is_opened_still(database: None) -> None:
    key, here = settings().encryption_keys[0].get_secret_value(), place_named("shop", "contacts_sealed", "shop-1")
    assert unseal(bind(Fernet(key).encrypt(("退" * 900).encode()).decode(), here), here) == "退" * 900


def test_what_the_bank_calls_the_account_is_not_repeated_whatever_it_looks_like(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund(payee={"method": "ALIPAY", "name": "林晓", "account_no": "lin@x"})
    office.decide(case, "wang-fang", "APPROVE", "核对过")
    office.decide(case, "chen-jie", "CONFIRM", "核对过")
    office.bank(f"{case.id}-P1", "failed", reason="lin@x 不存在")
    assert "lin@x" not in read(office.question(case)).replace("\u2060", "")
    assert office.events("deposit.payout.updated")[-1]["reason"] == "尾号 @x 不存在"


@pytest.mark.parametrize(
    ("account", "shown"), [("6217009988776655443", "5443"), ("ab12", "12"), ("ab1", "1"), ("a", "")]
)
def test_of_a_short_account_at_most_half_is_shown(account: str, shown: str) -> None:
    assert Payee(method=PayeeMethod.ALIPAY, name="林晓", account_no=account).masked == f"支付宝 尾号 {shown}"


def test_values_that_hold_secrets_do_not_print_them() -> None:
    from models.event_parts import PayeeData
    from models.refund_events import RefundRequested

    payee = PayeeData(**(PAYEE | {"account_no": ACCOUNT}))
    event = RefundRequested(shop_id="s", account_id="a", amount_fen=1, payee=payee)
    for shown in (repr(payee), str(payee), repr(event), str(event), repr(payee.payee())):
        assert ACCOUNT not in shown and "5443" in shown
