"""Masking: what is called or shaped like an account is only its tail; what is ours, an amount or a date stays."""

from __future__ import annotations

import pytest

from policies.masking import mask_accounts


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("账户3301040160000121234已销户", "账户尾号 1234已销户"),
        ("3301 0401-6000 0121 234", "尾号 1234"),
        ("３３０１０４０１６００００１２１２３４", "尾号 1234"),
        ("电话 13912345678,13800001111", "电话 尾号 5678,尾号 1111"),
        ("请打 +8613912345678", "请打 +尾号 5678"),
        ("139 1234 5678", "尾号 5678"),
        ("6217 0099-88776655443", "尾号 5443"),
        ("12345678 13912345678", "12345678 尾号 5678"),
        ("2026-11-19 3301040160000121234", "2026-11-19 尾号 1234"),
        ("订单退款到3301040160000121234", "订单退款到尾号 1234"),
        ("请求退款 3301040160000121234", "请求退款 尾号 1234"),
        ("结算到3301040160000121234,请求付款3301040160000121234", "结算到尾号 1234,请求付款尾号 1234"),
        ("卡号:6222021001116245702", "卡号:尾号 5702"),
        ("工行6222021001116245702", "工行尾号 5702"),
        ("ICBC6222021001116245702", "ICBC尾号 5702"),
        ("4111111111111111", "尾号 1111"),
        ("银行卡号 12345678", "银行卡号 尾号 5678"),
        ("收款账号为(120912345610)", "收款账号为(尾号 5610)"),
        ("账户余额 1234567 元", "账户余额 1234567 元"),
        ("座机 87654321", "座机 尾号 4321"),
    ],
)
def test_what_is_called_or_shaped_like_an_account_is_only_its_tail(said: str, shown: str) -> None:
    assert mask_accounts(said) == shown
    assert mask_accounts(shown) == shown, "masking again changes nothing"


@pytest.mark.parametrize(
    "said",
    [
        "账单 ZD202610-000001", "账单ZD202611-000001 与 ZD202612-000001 不是一份", "CLS-261122-7K3QM9", "RV-261122-123456",
        "退款请求 RFD-261122-123456-P1", "发票 26330000000012345678 已采纳", "26330000000012345678", "发票号码:12345678",
        "发票代码 330000000012", "售后单 7012345678901234567", "售后单号:7012345678901234567", "订单号:6921234567890123456未发货",
        "运单773000111222", "仲裁单号 120000000001234567", "as-7001234567890123", "店铺 shop-10012345678",
        "12345678 元", "退还 12345678.00 元", "¥12345678", "￥ 12,345,678.00", "人民币123456789元", "123456789 分", "1234 万元",
        "2026-11-19 10:00 退回 1234567 元", "20261119", "2026年11月19日", "统一社会信用代码 911100006000373411", "12345678",
        "第 12345678901 件", "尾号 1234", "付款 100000000 元到账", "100000000 200000000 元",
    ],
)  # fmt: skip
def test_what_is_ours_an_amount_or_a_date_stays(said: str) -> None:
    assert mask_accounts(said) == said


def test_a_statements_number_differs_from_month_to_month_in_what_people_read() -> None:
    assert len({mask_accounts(f"账单 ZD2026{month:02d}-000001 未开票") for month in range(1, 13)}) == 12


def test_a_number_of_the_matter_stays_although_it_looks_like_an_account() -> None:
    assert mask_accounts("请核对 7012345678901234567") == "请核对 尾号 4567"
    assert mask_accounts("请核对 7012345678901234567", ours=["7012345678901234567"]) == "请核对 7012345678901234567"


def test_an_account_known_to_be_somebodys_goes_whatever_it_looks_like() -> None:
    assert mask_accounts("打给 lin@example.com", secret=["lin@example.com"]) == "打给 尾号 .com"
    assert mask_accounts("打给 20261119", secret=["20261119"]) == "打给 尾号 1119"
