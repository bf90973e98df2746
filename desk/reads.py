"""Who reads what they are not asked about, and whose shop's page: on the record, and not without end.

A dossier is somebody's business who may answer the question, or has decided it. Anybody else may read it too (a colleague
asks, a supervisor looks after the work), and it stands in the shop's chain who did, once in a session.
"""

from __future__ import annotations

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.exceptions import HTTPException

from desk.visitor import Visitor
from models.cases import Case
from models.reviews import Review, Staff
from office.base.db import Tx, in_transaction
from office.cases import judge, looks
from office.cases.gates import OPEN

MOST = "200/hour"
"""Dossiers that are not one's own business, shops' pages and searches of one person, however often they log in."""
MOST_PAPERS = "1000/hour"
"""Different papers that one person is handed, in their own matters too: those of a quick day's busiest hour and more."""
TOO_MANY_PAPERS = "查阅的材料过多，请稍后再试"
TOO_MANY = "查阅他人事项或查找过于频繁，请稍后再试"
_most, _most_papers = parse(MOST), parse(MOST_PAPERS)
_limiter = MovingWindowRateLimiter(MemoryStorage())
_noted: set[tuple[str, str]] = set()
"""Sessions with the cases, shops and papers they have read, as this process has noted them."""


def count(who: Visitor, what: str) -> None:
    """One more of these by this person; raises 429 when it was too often."""
    if not _limiter.hit(_most, what, who.id):
        raise HTTPException(429, TOO_MANY)


def nothing(who: Visitor) -> HTTPException:
    """What whoever asks for something that is not there is told: too often, and it is guessing."""
    count(who, "nothing")
    return HTTPException(404)


def asked(tx: Tx, who: Visitor, review: Review) -> bool:
    """Whether this question is put to them, or was answered by them."""
    if review.state not in OPEN:
        return review.decided_by == who.id
    return judge.may_not_answer(tx, review, tx.get_one(Staff, who.id)) is None


def note(who: Visitor, case: Case) -> None:
    """That they read what they are not asked about, once for each case in a session."""
    if _is_new(who, case.id):
        count(who, "read")
        _noted.add((who.session_id, case.id))
        in_transaction(lambda tx: looks.dossier_read(tx, case, who.id, who.session_id))


def note_shop(who: Visitor, shop_id: str) -> None:
    """That they read a shop's page, once for each shop in a session; however often, it is counted."""
    count(who, "shop")
    if _is_new(who, f"shop/{shop_id}"):
        _noted.add((who.session_id, f"shop/{shop_id}"))
        in_transaction(lambda tx: looks.shop_read(tx, shop_id, who.id, who.session_id))


def paper(who: Visitor, evidence_id: str) -> None:
    """That they are handed a paper, counted once in a session however many of its pages; raises 429 when it were too many."""
    if _is_new(who, f"paper/{evidence_id}"):
        if not _limiter.hit(_most_papers, "paper", who.id):
            raise HTTPException(429, TOO_MANY_PAPERS)
        _noted.add((who.session_id, f"paper/{evidence_id}"))


def _is_new(who: Visitor, what: str) -> bool:
    if len(_noted) > 10_000:
        _noted.clear()
    return (who.session_id, what) not in _noted
