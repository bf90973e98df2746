"""Account numbers as people and printers write them: one rule for what can be one, at the door and in a dossier."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from models.accounts import LEAST, MOST, is_bank_number, shows_a_part
from models.event_parts import PayeeData
from models.payouts import Payee, PayeeMethod
from models.shop_events import DepositPaid
from policies.payees import account_key
from policies.refund import _payee_information
from tests.play import START

AT_A_BANK = ["CORPORATE_ACCOUNT", "BANK_CARD"]


SHOWS_NOTHING = [
    chr(one)
    for one in (
        0x20,
        0x09,
        0x0A,
        0x0D,
        0x85,
        0xA0,
        0xAD,
        0x34F,
        0x61C,
        0x1680,
        0x180E,
        *range(0x2000, 0x2010),
        0x2028,
        0x2029,
        *range(0x202A, 0x2030),
        0x205F,
        *range(0x2060, 0x2065),
        *range(0x2066, 0x2070),
        0x2800,
        0x3000,
        0x3164,
        0xFE00,
        0xFE0F,
        0xFEFF,
        0xFFA0,
    )
]
HYPHENS = list("-‐‑‒–—―⁃⁻−﹘﹣－─⸺")


def payee(number: Any, method: str = "CORPORATE_ACCOUNT") -> PayeeData:
    return PayeeData.model_validate({"method": method, "name": "林晓", "account_no": number, "bank_name": "中国银行"})


@pytest.mark.parametrize("method", AT_A_BANK)
@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("FTE1144363210001", "FTE1144363210001"), ("FTN 1144 3632 1000", "FTN114436321000"), ("NRA44201501100056001234", "NRA44201501100056001234"),
        ("osa11014526710001", "OSA11014526710001"), ("44201501100056001234NRA", "44201501100056001234NRA"),
        ("6222 0212 3456 7890 123", "6222021234567890123"),
        ("3301-0401-6000-0123", "3301040160000123"), ("６２２２０２１２３４５６７８９０", "6222021234567890"),
        ("6222\u00a00212\u30003456\t7890", "6222021234567890"), ("3301—0401–6000−0123", "3301040160000123"), (" 62220212 ", "62220212"),
        *((f"6222{blank}0212{blank}3456", "622202123456") for blank in SHOWS_NOTHING),
        *((f"6222{hyphen}0212{hyphen}3456", "622202123456") for hyphen in HYPHENS),
        *((f"{letters}11445566", f"{letters.upper()}11445566") for letters in ("fte", "Ftn", "nRA", "OSA")),
        ("ＦＴＥ11445566", "FTE11445566"), ("n r a-11445566", "NRA11445566"), ("1144 5566 osa", "11445566OSA"),
        ("1" * LEAST, "1" * LEAST), ("1" * MOST, "1" * MOST),
    ],
)  # fmt: skip
def test_what_is_printed_on_a_card_or_a_statement_is_the_account_it_means(
    method: str, written: str, number: str
) -> None:
    taken = payee(written, method)
    assert taken.account_no == number
    assert account_key(written) == account_key(number) == account_key(taken.account_no)
    assert _payee_information(taken.payee(), START) == []


@pytest.mark.parametrize(
    "written",
    ["1" * (LEAST - 1), "1" * (MOST + 1), "FTE123", "ABCDE12345678", "62220212345678X0", "6222****1234", "FTE", "", "卡号6222021234567890", 
     "6222.0212.3456", None, 6222021234567890, ["6222021234567890"]],
)  # fmt: skip
def test_the_door_and_the_dossier_refuse_the_same_numbers(written: Any) -> None:
    with pytest.raises(ValidationError):
        payee(written)
    if isinstance(written, str) and written:
        old = Payee(method=PayeeMethod.BANK_CARD, name="林晓", account_no=written, bank_name="中国银行")
        assert [finding.code for finding in _payee_information(old, START)] == ["payee_account_unreadable"]


def test_an_alipay_name_keeps_its_hyphens() -> None:
    assert payee("lin-xiao@example.com", "ALIPAY").account_no == "lin-xiao@example.com"
    assert payee("138 0000 1234", "ALIPAY").account_no == "13800001234"


MASKED = [
    "6222****1234",
    "138****0000",
    "尾号1234",
    "林*",
    "＊＊1234",
    "622202XXXXXX1234",
    "•••• 1234",
    "…1234",
    "6222xx1234",
    "6222__1234",
    "622202∗∗1234",
    "■■■■1234",
    "张○",
    "＃＃＃＃",
    "６２２２XX１２３４",
]


@pytest.mark.parametrize("text", MASKED)
def test_what_shows_a_part_is_taken_with_the_payment(text: str) -> None:
    paid = DepositPaid.model_validate(DepositPaid.EXAMPLE | {"payer_account": text, "payer_name": text})
    assert paid.payer_account is not None and shows_a_part(paid.payer_account) and shows_a_part(paid.payer_name)


@pytest.mark.parametrize(
    "text",
    [
        "6222021234567890",
        "FTE1144363210001",
        "wx-linxiao-77",
        "lin.xiao@example.com",
        "林晓",
        "Max Xu",
        "阿迪力·买买提",
        "Mary-Ann O'Neil",
        "lin_xiao_77",
        "Xx",
    ],
)
def test_what_shows_all_of_it_is_not_called_masked(text: str) -> None:
    assert not shows_a_part(text)


def test_the_rule_is_the_same_for_both_kinds_of_letters() -> None:
    assert is_bank_number("NRA12345678") and not is_bank_number("NRANRA12345678") and not is_bank_number("1NRA2345678")
