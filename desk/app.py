"""The desk as an application: who is let in, what is looked at by GET and done by POST.

``create_app`` builds everything; nothing happens at import. A GET changes nothing; every POST goes to a verb that form and
terminal use too.
"""

from __future__ import annotations

import logging
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, Request
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import URL
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from desk import batch, lead, looking, pictures, question, queue
from desk.guard import Guard
from desk.html import assets, page
from desk.visitor import LEFT, LogInFirst, Visitor, posted, safe_path, set_cookie, visitor
from office.base.db import in_transaction, reading
from office.base.settings import Settings, SettingsError
from office.staff import desk_sessions, passkeys
from tasks.processes import open_office
from tasks.sight import desk_forms

logger = logging.getLogger("dianwu.desk")

WRONG_CODES, KEYS_ASKED = "30/minute", "120/minute"
"""From one address, which behind a proxy is everybody's: who logs in rightly takes nothing from the others. Wrong codes are
counted for each person besides."""

Form = Annotated[dict[str, str], Depends(posted)]
Person = Annotated[Visitor, Depends(visitor)]


def create_app(settings: Settings) -> FastAPI:
    """The desk as an ASGI application. Raises :class:`SettingsError` when its address cannot be used."""
    if not settings.loopback and not settings.desk_url:
        raise SettingsError(f"host {settings.host} 不是本机地址，须设置 desk_url（人们访问工作台的唯一地址）")
    if not settings.desk.startswith(("http://", "https://")) or URL(settings.desk).path not in {"", "/"}:
        raise SettingsError(f"desk_url {settings.desk}：须为不带路径的地址，例如 https://desk.example.com")
    open_office()
    app = FastAPI(title="Dianwu desk", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.settings = settings
    app.add_middleware(Guard, url=settings.desk)
    _add_files(app)
    _add_logging_in(app)
    for module in (queue, question, looking, pictures, batch, lead):
        app.include_router(module.router)
    _answer_faults(app)
    return app


def _add_files(app: FastAPI) -> None:
    by_address = {asset.address: asset for asset in assets().values()}

    @app.get("/static/{name}")
    async def static(request: Request) -> Response:
        asset = by_address.get(request.url.path)
        if asset is None:
            raise HTTPException(404)
        keep = {"cache-control": "public, max-age=31536000, immutable"}
        return Response(asset.content, media_type=asset.media_type, headers=keep)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}


def _add_logging_in(app: FastAPI) -> None:
    limiter, wrong, asked = SlidingWindowCounterRateLimiter(MemoryStorage()), parse(WRONG_CODES), parse(KEYS_ASKED)

    @app.get("/")
    async def root() -> Response:
        return RedirectResponse("/q", 303)

    @app.get("/login")
    def show(to: str = "/q") -> Response:
        return _login_page(to, {})

    @app.post("/login")
    def log_in(request: Request, form: Form) -> Response:
        to, kept = safe_path(form.get("to")), _kept(form)
        staff_id = form.get("staff_id", "").strip()
        client = request.client.host if request.client else ""
        if not limiter.test(wrong, client):
            return _login_page(to, kept, "尝试过于频繁，请一分钟后再试", staff_id, 429)
        agent = family(request.headers.get("user-agent", ""))
        word, sentence = in_transaction(lambda tx: desk_sessions.log_in(tx, staff_id, form.get("code", ""), agent))
        if not word:
            limiter.hit(wrong, client)
        return _in(request, form, word, sentence)

    @app.post("/login/passkey/options")
    def key_options(request: Request) -> Response:
        """What a passkey is to sign at the door; whose it is shows when it has."""
        if not limiter.hit(asked, "keys", request.client.host if request.client else ""):
            return Response(status_code=429)
        options = in_transaction(lambda tx: passkeys.begin(tx, desk_sessions.LOG_IN, None, None))
        return Response(options, media_type="application/json")

    @app.post("/login/passkey")
    def log_in_by_key(request: Request, form: Form) -> Response:
        agent = family(request.headers.get("user-agent", ""))
        given = form.get("credential", "")
        word, sentence = in_transaction(lambda tx: desk_sessions.log_in_by_key(tx, given, agent))
        return _in(request, form, word, sentence)

    @app.post("/logout")
    def log_out(request: Request, who: Person, form: Form) -> Response:
        if desk_forms.fits(form.get("token", ""), who.session_id, "leave"):
            in_transaction(lambda tx: desk_sessions.end(tx, who.session_id, who.id))
        return set_cookie(RedirectResponse("/login", 303), request.app.state.settings, "")

    @app.post("/stay")
    def stay(who: Person) -> Response:
        """Somebody is still there: that alone makes the session hold on."""
        return Response(status_code=204, headers={LEFT: str(who.left)})

    @app.exception_handler(LogInFirst)
    async def first(request: Request, error: LogInFirst) -> Response:
        if request.url.path == "/pulse" or request.headers.get("accept", "") == "application/json":
            return Response(status_code=401)
        if request.method == "GET":
            return RedirectResponse("/login?" + urlencode({"to": error.to}), 303)
        return _login_page(error.to, _kept(error.kept), desk_sessions.ENDED, status=401)


def _in(request: Request, form: dict[str, str], word: str, sentence: str) -> Response:
    """To where the person wanted, with what they had typed kept for them; or the page again with the cause."""
    to, kept = safe_path(form.get("to")), _kept(form)
    if sentence:
        return _login_page(to, kept, sentence, form.get("staff_id", "").strip(), 422)
    if kept and to.startswith("/r/"):
        with reading() as tx:
            session = desk_sessions.live(tx, word)
        if session is not None:
            question.keep(session.staff_id, to.removeprefix("/r/").partition("?")[0], kept)
    return set_cookie(RedirectResponse(to, 303), request.app.state.settings, word)


NOT_KEPT = {"credential", "signature", "code", "token", "to", "staff_id", "kept"}


def _kept(form: dict[str, str] | object) -> dict[str, str]:
    """What was typed into another form before the session ended, by the names it had there."""
    found = dict(form) if isinstance(form, dict) else {}
    return {name: value for name, value in found.items() if name not in NOT_KEPT and value}


def _login_page(to: str, kept: dict[str, str], sentence: str = "", staff_id: str = "", status: int = 200) -> Response:
    return page("login", status, to=safe_path(to), kept=kept, sentence=sentence, staff_id=staff_id, who=None)


def family(agent: str) -> str:
    """``Chrome · Windows``: what a person knows their own browser by."""
    browsers = {"Edg/": "Edge", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari"}
    systems = {"Windows": "Windows", "Android": "Android", "iPhone": "iPhone", "Mac OS": "macOS", "Linux": "Linux"}
    browser = next((name for mark, name in browsers.items() if mark in agent), "浏览器")
    return " · ".join(filter(None, (browser, next((name for mark, name in systems.items() if mark in agent), ""))))


def _answer_faults(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        said = {404: "没有找到这个页面或编号。请核对后重试。", 405: "此地址不接受这样的请求。"}
        return page(
            "fault",
            error.status_code,
            sentence=error.detail if error.status_code in {409, 429} else said.get(error.status_code, "请求无法处理。"),
            who=None,
        )

    @app.exception_handler(Exception)
    async def broken(request: Request, _error: Exception) -> Response:
        logger.error("a page broke: %s", getattr(request.scope.get("route"), "path", "(none)"))
        return page("fault", 500, sentence="系统暂时不可用。请返回上一页：您填写的内容仍在该页面中。", who=None)
