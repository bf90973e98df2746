"""Inquiries: what two people do, with the bank's proof, about an answer that contradicts what we know (ambiguity 38).

Finance says what the proof shows, a supervisor confirms it. Either the books are right and the answer is void; or the
answer is right, and the books are brought to where the money is; or the amount instructed is what left us and came
back, and the difference is the bank's.
"""

from __future__ import annotations

from models.books import OF_PLATFORM, AccountKind
from models.cases import Case, CaseKind, CaseState
from models.money import Money
from models.payouts import BankContradiction, Contradiction, Payout, PayoutState
from notifications import refund as words
from office.base.db import Tx
from office.cases import approvals, cases, merchants
from office.cases.effects import effects_of
from office.cases.locks import lock_case
from office.money import ledger
from office.money.ledger import platform_account, shop_account
from office.process import Process
from office.record import audit, outbox
from tasks.payouts import contradictions, payouts, sources
from tasks.payouts.inquiry_review import CONFIRM, PROOF, ConfirmVerdict, ProofVerdict, answers_of, inquiry_dossier
from tasks.payouts.request import BankInquiryAsked
from tasks.shops import bans, deposits, shops

effect = effects_of("bank_inquiries")

BACK = (PayoutState.FAILED, PayoutState.RETURNED)


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
    if len(given) < 2 or not approvals.stand(tx, given, inquiry_dossier(tx, case, given[-1]).seen):
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
        audit.record(
            tx,
            about,
            contradictions.RESOLVED,
            clause="REF-3",
            contradiction=row.id,
            verdict=verdict,
            text=f"银行回执矛盾已核清:{verdict.label}",
            people=row.closed_by,
        )
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
            tx,
            f"{key}/{kind}",
            debit=account,
            credit=platform_account(against),
            amount=part,
            reason="payout.corrected",
            clause="REF-3",
            case_id=case.id,
        )
    word = WORDS.get(payout.source, payout.source.label)
    return [
        *([f"从{word}冲减 {kept}"] if kept else []), *([f"多付的 {owed} 记为店铺欠款"] if owed else []),
    ]  # fmt: skip


def _give_back(tx: Tx, case: Case, payout: Payout, key: str, amount: Money) -> list[str]:
    """Money that is still with us though the books have it gone: back to its source, or held by the ban (CLS-10)."""
    ledger.post(
        tx,
        key,
        debit=platform_account(AccountKind.CASH),
        credit=sources.account_of(payout.source, payout.shop_id or ""),
        amount=amount,
        reason="payout.corrected",
        clause="REF-3",
        case_id=case.id,
    )
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


PROCESS = Process(
    name="bank-inquiry",
    kind=CaseKind.BANK_INQUIRY,
    request=BankInquiryAsked,
    states=(CaseState.UNDER_REVIEW, CaseState.SECOND_REVIEW, CaseState.RESOLVED),
    clause="REF-3",
    asks=(PROOF, CONFIRM),
)
