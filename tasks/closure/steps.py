"""关店, step by step (CLS)."""

from __future__ import annotations

from collections.abc import Sequence

from models.base import Labelled
from models.books import AccountKind
from models.cases import Case, CaseKind, CaseState, Finding, Side, WaitState
from models.closure_events import ExitInvoiceOpened, ShopClearing, ShopClosed
from models.outcomes import Refusal
from models.shops import Capability, ShopState
from notifications import closure as words
from office.base.calendar import work_calendar
from office.base.db import Tx, in_transaction, reading
from office.cases import approvals, cases, deadlines, merchants
from office.cases.cases import emit, rules
from office.cases.effects import effects_of
from office.cases.locks import lock_case
from office.cases.merchants import ground, shop_of
from office.money.ledger import shop_balance
from policies import closure as policy_of_closure
from policies.deadlines import reckon, reminder_times
from policies.obstacles import NEVER_WRITTEN_OFF, Obstacle, forgiven_of
from policies.policy import SHANGHAI
from tasks.closure.findings import books, findings_now, others
from tasks.closure.request import ClosureAsked
from tasks.closure.review import OVERRIDE, REVIEW, ClosureVerdict, OverrideVerdict, seen_of
from tasks.invoicing import exit_duty, exit_invoices
from tasks.shops import capabilities, demands, facts, owed, shops, states
from tasks.shops.questions import QUESTION, ask, asked
from tasks.shops.shops import FACTS

effect = effects_of("closures")

EXIT_INVOICE = "exit-invoice"
CLEARING = "clearing"


class Approved(Labelled):
    """What has become of an approval by the time it is acted on."""

    STANDS = "STANDS", "有效,已开始清算"
    TAKEN_BACK = "TAKEN_BACK", "申请已撤回或已终止"
    FACTS_CHANGED = "FACTS_CHANGED", "事实已变化,须重新审核"


# ── the steps of the story ───────────────────────────────────────────────────


@effect("受理关店申请")
def admit(tx: Tx, case: Case) -> Refusal | None:
    """Take the request up, or refuse it with the clause (CLS-3, CLS-4, CLS-10)."""
    shop = shop_of(tx, case)
    reason = ClosureAsked.of(case).reason
    earlier = {
        kind: other.id
        for kind in (CaseKind.CLOSURE, CaseKind.FORCED_CLOSURE)
        for other in cases.open_cases(tx, shop.id, kind, but=case.id)
        if cases.comes_before(other, case)
    }
    refusal = policy_of_closure.refuse_request(
        requester=ClosureAsked.of(case).account_id,
        owner=shop.owner_account_id,
        reason=reason,
        reason_text=ClosureAsked.of(case).reason_text,
        shop_state=shop.state,
        other_closure=earlier.get(CaseKind.CLOSURE),
        proposed_ban=earlier.get(CaseKind.FORCED_CLOSURE),
    )
    if refusal is not None:
        cases.refuse(tx, case, refusal)
        told = words.ClosureRefused(
            shop_name=shop.name,
            case_id=case.id,
            received_at=case.received_at,
            grounds=(ground(refusal),),
            next_step="如有疑问请联系平台客服,并提供案件编号。",
        )
        merchants.tell(tx, told, f"{case.id}/refused", case=case)
        return refusal
    cases.move(tx, case, CaseState.UNDER_REVIEW, "已受理,等待平台审核", clause="CLS-5")
    due = policy_of_closure.exit_invoice_due(case.received_at, rules(case), work_calendar())
    hours = list(rules(case).reminders.merchant_hours_before)
    deadlines.start(tx, case, EXIT_INVOICE, EXIT_INVOICE, Side.MERCHANT, due, reminder_times(due.due, hours, tx.now))
    opened = ExitInvoiceOpened(
        shop_id=shop.id,
        case_id=case.id,
        year=case.received_at.astimezone(SHANGHAI).year,
        due_at=due.due,
        clause="CLS-8",
    )
    emit(tx, opened, f"{case.id}/exit-invoice", case)
    exit_invoices.open_obligation(tx, case, shop, due)
    review_due = reckon(tx.now, rules(case).closure.review_sla, "CLS-5", work_calendar())
    told_received = words.ClosureReceived(
        shop_name=shop.name,
        case_id=case.id,
        reason=reason.label,
        reason_text=ClosureAsked.of(case).reason_text,
        received_at=case.received_at,
        exit_invoice_due=due.due,
        review_due=review_due.due,
    )
    merchants.tell(tx, told_received, f"{case.id}/received", case=case)
    return None


@effect("检查关店条件")
def check(tx: Tx, case: Case, round: int) -> None:
    """Record what the rules find before a person is asked."""
    cases.keep_findings(tx, case, f"closure/{round}", findings_now(tx, case))
    facts.want(tx, case)  # asked for early, they may be there before anybody has decided


@effect("请商家补充")
def ask_merchant(tx: Tx, case: Case, round: int, question: str) -> str:
    """Ask the merchant to complete something; silence will close the request, and they are told so."""
    key = f"{QUESTION}/{round}"
    if due := ask(tx, case, key, question, rules(case).closure.ask, "CLS-5"):
        told = words.ClosureQuestion(shop_name=shop_of(tx, case).name, case_id=case.id, question=question, due=due)
        merchants.tell(tx, told, f"{case.id}/question/{round}", case=case)
    return key


@effect("商家已补充,恢复审核")
def resume_review(tx: Tx, case: Case, round: int) -> None:
    cases.move(tx, case, CaseState.UNDER_REVIEW, "商家已补充,继续审核", clause="CLS-5")


@effect("逾期未补充,结束申请")
def lapse(tx: Tx, case: Case, round: int) -> None:
    """Silence closes the request (told beforehand)."""
    question, due = asked(tx, case, f"{QUESTION}/{round}")
    told = words.ClosureQuestionLapsed(shop_name=shop_of(tx, case).name, case_id=case.id, question=question, due=due)
    merchants.tell(tx, told, f"{case.id}/lapsed", case=case)
    cases.conclude(tx, case, CaseState.LAPSED, "商家逾期未补充,本次申请关闭,可重新提交", clause="CLS-5")


@effect("驳回申请")
def reject(tx: Tx, case: Case, reason: str) -> None:
    approvals.insist_last(tx, case, (REVIEW, ClosureVerdict.REJECT), (OVERRIDE, OverrideVerdict.REJECT))
    told = words.ClosureRejected(shop_name=shop_of(tx, case).name, case_id=case.id, decided_at=tx.now, reason=reason)
    merchants.tell(tx, told, f"{case.id}/rejected", case=case)
    cases.conclude(tx, case, CaseState.REJECTED, f"审核未通过:{reason}", clause="CLS-5")


@effect("提交主管复核", kept_as="needs_override")
def to_override(tx: Tx, case: Case, round: int) -> bool:
    """To a supervisor, if approving sets blocking findings aside (ambiguity 22); ``False`` if it does not."""
    blocking = any(finding.blocking for finding in findings_now(tx, case))
    if blocking:
        cases.move(tx, case, CaseState.SECOND_REVIEW, "等待主管复核", clause="CLS-7")
    return blocking


@effect("开始清算")
def start_clearing(tx: Tx, case: Case, round: int, written_off: bool) -> Approved:
    """The shop is being cleared from now on, if everybody who approved has seen what stands now (ambiguity 23).

    What is written off is what both have seen, as far as it stands now.
    """
    if case.state is CaseState.CLEARING:
        return Approved.STANDS
    if case.withdrawn_at is not None or case.concluded_at is not None:
        return Approved.TAKEN_BACK
    given = approvals.insist(tx, case, round, (REVIEW, ClosureVerdict.APPROVE), (OVERRIDE, OverrideVerdict.CONFIRM))
    forgives = written_off and bool(given and given[-1].answer.get("write_off"))
    now = seen_of(tx, case, findings_now(tx, case))
    if not given or (now.blocking and len(given) < 2) or not approvals.stand(tx, given, now):  # ambiguity 23
        return Approved.FACTS_CHANGED
    facts.insist(tx, case)
    shop = shop_of(tx, case)
    before = shop.state
    states.put(tx, shop, ShopState.CLEARING)
    demands.end_for_closing(tx, shop.id, "CLS-9")
    forgiven = {one.code: forgiven_of(one) for one in now.blocking if one.code not in NEVER_WRITTEN_OFF and forgives}
    case.request = {
        **case.request,
        "written_off": forgiven,
        "approved_at": tx.now.isoformat(),
        "shop_before": before.value,
    }
    cases.move(tx, case, CaseState.CLEARING, "审核通过,开始清算", clause="CLS-9", written_off=forgiven)
    cases.open_wait(tx, case, CLEARING, FACTS)
    window = rules(case).closure.clearing_reminder_every
    drag = reckon(tx.now, window, "CLS-9", work_calendar())
    deadlines.start(tx, case, CLEARING, CLEARING, Side.PLATFORM, drag)
    emit(tx, ShopClearing(shop_id=shop.id, case_id=case.id, since=tx.now), f"{case.id}/clearing", case)
    invoice = deadlines.find(tx, case.id, EXIT_INVOICE)
    told = words.ClosureApprovedClearing(
        shop_name=shop.name,
        case_id=case.id,
        requested_at=case.received_at,
        approved_at=tx.now,
        shut_off=tuple(capability.label for capability in Capability),
        exit_invoice_due=invoice.due_at if invoice else tx.now,
    )
    merchants.tell(tx, told, f"{case.id}/approved", case=case)
    return Approved.STANDS


@effect("事实变化,重新审核")
def review_again(tx: Tx, case: Case, round: int) -> None:
    if case.concluded_at is None:  # a forced closure may have been faster
        cases.move(tx, case, CaseState.UNDER_REVIEW, "事实发生变化,重新审核", clause="CLS-7")


@effect("关闭店铺能力")
def shut_off(tx: Tx, case: Case, capability: Capability) -> None:
    """Shut one capability off (CLS-1)."""
    capabilities.disable(tx, case, shop_of(tx, case), capability)


def remaining(tx: Tx, case: Case) -> tuple[Finding, ...]:
    """What still keeps the shop from being CLOSED (CLS-9, ambiguity 22)."""
    shop = shop_of(tx, case)
    known, snapshot = shops.facts_of(tx, shop.id)
    wait = cases.find_wait(tx, case.id, CLEARING)
    return policy_of_closure.clearing_remaining(
        known,
        snapshot.as_of if snapshot else None,
        books(tx, case),
        open_cases=others(tx, case),
        exit_invoices=exit_duty.pending(tx, case),
        now=tx.now,
        written_off=ClosureAsked.of(case).extents,
        shut_off_at=wait.opened_at if wait else None,
        policy=rules(case),
    )


def cleared(case_id: str) -> bool:
    """Whether nothing keeps the shop from being CLOSED any more, or the closing is over."""
    with reading() as tx:
        case = cases.get(tx, case_id)
        return _over(case) or not remaining(tx, case)


def close(case_id: str) -> bool:
    """CLOSED, if nothing is left; ``False`` while something is. Facts that have grown too old are asked for.

    It happens in the transaction that finds nothing left, so no fact can change in between. A closing that is over stays
    as it is.
    """

    def work(tx: Tx) -> bool:
        case = lock_case(tx, case_id)
        if _over(case):
            return True
        exit_invoices.notice(tx, case)
        if left := remaining(tx, case):
            if needs_facts(left):
                facts.want(tx, case)
            return False
        _close(tx, case)
        return True

    with reading() as tx:  # most wake-ups find something left: look before taking the lock
        case = cases.get(tx, case_id)
        if not _over(case) and (left := remaining(tx, case)) and not needs_facts(left):
            return False
    return in_transaction(work)


def _over(case: Case) -> bool:
    return case.concluded_at is not None or case.withdrawn_at is not None


def needs_facts(left: Sequence[Finding]) -> bool:
    """Whether it is the age of the facts that keeps the shop from being CLOSED, whatever else does."""
    return any(finding.code in {Obstacle.FACTS_UNKNOWN, Obstacle.FACTS_STALE} for finding in left)


def _close(tx: Tx, case: Case) -> None:
    """CLOSED: starts the refund's seven working days and the six months until reopening (CLS-6, REO-1)."""
    shop = shop_of(tx, case)
    shop.closed_at = tx.now
    shop.reopen_from = reopen_from = policy_of_closure.reopen_from(tx.now, rules(case))
    states.put(tx, shop, ShopState.CLOSED)
    closed = ShopClosed(shop_id=shop.id, case_id=case.id, closed_at=tx.now, reopen_from=reopen_from)
    emit(tx, closed, f"{case.id}/closed", case)
    told = words.ShopClosed(
        shop_name=shop.name,
        case_id=case.id,
        closed_at=tx.now,
        reopen_from=reopen_from,
        refundable_fen=shop_balance(tx, shop.id, AccountKind.DEPOSIT).fen,
    )
    merchants.tell(tx, told, f"{case.id}/closed", case=case)
    deadlines.stop(tx, case.id, CLEARING)
    deadlines.stop(tx, case.id, EXIT_INVOICE)
    wait = cases.find_wait(tx, case.id, CLEARING)
    if wait is not None:
        cases.close_wait(tx, wait, WaitState.ANSWERED)
    cases.conclude(tx, case, CaseState.CLOSED, "清算完成,店铺已关闭", clause="CLS-6")


@effect("撤回关店")
def withdraw(tx: Tx, case: Case) -> None:
    """Give back what was shut off and end the case; the shop goes on as before, also one that may do nothing (DEP-10)."""
    if case.concluded_at is not None:  # a forced closure was faster
        return
    shop = shop_of(tx, case)
    restored: list[Capability] = []
    if shop.state is ShopState.CLEARING:
        states.put(tx, shop, ClosureAsked.of(case).shop_before or ShopState.OPEN)
        restored = capabilities.restore(tx, case, shop) if shop.state is ShopState.OPEN else []
    awaits_deposit = shop.state is ShopState.AWAITING_DEPOSIT and not owed.opens(tx, shop)
    told = words.ClosureWithdrawn(
        shop_name=shop.name,
        case_id=case.id,
        withdrawn_at=case.withdrawn_at or tx.now,
        restored=tuple(capability.label for capability in restored),
        awaits_deposit=awaits_deposit,
    )
    merchants.tell(tx, told, f"{case.id}/withdrawn", case=case)
    text = f"商家已撤回关店申请,店铺{'仍待缴足保证金' if awaits_deposit else '恢复营业'}"
    cases.conclude(tx, case, CaseState.WITHDRAWN, text, clause="CLS-6")
    demands.look(tx, shop)
