"""收票审核: what a clerk is asked, and what follows."""

from __future__ import annotations

from typing import Any

from sqlmodel import func, select

from models.base import Labelled
from models.cases import Case, CaseState, Finding
from models.dossier import Findings, Items, Papers, PaperShown, Quote, Rows, Strong, Text
from models.event_parts import DocumentKind
from models.invoicing import (
    Invoice,
    InvoiceKind,
    InvoiceState,
)
from models.invoicing_events import (
    InvoiceReturned,
)
from models.money import yuan
from models.reviews import Review, Role
from models.text import has_text
from notifications import invoicing as words
from office.base.db import Tx
from office.cases import approvals, cases, dossier, merchants
from office.cases.cases import emit, rules
from office.cases.effects import effects_of
from office.cases.gates import Answer, Dossier, Gate
from office.cases.merchants import shop_of
from office.files import evidence, papers
from policies.approvals import Seen
from policies.invoice_checks import Check
from tasks.invoicing.invoice_intake import seen_before
from tasks.invoicing.invoices import OPEN, accept, allocations_of, grounds_of, let_go, used
from tasks.invoicing.request import InvoiceReviewAsked

effect = effects_of("invoices")


class InvoiceVerdict(Labelled):
    ACCEPT = "ACCEPT", "采纳发票"
    RETURN = "RETURN", "退回更正"


LINES_SHOWN = 30
"""Lines of an invoice that a dossier lists; how many more there are is said."""


# ── the clerk ────────────────────────────────────────────────────────────────


@effect("提交发票审核")
def to_clerk(tx: Tx, case: Case) -> None:
    cases.move(tx, case, CaseState.UNDER_REVIEW, "等待开票专员审核", clause="INV-2")


def _invoice(tx: Tx, case: Case) -> Invoice:
    return tx.get_one(
        Invoice, InvoiceReviewAsked.of(case).invoice_id, populate_existing=True, with_for_update=tx.postgres or None
    )


@effect("重新审核发票")
def review_again(tx: Tx, case: Case, round: int) -> None:
    cases.move(tx, case, CaseState.UNDER_REVIEW, "情况发生变化,等待开票专员重新审核", clause="INV-2")


@effect("采纳发票")
def accept_by_clerk(tx: Tx, case: Case) -> bool | None:
    """Accepted by a person, with their reason; ``False`` when something overtook the answer and ended the review.

    Between the answer and this another invoice may have covered the statement, or a red letter undone this one.
    ``None`` when the clerk has not seen what stands now (ambiguity 23).
    """
    return _accept_by_clerk(tx, case, 1)


@effect("重新审核后采纳发票")
def accept_again(tx: Tx, case: Case, round: int) -> bool | None:
    """The same in a later round."""
    return _accept_by_clerk(tx, case, round)


def _accept_by_clerk(tx: Tx, case: Case, round: int) -> bool | None:
    given = approvals.insist(tx, case, round, (REVIEW, InvoiceVerdict.ACCEPT))
    invoice = _invoice(tx, case)
    by = f"staff/{given[0].decided_by if given else ''}"
    if invoice.state is not InvoiceState.IN_REVIEW:
        return False
    if final := _final(tx, case, invoice):
        _send_back(tx, case, invoice, by, f"采纳前情况已变化:{final[0].sentence}", final)
        return False
    if not given or not approvals.stand(tx, given, _dossier(tx, case, given[0]).seen):
        return None
    accept(tx, invoice, by=by)
    cases.conclude(tx, case, CaseState.ACCEPTED, f"发票 {invoice.number} 已采纳", clause="INV-2")
    return True


@effect("退回发票")
def return_by_clerk(tx: Tx, case: Case) -> None:
    """Returned by a person, in whatever round: the merchant reads what to correct."""
    rounds = tx.exec(select(func.max(Review.round)).where(Review.case_id == case.id, Review.gate == REVIEW.name)).one()
    given = approvals.insist(tx, case, rounds or 1, (REVIEW, InvoiceVerdict.RETURN))
    invoice = _invoice(tx, case)
    if invoice.state is InvoiceState.IN_REVIEW:
        found = [finding for finding in found_now(tx, case) if finding.blocking]
        by, reason = (f"staff/{given[0].decided_by}", given[0].reason) if given else ("staff/", "")
        _send_back(tx, case, invoice, by, reason, found)


def _send_back(tx: Tx, case: Case, invoice: Invoice, by: str, reason: str, found: list[Finding]) -> None:
    shop = shop_of(tx, case)
    let_go(tx, invoice, by)
    told = words.InvoiceReturned(
        shop_name=shop.name,
        number=invoice.number,
        amount_fen=invoice.gross_fen,
        decided_at=tx.now,
        reason=reason,
        grounds=grounds_of(found),
    )
    merchants.tell(tx, told, f"{case.id}/returned", case=case)
    event = InvoiceReturned(
        shop_id=shop.id,
        number=invoice.number,
        invoice_code=invoice.invoice_code,
        amount_fen=invoice.gross_fen,
        at=tx.now,
        reasons=(reason, *(finding.sentence for finding in found)),
    )
    emit(tx, event, f"invoice/{invoice.id}/returned", case)
    cases.conclude(tx, case, CaseState.RETURNED, f"发票 {invoice.number} 已退回:{reason}", clause="INV-2")


def _final(tx: Tx, case: Case, invoice: Invoice) -> list[Finding]:
    """What no person can set aside, as it stands now: another invoice may have been accepted meanwhile."""
    found = [f for f in cases.findings(tx, case.id, "invoice") if f.final and f.code != "duplicate"]
    if used(tx, invoice.number, invoice.invoice_code):
        sentence = "该发票号码此前已被采纳,同一张发票只能使用一次。"
        found.append(
            Finding(
                code="duplicate", clause="INV-1", blocking=True, sentence=sentence, value=invoice.number, final=True
            )
        )
    pairs = [(a, s) for a, s in allocations_of(tx, invoice) if a.amount_fen]
    for closed in (s for _, s in pairs if s.state not in OPEN):
        sentence = f"账单 {closed.number} {closed.state.label},不再接受发票。"
        found.append(Finding(code="cover", clause="INV-1", blocking=True, sentence=sentence, value=closed.number))
    late = sum(a.amount_fen for a, s in pairs if not a.in_time and a.amount_fen > s.open_fen - s.pending_fen)
    if late:
        sentence = f"所列账单的待开票金额已不足 {yuan(late)}。"
        found.append(Finding(code="cover", clause="INV-1", blocking=True, sentence=sentence, value=late))
    return found


def _acceptable(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    invoice = _invoice(tx, case)
    final = _final(tx, case, invoice)
    if given.verdict == InvoiceVerdict.ACCEPT and final:
        return f"不能采纳:{final[0].sentence}请退回更正"
    if given.verdict == InvoiceVerdict.ACCEPT and not _xml_is_here(invoice):
        return papers.refusal(tx, case, "INV-2", set(DocumentKind))
    return None


def _xml_is_here(invoice: Invoice) -> bool:
    """Whether the invoice's own XML came within the event: then there is a paper, whatever else was named."""
    return any("bytes" in file for file in invoice.evidence)


def found_now(tx: Tx, case: Case) -> list[Finding]:
    """What the check found when the invoice came, with the files as they are at this moment and where else the number
    is known from by now: either may come later."""
    live = {Check.NOT_RECEIVED, Check.NUMBER_SEEN}
    kept = [finding for finding in cases.findings(tx, case.id, "invoice") if finding.code not in live]
    invoice = _invoice(tx, case)
    seen = seen_before(tx, invoice.number, invoice.invoice_code, invoice.shop_id)
    if seen and not used(tx, invoice.number, invoice.invoice_code):
        kept.insert(
            0, Finding(code=Check.NUMBER_SEEN, clause="INV-1", blocking=True, sentence=seen, value=invoice.number)
        )
    return [*kept, *papers.findings(tx, case, "INV-2")]


def _dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    invoice, shop = _invoice(tx, case), shop_of(tx, case)
    sent = invoice.fields
    fields = Rows.of(
        {
            "发票号码": f"{sent['invoice_code']} {sent['number']}".strip(),
            "种类": f"{invoice.kind.label}" + ("(税务机关代开)" if sent["issue_mode"] == "TAX_BUREAU_AGENT" else ""),
            "开票日期": str(invoice.issued_on),
            "购买方": f"{sent['buyer_name']} {sent['buyer_tax_no']}",
            "销售方": f"{sent['seller_name']} {sent['seller_tax_no']}",
            "金额 + 税额": f"{yuan(sent['net_fen'])} + {yuan(sent['tax_fen'])}",
            "价税合计": Strong(text=yuan(invoice.gross_fen)),
            "收到时间": dossier.when(invoice.received_at),
        }
    )
    lines = []
    for line in sent["lines"][:LINES_SHOWN]:
        content = "服务" if line["content"] == "SERVICE" else "货物"
        lines.append(
            f"{line['name']}({content},数量 {line['quantity'] or '—'}):"
            f"金额 {yuan(line['net_fen'])},税率 {line['rate']}%,税额 {yuan(line['tax_fen'])}"
        )
    if len(sent["lines"]) > LINES_SHOWN:
        lines.append(f"另有 {len(sent['lines']) - LINES_SHOWN} 行未列出,请打开发票文件查看")
    covers = [
        (
            f"{statement.number}:待开票 {yuan(statement.open_fen)},本发票对应 ",
            Strong(text=yuan(allocation.amount_fen)),
            "" if allocation.in_time else "(逾期后收到)",
            "" if allocation.amount_fen else "(不能采纳,不计入)",
        )
        for allocation, statement in allocations_of(tx, invoice)
    ]
    until = evidence.links_until(tx, review.opened_at)
    own = tuple(_proof(file) for file in invoice.evidence if "bytes" in file)
    proofs = [Papers(papers=own, until=until) if own else None, papers.part(tx, case, review)]
    found, final = found_now(tx, case), _final(tx, case, invoice)
    now = Seen.of({"final": [finding.code for finding in final], "state": invoice.state}, found)
    warning = Text.of(Strong(text="不能采纳:"), final[0].sentence) if final else None
    return dossier.of(
        f"发票审核 · {shop.name} · {case.id}",
        (approvals.SINCE, approvals.changes_part(tx, case, review, now, {"final": "能否采纳", "state": "发票状态"})),
        ("发票", fields),
        ("明细", Items.of(lines)),
        ("对应账单", Items.of(covers) if covers else Text.of("(无)")),
        ("检查结果", (Findings.of(found), warning)),
        ("困难说明", _difficulty(invoice)),
        ("附件", proofs if any(proofs) else Text.of("(无)")),
        facts=now.terms,
        blocking=now.blocking,
        links_until=until.isoformat(),
        sum_fen=invoice.gross_fen,
    )


def _difficulty(invoice: Invoice) -> Quote | None:
    """Why no special invoice (INV-4), or none for a service (INV-6), can be had; where neither asks for it, what was written."""
    said = str(invoice.fields["difficulty"])
    return Quote.of(said) if has_text(said) or invoice.kind is InvoiceKind.ORDINARY else None


def _proof(file: dict[str, Any]) -> PaperShown:
    """The XML that came within the event, as a clerk reads of it."""
    return PaperShown(
        label="发票数据",
        name=str(file["name"]),
        file=str(file["evidence_id"]),
        sha256=str(file["sha256"]),
        about="随发票收到",
    )


REVIEW = Gate(
    name="invoice-review",
    title="发票审核",
    roles=(Role.INVOICE_CLERK,),
    verdicts=InvoiceVerdict,
    dossier=_dossier,
    window=lambda case: rules(case).invoicing.review_sla,
    clause="INV-2",
    reason_required=frozenset(InvoiceVerdict),
    check=_acceptable,
    consequences={
        "ACCEPT": "发票计入所列账单,已冻结的货款按覆盖金额解冻;理由留档",
        "RETURN": "发票不计入账单,理由和检查结果告知商家,请其更正",
    },
)
