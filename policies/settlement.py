"""Settlement: halves of months, their cut-offs, and what looks odd in a draft (STL-1 to STL-4, ambiguity 48)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import assert_never

from models.money import yuan
from models.settlement import SettlementAnomalyKind
from models.text import shortened
from policies.invoicing import NotAPeriod, next_period, previous_period
from policies.policy import SHANGHAI
from policies.settlement_numbers import SettlementPolicy

_HALF = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])-([12])")
FIRST_OF_SECOND = 16


def half_of(moment: datetime) -> str:
    """The half an aware moment lies in, by the day in Asia/Shanghai: the 1st to the 15th (STL-3), or the 16th to the last (STL-2)."""
    local = moment.astimezone(SHANGHAI)
    return f"{local:%Y-%m}-{1 if local.day < FIRST_OF_SECOND else 2}"


def read_half(text: str) -> str:
    """The half in ``text``; raises :class:`policies.invoicing.NotAPeriod`."""
    if not _HALF.fullmatch(text):
        raise NotAPeriod(
            f"结算期 {shortened(text, 64)!r} 无效,请写成 2026-03-1(3 月 1 日至 15 日)或 2026-03-2(16 日至月末)"
        )
    return text


def label(half: str) -> str:
    """``2026年3月上半月``."""
    return f"{int(half[:4])}年{int(half[5:7])}月{'上' if half.endswith('1') else '下'}半月"


def next_half(half: str) -> str:
    month = half[:7]
    return f"{month}-2" if half.endswith("1") else f"{next_period(month)}-1"


def previous_half(half: str) -> str:
    month = half[:7]
    return f"{month}-1" if half.endswith("2") else f"{previous_period(month)}-2"


def begins(half: str) -> datetime:
    """The first moment of a half, in UTC."""
    day = 1 if half.endswith("1") else FIRST_OF_SECOND
    return datetime(int(half[:4]), int(half[5:7]), day, tzinfo=SHANGHAI).astimezone(UTC)


def cut_off(half: str) -> datetime:
    """00:00:00 of the 1st or the 16th: what happened before it is of this half or an earlier one (ambiguity 48)."""
    return begins(next_half(half))


def over(now: datetime, policy: SettlementPolicy) -> str:
    """The latest half that may be drawn up at ``now``: the run of the 1st and the 16th begins at the policy's hour."""
    half = previous_half(half_of(now))
    local = cut_off(half).astimezone(SHANGHAI).replace(hour=policy.run_hour)
    return half if now >= local else previous_half(half)


def oldest(now: datetime, policy: SettlementPolicy) -> str:
    """The earliest half that is still settled; what claims to be older has a mistyped year."""
    half = half_of(now)
    months = int(half[:4]) * 12 + int(half[5:7]) - 1 - policy.oldest_order_months
    return f"{months // 12:04d}-{months % 12 + 1:02d}-1"


def order_half(own: str, ended: list[datetime | None]) -> str | None:
    """The earliest half an order can be settled in: none while an after-sale is open (STL-4), else the first whose
    cut-off lies after its confirmation and after the end of every after-sale (ambiguity 48)."""
    halves = [own]
    for moment in ended:
        if moment is None:
            return None
        halves.append(half_of(moment))
    return max(halves)


def sentence(kind: SettlementAnomalyKind, value_fen: int, before_fen: int) -> str:
    """What finance reads about an anomaly, with its amounts."""
    match kind:
        case SettlementAnomalyKind.JUMP:
            return f"本期应结 {yuan(value_fen)},上期 {yuan(before_fen)},增幅超过规定。"
        case SettlementAnomalyKind.DROP:
            return f"本期应结 {yuan(value_fen)},上期 {yuan(before_fen)},降幅超过规定。"
        case SettlementAnomalyKind.NEGATIVE:
            return f"本期应结为 {yuan(value_fen)},先从可用货款扣回,不足结转下期。"
        case SettlementAnomalyKind.SHOP_CLOSED:
            return f"店铺已关闭,本期仍有应结 {yuan(value_fen)}。"
        case unknown:
            assert_never(unknown)
