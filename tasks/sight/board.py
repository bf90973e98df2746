"""The boards: for each role one page in Prefect with what waits for it, every line a link, decided today below.

Written by the clerk beside the door when something was recorded, and by the deadline sweep every minute; a view, which may
be late, never wrong for long. A page is text in lines, so that nothing has to be scrolled sideways.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import httpx
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey
from prefect.client.schemas.objects import ArtifactCollection
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from models.base import Frozen
from models.reviews import Role
from office.base.clock import clock
from office.base.db import Tx, reading
from office.cases import gates as review_gates
from office.cases.links import BOARD, board_key
from office.cases.markdown import plain
from office.runs import engine
from policies.policy import SHANGHAI
from tasks.sight import queue
from tasks.sight.queue import Done, Waiting

logger = logging.getLogger("dianwu.board")

SHOWN = 100
"""Questions on a page; the page says how many more there are and where they are listed."""
DECIDED = 50
"""Decisions of today on a page."""
PAUSE_SECONDS = 2.0
"""The boards are made at most so often while much happens."""
IDLE_SECONDS = 0.5
"""How often the clerk looks whether anything was recorded, when nobody calls."""
NEWER_FOR = timedelta(minutes=2)
"""How long a page made from newer records keeps an older one off; a database put back in time gets through then."""
FORMER = BOARD
"""The one table of earlier versions, for all roles: taken down when it is met."""


class Page(Frozen):
    """One role's page. Two pages with the same text say the same to people."""

    role: Role
    text: str

    @property
    def key(self) -> str:
        return board_key(self.role)


class Board(Frozen):
    """All pages as they should be now."""

    version: int
    """Up to which record it was made: a page never takes the place of a newer one."""
    pages: tuple[Page, ...]


def board(tx: Tx) -> Board:
    """The pages as they should be now."""
    return Board(version=queue.version(tx), pages=tuple(Page(role=role, text=_text(tx, role)) for role in Role))


def _text(tx: Tx, role: Role) -> str:
    total, late = queue.counted(tx, role)
    rows = queue.waiting(tx, role, limit=SHOWN)
    in_hand = [row for row in rows if row.claimed_by or row.held_by or row.notice.startswith(review_gates.NOT_TAKEN)]
    others = [row for row in rows if row not in in_hand]
    midnight = tx.now.astimezone(SHANGHAI).replace(hour=0, minute=0, second=0, microsecond=0)
    done = queue.decided(tx, role, since=midnight, limit=DECIDED + 1)
    head = (
        f"待处理 **{total}** 项" + (f"，其中 ⚠️ **逾期升级 {late} 项**" if late else "")
        if total
        else "没有待处理的审核任务。"
    )
    more = f"另有 {total - len(rows)} 项较不急的未列出：`dianwu review list --role {role.label}` 可查全部。"
    parts = [
        f"### {role.label}\n\n{head}",
        _part("已认领、上次答复未采纳", [_line(row, tx.now) for row in in_hand]),
        _part("待处理", [_line(row, tx.now) for row in others]),
        more if total > len(rows) else "",
        _part("今日已决定", [_done(one) for one in done[:DECIDED]]),
        "今日更早的决定未列出：`dianwu review mine` 可查本人的全部。" if len(done) > DECIDED else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _part(title: str, lines: list[str]) -> str:
    return "\n".join([f"#### {title}", "", *lines]) if lines else ""


def _line(row: Waiting, now: datetime) -> str:
    mark = "⚠️ " if row.escalations else ""
    due = f"{row.due_at.astimezone(SHANGHAI):%m-%d %H:%M} 前" if row.due_at else "无时限"
    late = "（已超时）" if row.due_at and now > row.due_at else ""
    claim = f"，{plain(queue.taken_by(row))}{'' if row.held_by else ' 已认领'}" if queue.taken_by(row) else ""
    notice = f"\n  - {plain(row.notice, 120)}" if row.notice else ""
    # no escapes in a link's words
    return f"- {mark}[{row.title} · {row.case_id}]({row.link}) · {plain(row.subject, 40)}：{due}{late}{claim}{notice}"


def _done(one: Done) -> str:
    at = f"{one.decided_at.astimezone(SHANGHAI):%H:%M}"
    who = plain(one.name or one.decided_by)
    return (
        f"- {at} [{one.title} · {one.case_id}]({one.link}) · {plain(one.subject, 40)}：{who} **{plain(one.verdict)}**"
    )


# ── in Prefect ───────────────────────────────────────────────────────────────


def show(content: Board) -> None:
    """Write the pages that say something else now: one artifact for each role, changed, so that no history grows.

    Several doors and the sweep write them; what was made from older records than the page that hangs there is late.
    """
    client = engine.client()
    keys = [FORMER, *(page.key for page in content.pages)]
    about = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=keys))
    there = {
        artifact.key: artifact for artifact in client.read_latest_artifacts(artifact_filter=about, limit=len(keys))
    }
    if FORMER in there:
        client.delete_artifact(there[FORMER].latest_id)
    version = {"version": str(content.version)}
    for page in content.pages:
        hangs = there.get(page.key)
        if hangs is None:
            made = ArtifactCreate(
                key=page.key, type="markdown", data=page.text, description=f"待办：{page.role.label}", metadata_=version
            )
            client.create_artifact(made)
        elif hangs.data != page.text and not _is_newer(hangs, content):
            client.update_artifact(hangs.latest_id, ArtifactUpdate(data=page.text, metadata_=version))


def _is_newer(there: ArtifactCollection, content: Board) -> bool:
    kept = int((there.metadata_ or {}).get("version", 0))
    fresh = there.updated is not None and clock().real() - there.updated < NEWER_FOR
    return kept > content.version and fresh


def publish(put: Callable[[Board], None] = show) -> bool:
    """Write the boards as they should be now; ``False`` when Prefect is out of reach, and the next time will do."""
    with reading() as tx:
        content = board(tx)
    return _put(content, put)


def _put(content: Board, put: Callable[[Board], None]) -> bool:
    try:
        put(content)
    except (httpx.HTTPError, PrefectHTTPStatusError, ObjectNotFound) as error:
        logger.warning("the boards were not written: %s", type(error).__name__)
        return False
    return True


class Clerk:
    """A thread that keeps the boards current beside the courier, and takes none of its time.

    It looks when it is called and by itself, not too often, and writes only what changed.
    """

    def __init__(self, put: Callable[[Board], None] = show, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._put, self._monotonic = put, monotonic
        self._made_at, self._version = float("-inf"), -1
        self._written: tuple[Page, ...] | None = None
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
                logger.exception("the boards could not be made; trying again")
            self._call.wait(IDLE_SECONDS)
            self._call.clear()

    def look(self) -> None:
        """Write the boards if something was recorded since, and they say something else now."""
        if self._monotonic() - self._made_at < PAUSE_SECONDS:
            return
        with reading() as tx:
            if queue.version(tx) == self._version:
                return
            content = board(tx)
        self._made_at = self._monotonic()
        if content.pages == self._written or _put(content, self._put):
            self._version, self._written = content.version, content.pages
