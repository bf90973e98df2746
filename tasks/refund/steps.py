"""退保证金, step by step (REF)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from models.cases import Case, CaseKind, CaseState, Side, WaitState
from models.money import Money
from models.outcomes import Refusal
from models.payouts import Payout, PayoutState
from models.reviews import Review, Role
from notifications import operations
from notifications import refund as words
from office.base.calendar import work_calendar
from office.base.db import Tx, reading
from office.cases import approvals, cases, deadlines, merchants, reviews
from office.cases.cases import rules
from office.cases.effects import effects_of
from office.cases.merchants import ground, shop_of
from office.files import papers
from policies import refund as policy_of_refund
from tasks.payouts import payouts, permits
from tasks.refund.plan import (
    DUE,
    PAYEE,
    amount_of,
    documents_of,
    findings_now,
    outstanding,
    plan_now,
    second_person_reasons,
)
from tasks.refund.request import RefundAsked
from tasks.refund.review import RETURNED, REVIEW, SECOND, RefundVerdict, ReturnVerdict, SecondVerdict, finance_dossier
from tasks.shops import deposits, facts, shops, states
from tasks.shops.questions import QUESTION, ask, asked

effect = effects_of("refunds")

OBJECTION = "请联系平台客服,提供案件编号与证明材料,申请复核。"
"""How a merchant objects to what was taken or kept back of a refund (DED-8)."""


# ── the steps of the story ───────────────────────────────────────────────────


@effect("受理退款申请")
def admit(tx: Tx, case: Case) -> Refusal | None:
    """Take the application up, or refuse it with the clause (REF-1, REF-6, REF-10)."""
    shop = shop_of(tx, case)
    states.insist(tx, shop)
    others = [
        other
        for other in cases.open_cases(tx, shop.id, CaseKind.REFUND, but=case.id)
        if cases.comes_before(other, case)
    ]
    refusal = policy_of_refund.refuse_application(
        requester=RefundAsked.of(case).account_id,
        owner=shop.owner_account_id,
        shop_state=shop.state,
        amount_fen=amount_of(case).fen,
        books=shops.book_facts(tx, shop.id),
        other_refund=others[0].id if others else None,
    )
    if refusal is not None:
        cases.refuse(tx, case, refusal)
        told = words.RefundRefused(
            shop_name=shop.name,
            case_id=case.id,
            amount_fen=amount_of(case).fen,
            received_at=case.received_at,
            grounds=(ground(refusal),),
            next_step="如有疑问请联系平台客服,并提供案件编号。",
        )
        merchants.tell(tx, told, f"{case.id}/refused", case=case)
        return refusal
    closed_at = shop.closed_at or case.received_at
    due = policy_of_refund.refund_due(closed_at, case.received_at, rules(case), work_calendar())
    early = policy_of_refund.refund_early_reminder(closed_at, case.received_at, rules(case), work_calendar())
    deadlines.start(tx, case, DUE, DUE, Side.PLATFORM, due, [early.due])
    if due.provisional:
        warn_provisional(tx, case, due.due.year, "退保证金到账时限", due.due)
    cases.move(tx, case, CaseState.UNDER_REVIEW, "已受理,等待财务审核", clause="REF-7")
    told_received = words.RefundReceived(
        shop_name=shop.name,
        case_id=case.id,
        amount_fen=amount_of(case).fen,
        payee=RefundAsked.of(case).payee,
        received_at=case.received_at,
        due=due.due,
        not_received=papers.absent(tx, shop.id, RefundAsked.of(case).documents),
    )
    merchants.tell(tx, told_received, f"{case.id}/received", case=case)
    return None


def warn_provisional(tx: Tx, case: Case, year: int, matter: str, due: datetime) -> None:
    """Tell the supervisor that a due time rests on a year whose holidays are not published (once per year)."""
    message = operations.CalendarProvisional(year=year, case_id=case.id, matter=matter, due=due)
    reviews.notify_staff(tx, Role.SUPERVISOR, message, f"calendar/{year}", case)


@effect("检查退款条件")
def check(tx: Tx, case: Case, round: int) -> None:
    """Record what the rules find before a person is asked."""
    cases.keep_findings(tx, case, f"refund/{round}", findings_now(tx, case))
    facts.want(tx, case)  # asked for early, they may be there before anybody has decided


@effect("请商家补充材料")
def ask_merchant(tx: Tx, case: Case, round: int, question: str) -> str:
    """Ask for what is missing; silence closes the application, and the deposit stays where it is."""
    key = f"{QUESTION}/{round}"
    if due := ask(tx, case, key, question, rules(case).refund.documents, "REF-2"):
        shop = shop_of(tx, case)
        missing = policy_of_refund.missing_documents(
            shop.entity_type, documents_of(papers.of_case(tx, case)), rules(case)
        )
        told = words.RefundQuestion(
            shop_name=shop.name,
            case_id=case.id,
            missing=tuple(paper.label for paper in missing),
            question=question,
            due=due,
        )
        merchants.tell(tx, told, f"{case.id}/question/{round}", case=case)
    return key


@effect("商家已补充,恢复审核")
def resume_review(tx: Tx, case: Case, round: int) -> None:
    cases.move(tx, case, CaseState.UNDER_REVIEW, "继续审核", clause="REF-7")


@effect("逾期未补充,结束申请")
def lapse(tx: Tx, case: Case, key: str) -> None:
    """Silence ends the application; a new one can be made at any time (REF-11)."""
    question, due = asked(tx, case, key)
    told = words.RefundQuestionLapsed(shop_name=shop_of(tx, case).name, case_id=case.id, question=question, due=due)
    merchants.tell(tx, told, f"{case.id}/lapsed", case=case)
    cases.conclude(tx, case, CaseState.LAPSED, "商家逾期未补充,本次申请关闭,保证金仍在账上,可重新申请", clause="REF-2")


@effect("驳回退款申请")
def reject(tx: Tx, case: Case, reason: str) -> None:
    approvals.insist_last(tx, case, (REVIEW, RefundVerdict.REJECT), (SECOND, SecondVerdict.REJECT))
    _tell_refusal(tx, case, reason, "rejected")
    cases.conclude(tx, case, CaseState.REJECTED, f"审核未通过:{reason}", clause="REF-2")


def _tell_refusal(tx: Tx, case: Case, reason: str, key: str) -> None:
    name, fen = shop_of(tx, case).name, outstanding(tx, case).fen or amount_of(case).fen  # what was paid is theirs
    told = words.RefundRejected(shop_name=name, case_id=case.id, amount_fen=fen, decided_at=tx.now, reason=reason)
    merchants.tell(tx, told, f"{case.id}/{key}", case=case)


@effect("判断是否需要第二人复核", kept_as="needs_second")
def to_second(tx: Tx, case: Case, round: int) -> bool:
    reasons = second_person_reasons(tx, case)
    if reasons:
        cases.move(tx, case, CaseState.SECOND_REVIEW, "等待第二人复核", clause="REF-7", reasons=list(reasons))
    return bool(reasons)


@effect("签发打款许可")
def grant(tx: Tx, case: Case, round: int, attempt: int) -> bool:
    """Give the permit the reviews amount to; ``False`` if the facts they saw are no longer the facts.

    The permit names everybody who approved in this round.
    """
    given = _approvals(tx, case, round)
    if not _approved(tx, case, given):
        return False
    facts.insist(tx, case)
    permits.grant(tx, case, plan_now(tx, case).shares, [str(review.decided_by) for review in given])
    return True


def _approvals(tx: Tx, case: Case, round: int) -> list[Review]:
    return approvals.insist(tx, case, round, (REVIEW, RefundVerdict.APPROVE), (SECOND, SecondVerdict.CONFIRM))


def _approved(tx: Tx, case: Case, given: list[Review]) -> bool:
    """Whether the application still stands, enough people said yes, and all of them saw what is so now (ambiguity 23)."""
    if not given:
        return False
    plan = plan_now(tx, case)
    findings = findings_now(tx, case, plan)
    if case.withdrawn_at is not None or policy_of_refund.not_to_be_overridden(findings):
        return False
    enough = len(given) > 1 or not second_person_reasons(tx, case, plan, findings)
    return enough and approvals.stand(tx, given, finance_dossier(tx, case, given[-1]).seen)


@effect("提交银行打款")
def pay(tx: Tx, case: Case, round: int, turn: int) -> bool:
    """Use the permits: arrears are set off, the rest is reserved and the bank instructed, in one transaction.

    ``False`` if the facts have changed since the permits were given: then they are taken away and nothing is paid.
    """
    if not _approved(tx, case, _approvals(tx, case, round)):
        permits.revoke(tx, case)
        return False
    facts.insist(tx, case)
    shop, plan = shop_of(tx, case), plan_now(tx, case)
    set_off = deposits.set_off_arrears(tx, shop, case, f"{case.id}/set-off/{turn}")
    paid = payouts.instruct(tx, case, turn, plan.shares)
    whole = payouts.total(payouts.of_case(tx, case.id), *payouts.OUT)
    case.request = {**case.request, "target_fen": whole}
    tx.add(case)
    deadline = deadlines.find(tx, case.id, DUE)
    told = words.RefundApproved(
        shop_name=shop.name,
        case_id=case.id,
        amount_fen=plan.net.paid.fen,
        payee=_payees(paid),
        set_off_fen=set_off.fen,
        kept_fen=plan.net.kept.fen,
        objection=OBJECTION if set_off or plan.net.kept else "",
        shares=_share_lines(paid),
        approved_at=tx.now,
        due=deadline.due_at if deadline else tx.now,
    )
    merchants.tell(tx, told, f"{case.id}/approved/{turn}", case=case)
    return True


def _payees(paid: Iterable[Payout]) -> str:
    return "、".join(dict.fromkeys(payout.payee_masked for payout in paid))


def _share_lines(paid: Sequence[Payout]) -> tuple[words.ShareLine, ...]:
    """Which account gets how much, for a message; not said when there is only one."""
    lines = tuple(words.ShareLine(amount_fen=payout.amount_fen, payee=payout.payee_masked) for payout in paid)
    return lines if len(lines) > 1 else ()


@effect("事实变化,重新审核")
def review_again(tx: Tx, case: Case, round: int) -> None:
    if case.concluded_at is None:  # a forced closure may have been faster
        cases.move(tx, case, CaseState.UNDER_REVIEW, "事实发生变化,重新审核", clause="REF-7")


def answered(case_id: str, turn: int) -> bool:
    """Whether the bank has answered every instruction of the turn."""
    with reading() as tx:
        return all(payout.state is not PayoutState.REQUESTED for payout in _of_turn(tx, case_id, turn))


def arrived(case_id: str, turn: int) -> bool:
    """Whether all the case's money has arrived, and this turn was the last it took; a return since then counts."""
    with reading() as tx:
        case, paid = cases.get(tx, case_id), payouts.of_case(tx, case_id)
        return not outstanding(tx, case) and max(payout.turn for payout in paid) == turn


def _of_turn(tx: Tx, case_id: str, turn: int) -> list[Payout]:
    return [payout for payout in payouts.of_case(tx, case_id) if payout.turn == turn]


def _came_back(tx: Tx, case: Case, turn: int) -> list[Payout]:
    """What the bank did not pay: of this turn, or else what it returned of an earlier one."""
    back = {PayoutState.FAILED, PayoutState.RETURNED}
    paid = [payout for payout in payouts.of_case(tx, case.id) if payout.state in back]
    return [payout for payout in paid if payout.turn == turn] or paid


@effect("确认到账并结案")
def settle(tx: Tx, case: Case, turn: int) -> None:
    """All the money has arrived: the case ends (REF-3)."""
    paid = [payout for payout in payouts.of_case(tx, case.id) if payout.state is PayoutState.SETTLED]
    whole = Money(fen=payouts.total(paid, PayoutState.SETTLED))
    deadlines.stop(tx, case.id, DUE)
    told = words.RefundSettled(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        amount_fen=whole.fen,
        payee=_payees(paid),
        shares=_share_lines(paid),
        settled_at=max(payout.answered_at or tx.now for payout in paid),
    )
    merchants.tell(tx, told, f"{case.id}/settled/{turn}", case=case)
    cases.conclude(tx, case, CaseState.REFUNDED, f"{whole} 已退还至 {_payees(paid)}", clause="REF-3")


@effect("退票,转回财务")
def back_to_finance(tx: Tx, case: Case, turn: int) -> None:
    """The bank would not pay some of it or sent it back; that money is in the deposit again."""
    labels = dict.fromkeys(payout.state.label for payout in _came_back(tx, case, turn))
    deadlines.resume(tx, case, DUE)  # a return can follow a settlement, which had met it
    cases.move(tx, case, CaseState.UNDER_REVIEW, f"{'、'.join(labels)},转回财务处理", clause="REF-3")


@effect("请商家更正收款账户")
def ask_payee(tx: Tx, case: Case, turn: int) -> str:
    """Ask for another payee; one that came already counts."""
    key = f"{PAYEE}/{turn}"
    back = _came_back(tx, case, turn)
    refused = {permit.payee_sha256 for payout in back if (permit := permits.permit_of(tx, payout))}
    corrected = refused.isdisjoint(permits.payee_hash(share.payee) for share in plan_now(tx, case).shares)
    if corrected and case.withdrawn_at is None:
        wait = cases.open_wait(tx, case, key, PAYEE, "更正收款账户")
        cases.close_wait(tx, wait, WaitState.ANSWERED, {"text": "商家已先行更正"})
        return key
    window = rules(case).refund.documents
    if due := ask(tx, case, key, "更正收款账户", window, "REF-3", kind=PAYEE, text="等待商家更正收款账户"):
        told = words.RefundPayeeNeeded(
            shop_name=shop_of(tx, case).name,
            case_id=case.id,
            amount_fen=sum(payout.amount_fen for payout in back),
            payee=_payees(back),
            bank_reason="、".join(dict.fromkeys(one.bank_reason or one.state.label for one in back)),
            answer_by=due,
        )
        merchants.tell(tx, told, f"{case.id}/payee-needed/{turn}", case=case)
    return key


@effect("终止退款")
def abandon(tx: Tx, case: Case, reason: str) -> None:
    """Finance ends it; the money stays in the deposit and may be asked for again."""
    approvals.insist_last(tx, case, (RETURNED, ReturnVerdict.ABANDON))
    _tell_refusal(tx, case, reason, "abandoned")
    cases.conclude(tx, case, CaseState.ABANDONED, f"退款终止,未退还的款项仍在保证金账户:{reason}", clause="REF-7")


@effect("撤回退款申请")
def withdraw(tx: Tx, case: Case) -> None:
    cases.conclude(tx, case, CaseState.WITHDRAWN, "商家已撤回退款申请,未退还的保证金仍在账上", clause="REF-6")
