"""一个事项: one question on one page, and everything a person does about it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from desk import reads
from desk.dossier import sections
from desk.html import moment
from desk.pictures import papers_of
from desk.queue import Filter, framed, next_for, pulse_version
from desk.visitor import Visitor, posted, visitor
from models.cases import Case
from models.dossier import Sheet
from models.reviews import Review, ReviewState, Role, Staff
from models.text import whole
from office.base.db import Tx, in_transaction, reading
from office.cases import (
    appointing,
    confirmations,
    forms,
    hands,
    held_answers,
    judge,
    later,
    looks,
    objections,
    reviews,
    signatures,
)
from office.cases import gates as review_gates
from office.cases.gates import OPEN, Answer, Outcome
from office.staff import passkeys, people
from office.staff.guard import Place
from policies.policy import SHANGHAI
from tasks.sight import desk_forms, snippets
from tasks.sight.lines import audit_lines
from tasks.sight.merchant import staff_name

router = APIRouter()
Form = Annotated[dict[str, str], Depends(posted)]
Person = Annotated[Visitor, Depends(visitor)]

FIELD = "field."
"""What the names of a gate's own fields begin with in the form."""


def typed(form: Mapping[str, str]) -> dict[str, str]:
    """What a person typed into a question's form, without what proves them."""
    return {
        name: value.replace("\r\n", "\n")[: review_gates.MOST_KEPT]
        for name, value in form.items()
        if name in {"verdict", "reason", "marks"} or name.startswith(FIELD)
    }


def keep(staff_id: str, review_id: str, fields: Mapping[str, str]) -> None:
    """Keep as a draft what was typed before a session ended, unless something newer is there."""

    def kept(tx: Tx) -> None:
        before = desk_forms.draft(tx, staff_id, review_id)
        desk_forms.save_draft(tx, staff_id, review_id, before.version if before else 0, typed(fields))

    in_transaction(kept)


def _page(
    tx: Tx,
    who: Visitor,
    review_id: str,
    chosen: Filter,
    request: Request,
    *,
    given: Mapping[str, str] | None = None,
    refused: str = "",
    status: int = 200,
    done: str = "",
) -> Response:
    review = _find(tx, review_id)
    case, gate = tx.get_one(Case, review.case_id), reviews.gate_of(review)
    draft = desk_forms.draft(tx, who.id, review.id) if review.state in OPEN else None
    held = held_answers.open_of(tx, review.id)
    about = desk_forms.about(review)
    parts = sections(review.dossier, request.app.state.settings)
    typed_on = given if given is not None else draft.fields if draft else {}
    before = request.query_params.get("since", "") or typed_on.get("marks", "")
    since = set(before[:500].split(",")) if before else set()
    return framed(
        tx,
        who,
        "q",
        "question",
        status,
        chosen=chosen,
        version=pulse_version(tx),
        review=review,
        case=case,
        gate=gate,
        sections=parts,
        marks=",".join(one.mark for one in parts),
        since=since,
        **papers_of(tx, review, who.id, request.app.state.settings),
        times=TIMES,
        look_first=judge.not_looked_at(tx, review, gate, who.id) if review.state in OPEN else None,
        here_now=looks.who_is_here(tx, [review.id], but=who.id).get(review.id, ()),
        put_off=later.of(tx, review.id, who.id),
        snippets=snippets.of(tx, who.id),
        open=review.state in OPEN,
        why_not=_why_not(tx, who, review),
        refused=refused,
        given={"verdict": "", "reason": "", **typed_on},
        draft=draft,
        form_token=desk_forms.token(who.session_id, about),
        act_token=desk_forms.token(who.session_id, f"act {review.id}"),
        by_session=judge.session_is_enough(tx, review, gate),
        keys=len(passkeys.of(tx, who.id)),
        reason_needed=forms.reason_needed(review, gate),
        needs_reason={code for code in review.verdicts if code in gate.reason_required},
        roles="、".join(Role(role).label for role in review.roles),
        holder=tx.get(Staff, review.claimed_by) if review.claimed_by else None,
        held=held,
        held_name=staff_name(tx, held.staff_id) if held else "",
        decided_name=staff_name(tx, review.decided_by),
        told=forms.CONSEQUENCES in Sheet.read(review.dossier),
        timeline=list(reversed(audit_lines(tx, case.id))),
        field=FIELD,
        done=_done(tx, who, done),
        decided=review.state is ReviewState.DECIDED,
        **_colleagues(tx, who, review),
    )


def _find(tx: Tx, review_id: str) -> Review:
    review = tx.get(Review, review_id)
    if review is None:
        raise HTTPException(404)
    return review


def _why_not(tx: Tx, who: Visitor, review: Review) -> str:
    return judge.may_not_answer(tx, review, tx.get_one(Staff, who.id)) or ""


def _colleagues(tx: Tx, who: Visitor, review: Review) -> dict[str, Any]:
    """Whom a supervisor may hand this to; and, where nobody is left, whom they may appoint."""
    if not who.supervises or review.state not in OPEN:
        return {"able": (), "others": ()}
    everybody = people.roster(tx)
    able = people.left(review, everybody)
    others = () if able else [one for one in everybody if not one.hindered and one.id not in review.excluded]
    return {"able": able, "others": others}


def _done(tx: Tx, who: Visitor, review_id: str) -> dict[str, str] | None:
    """What this person has just decided, as it is recorded."""
    review = tx.get(Review, review_id) if review_id else None
    if review is None:
        return None
    gate, case = reviews.gate_of(review), tx.get_one(Case, review.case_id)
    if review.decided_by == who.id and review.verdict:
        return {
            "id": review.id,
            "text": f"{gate.title}:{gate.verdict(review.verdict).label}",
            "subject": case.subject or case.id,
        }
    return None


@router.get("/r/{review_id}")
def show(request: Request, who: Person, review_id: str, done: str = "") -> Response:
    chosen = Filter.read(request.query_params.get("from", ""))
    with reading() as tx:
        if tx.get(Review, review_id) is None:
            raise reads.nothing(who)
        review = _find(tx, review_id)
        case = None if reads.asked(tx, who, review) else tx.get_one(Case, review.case_id)
        shown = _page(tx, who, review_id, chosen, request, done=done)
    if case is not None:
        reads.note(who, case)
    return shown


@router.get("/r/{review_id}/{way}")
def beside(request: Request, who: Person, review_id: str, way: str) -> Response:
    """The question after this one in the same filter, or before it, without deciding."""
    if way in {"decide", *ACTS}:  # where a refused answer came back; whoever asks for that anew wants the question
        return RedirectResponse(f"/r/{review_id}", 303)
    if way not in {"next", "previous"}:
        raise HTTPException(404)
    given = request.query_params.get("from", "")
    with reading() as tx:
        found = next_for(tx, who, Filter.read(given), review_id, back=way == "previous")
    return RedirectResponse(f"/r/{found}?" + urlencode({"from": given[:500]}) if found else "/q", 303)


@router.post("/r/{review_id}/decide")
def decide(request: Request, who: Person, form: Form, review_id: str) -> Response:
    """Take an answer, once; what is refused comes back with everything that was typed."""
    chosen = Filter.read(form.get("from", ""))
    outcome = in_transaction(lambda tx: _decide(tx, who, form, review_id))
    with reading() as tx:
        if not outcome.accepted:
            return _page(tx, who, review_id, chosen, request, given=form, refused=outcome.sentence, status=422)
        following = next_for(tx, who, chosen, review_id)
    if following is None:
        return RedirectResponse(f"/q?{chosen.address(skip=0)}", 303)
    return RedirectResponse(f"/r/{following}?" + urlencode({"from": chosen.address(), "done": review_id}), 303)


def _decide(tx: Tx, who: Visitor, form: Mapping[str, str], review_id: str) -> Outcome:
    review = _find(tx, review_id)
    revision, shown = whole(form.get("revision", "")), form.get("shown", "")
    given = form.get("token", "")
    if revision is None or not desk_forms.fits(given, who.session_id, f"decide {review_id}#{revision} {shown}"):
        return Outcome(accepted=False, sentence=desk_forms.NOT_OURS)
    answer = _answer(who, review, form, revision)
    if review.state in OPEN and review.revision == answer.revision and review.dossier_sha256 != shown:
        return Outcome(accepted=False, sentence="材料与所展示的不一致，未作决定")
    return desk_forms.decide(tx, given, who.session_id, answer).outcome


def _answer(who: Visitor, review: Review, form: Mapping[str, str], revision: int) -> Answer:
    return Answer(
        review_id=review.id,
        revision=revision,
        staff_id=who.id,
        code=form.get("code", ""),
        session=who.word,
        signature=form.get("signature", ""),
        verdict=form.get("verdict", ""),
        reason=form.get("reason", ""),
        extra=forms.read_fields(reviews.gate_of(review), form, FIELD),
        through=Place.DESK,
    )


@router.post("/r/{review_id}/sign")
def sign(who: Person, form: Form, review_id: str) -> Response:
    """What the browser is to have signed for this answer. Nothing is decided by it."""
    if not desk_forms.fits(form.get("act", ""), who.session_id, f"act {review_id}"):
        return Response(status_code=403)

    def asked(tx: Tx) -> str:
        review = _find(tx, review_id)
        said = judge.said(tx.get_one(Case, review.case_id), _answer(who, review, form, review.revision))
        return signatures.begin(tx, review, said, who.session_id)

    return Response(in_transaction(asked), media_type="application/json")


@router.post("/r/{review_id}/sign-confirmation")
def sign_confirmation(who: Person, form: Form, review_id: str) -> Response:
    """The same to confirm what this person has answered in Prefect."""
    if not desk_forms.fits(form.get("act", ""), who.session_id, f"act {review_id}"):
        return Response(status_code=403)
    with reading() as tx:
        _find(tx, review_id)
    options = in_transaction(lambda tx: confirmations.sign(tx, review_id, who.id, who.session_id))
    return Response(options, media_type="application/json") if options else Response(status_code=404)


@router.post("/r/{review_id}/draft")
def draft(request: Request, who: Person, form: Form, review_id: str) -> Response:
    """Keep what is typed. The page's script asks for JSON; without script its button comes back to the page."""
    quiet = request.headers.get("accept", "") == "application/json"
    if not desk_forms.fits(form.get("act", ""), who.session_id, f"act {review_id}"):
        return Response(status_code=403)
    after = whole(form.get("draft", "0")) or 0
    saved = in_transaction(lambda tx: desk_forms.save_draft(tx, who.id, review_id, after, typed(form)))
    if quiet:
        if saved is None:
            return JSONResponse({"sentence": "另一窗口已保存较新的草稿，或该任务已不再待处理"}, 409)
        return JSONResponse({"version": saved.version, "sentence": f"草稿已保存 {moment(saved.saved_at)[-5:]}"})
    return RedirectResponse(f"/r/{review_id}?" + urlencode({"from": form.get("from", "")[:500]}), 303)


@router.post("/r/{review_id}/{act}")
def act(request: Request, who: Person, form: Form, review_id: str, act: str) -> Response:
    """Claim, release, hand over, appoint, confirm or object: each by the verb that the terminal uses."""
    if act not in ACTS:
        raise HTTPException(404)
    with reading() as tx:
        _find(tx, review_id)
    chosen = Filter.read(form.get("from", ""))
    if not desk_forms.fits(form.get("act", ""), who.session_id, f"act {review_id}"):
        outcome = Outcome(accepted=False, sentence=desk_forms.NOT_OURS)
    else:
        outcome = in_transaction(lambda tx: ACTS[act](tx, who, review_id, form))
    if outcome.accepted and act == "later":
        with reading() as tx:
            following = next_for(tx, who, chosen, review_id)
        return RedirectResponse(f"/r/{following or review_id}?" + urlencode({"from": chosen.address()}), 303)
    if outcome.accepted:
        return RedirectResponse(f"/r/{review_id}?" + urlencode({"from": chosen.address()}), 303)
    with reading() as tx:
        return _page(tx, who, review_id, chosen, request, given=form, refused=outcome.sentence, status=422)


def _confirm(tx: Tx, who: Visitor, review_id: str, form: Mapping[str, str]) -> Outcome:
    return confirmations.confirm(tx, review_id, who.id, form.get("code", ""), Place.DESK, form.get("signature", ""))


def _object(tx: Tx, who: Visitor, review_id: str, form: Mapping[str, str]) -> Outcome:
    return objections.dispute(tx, review_id, who.id, form.get("code", ""), form.get("words", ""), Place.DESK)


def _reassign(tx: Tx, who: Visitor, review_id: str, form: Mapping[str, str]) -> Outcome:
    return hands.reassign(tx, review_id, _colleague(tx, form), who.id, form.get("code", ""))


def _appoint(tx: Tx, who: Visitor, review_id: str, form: Mapping[str, str]) -> Outcome:
    return appointing.appoint(tx, review_id, _colleague(tx, form), who.id, form.get("code", ""))


def _colleague(tx: Tx, form: Mapping[str, str]) -> str:
    """A colleague's id out of the list that was offered."""
    if tx.get(Staff, form.get("to", "")) is None:
        raise HTTPException(404)
    return form["to"]


TIMES = {"hour": "1 小时后", "afternoon": "今天 14:00", "morning": "明早 9:00", "monday": "下周一 9:00"}
"""When somebody may want to see a question again."""


def _time(tx: Tx, word: str) -> datetime:
    """The moment that such a word means now; nothing sensible for a word nobody offers."""
    here = tx.now.astimezone(SHANGHAI)
    day = here.replace(hour=9, minute=0, second=0, microsecond=0)
    match word:
        case "hour":
            return tx.now + timedelta(hours=1)
        case "afternoon":
            return day.replace(hour=14)
        case "morning":
            return day + timedelta(days=1)
        case "monday":
            return day + timedelta(days=7 - here.weekday())
        case _:
            return tx.now


ACTS: dict[str, Any] = {
    "later": lambda tx, who, review_id, form: later.put_off(
        tx, review_id, who.id, _time(tx, form.get("later", "")), session=who.word
    ),
    "take-up": lambda tx, who, review_id, form: later.take_up(tx, review_id, who.id, session=who.word),
    "reassign": _reassign,
    "appoint": _appoint,
    "claim": lambda tx, who, review_id, form: hands.claim(tx, review_id, who.id, session=who.word),
    "release": lambda tx, who, review_id, form: hands.release(tx, review_id, who.id, session=who.word),
    "confirm": _confirm,
    "object": _object,
}
