"""Closing a shop: what each step of the story does to the shop, the case and the merchant (CLS)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from models.base import Labelled
from models.books import AccountKind
from models.cases import (
    Case,
    CaseDeadline,
    CaseKind,
    CaseState,
    DeadlineState,
    Finding,
    Side,
    WaitState,
)
from models.deposits import BookFacts
from models.events import (
    ClosureRequested,
    ClosureWithdrawn,
    ExitInvoiceOpened,
    MerchantAnswered,
    ShopClearing,
    ShopClosed,
)
from models.messages import InboxMessage
from models.outcomes import Refusal
from models.reviews import Review, Role
from models.shops import Capability, Shop, ShopState
from models.text import has_text
from notifications import closure as words
from notifications.message import Ground
from office.base.calendar import work_calendar
from office.base.db import Tx, in_transaction, reading
from office.cases import approvals, cases, deadlines, dossier, merchants
from office.cases.cases import emit, rules
from office.cases.effects import effects_of
from office.cases.locks import lock_case
from office.cases.merchants import ground, shop_of
from office.cases.reviews import Answer, Dossier, Gate, decided, last_decider
from office.files import papers
from office.money.ledger import shop_balance
from office.process import Process, office
from office.record import audit, outbox
from office.record.inbox import Refused
from policies import closure as policy_of_closure
from policies.approvals import Seen
from policies.deadlines import in_time, reckon, reminder_times
from policies.gates import NEVER_WRITTEN_OFF
from policies.gates import Gate as Gates
from policies.masking import mask_accounts
from policies.policy import SHANGHAI
from tasks.closure.request import ClosureAsked
from tasks.invoicing import bills, exit_invoices
from tasks.shops import capabilities, demands, facts, shops
from tasks.shops.shops import FACTS

effect = effects_of("closures")

EXIT_INVOICE = "exit-invoice"
QUESTION = "merchant-answer"
CLEARING = "clearing"


class ClosureVerdict(Labelled):
    APPROVE = "APPROVE", "同意关店"
    ASK = "ASK", "要求商家补充"
    REJECT = "REJECT", "驳回申请"


class OverrideVerdict(Labelled):
    CONFIRM = "CONFIRM", "确认放行"
    REJECT = "REJECT", "驳回申请"


class Approved(Labelled):
    """What has become of an approval by the time it is acted on."""

    STANDS = "STANDS", "有效,已开始清算"
    TAKEN_BACK = "TAKEN_BACK", "申请已撤回或已终止"
    FACTS_CHANGED = "FACTS_CHANGED", "事实已变化,须重新审核"


# ── how a closure begins ─────────────────────────────────────────────────────


def request(tx: Tx, event: ClosureRequested, message: InboxMessage) -> None:
    """A merchant asks; everything asked for becomes a case, also what will be refused (CLS-3, CLS-4)."""
    shop = shops.find_shop(tx, event.shop_id)
    cases.open_case(
        tx, CaseKind.CLOSURE, origin=f"{message.source}/{message.message_id}", received_at=message.received_at, shop=shop,
        request={"account_id": event.account_id, "reason": event.reason, "reason_text": mask_accounts(event.reason_text)},
        actor=f"merchant/{event.account_id}", clause="CLS-4", text=f"商家申请关店:{event.reason.label}",
    )  # fmt: skip


def withdraw_request(tx: Tx, event: ClosureWithdrawn, message: InboxMessage) -> None:
    """The merchant takes it back, until the shop is CLOSED."""
    case = own_open_case(tx, event.case_id, event.account_id, CaseKind.CLOSURE, "CLS-6")
    take_back(tx, case, event.account_id, message.received_at, QUESTION)


def take_back(tx: Tx, case: Case, account_id: str, at: datetime, *awaited: str) -> None:
    """Note that the merchant has taken the request back; what was ``awaited`` from them no longer is."""
    if case.withdrawn_at is None:
        case.withdrawn_at = at
        tx.add(case)
        audit.record(tx, case.id, "case.withdrawal", actor=f"merchant/{account_id}", text="商家撤回申请", public=True)
        for wait in [wait for kind in awaited for wait in cases.open_waits(tx, case.id, kind)]:
            cases.close_wait(tx, wait, WaitState.CANCELLED)
            deadlines.stop(tx, case.id, wait.key, DeadlineState.CANCELLED)
    outbox.wake(tx, case)


def own_open_case(tx: Tx, case_id: str, account_id: str, kind: CaseKind | None, clause: str) -> Case:
    """The case a merchant speaks about, locked; refuses one that is not theirs or has ended."""
    found = tx.get(Case, case_id)
    if found is None or (kind is not None and found.kind is not kind):
        raise Refused(f"案件 {case_id} 不存在", clause)
    case = lock_case(tx, case_id)
    if shop_of(tx, case).owner_account_id != account_id:
        raise Refused("只有店铺的主账号可以操作该案件", clause)
    if case.concluded_at is not None:
        label = case.outcome.label if case.outcome else ""
        raise Refused(f"案件 {case_id} 已办结({label}),不再受理", clause)
    return case


def clause_of_answers(tx: Tx, case_id: str) -> str:
    """The clause of what was asked last, else of the kind of case; of nothing we know, the one of asking at all."""
    case = tx.get(Case, case_id)
    if case is None:
        return "CLS-5"
    asked = [found.clause for wait in cases.waits(tx, case.id, QUESTION)
             if (found := deadlines.find(tx, case.id, wait.key)) is not None]  # fmt: skip
    return asked[-1] if asked else office().kinds[case.kind].clause


def answer(tx: Tx, event: MerchantAnswered, message: InboxMessage) -> None:
    """The merchant answers what a case asked; in time is what reached the door by the due time."""
    case = own_open_case(tx, event.case_id, event.account_id, None, clause_of_answers(tx, event.case_id))
    waits = cases.open_waits(tx, case.id, QUESTION)
    if not waits:
        raise Refused(f"案件 {case.id} 当前没有需要商家补充的事项", clause_of_answers(tx, case.id))
    wait = waits[0]
    deadline = deadlines.find(tx, case.id, wait.key)
    if deadline is not None and not in_time(message.received_at, deadline.due_at):
        raise Refused("补充期限已过,案件将按期限规则处理", deadline.clause)
    documents = [document.model_dump(mode="json") for document in event.documents]
    cases.close_wait(tx, wait, WaitState.ANSWERED, {"text": mask_accounts(event.text), "documents": documents})
    deadlines.stop(tx, case.id, wait.key)
    absent = papers.absent(tx, case.shop_id or "", documents)
    text = "商家已补充材料" + (f",其中未收到文件(请上传):{'、'.join(absent)}" if absent else "")
    audit.record(
        tx, case.id, "merchant.answered", actor=f"merchant/{event.account_id}", text=text, public=True, wait=wait.key,
        documents=len(documents),
    )  # fmt: skip
    outbox.wake(tx, case)


# ── the steps of the story ───────────────────────────────────────────────────


@effect("受理关店申请")
def admit(tx: Tx, case: Case) -> Refusal | None:
    """Take the request up, or refuse it with the clause (CLS-3, CLS-4, CLS-10)."""
    shop = shop_of(tx, case)
    reason = ClosureAsked.of(case).reason
    others = [*cases.open_cases(tx, shop.id, CaseKind.CLOSURE, but=case.id),
              *cases.open_cases(tx, shop.id, CaseKind.FORCED_CLOSURE)]  # fmt: skip
    earlier = [other for other in others if cases.comes_before(other, case)]
    refusal = policy_of_closure.refuse_request(
        requester=ClosureAsked.of(case).account_id, owner=shop.owner_account_id, reason=reason,
        reason_text=ClosureAsked.of(case).reason_text, shop_state=shop.state,
        other_closure=earlier[0].id if earlier else None,
    )  # fmt: skip
    if refusal is not None:
        cases.refuse(tx, case, refusal)
        told = words.ClosureRefused(
            shop_name=shop.name, case_id=case.id, received_at=case.received_at, grounds=(ground(refusal),),
            next_step="如有疑问请联系平台客服,并提供案件编号。",
        )  # fmt: skip
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
        shop_name=shop.name, case_id=case.id, reason=reason.label, reason_text=ClosureAsked.of(case).reason_text,
        received_at=case.received_at, exit_invoice_due=due.due, review_due=review_due.due,
    )  # fmt: skip
    merchants.tell(tx, told_received, f"{case.id}/received", case=case)
    return None


def _books(tx: Tx, case: Case) -> BookFacts:
    """What our books say, with the bills of earlier years: those of the year of the start are the exit duty (ambiguity 30)."""
    fen, _ = bills.of_years_before(tx, case)
    return shops.book_facts(tx, case.shop_id or "").model_copy(update={"bills_fen": fen})


def _others(tx: Tx, case: Case) -> Counter[CaseKind]:
    """The shop's other cases that must end first. A demand for deposit is not among them: it ends when clearing begins."""
    return Counter(
        other.kind for other in cases.open_cases(tx, case.shop_id or "", but=case.id)
        if other.kind not in {CaseKind.CLOSURE, CaseKind.DEPOSIT_DEMAND}
    )  # fmt: skip


def findings_now(tx: Tx, case: Case) -> tuple[Finding, ...]:
    """What the rules find about the shop at this moment (CLS-7, ambiguity 22)."""
    shop = shop_of(tx, case)
    known, snapshot = shops.facts_of(tx, shop.id)
    found = policy_of_closure.closure_findings(
        known, snapshot.as_of if snapshot else None, _books(tx, case),
        open_cases=_others(tx, case),
        now=tx.now, policy=rules(case),
    )  # fmt: skip
    return tuple(sorted((*papers.findings(tx, case, "CLS-5"), *found), key=lambda finding: not finding.blocking))


@effect("检查关店条件")
def check(tx: Tx, case: Case, round: int) -> None:
    """Record what the rules find before a person is asked."""
    cases.keep_findings(tx, case, f"closure/{round}", findings_now(tx, case))
    facts.want(tx, case)  # asked for early, they may be there before anybody has decided


@effect("请商家补充")
def ask_merchant(tx: Tx, case: Case, round: int, question: str) -> str:
    """Ask the merchant to complete something; silence will close the request, and they are told so."""
    key = f"{QUESTION}/{round}"
    wait = cases.open_wait(tx, case, key, QUESTION, question)
    if case.withdrawn_at is not None:  # taken back in the moment after the decision
        cases.close_wait(tx, wait, WaitState.CANCELLED)
        return key
    due = reckon(tx.now, rules(case).closure.ask, "CLS-5", work_calendar())
    hours = list(rules(case).reminders.merchant_hours_before)
    deadlines.start(tx, case, key, QUESTION, Side.MERCHANT, due, reminder_times(due.due, hours, tx.now))
    cases.move(tx, case, CaseState.AWAITING_MERCHANT, "等待商家补充", clause="CLS-5")
    shop = shop_of(tx, case)
    told = words.ClosureQuestion(shop_name=shop.name, case_id=case.id, question=question, due=due.due)
    merchants.tell(tx, told, f"{case.id}/question/{round}", case=case)
    return key


@effect("商家已补充,恢复审核")
def resume_review(tx: Tx, case: Case, round: int) -> None:
    cases.move(tx, case, CaseState.UNDER_REVIEW, "商家已补充,继续审核", clause="CLS-5")


@effect("逾期未补充,结束申请")
def lapse(tx: Tx, case: Case, round: int) -> None:
    """Silence closes the request (told beforehand)."""
    wait = cases.find_wait(tx, case.id, f"{QUESTION}/{round}")
    deadline = deadlines.find(tx, case.id, f"{QUESTION}/{round}")
    if wait is None or deadline is None:
        raise LookupError(f"{case.id} asked nothing in round {round}")
    told = words.ClosureQuestionLapsed(
        shop_name=shop_of(tx, case).name, case_id=case.id, question=wait.question, due=deadline.due_at
    )
    merchants.tell(tx, told, f"{case.id}/lapsed", case=case)
    cases.conclude(tx, case, CaseState.LAPSED, "商家逾期未补充,本次申请关闭,可重新提交", clause="CLS-5")


@effect("驳回申请")
def reject(tx: Tx, case: Case, reason: str) -> None:
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
    given = [review for gate in (REVIEW, OVERRIDE) if (review := decided(tx, case.id, gate.name, round))]
    now = _seen(tx, case, findings_now(tx, case))
    if not given or (now.blocking and len(given) < 2) or not approvals.stand(given, now):  # ambiguity 23
        return Approved.FACTS_CHANGED
    facts.insist(tx, case)
    shop = shop_of(tx, case)
    before, shop.state = shop.state, ShopState.CLEARING
    tx.add(shop)
    demands.end_for_closing(tx, shop.id, "CLS-9")
    forgiven = {one.code: list(one.extent) for one in now.blocking if one.code not in NEVER_WRITTEN_OFF and written_off}
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
        shop_name=shop.name, case_id=case.id, requested_at=case.received_at, approved_at=tx.now,
        shut_off=tuple(capability.label for capability in Capability),
        exit_invoice_due=invoice.due_at if invoice else tx.now,
    )  # fmt: skip
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
        known, snapshot.as_of if snapshot else None, _books(tx, case),
        open_cases=_others(tx, case),
        exit_invoices_pending=exit_invoices.pending(tx, case, known.uninvoiced_fen if known else 0), now=tx.now,
        written_off=case.request.get("written_off", {}), shut_off_at=wait.opened_at if wait else None,
        policy=rules(case),
    )  # fmt: skip


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
        if left := remaining(tx, case):
            if _needs_facts(left):
                facts.want(tx, case)
            return False
        _close(tx, case)
        return True

    with reading() as tx:  # most wake-ups find something left: look before taking the lock
        case = cases.get(tx, case_id)
        if not _over(case) and (left := remaining(tx, case)) and not _needs_facts(left):
            return False
    return in_transaction(work)


def _over(case: Case) -> bool:
    return case.concluded_at is not None or case.withdrawn_at is not None


def _needs_facts(left: Sequence[Finding]) -> bool:
    """Whether it is the age of the facts that keeps the shop from being CLOSED, whatever else does."""
    return any(finding.code in {Gates.FACTS_UNKNOWN, Gates.FACTS_STALE} for finding in left)


def _close(tx: Tx, case: Case) -> None:
    """CLOSED: starts the refund's seven working days and the six months until reopening (CLS-6, REO-1)."""
    shop = shop_of(tx, case)
    shop.state, shop.closed_at = ShopState.CLOSED, tx.now
    shop.reopen_from = policy_of_closure.reopen_from(tx.now, rules(case))
    tx.add(shop)
    closed = ShopClosed(shop_id=shop.id, case_id=case.id, closed_at=tx.now, reopen_from=shop.reopen_from)
    emit(tx, closed, f"{case.id}/closed", case)
    told = words.ShopClosed(
        shop_name=shop.name, case_id=case.id, closed_at=tx.now, reopen_from=shop.reopen_from,
        refundable_fen=shop_balance(tx, shop.id, AccountKind.DEPOSIT).fen,
    )  # fmt: skip
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
        shop.state = ClosureAsked.of(case).shop_before or ShopState.OPEN
        tx.add(shop)
        restored = capabilities.restore(tx, case, shop) if shop.state is ShopState.OPEN else []
    awaits_deposit = shop.state is ShopState.AWAITING_DEPOSIT and not demands.opens(tx, shop)
    told = words.ClosureWithdrawn(
        shop_name=shop.name, case_id=case.id, withdrawn_at=case.withdrawn_at or tx.now,
        restored=tuple(capability.label for capability in restored), awaits_deposit=awaits_deposit,
    )  # fmt: skip
    merchants.tell(tx, told, f"{case.id}/withdrawn", case=case)
    text = f"商家已撤回关店申请,店铺{'仍待缴足保证金' if awaits_deposit else '恢复营业'}"
    cases.conclude(tx, case, CaseState.WITHDRAWN, text, clause="CLS-6")
    demands.look(tx, shop)


# ── what reviewers see ───────────────────────────────────────────────────────


def shop_part(tx: Tx, shop: Shop) -> str:
    """The shop in a table; names are the merchant's and therefore escaped."""
    return dossier.table(
        {
            "店铺": dossier.named(shop.name, shop.id),
            "主体": " ".join(filter(None, (shop.entity_type.label, dossier.plain(shop.licence_name)))),
            "类目": dossier.plain("、".join(shop.categories)),
            "状态": shop.state.label,
            "保证金余额": str(shop_balance(tx, shop.id, AccountKind.DEPOSIT)),
            "登记时间": dossier.when(shop.registered_at),
        }
    )


def answers_part(tx: Tx, case: Case, kind: str = QUESTION) -> str:
    """What the merchant was asked and answered so far."""
    parts = []
    for wait in cases.waits(tx, case.id, kind):
        reply = (wait.answer or {}).get("text") or wait.state.label
        count = len((wait.answer or {}).get("documents", []))
        parts.append(f"**问:** {dossier.plain(wait.question)}\n\n**答:**\n{dossier.quoted(reply)}"
                     + (f"\n\n附件 {count} 份,见材料一节。" if count else ""))  # fmt: skip
    return "\n\n".join(parts)


def _dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    shop, findings = shop_of(tx, case), findings_now(tx, case)
    asked = dossier.table(
        {
            "原因": ClosureAsked.of(case).reason.label,
            "说明": dossier.lines(ClosureAsked.of(case).reason_text) or "(无)",
            "申请人": dossier.plain(ClosureAsked.of(case).account_id),
            "收到时间": dossier.when(case.received_at),
        }
    )
    blocked = [finding for finding in findings if finding.blocking]
    warning = f"存在 {len(blocked)} 项阻断事项:同意关店须填写理由,并由主管复核。" if blocked else "没有阻断事项。"
    now = _seen(tx, case, findings)
    return dossier.assemble(
        f"关店审核 · {dossier.plain(shop.name)} · {case.id}",
        (approvals.SINCE, approvals.changes_part(tx, case, review, now, {"shop": "店铺状态"})),
        ("检查结果", dossier.findings_table(findings) + "\n\n" + warning), ("申请", asked), ("店铺", shop_part(tx, shop)),
        ("补充往来", answers_part(tx, case)), ("材料", papers.part(tx, case, review)),
        facts=now.terms, blocking=now.blocking, links_until=papers.links_until(tx, case, review),
    )  # fmt: skip


def _seen(tx: Tx, case: Case, findings: Sequence[Finding]) -> Seen:
    return Seen.of({"shop": shop_of(tx, case).state}, findings)


def _override_dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    first = decided(tx, case.id, REVIEW.name, review.round)
    base = _dossier(tx, case, review)
    said = f"审核员 {first.decided_by} 建议:同意关店。理由:\n{dossier.quoted(first.reason)}" if first else ""
    return base.model_copy(update={"markdown": f"{base.markdown}\n#### 审核员意见\n\n{said}\n"})


def _approval_needs_a_reason(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    if given.verdict in {ClosureVerdict.APPROVE, OverrideVerdict.CONFIRM} and (
        unreadable := papers.refusal(tx, case, "CLS-5")
    ):
        return unreadable
    blocked = [finding for finding in findings_now(tx, case) if finding.blocking]
    if given.verdict == ClosureVerdict.APPROVE and blocked and not has_text(given.reason, 2):
        return f"存在 {len(blocked)} 项阻断事项,同意关店必须填写理由(CLS-7)"
    return None


REVIEW = Gate(
    name="closure-review", title="关店审核", roles=(Role.CLOSURE_REVIEWER,), verdicts=ClosureVerdict, dossier=_dossier,
    window=lambda case: rules(case).closure.review_sla, clause="CLS-5",
    reason_required=frozenset({ClosureVerdict.ASK, ClosureVerdict.REJECT}), check=_approval_needs_a_reason,
    consequences={
        "APPROVE": "逐项关闭店铺能力并开始清算,清算完成后自动关店(有阻断事项时先由主管复核)",
        "ASK": "把理由作为问题发给商家,限期补充,逾期则关闭申请",
        "REJECT": "结束申请,理由会告知商家",
    },
)  # fmt: skip

OVERRIDE = Gate(
    name="closure-override", title="关店放行复核", roles=(Role.SUPERVISOR,), verdicts=OverrideVerdict,
    dossier=_override_dossier, window=lambda case: rules(case).closure.review_sla, clause="CLS-7",
    reason_required=frozenset(OverrideVerdict), check=_approval_needs_a_reason,
    consequences={"CONFIRM": "放行阻断事项并开始清算", "REJECT": "结束申请,理由会告知商家"},
    fields={
        "write_off": {
            "title": "核销未完事项", "type": "boolean", "default": False,
            "description": "勾选后,上面的阻断事项不再阻止关店完成;不勾选则清算仍会等待其办结",
        }
    },
    excluded=lambda tx, case: last_decider(tx, case, REVIEW.name), rests_on=REVIEW.name,
)  # fmt: skip


# ── when time passes ─────────────────────────────────────────────────────────


def _remind_question(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    merchants.remind(tx, case, deadline, matter="补充平台要求的材料", silence="逾期未补充,本次申请将自动关闭。")


def _question_lapsed(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    wait = cases.find_wait(tx, case.id, deadline.key)
    if wait is not None:
        cases.close_wait(tx, wait, WaitState.LAPSED)


def _remind_exit_invoice(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    merchants.remind(tx, case, deadline, matter="开具退店当年已发生费用的发票",
                     silence="未开具前,关店清算无法完成。")  # fmt: skip


def _clearing_drags(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    items = remaining(tx, case)
    if not items or _needs_facts(items):
        outbox.wake(tx, case)
    if not items:
        return
    shop = shop_of(tx, case)
    _, snapshot = shops.facts_of(tx, shop.id)
    told = words.ClosureClearingReminder(
        shop_name=shop.name, case_id=case.id, approved_at=deadline.started_at,
        as_of=snapshot.as_of if snapshot else tx.now,
        open_items=tuple(Ground.of(item) for item in items),
    )  # fmt: skip
    key = f"{case.id}/{deadline.key}/remind/{deadline.escalations}"
    merchants.tell(tx, told, key, case=case, not_before=merchants.awake(tx, case))


def _nothing(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    """Nothing beyond the audit line: a late exit invoice stays a gate of clearing and is no offence (INV-11)."""


def _may_send(tx: Tx, case: Case) -> Iterable[str]:
    if case.concluded_at is None and case.withdrawn_at is None:
        yield "closure.withdrawn"  # until CLOSED, and an open case is not (CLS-6)


PROCESS = Process(
    name="closure",
    kind=CaseKind.CLOSURE,
    request=ClosureAsked,
    clause="CLS-5",
    hears={ClosureRequested: request, ClosureWithdrawn: withdraw_request, MerchantAnswered: answer},
    asks=(REVIEW, OVERRIDE),
    clocks={
        QUESTION: deadlines.Kind(remind=_remind_question, due=_question_lapsed),
        EXIT_INVOICE: deadlines.Kind(remind=_remind_exit_invoice, due=_nothing),
        CLEARING: deadlines.Kind(
            remind=_nothing,
            due=_clearing_drags,
            late_text="清算仍未完成,已提醒商家",
            every=lambda case: timedelta(days=rules(case).closure.clearing_reminder_every.n),
        ),
    },
    waits={QUESTION: "商家补充材料"},
    may_send=_may_send,
)
