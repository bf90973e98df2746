"""The guard: only our own pages may send anything here, and every answer says what a browser may do with it.

Cookies are shared between ports and a site's subdomains, so a cookie alone proves nothing about who sent a form. What is
not a look is taken from a page of this very address only; that is asked before anything else is.
"""

from __future__ import annotations

import json
import logging
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.text import addressed

logger = logging.getLogger("dianwu.desk.access")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), "
    "geolocation=(), payment=()",
    "referrer-policy": "same-origin",  # with no-referrer our own forms would come with the origin "null"
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
HEALTH = "/healthz"
"""Asked by who runs this process, by its number and not by the name people use."""
LOOKING = {"GET", "HEAD"}
NOT_FROM_HERE = "请求不是从工作台页面发出的，未作任何处理。请从工作台重新打开页面后再试。"


class Guard:
    """Pure ASGI, in front of everything. ``url`` is the desk's one address as people reach it."""

    def __init__(self, app: ASGIApp, url: str) -> None:
        self.app = app
        parts = urlsplit(url)
        self.origin, self.host = f"{parts.scheme}://{parts.netloc}", parts.netloc

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope = addressed(scope)
        started, status = time.perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = {name for name, _ in message.get("headers", [])}
                extra = HEADERS if b"cache-control" in own else {**HEADERS, "cache-control": "no-store"}
                message["headers"] = [
                    *message.get("headers", []),
                    *((name.encode(), value.encode()) for name, value in extra.items()),
                ]
            await send(message)

        headers = Headers(scope=scope)
        try:
            if headers.get("host", "") != self.host and scope["path"] != HEALTH:
                await PlainTextResponse(f"请使用 {self.origin} 访问工作台。", 421)(scope, receive, answer)
            elif scope["method"] not in LOOKING and not self._ours(headers):
                await PlainTextResponse(NOT_FROM_HERE, 403)(scope, receive, answer)
            else:
                await self.app(scope, receive, answer)
        finally:
            route = scope.get("route")
            line = {
                "method": scope["method"],
                "route": getattr(route, "path", "(none)"),  # the template: addresses hold numbers of cases
                "status": status,
                "ms": round((time.perf_counter() - started) * 1000, 1),
            }
            logger.info("%s", json.dumps(line))

    def _ours(self, headers: Headers) -> bool:
        site = headers.get("sec-fetch-site")
        return headers.get("origin") == self.origin and site in {None, "same-origin"}
