"""Who is there: the person whose session a request brings, and where they are sent when it brings none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from models.base import Frozen
from models.desk import DeskSession
from models.reviews import Role, Staff
from models.text import typed, whole
from office.base.db import in_transaction, reading
from office.base.settings import Settings
from office.staff import desk_sessions

MOST_BYTES = 200_000
"""A form of the desk is never larger: the longest field takes 20,000 characters of three bytes each, percent-encoded."""


LEFT = "x-session-left"
"""The header that tells a page for how many seconds its session holds."""


class LogInFirst(Exception):
    """The request brings no session that holds; ``kept`` is what was typed, to be shown again afterwards."""

    def __init__(self, to: str, kept: Mapping[str, str]) -> None:
        super().__init__(to)
        self.to, self.kept = to, kept


class Visitor(Frozen):
    """A person at the desk, from one browser."""

    session_id: str
    word: str
    id: str
    name: str
    roles: tuple[str, ...]
    left: int
    """For how many seconds the session holds if nothing more is done in it."""

    @property
    def titles(self) -> str:
        return "、".join(Role(role).label for role in self.roles)

    @property
    def actor(self) -> str:
        """How the record names them."""
        return f"staff/{self.id}"

    @property
    def supervises(self) -> bool:
        return Role.SUPERVISOR in self.roles


def cookie_name(given: Settings) -> str:
    return "__Host-dianwu" if given.desk.startswith("https://") else "dianwu_desk"


def set_cookie(response: Response, given: Settings, word: str) -> Response:
    """Give the browser the session's word, or take it back when it is empty."""
    secure = given.desk.startswith("https://")
    response.set_cookie(
        cookie_name(given), word, httponly=True, samesite="lax", secure=secure, path="/", max_age=None if word else 0
    )
    return response


async def posted(request: Request) -> dict[str, str]:
    """The form that was sent, without what no database takes; nothing of one that is too large or says a thing twice."""
    size = whole(request.headers.get("content-length", ""))
    if size is None or size > MOST_BYTES:
        return {}
    form = await request.form(max_files=0, max_fields=100)
    if len(form.multi_items()) != len(form):
        return {}
    return typed({name: value for name, value in form.items() if not isinstance(value, UploadFile)})


def visitor(request: Request, form: Annotated[dict[str, str], Depends(posted)]) -> Visitor:
    """The person who is there; raises :class:`LogInFirst` with what the request brought."""
    word = request.cookies.get(cookie_name(request.app.state.settings), "")
    with reading() as tx:
        here = desk_sessions.whose(tx, word)
        stale = here is not None and desk_sessions.touched_long_ago(here[0]) and request.url.path != "/pulse"
        found = _of(here[1], here[0], word, desk_sessions.lasts(tx, here[0], touched=stale)) if here else None
    if found is None:
        raise LogInFirst(_own_path(request), form)
    if stale:  # but by the pulse: a page that lies open is nobody's presence
        in_transaction(lambda tx: desk_sessions.touch(tx, found.session_id))
    return found


def _of(person: Staff, session: DeskSession, word: str, left: int) -> Visitor:
    return Visitor(
        session_id=session.id, word=word, id=person.id, name=person.name, roles=tuple(person.roles), left=left
    )


def _own_path(request: Request) -> str:
    if request.method == "GET":
        return request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return "/r/" + request.path_params["review_id"] if "review_id" in request.path_params else "/q"


def safe_path(to: Any) -> str:
    """A path of the desk's own; anything else is the queue."""
    given = str(to or "")
    return given if given.startswith("/") and not given.startswith(("//", "/\\")) and "\\" not in given else "/q"
