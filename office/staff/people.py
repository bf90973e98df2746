"""People: who may answer a question, who is left, and what is told when nobody is (ambiguity 37)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from sqlmodel import col, select

from models.base import Frozen
from models.cases import Case
from models.reviews import Review, Role, Staff
from notifications.review import ReviewStranded
from office.base.db import Tx
from office.record import audit, decision_seals, outbox, standing
from policies.policy import SHANGHAI

MOST_NAMED = 30
"""Colleagues a message names; the others are counted."""


def meant(tx: Tx, who: str | None) -> set[str]:
    """Whom of ours somebody outside may mean by this, however they write it: ``LI-NA``, ``staff:li-na``, ``lina``."""
    if not who:
        return set()
    named = {_letters(who), _letters(re.split("[:.]", who)[-1])} - {""}
    return {who, *(one for one in tx.exec(select(Staff.id)) if _letters(one) in named)}


def _letters(staff_id: str) -> str:
    return re.sub("[^a-z0-9]", "", staff_id.casefold())


def unfit(tx: Tx, review: Review, person: Staff) -> str | None:
    """Why this person may not answer this question, whoever has claimed it; ``None`` when they may."""
    if not decision_seals.question_holds(review):
        return decision_seals.REFUSAL  # put right by the next sweep, or by the next answer
    if sentence := standing.refusal(tx, person):
        return sentence
    if not person.active:
        return "该工号已停用"
    if not _theirs(review, person):
        return f"您没有处理此任务的岗位权限,需要:{roles_of(review)}"
    if person.id in review.excluded:
        return "须由另一人处理:您已参与本案的前序决定(四眼原则)"
    return None


def _theirs(review: Review, person: Staff) -> bool:
    return bool(set(person.roles) & set(review.roles)) or person.id in (review.appointed or ())


def lost(tx: Tx, given: Sequence[Review]) -> list[Review]:
    """Which of these decisions count no longer, as whoever made them could not make them now: dismissed since, without the
    role, or not what was recorded of them."""
    makers = {review.decided_by: tx.get(Staff, review.decided_by) for review in given}
    doubts = standing.doubts(tx, [person for person in makers.values() if person is not None])

    def able(review: Review) -> bool:
        person = makers[review.decided_by]
        return person is not None and person.active and doubts[person.id] is None and _theirs(review, person)

    return [review for review in given if not able(review)]


def roles_of(review: Review) -> str:
    return "、".join(Role(role).label for role in review.roles)


class Colleague(Frozen):
    """Somebody on the roster as it is now, with what hinders them from any answer: empty when nothing does."""

    id: str
    name: str
    roles: tuple[str, ...]
    hindered: str


def roster(tx: Tx) -> tuple[Colleague, ...]:
    """Everybody, read once for however many questions."""
    found = list(tx.exec(select(Staff).order_by(col(Staff.id))))
    doubts = standing.doubts(tx, found)
    return tuple(
        Colleague(
            id=one.id,
            name=one.name,
            roles=tuple(one.roles),
            hindered="登记信息存疑" if doubts[one.id] else _away(tx, one),
        )
        for one in found
    )


def _away(tx: Tx, person: Staff) -> str:
    if not person.active:
        return "已停用"
    if person.away_until is not None and person.away_until > tx.now:
        return f"外出至 {person.away_until.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
    return ""


def asked(review: Review, everybody: Sequence[Colleague]) -> list[tuple[Colleague, str]]:
    """Everybody whose role or appointment makes it theirs to answer, with what hinders them from it."""
    appointed = review.appointed or ()
    theirs = [one for one in everybody if set(one.roles) & set(review.roles) or one.id in appointed]
    return [(one, one.hindered or ("已参与本案" if one.id in review.excluded else "")) for one in theirs]


def left(review: Review, everybody: Sequence[Colleague]) -> list[Colleague]:
    """Who may answer now."""
    return [one for one, why in asked(review, everybody) if not why]


def note_whether_stranded(
    tx: Tx,
    case: Case,
    review: Review,
    everybody: Sequence[Colleague],
    about: dict[str, Any],
    tell: Callable[[ReviewStranded, str], None],
) -> None:
    """Tell the supervisors by ``tell``, and again if it happens again, that nobody is left who may answer."""
    nobody = not left(review, everybody)
    if nobody is (review.stranded_at is not None):
        return
    review.stranded_at = tx.now if nobody else None
    tx.add(review)
    if nobody:
        hindered = tuple(f"{one.name}({one.id}):{why}" for one, why in asked(review, everybody))
        told = ReviewStranded(
            **about, review_id=review.id, hindered=_some(hindered) or (f"没有人担任{roles_of(review)}",)
        )
        tell(told, f"{review.id}/stranded/{tx.now.isoformat()}")
        audit.record(
            tx,
            case.id,
            "review.stranded",
            text=f"{about['gate']}:没有可以处理的人,已通知主管",
            review=review.id,
            hindered=list(hindered),
        )
    outbox.retag(tx, case)


def _some(hindered: tuple[str, ...]) -> tuple[str, ...]:
    return (
        hindered if len(hindered) <= MOST_NAMED else (*hindered[:MOST_NAMED], f"另有 {len(hindered) - MOST_NAMED} 人")
    )
