"""Returning a deposit: who may apply and for how much, what finance must see, to whom it may go, until when.

Clauses REF-1 … REF-11, DEP-9, CLS-10; ambiguities 3, 4, 5, 6, 22 and 29. To whom it goes: policies/payees.py.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import assert_never

from models import accounts
from models.base import Frozen
from models.cases import Finding
from models.deposits import BookFacts, RefundDocument
from models.money import Money, yuan
from models.outcomes import Refusal
from models.payouts import Payee, PayeeMethod
from models.shops import EntityType, Penalty, ShopFacts, ShopState
from models.windows import Reckoned
from policies.deadlines import reckon
from policies.obstacles import Obstacle, OpenCases, WrittenOff, clearing_remaining, facts_stale, money_owed
from policies.payees import PayeeJudgement
from policies.policy import Policy
from policies.text import normalise_name
from policies.workdays import DEFAULT, WorkCalendar

NEVER_OVERRIDDEN = frozenset(
    {
        Obstacle.ARREARS.value,
        Obstacle.BOOK_ARREARS.value,
        Obstacle.UNSETTLED_PAYOUTS.value,
        Obstacle.BOOK_UNSETTLED.value,
        Obstacle.FORCED_CLOSURE.value,
        "bank_contradiction",
        "refund_under_way",
        "shop_not_closed",
    }
)
"""Codes of blocking findings over which nobody approves a refund, not two people either (REF-7, REF-9, ambiguities 24, 29
and 38)."""


class Net(Frozen):
    """What is done with the deposit when a refund is paid: arrears set off first, then the rest of it paid (ambiguity 29)."""

    set_off: Money
    paid: Money
    kept: Money = Money()

    def text(self) -> str:
        """``先抵扣欠款 ¥1,000.00,退还 ¥3,000.00``, or only what is paid."""
        return f"先抵扣欠款 {self.set_off},退还 {self.paid}" if self.set_off else f"退还 {self.paid}"


def net_refund(asked: Money, books: BookFacts) -> Net:
    """What of ``asked`` can be paid once the arrears of our own books have been taken from the deposit (REF-8, REF-9)."""
    set_off = min(books.arrears_fen, books.deposit_fen)
    room = max(books.deposit_fen - set_off - books.kept_fen, 0)  # what INV-7 would freeze stays (ambiguity 30)
    return Net(
        set_off=Money(fen=set_off),
        paid=Money(fen=min(asked.fen, room)),
        kept=Money(fen=books.kept_fen),
    )


def not_to_be_overridden(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """What stands in the way of a refund whoever approves it."""
    return tuple(finding for finding in findings if finding.blocking and finding.code in NEVER_OVERRIDDEN)


def refundable(books: BookFacts, shop_state: ShopState) -> Money:
    """What may be asked back: the remaining deposit (REF-8), and nothing after a forced closure (REF-10)."""
    return Money() if shop_state is ShopState.FORCED_CLOSED else Money(fen=books.deposit_fen)


def refuse_application(
    *,
    requester: str,
    owner: str,
    shop_state: ShopState,
    amount_fen: int,
    books: BookFacts,
    other_refund: str | None,
) -> Refusal | None:
    """Why a refund application is not taken up, or None when it is.

    ``amount_fen`` is what was asked for, unchecked; ``other_refund`` the id of a refund of this shop still
    under way. Ownership comes first: a stranger learns nothing about the shop.
    """
    if requester != owner:
        return Refusal(
            code="not-owner",
            clause="REF-6",
            sentence="只有店铺的主账号可以申请退还保证金,请使用主账号登录后再提交。",
        )
    match shop_state:
        case ShopState.FORCED_CLOSED:
            return Refusal(
                code="shop-forced-closed",
                clause="REF-10",
                sentence="店铺因违规被平台强制关闭,按规则保证金不予退还(REF-10、CLS-10)。",
            )
        case ShopState.APPLYING | ShopState.AWAITING_DEPOSIT | ShopState.OPEN | ShopState.CLEARING:
            return Refusal(
                code="shop-not-closed",
                clause="REF-1",
                sentence=f"店铺当前状态为“{shop_state.label}”,关店完成后才能申请退还保证金。",
            )
        case ShopState.CLOSED:
            pass
        case unknown:
            assert_never(unknown)
    if other_refund is not None:
        return Refusal(
            code="refund-under-way",
            clause="REF-7",
            sentence=f"该店铺已有一件退保证金申请正在处理({other_refund}),请等待其结果,无需重复提交。",
        )
    balance = refundable(books, shop_state)
    if not balance:
        return Refusal(
            code="nothing-to-refund", clause="REF-8", sentence=f"保证金余额为 {balance},没有可退还的保证金。"
        )
    if amount_fen <= 0:
        return Refusal(code="amount-not-positive", clause="REF-6", sentence="退款金额必须大于零。")
    if books.arrears_fen >= balance.fen:
        return Refusal(
            code="arrears-over-deposit",
            clause="REF-9",
            sentence=f"店铺尚有欠款 {yuan(books.arrears_fen)},不低于保证金余额 {balance},抵扣后没有可退还的保证金。"
            "如对欠款有异议,请联系平台客服。",
        )
    if amount_fen > balance.fen:
        return Refusal(
            code="amount-over-balance",
            clause="REF-6",
            sentence=f"申请退还 {yuan(amount_fen)},超过可退还的保证金余额 {balance},请修改金额后重新提交。",
        )
    return None


def missing_documents(
    entity: EntityType, documents: Collection[RefundDocument], policy: Policy
) -> tuple[RefundDocument, ...]:
    """The papers this entity type must still send, in the policy's order (REF-2)."""
    return tuple(needed for needed in policy.refund.required_documents[entity] if needed not in documents)


def refund_findings(
    facts: ShopFacts | None,
    as_of: datetime | None,
    books: BookFacts,
    *,
    entity: EntityType,
    documents: Collection[RefundDocument],
    payees: Sequence[Payee],
    judgement: PayeeJudgement,
    open_cases: OpenCases,
    exit_invoices: tuple[int, int],
    now: datetime,
    policy: Policy,
    written_off: WrittenOff = MappingProxyType({}),
    own_penalties: Sequence[Penalty] = (),
    other_refund: str | None = None,
    shop_state: ShopState = ShopState.CLOSED,
) -> tuple[Finding, ...]:
    """Everything finance must see before a deposit goes back, blocking findings first.

    Documents and payee information complete, no penalty as the policy reads it (REF-2, ambiguity 4); clearing
    still complete (REF-8), for a dispute can come up after the shop is closed; no arrears beyond what the deposit
    covers, and all payouts settled (REF-9, ambiguities 3 and 29). ``written_off`` is what the closure's reviewer wrote off (ambiguity
    22), to its extent: arrears and unsettled payouts are the refund's own gate and stay. ``judgement`` adds what is unusual
    about the payee. ``other_refund`` is one of the shop that goes first (REF-7); ``shop_state`` what has become of the shop since
    it was applied for.
    """
    if facts is None or as_of is None:
        facts = as_of = None
    found: list[Finding] = []
    if shop_state not in {ShopState.CLOSED, ShopState.FORCED_CLOSED}:
        sentence = f"店铺已不在关闭状态(现为「{shop_state.label}」),保证金不能退还。"
        found.append(
            Finding(
                code="shop_not_closed", clause="REF-1", blocking=True, sentence=sentence, value=shop_state, as_of=now
            )
        )
    if other_refund is not None:
        sentence = f"该店铺的退款 {other_refund} 因款项被退回尚在处理,请等其办结后再处理本申请。"
        found.append(
            Finding(
                code="refund_under_way",
                clause="REF-7",
                blocking=True,
                sentence=sentence,
                items=(other_refund,),
                as_of=now,
            )
        )
    if missing := missing_documents(entity, documents, policy):
        value = "、".join(document.label for document in missing)
        found.append(
            Finding(
                code="documents_missing",
                clause="REF-2",
                blocking=True,
                value=value,
                as_of=now,
                items=tuple(document.value for document in missing),
                sentence=f"退款资料不齐,还缺:{value}。",
            )
        )
    for payee in payees:
        found += [one for one in _payee_information(payee, now) if one.code not in {other.code for other in found}]
    reported = facts.penalties if facts else ()
    known = {penalty.id for penalty in reported}
    found += _penalties((*reported, *(one for one in own_penalties if one.id not in known)), as_of, policy)
    found += [_restate(_arrears(finding, books), "REF-9") for finding in money_owed(facts, as_of, books, now)]
    own_gates = {Obstacle.UNSETTLED_PAYOUTS.value, Obstacle.BOOK_UNSETTLED.value, Obstacle.BOOK_BILLS.value}
    for finding in clearing_remaining(
        facts,
        as_of,
        books,
        open_cases=open_cases,
        exit_invoices=exit_invoices,
        now=now,
        written_off={code: extent for code, extent in written_off.items() if code not in own_gates},
    ):
        if finding.code == Obstacle.FORCED_CLOSURE.value:
            found.append(finding)
        else:
            found.append(_restate(finding, "REF-9" if finding.code in own_gates else "REF-8"))
    found += facts_stale(as_of, now, policy)
    found += judgement.findings
    return tuple(sorted(found, key=lambda finding: not finding.blocking))


def _arrears(finding: Finding, books: BookFacts) -> Finding:
    """Arrears of our own books do not block while the deposit covers them: they are set off first (ambiguity 29)."""
    if finding.code != Obstacle.BOOK_ARREARS:
        return finding
    owed, held = Money(fen=books.arrears_fen), Money(fen=books.deposit_fen)
    if owed.fen >= held.fen:
        return finding.model_copy(update={"sentence": f"店铺账上欠款 {owed} 不低于保证金余额 {held},抵扣后无可退还。"})
    return finding.model_copy(update={"blocking": False, "sentence": f"店铺账上欠款 {owed},打款时先从保证金抵扣。"})


def _restate(finding: Finding, clause: str) -> Finding:
    return finding.model_copy(update={"clause": clause})


def _payee_information(payee: Payee, now: datetime) -> list[Finding]:
    asked = {"户名": payee.name, "账号": payee.account_no}
    unreadable = False
    match payee.method:
        case PayeeMethod.CORPORATE_ACCOUNT | PayeeMethod.BANK_CARD:
            asked["开户银行"] = payee.bank_name
            number = accounts.bank_number(payee.account_no)
            unreadable = bool(number) and not accounts.is_bank_number(number)
        case PayeeMethod.ALIPAY | PayeeMethod.WECHAT:
            pass
        case unknown:
            assert_never(unknown)
    found = []
    if absent := [word for word, text in asked.items() if not normalise_name(text)]:
        value = "、".join(absent)
        found.append(
            Finding(
                code="payee_incomplete",
                clause="REF-2",
                blocking=True,
                value=value,
                as_of=now,
                items=tuple(absent),
                sentence=f"收款信息不完整,还缺:{value}。",
            )
        )
    if unreadable:
        found.append(
            Finding(
                code="payee_account_unreadable",
                clause="REF-2",
                blocking=True,
                as_of=now,
                sentence=f"收款账号应为 {accounts.LEAST} 至 {accounts.MOST} 位数字(FTE、FTN、NRA、OSA 等账户可带字母),"
                "请商家核对后重新填写。",
            )
        )
    return found


def _penalties(penalties: Sequence[Penalty], as_of: datetime | None, policy: Policy) -> list[Finding]:
    """REF-2 wants no penalty record, REF-8 knows deposits that outlive one: ambiguity 4 decides."""
    match policy.refund.penalty_policy:
        case "any":
            standing = [*penalties]
        case "unsettled":
            standing = [penalty for penalty in penalties if not penalty.settled or penalty.blocks_refund]
        case unknown:
            assert_never(unknown)
    found = []
    if standing:
        value = len(standing)
        open_ones = [f"{penalty.id}/unsettled" for penalty in standing if not penalty.settled]
        unsettled = len(open_ones)
        found.append(
            Finding(
                code="penalties",
                clause="REF-2",
                blocking=True,
                value=value,
                as_of=as_of,
                extent=(value, unsettled),
                items=tuple(sorted([*(penalty.id for penalty in standing), *open_ones])),
                sentence=f"店铺有 {value} 项处罚记录不符合退还条件,其中 {unsettled} 项未处理完毕。",
            )
        )
    if settled := len(penalties) - len(standing):
        found.append(
            Finding(
                code="penalties_settled",
                clause="REF-2",
                blocking=False,
                value=settled,
                as_of=as_of,
                sentence=f"店铺有 {settled} 项已处理完毕的处罚记录,供审核参考。",
            )
        )
    return found


def needs_second_person(
    amount: Money,
    judgement: PayeeJudgement,
    overridden: Sequence[Finding],
    policy: Policy,
    promised: Money = Money(fen=0),
) -> tuple[str, ...]:
    """Why a second finance person must approve, one Chinese sentence each; empty when one is enough.

    The amount, together with what was ``promised`` since the shop closed (paid, or on its way), is over the
    policy's threshold: several small refunds are one large one. Or the payee deviates (ambiguity 6), or blocking findings are
    overridden.
    """
    reasons = []
    limit = Money(fen=policy.refund.second_person_over_fen)
    if amount.fen > limit.fen:
        reasons.append(f"退款金额 {amount} 超过 {limit},需要第二人复核。")
    elif (total := amount.fen + promised.fen) > limit.fen:
        reasons.append(
            f"退款金额 {amount} 连同关店以来已退还的 {promised} 共 {yuan(total)},超过 {limit},需要第二人复核。"
        )
    if judgement.deviates:
        reasons.append(f"收款账户与规则不一致,需要第二人复核:{''.join(judgement.sentences)}")
    if blocking := [finding.sentence for finding in overridden if finding.blocking]:
        reasons.append(f"放行 {len(blocking)} 项未满足的条件,需要第二人复核:{''.join(blocking)}")
    return tuple(reasons)


def refund_due(closed_at: datetime, applied_at: datetime, policy: Policy, calendar: WorkCalendar = DEFAULT) -> Reckoned:
    """Until when the money must be back: from closure, or from the application if that is later (REF-3)."""
    return reckon(max(closed_at, applied_at), policy.refund.sla, "REF-3", calendar)


def refund_early_reminder(
    closed_at: datetime, applied_at: datetime, policy: Policy, calendar: WorkCalendar = DEFAULT
) -> Reckoned:
    """When "usually within a week" is over and we remind ourselves; it binds nobody (REF-4, ambiguity 5)."""
    return reckon(max(closed_at, applied_at), policy.refund.early_reminder, "REF-4", calendar)
