"""批量: like questions shown one below the other, each ticked by itself; what was ticked is decided by one act, each by itself."""

from __future__ import annotations

import hashlib
from collections import ChainMap
from collections.abc import Mapping, Sequence
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from desk.dossier import sections
from desk.pictures import papers_of
from desk.queue import ROWS, Filter, framed, rows
from desk.visitor import Visitor, posted, visitor
from models.base import Labelled
from models.confirmations import Weight
from models.reviews import Review
from models.text import whole
from office.base.db import Tx, in_transaction, reading
from office.cases import together, weights
from office.cases.gates import Gate
from office.process import office
from office.staff import passkeys
from policies.policy import policy_at
from tasks.sight import bundles, desk_forms, queue

router = APIRouter()
Form = Annotated[dict[str, str], Depends(posted)]
Person = Annotated[Visitor, Depends(visitor)]

MOST = 25
"""Questions on one page: as many as somebody reads in one sitting. The rest comes when these are done."""
TICK = "take."
"""What the names of the boxes begin with that say "this one, too"."""


def verdicts(gate: Gate) -> list[Labelled]:
    """Those that are given many at a time: the ones that need no reason of their own."""
    return [one for one in gate.verdicts if one.value not in gate.reason_required]


def fits(tx: Tx, gate: str) -> bool:
    """Whether questions of this gate are decided many at a time: routine by policy, and with a verdict that fits."""
    found = office().gates.get(gate)
    routine = weights.weight(gate, policy_at(tx.now).decisions) is Weight.ROUTINE
    return found is not None and routine and bool(verdicts(found))


def _page(
    tx: Tx,
    who: Visitor,
    chosen: Filter,
    request: Request,
    *,
    refused: str = "",
    given: Mapping[str, str] | None = None,
    picked: Sequence[str] = (),
) -> Response:
    """``picked``: of the list only these; what of them is of another kind is named and left out."""
    gate = office().gates[chosen.gate]
    picked = picked or [one for one in (given or {}).get("picked", "").split(",") if one][:ROWS]
    wanted = chosen.model_copy(update={"skip": 0, **({"gate": ""} if picked else {})})
    listed = rows(tx, who, wanted, MOST * 2 + 1, only=picked or None)
    found: list[tuple[queue.Waiting, Review]] = []
    apart: list[tuple[queue.Waiting, str]] = []
    for row in listed:
        review = tx.get_one(Review, row.review_id)
        if why := "不是同一种事项" if row.gate != gate.name else _why_not(who, row, review):
            apart.append((row, why))
        else:
            found.append((row, review))
    shown = found[:MOST]
    papers = [papers_of(tx, review, who.id, request.app.state.settings) for _, review in shown]
    drawn, seen = set().union(*(one["drawn"] for one in papers)), dict(ChainMap(*(one["seen"] for one in papers)))
    asked = [(review.id, review.revision, review.dossier_sha256) for _, review in shown]
    rules = policy_at(tx.now).decisions
    return framed(
        tx,
        who,
        "q",
        "batch",
        422 if refused else 200,
        chosen=chosen,
        gate=gate,
        picked=",".join(picked),
        shown=[(row, review, sections(review.dossier, request.app.state.settings)) for row, review in shown],
        apart=apart,
        more=len(found) > MOST or len(listed) > MOST * 2,
        verdicts=verdicts(gate),
        refused=refused,
        by_session=gate.name in rules.by_session and gate.name not in rules.signed_only,
        keys=len(passkeys.of(tx, who.id)),
        given=given or {},
        tick=TICK,
        drawn=drawn,
        seen=seen,
        form_token=desk_forms.token(who.session_id, _about(asked)),
        asked=";".join(f"{i}#{r}#{s}" for i, r, s in asked),
    )


def _why_not(who: Visitor, row: queue.Waiting, review: Review) -> str:
    if row.blocked:
        return "有阻断事项，须逐个决定"
    if row.held_by:
        return f"{row.held_by} 已答复，待确认"
    if row.claimed_by not in {"", who.id}:
        return f"{row.claimed_name} 已认领"
    return "须由另一人处理" if who.id in review.excluded else ""


def _about(asked: list[tuple[str, int, str]]) -> str:
    return "batch " + hashlib.sha256(repr(asked).encode()).hexdigest()


@router.get("/b")
def show(request: Request, who: Person) -> Response:
    """The questions of one kind that may be decided many at a time, each in full: all of the list, or those that were ticked in it."""
    chosen, picked = Filter.read(request.url.query), request.query_params.getlist("pick")[:ROWS]
    with reading() as tx:
        if picked and not chosen.gate:
            first = tx.get(Review, picked[0])
            chosen = chosen.model_copy(update={"gate": first.gate if first is not None else ""})
        if not fits(tx, chosen.gate):
            raise HTTPException(404)
        return _page(tx, who, chosen, request, picked=picked)


class _Sent:
    """What came with the form: which questions its page showed, and which of them were ticked."""

    def __init__(self, form: Mapping[str, str]) -> None:
        parts = [one.split("#") for one in form.get("asked", "").split(";") if one.count("#") == 2]
        self.asked = [(i, number, s) for i, r, s in parts if (number := whole(r)) is not None]
        self.chosen = Filter.read(form.get("from", ""))
        self.taken = [
            together.Asked(review_id=i, revision=r, shown_sha256=s) for i, r, s in self.asked if form.get(f"{TICK}{i}")
        ]

    def why_not(self, tx: Tx, who: Visitor, form: Mapping[str, str]) -> str:
        """Why it is not a page of ours, or says nothing that can be decided."""
        if not desk_forms.fits(form.get("token", ""), who.session_id, _about(self.asked)):
            return desk_forms.NOT_OURS
        if form.get("verdict") not in [one.value for one in verdicts(office().gates[self.chosen.gate])]:
            return "请选择一个结论"
        return "" if self.taken else "没有勾选任何一件：看过一件，勾选一件"


@router.post("/b/sign")
def sign(who: Person, form: Form) -> Response:
    """What the browser is to have signed for what was ticked. Nothing is decided by it."""
    sent = _Sent(form)
    with reading() as tx:
        sentence = sent.why_not(tx, who, form) if fits(tx, sent.chosen.gate) else desk_forms.NOT_OURS
        sentence = sentence or together.why_not(tx, sent.taken, form["verdict"])
    if sentence:
        return JSONResponse({"sentence": sentence}, 422)
    options = in_transaction(lambda tx: together.sign(tx, sent.taken, who.id, form["verdict"], "", who.session_id))
    return Response(options, media_type="application/json")


@router.post("/b")
def decide(request: Request, who: Person, form: Form) -> Response:
    """Decide what was ticked of what was shown; sent again it leads to the same result."""
    sent, token = _Sent(form), form.get("token", "")
    bundle = "BN-" + hashlib.sha256(f"{who.session_id} {token}".encode()).hexdigest()
    with reading() as tx:
        if not fits(tx, sent.chosen.gate):
            raise HTTPException(404)
        if bundles.of(tx, who.id, bundle) is not None:
            return RedirectResponse(f"/b/{bundle}", 303)
        if why := sent.why_not(tx, who, form):
            return _page(tx, who, sent.chosen, request, refused=why, given=form)
    try:
        together.decide(
            sent.taken,
            who.id,
            form["verdict"],
            "",
            code=form.get("code", ""),
            desk=who.word,
            bundle=bundle,
            signature=form.get("signature", ""),
        )
    except together.NotTogether as why:
        with reading() as tx:
            return _page(tx, who, sent.chosen, request, refused=str(why), given=form)
    return RedirectResponse(f"/b/{bundle}?" + urlencode({"from": sent.chosen.address()}), 303)


@router.get("/b/{bundle}")
def result(request: Request, who: Person, bundle: str) -> Response:
    """What became of each; it stays here."""
    chosen = Filter.read(request.query_params.get("from", ""))
    with reading() as tx:
        found = bundles.of(tx, who.id, bundle)
        if found is None:
            raise HTTPException(404)
        return framed(
            tx,
            who,
            "q",
            "bundle",
            chosen=chosen,
            lines=found,
            again=fits(tx, chosen.gate),
        )
