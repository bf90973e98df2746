"""What finance and a supervisor are shown of an answer that contradicts what we know, and what they may say (REF-3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from models.base import Labelled
from models.books import OF_PLATFORM
from models.cases import Case, Finding
from models.dossier import Findings, Items, Papers, PaperShown, Quote, Rows, Strong, Text
from models.evidence import EvidenceItem
from models.money import yuan
from models.payouts import BankContradiction, Contradiction, Payout, PayoutState
from models.reviews import Review, Role
from models.shops import Shop
from models.text import has_text
from models.windows import Window
from office.base.db import Tx
from office.cases import approvals, dossier
from office.cases.cases import rules
from office.cases.gates import Answer, Dossier, Gate
from office.cases.reviews import decided, last_decider
from office.files import evidence, papers
from policies.approvals import Seen
from tasks.payouts import contradictions, sources
from tasks.shops import shops


class ProofVerdict(Labelled):
    BOOKS = "BOOKS", "账面正确,该回执作废"
    ANSWER = "ANSWER", "该回执属实,更正账面"
    FULL = "FULL", "按指令金额入账,差额由银行承担"


class ConfirmVerdict(Labelled):
    CONFIRM = "CONFIRM", "复核同意"
    SEND_BACK = "SEND_BACK", "退回重新核对"


LISTED = 200
"""Answers that a question lists; of more of them ``dianwu books check`` has every one."""


def answers_of(tx: Tx, case: Case) -> list[BankContradiction]:
    """What the bank said: one answer, or several about numbers that are none of ours."""
    rows = contradictions.in_inquiry(tx, case.id)
    if not rows:
        raise LookupError(f"{case.id} is about no contradiction")
    return rows


def possible(row: BankContradiction) -> tuple[ProofVerdict, ...]:
    """What the proof can show: about a number that is none of ours there is nothing to correct."""
    match row.kind:
        case Contradiction.UNKNOWN:
            return (ProofVerdict.BOOKS,)
        case Contradiction.STATE | Contradiction.SHOP:
            return ProofVerdict.BOOKS, ProofVerdict.ANSWER
        case Contradiction.AMOUNT:
            return tuple(ProofVerdict)


def inquiry_dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    rows = answers_of(tx, case)
    row = rows[0]
    payout = tx.get(Payout, row.request_no)
    shop = tx.get(Shop, row.shop_id) if row.shop_id and len(rows) == 1 else None
    books = shops.book_facts(tx, shop.id) if shop else None
    claim = Rows.of(
        {
            "请求号": row.request_no,
            "矛盾": row.kind.label,
            "银行这次回执": (
                Strong(text=f"{row.said.label} {contradictions.said_amount(tx, row)}"),
                f" {row.bank_reason}",
            ),
            "银行时间": dossier.when(row.bank_at),
            "收到时间": dossier.when(row.received_at),
        }
    )
    ours = Rows.of(
        {
            "所属案件": row.case_id or "—",
            "店铺": f"{shop.name}({shop.id})" if shop else "—",
            "指令": f"{_instructed(payout)} 至 {payout.payee_masked}" if payout else "没有这笔指令",
            "账面状态": (Strong(text=payout.state.label), f" {payout.bank_reason}") if payout else "—",
            "保证金余额": yuan(books.deposit_fen) if books else "—",
            "账上欠款": yuan(books.arrears_fen) if books else "—",
        }
    )
    follows = Items.of((Strong(text=one.label), f":{_consequence(tx, row, payout, one)}") for one in possible(row))
    first = decided(tx, case.id, PROOF.name, review.round) if review.gate == CONFIRM.name else None
    said = None
    if first is not None:
        proof = f"银行证明:{first.answer.get('proof', '')}\n{first.reason}"
        said = Quote.of(proof, f"{first.decided_by}:{ProofVerdict(first.verdict or '').label}")
    proofs = _proofs(tx, rows, first) if first else {}
    now = Seen.of(
        {
            "contradiction": row.id,
            "state": payout.state if payout else None,
            "deposit": books.deposit_fen if books else None,
            "arrears": books.arrears_fen if books else None,
        }
        | ({"answers": len(rows)} if len(rows) > 1 else {}),
        [_unread(tx)] if not all(item and evidence.present(item) for item in proofs.values()) else [],
    )
    until = evidence.links_until(tx, review.opened_at)
    terms = {"state": "打款状态", "deposit": "保证金余额", "arrears": "账上欠款", "answers": "所列回执"}
    return dossier.of(
        f"银行回执核对 · {row.request_no} · {case.id}",
        (approvals.SINCE, approvals.changes_part(tx, case, review, now, terms)),
        ("银行怎么说", claim if len(rows) == 1 else _listed(tx, rows)),
        ("我们的账", ours if len(rows) == 1 else None),
        (
            "须做什么",
            Text.of(
                "向银行取得书面证明(回单、流水或查询函),由银行或财务上传文件,核对后选择结论。核清之前,该店铺不再打款。"
            ),
        ),
        ("各结论的后果", follows),
        ("财务核对意见", said),
        ("银行证明文件", _linked(proofs, until)),
        ("检查", Findings.of(now.blocking) if now.blocking else None),
        facts=now.terms,
        blocking=now.blocking,
        links_until=until.isoformat() if any(proofs.values()) else "",
        sum_fen=contradictions.said_fen(tx, row) if len(rows) == 1 else None,
    )


def _listed(tx: Tx, rows: list[BankContradiction]) -> Items:
    """Every answer about a number that we never gave, with the shop that it names."""
    more = [f"另有 {len(rows) - LISTED} 条,全部见 dianwu books check"] if len(rows) > LISTED else []
    said = (
        (
            Strong(text=row.request_no),
            f" {row.said.label} {contradictions.said_amount(tx, row)} {row.bank_reason};"
            f"店铺 {row.shop_id or '—'};银行时间 {dossier.when(row.bank_at)},收到 {dossier.when(row.received_at)}",
        )
        for row in rows[:LISTED]
    )
    return Items.of((f"{rows[0].kind.label},共 {len(rows)} 条", *said, *more))


def _shops(rows: list[BankContradiction]) -> list[str]:
    """The shops whose payments the answers stop: for each of them the bank's proof is staged (ambiguity 26)."""
    return sorted({row.shop_id for row in rows if row.shop_id})


def _proofs(tx: Tx, rows: list[BankContradiction], first: Review) -> dict[str, EvidenceItem | None]:
    """The file that finance named for each of the shops."""
    named = _named(first.answer)
    return {shop: next(iter(evidence.of_shop(tx, shop, named)), None) for shop in _shops(rows)}


def _named(answer: Mapping[str, Any]) -> list[str]:
    return re.split(r"[\s,;\uff0c\uff1b\u3001]+", str(answer.get("paper", "")).strip())


def _linked(proofs: Mapping[str, EvidenceItem | None], until: datetime) -> Papers | None:
    shown = [
        PaperShown(label="银行证明", name=one.name, file=one.id, sha256=one.sha256, about=f"{one.id}({one.shop_id})")
        for one in filter(None, proofs.values())
    ]
    return Papers(papers=tuple(shown), until=until) if shown else None


def _unread(tx: Tx) -> Finding:
    sentence = "银行证明文件未收到、丢失或已损坏,无法查看。"
    return Finding(code="bank_proof", clause="REF-3", blocking=True, sentence=sentence, as_of=tx.now)


def _instructed(payout: Payout | None) -> str:
    """What the bank was told to pay, unless nobody may read that yet."""
    if payout is None:
        return "—"
    return contradictions.COVERED if payout.covered else yuan(sources.amount_of(payout))


def _consequence(tx: Tx, row: BankContradiction, payout: Payout | None, verdict: ProofVerdict) -> str:
    """What each verdict does to the money, with the amounts."""
    moved = contradictions.said_amount(tx, row)
    match verdict:
        case ProofVerdict.BOOKS:
            waits = payout is not None and payout.state is PayoutState.REQUESTED
            return "账面不变,继续等待银行的正确回执" if waits else "账面不变,该回执作废,打款可以继续"
        case ProofVerdict.ANSWER if payout is not None and payout.source in OF_PLATFORM:
            return f"账面改为「{row.said.label}」{moved},差额记在平台自有资金;商家以实际到账金额验证"
        case ProofVerdict.ANSWER:
            return f"账面改为「{row.said.label}」{moved};多付的先从保证金冲减、不足记为欠款,未付出的回到保证金"
        case ProofVerdict.FULL:
            return f"账面改为「{row.said.label}」指令金额({_instructed(payout)}),差额不记账"


def _has_proof(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    rows = answers_of(tx, case)
    row, verdict = rows[0], ProofVerdict(given.verdict)
    if verdict not in possible(row):
        return f"「{verdict.label}」不适用于「{row.kind.label}」,请选择:{'、'.join(one.label for one in possible(row))}"
    if not has_text(str(given.extra.get("proof", "")), 2):
        return "请填写银行证明的编号(回单号、流水号或查询函号)"
    return _unreadable(tx, rows, given.extra)


def _unreadable(tx: Tx, rows: list[BankContradiction], answer: Mapping[str, Any]) -> str | None:
    """Why nobody can open the proof for one of the shops; of an answer about nobody's money there is none to stage it for."""
    for shop in _shops(rows):
        own = [item.id for item in evidence.of_shop(tx, shop, _named(answer))] or _named(answer)
        if wrong := papers.unfit(tx, shop, own[0], "银行证明文件", "REF-3", proof=True):
            return wrong
    return None


def _proof_is_here(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    first = decided(tx, case.id, PROOF.name, review.round)
    if given.verdict != ConfirmVerdict.CONFIRM or first is None:
        return None
    return _unreadable(tx, answers_of(tx, case), first.answer)


def _window(case: Case) -> Window:
    return rules(case).refund.review_sla


PROOF = Gate(
    name="bank-proof",
    title="银行回执核对",
    roles=(Role.FINANCE,),
    verdicts=ProofVerdict,
    dossier=inquiry_dossier,
    window=_window,
    clause="REF-3",
    check=_has_proof,
    reason_required=frozenset(ProofVerdict),
    fields={
        "proof": {
            "title": "银行证明编号",
            "type": "string",
            "maxLength": 200,
            "default": "",
            "description": "回单号、流水号或查询函号;必填",
        },
        "paper": {
            "title": "银行证明文件",
            "type": "string",
            "maxLength": 4000,
            "default": "",
            "description": "银行或财务为店铺上传文件(POST /evidence)后返回的编号 EV-…;必填,涉及多家店铺的每家一个,以空格分开",
        },
    },
)

CONFIRM = Gate(
    name="bank-proof-second",
    title="银行回执复核",
    roles=(Role.SUPERVISOR,),
    verdicts=ConfirmVerdict,
    dossier=inquiry_dossier,
    window=_window,
    clause="REF-3",
    reason_required=frozenset({ConfirmVerdict.SEND_BACK}),
    consequences={"CONFIRM": "按财务的结论处理,打款可以继续", "SEND_BACK": "退回财务重新核对"},
    excluded=lambda tx, case: last_decider(tx, case, PROOF.name),
    rests_on=PROOF.name,
    check=_proof_is_here,
)
