"""How much of what a talent sold was one shop's: reckoned from whole days, never from a total somebody sends (BND-9).

"The last 30 days" are the complete days of Asia/Shanghai before the day of the check (ambiguity 50). A day that was not
reported, was reported before its end, or contradicts itself is a finding and never a zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from models.base import Frozen
from models.cases import Finding
from policies.binding_numbers import BindingPolicy

MOST_DAYS_NAMED = 5


class DayFigure(Frozen):
    """One day of one talent, in fen: everything, all shops' parts together, this shop's part."""

    total_fen: int
    parts_fen: int
    shop_fen: int
    whole: bool
    as_of: datetime


class Share(Frozen):
    """What the figures of a window say; ``findings`` name what is missing, stale or contradictory."""

    shop_fen: int
    total_fen: int
    findings: tuple[Finding, ...]
    enough: bool
    """Whether the share reaches what the rule asks for; never while something is found."""

    @property
    def percent(self) -> str:
        return percent(self.shop_fen, self.total_fen)


def percent(shop_fen: int, total_fen: int) -> str:
    """``66.67``: for people; rounded down, so that what is not enough does not look it."""
    points = shop_fen * 10_000 // total_fen if total_fen else 0
    return f"{points // 100}.{points % 100:02}"


def threshold(policy: BindingPolicy) -> int:
    """The share in hundredths of a per cent."""
    return int(policy.share_percent * 100)


def reaches(shop_fen: int, total_fen: int, policy: BindingPolicy) -> bool:
    """超过 50 % is more than half, unless the policy says at least (ambiguity 17)."""
    ours, needed = shop_fen * 10_000, total_fen * threshold(policy)
    return total_fen > 0 and (ours >= needed if policy.share_inclusive else ours > needed)


def judge(figures: Mapping[date, DayFigure], first: date, last: date, policy: BindingPolicy) -> Share:
    """The share of one shop in what a talent sold from ``first`` to ``last``, both included."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    missing = [day for day in days if day not in figures]
    known = [(day, figures[day]) for day in days if day in figures]
    stale = [day for day, one in known if not one.whole]
    odd = [day for day, one in known if one.parts_fen > one.total_fen]
    shop, total = sum(one.shop_fen for _, one in known), sum(one.total_fen for _, one in known)
    found = [
        _finding(code, sentence, days)
        for code, sentence, days in (
            ("share-missing", "达人成交数据缺少", missing),
            ("share-stale", "达人成交数据未到日终", stale),
            ("share-contradicts", "达人成交数据中各店铺之和大于总额", odd),
        )
        if days
    ]
    return Share(
        shop_fen=shop, total_fen=total, findings=tuple(found), enough=not found and reaches(shop, total, policy)
    )


def _finding(code: str, sentence: str, days: list[date]) -> Finding:
    named = "、".join(f"{day:%m-%d}" for day in days[:MOST_DAYS_NAMED])
    rest = f" 等 {len(days)} 天" if len(days) > MOST_DAYS_NAMED else ""
    return Finding(
        code=code,
        clause="BND-9",
        blocking=True,
        sentence=f"{sentence}:{named}{rest}",
        value=len(days),
        extent=(len(days),),
        items=tuple(day.isoformat() for day in days),
    )
