"""Closing a shop: who may ask, what the reviewer must see, what clearing waits for, when it may open again.

Clauses CLS-1 … CLS-11, REO-1, REO-5; ambiguities 3, 7, 9 and 22.
"""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from models.cases import Finding
from models.closures import ClosureReason
from models.deposits import BookFacts
from models.money import yuan
from models.outcomes import Refusal
from models.shops import ShopFacts, ShopState
from models.text import has_text
from models.windows import Reckoned
from policies.deadlines import reckon
from policies.obstacles import (
    OpenCases,
    business_open,
    clearing_remaining,
    facts_stale,
    facts_unknown,
    money_owed,
    payouts_unsettled,
)
from policies.policy import Policy
from policies.workdays import DEFAULT, WorkCalendar

__all__ = [
    "clearing_remaining",
    "closure_findings",
    "exit_invoice_due",
    "may_reopen",
    "refuse_request",
    "reopen_from",
]


def refuse_request(
    *,
    requester: str,
    owner: str,
    reason: ClosureReason | None,
    reason_text: str,
    shop_state: ShopState,
    other_closure: str | None,
    proposed_ban: str | None = None,
) -> Refusal | None:
    """Why a closing request is not taken up, or None when it is.

    ``requester`` and ``owner`` are account ids; ``other_closure`` is the id of a closure of this shop that is still
    under way, ``proposed_ban`` that of a forced closure about which nobody has decided. Ownership comes first: a stranger
    learns nothing about the shop.
    """
    if requester != owner:
        return Refusal(
            code="not-owner",
            clause="CLS-3",
            sentence="只有店铺的主账号可以申请关店,请使用主账号登录后再提交。",
        )
    match shop_state:
        case ShopState.FORCED_CLOSED:
            return Refusal(
                code="shop-forced-closed",
                clause="CLS-10",
                sentence="店铺已因违规被平台强制关闭,无需也无法再申请关店。",
            )
        case ShopState.CLOSED:
            return Refusal(code="shop-closed", clause="CLS-6", sentence="店铺已经关闭,无需再次申请关店。")
        case ShopState.CLEARING:
            return Refusal(
                code="shop-clearing",
                clause="CLS-9",
                sentence="店铺的关店申请已经通过,正在清算中,无需再次申请。",
            )
        case ShopState.APPLYING:
            return Refusal(
                code="shop-not-open", clause="CLS-3", sentence="店铺尚未开通,无需关店;不再入驻请撤回入驻申请。"
            )
        case ShopState.OPEN | ShopState.AWAITING_DEPOSIT:
            pass
        case unknown:
            assert_never(unknown)
    if proposed_ban is not None:
        return Refusal(
            code="forced-closure-pending",
            clause="CLS-10",
            sentence=f"平台已提议强制关闭该店铺({proposed_ban}),正在审核;决定作出之前不受理关店申请。"
            "如对提议有异议,请联系平台客服并提交证明材料。",
        )
    if other_closure is not None:
        return Refusal(
            code="closure-under-way",
            clause="CLS-5",
            sentence=f"该店铺已有一件关店申请正在处理({other_closure}),请等待其结果,无需重复提交。",
        )
    if reason is None:
        choices = "、".join(choice.label for choice in ClosureReason)
        return Refusal(code="reason-missing", clause="CLS-4", sentence=f"请填写关店原因,可选:{choices}。")
    if reason is ClosureReason.OTHER and not has_text(reason_text):
        return Refusal(
            code="reason-text-missing",
            clause="CLS-4",
            sentence=f"关店原因选择“{reason.label}”时,请用文字说明具体原因。",
        )
    return None


def closure_findings(
    facts: ShopFacts | None,
    as_of: datetime | None,
    books: BookFacts,
    *,
    open_cases: OpenCases,
    now: datetime,
    policy: Policy,
) -> tuple[Finding, ...]:
    """Everything the closure reviewer must see, blocking findings first.

    ``facts`` are the platform's newest, as of ``as_of``, or both None when none ever came. Arrears and
    unsettled payouts block (CLS-7, ambiguity 3), and so does open business (CLS-9, ambiguity 22) and a
    penalty that is not settled. ``open_cases`` are the shop's other open cases by kind.
    """
    if facts is None or as_of is None:
        facts = as_of = None
    found = [] if facts else [facts_unknown()]
    found += money_owed(facts, as_of, books, now)
    found += payouts_unsettled(facts, as_of, books, now)
    found += business_open(facts, as_of, books, open_cases, now)
    found += _penalties(facts, as_of)
    found += facts_stale(as_of, now, policy)
    if books.receivable_fen > 0:
        value = yuan(books.receivable_fen)
        sentence = f"店务账簿上尚有待结算货款 {value},将按结算周期继续打款。"
        found.append(_note("receivable", "CLS-7", value, sentence, now))
    deposit = yuan(books.deposit_fen)
    sentence = (
        f"保证金余额 {deposit},清算完成并关店后商家可申请退还。"
        if books.deposit_fen
        else f"保证金余额 {deposit},关店后没有可退还的保证金。"
    )
    found.append(_note("deposit", "CLS-9", deposit, sentence, now))
    return tuple(sorted(found, key=lambda finding: not finding.blocking))


def _note(code: str, clause: str, value: int | str, sentence: str, as_of: datetime | None) -> Finding:
    return Finding(code=code, clause=clause, blocking=False, sentence=sentence, value=value, as_of=as_of)


def _penalties(facts: ShopFacts | None, as_of: datetime | None) -> list[Finding]:
    found = []
    penalties = facts.penalties if facts else ()
    if open_ones := sorted(penalty.id for penalty in penalties if not penalty.settled):
        unsettled = len(open_ones)
        found.append(
            Finding(
                code="penalties_unsettled",
                clause="CLS-9",
                blocking=True,
                value=unsettled,
                as_of=as_of,
                items=tuple(open_ones),
                sentence=f"还有 {unsettled} 项处罚未处理完毕。",
            )
        )
    if settled := sum(penalty.settled for penalty in penalties):
        sentence = f"店铺有 {settled} 项已处理完毕的处罚记录,供审核参考。"
        found.append(_note("penalties_settled", "CLS-9", settled, sentence, as_of))
    return found


def exit_invoice_due(started_at: datetime, policy: Policy, calendar: WorkCalendar = DEFAULT) -> Reckoned:
    """Until when invoices for this year's fees must be in, reckoned from the start of closing (CLS-8)."""
    return reckon(started_at, policy.closure.exit_invoice, "CLS-8", calendar)


def reopen_from(closed_at: datetime, policy: Policy) -> datetime:
    """From when a shop closed at ``closed_at`` may apply to open again, in UTC (REO-1)."""
    return reckon(closed_at, policy.closure.reopen, "REO-1").due


def may_reopen(now: datetime, closed_at: datetime, policy: Policy, *, forced: bool = False) -> bool:
    """Whether the waiting time is over at ``now`` (REO-1, ambiguity 7); never after a forced closure (REO-5).

    At exactly six months the shop may open, unless the policy is strict: then only after them.
    """
    if forced:
        return False
    earliest = reopen_from(closed_at, policy)
    return now > earliest if policy.closure.reopen_strict else now >= earliest
