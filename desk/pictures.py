"""Papers as pictures: what a merchant sent is looked at, never opened, and its bytes never reach a browser from here.

Each page is drawn by a process of its own (``desk.render``) and kept by the hash of the file it shows.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from sqlalchemy.exc import IntegrityError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response, StreamingResponse

from desk import reads
from desk.dossier import files
from desk.queue import framed
from desk.visitor import Visitor, visitor
from models.dossier import Sheet
from models.evidence import EvidenceItem, MediaType
from models.reviews import Review
from models.text import whole
from office.base.db import Tx, in_transaction, reading
from office.base.settings import Settings, settings
from office.cases import looks
from office.cases.looks import ORIGINAL
from office.files import evidence

router = APIRouter()
Person = Annotated[Visitor, Depends(visitor)]

SMALL, LARGE = 320, 1600
"""Widths in pixels that pictures are made in."""
PATIENCE = 20
"""Seconds a picture may take, waiting for the processor included."""
SHOWN = 20
"""Pages of a file that its page shows; the original has them all."""
DRAWN = {MediaType.JPEG, MediaType.PNG, MediaType.WEBP, MediaType.GIF, MediaType.PDF}
KEPT = {"cache-control": "private, max-age=3600", "vary": "cookie"}
"""A browser keeps a picture for the session it was handed out in, so that nobody after it sees what they were not given."""
_one_at_a_time = threading.BoundedSemaphore(2)


class NotDrawn(RuntimeError):
    """The file cannot be shown as a picture; the original can still be fetched."""


def drawn(item: EvidenceItem, number: int, width: int) -> tuple[bytes, int]:
    """A page of a file as WebP, and how many pages the file has. Raises :class:`NotDrawn`."""
    if _undrawable(item).exists():
        raise NotDrawn(f"{item.id}: cannot be drawn")
    kept = settings().home / "pictures" / item.sha256[:2] / f"{item.sha256}-{number}-{width}.webp"
    counted = kept.with_name(f"{item.sha256}.pages")
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time, tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            pages = _draw(item, number, width, Path(folder))
            (Path(folder) / "pages").write_text(str(pages))
            (Path(folder) / "pages").replace(counted)
            (Path(folder) / "page.webp").replace(kept)
    return kept.read_bytes(), int(counted.read_text())


def _undrawable(item: EvidenceItem) -> Path:
    """Stands beside a file's pictures when its first page could not be drawn, so that nobody tries at every look."""
    return settings().home / "pictures" / item.sha256[:2] / f"{item.sha256}.undrawable"


def _draw(item: EvidenceItem, number: int, width: int, folder: Path) -> int:
    source = folder / "source"
    try:
        with source.open("wb") as file:
            file.writelines(evidence.content(item))
    except evidence.EvidenceDamaged as damaged:
        raise NotDrawn(str(damaged)) from damaged
    command = [sys.executable, "-m", "desk.render", str(source), item.media_type.value, str(number), str(width)]
    try:
        done = subprocess.run(
            [*command, str(folder / "page.webp")],
            env={},
            capture_output=True,
            timeout=PATIENCE,
            check=False,
            text=True,
            cwd=Path(__file__).parents[1],
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as late:
        raise NotDrawn(f"{item.id}: took too long") from late
    if done.returncode != 0 or not done.stdout.strip().isdigit():
        if number == 1:
            _undrawable(item).touch()
        raise NotDrawn(f"{item.id}: cannot be drawn")
    return int(done.stdout)


def shown_in(tx: Tx, ids: list[str]) -> list[EvidenceItem]:
    """The files a dossier leads to, those that can be drawn as far as is known."""
    found = [tx.get(EvidenceItem, one) for one in ids]
    return [item for item in found if item is not None and item.media_type in DRAWN and not _undrawable(item).exists()]


def papers_of(tx: Tx, review: Review, staff_id: str, given: Settings) -> dict[str, Any]:
    """The files of a question that can be drawn, those of them that no part lists (an older text only links them), and
    which of its papers this person has seen."""
    listed = Sheet.read(review.dossier).files()
    found = shown_in(tx, files(review.dossier, given))
    return {
        "drawn": {one.id for one in found},
        "loose": [one for one in found if one.id not in listed],
        "seen": {one.id: one.seen for one in looks.papers_seen(tx, review, staff_id)},
    }


def _item(who: Visitor, evidence_id: str, media_types: Collection[MediaType] = DRAWN) -> EvidenceItem:
    with reading() as tx:
        item = tx.get(EvidenceItem, evidence_id)
        if item is None or item.media_type not in media_types:
            raise reads.nothing(who)
        tx.expunge(item)
    reads.paper(who, item.id)
    return item


def _note(who: Visitor, item: EvidenceItem, number: int, pages: int, *, all_of_it: bool) -> None:
    """That this was handed out; a page asks for several pictures at once, and one of them writes it."""
    with suppress(IntegrityError):
        in_transaction(lambda tx: looks.handed_out(tx, item, who.id, who.session_id, number, pages, whole=all_of_it))


@router.get("/p/{evidence_id}")
def paper(request: Request, who: Person, evidence_id: str) -> Response:
    """All pages of a file, one below the other; or, for the page that shows them beside a question, how many there are."""
    item = _item(who, evidence_id)
    try:
        _, pages = drawn(item, 1, SMALL)
    except NotDrawn:
        pages = 0
    if request.headers.get("accept", "") == "application/json":
        return JSONResponse({"pages": pages, "shown": min(pages, SHOWN)})
    with reading() as tx:
        return framed(
            tx,
            who,
            "p",
            "paper",
            item=item,
            pages=pages,
            shown=min(pages, SHOWN),
        )


@router.get("/p/{evidence_id}/{number}.webp")
def picture(request: Request, who: Person, evidence_id: str, number: str) -> Response:
    item, page_number, width = _item(who, evidence_id), whole(number) or 0, request.query_params.get("w", str(LARGE))
    if width not in {str(SMALL), str(LARGE)} or page_number < 1:
        raise HTTPException(404)
    try:
        content, pages = drawn(item, page_number, int(width))
    except NotDrawn:
        raise HTTPException(404) from None
    _note(who, item, page_number, pages, all_of_it=width == str(LARGE))
    return Response(content, media_type="image/webp", headers=KEPT)


@router.get("/p/{evidence_id}/file")
def original(who: Person, evidence_id: str) -> Response:
    """The file itself, to be kept and never opened in the browser."""
    item = _item(who, evidence_id, tuple(MediaType))
    try:
        content = evidence.content(item)
    except evidence.EvidenceDamaged:
        raise HTTPException(404) from None
    _note(who, item, ORIGINAL, 0, all_of_it=True)
    name = f"attachment; filename*=UTF-8''{quote(item.name, safe='')}"
    return StreamingResponse(content, media_type="application/octet-stream", headers={"content-disposition": name})
