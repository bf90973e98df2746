"""Dossiers: what a reviewer is shown, put together part by part."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from models.base import Frozen
from models.cases import Finding
from models.dossier import Block, Line, Part, Piece, Sheet, Strong
from notifications.text import full_width
from office.cases.gates import Dossier
from policies.policy import SHANGHAI


def when(moment: datetime | None) -> str:
    return f"{moment.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}" if moment else "—"


def ours(line: Line) -> Line:
    """A line of ours as it is shown, with the signs of Chinese; what is to be copied or leads somewhere stays to the letter."""
    words = [piece if isinstance(piece, str) else piece.text for piece in line]
    shown = iter(full_width("".join(words)))
    return tuple(_said(piece, "".join(next(shown) for _ in length)) for piece, length in zip(line, words, strict=True))


def _said(piece: Piece, shown: str) -> Piece:
    match piece:
        case str():
            return shown
        case Strong():
            return Strong(text=shown)
        case _:
            return piece


Body = Block | Iterable[Block | None] | None
"""What a part is made of."""


def of(
    title: str,
    *parts: tuple[str, Body],
    facts: dict[str, Any],
    blocking: Iterable[Finding] = (),
    shown: dict[str, Any] | None = None,
    links_until: str = "",
    sum_fen: int | None = None,
) -> Dossier:
    """A dossier of titled parts; one without content is left out. ``facts`` are the terms of the decision; both are kept
    with it (ambiguity 23). Words are given as they are: whoever draws them escapes them."""
    made = [Part(title=name, blocks=blocks) for name, body in parts if (blocks := _blocks(body))]
    return Dossier(
        sheet=Sheet(title=title, parts=tuple(made)),
        facts=facts,
        blocking=tuple(blocking),
        shown=shown or {},
        links_until=links_until,
        sum_fen=sum_fen,
    )


def _blocks(body: Body) -> tuple[Block, ...]:
    blocks: Iterable[Block | None] = (body,) if isinstance(body, Frozen) else body or ()
    return tuple(block for block in blocks if block is not None and not block.empty)
