"""Evidence at the door: ``POST /evidence`` stages a file, ``GET /evidence/{id}`` opens one by a signed link.

An upload is counted while it arrives and never held whole in memory. What is given out is always a download, under
a name and type of ours, which no browser may sniff, run or frame.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import quote

import anyio.to_thread
from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPBearer
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from models.evidence import MediaType
from models.outcomes import Refusal
from office.base.db import reading
from office.base.settings import Settings
from office.files import evidence, fetching
from office.files.evidence import EvidenceDamaged, EvidenceRefused, Staged
from policies.evidence import most_bytes_of_all
from policies.policy import policy_at
from webhooks.problems import MEDIA_TYPE, Problem
from webhooks.requests import Grant, RateLimit, Tokens
from webhooks.senders.platform import PROBLEM_REFERENCE

UPLOAD_SECONDS = 300.0
"""How long a file may take to arrive."""
_SHOP = re.compile(r"[A-Za-z0-9._:-]{1,64}")
FORM_OVERHEAD = 64 * 1024
"""Bytes of a form that are not the file: boundaries, headers, the two fields."""
HEADERS = {
    "content-security-policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "cache-control": "private, no-store",
}
"""The first comes beside the door's own policy; a browser obeys the strictest of both."""
BESIDE_THE_FORM = (MediaType.JPEG, MediaType.PNG, MediaType.WEBP, MediaType.GIF, MediaType.PDF)
"""Looked at in a tab beside the form, in a sandbox; the rest is downloaded. Their bytes were judged when they came."""
_STATUS = {
    "unknown-shop": (422, "wrong-fields", "shop_id names no registered shop."),
    "empty": (422, "wrong-fields", "The file is empty."),
    "wrong-type": (415, "unsupported-media-type", "The bytes are none of: JPEG, PNG, WebP, GIF, PDF, MP4."),
    "too-large": (413, "too-large", "The file is larger than its type may be."),
    "host-not-allowed": (422, "wrong-fields", "The address is not on the list of hosts files are fetched from."),
    "fetch-failed": (422, "wrong-fields", "The file could not be fetched from this address."),
}
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["shop_id"],
                    "properties": {
                        "shop_id": {"type": "string"},
                        "file": {"type": "string", "format": "binary"},
                        "url": {"type": "string", "format": "uri", "description": "instead of file"},
                    },
                }
            }
        },
    }
}


def _refusals(**texts: str) -> dict[int | str, dict[str, Any]]:
    content = {MEDIA_TYPE: {"schema": PROBLEM_REFERENCE}}
    return {name.removeprefix("s"): {"description": text, "content": content} for name, text in texts.items()}


def router(settings: Settings, limit: RateLimit) -> APIRouter:
    """The two routes. Staging needs a bearer token of the platform; a link carries its own right."""
    tokens = Tokens(settings)
    routes = APIRouter()

    def known(request: Request) -> None:
        limit.check("evidence", request)
        request.state.grant = tokens.check(request, "evidence")

    @routes.post(
        "/evidence",
        status_code=201,
        operation_id="stage_evidence",
        openapi_extra=_FORM,
        summary="Stage a file as evidence, by upload or by address",
        dependencies=[Depends(known), Depends(HTTPBearer(auto_error=False))],
        responses=_refusals(
            s400="no readable form",
            s401="no valid token",
            s403="a token without this right",
            s413="larger than its type may be",
            s415="not a form, or bytes of a type that is not taken",
            s422="wrong fields, or an address not allowed",
            s429="too many requests",
            s503="the database cannot be reached",
        ),
    )
    async def stage(request: Request) -> Staged:
        grant: Grant = request.state.grant
        form = await _read_form(request)
        try:
            shop_id, file, url = form.get("shop_id"), form.get("file"), form.get("url")
            if not isinstance(shop_id, str) or not _SHOP.fullmatch(shop_id):
                raise Problem(422, "wrong-fields", "The form needs shop_id, as shop.registered named it.")
            if not grant.covers(shop_id):
                raise Problem(403, "forbidden", "This token stages nothing for this shop.")
            if isinstance(url, str) and not url.isprintable():
                raise Problem(422, "wrong-fields", "The address holds control characters.")
            if isinstance(file, UploadFile) == bool(url):
                raise Problem(422, "wrong-fields", "The form needs either file or url.")
            try:
                if isinstance(file, UploadFile):
                    return await anyio.to_thread.run_sync(
                        evidence.stage,
                        shop_id,
                        file.filename or "evidence",
                        file.file,
                        evidence.PROOF if grant.proof else "upload",
                    )
                return await anyio.to_thread.run_sync(fetching.stage_from, shop_id, str(url))
            except EvidenceRefused as refused:
                raise _problem(refused.refusal) from None
        finally:
            await form.close()

    @routes.get(
        "/evidence/{id}",
        operation_id="open_evidence",
        summary="Open one item by its signed link",
        response_class=StreamingResponse,
        responses={
            200: {
                "description": "the file: pictures and PDFs to look at, the rest as a download",
                "content": {"application/octet-stream": {}},
            },
            **_refusals(
                s404="no such link: forged, over, or for another item",
                s422="wrong parameters",
                s429="too many requests",
                s503="the stored file is damaged, or the database cannot be reached",
            ),
        },
    )
    def opened(
        request: Request,
        evidence_id: Annotated[str, Path(alias="id", pattern=r"^EV-[0-9]{6}-[0-9A-Z]{6}$")],
        exp: Annotated[int, Query(ge=0, le=4_102_444_800)],
        sig: Annotated[str, Query(pattern=r"^[0-9a-f]{64}$")],
    ) -> StreamingResponse:
        limit.check("evidence", request)
        item = evidence.opened_by(evidence_id, exp, sig)
        if item is None:
            raise Problem(404, "not-found", "This link opens nothing (any more).")
        try:
            stream = evidence.content(item)
        except EvidenceDamaged:
            raise Problem(503, "not-ready", "The stored file is damaged; operators have to look at it.") from None
        shown = "inline" if item.media_type in BESIDE_THE_FORM else "attachment"
        headers = HEADERS | {
            "content-disposition": f'{shown}; filename="{item.id}.{item.media_type.extension}"; '
            f"filename*=UTF-8''{quote(item.name, safe='')}",
            "content-length": str(item.size),
        }
        return StreamingResponse(stream, headers=headers, media_type=item.media_type.value)

    return routes


def _problem(refusal: Refusal) -> Problem:
    status, slug, detail = _STATUS[refusal.code]
    return Problem(status, slug, detail)


async def _read_form(request: Request) -> FormData:
    """The form, with its size counted while it arrives."""
    media_type, parameters = parse_options_header(request.headers.get("content-type", ""))
    if media_type != b"multipart/form-data":
        raise Problem(415, "unsupported-media-type", "Send multipart/form-data.")
    if parameters.get(b"charset", b"utf-8").lower() not in {b"utf-8", b"utf8"}:
        raise Problem(415, "unsupported-media-type", "Forms are UTF-8 here; send no other charset.")
    with reading() as tx:
        most = most_bytes_of_all(policy_at(tx.now).appeal.evidence) + FORM_OVERHEAD
    too_large = Problem(413, "too-large", "The form is larger than any file may be.", headers={"connection": "close"})
    length = request.headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise Problem(400, "bad-header", "content-length is not a number.")
    if int(length) > most:
        raise too_large

    async def counted() -> AsyncIterator[bytes]:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > most:
                raise too_large
            yield chunk

    try:
        parser = MultiPartParser(request.headers, counted(), max_files=1, max_fields=4, max_part_size=FORM_OVERHEAD)  # type: ignore[arg-type]
        async with asyncio.timeout(UPLOAD_SECONDS):
            return await parser.parse()
    except TimeoutError:
        raise Problem(408, "bad-request", "The form did not arrive in time.") from None
    except ClientDisconnect:
        raise Problem(400, "bad-request", "The connection ended before the form did.") from None
    except MultiPartException as error:
        raise Problem(400, "bad-request", f"The form cannot be read: {error.message}") from None
    except KeyError:
        raise Problem(400, "bad-request", "The form names no boundary.") from None
    except (ValueError, LookupError):  # what the parser says of bytes that are no form, and of names in no charset
        raise Problem(400, "bad-request", "The form cannot be read.") from None
