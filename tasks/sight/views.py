"""Views: one case as somebody may see it, the merchant's side or the whole picture. Looks, changes nothing.

What a process adds to it is declared with the process (:class:`office.process.Process`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlmodel import col, func, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from models.arbitration import Ruling
from models.audit import AuditHead
from models.base import Frozen, Labelled
from models.books import Account, Transfer
from models.cases import Case, CaseDeadline, CaseFinding, CaseWait, DeadlineState, Finding
from models.messages import Channel, InboxMessage, OutboxMessage
from models.money import yuan
from models.payouts import Payout, PayoutState, Permit
from models.posting_words import reason_word
from models.requests import NOT_SHOWN
from models.reviews import Review, ReviewState, Role
from models.shops import Shop
from models.views import EvidenceShown
from models.windows import Reckoned
from office.base.db import Tx, reading
from office.cases import gates as review_gates
from office.cases import held_answers, reviews
from office.cases.dossier import when
from office.cases.markdown import markdown
from office.files import papers
from office.process import office
from office.record import audit, chain_proof
from policies.appeal import window_of
from policies.deadlines import seconds_left
from policies.policy import policy
from tasks.arbitration import rulings
from tasks.payouts import payouts
from tasks.sight.lines import audit_lines, message_shown, received_shown
from tasks.sight.merchant import allowed_actions, read_case, staff_name, waits_for
from tasks.sight.shown import (
    AuditShown,
    CaseDossier,
    ChainShown,
    DeadlineShown,
    FindingShown,
    PayoutShown,
    PostingShown,
    ReceivedShown,
    ReviewShown,
    RulingShown,
    WaitShown,
)

R = TypeVar("R")

SHOWN = 1_000
"""Payouts, postings and messages of one case that are shown; a half or a month has some for each shop, and says how many more."""


def case_dossier(case_id: str) -> CaseDossier:
    """The whole picture of a case as it is now; raises :class:`UnknownCase`."""
    with reading() as tx:
        case = read_case(tx, case_id)
        shop = tx.get(Shop, case.shop_id) if case.shop_id else None
        about = rulings.concerned(tx, case)
        paid, payouts_left = _some(tx, select(Payout).where(Payout.case_id == case.id), Payout.attempt)
        posted, postings_left = _some(tx, select(Transfer).where(Transfer.case_id == case.id), Transfer.posted_at)
        to_people = select(OutboxMessage).where(OutboxMessage.case_id == case.id, OutboxMessage.channel != Channel.RUN)
        sent, messages_left = _some(tx, to_people, OutboxMessage.id)
        left = {"打款": payouts_left, "分录": postings_left, "消息": messages_left}
        return CaseDossier(
            id=case.id,
            kind=case.kind,
            shop_id=case.shop_id,
            shop_name=shop.name if shop else "",
            subject=case.subject,
            state=case.state,
            waits_for=waits_for(tx, case, inside=True),
            halted=case.halted or "",
            origin=case.origin,
            policy_version=case.policy_version,
            received_at=case.received_at,
            opened_at=case.opened_at,
            withdrawn_at=case.withdrawn_at,
            concluded_at=case.concluded_at,
            outcome=case.outcome,
            outcome_clause=case.outcome_clause or "",
            outcome_text=case.outcome_text or "",
            run_id=case.run_id,
            run_attempt=case.run_attempt,
            seen_at=tx.now,
            request=_request(case),
            allowed_actions=allowed_actions(tx, case),
            rulings=tuple(_ruling(tx, ruling) for ruling in about),
            counters=rulings.counters_text(tx, case.shop_id) if about else "",
            timeline=_timeline(tx, case, about),
            deadlines=_deadlines(tx, case),
            findings=_findings(tx, case),
            reviews=_reviews(tx, case),
            waits=_waits(tx, case),
            postings=_shown(tx, posted),
            payouts=tuple(_payout(tx, row) for row in paid),
            messages=tuple(message_shown(row) for row in sent),
            left_off=tuple((what, count) for what, count in left.items() if count),
            received=_received(tx, case),
            evidence=_evidence(tx, case),
            chain=_chain(tx, case),
        )


def _request(case: Case) -> tuple[tuple[str, str], ...]:
    return _titled(office().kinds[case.kind].request.of(case))


def _titled(asked: Frozen) -> tuple[tuple[str, str], ...]:
    """The fields that a value has been given, each as people call and read it."""
    titles = {name: field.title or NOT_SHOWN for name, field in type(asked).model_fields.items()}
    return tuple(
        (title, _plain_value(name, getattr(asked, name)))
        for name, title in titles.items()
        if title and name in asked.model_fields_set
    )


def _plain_value(name: str, value: Any) -> str:
    match value:
        case bool():
            return "是" if value else "否"
        case int() if name.endswith("_fen"):
            return yuan(value)
        case Labelled():
            return value.label
        case datetime():
            return when(value)
        case Frozen():
            return ",".join(f"{title} {text}" for title, text in _titled(value)) or "无"
        case list() | tuple() | dict():
            return "、".join(_plain_value("", item) for item in value) or "无"
        case _:
            return str(value) if value not in (None, "") else "无"


def _deadlines(tx: Tx, case: Case) -> tuple[DeadlineShown, ...]:
    rows = tx.exec(select(CaseDeadline).where(CaseDeadline.case_id == case.id).order_by(col(CaseDeadline.due_at)))
    return tuple(
        DeadlineShown(
            key=row.key,
            title=_due(tx, row),
            side=row.side.label,
            clause=row.clause,
            state=row.state.label,
            running=case.concluded_at is None and (row.state is DeadlineState.OPEN or row.next_action_at is not None),
            started_at=row.started_at,
            due_at=row.due_at,
            seconds_left=seconds_left(tx.now, row.due_at),
            reckoned=Reckoned.model_validate(row.reckoned).text(),
            provisional=row.provisional,
        )
        for row in rows
    )


def _due(tx: Tx, row: CaseDeadline) -> str:
    """What is due: an answer to a question by the question's title."""
    if row.kind == review_gates.DEADLINE and (asked := tx.get(Review, row.key.removeprefix(f"{row.kind}/"))):
        return reviews.gate_of(asked).title
    return office().clocks[row.kind].title


def _findings(tx: Tx, case: Case) -> tuple[FindingShown, ...]:
    rows = tx.exec(select(CaseFinding).where(CaseFinding.case_id == case.id).order_by(col(CaseFinding.id)))
    return tuple(
        FindingShown(check=row.check, recorded_at=row.recorded_at, finding=Finding.model_validate(row.finding))
        for row in rows
    )


def _reviews(tx: Tx, case: Case) -> tuple[ReviewShown, ...]:
    bound = {
        line.detail["review"]: line.detail.get("shown_sha256")
        for line in audit.timeline(tx, case.id)
        if line.action == "review.decided"
    }
    rows = tx.exec(select(Review).where(Review.case_id == case.id).order_by(col(Review.opened_at), col(Review.id)))
    return tuple(_review(tx, row, bound.get(row.id, row.dossier_sha256)) for row in rows)


def _review(tx: Tx, row: Review, bound_sha256: str | None) -> ReviewShown:
    gate = reviews.gate_of(row)
    digest = hashlib.sha256(row.dossier.encode()).hexdigest()
    fields = {name: schema.get("title", name) for name, schema in gate.fields.items()}
    return ReviewShown(
        id=row.id,
        title=gate.title,
        clause=gate.clause,
        round=row.round,
        seat=row.seat,
        state=row.state.label,
        roles="、".join(Role(role).label for role in row.roles),
        opened_at=row.opened_at,
        due_at=row.due_at,
        claimed_by=staff_name(tx, row.claimed_by),
        decided=row.state is ReviewState.DECIDED,
        decided_by=staff_name(tx, row.decided_by),
        decided_at=row.decided_at,
        verdict=gate.verdict(row.verdict).label if row.verdict else "",
        reason=row.reason,
        held=_held(tx, row),
        answer=tuple((fields.get(name, name), _plain_value(name, value)) for name, value in row.answer.items()),
        revision=row.revision,
        shown=markdown(row.dossier),
        kept=row.dossier,
        shown_sha256=row.dossier_sha256,
        shown_intact=digest == row.dossier_sha256 == bound_sha256,
        facts_sha256=row.facts_sha256,
    )


def _held(tx: Tx, row: Review) -> str:
    held = held_answers.open_of(tx, row.id)
    if held is None:
        return ""
    verdict = reviews.gate_of(row).verdict(held.verdict).label
    return f"{staff_name(tx, held.staff_id)}答复「{verdict}」，尚未生效，{held.holding.label}（至 {when(held.due_at)}）"


def _waits(tx: Tx, case: Case) -> tuple[WaitShown, ...]:
    rows = tx.exec(select(CaseWait).where(CaseWait.case_id == case.id).order_by(col(CaseWait.id)))
    return tuple(
        WaitShown(
            what=office().waits.get(row.kind, row.kind),
            question=row.question,
            state=row.state.label,
            opened_at=row.opened_at,
            closed_at=row.closed_at,
            answer=_answer(row),
        )
        for row in rows
    )


def _answer(wait: CaseWait) -> str:
    given = wait.answer or {}
    if "state" in given and wait.kind == payouts.BANK:
        return PayoutState(given["state"]).label
    return str(given.get("text", ""))


def _some(tx: Tx, query: SelectOfScalar[R], order: Any) -> tuple[Sequence[R], int]:
    """The first of them, as many as are shown, and how many are left."""
    found = tx.exec(query.order_by(col(order)).limit(SHOWN)).all()
    if len(found) < SHOWN:
        return found, 0
    whole: int = tx.exec(select(func.count()).select_from(query.subquery())).one()
    return found, whole - len(found)


def _ruling(tx: Tx, ruling: Ruling) -> RulingShown:
    taken = col(Transfer.key).in_([ruling.posting, f"{ruling.posting}/arrears"])
    back = (f"return/{ruling.id}/", *([f"reversed/{ruling.posting}/"] if ruling.posting else []))
    returned = or_(*(col(Transfer.key).startswith(one, autoescape=True) for one in back))
    rows = tx.exec(select(Transfer).where(taken | returned).order_by(col(Transfer.posted_at), col(Transfer.key)))
    window = window_of(ruling, policy(ruling.policy_version))
    return RulingShown(
        id=ruling.id,
        kind=ruling.kind.label,
        facts=tuple(rulings.ruling_rows(ruling).items()),
        sides=(("买家", ruling.buyer_account), ("商家（仲裁时）", ruling.merchant_account)),
        window=window.text(),
        postings=_shown(tx, rows),
    )


def _timeline(tx: Tx, case: Case, rulings: Iterable[Ruling]) -> tuple[AuditShown, ...]:
    ids = {ruling.id for ruling in rulings}
    before = [line for line in audit_lines(tx, f"shop/{case.shop_id}") if line.detail.get("ruling") in ids]
    return tuple(sorted([*before, *audit_lines(tx, case.id)], key=lambda line: line.at))  # stable: the chain's order


def _shown(tx: Tx, rows: Iterable[Transfer]) -> tuple[PostingShown, ...]:
    return tuple(
        PostingShown(
            key=row.key,
            debit=account_name(tx, row.debit_account),
            credit=account_name(tx, row.credit_account),
            amount_fen=row.amount_fen,
            reason=row.reason,
            why=reason_word(row.reason),
            clause=row.clause,
            posted_at=row.posted_at,
        )
        for row in rows
    )


def account_name(tx: Tx, account_id: str) -> str:
    """``晨光文具 · 保证金(冻结)``."""
    account = tx.get(Account, account_id)
    if account is None:
        return account_id
    shop = tx.get(Shop, account.shop_id) if account.shop_id else None
    return f"{shop.name if shop else '平台'} · {account.kind.label}"


def _payout(tx: Tx, row: Payout) -> PayoutShown:
    permit = tx.get(Permit, row.permit_id)
    people = permit.granted_by.split(",") if permit else []
    return PayoutShown(
        request_no=row.request_no,
        amount_fen=row.amount_fen,
        payee=row.payee_masked,
        state=row.state.label,
        permitted_by="、".join(staff_name(tx, staff_id) for staff_id in people),
        requested_at=row.requested_at,
        answered_at=row.answered_at,
        bank_reason=row.bank_reason,
    )


def _received(tx: Tx, case: Case) -> tuple[ReceivedShown, ...]:
    source, _, message_id = case.origin.partition("/")
    query = select(InboxMessage).where(
        (col(InboxMessage.case_id) == case.id)
        | ((col(InboxMessage.source) == source) & (col(InboxMessage.message_id) == message_id))
    )
    return tuple(received_shown(row) for row in tx.exec(query.order_by(col(InboxMessage.id))))


# ── evidence ─────────────────────────────────────────────────────────────────


def _papers(tx: Tx, case: Case) -> Iterable[EvidenceShown]:
    """What came with the request, with every answer of the merchant and with an invoice, and whether we hold it."""
    for paper in papers.of_case(tx, case):
        where = paper.where if paper.readable else f"{paper.where},{paper.state.label}"
        yield EvidenceShown(
            name=paper.name,
            kind=paper.kind_label,
            sha256=paper.sha256,
            url=paper.url,
            submitted_at=paper.given_at,
            where=where,
        )


def _evidence(tx: Tx, case: Case) -> tuple[EvidenceShown, ...]:
    sources = [_papers, *(process.evidence for process in office().processes if process.evidence)]
    return tuple(item for source in sources for item in source(tx, case))


# ── the chain ────────────────────────────────────────────────────────────────


def _chain(tx: Tx, case: Case) -> ChainShown:
    head = tx.get(AuditHead, case.id)
    return ChainShown(
        lines=audit_lines(tx, case.id),
        head=head.hash if head else "",
        seal=head.seal if head else "",
        problems=tuple(chain_proof.verify(tx, case.id)),
    )
