"""The questions of a refund: 财务审核, the second person, what came back."""

from __future__ import annotations

from models.base import Labelled
from models.books import AccountKind
from models.cases import Case
from models.dossier import Block, Findings, Items, Piece, Quote, Rows, Strong, Text
from models.money import Money
from models.reviews import Review, Role
from models.shops import ShopState
from models.text import has_text
from models.windows import Window, in_words
from office.base.db import Tx
from office.cases import approvals, deadlines, dossier
from office.cases.cases import rules
from office.cases.gates import Answer, Dossier, Gate
from office.cases.merchants import shop_of
from office.cases.reviews import decided, last_decider
from office.files import papers
from office.money.ledger import shop_balance
from policies import refund as policy_of_refund
from policies.approvals import Seen
from policies.payees import judgement
from tasks.payouts import payouts, permits
from tasks.refund.plan import (
    DUE,
    Plan,
    amount_of,
    findings_now,
    outstanding,
    payees_of,
    plan_now,
    second_person_reasons,
)
from tasks.shops import states
from tasks.shops.questions import answers_part, shop_part


class RefundVerdict(Labelled):
    APPROVE = "APPROVE", "同意退还"
    ASK = "ASK", "要求商家补充"
    REJECT = "REJECT", "驳回申请"


class SecondVerdict(Labelled):
    CONFIRM = "CONFIRM", "复核同意"
    REJECT = "REJECT", "驳回申请"


class Paid(Labelled):
    """What has become of a turn of instructions to the bank."""

    ARRIVED = "ARRIVED", "已全部到账"
    CAME_BACK = "CAME_BACK", "有款项退回或失败"
    FACTS_CHANGED = "FACTS_CHANGED", "事实已变化,没有打款"


class ReturnVerdict(Labelled):
    ASK_PAYEE = "ASK_PAYEE", "请商家更正收款账户"
    AGAIN = "AGAIN", "账户无误,重新打款"
    ABANDON = "ABANDON", "终止退款"


# ── what reviewers see ───────────────────────────────────────────────────────


def finance_dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    shop, plan = shop_of(tx, case), plan_now(tx, case)
    findings = findings_now(tx, case, plan)
    deadline = deadlines.find(tx, case.id, DUE)
    balance = shop_balance(tx, shop.id, AccountKind.DEPOSIT)
    named = payees_of(case)
    asked = Rows.of(
        {
            "申请金额": Strong(text=str(amount_of(case))),
            "保证金余额": str(balance),
            "收款账户": payouts.masked(named),
            "收款户名": "、".join(dict.fromkeys(payee.name for payee in named)),
            "开户行": "、".join(dict.fromkeys(filter(None, (payee.bank_name for payee in named)))) or "—",
            "关店时间": dossier.when(shop.closed_at),
            "到账时限": f"{dossier.when(deadline.due_at if deadline else None)}(REF-3,{in_words(rules(case).refund.sla)})",
        }
    )
    history = Items.of(
        f"第 {row.attempt} 笔:{Money(fen=row.amount_fen)} 至 {row.payee_masked},{row.state.label} "
        f"{row.bank_reason}({dossier.when(row.answered_at)})"
        for row in payouts.of_case(tx, case.id)
    )
    first = decided(tx, case.id, REVIEW.name, review.round) if review.gate == SECOND.name else None
    said = Quote.of(first.reason, f"{first.decided_by}:同意退还。") if first else None
    now = Seen.of(
        {
            "amount": amount_of(case).fen,
            "balance": balance.fen,
            "set_off": plan.net.set_off.fen,
            "shop": shop.state,
            "shares": [[permits.payee_hash(share.payee), share.fen] for share in plan.shares],
            "payee_rule": sorted([one.code, one.sentence] for one in judgement(plan.shares).findings),
        },
        findings,
    )
    return dossier.of(
        f"退保证金 · {shop.name} · {case.id}",
        (approvals.SINCE, approvals.changes_part(tx, case, review, now, _TERMS)),
        ("将发生什么", _preview(plan, balance)),
        ("申请", asked),
        ("店铺", shop_part(tx, shop)),
        ("检查结果", Findings.of(findings)),
        ("需要第二人复核的原因", Items.of(second_person_reasons(tx, case, plan, findings))),
        ("第一位审核人意见", said),
        ("申请材料", papers.part(tx, case, review) or Text.of(Strong(text="商家没有提交任何材料。"))),
        ("打款记录", history),
        ("补充往来", answers_part(tx, case)),
        facts=now.terms,
        blocking=now.blocking,
        links_until=papers.links_until(tx, case, review),
        sum_fen=amount_of(case).fen,
    )


_TERMS = {
    "amount": "退款金额",
    "balance": "保证金余额",
    "set_off": "抵扣的欠款",
    "shares": "收款账户与分配",
    "payee_rule": "收款账户与规则不一致之处",
    "shop": "店铺状态",
}


def _preview(plan: Plan, balance: Money) -> list[Block]:
    """What approving does to the money: set off, paid, to whom, and what stays."""
    if plan.net.kept:
        most = plan.model_copy(update={"net": plan.net.model_copy(update={"kept": Money()})})
        kept = ("另留存 ", Strong(text=str(plan.net.kept)), ",对应未开票账单应冻结的部分(INV-7),开票后可再申请退还。")
        return [*_preview(most, balance), Text.of(*kept)]
    left = Strong(text=_after(balance, Money(fen=plan.net.set_off.fen + plan.net.paid.fen)))
    after = ("退后保证金余额 ", left, "。")
    if plan.asked.fen > balance.fen or not plan.shares:
        short = Strong(text="余额不足")
        return [Text.of("待退还 ", Strong(text=str(plan.asked)), f",保证金余额 {balance},", short, ",不能同意退还。")]
    paid = Strong(text=str(plan.net.paid))
    what: tuple[Piece, ...] = (f"同意后将{plan.net.text()}",) if plan.net.set_off else ("同意后将退还 ", paid)
    if len(plan.shares) == 1:
        return [Text.of(*what, " 至 ", Strong(text=plan.shares[0].payee.masked), ",", *after)]
    shares = Items.of(
        (Strong(text=str(one.amount)), " 至 ", Strong(text=one.payee.masked), f"(户名 {one.payee.name})")
        for one in plan.shares
    )
    return [Text.of(*what, f",分 {len(plan.shares)} 笔原路或按规则退至:"), shares, Text.of(*after)]


def _after(balance: Money, amount: Money) -> str:
    return str(Money(fen=balance.fen - amount.fen)) if balance.fen >= amount.fen else "余额不足"


def _may_be_paid(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    if given.verdict not in {RefundVerdict.APPROVE, SecondVerdict.CONFIRM, ReturnVerdict.AGAIN}:
        return None
    shop = shop_of(tx, case)
    if shop.state is not ShopState.CLOSED:
        states.insist(tx, shop)  # by its row it is in the way: by the record it may not be
    if shop.state is ShopState.FORCED_CLOSED:
        return "店铺已被强制关闭,保证金不予退还,请驳回申请(REF-10)"
    needed = rules(case).refund.required_documents[shop.entity_type]
    if unreadable := papers.refusal(tx, case, "REF-2", {word for kind in needed for word in (kind.value, kind.label)}):
        return unreadable
    balance, asked = shop_balance(tx, shop.id, AccountKind.DEPOSIT), outstanding(tx, case)
    if asked.fen > balance.fen:
        return f"申请金额 {asked} 超过保证金余额 {balance},不能同意退还(REF-8)"
    plan = plan_now(tx, case)
    findings = findings_now(tx, case, plan)
    if never := policy_of_refund.not_to_be_overridden(findings):
        return f"以下情况解决前不能同意退还:{''.join(finding.sentence for finding in never)}({never[0].clause})"
    if not plan.shares:
        return "没有可以退还的款项(REF-8)"
    blocked = [finding for finding in findings if finding.blocking]
    if blocked and not has_text(given.reason, 2):
        return f"存在 {len(blocked)} 项未满足的条件,放行必须填写理由(REF-2、REF-9)"
    return None


def _not_after_a_ban(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    if given.verdict != ReturnVerdict.ABANDON and shop_of(tx, case).state is ShopState.FORCED_CLOSED:
        return "店铺已被强制关店,退回的款项已罚没,不能再次打款,请终止退款(REF-10)"
    return None


def _window(case: Case) -> Window:
    return rules(case).refund.review_sla


REVIEW = Gate(
    name="refund-review",
    title="退保证金审核",
    roles=(Role.FINANCE,),
    verdicts=RefundVerdict,
    dossier=finance_dossier,
    window=_window,
    clause="REF-7",
    check=_may_be_paid,
    reason_required=frozenset({RefundVerdict.ASK, RefundVerdict.REJECT}),
    consequences={
        "APPROVE": "按上方预览打款(需要时先由第二人复核)",
        "ASK": "把理由作为问题发给商家,限期补充,逾期则关闭申请",
        "REJECT": "结束申请,理由会告知商家,保证金不动",
    },
)

SECOND = Gate(
    name="refund-second",
    title="退保证金复核",
    roles=(Role.FINANCE,),
    verdicts=SecondVerdict,
    dossier=finance_dossier,
    window=_window,
    clause="REF-7",
    check=_may_be_paid,
    reason_required=frozenset({SecondVerdict.REJECT}),
    consequences={"CONFIRM": "按上方预览打款", "REJECT": "结束申请,理由会告知商家,保证金不动"},
    excluded=lambda tx, case: last_decider(tx, case, REVIEW.name),
    rests_on=REVIEW.name,
)

RETURNED = Gate(
    name="refund-returned",
    title="退票处理",
    roles=(Role.FINANCE,),
    verdicts=ReturnVerdict,
    dossier=finance_dossier,
    window=_window,
    clause="REF-3",
    reason_required=frozenset({ReturnVerdict.ABANDON}),
    check=_not_after_a_ban,
    consequences={
        "ASK_PAYEE": "请商家限期更正收款账户,收到后重新审核",
        "AGAIN": "收款账户不变,重新进入审核后再次打款",
        "ABANDON": "结束申请,款项留在保证金账户",
    },
)
