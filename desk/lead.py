"""主管: the whole office on one page, for those who supervise, and what they do about it: by the verbs that the terminal uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from desk.queue import framed
from desk.visitor import Visitor, posted, visitor
from models.base import Frozen
from models.cases import Case
from models.reviews import Review, Role, Staff
from models.text import whole
from office.base.db import Tx, in_transaction, reading
from office.cases import appointing, hands, retrying
from office.cases.gates import Outcome
from office.record import inbox, outbox
from office.staff import passkeys, people, staff
from tasks.sight import desk_forms, load, queue

router = APIRouter()
Form = Annotated[dict[str, str], Depends(posted)]
Person = Annotated[Visitor, Depends(visitor)]

ROWS = 50
VIEWS = {"late": "已超时", "stranded": "无人可处理", "free": "未认领", "all": "全部"}
TAKE = "take."
PURPOSE = "lead"
NOTHING = Outcome(accepted=False, sentence="没有勾选任何一件")


class Which(Frozen):
    """The questions that are listed. It stands in the address."""

    view: str = "all"
    role: str = ""
    holder: str = ""

    @classmethod
    def read(cls, query: str) -> Which:
        given = dict(parse_qsl(query[:500]))
        return cls(
            view=given["view"] if given.get("view") in VIEWS else "all",
            role=given["role"] if given.get("role") in set(Role) else "",
            holder=given.get("holder", "")[:32],
        )

    def address(self, **changes: str) -> str:
        return urlencode({name: value for name, value in {**self.model_dump(), **changes}.items() if value})

    def rows(self, tx: Tx) -> list[queue.Waiting]:
        return queue.waiting(
            tx,
            self.role or None,
            claimed_by=self.holder or None,
            late=self.view == "late",
            stranded=self.view == "stranded",
            unclaimed=self.view == "free",
            limit=ROWS + 1,
        )


def _page(tx: Tx, who: Visitor, which: Which, **told: object) -> Response:
    """The page, with what was done or was not on top."""
    found, rows = load.load(tx), which.rows(tx)
    given: dict[str, object] = {"refused": [], "word": "", "form": {}, **told}
    return framed(
        tx,
        who,
        "lead",
        "lead",
        422 if given["refused"] else 200,
        load=found,
        most=max((one.open for one in found.roles), default=0) or 1,
        which=which,
        views=VIEWS,
        most_timed=load.MOST_TIMED,
        lately=load.LATELY.days,
        rows=rows[:ROWS],
        more=len(rows) > ROWS,
        take=TAKE,
        staff=people.roster(tx),
        objected={one.case_id for one in found.stopped if retrying.weighs(tx, tx.get_one(Case, one.case_id))},
        act=desk_forms.token(who.session_id, PURPOSE),
        **given,
    )


def _supervisor(who: Visitor) -> None:
    if not who.supervises:
        raise HTTPException(404)


@router.get("/lead")
def lead(request: Request, who: Person) -> Response:
    _supervisor(who)
    with reading() as tx:
        return _page(tx, who, Which.read(request.url.query))


@router.post("/lead/{act}")
def do(who: Person, form: Form, act: str) -> Response:
    """Do it to each that was chosen; what was not done comes back with why."""
    _supervisor(who)
    which = Which.read(form.get("which", ""))
    if act not in ACTS:
        raise HTTPException(404)
    if not desk_forms.fits(form.get("act", ""), who.session_id, PURPOSE):
        refused, word = [desk_forms.NOT_OURS], ""
    else:
        refused, word = ACTS[act](who, form)
    if refused or word:
        with reading() as tx:
            return _page(tx, who, which, refused=refused, word=word, form=form)
    return RedirectResponse(f"/lead?{which.address()}", 303)


def _ticked(form: Mapping[str, str]) -> list[str]:
    return [name.removeprefix(TAKE) for name in form if name.startswith(TAKE)][:ROWS]


def _chosen(form: Mapping[str, str]) -> list[str]:
    ids = _ticked(form)
    with reading() as tx:
        if any(tx.get(Review, one) is None for one in ids):
            raise HTTPException(404)
    return ids


def _colleague(form: Mapping[str, str]) -> str:
    with reading() as tx:
        if tx.get(Staff, form.get("to", "")) is None:
            raise HTTPException(404)
    return form["to"]


def _not_done(ids: Sequence[str], outcomes: Sequence[Outcome]) -> tuple[list[str], str]:
    if not ids:
        return [NOTHING.sentence], ""
    said = [f"{one}:{out.sentence}" for one, out in zip(ids, outcomes, strict=True) if not out.accepted]
    alike = {out.sentence for out in outcomes}
    return (list(alike) if len(said) == len(ids) > 1 == len(alike) else said), ""


def _reassign(who: Visitor, form: Mapping[str, str]) -> tuple[list[str], str]:
    ids = _chosen(form)
    return _not_done(ids, hands.reassign_all(ids, _colleague(form), who.id, form.get("code", "")) if ids else ())


def _release(who: Visitor, form: Mapping[str, str]) -> tuple[list[str], str]:
    ids = _chosen(form)
    acts = [partial(hands.release, review_id=one, staff_id=who.id, session=who.word) for one in ids]
    return _not_done(ids, [in_transaction(act) for act in acts])


def _appoint(who: Visitor, form: Mapping[str, str]) -> tuple[list[str], str]:
    ids, to, code = _chosen(form), _colleague(form), form.get("code", "")
    if len(ids) > 1:
        return ["任命须逐件：请只勾选一件"], ""
    return _not_done(ids, [in_transaction(lambda tx: appointing.appoint(tx, ids[0], to, who.id, code))] if ids else ())


def _unlock(who: Visitor, form: Mapping[str, str]) -> tuple[list[str], str]:
    to = _colleague(form)
    proof = in_transaction(lambda tx: staff.unlock(tx, to, who.id, form.get("code", "")))
    return ([] if proof.ok else [proof.sentence]), ""


def _invite(who: Visitor, form: Mapping[str, str]) -> tuple[list[str], str]:
    """The word that is to be handed over stands on this page and nowhere else."""
    to = _colleague(form)
    word, sentence = in_transaction(lambda tx: passkeys.invite(tx, to, who.id, form.get("code", "")))
    return ([sentence] if sentence else []), (f"{to}:{word}" if word else "")


def _retry(who: Visitor, form: Mapping[str, str]) -> tuple[list[str], str]:
    case_id = form.get("case", "")
    with reading() as tx:
        if tx.get(Case, case_id) is None:
            raise HTTPException(404)
    outcome = in_transaction(lambda tx: retrying.retry(tx, case_id, who.id, form.get("code", ""), who.word))
    return ([] if outcome.accepted else [f"{case_id}:{outcome.sentence}"]), ""


def _resend(who: Visitor, form: Mapping[str, str]) -> tuple[list[str], str]:
    return _each(_ticked(form), lambda tx, key: outbox.resend(tx, key, who.actor))


def _hear_again(who: Visitor, form: Mapping[str, str]) -> tuple[list[str], str]:
    numbers = [one for one in _ticked(form) if whole(one) is not None]
    return _each(numbers, lambda tx, number: inbox.retry(tx, int(number), who.actor))


def _each(ticked: Sequence[str], act: Callable[[Tx, str], str]) -> tuple[list[str], str]:
    said = [in_transaction(lambda tx, one=one: act(tx, one)) for one in ticked]  # type: ignore[misc]
    return _not_done(ticked, [Outcome(accepted=not sentence, sentence=sentence) for sentence in said])


ACTS: dict[str, Callable[[Visitor, Mapping[str, str]], tuple[list[str], str]]] = {
    "reassign": _reassign,
    "release": _release,
    "appoint": _appoint,
    "unlock": _unlock,
    "invite": _invite,
    "retry": _retry,
    "resend": _resend,
    "hear-again": _hear_again,
}
