"""我的、案件、店铺、查找: pages that only show, and the two acts a person has about their own sessions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from sqlmodel import select
from starlette.responses import JSONResponse, RedirectResponse, Response

from desk import reads
from desk.dossier import sections
from desk.html import page
from desk.queue import Filter, framed
from desk.visitor import Visitor, posted, set_cookie, visitor
from models.cases import Case
from models.reviews import Review
from models.shops import Capability, Shop
from office.base.db import in_transaction, reading
from office.cases import held_answers
from office.cases.locks import UnknownCase
from office.process import office
from office.staff import desk_sessions, passkeys
from tasks.sight import desk_forms, lookup, queue, snippets
from tasks.sight.views import case_dossier

router = APIRouter()
Form = Annotated[dict[str, str], Depends(posted)]
Person = Annotated[Visitor, Depends(visitor)]

DONE = 500
"""Decisions of one's own that the page lists, and says when there are more."""
SPANS = {"1": "今日", "7": "近 7 天", "90": "近 90 天", "3660": "全部"}


@router.get("/me")
def mine(who: Person, days: str = "1") -> Response:
    return _mine(who, days)


def _mine(who: Visitor, days: str, *, refused: str = "", given: Mapping[str, str] | None = None) -> Response:
    days = days if days in SPANS else "1"
    with reading() as tx:
        since = queue.today(tx) if days == "1" else tx.now - timedelta(days=int(days))
        done = queue.decided(tx, by=who.id, since=since, limit=DONE + 1)
        pace = queue.pace(done) if days == "1" else None
        own = desk_sessions.of(tx, who.id)
        return framed(
            tx,
            who,
            "me",
            "mine",
            422 if refused else 200,
            days=days,
            spans=SPANS,
            done=done[:DONE],
            pace=pace,
            haste=pace is not None and pace < queue.HASTE,
            more=len(done) > DONE,
            sessions=own,
            keys=passkeys.of(tx, who.id),
            held=[(one, office().gates[gate]) for one, gate in held_answers.waiting_for(tx, who.id)],
            snippets=snippets.of(tx, who.id),
            snippet_refused=refused,
            snippet_given={"name": "", "text": "", **(given or {})},
            end_token=desk_forms.token(who.session_id, "sessions"),
        )


@router.post("/me/snippets")
def keep_snippet(who: Person, form: Form) -> Response:
    """Keep a reason that this person writes often."""
    name, text = form.get("name", ""), form.get("text", "")
    if not desk_forms.fits(form.get("token", ""), who.session_id, "sessions"):
        return _mine(who, "1", refused=desk_forms.NOT_OURS, given={"name": name, "text": text})
    if sentence := in_transaction(lambda tx: snippets.keep(tx, who.id, name, text)):
        return _mine(who, "1", refused=sentence, given={"name": name, "text": text})
    return RedirectResponse("/me#snippets", 303)


@router.post("/me/snippets/{snippet_id}/end")
def drop_snippet(who: Person, form: Form, snippet_id: str) -> Response:
    if desk_forms.fits(form.get("token", ""), who.session_id, "sessions"):
        in_transaction(lambda tx: snippets.drop(tx, who.id, snippet_id))
    return RedirectResponse("/me#snippets", 303)


@router.post("/me/sessions/{session_id}/end")
def end(request: Request, who: Person, form: Form, session_id: str) -> Response:
    """End a session of one's own, this one or another."""
    if desk_forms.fits(form.get("token", ""), who.session_id, "sessions"):
        in_transaction(lambda tx: desk_sessions.end(tx, session_id, who.id))
    if session_id == who.session_id:
        return set_cookie(RedirectResponse("/login", 303), request.app.state.settings, "")
    return RedirectResponse("/me", 303)


@router.post("/me/passkeys/options")
def key_options(who: Person, form: Form) -> Response:
    """What the browser is asked to make a key for, for who brings an invitation and a code."""
    if not desk_forms.fits(form.get("token", ""), who.session_id, "sessions"):
        return Response(status_code=403)
    options, sentence = in_transaction(
        lambda tx: passkeys.begin_enrolment(tx, who.id, who.session_id, form.get("word", ""), form.get("code", ""))
    )
    if sentence:
        return JSONResponse({"sentence": sentence}, 422)
    return Response(options, media_type="application/json")


@router.post("/me/passkeys")
def enrol(who: Person, form: Form) -> Response:
    sentence = in_transaction(
        lambda tx: passkeys.finish_enrolment(
            tx, who.id, who.session_id, form.get("credential", ""), form.get("name", "")
        )
    )
    if sentence:
        return page("fault", 422, sentence=sentence, who=None)
    return RedirectResponse("/me", 303)


@router.post("/me/passkeys/{passkey_id}/end")
def end_key(who: Person, form: Form, passkey_id: str) -> Response:
    """Stop taking one of one's own keys."""
    if desk_forms.fits(form.get("token", ""), who.session_id, "sessions"):
        in_transaction(lambda tx: passkeys.end(tx, passkey_id, who.id))
    return RedirectResponse("/me", 303)


@router.get("/c/{case_id}")
def case(request: Request, who: Person, case_id: str) -> Response:
    """The whole of one case: the very picture that ``dianwu cases show`` prints."""
    try:
        found = case_dossier(case_id)
    except UnknownCase:
        raise reads.nothing(who) from None
    given = request.app.state.settings
    with reading() as tx:
        row = tx.get_one(Case, found.id)
        questions = list(tx.exec(select(Review).where(Review.case_id == found.id)))
        own = bool(questions) and all(reads.asked(tx, who, one) for one in questions)
    if not own:
        reads.note(who, row)
    with reading() as tx:
        return framed(
            tx,
            who,
            "c",
            "case",
            case=found,
            shown={one.id: sections(one.kept, given) for one in found.reviews},
            drawn=(),
            seen={},
        )


@router.get("/s/{shop_id:path}")
def shop(request: Request, who: Person, shop_id: str) -> Response:
    with reading() as tx:
        known = tx.get(Shop, shop_id) is not None
    if not known:
        raise reads.nothing(who)
    reads.note_shop(who, shop_id)
    with reading() as tx:
        found = lookup.shop(tx, shop_id)
        return framed(
            tx,
            who,
            "s",
            "shop",
            shop=found,
            able=[one.label for one in Capability if found and one.value in found.shop.capabilities],
        )


@router.get("/find")
def find(request: Request, who: Person, q: str = "") -> Response:
    """An exact number leads to its page; words to the shops and cases that bear them."""
    q = q[:100]
    if q:
        reads.count(who, "find")
    with reading() as tx:
        if place := lookup.place_of(tx, q):
            kind, number = place
            return RedirectResponse(f"/{kind}/{quote(number, safe='')}", 303)
        found = lookup.matching(tx, q)
        return framed(
            tx,
            who,
            "find",
            "find",
            words=q,
            found=found[: lookup.MOST],
            more=len(found) > lookup.MOST,
            chosen=Filter(),
        )
