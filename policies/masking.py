"""Masking: which digits in somebody's free text are an account or a phone number, and shown as their tail only.

Masked is what is *called* an account (账户, 卡号, 支付宝, 电话 …) and what is *shaped* like one: bank cards and corporate
accounts (15 to 25 digits in a row or in groups) and mobile numbers. Never masked is what is ours or a matter's (statement,
case, invoice, order, after-sale numbers), an amount or a date: a text about those would no longer say which.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from models.accounts import BETWEEN

_LINK = r"(?:的?(?:编号|单号|号码|号|尾号|id|ID))?(?:为|是|[:：#])?\s*[(（【]?\s*"
_CALLED = re.compile(
    r"(?:账户|帐户|账号|帐号|卡号|银行卡|储蓄卡|借记卡|信用卡|对公户?|存折|支付宝|微信|电话|手机|座机|联系方式|身份证)"
    + _LINK
    + r"(?:0\d{2,3}[)）]\s*)?$"
)
_OURS = re.compile(
    r"(?:(?:订单|运单|快递单?|物流单?|工单|罚单|案件|账单|发票|发票代码|票据|单据|流水|批次|信用代码|税号|识别号|条码|单号|编号|参考|SKU|SPU|视频号)"
    + _LINK
    + r"|(?:退货|退款|售后|仲裁|申诉|处罚|违规|交易|请求|打款|付款|结算|提现|店铺|商品|货品|任务|审核|消息|视频|直播间?|达人|橱窗)\s*"
    + r"(?:单号?|号码?|编号|编码|流水|ID|id)"
    + _LINK
    + ")$"
)
_MATTER = re.compile(r"(?:仲裁|申诉|售后|判责|商品|货品)\s*[:：#(（]?\s*$")
"""What a long number after it is the number of; a phone number after it is one all the same."""
_ATTACHED = re.compile(r"[A-Za-z][A-Za-z0-9]*[-_/]?$|[A-Za-z][A-Za-z0-9]*(?:[-_/][A-Za-z0-9]+)*[-_/]$")
"""A word of letters goes straight over into the digits, as in ``ZD202610-000001`` and ``as-7001``: an identifier."""
_AMOUNT = re.compile(r"(?:\.\d+)?\s*(?:[万亿千百])?(?:元|圆|块|角|分|CNY|RMB|人民币)")
_MONEY = re.compile(r"(?:[¥￥$]|人民币|CNY|RMB)\s*$")
_DATE = re.compile(r"(?:19|20)\d\d[-./年]?(?:0?[1-9]|1[0-2])[-./月]?(?:0?[1-9]|[12]\d|3[01])日?")
_RUN = re.compile(
    r"(?:19|20)\d\d[-./](?:0?[1-9]|1[0-2])[-./](?:0?[1-9]|[12]\d|3[01])(?![-.\d])"
    rf"|\d{{2,6}}(?:(?:(?![\r\n]){BETWEEN})+(?!1[3-9]\d{{9}}(?!\d))\d+)+|\d{{3,6}}(?:[.·•・/_]\d{{3,6}}){{2,}}|\d+"
)
"""Digits as they are printed: a date, groups of one number (a whole mobile number begins another), or all in a row."""
_NAMED = re.compile(
    r"((?:支付宝|微信)(?:[账帐][号户]|号|[:：])(?:为|是|[:：])?\s*[(（【]?\s*)"
    r"([A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+[A-Za-z0-9]|(?=[A-Za-z_-]*\d)[A-Za-z][A-Za-z0-9_-]{5,19})(?![A-Za-z0-9])"
)
"""An account that is no number: an address with Alipay, a name with WeChat, where the text calls it so."""
_MOBILE = re.compile(r"(?:(?:00)?86)?1[3-9]\d{9}")
_INVOICE = re.compile(r"2\d{19}")
"""A 数电票 number: twenty digits that begin with the year."""


def mask_accounts(text: str, ours: Iterable[str] = (), secret: Iterable[str] = ()) -> str:
    """``text`` with accounts and phone numbers as their last four digits: ``尾号 1234``.

    ``ours`` are numbers known to be of the matter at hand, which stay; ``secret`` are accounts known to be somebody's,
    which go, whatever they look like.
    """
    for account in secret:
        if len(account) >= 4:
            text = text.replace(account, f"尾号 {account[-min(4, len(account) // 2) :]}")
    text = _NAMED.sub(lambda found: f"{found[1]}尾号 {found[2][-4:]}", text)
    kept = {re.sub(r"\D", "", number) for number in ours}
    return _RUN.sub(lambda run: _shown(run[0], text[: run.start()], text[run.end() :], kept), text)


def _shown(run: str, before: str, after: str, ours: set[str]) -> str:
    digits = re.sub(r"\D", "", unicodedata.normalize("NFKC", run))
    before = before[-60:]
    if before.endswith("尾号 ") and len(digits) <= 4:
        return run
    called = _CALLED.search(before) is not None and len(digits) >= 5 and not _AMOUNT.match(after)
    return f"尾号 {digits[-4:]}" if called or _shaped(run, digits, before, after, ours) else run


def _shaped(run: str, digits: str, before: str, after: str, ours: set[str]) -> bool:
    """Whether digits that nobody calls anything are a card, an account or a mobile number."""
    if _DATE.fullmatch(run) or _OURS.search(before) or digits in ours:
        return False
    if len(digits) < 13 and (_AMOUNT.match(after) or _MONEY.search(before)):
        return False
    if _is_card(digits):
        return True
    if _ATTACHED.search(before) or re.match(r"[-_/]?[A-Za-z]", after) or _INVOICE.fullmatch(digits):
        return False
    return bool(_MOBILE.fullmatch(digits)) or (15 <= len(digits) <= 25 and not _MATTER.search(before))


def _is_card(digits: str) -> bool:
    """A bank card by its issuer's first digits, its length and its check digit (ISO/IEC 7812, Luhn)."""
    lengths = {"62": range(16, 20), "4": (16, 19), "5": (16,), "2": (16,), "34": (15,), "37": (15,), "35": range(16, 20),
               "6": range(16, 20), "9": range(16, 20)}  # fmt: skip
    fits = any(digits.startswith(prefix) and len(digits) in length for prefix, length in lengths.items())
    return fits and _luhn(digits)


def _luhn(digits: str) -> bool:
    doubled = (int(digit) * (1 + position % 2) for position, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0
