"""The door: signed messages come in and are stored before they are answered; the platform reads its cases.

``create_app`` builds everything; nothing happens at import. A message is answered once its row is committed,
and acted on later by the courier, which ``app.state.on_stored`` wakes (a callable without arguments; nothing
by default). ``app.state.delivering`` says whether the courier beside this door is there; without one it is.
Run it with uvicorn's own access log switched off: it would write query strings.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
import anyio.to_thread
import sqlalchemy
from fastapi import Depends, FastAPI, Path, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from fastapi.security import HTTPBearer
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import SQLModel
from starlette.exceptions import HTTPException

import models
from models.messages import InboxMessage
from models.views import CaseView
from office.base.clock import clock
from office.base.db import Tx, read_only, reading
from office.base.secret_forms import insist
from office.base.settings import Settings
from office.cases.routing import on_conflict
from office.record import inbox
from office.record.inbox import Arrival, Receipt
from tasks.processes import open_office
from tasks.sight.merchant import merchant_view
from webhooks import accounts, evidence, sandbox_bank, sandbox_platform
from webhooks.access_log import SECURITY_HEADERS, Access
from webhooks.problems import MEDIA_TYPE, FieldError, Problem, describe, pointer
from webhooks.requests import Grant, RateLimit, Tokens, check_headers, read_body
from webhooks.room import Room
from webhooks.senders import Answer, Sender
from webhooks.senders.doudian import DoudianSender
from webhooks.senders.platform import PROBLEM_REFERENCE, PlatformSender
from webhooks.senders.tiktok_shop import TikTokShopSender

logger = logging.getLogger("dianwu.door")

STORING = 8
"""How many messages are verified and stored at the same time on PostgreSQL; more wait their turn."""

FRONT = """店务接入端：只供系统之间收发，不是网页，也没有可登录的页面。
事件以 POST 送到 /webhooks/…,须有签名；案件以 GET 读取 /cases/编号，须有令牌。格式见 docs/events.md。
审核人员请打开工作台。
"""
"""What somebody reads who opens the door's address in a browser."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
"""What a disk says that keeps nothing now: whoever brought a file sends it again."""

ConflictAlert = Callable[[Tx, InboxMessage], None]
CaseReader = Callable[[str], CaseView]


def senders_of(settings: Settings, now: Callable[[], float]) -> list[Sender]:
    """Who may post to this installation."""
    senders: list[Sender] = [PlatformSender(settings, now)]
    if settings.doudian_apps:
        senders.append(DoudianSender(settings))
    if settings.tiktok_apps:
        senders.append(TikTokShopSender(settings))
    return senders


def create_app(
    settings: Settings,
    *,
    on_conflict: ConflictAlert = on_conflict,
    case_view: CaseReader = merchant_view,
    now: Callable[[], float] = time.time,
) -> FastAPI:
    """The door as an ASGI application.

    ``on_conflict`` is called in the transaction that notes a message id used twice. ``case_view`` reads a
    case and raises ``office.cases.locks.UnknownCase``. ``now`` is the machine's clock in Unix seconds, for the
    age of signatures.
    Raises :class:`office.base.settings.SettingsError` when a secret or the rate limit cannot be used.
    """
    open_office()
    senders = senders_of(insist(settings), now)
    bank = sandbox_bank.of(settings, now)
    platform = sandbox_platform.of(settings, now)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        posts = ([bank.post] if bank else []) + ([platform.post] if platform else [])
        for post in posts:
            post.resume()
        yield
        for post in posts:
            post.close()

    app = FastAPI(
        title="Dianwu door",
        version="1",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        description="Signed events in, cases out. Every refusal is RFC 9457 problem details.",
    )
    app.state.on_stored = lambda: None
    app.state.delivering = lambda: True
    app.add_middleware(Access)
    _answer_problems(app)
    limit, signed = RateLimit(settings.rate_limit), RateLimit(settings.signed_rate_limit)
    for sender in senders:
        _add_sender(app, sender, settings, limit, signed, on_conflict)
    _add_cases(app, settings, limit, case_view)
    app.include_router(evidence.router(settings, limit))
    app.include_router(accounts.router(settings, limit))
    _add_health(app, settings)
    if bank:
        app.include_router(bank.router(settings.max_body_bytes))
    if platform:
        app.include_router(platform.router(settings.max_body_bytes))
    _describe(app, senders)
    return app


def _add_sender(
    app: FastAPI, sender: Sender, settings: Settings, limit: RateLimit, signed: RateLimit, on_conflict: ConflictAlert
) -> None:
    """``limit`` counts what is refused or proves nothing, and turns away before a body is read; ``signed`` the rest."""
    # SQLite has one writer: a queue here is fair, its own waiting (sleep and look again) is not.
    room = anyio.CapacityLimiter(1 if settings.database.startswith("sqlite") else STORING)

    def store(request: Request, raw: bytes, since: float) -> list[tuple[Arrival, Receipt]]:
        arrivals = sender.verify(dict(request.headers), raw)
        (signed if arrivals else limit).check(sender.name, request)
        return list(zip(arrivals, inbox.receive_all(arrivals, on_conflict, since), strict=True)) if arrivals else []

    async def take(request: Request) -> Response:
        since = clock().ticks()  # received is now, whatever the body, the queue and the database's writer take
        try:
            limit.look(sender.name, request)
            check_headers(request, sender.headers)
            raw = await read_body(request, settings.max_body_bytes)
            stored = await anyio.to_thread.run_sync(store, request, raw, since, limiter=room)
        except Problem as problem:
            if problem.status != 429:
                limit.count(sender.name, request)
            request.state.problem = problem.slug
            return _response(sender.refuse(problem, request.url.path))
        if any(receipt is Receipt.CONFLICT for _, receipt in stored):
            request.state.problem = "conflict"
        if any(receipt is Receipt.NEW for _, receipt in stored):
            request.app.state.on_stored()
        return _response(sender.answer(stored))

    app.add_api_route(
        f"/webhooks/{sender.name}",
        take,
        methods=["POST"],
        status_code=202,
        openapi_extra=sender.openapi(),
        operation_id=f"post_{sender.name}",
        summary=f"Messages from {sender.name}",
        response_class=JSONResponse,
    )


def _response(answer: Answer) -> Response:
    if answer.body is None:
        return Response(status_code=answer.status, headers=answer.headers)
    return JSONResponse(answer.body, answer.status, answer.headers, media_type=answer.media_type)


def _refusals(**texts: str) -> dict[int | str, dict[str, Any]]:
    content = {MEDIA_TYPE: {"schema": PROBLEM_REFERENCE}}
    return {name.removeprefix("s"): {"description": text, "content": content} for name, text in texts.items()}


def _add_cases(app: FastAPI, settings: Settings, limit: RateLimit, case_view: CaseReader) -> None:
    tokens = Tokens(settings)

    def known(request: Request) -> None:
        limit.check("cases", request)
        request.state.grant = tokens.check(request, "cases")

    @app.get(
        "/cases/{id}",
        summary="Where a case stands, fit for the merchant's eyes",
        operation_id="get_case",
        dependencies=[Depends(known), Depends(HTTPBearer(auto_error=False))],
        responses=_refusals(
            s401="no valid token",
            s403="a token without this right",
            s404="no such case, or none of this token's shops",
            s422="not the form of a case id",
            s429="too many requests",
            s503="the database cannot be reached",
        ),
    )
    def get_case(
        request: Request, case_id: Annotated[str, Path(alias="id", pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
    ) -> CaseView:
        grant: Grant = request.state.grant
        from office.cases.locks import UnknownCase  # with the case itself: the door opens without the engine

        try:
            view = case_view(case_id)
        except UnknownCase:
            view = None
        if view is None or not grant.covers(view.shop_id):
            raise Problem(404, "not-found", "There is no case with this id.")
        return view


def _add_health(app: FastAPI, settings: Settings) -> None:
    migrated: list[bool] = []
    room = Room(settings)

    @app.get("/", include_in_schema=False, response_class=PlainTextResponse)
    async def front() -> str:
        return FRONT

    @app.get("/healthz", summary="The process answers", operation_id="healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get(
        "/readyz",
        summary="The database can be written and has every table, the disk has room, and what comes in is acted on",
        operation_id="readyz",
        responses=_refusals(s503="not ready; detail says why"),
    )
    def readyz(request: Request) -> dict[str, str]:
        if not request.app.state.delivering():
            raise Problem(503, "not-ready", "The courier of this door has ended. Restart the door.")
        room.check()
        with reading() as tx:
            if read_only(tx):
                raise Problem(503, "not-ready", "The database can be read and not written.")
            tx.connection().execute(sqlalchemy.text("SELECT 1"))
            if not migrated:
                missing = _missing(tx)
                if missing:
                    raise Problem(503, "not-ready", f"The database is not migrated: {', '.join(missing)} missing.")
                migrated.append(True)
        return {"status": "ready"}


def _missing(tx: Tx) -> list[str]:
    """Tables and columns that the models have and the database has not."""
    models.all_tables()
    inspector = sqlalchemy.inspect(tx.connection())
    there = {name: {c["name"] for c in inspector.get_columns(name)} for name in inspector.get_table_names()}
    return [
        name if name not in there else f"{name}.{column.name}"
        for name, table in SQLModel.metadata.tables.items()
        for column in table.columns
        if name not in there or column.name not in there[name]
    ]


def _refused(request: Request, problem: Problem) -> Response:
    """The answer; why it is one goes into the access line too."""
    request.state.problem = problem.slug
    return problem.response(request.url.path)


def _answer_problems(app: FastAPI) -> None:
    @app.exception_handler(Problem)
    async def refused(request: Request, problem: Problem) -> Response:
        return _refused(request, problem)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        errors = [
            FieldError(
                field=pointer(item["loc"][1:]).lstrip("/"),
                expected=str(item["msg"]),
                got=describe(item.get("input")),
                remedy="correct the request",
            )
            for item in error.errors()
        ]
        return _refused(request, Problem(422, "wrong-fields", "Some parameters are wrong.", errors=errors))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        slug = {404: "not-found", 405: "method-not-allowed", 401: "unauthorized"}.get(error.status_code, "bad-request")
        detail = {404: "There is nothing here.", 405: "This method is not served here."}
        problem = Problem(
            error.status_code,
            slug,
            detail.get(error.status_code, "The request cannot be read."),
            headers=error.headers,
        )
        return _refused(request, problem)

    async def unreachable(request: Request, error: Exception) -> Response:
        logger.error("the database cannot be reached: %s", type(error).__name__)
        full = re.search("disk is full|no space left", str(error), re.IGNORECASE)
        why = "The disk of the database is full." if full else "The database cannot be reached."
        problem = Problem(
            503, "not-ready", f"{why} Nothing was stored; send again.", headers={"retry-after": "60" if full else "5"}
        )
        return _refused(request, problem)

    app.add_exception_handler(OperationalError, unreachable)
    app.add_exception_handler(PoolTimeout, unreachable)

    @app.exception_handler(OSError)
    async def no_room(request: Request, error: OSError) -> Response:
        if error.errno not in NO_ROOM:
            raise error
        logger.error("nothing can be kept: %s", os.strerror(error.errno))
        detail = f"Nothing can be kept: {os.strerror(error.errno)}. Nothing was stored; send again."
        return _refused(request, Problem(503, "not-ready", detail, headers={"retry-after": "60"}))

    @app.exception_handler(Exception)
    async def broken(request: Request, _error: Exception) -> Response:
        # Starlette raises the error again after this answer, so that the server logs it where operators look.
        problem = Problem(500, "internal", "Something is wrong here, not with the request.", headers=SECURITY_HEADERS)
        return problem.response(request.url.path)


def _describe(app: FastAPI, senders: Sequence[Sender]) -> None:
    """Complete the OpenAPI document with the component schemas of every sender's bodies."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for sender in senders:
                schemas.update(sender.schemas())
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
