"""The queue: every question that waits for a person, the most urgent first, and what was decided.

One query serves the command line, the boards in Prefect (``tasks/sight/board.py``) and the desk.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median_low

from sqlalchemy import ColumnElement, String, cast, false, literal, or_
from sqlalchemy.orm import defer
from sqlmodel import and_, case, col, func, select

from models.audit import AuditEntry
from models.base import Frozen
from models.cases import Case, CaseDeadline, CaseKind, CaseWait, WaitState
from models.reviews import Review, ReviewState, Role, Staff
from office.base.db import Tx
from office.cases import gates as review_gates
from office.cases import held_answers, later, looks, reviews
from policies.policy import SHANGHAI


class Waiting(Frozen):
    """One open question as people see it in a list."""

    review_id: str
    case_id: str
    kind: str
    subject: str
    """The shop's name or what the case is about: the merchant's words, not escaped."""
    gate: str
    title: str
    roles: tuple[Role, ...]
    state: ReviewState
    opened_at: datetime
    due_at: datetime | None
    claimed_by: str
    claimed_name: str
    claimed_at: datetime | None
    escalations: int
    """How often the supervisor was told that it is late."""
    notice: str
    """Why the last answer was not taken, or that the facts have changed since."""
    blocked: int
    """How many blocking findings what was shown holds."""
    revision: int
    verdicts: tuple[str, ...]
    link: str
    seat: int = 1
    """Which of the people asked of the same question: the second looks at what the first has decided."""
    held_by: str = ""
    """Who has answered it, when the answer waits for them to confirm it."""
    here: tuple[str, ...] = ()
    """Who has it before them at the desk."""
    sum_fen: int | None = None
    """The amount it is about; none where there is none, or several."""
    papers: int = 0
    papers_seen: int = 0
    """How many papers it shows, and how many of them whoever's list this is was handed whole."""


_OWN = and_(
    CaseDeadline.case_id == Review.case_id,
    CaseDeadline.key == literal(f"{review_gates.DEADLINE}/", String).concat(col(Review.id)),
)
"""The review's own deadline."""
_TIMES: ColumnElement[int] = func.coalesce(CaseDeadline.escalations, 0)


def _in_hand(seen_by: str) -> ColumnElement[int]:
    """Somebody is at it: an answer was given and not taken, or it is claimed; in a person's own list, by them."""
    claimed = col(Review.claimed_by) == seen_by if seen_by else col(Review.claimed_by).is_not(None)
    return case((col(Review.notice).startswith(review_gates.NOT_TAKEN, autoescape=True), 0), (claimed, 1), else_=2)


def waiting(
    tx: Tx,
    role: str | Sequence[str] | None = None,
    case_id: str | None = None,
    claimed_by: str | None = None,
    *,
    kind: CaseKind | None = None,
    gate: str | None = None,
    late: bool = False,
    unclaimed: bool = False,
    stranded: bool = False,
    shop: str | None = None,
    noticed: bool = False,
    limit: int | None = None,
    skip: int = 0,
    seen_by: str = "",
    put_off: bool = False,
    only: Collection[str] | None = None,
    free_for: str = "",
) -> list[Waiting]:
    """Open questions: those whose last answer was not taken and those claimed first, then by due time (what was escalated is
    past its own), then by age; at most so many. ``noticed``: only those that came back or whose facts have changed.
    ``seen_by``: as this person's list, without what they have put off, or (``put_off``) only that. ``only``: of these.
    ``free_for``: neither claimed by another nor closed to this person because they had a hand in it before."""
    query = (
        select(Review.id)
        .where(col(Review.state).in_(review_gates.OPEN))
        .order_by(_in_hand(seen_by), col(Review.due_at).nulls_last(), col(Review.opened_at), col(Review.id))
        .limit(limit)
        .offset(skip)
    )
    if role is not None and role != "":
        query = query.where(for_role(role))
    if shop or kind:
        query = query.join(Case, col(Case.id) == Review.case_id)
    if shop:
        query = query.where(Case.shop_id == shop)
    if seen_by:
        hidden = later.hidden_from(tx, seen_by)
        query = query.where(hidden if put_off else ~hidden)
    if noticed:
        query = query.where(Review.notice != "")
    if free_for:
        query = query.where(
            or_(col(Review.claimed_by).is_(None), col(Review.claimed_by) == free_for),
            ~cast(col(Review.excluded), String).contains(f'"{free_for}"', autoescape=True),
        )
    if only is not None:
        query = query.where(col(Review.id).in_(only))
    if case_id:
        query = query.where(Review.case_id == case_id)
    if claimed_by:
        query = query.where(Review.claimed_by == claimed_by)
    if gate:
        query = query.where(Review.gate == gate)
    if kind:
        query = query.where(Case.kind == kind)
    if late:
        query = query.where(col(Review.due_at) < tx.now)
    if stranded:
        query = query.where(col(Review.stranded_at).is_not(None))
    if unclaimed:
        query = query.where(col(Review.claimed_by).is_(None))
    ids = list(tx.exec(query))  # of all that are open only what the order needs, then the page
    details = (
        select(Review, Case, _TIMES, Staff.name)
        .join(Case, col(Case.id) == Review.case_id)
        .outerjoin(CaseDeadline, _OWN)
        .outerjoin(Staff, col(Staff.id) == Review.claimed_by)
        .where(col(Review.id).in_(ids))
        .options(defer(Review.dossier), defer(Case.request))  # type: ignore[arg-type]
    )
    found = {review.id: (review, about, times, name or "") for review, about, times, name in tx.exec(details)}
    held, here = held_answers.authors(tx, ids), looks.who_is_here(tx, ids, but=seen_by)
    papers = {one: set((row[0].seen or {}).get("papers", ())) for one, row in found.items()}
    whole = looks.seen_whole(tx, seen_by, set().union(*papers.values())) if seen_by else set()
    return [_row(*found[one], held.get(one, ""), here.get(one, ()), papers[one], whole) for one in ids]


def counted(tx: Tx, role: str | None = None) -> tuple[int, int]:
    """How many questions are open, and how many of them were escalated."""
    late = func.coalesce(func.sum(case((_TIMES > 0, 1), else_=0)), 0)
    query = select(func.count(), late).select_from(Review).outerjoin(CaseDeadline, _OWN)
    if role:
        query = query.where(for_role(role))
    total, escalated = tx.exec(query.where(col(Review.state).in_(review_gates.OPEN))).one()
    return total, int(escalated)


def version(tx: Tx) -> int:
    """The newest line of any audit trail: while it is the same nobody has asked, claimed, released or decided."""
    return tx.exec(select(func.max(AuditEntry.id))).one() or 0


def _row(
    review: Review,
    about: Case,
    escalations: int,
    name: str,
    held_by: str,
    here: tuple[str, ...],
    papers: set[str],
    whole: set[str],
) -> Waiting:
    seen = review.seen or {}
    return Waiting(
        review_id=review.id,
        case_id=about.id,
        kind=about.kind.label,
        subject=about.subject,
        gate=review.gate,
        title=reviews.gate_of(review).title,
        roles=tuple(Role(role) for role in review.roles),
        state=review.state,
        opened_at=review.opened_at,
        due_at=review.due_at,
        claimed_by=review.claimed_by or "",
        claimed_name=name,
        claimed_at=review.claimed_at,
        escalations=escalations,
        notice=review.notice,
        blocked=len(seen.get("blocking", ())),
        revision=review.revision,
        verdicts=tuple(review.verdicts),
        sum_fen=seen.get("sum_fen") or None,
        papers=len(papers),
        papers_seen=len(papers & whole),
        link=reviews.link_to(about),
        seat=review.seat,
        held_by=held_by,
        here=here,
    )


def taken_by(row: Waiting) -> str:
    """Whose it is: answered and waiting for its author's word, or claimed."""
    return f"{row.held_by} 已答复，待本人确认" if row.held_by else row.claimed_name or row.claimed_by


def roles_of(row: Waiting) -> str:
    return "、".join(role.label for role in row.roles)


def escalated(row: Waiting) -> str:
    return f"⚠️ 已升级 {row.escalations} 次" if row.escalations else ""


TOGETHER, BREAK, HASTE = timedelta(seconds=1), timedelta(minutes=10), timedelta(seconds=3)
"""Decisions less than one second apart were made together; ten minutes are a break; three seconds are too few to read."""


class Done(Frozen):
    """One question that was decided, as people see it in a list."""

    review_id: str
    case_id: str
    kind: str
    subject: str
    title: str
    decided_at: datetime
    decided_by: str
    name: str
    verdict: str
    reason: str
    """As it was written, not escaped; the form's own reader has masked accounts in it."""
    link: str


def decided(
    tx: Tx, role: str | None = None, by: str | None = None, *, since: datetime | None = None, limit: int | None = None
) -> list[Done]:
    """Decided questions, the newest first; at most so many."""
    query = (
        select(Review, Case, Staff.name)
        .join(Case, col(Case.id) == Review.case_id)
        .outerjoin(Staff, col(Staff.id) == Review.decided_by)
        .where(Review.state == ReviewState.DECIDED)
        .order_by(col(Review.decided_at).desc(), col(Review.id))
        .options(defer(Review.dossier), defer(Case.request))  # type: ignore[arg-type]
        .limit(limit)
    )
    if role:
        query = query.where(for_role(role))
    if by:
        query = query.where(Review.decided_by == by)
    if since:
        query = query.where(col(Review.decided_at) >= since)
    return [
        Done(
            review_id=review.id,
            case_id=about.id,
            kind=about.kind.label,
            subject=about.subject,
            title=reviews.gate_of(review).title,
            decided_at=review.decided_at or about.opened_at,
            decided_by=review.decided_by or "",
            name=name or "",
            reason=review.reason or "",
            verdict=reviews.gate_of(review).verdict(review.verdict or "").label,
            link=reviews.link_to(about),
        )
        for review, about, name in tx.exec(query)
    ]


def pace(done: Sequence[Done]) -> timedelta | None:
    """The median time between two decisions one after another in a list of one person's; none where there are fewer than
    ten such. What was decided together, or after a break, says nothing about reading."""
    moments = sorted(one.decided_at for one in done)
    between = [after - before for before, after in pairwise(moments) if TOGETHER < after - before < BREAK]
    return median_low(between) if len(between) >= 10 else None


def for_role(role: str | Sequence[str]) -> ColumnElement[bool]:
    wanted = [role] if isinstance(role, str) else role
    return or_(false(), *(cast(col(Review.roles), String).contains(f'"{one}"', autoescape=True) for one in wanted))


# ── what one person sees of it ───────────────────────────────────────────────


def today(tx: Tx) -> datetime:
    """When today began in Beijing."""
    return tx.now.astimezone(SHANGHAI).replace(hour=0, minute=0, second=0, microsecond=0)


def tabs(tx: Tx, roles: Sequence[str], staff_id: str) -> dict[str, int]:
    """How many questions of these roles are open, claimed by this person, came back, are late, were put off by them; and what
    they decided today. What is put off counts nowhere else."""

    def times(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    open_to = col(Review.state).in_(review_gates.OPEN), for_role(roles)
    counts = times(col(Review.claimed_by) == staff_id), times(col(Review.notice) != "")
    query = select(func.count(), *counts, times(col(Review.due_at) < tx.now)).select_from(Review).where(*open_to)
    total, mine, back, late = tx.exec(query).one()
    put_off, of_mine, of_back = tx.exec(
        select(func.count(), *counts).select_from(Review).where(*open_to, later.hidden_from(tx, staff_id))
    ).one()
    done = (
        select(func.count())
        .select_from(Review)
        .where(Review.state == ReviewState.DECIDED, Review.decided_by == staff_id, col(Review.decided_at) >= today(tx))
    )
    return {
        "open": total - put_off,
        "mine": int(mine - of_mine),
        "back": int(back - of_back),
        "late": int(late),
        "later": put_off,
        "done": tx.exec(done).one(),
    }


def elsewhere(tx: Tx, roles: Sequence[str], staff_id: str) -> tuple[str, ...]:
    """Where work is that an empty list does not show, so that "nothing to do" is true."""
    taken = (
        select(Staff.name, func.count())
        .select_from(Review)
        .join(Staff, col(Staff.id) == Review.claimed_by)
        .where(col(Review.state).in_(review_gates.OPEN), for_role(roles), Review.claimed_by != staff_id)
        .group_by(Staff.name)
        .order_by(Staff.name)
    )
    waits = select(func.count()).select_from(CaseWait).where(CaseWait.state == WaitState.OPEN)
    outside = tx.exec(waits).one()
    first = tx.exec(
        select(func.min(Review.due_at)).where(col(Review.state).in_(review_gates.OPEN), for_role(roles))
    ).one()
    hidden = later.hidden_from(tx, staff_id)
    mine = (
        select(func.count())
        .select_from(Review)
        .where(col(Review.state).in_(review_gates.OPEN), for_role(roles), hidden)
    )
    put_off = tx.exec(mine).one()
    return (
        *([f"稍后再看 {put_off} 件"] if put_off else []),
        *(f"{name} 认领 {count} 件" for name, count in tx.exec(taken)),
        *([f"等待商家、银行或平台 {outside} 件"] if outside else []),
        *([f"最早到期 {first.astimezone(SHANGHAI):%m-%d %H:%M}"] if first else []),
    )
