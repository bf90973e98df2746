"""Cases: opened once per origin, moved from state to state, concluded once, each with its line in the audit."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from models.base import new_id
from models.case_events import CaseConcluded, CaseOpened, CaseStateChanged
from models.cases import (
    Case,
    CaseDeadline,
    CaseFinding,
    CaseKind,
    CaseState,
    CaseWait,
    DeadlineState,
    Finding,
    WaitState,
)
from models.messages import Channel
from models.outcomes import Refusal
from models.reviews import Review, ReviewState
from models.shops import Shop
from models.wire import Outgoing
from office.base.db import Tx, prepared, reading
from office.base.vault import place, seal_json
from office.cases.locks import UnknownCase
from office.process import office
from office.record import audit, outbox
from policies.policy import Policy, policy, policy_at


def open_case(
    tx: Tx,
    kind: CaseKind,
    *,
    origin: str,
    state: CaseState = CaseState.SUBMITTED,
    received_at: datetime,
    shop: Shop | None = None,
    subject: str = "",
    request: dict[str, Any] | None = None,
    sealed: Any = None,
    actor: str = "system",
    text: str = "",
    clause: str = "",
) -> Case:
    """Open a case and have its run started. The same origin opens it once: then the first case is returned."""
    before = tx.exec(select(Case).where(Case.origin == origin)).first()
    if before is not None:
        return before
    _own_word(kind, state)
    case_id = new_id(kind.prefix, tx.now)
    case = Case(
        id=case_id,
        kind=kind,
        shop_id=shop.id if shop else None,
        subject=subject or (shop.name if shop else ""),
        state=state,
        origin=origin,
        request=request or {},
        request_sealed=seal_json(sealed, place(Case, "request_sealed", case_id)) if sealed is not None else "",
        policy_version=policy_at(received_at).version,
        received_at=received_at,
        opened_at=tx.now,
    )
    tx.add(case)
    tx.flush()
    audit.record(
        tx,
        case.id,
        "case.opened",
        actor=actor,
        clause=clause,
        text=text,
        public=True,
        kind=case.kind,
        shop=case.shop_id,
        policy=case.policy_version,
        received_at=received_at.isoformat(),
    )
    emit(tx, CaseOpened(**_about(tx, case), origin=origin), f"{case.id}/opened", case)
    outbox.wake(tx, case)
    return case


def rules(case: Case) -> Policy:
    """The policy under which the case was opened, whatever has come since."""
    return policy(case.policy_version)


def _own_word(kind: CaseKind, state: CaseState) -> None:
    """A case is only ever where its process says that its cases can be; anything else is a bug, before it is written."""
    if state not in {CaseState.SUBMITTED, CaseState.REFUSED, *office().kinds[kind].states}:
        raise ValueError(f"{state} is no state of {kind}: its process does not declare it")


def _about(tx: Tx, case: Case) -> dict[str, Any]:
    return {"case_id": case.id, "kind": case.kind, "kind_label": case.kind.label, "shop_id": case.shop_id, "at": tx.now}


def move(
    tx: Tx, case: Case, state: CaseState, text: str, *, clause: str = "", actor: str = "system", **detail: Any
) -> None:
    """Put the case into another state, with a line both sides can read."""
    if case.state == state:
        return
    _own_word(case.kind, state)
    case.state = state
    tx.add(case)
    line = audit.record(
        tx, case.id, "case.state", actor=actor, clause=clause, text=text, public=True, state=state, **detail
    )
    emit(
        tx,
        CaseStateChanged(**_about(tx, case), state=state, state_label=state.label),
        f"{case.id}/state/{line.number}",
        case,
    )


def conclude(tx: Tx, case: Case, outcome: CaseState, text: str, *, clause: str = "", actor: str = "system") -> None:
    """End the case: nothing waits any more, every deadline stops. A case that has ended stays as it ended."""
    if case.concluded_at is not None:
        return
    _own_word(case.kind, outcome)
    case.state = case.outcome = outcome
    case.outcome_clause, case.outcome_text, case.concluded_at = clause, text, tx.now
    tx.add(case)
    for wait in tx.exec(select(CaseWait).where(CaseWait.case_id == case.id, CaseWait.state == WaitState.OPEN)):
        close_wait(tx, wait, WaitState.CANCELLED)
    for deadline in tx.exec(
        select(CaseDeadline).where(CaseDeadline.case_id == case.id, CaseDeadline.state == DeadlineState.OPEN)
    ):
        deadline.state, deadline.closed_at, deadline.next_action_at = DeadlineState.CANCELLED, tx.now, None
        tx.add(deadline)
        outbox.drop_reminders(tx, case.id, deadline.key, "案件已办结,无需提醒")
    for review in tx.exec(
        select(Review).where(
            Review.case_id == case.id, col(Review.state).in_([ReviewState.PENDING, ReviewState.CLAIMED])
        )
    ):
        review.state = ReviewState.WITHDRAWN
        tx.add(review)
    line = audit.record(
        tx, case.id, "case.concluded", actor=actor, clause=clause, text=text, public=True, outcome=outcome
    )
    told = CaseConcluded(**_about(tx, case), outcome=outcome, clause=clause, text=text)
    emit(tx, told, f"{case.id}/concluded/{line.number}", case)
    if case.shop_id:
        wake_leaving(tx, case.shop_id)


def reopen(tx: Tx, case: Case, state: CaseState, text: str, *, clause: str, actor: str) -> None:
    """Take a case up again that had ended, because what ended it has been undone from outside (a bank return)."""
    case.outcome = case.outcome_clause = case.outcome_text = case.concluded_at = None
    case.run_id = None  # its run has ended with it: whichever comes next carries the case
    tx.add(case)
    move(tx, case, state, text, clause=clause, actor=actor)
    outbox.wake(tx, case)


def refuse(tx: Tx, case: Case, refusal: Refusal) -> None:
    """End the case as refused, naming the clause."""
    conclude(tx, case, CaseState.REFUSED, refusal.sentence, clause=refusal.clause)


def emit(
    tx: Tx,
    event: Outgoing,
    key: str,
    case: Case | None = None,
    *,
    shop_id: str | None = None,
    not_before: datetime | None = None,
) -> None:
    """Write a signed event for its subscriber, in the caller's transaction; once per key."""
    outbox.put(
        tx,
        f"{event.subscriber}:{key}",
        Channel.EVENT,
        event.type,
        event.envelope(tx.now),
        case=case,
        shop_id=shop_id,
        audience=event.subscriber,
        not_before=not_before,
    )


def keep_findings(tx: Tx, case: Case, check: str, findings: Iterable[Finding]) -> None:
    """Record what a check found, once per check."""
    for position, finding in enumerate(findings):
        tx.add(
            CaseFinding(
                case_id=case.id,
                check=check,
                position=position,
                recorded_at=tx.now,
                finding=finding.model_dump(mode="json"),
            )
        )


def findings(tx: Tx, case_id: str, check: str | None = None) -> list[Finding]:
    """What a case's checks found, in order."""
    query = select(CaseFinding).where(CaseFinding.case_id == case_id)
    if check:
        query = query.where(CaseFinding.check == check)
    rows = tx.exec(query.order_by(col(CaseFinding.id)))
    return [Finding.model_validate(row.finding) for row in rows]


# ── waits ────────────────────────────────────────────────────────────────────


def open_wait(tx: Tx, case: Case, key: str, kind: str, question: str = "") -> CaseWait:
    """Have the case wait for something; the same key is the same wait."""
    before = find_wait(tx, case.id, key)
    if before is not None:
        return before
    wait = CaseWait(case_id=case.id, key=key, kind=kind, question=question, opened_at=tx.now)
    tx.add(wait)
    tx.flush()
    return wait


def find_wait(tx: Tx, case_id: str, key: str) -> CaseWait | None:
    return _wait(tx, case_id, key).first()


@prepared
def _wait(case_id: str, key: str) -> SelectOfScalar[CaseWait]:
    return select(CaseWait).where(CaseWait.case_id == case_id, CaseWait.key == key)


def open_waits(tx: Tx, case_id: str, kind: str | None = None) -> list[CaseWait]:
    query = select(CaseWait).where(CaseWait.case_id == case_id, CaseWait.state == WaitState.OPEN)
    if kind:
        query = query.where(CaseWait.kind == kind)
    return list(tx.exec(query))


def waits(tx: Tx, case_id: str, kind: str) -> list[CaseWait]:
    """Everything of this kind the case has waited for, first first."""
    query = select(CaseWait).where(CaseWait.case_id == case_id, CaseWait.kind == kind)
    return list(tx.exec(query.order_by(col(CaseWait.id))))


def close_wait(tx: Tx, wait: CaseWait, state: WaitState, answer: dict[str, Any] | None = None) -> bool:
    """End a wait; ``False`` if it had ended before (the first end counts)."""
    if wait.state != WaitState.OPEN:
        return False
    wait.state, wait.closed_at, wait.answer = state, tx.now, answer
    tx.add(wait)
    return True


def wake_waiting(tx: Tx, shop_id: str | None, kind: str) -> None:
    """Wake every open case of the shop, or of no shop alone, that waits for this kind of thing."""
    awaiting = select(CaseWait.case_id).where(CaseWait.kind == kind, CaseWait.state == WaitState.OPEN)
    query = select(Case).where(Case.shop_id == shop_id, col(Case.concluded_at).is_(None), col(Case.id).in_(awaiting))
    for case in tx.exec(query):
        outbox.wake(tx, case)


def wake_leaving(tx: Tx, shop_id: str) -> None:
    """Something that stands in the way of leaving has come or gone: have whatever is about to close the shop, to pay it or
    to open it again look at it."""
    for case in open_cases(tx, shop_id, *(kind for kind, one in office().kinds.items() if one.leaves)):
        outbox.wake(tx, case)


# ── what flows read ──────────────────────────────────────────────────────────


def get(tx: Tx, case_id: str) -> Case:
    """The case; raises :class:`UnknownCase`."""
    case = tx.get(Case, case_id)
    if case is None:
        raise UnknownCase(case_id)
    return case


def read_case(case_id: str) -> Case:
    """The case as it is now; raises :class:`UnknownCase`."""
    with reading() as tx:
        case = get(tx, case_id)
        tx.expunge(case)
        return case


def wait_state(case_id: str, key: str) -> WaitState | None:
    with reading() as tx:
        wait = find_wait(tx, case_id, key)
        return wait.state if wait else None


def is_withdrawn(case_id: str) -> bool:
    """Whether whoever asked has taken the request back."""
    return read_case(case_id).withdrawn_at is not None


def open_cases(tx: Tx, shop_id: str, *kinds: CaseKind, but: str = "") -> list[Case]:
    """The shop's cases of these kinds that have not ended, other than ``but``. Of kinds of which a shop has few: it may have
    thousands of cases open, which :func:`open_by_kind` names."""
    return list(_open_cases(tx, shop_id, kinds, but))


@prepared
def _open_cases(shop_id: str, kinds: Collection[CaseKind], but: str) -> SelectOfScalar[Case]:
    open_now = select(Case).where(Case.shop_id == shop_id, col(Case.concluded_at).is_(None), Case.id != but)
    return open_now.where(col(Case.kind).in_(kinds))


def open_by_kind(tx: Tx, shop_id: str, *, but: str, apart: Collection[CaseKind]) -> dict[CaseKind, list[str]]:
    """The ids of the shop's other cases that have not ended, by kind, ``apart`` from some kinds."""
    found: dict[CaseKind, list[str]] = {}
    for kind, case_id in _open_by_kind(tx, shop_id, but, apart):
        found.setdefault(CaseKind(kind), []).append(case_id)
    return found


@prepared
def _open_by_kind(shop_id: str, but: str, apart: Collection[CaseKind]) -> SelectOfScalar[Any]:
    open_now: Any = select(Case.kind, Case.id).where(
        Case.shop_id == shop_id, col(Case.concluded_at).is_(None), Case.id != but, col(Case.kind).not_in(apart)
    )
    return open_now.order_by(col(Case.id))


def comes_before(other: Case, case: Case) -> bool:
    """Whether ``other`` has precedence over ``case``, which is about to be taken up: it has been, or was opened first."""
    return other.state is not CaseState.SUBMITTED or (other.opened_at, other.id) < (case.opened_at, case.id)


def last_concluded(tx: Tx, shop_id: str, kind: CaseKind, outcome: CaseState) -> Case | None:
    """The shop's latest case of that kind that ended so."""
    return _concluded(tx, shop_id, kind, outcome).first()


@prepared
def _concluded(shop_id: str, kind: CaseKind, outcome: CaseState) -> SelectOfScalar[Case]:
    ended = select(Case).where(Case.shop_id == shop_id, Case.kind == kind, Case.outcome == outcome)
    return ended.order_by(col(Case.concluded_at).desc())
