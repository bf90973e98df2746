"""The questions of an appeal: 申诉审核 and the final word."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlmodel import col, func, select

from models.base import Labelled
from models.cases import Case, CaseKind
from models.dossier import Block, Items, Papers, PaperShown, Quote, Rows, Sides, Strong, Text, Words
from models.money import yuan
from models.reviews import Review, Role, Staff
from models.windows import in_words
from office.base.db import Tx
from office.cases import approvals, cases, dossier
from office.cases.cases import rules
from office.cases.gates import Answer, Dossier, Gate
from office.cases.merchants import shop_of
from office.files import evidence
from office.staff import people, staff
from policies.approvals import Seen
from policies.deadlines import seconds_left
from tasks.appeal import submissions
from tasks.appeal.request import AppealAsked
from tasks.appeal.window import EVIDENCE, checklist_of, last_of, reason_of
from tasks.arbitration import rulings
from tasks.arbitration.rulings import ruling_of, ruling_part, the_ruling
from tasks.shops.questions import shop_part

EARLIER_SHOWN = 10
"""Earlier appeals that a dossier lists; how many more there are is said."""
"""The merchant's second window: the key of its wait, its deadline, and the kind of both."""


class AppealVerdict(Labelled):
    UPHOLD = "UPHOLD", "申诉成立"
    DISMISS = "DISMISS", "申诉不成立"
    INSUFFICIENT = "INSUFFICIENT", "举证不足,驳回补充"


class FinalVerdict(Labelled):
    UPHOLD = "UPHOLD", "申诉成立"
    DISMISS = "DISMISS", "申诉不成立"


# ── what reviewers see ───────────────────────────────────────────────────────


def evidence_part(tx: Tx, case: Case, until: datetime) -> Papers | Text:
    """Submitted items with what each is, its hash and the file it opens."""
    damaged = damaged_items(tx, case)
    shown = tuple(
        PaperShown(
            label=row.kind.label,
            name=item.name,
            file=item.id,
            sha256=item.sha256,
            blocking=item.id in damaged,
            amiss="文件丢失或已损坏" if item.id in damaged else "",
            about=f"{item.media_type.label},{max(1, item.size // 1024)} KiB,第 {row.round} 轮,{dossier.when(row.submitted_at)} 提交",
        )
        for row, item in submissions.submitted(tx, case.id)
    )
    return Papers(papers=shown, until=until) if shown else Text.of("商家没有提交凭证。")


def damaged_items(tx: Tx, case: Case, *, whole: bool = False) -> dict[str, str]:
    """Submitted items (id → name) that nobody can open any more; ``whole`` reads every file to the end (ambiguity 26)."""
    there = evidence.intact if whole else evidence.present
    return {item.id: item.name for _, item in submissions.submitted(tx, case.id) if not there(item)}


def _evidence_is_here(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    """Nobody judges finally over evidence that cannot be opened; asking for it again is always possible."""
    if given.verdict not in rulings.FINAL or not (gone := damaged_items(tx, case, whole=True)):
        return None
    return f"凭证「{'」「'.join(gone.values())}」的文件丢失或已损坏,无法查看,不能作出最终结论,请恢复文件或请商家重新上传原文件(ARB-4)"


def _may_be_said(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    """Evidence is asked for again so often and no more (ambiguity 10); a final verdict needs evidence that opens."""
    most = rules(case).appeal.max_reevidence
    if given.verdict == AppealVerdict.INSUFFICIENT and len(cases.waits(tx, case.id, EVIDENCE)) >= most:
        return f"重新举证只有 {most} 次,请作出最终结论(ARB-5)"
    return _evidence_is_here(tx, case, review, given)


def checklist_part(tx: Tx, case: Case) -> tuple[Block, ...]:
    lines = [f"{'✅' if item.satisfied else '⬜'} {item.kind.label}" for item in checklist_of(tx, case)]
    return Text.of(f"申诉理由「{reason_of(case).label}」通常需要:"), Items.of(lines)


def history_part(tx: Tx, case: Case) -> tuple[Block, ...]:
    """What valid rulings the shop has, and how its earlier appeals ended."""
    earlier = select(Case).where(Case.shop_id == case.shop_id, Case.kind == CaseKind.APPEAL, Case.id != case.id)
    lines: list[Words] = [
        f"{other.id}:{other.outcome.label if other.outcome else '审理中'}({dossier.when(other.received_at)})"
        for other in tx.exec(earlier.order_by(col(Case.received_at).desc()).limit(EARLIER_SHOWN))
    ]
    every = tx.exec(select(func.count()).select_from(earlier.subquery())).one()
    if every > EARLIER_SHOWN:
        lines.append(f"另有更早的申诉 {every - EARLIER_SHOWN} 件,见店铺案件列表。")
    before = Items.of(lines) if lines else Text.of("此前没有提交过申诉。")
    return Text.of(rulings.counters_text(tx, case.shop_id)), before


_TERMS = {
    "ruling": "判责",
    "voided": "判责状态",
    "deduction": "已扣赔付款",
    "evidence": "商家的凭证",
    "damaged": "凭证文件丢失或损坏",
}


def appeal_dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    shop, ruling = shop_of(tx, case), the_ruling(tx, case)
    until = evidence.links_until(tx, review.opened_at)
    first = last_of(tx, case, REVIEW.name) if review.gate == SECOND.name else None
    again = cases.find_wait(tx, case.id, EVIDENCE)
    more = ((again.answer or {}).get("text") or "(无文字说明)") if again and again.answer else ""
    sides = [
        Quote.of(ruling.buyer_account, Strong(text="买家:")),
        Quote.of(ruling.merchant_account, Strong(text="商家(仲裁时):")),
        Quote.of(AppealAsked.of(case).statement, Strong(text="商家(申诉):")),
    ]
    sides += [Quote.of(more, Strong(text="商家(重新举证):"))] if more else []
    filed = Rows.of(
        {
            "收到时间": f"{dossier.when(case.received_at)}(截止 {dossier.when(ruling.appeal_until)},ARB-2)",
            "申诉理由": reason_of(case).label,
            "审核时限": f"{dossier.when(review.due_at)},剩余 {_left(tx, review.due_at)}(截至 {dossier.when(tx.now)})",
        }
    )
    money = f",已扣赔付款 {yuan(ruling.deduction_fen)} 转商服联系商家处理(ARB-8)" if ruling.deduction_fen else ""
    results = [
        (Strong(text="申诉成立"), f":判责自动剔除(ARB-7){money}。"),
        (Strong(text="申诉不成立"), ":最终结果,商家不能再申诉(ARB-3)。"),
    ]
    if review.gate == REVIEW.name:
        given = in_words(rules(case).appeal.reevidence)
        again_once = f":发出驳回通知,商家有一次、{given}(自通知发出起)的重新举证机会(ARB-5)。"
        results.append((Strong(text="举证不足"), again_once))
    now = Seen.of(
        {
            "ruling": [ruling.id, ruling.kind],
            "voided": ruling.voided_at is not None,
            "deduction": ruling.deduction_fen,
            "evidence": [[row.evidence_id, row.kind, row.sha256] for row, _ in submissions.submitted(tx, case.id)],
            **({"damaged": sorted(gone)} if (gone := damaged_items(tx, case)) else {}),
        }
    )
    return dossier.of(
        f"仲裁申诉 · {shop.name} · {case.id}",
        (approvals.SINCE, approvals.changes_part(tx, case, review, now, _TERMS)),
        ("各结论的后果", Items.of(results)),
        ("申诉", filed),
        ("判责", ruling_part(ruling)),
        ("双方陈述", Sides(sides=tuple(sides))),
        ("凭证清单", checklist_part(tx, case)),
        ("凭证", evidence_part(tx, case, until)),
        ("第一次审核意见", Quote.of(first.reason) if first else None),
        ("商家历史", history_part(tx, case)),
        ("店铺", shop_part(tx, shop)),
        facts=now.terms,
        links_until=until.isoformat(),
        sum_fen=ruling.deduction_fen,
    )


def _left(tx: Tx, due: datetime | None) -> str:
    hours, rest = divmod(seconds_left(tx.now, due) if due else 0, 3600)
    return f"{hours} 小时 {rest // 60} 分"


def _made_the_ruling(tx: Tx, case: Case) -> set[str]:
    ruling = ruling_of(tx, case)
    return people.meant(tx, ruling.ruled_by) if ruling else set()


def _not_for_the_second(tx: Tx, case: Case) -> set[str]:
    """By policy another arbitrator judges again, or the same one as long as that person is still with us."""
    barred = _made_the_ruling(tx, case)
    first = last_of(tx, case, REVIEW.name)
    if first is None or first.decided_by is None:
        return barred
    if rules(case).appeal.second_reviewer == "other":
        return barred | {first.decided_by}
    person = tx.get(Staff, first.decided_by)
    if person is None or not person.active:
        return barred
    return barred | {other.id for other in staff.with_role(tx, Role.ARBITRATOR) if other.id != person.id}


REVIEW = Gate(
    name="appeal-review",
    title="仲裁申诉审核",
    roles=(Role.ARBITRATOR,),
    verdicts=AppealVerdict,
    dossier=appeal_dossier,
    window=lambda case: rules(case).appeal.review_sla,
    clause="ARB-4",
    reason_required=frozenset(AppealVerdict),
    consequences={
        "UPHOLD": "判责自动剔除;有扣款的由商服联系商家处理",
        "DISMISS": "最终结果,商家不能再申诉,理由会告知商家",
        "INSUFFICIENT": "发出驳回通知,商家有一次限期重新举证的机会",
    },
    excluded=_made_the_ruling,
    check=_may_be_said,
)

SECOND = replace(
    REVIEW,
    name="appeal-second",
    title="仲裁申诉终审",
    verdicts=FinalVerdict,
    clause="ARB-5",
    reason_required=frozenset(FinalVerdict),
    excluded=_not_for_the_second,
    check=_evidence_is_here,
)
