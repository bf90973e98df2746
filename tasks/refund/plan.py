"""What is to be paid back to whom, from the books and the facts (REF-2 to REF-5, ambiguities 25, 30)."""

from __future__ import annotations

from collections.abc import Iterable

from models.base import Frozen
from models.cases import NEVER_IN_THE_WAY, Case, CaseKind, CaseState, Finding
from models.deposits import BookFacts, RefundDocument
from models.money import Money
from models.papers import Paper
from models.payouts import Payee, PayoutState
from office.base.db import Tx
from office.base.vault import opened_json
from office.cases import cases
from office.cases.cases import rules
from office.cases.merchants import shop_of
from office.files import papers
from policies import refund as policy_of_refund
from policies.papers import paper_findings
from policies.payees import Holder, Share, judgement, share_out
from policies.refund import Net
from tasks.closure.request import ClosureAsked
from tasks.invoicing import bills, exit_duty
from tasks.payouts import contradictions, payouts
from tasks.refund.request import RefundAsked
from tasks.shops import deposits, penalties, shops

DUE = "refund-due"
PAYEE = "payee"
"""The kind of wait that ends when the merchant sends a corrected payee."""


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
    """What paying would do at this moment: arrears set off first, the rest shared out among accounts.

    ``books`` is what it was reckoned from: whoever looks at more than the plan asks the books no second time.
    """

    books: BookFacts
    asked: Money
    """What is still to be paid of what was asked for."""
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
    told = {"bills_fen": open_fen, "kept_fen": bills.kept_back(tx, shop_id, open_fen)}
    return shops.book_facts(tx, shop_id).model_copy(update=told)


def plan_now(tx: Tx, case: Case) -> Plan:
    shop = shop_of(tx, case)
    books = _books(tx, shop.id)
    asked = outstanding(tx, case)
    net = policy_of_refund.net_refund(asked, books)
    holder = Holder(entity=shop.entity_type, licence_name=shop.licence_name, owner_name=shop.owner_name)
    paid_in, otherwise = deposits.paid_in(tx, shop.id)
    shares = share_out(
        net.paid.fen,
        holder,
        payees_of(case),
        paid_in=paid_in,
        paid_back=payouts.paid_back(tx, shop.id),
        balance_fen=books.deposit_fen - net.set_off.fen,
        otherwise=otherwise,
    )
    return Plan(books=books, asked=asked, net=net, shares=shares)


def documents_of(sent: Iterable[Paper]) -> set[RefundDocument]:
    """The kinds of paper whose file is here, sent with the application or with an answer (ambiguity 26)."""
    kinds = papers.readable_kinds(sent)
    return {kind for kind in RefundDocument if kinds & {kind.value, kind.label}}


def goes_first(tx: Tx, case: Case) -> str | None:
    """Another refund of the shop that goes before this one: one whose money is out, or was sent back after it had ended (REF-7)."""
    others = cases.open_cases(tx, case.shop_id or "", CaseKind.REFUND, but=case.id)
    first = [
        other
        for other in others
        if other.state is not CaseState.SUBMITTED
        and ((other.opened_at, other.id) < (case.opened_at, case.id) or money_is_out(tx, other))
    ]
    return min(other.id for other in first) if first and not money_is_out(tx, case) else None


def findings_now(tx: Tx, case: Case, plan: Plan | None = None) -> tuple[Finding, ...]:
    """What the rules find about the application at this moment (REF-2, REF-8, REF-9); ``plan`` is that of this moment."""
    shop, plan = shop_of(tx, case), plan or plan_now(tx, case)
    known, snapshot = shops.facts_of(tx, shop.id)
    sent = papers.of_case(tx, case)
    closure = cases.last_concluded(tx, shop.id, CaseKind.CLOSURE, CaseState.CLOSED)
    found = policy_of_refund.refund_findings(
        known,
        snapshot.as_of if snapshot else None,
        plan.books,
        entity=shop.entity_type,
        documents=documents_of(sent),
        payees=payees_of(case),
        judgement=judgement(plan.shares),
        open_cases=cases.open_by_kind(tx, shop.id, but=case.id, apart={CaseKind.REFUND, *NEVER_IN_THE_WAY}),
        exit_invoices=(0, exit_duty.reported_after_closing(tx, shop.id)),
        now=tx.now,
        policy=rules(case),
        written_off=ClosureAsked.of(closure).extents if closure else {},
        own_penalties=penalties.of_shop(tx, shop.id),
        other_refund=goes_first(tx, case),
        shop_state=shop.state,
    )
    others = (*contradictions.findings(tx, shop.id), *paper_findings(sent, "REF-2", tx.now))
    return tuple(sorted((*others, *found), key=lambda finding: not finding.blocking))


def second_person_reasons(
    tx: Tx, case: Case, plan: Plan | None = None, findings: tuple[Finding, ...] | None = None
) -> tuple[str, ...]:
    """Why a second finance person must look, a sentence each (ambiguity 6); plan and findings are those of this moment."""
    shop, plan = shop_of(tx, case), plan or plan_now(tx, case)
    findings = findings_now(tx, case, plan) if findings is None else findings
    return policy_of_refund.needs_second_person(
        plan.net.paid,
        judgement(plan.shares),
        findings,
        rules(case),
        promised=payouts.promised(tx, shop.id, shop.closed_at or case.received_at),
    )
