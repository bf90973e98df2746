"""The queue: every question that waits for a person, the most urgent first, and the board where people see it.

One query serves the command line and Prefect's table artifact ``review-inbox``. The board is written by the courier
when something happened, and by the deadline sweep every minute; it is a view and may be late, never wrong for long.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime

import httpx
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from sqlalchemy import String, literal
from sqlmodel import and_, case, col, func, select

from models.base import Frozen
from models.cases import Case, CaseDeadline
from models.reviews import Review, ReviewState, Role, Staff
from models.windows import duration
from notifications.text import one_line
from policies.policy import SHANGHAI
from tasks import desk, engine, reviews
from tasks.db import Tx, reading
from tasks.dossier import plain

logger = logging.getLogger("dianwu.queue")

KEY = "review-inbox"
SHOWN = 200
"""Rows on the board; whoever has more to do sees the most urgent ones and how many there are."""
FIRST = 10
"""Rows with a link in the board's text: one of Prefect's two interfaces makes no links in tables."""
PAUSE_SECONDS = 2.0
"""The board is written at most so often while the courier is busy."""


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


def waiting(
    tx: Tx, role: str | None = None, case_id: str | None = None, claimed_by: str | None = None
) -> list[Waiting]:
    """Open questions: those escalated first, then by due time, then by age."""
    own = and_(
        CaseDeadline.case_id == Review.case_id,
        CaseDeadline.key == literal(f"{reviews.DEADLINE}/", String).concat(col(Review.id)),
    )
    times = func.coalesce(CaseDeadline.escalations, 0)
    query = (
        select(Review, Case, times, Staff.name)
        .join(Case, col(Case.id) == Review.case_id)
        .outerjoin(CaseDeadline, own)
        .outerjoin(Staff, col(Staff.id) == Review.claimed_by)
        .where(col(Review.state).in_(reviews.OPEN))
        .order_by(case((times > 0, 0), else_=1), col(Review.due_at), col(Review.opened_at), col(Review.id))
    )
    if case_id:
        query = query.where(Review.case_id == case_id)
    if claimed_by:
        query = query.where(Review.claimed_by == claimed_by)
    return [
        _row(review, about, escalations, name or "")
        for review, about, escalations, name in tx.exec(query)
        if role is None or role in review.roles
    ]


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

    rows: tuple[tuple[str, ...], ...]
    """Review, case, due, roles, claim, escalations: what makes a board worth writing again."""
    text: str
    table: tuple[dict[str, str], ...]


def board(tx: Tx) -> Board:
    """The board as it should be now."""
    found = waiting(tx)
    return Board(
        rows=tuple((row.review_id, str(row.due_at), roles_of(row), row.claimed_by, str(row.escalations), row.link)
                   for row in found),
        text=_text(found, tx.now), table=tuple(_cells(row, tx.now) for row in found[:SHOWN]),
    )  # fmt: skip


def _when(moment: datetime | None) -> str:
    return f"{moment.astimezone(SHANGHAI):%Y-%m-%d %H:%M}" if moment else "—"


def _cells(row: Waiting, now: datetime) -> dict[str, str]:
    return {
        "截止时间": _when(row.due_at), "剩余": left(now, row.due_at), "岗位": roles_of(row), "任务": row.title,
        "店铺": in_cell(row.subject), "案件": row.case_id, "已认领": in_cell(row.claimed_name or row.claimed_by),
        "逾期升级": escalated(row), "链接": row.link,
    }  # fmt: skip


def _text(found: Sequence[Waiting], now: datetime) -> str:
    """How much there is, and the most urgent with links."""
    late = sum(1 for row in found if row.escalations)
    if not found:
        return "没有待处理的审核任务。"
    more = f",其中 ⚠️ **逾期升级 {late} 项**" if late else ""
    cut = f"下表列出最急的 {SHOWN} 项。" if len(found) > SHOWN else ""
    head = f"待处理审核任务 **{len(found)}** 项{more}。{cut}"
    return "\n".join([head, "", *(_line(row, now) for row in found[:FIRST])])


def _line(row: Waiting, now: datetime) -> str:
    mark = "⚠️ " if row.escalations else ""
    claim = f",{plain(row.claimed_name or row.claimed_by)} 已认领" if row.claimed_by else ""
    name = f"[{row.title} · {row.case_id}]({row.link}) · {plain(row.subject, 40)}"  # no escapes in a link's words
    return f"- {mark}{name}:{roles_of(row)},{left(now, row.due_at)}{claim}"


# ── on the board ─────────────────────────────────────────────────────────────


def show(content: Board) -> None:
    """Write the board: the one artifact with our key is changed, so that its history does not grow."""
    client = engine.client()
    about = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=[KEY]))
    found = client.read_latest_artifacts(artifact_filter=about, limit=1)
    data = json.dumps(content.table, ensure_ascii=False)
    if found:
        latest = found[0].latest_id
        client.update_artifact(latest, ArtifactUpdate(data=data, description=content.text))
    else:
        client.create_artifact(ArtifactCreate(key=KEY, type="table", data=data, description=content.text))


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
    """Keeps the board current beside the courier: after something happened, not too often, only what changed."""

    def __init__(self, put: Callable[[Board], None] = show, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._put, self._monotonic = put, monotonic
        self._stale, self._looked = True, float("-inf")
        self._written: tuple[tuple[str, ...], ...] | None = None

    def after_round(self, done: int) -> None:
        """The courier has been round once and delivered so much."""
        self._stale = self._stale or done > 0
        if not self._stale or self._monotonic() - self._looked < PAUSE_SECONDS:
            return
        self._looked = self._monotonic()
        with reading() as tx:
            content = board(tx)
        if content.rows == self._written or _put(content, self._put):
            self._stale, self._written = False, content.rows
