"""The questions of a closing: 关店审核 and the supervisor's write-off."""

from __future__ import annotations

from collections.abc import Sequence

from models.base import Labelled
from models.cases import (
    Case,
    Finding,
)
from models.dossier import Findings, Quote, Rows, Text
from models.reviews import Review, Role
from models.text import has_text
from office.base.db import Tx
from office.cases import approvals, dossier
from office.cases.cases import rules
from office.cases.gates import Answer, Dossier, Gate
from office.cases.merchants import shop_of
from office.cases.reviews import decided, last_decider
from office.files import papers
from policies.approvals import Seen
from tasks.closure.findings import findings_now
from tasks.closure.request import ClosureAsked
from tasks.shops.questions import answers_part, shop_part


class ClosureVerdict(Labelled):
    APPROVE = "APPROVE", "同意关店"
    ASK = "ASK", "要求商家补充"
    REJECT = "REJECT", "驳回申请"


class OverrideVerdict(Labelled):
    CONFIRM = "CONFIRM", "确认放行"
    REJECT = "REJECT", "驳回申请"


def _dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    shop, findings = shop_of(tx, case), findings_now(tx, case)
    wish = ClosureAsked.of(case)
    asked = Rows.of(
        {
            "原因": wish.reason.label,
            "说明": wish.reason_text or "(无)",
            "申请人": wish.account_id,
            "收到时间": dossier.when(case.received_at),
        }
    )
    blocked = [finding for finding in findings if finding.blocking]
    warning = f"存在 {len(blocked)} 项阻断事项:同意关店须填写理由,并由主管复核。" if blocked else "没有阻断事项。"
    now = seen_of(tx, case, findings)
    return dossier.of(
        f"关店审核 · {shop.name} · {case.id}",
        (approvals.SINCE, approvals.changes_part(tx, case, review, now, {"shop": "店铺状态"})),
        ("检查结果", (Findings.of(findings), Text.of(warning))),
        ("申请", asked),
        ("店铺", shop_part(tx, shop)),
        ("补充往来", answers_part(tx, case)),
        ("材料", papers.part(tx, case, review)),
        facts=now.terms,
        blocking=now.blocking,
        links_until=papers.links_until(tx, case, review),
    )


def seen_of(tx: Tx, case: Case, findings: Sequence[Finding]) -> Seen:
    return Seen.of({"shop": shop_of(tx, case).state}, findings)


def _override_dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    first = decided(tx, case.id, REVIEW.name, review.round)
    base = _dossier(tx, case, review)
    if first is None:
        return base
    said = Quote.of(first.reason, f"审核员 {first.decided_by} 建议:同意关店。理由:")
    return base.model_copy(update={"sheet": base.sheet.with_part("审核员意见", said)})


def _approval_needs_a_reason(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    if given.verdict not in {ClosureVerdict.APPROVE, OverrideVerdict.CONFIRM}:
        return None
    if unreadable := papers.refusal(tx, case, "CLS-5"):
        return unreadable
    if given.verdict == OverrideVerdict.CONFIRM or has_text(given.reason, 2):
        return None
    if blocked := [finding for finding in findings_now(tx, case) if finding.blocking]:
        return f"存在 {len(blocked)} 项阻断事项,同意关店必须填写理由(CLS-7)"
    return None


REVIEW = Gate(
    name="closure-review",
    title="关店审核",
    roles=(Role.CLOSURE_REVIEWER,),
    verdicts=ClosureVerdict,
    dossier=_dossier,
    window=lambda case: rules(case).closure.review_sla,
    clause="CLS-5",
    reason_required=frozenset({ClosureVerdict.ASK, ClosureVerdict.REJECT}),
    check=_approval_needs_a_reason,
    consequences={
        "APPROVE": "逐项关闭店铺能力并开始清算,清算完成后自动关店(有阻断事项时先由主管复核)",
        "ASK": "把理由作为问题发给商家,限期补充,逾期则关闭申请",
        "REJECT": "结束申请,理由会告知商家",
    },
)

OVERRIDE = Gate(
    name="closure-override",
    title="关店放行复核",
    roles=(Role.SUPERVISOR,),
    verdicts=OverrideVerdict,
    dossier=_override_dossier,
    window=lambda case: rules(case).closure.review_sla,
    clause="CLS-7",
    reason_required=frozenset(OverrideVerdict),
    check=_approval_needs_a_reason,
    consequences={"CONFIRM": "放行阻断事项并开始清算", "REJECT": "结束申请,理由会告知商家"},
    fields={
        "write_off": {
            "title": "核销未完事项",
            "type": "boolean",
            "default": False,
            "description": "勾选后,上面的阻断事项不再阻止关店完成;不勾选则清算仍会等待其办结",
        }
    },
    excluded=lambda tx, case: last_decider(tx, case, REVIEW.name),
    rests_on=REVIEW.name,
)
