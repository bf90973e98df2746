"""Invoicing: months, what falls due, the share that is frozen or set off, and what looks odd in a draft (INV)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Protocol, assert_never

from models.base import Frozen
from models.invoicing import AnomalyKind, StatementState
from models.money import yuan
from models.text import shortened
from models.windows import Reckoned
from policies.deadlines import reckon
from policies.invoicing_numbers import InvoicingPolicy
from policies.policy import SHANGHAI

_PERIOD = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")


class NotAPeriod(ValueError):
    """Not a month as ``2026-10``."""


def period_of(moment: datetime) -> str:
    """The month an aware moment lies in, in Asia/Shanghai: ``2026-10``."""
    return f"{moment.astimezone(SHANGHAI):%Y-%m}"


def read_period(text: str) -> str:
    """The period in ``text``; raises :class:`NotAPeriod`."""
    if not _PERIOD.fullmatch(text):
        raise NotAPeriod(f"账期 {shortened(text, 64)!r} 无效,请写成 2026-10 这样的年月")
    return text


def next_period(period: str) -> str:
    year, month = int(period[:4]), int(period[5:7])
    return f"{year + month // 12}-{month % 12 + 1:02d}"


def previous_period(period: str) -> str:
    year, month = int(period[:4]), int(period[5:7])
    return f"{year - (month == 1)}-{(month - 2) % 12 + 1:02d}"


def run_at(period: str, policy: InvoicingPolicy) -> datetime:
    """From when the month may be drawn up, in UTC: the 1st of the next month at 02:00 by policy."""
    following = next_period(period)
    return datetime(
        int(following[:4]), int(following[5:7]), policy.run_day, policy.run_hour, tzinfo=SHANGHAI
    ).astimezone(UTC)


def begins(period: str) -> datetime:
    """The first moment of a month, in UTC."""
    return datetime(int(period[:4]), int(period[5:7]), 1, tzinfo=SHANGHAI).astimezone(UTC)


def over(now: datetime, policy: InvoicingPolicy) -> str:
    """The latest month that may be drawn up at ``now``."""
    period = previous_period(period_of(now))
    return period if now >= run_at(period, policy) else previous_period(period)


def oldest(now: datetime, policy: InvoicingPolicy) -> str:
    """The earliest month that is still billed; what claims to be older has a mistyped year."""
    period = period_of(now)
    months = int(period[:4]) * 12 + int(period[5:7]) - 1 - policy.oldest_item_months
    return f"{months // 12:04d}-{months % 12 + 1:02d}"


def quarter(text: str) -> tuple[str, str, str]:
    """The three months of ``2026Q3``; raises :class:`NotAPeriod`."""
    found = re.fullmatch(r"(20\d\d)Q([1-4])", text.upper())
    if not found:
        raise NotAPeriod(f"季度 {shortened(text, 64)!r} 无效,请写成 2026Q3")
    first = (int(found[2]) - 1) * 3 + 1
    one, two, three = (f"{found[1]}-{month:02d}" for month in range(first, first + 3))
    return one, two, three


# ── the deadline and the share ───────────────────────────────────────────────


def due(issued_at: datetime, policy: InvoicingPolicy) -> Reckoned:
    """By when a statement must be invoiced: one calendar month after it was issued (INV-7, ambiguity 15)."""
    return reckon(issued_at, policy.due, "INV-7")


def share(uninvoiced_fen: int, policy: InvoicingPolicy) -> int:
    """What is held of an uninvoiced amount, half up to the fen: 30 % of 90.00 is 27.00 (INV-7, ambiguity 14; INV-8's 30.00 is not)."""
    return (uninvoiced_fen * policy.freeze_basis_points + 5_000) // 10_000


class Holding(Frozen):
    """Where a statement stands when it falls due, in fen. ``auto`` is the shop's automatic deduction (INV-10)."""

    total_fen: int
    invoiced_fen: int
    pending_fen: int = 0
    frozen_fen: int = 0
    set_off_fen: int = 0
    auto: bool = False
    overdue: bool
    """Whether its due time has passed."""


class Settlement(Frozen):
    """What has to happen: ``change_fen`` more is to be held (at most what is there), or less when negative."""

    uninvoiced_fen: int
    share_fen: int
    change_fen: int
    set_off: bool
    """Whether what is taken is set off (INV-10) instead of frozen (INV-7)."""
    return_set_off_fen: int = 0
    """Of what is given back, how much had been set off; the rest was frozen."""


def settle(held: Holding, policy: InvoicingPolicy) -> Settlement:
    """What a statement's money should do now; the one place that knows ambiguities 14 and 16.

    Before the due time nothing is held. After it the share of what is neither invoiced nor with a clerk is; what was
    held already counts, so doing it again does nothing.
    """
    open_fen = max(held.total_fen - held.invoiced_fen - held.pending_fen, 0)
    target = share(open_fen, policy) if held.overdue else 0
    change = target - held.frozen_fen - held.set_off_fen
    give_back = max(-change, 0)
    return Settlement(
        uninvoiced_fen=open_fen,
        share_fen=target,
        change_fen=change,
        set_off=held.auto,
        return_set_off_fen=max(give_back - held.frozen_fen, 0),
    )


def state_after(held: Holding, share_fen: int, held_fen: int, open_fen: int) -> StatementState:
    """The word for a statement once its money has moved. ``open_fen`` is what no accepted invoice covers."""
    if open_fen == 0:
        return StatementState.INVOICED
    if not held.overdue:
        return StatementState.ISSUED
    if held.auto and held_fen == share_fen and held.pending_fen == 0:
        return StatementState.AUTO_DEDUCTED
    return StatementState.OVERDUE


# ── what looks odd ───────────────────────────────────────────────────────────


class Draft(Frozen):
    """One draft as the anomaly rules see it. ``before_fen`` is last month's total, ``None`` without one."""

    total_fen: int
    before_fen: int | None
    tax_identity: bool
    shop_closed: bool
    repeated_fen: int = 0
    """What looks like the same item twice."""


def anomalies(draft: Draft, policy: InvoicingPolicy) -> tuple[AnomalyKind, ...]:
    """What is odd about a draft; the set-based sweep says the same in SQL, and a test compares the two."""
    found = []
    before = draft.before_fen
    if before is not None and before > 0 and abs(draft.total_fen - before) >= policy.change_floor_fen:
        if draft.total_fen * 100 > before * policy.jump_percent:
            found.append(AnomalyKind.JUMP)
        if draft.total_fen * 100 < before * policy.drop_percent:
            found.append(AnomalyKind.DROP)
    if draft.total_fen < 0:
        found.append(AnomalyKind.NEGATIVE)
    if draft.total_fen > 0 and not draft.tax_identity:
        found.append(AnomalyKind.NO_TAX_IDENTITY)
    if draft.total_fen != 0 and draft.shop_closed:
        found.append(AnomalyKind.SHOP_CLOSED)
    if draft.repeated_fen:
        found.append(AnomalyKind.DUPLICATE)
    return tuple(found)


def sentence(kind: AnomalyKind, value_fen: int, before_fen: int) -> str:
    """What finance reads about an anomaly, with its amounts."""
    match kind:
        case AnomalyKind.JUMP:
            return f"本期 {yuan(value_fen)},上期 {yuan(before_fen)},增幅超过规定。"
        case AnomalyKind.DROP:
            return f"本期 {yuan(value_fen)},上期 {yuan(before_fen)},降幅超过规定。"
        case AnomalyKind.NEGATIVE:
            return f"本期合计为 {yuan(value_fen)},将结转下期,不要求开票。"
        case AnomalyKind.NO_TAX_IDENTITY:
            return f"本期 {yuan(value_fen)},但店铺没有登记纳税人类型、税号或开票名称。"
        case AnomalyKind.SHOP_CLOSED:
            return f"店铺已关闭,本期仍有 {yuan(value_fen)}。"
        case AnomalyKind.DUPLICATE:
            return f"有店铺、类别、金额、时间和说明都相同的明细,疑似重复 {yuan(value_fen)}。"
        case unknown:
            assert_never(unknown)


class FourEyes(Protocol):
    """The numbers of a run that say when two people must release it."""

    @property
    def four_eyes_over_anomalies(self) -> int: ...

    @property
    def four_eyes_over_percent(self) -> Decimal: ...


def needs_second_person(anomalous: int, statements: int, policy: FourEyes) -> bool:
    """Whether a release takes two people: more anomalies than the number **and** than the share of the policy."""
    if anomalous <= policy.four_eyes_over_anomalies:
        return False
    return Decimal(anomalous) * 100 > policy.four_eyes_over_percent * statements


# ── covering statements ──────────────────────────────────────────────────────


class OpenStatement(Frozen):
    """A statement that still takes invoices, oldest first."""

    id: str
    open_fen: int


def allocate(gross_fen: int, statements: Sequence[OpenStatement]) -> tuple[dict[str, int], int]:
    """An invoice's amount over statements in order, and what is left over."""
    given: dict[str, int] = {}
    left = gross_fen
    for statement in statements:
        if left and statement.open_fen > 0:
            given[statement.id] = min(left, statement.open_fen)
            left -= given[statement.id]
    return given, left


def undo(amount_fen: int, covered: Iterable[tuple[str, int]]) -> dict[str, int]:
    """What a red letter takes from which statement, the last covered first."""
    taken: dict[str, int] = {}
    for statement_id, covered_fen in reversed(list(covered)):
        if amount_fen and covered_fen:
            taken[statement_id] = min(amount_fen, covered_fen)
            amount_fen -= taken[statement_id]
    return taken


_DIGITS, _UNITS, _GROUPS = "零壹贰叁肆伍陆柒捌玖", ("", "拾", "佰", "仟"), ("", "万", "亿", "兆")


def capitals(fen: int) -> str:
    """An amount in 大写, as on cheques and invoices: ``9050`` is ``玖拾元伍角整``; negative ones begin with 负."""
    if fen < 0:
        return "负" + capitals(-fen)
    whole, jiao, cents = fen // 100, fen // 10 % 10, fen % 10
    words = _whole(whole) + "元" if whole else ""
    if not jiao and not cents:
        return (words or "零元") + "整"
    if jiao:
        words += f"{_DIGITS[jiao]}角"
    elif words:
        words += "零"
    return words + (f"{_DIGITS[cents]}分" if cents else "整")


def _whole(number: int) -> str:
    groups = []
    while number:
        groups.append(number % 10_000)
        number //= 10_000
    words, gap = "", False
    for position in range(len(groups) - 1, -1, -1):
        group = groups[position]
        if group == 0:
            gap = bool(words)
            continue
        if words and (gap or group < 1000):
            words += "零"
        words += _group(group) + _GROUPS[position]
        gap = False
    return words


def _group(group: int) -> str:
    words, gap = "", False
    for position in range(3, -1, -1):
        digit = group // 10**position % 10
        if digit:
            words += ("零" if gap and words else "") + _DIGITS[digit] + _UNITS[position]
            gap = False
        else:
            gap = True
    return words
