"""Inquiries: what two people do, with the bank's proof, about an answer that contradicts what we know (ambiguity 38).

Finance says what the proof shows, a supervisor confirms it. Either the books are right and the answer is void; or the
answer is right, and the books are brought to where the money is; or the amount instructed is what left us and came
back, and the difference is the bank's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from models.base import Labelled
from models.books import OF_PLATFORM, AccountKind
from models.cases import Case, CaseKind, CaseState, Finding
from models.dossier import Findings, Items, Papers, PaperShown, Quote, Rows, Strong, Text
from models.evidence import EvidenceItem
from models.money import Money, yuan
from models.payouts import BankContradiction, Contradiction, Payout, PayoutState
from models.reviews import Review, Role
from models.shops import Shop
from models.text import has_text
from models.windows import Window
from notifications import refund as words
from office.base.db import Tx
from office.cases import approvals, cases, dossier, merchants
from office.cases.cases import rules
from office.cases.effects import effects_of
from office.cases.gates import Answer, Dossier, Gate
from office.cases.locks import lock_case
from office.cases.reviews import decided, last_decider
from office.files import evidence, papers
from office.money import ledger
from office.money.ledger import platform_account, shop_account
from office.process import Process
from office.record import audit, outbox
from policies.approvals import Seen
from tasks.payouts import contradictions, payouts, sources
from tasks.payouts.request import BankInquiryAsked
from tasks.shops import bans, deposits, shops

effect = effects_of("bank_inquiries")

BACK = (PayoutState.FAILED, PayoutState.RETURNED)


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


# ── the steps of the story ───────────────────────────────────────────────────


@effect("开始核对")
def admit(tx: Tx, case: Case) -> None:
    cases.move(tx, case, CaseState.UNDER_REVIEW, "等待财务凭银行证明核对", clause="REF-3")


@effect("提交主管复核")
def to_second(tx: Tx, case: Case, round: int) -> None:
    cases.move(tx, case, CaseState.SECOND_REVIEW, "等待主管复核", clause="REF-3")


@effect("退回重新核对")
def again(tx: Tx, case: Case, round: int) -> None:
    cases.move(tx, case, CaseState.UNDER_REVIEW, "退回财务重新核对", clause="REF-3")


@effect("按核对结论处理")
def carry_out(tx: Tx, case: Case, round: int) -> bool:
    """Do what two people found, and let payments go on; ``False`` if not both saw what is so now (ambiguity 23)."""
    given = approvals.insist(tx, case, round, (PROOF, ProofVerdict), (CONFIRM, ConfirmVerdict.CONFIRM))
    if len(given) < 2 or not approvals.stand(given, _dossier(tx, case, given[-1]).seen):
        return False
    first, second = given
    verdict = ProofVerdict(first.verdict or "")
    for row in answers_of(tx, case):
        row.closed_at, row.verdict, row.closed_by = tx.now, verdict, f"{first.decided_by},{second.decided_by}"
        tx.add(row)
        tx.flush()
        if verdict is not ProofVerdict.BOOKS:
            _correct(tx, row, verdict)
        contradictions.wake_paying(tx, row.shop_id)
        about = row.case_id or case.id
        audit.record(tx, about, contradictions.RESOLVED, clause="REF-3", contradiction=row.id, verdict=verdict,
                     text=f"银行回执矛盾已核清:{verdict.label}", people=row.closed_by)  # fmt: skip
    cases.conclude(tx, case, CaseState.RESOLVED, f"已核清:{verdict.label}", clause="REF-3")
    return True


def _correct(tx: Tx, row: BankContradiction, verdict: ProofVerdict) -> None:
    """Bring the instruction and the shop's money to where the bank's proof says they are."""
    payout = tx.get(Payout, row.request_no)
    if payout is None:
        raise LookupError(f"{row.id}: there is no instruction to correct")
    case = lock_case(tx, payout.case_id)
    done: list[str] = []
    before = contradictions.proved(tx, payout, but=row.id)
    amount = Money(fen=payout.amount_fen if payout.covered else sources.amount_of(payout))
    if row.said is PayoutState.SETTLED and payout.state in BACK:
        done += _take_back(tx, case, payout, f"{row.id}/paid", amount)
        was, payout.state, payout.answered_at = payout.state, PayoutState.SETTLED, tx.now
        tx.add(payout)
        payouts.tell_how_it_stands(tx, case, payout)
        if (taken := sources.pays(case).taken) is not None:
            taken(tx, case, payout, was)
        outbox.wake(tx, case)
    elif payout.state is PayoutState.REQUESTED:
        payouts.take(tx, case, payout, row.said, row.bank_reason, actor="staff")
    elif row.said in BACK and payout.state is PayoutState.SETTLED:
        payouts.take(tx, case, payout, PayoutState.RETURNED, row.bank_reason, actor="staff")
        where = WORDS.get(payout.source, payout.source.label)
        done.append(_kept_by_ban(tx, payout, amount) or f"{amount} 未付出,已退回{where}")
    if verdict is ProofVerdict.ANSWER and (row.kind is Contradiction.AMOUNT or before is not None):
        out = _out_beyond(tx, row, payout, before)
        if out > 0:
            done += _take_back(tx, case, payout, f"{row.id}/difference", Money(fen=out))
        elif out < 0:
            done += _give_back(tx, case, payout, f"{row.id}/difference", Money(fen=-out))
    if done and payout.shop_id and payout.source not in OF_PLATFORM:  # the platform's own money is none of theirs
        shop = shops.find_shop(tx, payout.shop_id)
        told = words.RefundCorrected(
            shop_name=shop.name, case_id=case.id, request_no=row.request_no, corrected_at=tx.now, changes=tuple(done)
        )
        merchants.tell(tx, told, f"{row.id}/corrected", case=case if case.shop_id else None, shop_id=shop.id)


def _out_beyond(tx: Tx, row: BankContradiction, payout: Payout, before: int | None) -> int:
    """What left us beyond what the books say, in fen; of an amount that is covered yet, beyond what covers it.

    ``before`` is what the bank had proved earlier to have paid: the difference to what it was told was posted then.
    """
    told = sources.amount_of(payout)
    moved = told if before is None else before
    if row.said is PayoutState.FAILED:
        return told - moved
    if row.said is PayoutState.RETURNED:
        return told - row.amount_fen
    if not payout.covered:
        return row.amount_fen - moved
    sources.paid_instead(tx, payout, row.amount_fen)
    return max(0, row.amount_fen - payout.amount_fen)


WORDS = {AccountKind.DEPOSIT: "保证金", AccountKind.RECEIVABLE: "货款"}
"""What the merchant calls the money of a source."""


def _take_back(tx: Tx, case: Case, payout: Payout, key: str, amount: Money) -> list[str]:
    """Money that left us though the books have it: out of where it came from as far as that goes, the rest is owed."""
    source = sources.account_of(payout.source, payout.shop_id or "")
    if payout.source in OF_PLATFORM:
        sources.fund(tx, case, payout.attempt, payout.source, amount, key=f"{key}/funded")
    kept = Money(fen=min(ledger.balance(tx, source).fen, amount.fen))
    owed = Money(fen=amount.fen - kept.fen)
    for kind, account, part, against in (
        (payout.source, source, kept, AccountKind.CASH),
        (AccountKind.ARREARS, shop_account(payout.shop_id or "", AccountKind.ARREARS), owed, AccountKind.ADVANCE),
    ):
        ledger.post(
            tx, f"{key}/{kind}", debit=account, credit=platform_account(against), amount=part,
            reason="payout.corrected", clause="REF-3", case_id=case.id,
        )  # fmt: skip
    word = WORDS.get(payout.source, payout.source.label)
    return [
        *([f"从{word}冲减 {kept}"] if kept else []), *([f"多付的 {owed} 记为店铺欠款"] if owed else []),
    ]  # fmt: skip


def _give_back(tx: Tx, case: Case, payout: Payout, key: str, amount: Money) -> list[str]:
    """Money that is still with us though the books have it gone: back to its source, or held by the ban (CLS-10)."""
    ledger.post(
        tx, key, debit=platform_account(AccountKind.CASH), credit=sources.account_of(payout.source, payout.shop_id or ""),
        amount=amount, reason="payout.corrected", clause="REF-3", case_id=case.id,
    )  # fmt: skip
    if payout.shop_id and bans.is_banned(tx, payout.shop_id):
        if payout.source is AccountKind.DEPOSIT:
            deposits.forfeit(tx, shops.find_shop(tx, payout.shop_id), case, f"{key}/forfeit")
        bans.hold(tx, payout.shop_id)
    where = WORDS.get(payout.source, payout.source.label)
    return [_kept_by_ban(tx, payout, amount) or f"未付出的 {amount} 记入{where}"]


def _kept_by_ban(tx: Tx, payout: Payout, amount: Money) -> str:
    """What the merchant reads of money that did not leave when the shop is banned; empty where it is not."""
    if not payout.shop_id or not bans.is_banned(tx, payout.shop_id):
        return ""
    what = "按规则罚没,不予退还" if payout.source is AccountKind.DEPOSIT else "已冻结,等待处理"
    return f"{amount} 未付出;店铺已被强制关店,该款{what}"


# ── what people see ──────────────────────────────────────────────────────────


def _dossier(tx: Tx, case: Case, review: Review) -> Dossier:
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
    paper = _paper(tx, rows, first) if first else None
    now = Seen.of(
        {
            "contradiction": row.id, "state": payout.state if payout else None,
            "deposit": books.deposit_fen if books else None, "arrears": books.arrears_fen if books else None,
        } | ({"answers": len(rows)} if len(rows) > 1 else {}),
        [_unread(tx)] if first and _shops(rows) and not (paper and evidence.present(paper)) else [],
    )  # fmt: skip
    until = evidence.links_until(tx, review.opened_at)
    terms = {"state": "打款状态", "deposit": "保证金余额", "arrears": "账上欠款", "answers": "所列回执"}
    return dossier.of(
        f"银行回执核对 · {row.request_no} · {case.id}",
        (approvals.SINCE, approvals.changes_part(tx, case, review, now, terms)),
        ("银行怎么说", claim if len(rows) == 1 else _listed(tx, rows)), ("我们的账", ours if len(rows) == 1 else None),
        ("须做什么", Text.of("向银行取得书面证明(回单、流水或查询函),由银行或财务上传文件,核对后选择结论。核清之前,该店铺不再打款。")),
        ("各结论的后果", follows), ("财务核对意见", said),
        ("银行证明文件", _linked(paper, until)), ("检查", Findings.of(now.blocking) if now.blocking else None),
        facts=now.terms, blocking=now.blocking, links_until=until.isoformat() if paper else "",
        sum_fen=contradictions.said_fen(tx, row) if len(rows) == 1 else None,
    )  # fmt: skip


def _listed(tx: Tx, rows: list[BankContradiction]) -> Items:
    """Every answer about a number that we never gave, with the shop that it names."""
    more = [f"另有 {len(rows) - LISTED} 条,全部见 dianwu books check"] if len(rows) > LISTED else []
    said = (
        (
            Strong(text=row.request_no), f" {row.said.label} {contradictions.said_amount(tx, row)} {row.bank_reason};"
            f"店铺 {row.shop_id or '—'};银行时间 {dossier.when(row.bank_at)},收到 {dossier.when(row.received_at)}",
        )
        for row in rows[:LISTED]
    )  # fmt: skip
    return Items.of((f"{rows[0].kind.label},共 {len(rows)} 条", *said, *more))


def _shops(rows: list[BankContradiction]) -> list[str]:
    """The shops whose payments the answers stop: for one of them the bank's proof is staged (ambiguity 26)."""
    return sorted({row.shop_id for row in rows if row.shop_id})


def _paper(tx: Tx, rows: list[BankContradiction], first: Review) -> EvidenceItem | None:
    """The file that finance named."""
    return next((item for shop in _shops(rows) for item in evidence.of_shop(tx, shop, [_named(first.answer)])), None)


def _named(answer: Mapping[str, Any]) -> str:
    return str(answer.get("paper", "")).strip()


def _linked(paper: EvidenceItem | None, until: datetime) -> Papers | None:
    if paper is None:
        return None
    shown = PaperShown(label="银行证明", name=paper.name, file=paper.id, sha256=paper.sha256, about=paper.id)
    return Papers(papers=(shown,), until=until)


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
    return _unreadable(tx, rows, _named(given.extra))


def _unreadable(tx: Tx, rows: list[BankContradiction], paper_id: str) -> str | None:
    """Why nobody can open the proof; of an answer about nobody's money there is no shop that a file could be staged for."""
    wrong = [papers.unfit(tx, shop, paper_id, "银行证明文件", "REF-3", proof=True) for shop in _shops(rows)]
    return None if None in wrong else next(iter(wrong), None)


def _proof_is_here(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    first = decided(tx, case.id, PROOF.name, review.round)
    if given.verdict != ConfirmVerdict.CONFIRM or first is None:
        return None
    return _unreadable(tx, answers_of(tx, case), _named(first.answer))


def _window(case: Case) -> Window:
    return rules(case).refund.review_sla


PROOF = Gate(
    name="bank-proof", title="银行回执核对", roles=(Role.FINANCE,), verdicts=ProofVerdict, dossier=_dossier,
    window=_window, clause="REF-3", check=_has_proof, reason_required=frozenset(ProofVerdict),
    fields={
        "proof": {
            "title": "银行证明编号", "type": "string", "maxLength": 200, "default": "",
            "description": "回单号、流水号或查询函号;必填",
        },
        "paper": {
            "title": "银行证明文件", "type": "string", "maxLength": 40, "default": "",
            "description": "银行或财务为该店铺上传文件(POST /evidence)后返回的编号 EV-…;必填",
        },
    },
)  # fmt: skip

CONFIRM = Gate(
    name="bank-proof-second", title="银行回执复核", roles=(Role.SUPERVISOR,), verdicts=ConfirmVerdict, dossier=_dossier,
    window=_window, clause="REF-3", reason_required=frozenset({ConfirmVerdict.SEND_BACK}),
    consequences={"CONFIRM": "按财务的结论处理,打款可以继续", "SEND_BACK": "退回财务重新核对"},
    excluded=lambda tx, case: last_decider(tx, case, PROOF.name), rests_on=PROOF.name, check=_proof_is_here,
)  # fmt: skip

PROCESS = Process(
    name="bank-inquiry",
    kind=CaseKind.BANK_INQUIRY,
    request=BankInquiryAsked,
    states=(CaseState.UNDER_REVIEW, CaseState.SECOND_REVIEW, CaseState.RESOLVED),
    clause="REF-3",
    asks=(PROOF, CONFIRM),
)
