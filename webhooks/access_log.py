"""Access: safe headers on every answer, and one log line per request without bodies, queries or names."""

from __future__ import annotations

import json
import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.text import addressed

logger = logging.getLogger("dianwu.door.access")

SECURITY_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_ENCODED = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]


class Access:
    """Pure ASGI, so that a streamed body stays streamed."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope = addressed(scope)
        started = time.perf_counter()
        status = 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), *_ENCODED]
            await send(message)

        try:
            await self.app(scope, receive, answer)
        finally:
            # The route's template, not the path: what nobody serves may hold anything.
            route = scope.get("route")
            client = scope.get("client")
            problem = scope.get("state", {}).get("problem")
            line = {
                "method": scope["method"] if route else "?",
                "route": getattr(route, "path", "(none)"),
                "status": status,
                "ms": round((time.perf_counter() - started) * 1000, 1),
                "client": client[0] if client else None,
                **({"problem": problem} if problem else {}),
            }
            logger.info("%s", json.dumps(line))
