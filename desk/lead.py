"""主管: the whole office on one page, for those who supervise. It only shows; what is done about it is done where it is named."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.exceptions import HTTPException
from starlette.responses import Response

from desk.html import page
from desk.queue import counts
from desk.visitor import Visitor, visitor
from office.base.db import reading
from tasks.sight import desk_forms, load

router = APIRouter()
Person = Annotated[Visitor, Depends(visitor)]


@router.get("/lead")
def lead(who: Person) -> Response:
    if not who.supervises:
        raise HTTPException(404)
    with reading() as tx:
        found = load.load(tx)
        return page(
            "lead", who=who, here="lead", counts=counts(tx, who), now=tx.now, load=found,
            most=max((one.open for one in found.roles), default=0) or 1, token=desk_forms.token(who.session_id, "leave"),
        )  # fmt: skip
