"""待办: what waits, soonest due first, in tabs whose filter is the address; and the pulse that says whether it has changed."""

from __future__ import annotations

import time
import zlib
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Depends, Request
from sqlalchemy.exc import IntegrityError
from starlette.responses import JSONResponse, Response

from desk.html import page
from desk.visitor import LEFT, Visitor, visitor
from models.base import Frozen
from models.confirmations import Weight
from models.reviews import Review, Role
from models.text import whole
from office.base.db import Tx, in_transaction, reading
from office.cases import looks
from office.cases.weights import weight
from office.process import office
from policies.policy import policy_at
from tasks.sight import desk_forms, queue

router = APIRouter()
Person = Annotated[Visitor, Depends(visitor)]

ROWS = 50
VIEWS = {
    "open": "待处理",
    "mine": "我认领的",
    "back": "退回与有新情况",
    "late": "已超时",
    "later": "稍后再看",
    "done": "今日已办",
}


class Filter(Frozen):
    """What a list shows. It stands in the address, and goes along to a question and on to the next."""

    view: str = "open"
    role: str = ""
    gate: str = ""
    shop: str = ""
    skip: int = 0

    @classmethod
    def read(cls, query: str) -> Filter:
        """From a query string; what nobody offers is left out."""
        given = dict(parse_qsl(query[:500]))
        skip = given.get("skip", "")
        return cls(
            view=given["view"] if given.get("view") in VIEWS else "open",
            role=given["role"] if given.get("role") in set(Role) else "",
            gate=given["gate"] if given.get("gate") in office().gates else "",
            shop=given.get("shop", "")[:64],
            skip=min(whole(skip) or 0, 1_000_000),
        )

    def address(self, **changes: Any) -> str:
        """The query string of this filter, changed so."""
        return urlencode(
            {name: value for name, value in {**self.model_dump(), **changes}.items() if value and value != "open"}
        )


def rows(
    tx: Tx, who: Visitor, chosen: Filter, limit: int = ROWS, only: Collection[str] | None = None, *, free: bool = False
) -> list[queue.Waiting]:
    """The open questions a filter shows this person, the most urgent first; ``free``: those that nobody else is at."""
    roles = (chosen.role,) if chosen.role else who.roles
    return queue.waiting(
        tx,
        roles,
        claimed_by=who.id if chosen.view == "mine" else None,
        gate=chosen.gate or None,
        shop=chosen.shop or None,
        late=chosen.view == "late",
        noticed=chosen.view == "back",
        limit=limit,
        skip=chosen.skip,
        seen_by=who.id,
        put_off=chosen.view == "later",
        only=only,
        free_for=who.id if free else "",
    )


def next_for(tx: Tx, who: Visitor, chosen: Filter, besides: str, *, back: bool = False) -> str | None:
    """The question after this one (``back``: before it) in the same filter that this person may answer; after the last one,
    the first."""
    found = rows(tx, who, chosen.model_copy(update={"skip": 0}), free=True)
    found = found[::-1] if back else found
    at = next((n + 1 for n, row in enumerate(found) if row.review_id == besides), 0)
    free = (row.review_id for row in [*found[at:], *found[:at]] if row.review_id != besides and not row.held_by)
    return next(free, None)


def counts(tx: Tx, who: Visitor) -> dict[str, int]:
    """How many there are behind each tab."""
    return queue.tabs(tx, who.roles, who.id)


def framed(tx: Tx, who: Visitor, here: str, name: str, status: int = 200, **values: Any) -> Response:
    """A page for somebody who is logged in, under the tab ``here``."""
    leave = desk_forms.token(who.session_id, "leave")
    return page(name, status, who=who, here=here, counts=counts(tx, who), now=tx.now, token=leave, **values)


@router.get("/q")
def show(request: Request, who: Person) -> Response:
    chosen = Filter.read(request.url.query)
    with reading() as tx:
        done = queue.decided(tx, by=who.id, since=queue.today(tx), limit=200) if chosen.view == "done" else []
        found = [] if chosen.view == "done" else rows(tx, who, chosen, ROWS + 1)
        elsewhere = queue.elsewhere(tx, who.roles, who.id) if not found and not done else ()
        return framed(
            tx,
            who,
            "q",
            "queue",
            chosen=chosen,
            views=VIEWS,
            rows=found[:ROWS],
            more=len(found) > ROWS,
            done=done,
            version=pulse_version(tx),
            elsewhere=elsewhere,
            rows_each=ROWS,
            gates={name: gate.title for name, gate in office().gates.items() if {*gate.roles} & {*who.roles}},
            **_many(tx, who, found[:ROWS], chosen),
            roles=list(Role) if who.supervises else [Role(role) for role in who.roles],
        )


def _many(tx: Tx, who: Visitor, found: list[queue.Waiting], chosen: Filter) -> dict[str, Any]:
    """The kinds of question in this list of which several can be decided one after another, with their titles; and the
    questions of these, which can be ticked to be read together."""
    rules = policy_at(tx.now).decisions
    clean = [
        row
        for row in found
        if weight(row.gate, rules) is Weight.ROUTINE
        and not row.blocked
        and not row.held_by
        and row.claimed_by in {"", who.id}
    ]
    count = Counter(row.gate for row in clean)
    many = {gate: office().gates[gate].title for gate in count if count[gate] > 1 and chosen.view != "later"}
    return {"many": many, "pickable": {row.review_id for row in clean if row.gate in many}}


def pulse_version(tx: Tx) -> str:
    """While it is the same nothing has happened, and nobody has begun or ended to look: the newest line of any audit trail,
    and who is where."""
    return f"{queue.version(tx)}.{zlib.crc32(repr(looks.now_here(tx)).encode()):08x}"


_seen: list[tuple[float, str]] = []
"""When the version was read last, and what it was: one question a second to the database, however many look."""
_noted: dict[tuple[str, str], float] = {}
"""When it was noted last that somebody looks at a question: not with every beat."""
EVERY = 30
"""Seconds."""


def _version() -> str:
    if not _seen or time.monotonic() - _seen[0][0] > 1:
        with reading() as tx:
            _seen[:] = [(time.monotonic(), pulse_version(tx))]
    return _seen[0][1]


def _look(who: Visitor, review_id: str) -> None:
    """Note that they have it before them, if it is one."""
    if len(review_id) > 64:
        return
    now = time.monotonic()
    if now - _noted.get((who.id, review_id), -EVERY) < EVERY:
        return
    if len(_noted) > 10_000:
        _noted.clear()
    _noted[who.id, review_id] = now
    with suppress(IntegrityError):
        in_transaction(lambda tx: looks.here(tx, review_id, who.id))
    _seen.clear()


@router.get("/pulse")
def pulse(request: Request, who: Person, v: str = "", r: str = "", here: str = "") -> Response:
    """Nothing new, or what has changed: the tabs' counts, and of the question that is looked at its revision and who else
    looks at it. ``here``: the page is before its reader's eyes, which is all that a GET ever notes."""
    if r and here:
        _look(who, r)
    left = {LEFT: str(who.left)}
    if v == _version():
        return Response(status_code=304, headers=left)
    with reading() as tx:
        review = tx.get(Review, r) if r else None
        about: dict[str, Any] = {}
        if review is not None:
            also = looks.who_is_here(tx, [review.id], but=who.id).get(review.id, ())
            about = {"revision": review.revision, "state": review.state.value, "here": also}
        return JSONResponse({"version": pulse_version(tx), "counts": counts(tx, who), **about}, headers=left)
