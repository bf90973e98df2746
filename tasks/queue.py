"""The queue: every question that waits for a person, the most urgent first, and the board where people see it.

One query serves the command line and Prefect's table artifact ``review-inbox``. The board is written by the clerk
beside the door when something was recorded, and by the deadline sweep every minute; it is a view and may be late,
never wrong for long.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey
from prefect.client.schemas.objects import ArtifactCollection
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from sqlalchemy import ColumnElement, String, cast, literal
from sqlalchemy.orm import defer
from sqlmodel import and_, case, col, func, select

from models.audit import AuditEntry
from models.base import Frozen
from models.cases import Case, CaseDeadline, CaseKind
from models.reviews import Review, ReviewState, Role, Staff
from models.windows import duration
from notifications.text import one_line
from policies.policy import SHANGHAI
from tasks import desk, engine, reviews
from tasks.clock import clock
from tasks.db import Tx, reading
from tasks.dossier import plain

logger = logging.getLogger("dianwu.queue")

KEY = "review-inbox"
SHOWN = 200
"""Rows on the board; whoever has more to do sees the most urgent ones and how many there are."""
FIRST = 10
"""Rows with a link in the board's text: one of Prefect's two interfaces makes no links in tables."""
PAUSE_SECONDS = 2.0
"""The board is made at most so often while much happens."""
IDLE_SECONDS = 0.5
"""How often the clerk looks whether anything was recorded, when nobody calls."""
NEWER_FOR = timedelta(minutes=2)
"""How long a board made from newer records keeps an older one off; a database put back in time gets through then."""


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
    escalations: int
    """How often the supervisor was told that it is late."""
    revision: int
    verdicts: tuple[str, ...]
    link: str


_OWN = and_(
    CaseDeadline.case_id == Review.case_id,
    CaseDeadline.key == literal(f"{reviews.DEADLINE}/", String).concat(col(Review.id)),
)
"""The review's own deadline."""
_TIMES: ColumnElement[int] = func.coalesce(CaseDeadline.escalations, 0)


def waiting(
    tx: Tx,
    role: str | None = None,
    case_id: str | None = None,
    claimed_by: str | None = None,
    *,
    kind: CaseKind | None = None,
    late: bool = False,
    unclaimed: bool = False,
    limit: int | None = None,
) -> list[Waiting]:
    """Open questions: those escalated first, then by due time, then by age; at most so many."""
    query = (
        select(Review, Case, _TIMES, Staff.name)
        .join(Case, col(Case.id) == Review.case_id)
        .outerjoin(CaseDeadline, _OWN)
        .outerjoin(Staff, col(Staff.id) == Review.claimed_by)
        .where(col(Review.state).in_(reviews.OPEN))
        .order_by(case((_TIMES > 0, 0), else_=1), col(Review.due_at), col(Review.opened_at), col(Review.id))
        .options(defer(Review.dossier), defer(Case.request))  # type: ignore[arg-type]
        .limit(limit)
    )
    if role:
        query = query.where(cast(col(Review.roles), String).contains(f'"{role}"', autoescape=True))
    if case_id:
        query = query.where(Review.case_id == case_id)
    if claimed_by:
        query = query.where(Review.claimed_by == claimed_by)
    if kind:
        query = query.where(Case.kind == kind)
    if late:
        query = query.where(col(Review.due_at) < tx.now)
    if unclaimed:
        query = query.where(col(Review.claimed_by).is_(None))
    return [_row(review, about, escalations, name or "") for review, about, escalations, name in tx.exec(query)]


def counted(tx: Tx) -> tuple[int, int]:
    """How many questions are open, and how many of them were escalated."""
    late = func.coalesce(func.sum(case((_TIMES > 0, 1), else_=0)), 0)
    query = select(func.count(), late).select_from(Review).outerjoin(CaseDeadline, _OWN)
    total, escalated = tx.exec(query.where(col(Review.state).in_(reviews.OPEN))).one()
    return total, int(escalated)


def version(tx: Tx) -> int:
    """The newest line of any audit trail: while it is the same nobody has asked, claimed, released or decided."""
    return tx.exec(select(func.max(AuditEntry.id))).one() or 0


def _row(review: Review, about: Case, escalations: int, name: str) -> Waiting:
    return Waiting(
        review_id=review.id, case_id=about.id, kind=about.kind.label, subject=about.subject, gate=review.gate,
        title=desk.GATES[review.gate].title, roles=tuple(Role(role) for role in review.roles), state=review.state,
        opened_at=review.opened_at, due_at=review.due_at, claimed_by=review.claimed_by or "", claimed_name=name,
        escalations=escalations, revision=review.revision, verdicts=tuple(review.verdicts), link=reviews.link_to(about),
    )  # fmt: skip


# ── in words ─────────────────────────────────────────────────────────────────


def left(now: datetime, due: datetime | None) -> str:
    """``还剩 2 天 3 小时`` or ``已超时 5 小时``."""
    if due is None:
        return "—"
    return f"已超时 {duration(now - due)}" if now > due else f"还剩 {duration(due - now)}"


def escalated(row: Waiting) -> str:
    return f"⚠️ 已升级 {row.escalations} 次" if row.escalations else ""


def roles_of(row: Waiting) -> str:
    return "、".join(role.label for role in row.roles)


_WIDE = str.maketrans({"<": "＜", ">": "＞", "&": "＆", "[": "［", "]": "］", "`": "｀"})


def in_cell(text: str) -> str:
    """Somebody else's text in the table. One interface of Prefect reads HTML and links there and the other shows
    escapes as they are, so what could be markup becomes its full-width twin."""
    return one_line(text, 60).translate(_WIDE).replace("://", "：//")


class Board(Frozen):
    """What is on the board. Two boards with the same ``rows`` say the same to people."""

    version: int
    """Up to which record it was made: a board never takes the place of a newer one."""
    rows: tuple[tuple[str, ...], ...]
    """How many there are, and of those shown review, due, roles, claim, escalations: what makes it worth writing."""
    text: str
    table: tuple[dict[str, str], ...]


def board(tx: Tx) -> Board:
    """The board as it should be now."""
    at = version(tx)
    total, late = counted(tx)
    found = waiting(tx, limit=SHOWN)
    shown = ((row.review_id, str(row.due_at), roles_of(row), row.claimed_by, str(row.escalations), row.link)
             for row in found)  # fmt: skip
    return Board(
        version=at, rows=((str(total), str(late)), *shown), text=_text(found, total, late, tx.now),
        table=tuple(_cells(row, tx.now) for row in found),
    )  # fmt: skip


def _when(moment: datetime | None) -> str:
    return f"{moment.astimezone(SHANGHAI):%Y-%m-%d %H:%M}" if moment else "—"


def _cells(row: Waiting, now: datetime) -> dict[str, str]:
    return {
        "截止时间": _when(row.due_at), "剩余": left(now, row.due_at), "岗位": roles_of(row), "任务": row.title,
        "店铺": in_cell(row.subject), "案件": row.case_id, "已认领": in_cell(row.claimed_name or row.claimed_by),
        "等待时长": duration(now - row.opened_at), "逾期升级": escalated(row), "链接": row.link,
    }  # fmt: skip


def _text(found: Sequence[Waiting], total: int, late: int, now: datetime) -> str:
    """How much there is, and the most urgent with links."""
    if not found:
        return "没有待处理的审核任务。"
    more = f",其中 ⚠️ **逾期升级 {late} 项**" if late else ""
    cut = f"下表列出最急的 {len(found)} 项。" if total > len(found) else ""
    head = f"待处理审核任务 **{total}** 项{more}。{cut}"
    return "\n".join([head, "", *(_line(row, now) for row in found[:FIRST])])


def _line(row: Waiting, now: datetime) -> str:
    mark = "⚠️ " if row.escalations else ""
    claim = f",{plain(row.claimed_name or row.claimed_by)} 已认领" if row.claimed_by else ""
    name = f"[{row.title} · {row.case_id}]({row.link}) · {plain(row.subject, 40)}"  # no escapes in a link's words
    return f"- {mark}{name}:{roles_of(row)},{left(now, row.due_at)}{claim}"


# ── on the board ─────────────────────────────────────────────────────────────


def show(content: Board) -> None:
    """Write the board: the one artifact with our key is changed, so that its history does not grow.

    Several doors and the sweep write it; what was made from older records than the board that hangs there is late.
    """
    client = engine.client()
    about = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=[KEY]))
    found = client.read_latest_artifacts(artifact_filter=about, limit=1)
    data = json.dumps(content.table, ensure_ascii=False)
    made: dict[str, Any] = {"data": data, "description": content.text, "metadata_": {"version": str(content.version)}}
    if not found:
        client.create_artifact(ArtifactCreate(key=KEY, type="table", **made))
    elif not _is_newer(found[0], content):
        client.update_artifact(found[0].latest_id, ArtifactUpdate(**made))


def _is_newer(there: ArtifactCollection, content: Board) -> bool:
    kept = int((there.metadata_ or {}).get("version", 0))
    fresh = there.updated is not None and clock().real() - there.updated < NEWER_FOR
    return kept > content.version and fresh


def publish(put: Callable[[Board], None] = show) -> bool:
    """Write the board as it should be now; ``False`` when Prefect is out of reach, and the next time will do."""
    with reading() as tx:
        content = board(tx)
    return _put(content, put)


def _put(content: Board, put: Callable[[Board], None]) -> bool:
    try:
        put(content)
    except (httpx.HTTPError, PrefectHTTPStatusError, ObjectNotFound) as error:
        logger.warning("the board %s was not written: %s", KEY, type(error).__name__)
        return False
    return True


class Clerk:
    """A thread that keeps the board current beside the courier, and takes none of its time.

    It looks when it is called and by itself, not too often, and writes only what changed.
    """

    def __init__(self, put: Callable[[Board], None] = show, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._put, self._monotonic = put, monotonic
        self._made_at, self._version = float("-inf"), -1
        self._written: tuple[tuple[str, ...], ...] | None = None
        self._call, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="clerk", daemon=True)

    def start(self) -> Clerk:
        self._thread.start()
        return self

    def after_round(self, done: int) -> None:
        """The courier has been round once and delivered so much: there may be something to see."""
        if done:
            self._call.set()

    def stop(self, timeout: float = 10) -> None:
        self._stop.set()
        self._call.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except Exception:  # a view that cannot be made now is made later, and its thread goes on
                logger.exception("the board %s could not be made; trying again", KEY)
            self._call.wait(IDLE_SECONDS)
            self._call.clear()

    def look(self) -> None:
        """Write the board if something was recorded since, and it says something else now."""
        if self._monotonic() - self._made_at < PAUSE_SECONDS:
            return
        with reading() as tx:
            if version(tx) == self._version:
                return
            content = board(tx)
        self._made_at = self._monotonic()
        if content.rows == self._written or _put(content, self._put):
            self._version, self._written = content.version, content.rows
