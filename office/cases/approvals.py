"""Approvals: everybody whose yes an act rests on has seen what stands when it is done; otherwise they are asked again.

How a gate and its act use this (the refund is the pattern):

- its dossier takes ``now = Seen.of(terms, findings)``, where the terms say what the act would be, and is assembled with
  ``facts=now.terms, blocking=now.blocking``; both are kept with the review as it is shown (``Review.seen``);
- a second gate names the first in ``rests_on``: when the first person has not seen what stands, the second question is
  taken back (``Decision.overtaken``) and the story starts the next round, so that nobody confirms alone over it;
- the act reads everybody's yes with :func:`insist`, by case, gate, round and verdict, calls :func:`stand` with them in its
  own transaction, and does nothing when it says no: somebody has not seen what stands, or may not decide any more;
- :func:`changes_part` is the part of the dossier that says what is new since whoever reads it looked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from models.base import Labelled
from models.cases import Case
from models.dossier import Item, Items, Line, Strong, line
from models.reviews import Review, ReviewState, Staff
from office.base.db import Tx, prepared
from office.cases import dossier, recorded
from office.cases.gates import Gate
from office.cases.reviews import decided
from office.record import decision_seals
from office.record.decision_seals import DecisionForged
from office.staff import people
from policies.approvals import News, Seen, all_hold, changes, other_terms

Verdicts = Labelled | type[Labelled] | tuple[Labelled, ...]
"""One verdict, any of a vocabulary, or any of these."""
SINCE = "自您上次查看以来的变化"
"""The title of the part that :func:`changes_part` fills."""


def insist(tx: Tx, case: Case, round: int, *asked: tuple[Gate, Verdicts]) -> list[Review]:
    """The decisions an act rests on: of these gates and this round, each with the verdict that is named, or with any of a
    vocabulary; nobody's where the first has not been decided, or not any more.

    Raises ``DecisionForged`` where somebody has decided otherwise, or objected to a decision of the case: no story leads
    here, then, and the case is stopped.
    """
    _unobjected(tx, case)
    given: list[Review] = []
    for gate, yes in asked:
        review = decided(tx, case.id, gate.name, round)
        if review is None and not given:
            return []
        if review is not None:
            given.append(_says(review, yes))
    return given


def insist_last(tx: Tx, case: Case, *asked: tuple[Gate, Verdicts]) -> Review:
    """The last decision of these gates: what a no rests on, in whatever round it was said.

    Raises ``DecisionForged`` when it says anything else than the verdict named with its gate, or nobody has decided.
    """
    _unobjected(tx, case)
    order = {gate.name: (place, verdict) for place, (gate, verdict) in enumerate(asked)}
    query = select(Review).where(
        Review.case_id == case.id, Review.state == ReviewState.DECIDED, col(Review.gate).in_(order)
    )
    found = max(tx.exec(query), key=lambda review: (review.decided_at, order[review.gate][0]), default=None)
    if found is None:
        raise DecisionForged(f"{case.id}:没有人作出决定")
    return _says(decision_seals.insist(found), order[found.gate][1])


def says(tx: Tx, case: Case, review: Review, yes: Verdicts) -> Review:
    """A decision that an act has found by itself, if it says this; raises ``DecisionForged`` as :func:`insist` does."""
    _unobjected(tx, case)
    return _says(decision_seals.insist(review), yes)


def _unobjected(tx: Tx, case: Case) -> None:
    said = recorded.lines(tx, case)
    recorded.as_opened(tx, case, said)
    if (objection := recorded.objected(tx, case, said)) is not None:
        raise DecisionForged(recorded.objection(objection))


def _says(review: Review, yes: Verdicts) -> Review:
    if review.verdict not in {str(word) for word in ([yes] if isinstance(yes, Labelled) else yes)}:
        raise DecisionForged(f"{review.id}({review.gate}):记录的决定是 {review.verdict},不能按 {yes} 执行")
    return review


def stand(tx: Tx, approvals: Iterable[Review], now: Seen) -> bool:
    """Whether each of these people, of whom there is one at least, has seen every blocking finding that stands, and the
    terms as they are, and may still decide so: who was dismissed or lost the role since has approved nothing."""
    given = list(approvals)
    return bool(given) and all_hold([review.seen for review in given], now) and not people.lost(tx, given)


def changes_part(tx: Tx, case: Case, review: Review, now: Seen, terms: Mapping[str, str]) -> Items:
    """What is new since people looked: for everybody who decided before, and since this question was shown last.

    ``terms`` has the Chinese word for each term. Empty when nobody looked yet, or nothing has changed.
    """
    found = []
    for who, shown in _looked(tx, case, review):
        seen = Seen.model_validate(shown)
        news = [
            line(
                f"{'✅' if change.news is News.GONE else '⛔'} {change.news.label}:{change.sentence}"
                + (f"(当时:{change.before})" if change.before else "")
            )
            for change in changes(seen, now)
        ]
        if names := list(dict.fromkeys(terms.get(name, "审核内容") for name in other_terms(seen, now))):
            news.append(line(f"已更改:{'、'.join(names)}"))
        if news:
            found.append(Item(line=who, under=tuple(news)))
    return Items(items=tuple(found))


def _looked(tx: Tx, case: Case, review: Review) -> list[tuple[Line, dict[str, Any]]]:
    """Who looked before, each with what they saw last; and this very question as it was shown last."""
    last = {before.decided_by: before for before in _decided(tx, case.id, review.id) if before.seen is not None}
    looked = [(_who(tx, before), before.seen or {}) for before in last.values()]
    if review.seen is not None and review.state is not ReviewState.DECIDED:
        looked.append((line(f"本任务第 {review.revision} 版内容之后:"), review.seen))
    return looked


@prepared
def _decided(case_id: str, but: str) -> SelectOfScalar[Review]:
    decided = select(Review).where(Review.case_id == case_id, Review.state == ReviewState.DECIDED, Review.id != but)
    return decided.order_by(col(Review.decided_at))


def _who(tx: Tx, before: Review) -> Line:
    person = tx.get(Staff, before.decided_by)
    name = person.name if person else before.decided_by or ""
    return line((Strong(text=name), f"(第 {before.round} 轮,{dossier.when(before.decided_at)})查看之后:"))
