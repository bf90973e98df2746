"""Returning a deposit: what each step of the story does to the case, the money and the merchant (REF)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from models.base import Frozen, Labelled
from models.books import AccountKind
from models.cases import Case, CaseDeadline, CaseKind, CaseState, Finding, Side, WaitState
from models.deposits import BookFacts, RefundDocument
from models.events import RefundPayeeCorrected, RefundRequested, RefundWithdrawn
from models.messages import InboxMessage
from models.money import Money
from models.outcomes import Refusal
from models.payouts import Payee, Payout, PayoutState
from models.reviews import Review, Role
from models.shops import ShopState
from models.text import has_text
from models.windows import Window
from notifications import operations
from notifications import refund as words
from notifications.message import hours_between
from office.base.calendar import work_calendar
from office.base.db import Tx, reading
from office.base.vault import opened_json, place_in, seal_json
from office.cases import approvals, cases, deadlines, dossier, merchants, reviews
from office.cases.cases import rules
from office.cases.effects import effects_of
from office.cases.merchants import ground, shop_of
from office.cases.reviews import Answer, Dossier, Gate, decided, last_decider
from office.files import papers
from office.money.ledger import shop_balance
from office.process import Process
from office.record import audit, outbox
from office.record.inbox import Refused
from policies import refund as policy_of_refund
from policies.approvals import Seen
from policies.deadlines import reckon, reminder_times
from policies.payees import Holder, Share, judgement, share_out
from policies.refund import Net
from tasks.closure.closures import QUESTION, answers_part, own_open_case, shop_part, take_back
from tasks.invoicing import bills
from tasks.payouts import contradictions, payouts
from tasks.refund import refund_proof
from tasks.refund.request import RefundAsked
from tasks.shops import deposits, facts, penalties, shops

effect = effects_of("refunds")

DUE = "refund-due"
PAYEE = "payee"
"""The kind of wait that ends when the merchant sends a corrected payee."""


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


# ── how a refund begins ──────────────────────────────────────────────────────


def request(tx: Tx, event: RefundRequested, message: InboxMessage) -> None:
    """A merchant applies; the payee is sealed at once and only ever shown masked."""
    shop = shops.find_shop(tx, event.shop_id)
    named = _named(event)
    cases.open_case(
        tx, CaseKind.REFUND, origin=f"{message.source}/{message.message_id}", received_at=message.received_at, shop=shop,
        request={"account_id": event.account_id, "amount_fen": event.amount_fen, "payee": payouts.masked(named),
                 "documents": [document.model_dump(mode="json") for document in event.documents]},
        sealed=_sealed([], named), actor=f"merchant/{event.account_id}", clause="REF-6",
        text=f"商家申请退还保证金 {Money(fen=event.amount_fen)} 至 {payouts.masked(named)}",
    )  # fmt: skip


def _named(event: RefundRequested | RefundPayeeCorrected) -> list[Payee]:
    """Every payee the merchant names, the first one first."""
    return [data.payee() for data in (event.payee, *event.other_payees)]


def _sealed(before: list[dict[str, Any]], named: list[Payee]) -> dict[str, Any]:
    """All payees ever sent, and how many of the last are those that count."""
    return {"payees": [*before, *(payee.model_dump(mode="json") for payee in named)], "named": len(named)}


def correct_payee(tx: Tx, event: RefundPayeeCorrected, message: InboxMessage) -> None:
    """The merchant sends another payee: taken while no payment is on its way."""
    case = own_open_case(tx, event.case_id, event.account_id, CaseKind.REFUND, "REF-3")
    if money_is_out(tx, case):
        raise Refused("款项正在打款途中,暂不能更正收款账户,请等待银行回执", "REF-3")
    named = _named(event)
    sealed = _sealed(opened_json(case, "request_sealed")["payees"], named)
    case.request_sealed = seal_json(sealed, place_in(case, "request_sealed"))
    case.request = {**case.request, "payee": payouts.masked(named)}
    tx.add(case)
    audit.record(tx, case.id, "refund.payee_corrected", actor=f"merchant/{event.account_id}", clause="REF-3", public=True,
                 text=f"商家更正收款账户为 {payouts.masked(named)}")  # fmt: skip
    for wait in (*cases.open_waits(tx, case.id, PAYEE), *cases.open_waits(tx, case.id, QUESTION)):
        cases.close_wait(tx, wait, WaitState.ANSWERED, {"text": f"更正为 {payouts.masked(named)}"})
        deadlines.stop(tx, case.id, wait.key)
    outbox.wake(tx, case)


def withdraw_request(tx: Tx, event: RefundWithdrawn, message: InboxMessage) -> None:
    """The merchant takes the application back, until the money has been handed to the bank."""
    case = own_open_case(tx, event.case_id, event.account_id, CaseKind.REFUND, "REF-6")
    if money_is_out(tx, case):
        raise Refused("款项正在打款途中,不能撤回", "REF-6")
    take_back(tx, case, event.account_id, message.received_at, QUESTION, PAYEE)


def money_is_out(tx: Tx, case: Case) -> bool:
    """Whether the bank has some of the money, or has paid all of it already and the case is about to end."""
    paid = payouts.of_case(tx, case.id)
    under_way = any(payout.state is PayoutState.REQUESTED for payout in paid)
    return under_way or (bool(paid) and not outstanding(tx, case))


# ── what the rules see ───────────────────────────────────────────────────────


def amount_of(case: Case) -> Money:
    return Money(fen=RefundAsked.of(case).amount_fen)


def payees_of(case: Case) -> list[Payee]:
    """The payees that count: those sent last, the first one first."""
    sealed = opened_json(case, "request_sealed")
    return [Payee.model_validate(payee) for payee in sealed["payees"][-sealed.get("named", 1) :]]


class Plan(Frozen):
    """What paying would do at this moment: arrears set off first, the rest shared out among accounts."""

    net: Net
    shares: tuple[Share, ...]


def outstanding(tx: Tx, case: Case) -> Money:
    """What the case has still to pay: all that was asked for, less what has been paid or is on its way.

    What was set off for arrears in an earlier turn is not asked for again: ``target_fen`` is the whole after it.
    """
    asked = RefundAsked.of(case)
    target = asked.amount_fen if asked.target_fen is None else asked.target_fen
    return Money(fen=max(0, target - payouts.total(payouts.of_case(tx, case.id), *payouts.OUT)))


def _books(tx: Tx, shop_id: str) -> BookFacts:
    """What our books say, with the bills that stand in the way of a refund and what of them is kept back (ambiguity 30)."""
    open_fen, _ = bills.open_now(tx, shop_id)
    told = {"bills_fen": open_fen, "kept_fen": bills.kept_back(tx, shop_id)}
    return shops.book_facts(tx, shop_id).model_copy(update=told)


def plan_now(tx: Tx, case: Case) -> Plan:
    shop = shop_of(tx, case)
    books = _books(tx, shop.id)
    net = policy_of_refund.net_refund(outstanding(tx, case), books)
    holder = Holder(entity=shop.entity_type, licence_name=shop.licence_name, owner_name=shop.owner_name)
    paid_in, otherwise = deposits.paid_in(tx, shop.id)
    shares = share_out(
        net.paid.fen, holder, payees_of(case), paid_in=paid_in, paid_back=payouts.paid_back(tx, shop.id),
        balance_fen=books.deposit_fen - net.set_off.fen, otherwise=otherwise,
    )  # fmt: skip
    return Plan(net=net, shares=shares)


def _documents(tx: Tx, case: Case) -> set[RefundDocument]:
    """The kinds of paper whose file is here, sent with the application or with an answer (ambiguity 26)."""
    kinds = papers.readable_kinds(tx, case)
    return {kind for kind in RefundDocument if kinds & {kind.value, kind.label}}


def findings_now(tx: Tx, case: Case) -> tuple[Finding, ...]:
    """What the rules find about the application at this moment (REF-2, REF-8, REF-9)."""
    shop = shop_of(tx, case)
    known, snapshot = shops.facts_of(tx, shop.id)
    closure = cases.last_concluded(tx, shop.id, CaseKind.CLOSURE, CaseState.CLOSED)
    found = policy_of_refund.refund_findings(
        known, snapshot.as_of if snapshot else None, _books(tx, shop.id), entity=shop.entity_type,
        documents=_documents(tx, case), payees=payees_of(case), judgement=judgement(plan_now(tx, case).shares),
        open_cases=Counter(other.kind for other in cases.open_cases(tx, shop.id, but=case.id)
                           if other.kind is not CaseKind.REFUND),
        exit_invoices_pending=bool(known and known.uninvoiced_fen), now=tx.now, policy=rules(case),
        written_off=closure.request.get("written_off", {}) if closure else {}, own_penalties=penalties.of_shop(tx, shop.id),
    )  # fmt: skip
    others = (*contradictions.findings(tx, shop.id), *papers.findings(tx, case, "REF-2"))
    return tuple(sorted((*others, *found), key=lambda finding: not finding.blocking))


# ── the steps of the story ───────────────────────────────────────────────────


@effect("受理退款申请")
def admit(tx: Tx, case: Case) -> Refusal | None:
    """Take the application up, or refuse it with the clause (REF-1, REF-6, REF-10)."""
    shop = shop_of(tx, case)
    others = [other for other in cases.open_cases(tx, shop.id, CaseKind.REFUND, but=case.id)
              if cases.comes_before(other, case)]  # fmt: skip
    refusal = policy_of_refund.refuse_application(
        requester=RefundAsked.of(case).account_id, owner=shop.owner_account_id, shop_state=shop.state,
        amount_fen=amount_of(case).fen, books=shops.book_facts(tx, shop.id), other_refund=others[0].id if others else None,
    )  # fmt: skip
    if refusal is not None:
        cases.refuse(tx, case, refusal)
        told = words.RefundRefused(
            shop_name=shop.name, case_id=case.id, amount_fen=amount_of(case).fen, received_at=case.received_at,
            grounds=(ground(refusal),), next_step="如有疑问请联系平台客服,并提供案件编号。",
        )  # fmt: skip
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
        shop_name=shop.name, case_id=case.id, amount_fen=amount_of(case).fen, payee=RefundAsked.of(case).payee,
        received_at=case.received_at, due=due.due, not_received=papers.absent(tx, shop.id, RefundAsked.of(case).documents),
    )  # fmt: skip
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
    wait = cases.open_wait(tx, case, key, QUESTION, question)
    if case.withdrawn_at is not None:  # taken back in the moment after the decision
        cases.close_wait(tx, wait, WaitState.CANCELLED)
        return key
    _start_merchant_deadline(tx, case, key, QUESTION)
    cases.move(tx, case, CaseState.AWAITING_MERCHANT, "等待商家补充", clause="REF-2")
    shop = shop_of(tx, case)
    missing = policy_of_refund.missing_documents(shop.entity_type, _documents(tx, case), rules(case))
    deadline = deadlines.find(tx, case.id, key)
    told = words.RefundQuestion(
        shop_name=shop.name, case_id=case.id, missing=tuple(paper.label for paper in missing), question=question,
        due=deadline.due_at if deadline else tx.now,
    )  # fmt: skip
    merchants.tell(tx, told, f"{case.id}/question/{round}", case=case)
    return key


def _start_merchant_deadline(tx: Tx, case: Case, key: str, kind: str) -> None:
    due = reckon(tx.now, rules(case).refund.documents, "REF-2", work_calendar())
    hours = list(rules(case).reminders.merchant_hours_before)
    deadlines.start(tx, case, key, kind, Side.MERCHANT, due, reminder_times(due.due, hours, tx.now))


@effect("商家已补充,恢复审核")
def resume_review(tx: Tx, case: Case, round: int) -> None:
    cases.move(tx, case, CaseState.UNDER_REVIEW, "继续审核", clause="REF-7")


@effect("逾期未补充,结束申请")
def lapse(tx: Tx, case: Case, key: str) -> None:
    """Silence ends the application; a new one can be made at any time (REF-11)."""
    wait, deadline = cases.find_wait(tx, case.id, key), deadlines.find(tx, case.id, key)
    if wait is None or deadline is None:
        raise LookupError(f"{case.id} has no question {key}")
    told = words.RefundQuestionLapsed(
        shop_name=shop_of(tx, case).name, case_id=case.id, question=wait.question, due=deadline.due_at
    )
    merchants.tell(tx, told, f"{case.id}/lapsed", case=case)
    cases.conclude(tx, case, CaseState.LAPSED, "商家逾期未补充,本次申请关闭,保证金仍在账上,可重新申请", clause="REF-2")


@effect("驳回退款申请")
def reject(tx: Tx, case: Case, reason: str) -> None:
    told = words.RefundRejected(
        shop_name=shop_of(tx, case).name, case_id=case.id, amount_fen=amount_of(case).fen, decided_at=tx.now,
        reason=reason,
    )  # fmt: skip
    merchants.tell(tx, told, f"{case.id}/rejected", case=case)
    cases.conclude(tx, case, CaseState.REJECTED, f"审核未通过:{reason}", clause="REF-2")


def second_person_reasons(tx: Tx, case: Case) -> tuple[str, ...]:
    """Why a second finance person must look, a sentence each (ambiguity 6)."""
    shop, plan = shop_of(tx, case), plan_now(tx, case)
    return policy_of_refund.needs_second_person(
        plan.net.paid, judgement(plan.shares), findings_now(tx, case), rules(case),
        promised=payouts.promised(tx, shop.id, shop.closed_at or case.received_at),
    )  # fmt: skip


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
    payouts.grant(tx, case, plan_now(tx, case).shares, [str(review.decided_by) for review in given])
    return True


def _approvals(tx: Tx, case: Case, round: int) -> list[Review]:
    return [review for gate in (REVIEW, SECOND) if (review := decided(tx, case.id, gate.name, round))]


def _approved(tx: Tx, case: Case, given: list[Review]) -> bool:
    """Whether the application still stands, enough people said yes, and all of them saw what is so now (ambiguity 23)."""
    if case.withdrawn_at is not None or policy_of_refund.not_to_be_overridden(findings_now(tx, case)):
        return False
    enough = len(given) > 1 or not second_person_reasons(tx, case)
    return enough and approvals.stand(given, _dossier(tx, case, given[-1]).seen)


@effect("提交银行打款")
def pay(tx: Tx, case: Case, round: int, turn: int) -> bool:
    """Use the permits: arrears are set off, the rest is reserved and the bank instructed, in one transaction.

    ``False`` if the facts have changed since the permits were given: then they are taken away and nothing is paid.
    """
    if not _approved(tx, case, _approvals(tx, case, round)):
        payouts.revoke(tx, case)
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
        shop_name=shop.name, case_id=case.id, amount_fen=plan.net.paid.fen, payee=_payees(paid), set_off_fen=set_off.fen,
        shares=_share_lines(paid), approved_at=tx.now, due=deadline.due_at if deadline else tx.now,
    )  # fmt: skip
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
        shop_name=shop_of(tx, case).name, case_id=case.id, amount_fen=whole.fen, payee=_payees(paid),
        shares=_share_lines(paid), settled_at=max(payout.answered_at or tx.now for payout in paid),
    )  # fmt: skip
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
    wait = cases.open_wait(tx, case, key, PAYEE, "更正收款账户")
    if case.withdrawn_at is not None:
        cases.close_wait(tx, wait, WaitState.CANCELLED)
        return key
    refused = {permit.payee_sha256 for payout in back if (permit := payouts.permit_of(tx, payout))}
    if refused.isdisjoint(payouts.payee_hash(share.payee) for share in plan_now(tx, case).shares):
        cases.close_wait(tx, wait, WaitState.ANSWERED, {"text": "商家已先行更正"})
        return key
    _start_merchant_deadline(tx, case, key, PAYEE)
    cases.move(tx, case, CaseState.AWAITING_MERCHANT, "等待商家更正收款账户", clause="REF-3")
    deadline = deadlines.find(tx, case.id, key)
    told = words.RefundPayeeNeeded(
        shop_name=shop_of(tx, case).name, case_id=case.id, amount_fen=sum(payout.amount_fen for payout in back),
        payee=_payees(back), bank_reason="、".join(dict.fromkeys(one.bank_reason or one.state.label for one in back)),
        answer_by=deadline.due_at if deadline else None,
    )  # fmt: skip
    merchants.tell(tx, told, f"{case.id}/payee-needed/{turn}", case=case)
    return key


@effect("终止退款")
def abandon(tx: Tx, case: Case, reason: str) -> None:
    """Finance ends it; the money stays in the deposit and may be asked for again."""
    told = words.RefundRejected(
        shop_name=shop_of(tx, case).name, case_id=case.id, amount_fen=amount_of(case).fen, decided_at=tx.now,
        reason=reason,
    )  # fmt: skip
    merchants.tell(tx, told, f"{case.id}/abandoned", case=case)
    cases.conclude(tx, case, CaseState.ABANDONED, f"退款终止,未退还的款项仍在保证金账户:{reason}", clause="REF-7")


@effect("撤回退款申请")
def withdraw(tx: Tx, case: Case) -> None:
    cases.conclude(tx, case, CaseState.WITHDRAWN, "商家已撤回退款申请,未退还的保证金仍在账上", clause="REF-6")


# ── what reviewers see ───────────────────────────────────────────────────────


def _dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    shop, findings, plan = shop_of(tx, case), findings_now(tx, case), plan_now(tx, case)
    deadline = deadlines.find(tx, case.id, DUE)
    balance = shop_balance(tx, shop.id, AccountKind.DEPOSIT)
    named = payees_of(case)
    asked = dossier.table(
        {
            "申请金额": f"**{amount_of(case)}**",
            "保证金余额": str(balance),
            "收款账户": dossier.plain(payouts.masked(named)),
            "收款户名": dossier.plain("、".join(dict.fromkeys(payee.name for payee in named))),
            "开户行": dossier.plain("、".join(dict.fromkeys(filter(None, (payee.bank_name for payee in named)))))
            or "—",
            "关店时间": dossier.when(shop.closed_at),
            "到账时限": f"{dossier.when(deadline.due_at if deadline else None)}(REF-3,7 个工作日)",
        }
    )
    history = "\n".join(
        f"- 第 {row.attempt} 笔:{Money(fen=row.amount_fen)} 至 {row.payee_masked},{row.state.label} "
        f"{dossier.plain(row.bank_reason)}({dossier.when(row.answered_at)})"
        for row in payouts.of_case(tx, case.id)
    )
    reasons = "\n".join(f"- {dossier.plain(reason)}" for reason in second_person_reasons(tx, case))
    first = decided(tx, case.id, REVIEW.name, review.round) if review.gate == SECOND.name else None
    said = f"{first.decided_by}:同意退还。\n{dossier.quoted(first.reason)}" if first else ""
    now = Seen.of(
        {
            "amount": amount_of(case).fen, "balance": balance.fen, "set_off": plan.net.set_off.fen, "shop": shop.state,
            "shares": [[payouts.payee_hash(share.payee), share.fen] for share in plan.shares],
        },
        findings,
    )  # fmt: skip
    return dossier.assemble(
        f"退保证金 · {dossier.plain(shop.name)} · {case.id}",
        (approvals.SINCE, approvals.changes_part(tx, case, review, now, _TERMS)),
        ("将发生什么", _preview(plan, outstanding(tx, case), balance)), ("申请", asked), ("店铺", shop_part(tx, shop)),
        ("检查结果", dossier.findings_table(findings)), ("需要第二人复核的原因", reasons), ("第一位审核人意见", said),
        ("申请材料", papers.part(tx, case, review) or "**商家没有提交任何材料。**"), ("打款记录", history),
        ("补充往来", answers_part(tx, case)),
        facts=now.terms, blocking=now.blocking, links_until=papers.links_until(tx, case, review),
    )  # fmt: skip


_TERMS = {
    "amount": "退款金额", "balance": "保证金余额", "set_off": "抵扣的欠款", "shares": "收款账户与分配", "shop": "店铺状态",
}  # fmt: skip


def _preview(plan: Plan, asked: Money, balance: Money) -> str:
    """What approving does to the money: set off, paid, to whom, and what stays."""
    if plan.net.kept:
        kept = f"另留存 **{plan.net.kept}**,对应未开票账单应冻结的部分(INV-7),开票后可再申请退还。"
        return f"{_preview(plan.model_copy(update={'net': plan.net.model_copy(update={'kept': Money()})}), asked, balance)}{kept}"
    after = f"退后保证金余额 **{_after(balance, Money(fen=plan.net.set_off.fen + plan.net.paid.fen))}**。"
    if asked.fen > balance.fen or not plan.shares:
        return f"待退还 **{asked}**,保证金余额 {balance},**余额不足**,不能同意退还。"
    what = f"同意后将{plan.net.text()}" if plan.net.set_off else f"同意后将退还 **{plan.net.paid}**"
    if len(plan.shares) == 1:
        return f"{what} 至 **{dossier.plain(plan.shares[0].payee.masked)}**,{after}"
    lines = [
        f"- **{share.amount}** 至 **{dossier.plain(share.payee.masked)}**(户名 {dossier.plain(share.payee.name)})"
        for share in plan.shares
    ]
    return f"{what},分 {len(lines)} 笔原路或按规则退至:\n\n" + "\n".join(lines) + f"\n\n{after}"


def _after(balance: Money, amount: Money) -> str:
    return str(Money(fen=balance.fen - amount.fen)) if balance.fen >= amount.fen else "余额不足"


def _may_be_paid(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    if given.verdict not in {RefundVerdict.APPROVE, SecondVerdict.CONFIRM, ReturnVerdict.AGAIN}:
        return None
    shop = shop_of(tx, case)
    if shop.state is ShopState.FORCED_CLOSED:
        return "店铺已被强制关闭,保证金不予退还,请驳回申请(REF-10)"
    needed = rules(case).refund.required_documents[shop.entity_type]
    if unreadable := papers.refusal(tx, case, "REF-2", {word for kind in needed for word in (kind.value, kind.label)}):
        return unreadable
    balance, asked = shop_balance(tx, shop.id, AccountKind.DEPOSIT), outstanding(tx, case)
    if asked.fen > balance.fen:
        return f"申请金额 {asked} 超过保证金余额 {balance},不能同意退还(REF-8)"
    findings = findings_now(tx, case)
    if never := policy_of_refund.not_to_be_overridden(findings):
        return f"以下情况解决前不能同意退还:{''.join(finding.sentence for finding in never)}({never[0].clause})"
    if not plan_now(tx, case).shares:
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
    name="refund-review", title="退保证金审核", roles=(Role.FINANCE,), verdicts=RefundVerdict, dossier=_dossier,
    window=_window, clause="REF-7", check=_may_be_paid,
    reason_required=frozenset({RefundVerdict.ASK, RefundVerdict.REJECT}),
    consequences={
        "APPROVE": "按上方预览打款(需要时先由第二人复核)",
        "ASK": "把理由作为问题发给商家,限期补充,逾期则关闭申请",
        "REJECT": "结束申请,理由会告知商家,保证金不动",
    },
)  # fmt: skip

SECOND = Gate(
    name="refund-second", title="退保证金复核", roles=(Role.FINANCE,), verdicts=SecondVerdict, dossier=_dossier,
    window=_window, clause="REF-7", check=_may_be_paid, reason_required=frozenset({SecondVerdict.REJECT}),
    consequences={"CONFIRM": "按上方预览打款", "REJECT": "结束申请,理由会告知商家,保证金不动"},
    excluded=lambda tx, case: last_decider(tx, case, REVIEW.name), rests_on=REVIEW.name,
)  # fmt: skip

RETURNED = Gate(
    name="refund-returned", title="退票处理", roles=(Role.FINANCE,), verdicts=ReturnVerdict, dossier=_dossier,
    window=_window, clause="REF-3", reason_required=frozenset({ReturnVerdict.ABANDON}), check=_not_after_a_ban,
    consequences={
        "ASK_PAYEE": "请商家限期更正收款账户,收到后重新审核",
        "AGAIN": "收款账户不变,重新进入审核后再次打款",
        "ABANDON": "结束申请,款项留在保证金账户",
    },
)  # fmt: skip


# ── when time passes ─────────────────────────────────────────────────────────


def _remind_early(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    message = operations.RefundEarlyReminder(
        case_id=case.id, subject=case.subject, amount_fen=amount_of(case).fen, received_at=case.received_at,
        due=deadline.due_at, link=reviews.link_to(case),
    )  # fmt: skip
    reviews.notify_staff(tx, Role.FINANCE, message, f"{case.id}/early", case)


def _late(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    message = operations.RefundOverdue(
        case_id=case.id, subject=case.subject, amount_fen=amount_of(case).fen, due=deadline.due_at,
        hours_late=hours_between(deadline.due_at, tx.now), link=reviews.link_to(case),
    )  # fmt: skip
    reviews.notify_staff(tx, Role.SUPERVISOR, message, f"{case.id}/overdue/{deadline.escalations}", case)
    told = words.RefundLate(
        shop_name=shop_of(tx, case).name, case_id=case.id, amount_fen=amount_of(case).fen, due=deadline.due_at
    )
    key = f"{case.id}/{deadline.key}/remind/late"  # said once, and not at all when it is paid before the morning
    merchants.tell(tx, told, key, case=case, not_before=merchants.awake(tx, case))


def _remind_payee(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    merchants.remind(
        tx, case, deadline, matter="更正退款收款账户", silence="逾期未更正,本次申请将关闭,保证金仍保留在账户中。"
    )


def _payee_lapsed(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    wait = cases.find_wait(tx, case.id, deadline.key)
    if wait is not None:
        cases.close_wait(tx, wait, WaitState.LAPSED)


def _may_send(tx: Tx, case: Case) -> Iterable[str]:
    if case.concluded_at is None and case.withdrawn_at is None and not money_is_out(tx, case):
        yield "refund.payee_corrected"  # REF-3
        yield "refund.withdrawn"  # REF-6


PROCESS = Process(
    name="refund",
    kind=CaseKind.REFUND,
    request=RefundAsked,
    clause="REF-2",
    hears={RefundRequested: request, RefundPayeeCorrected: correct_payee, RefundWithdrawn: withdraw_request},
    asks=(REVIEW, SECOND, RETURNED),
    clocks={
        DUE: deadlines.Kind(remind=_remind_early, due=_late, late_text="退款已超过 7 个工作日,已升级至主管"),
        PAYEE: deadlines.Kind(remind=_remind_payee, due=_payee_lapsed),
    },
    waits={PAYEE: "商家更正收款账户"},
    may_send=_may_send,
    proves=refund_proof.check,
)
