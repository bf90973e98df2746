"""Obstacles: what stands in the way of closing a shop and returning its deposit, each with its proof.

Closing and refunding read the same facts and ask the same questions (ambiguity 3), so the questions live
here: one finding per obstacle, with the clause, the value, as of when, and a sentence that shows that very value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from itertools import zip_longest
from types import MappingProxyType
from typing import Any

from models.base import Labelled
from models.cases import CaseKind, Finding
from models.deposits import BookFacts
from models.money import yuan
from models.shops import ShopFacts
from policies.policy import SHANGHAI, Policy


class Obstacle(Labelled):
    """The code of each obstacle's finding, with the word for it."""

    FACTS_UNKNOWN = "facts_unknown", "经营数据缺失"
    FACTS_STALE = "facts_stale", "经营数据过期"
    FACTS_BEFORE_CLEARING = "facts_before_clearing", "经营数据早于清算"
    ARREARS = "arrears", "平台欠款"
    BOOK_ARREARS = "book_arrears", "账上欠款"
    UNSETTLED_PAYOUTS = "unsettled_payouts", "周期打款"
    BOOK_UNSETTLED = "book_unsettled", "店务结算"
    OPEN_ORDERS = "open_orders", "未完成订单"
    OPEN_AFTERSALES = "open_aftersales", "未完结售后"
    OPEN_ARBITRATIONS = "open_arbitrations", "未完结仲裁"
    OPEN_APPEALS = "open_appeals", "未完结申诉"
    OPEN_CASES = "open_cases", "店务未结案件"
    FORCED_CLOSURE = "forced_closure", "强制关店待决"
    FREEZES = "freezes", "平台冻结"
    BOOK_FROZEN = "book_frozen", "账上冻结货款"
    UNPAID_BILLS = "unpaid_bills", "未付账单"
    BOOK_BILLS = "book_bills", "未开票账单"
    EXIT_INVOICES = "exit_invoices", "退店发票"


NEVER_WRITTEN_OFF = frozenset(
    {Obstacle.FACTS_UNKNOWN, Obstacle.FACTS_STALE, Obstacle.FACTS_BEFORE_CLEARING, Obstacle.FORCED_CLOSURE}
)
"""A reviewer can write off what is known to be open, not the duty to look, nor a ban that others decide about."""


WrittenOff = Mapping[str, Any]
"""What a reviewer wrote off: each finding's code with what :func:`forgiven` says of it, or its extent alone."""

OpenCases = Mapping[CaseKind, Collection[str]]
"""The ids of a shop's other open cases, by kind."""


def forgiven_of(finding: Finding) -> Any:
    """How far a finding goes at this moment, and which it is about where that is known: so far it is written off."""
    return {"extent": [*finding.extent], "items": [*finding.items]} if finding.items else [*finding.extent]


def _blocking(
    gate: Obstacle,
    clause: str,
    value: int | str,
    sentence: str,
    as_of: datetime | None,
    *extent: int,
    items: Iterable[str] = (),
) -> Finding:
    return Finding(
        code=gate.value,
        clause=clause,
        blocking=True,
        sentence=sentence,
        value=value,
        as_of=as_of,
        extent=extent,
        items=tuple(sorted(items)),
    )


def facts_unknown() -> Finding:
    """No snapshot has ever arrived: nothing about the shop is proved, so nothing can be taken for settled."""
    return Finding(
        code=Obstacle.FACTS_UNKNOWN.value,
        clause="CLS-7",
        blocking=True,
        sentence="平台尚未提供该店铺的经营数据,欠款、订单与结算情况均无法核实。",
    )


def too_old(as_of: datetime, now: datetime, policy: Policy) -> bool:
    """Whether facts as of then are no basis for an act now (ambiguity 27); at exactly the policy's hours they still are."""
    return as_of < oldest_facts(now, policy)


def oldest_facts(now: datetime, policy: Policy) -> datetime:
    """As of when facts are just new enough to be acted on now."""
    return now - timedelta(hours=policy.closure.facts_stale_after.n)


def facts_stale(as_of: datetime | None, now: datetime, policy: Policy, *, blocking: bool = False) -> list[Finding]:
    """That the facts are too old to act on. At a review it is pointed out: the case itself waits for newer ones."""
    if as_of is None or not too_old(as_of, now, policy):
        return []
    hours = policy.closure.facts_stale_after.n
    sentence = f"经营数据截至 {as_of.astimezone(SHANGHAI):%Y-%m-%d %H:%M},距今已超过 {hours} 小时;已请平台提供最新数据,收到后才会执行。"
    return [
        Finding(
            code=Obstacle.FACTS_STALE.value,
            clause="CLS-7",
            blocking=blocking,
            sentence=sentence,
            value=hours,
            as_of=as_of,
        )
    ]


def money_owed(facts: ShopFacts | None, as_of: datetime | None, books: BookFacts, now: datetime) -> list[Finding]:
    """Arrears, by the platform's facts and by our own books; neither is netted (CLS-7, ambiguity 3)."""
    found = []
    if facts and facts.arrears_fen > 0:
        value = yuan(facts.arrears_fen)
        found.append(
            _blocking(Obstacle.ARREARS, "CLS-7", value, f"商家在平台尚有欠款 {value}。", as_of, facts.arrears_fen)
        )
    if books.arrears_fen > 0:
        value = yuan(books.arrears_fen)
        sentence = f"店务账簿上商家尚有欠款 {value}(保证金不足抵扣的部分)。"
        found.append(_blocking(Obstacle.BOOK_ARREARS, "CLS-7", value, sentence, now, books.arrears_fen))
    return found


def _count_and_amount(count: int, fen: int) -> str:
    return f"{count} 笔,合计 {yuan(fen)}"


def payouts_unsettled(
    facts: ShopFacts | None, as_of: datetime | None, books: BookFacts, now: datetime
) -> list[Finding]:
    """Settlement cycles that have not been paid out (CLS-7, ambiguity 3): by our own books what we settle, by the
    platform's facts what it does. Where we settle, facts from before we began still say what it had left to pay."""
    found = []
    platforms = books.settled_since is None or (as_of is not None and as_of < books.settled_since)
    if facts is not None and platforms and (facts.unsettled_payouts > 0 or facts.unsettled_payout_fen > 0):
        value = _count_and_amount(facts.unsettled_payouts, facts.unsettled_payout_fen)
        extent = facts.unsettled_payouts, facts.unsettled_payout_fen
        found.append(
            _blocking(Obstacle.UNSETTLED_PAYOUTS, "CLS-7", value, f"周期打款尚未结清:{value}。", as_of, *extent)
        )
    if books.unsettled > 0:
        value = _count_and_amount(books.unsettled, books.unsettled_fen)
        sentence = (
            f"店务结算的货款尚未结清:{value}(含未到结算期的订单、暂不打款和银行在途的款项,以及改由平台支付的解冻货款)。"
        )
        extent = books.unsettled, books.unsettled_fen
        found.append(_blocking(Obstacle.BOOK_UNSETTLED, "CLS-7", value, sentence, now, *extent))
    return found


def business_open(
    facts: ShopFacts | None,
    as_of: datetime | None,
    books: BookFacts,
    open_cases: OpenCases,
    now: datetime,
) -> list[Finding]:
    """Business that must end before a shop is CLOSED: orders, disputes, freezes, bills (CLS-9, ambiguity 22).

    ``open_cases`` are the shop's other cases in this back office that have not been concluded: which they are counts.
    """
    found = []
    if facts:
        counts = (
            (Obstacle.OPEN_ORDERS, facts.open_orders, "笔订单未完成"),
            (Obstacle.OPEN_AFTERSALES, facts.open_aftersales, "笔售后未完结"),
            (Obstacle.OPEN_ARBITRATIONS, facts.open_arbitrations + books.arbitrations, "件仲裁未完结"),
            (Obstacle.OPEN_APPEALS, facts.open_appeals, "件申诉未完结"),
        )
        for gate, count, words in counts:
            if count > 0:
                found.append(_blocking(gate, "CLS-9", count, f"还有 {count} {words}。", as_of, count))
        if facts.freezes > 0 or facts.frozen_fen > 0:
            value = _count_and_amount(facts.freezes, facts.frozen_fen)
            sentence = f"平台对该店铺的冻结尚未解除:{value}。"
            found.append(_blocking(Obstacle.FREEZES, "CLS-9", value, sentence, as_of, facts.freezes, facts.frozen_fen))
        if facts.unpaid_bills > 0 or facts.unpaid_bill_fen > 0:
            value = _count_and_amount(facts.unpaid_bills, facts.unpaid_bill_fen)
            extent = facts.unpaid_bills, facts.unpaid_bill_fen
            found.append(_blocking(Obstacle.UNPAID_BILLS, "CLS-9", value, f"还有账单未付清:{value}。", as_of, *extent))
    if books.receivable_frozen_fen > 0:
        value = yuan(books.receivable_frozen_fen)
        sentence = f"店务账簿上尚有冻结货款 {value}。"
        found.append(_blocking(Obstacle.BOOK_FROZEN, "CLS-9", value, sentence, now, books.receivable_frozen_fen))
    if books.bills_fen > 0:
        value = yuan(books.bills_fen)
        sentence = f"店务账单尚有 {value} 未开票(含尚未出账和被红冲重新打开的)。"
        found.append(_blocking(Obstacle.BOOK_BILLS, "CLS-9", value, sentence, now, books.bills_fen))
    found += ban_proposed(open_cases, now)
    others: dict[CaseKind, Collection[str]] = {
        kind: ids for kind, ids in open_cases.items() if kind is not CaseKind.FORCED_CLOSURE and ids
    }
    if others:
        value = "、".join(f"{kind.label} {len(others[kind])} 件" for kind in sorted(others))
        sentence = f"该店铺在店务系统中还有未结案件:{value}。"
        by_kind = [len(others.get(kind, ())) for kind in CaseKind]
        which = [case_id for ids in others.values() for case_id in ids]
        found.append(_blocking(Obstacle.OPEN_CASES, "CLS-9", value, sentence, now, *by_kind, items=which))
    return found


def ban_proposed(open_cases: OpenCases, now: datetime) -> list[Finding]:
    """That somebody has proposed to close the shop by force, and nobody has decided (CLS-10, ambiguity 24)."""
    if not (bans := open_cases.get(CaseKind.FORCED_CLOSURE, ())):
        return []
    sentence = "该店铺有强制关店提议待决;决定作出之前不能完成关店,也不能退还保证金或重新开店。"
    return [_blocking(Obstacle.FORCED_CLOSURE, "CLS-10", len(bans), sentence, now, len(bans), items=bans)]


def clearing_remaining(
    facts: ShopFacts | None,
    as_of: datetime | None,
    books: BookFacts,
    *,
    open_cases: OpenCases,
    exit_invoices: tuple[int, int],
    now: datetime,
    written_off: WrittenOff = MappingProxyType({}),
    shut_off_at: datetime | None = None,
    policy: Policy | None = None,
) -> tuple[Finding, ...]:
    """What still keeps a shop in clearing from CLOSED; empty when nothing does (CLS-9, ambiguity 22).

    What a reviewer wrote off when approving no longer blocks, to the extent it had then: three after-sales do not
    cover a fourth. That the facts are known cannot be written off. With ``shut_off_at`` (when the shop could last
    take orders) facts from before it prove nothing, because an order may have come in between; with ``policy`` facts
    that are too old by now prove nothing either (ambiguity 27). Arrears and
    penalties do not keep a shop open: they keep its deposit (ambiguity 3 and 4). ``exit_invoices`` is what of them is neither
    invoiced nor waived, in fen: by our books, and by the platform's report (CLS-8).
    """
    found = []
    if facts is None or as_of is None:
        facts = None
        found.append(facts_unknown())
    elif shut_off_at is not None and as_of < shut_off_at:
        found.append(
            Finding(
                code=Obstacle.FACTS_BEFORE_CLEARING.value,
                clause="CLS-9",
                blocking=True,
                as_of=as_of,
                sentence="现有经营数据早于停止接单的时间,需等待平台提供新的数据后才能确认清算完成。",
            )
        )
    if policy is not None and as_of is not None:
        found += facts_stale(as_of, now, policy, blocking=True)
    found += payouts_unsettled(facts, as_of, books, now)
    found += business_open(facts, as_of, books, open_cases, now)
    if any(exit_invoices):
        value = "、".join(
            f"{whose} {yuan(fen)}" for whose, fen in zip(("店务账单", "平台报告"), exit_invoices, strict=True) if fen
        )
        sentence = f"退店当年已发生费用尚未开票,也未获豁免:{value}。"
        found.append(_blocking(Obstacle.EXIT_INVOICES, "CLS-8", value, sentence, now, *exit_invoices))
    return tuple(finding for finding in found if not _covered(finding, written_off))


def _covered(finding: Finding, written_off: WrittenOff) -> bool:
    if finding.code in NEVER_WRITTEN_OFF or finding.code not in written_off:
        return False
    most, of_these = written_off[finding.code], None
    if isinstance(most, Mapping):
        most, of_these = most["extent"], most["items"]
    if of_these is not None and not {*finding.items} <= {
        *of_these
    }:  # another case in place of one that has ended is new
        return False
    pairs = zip_longest(finding.extent, most, fillvalue=0)  # a kind of case that came later was open for nobody then
    return bool(most or not finding.extent) and all(now <= then for now, then in pairs)
