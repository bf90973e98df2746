"""The guard: what a connection may send before the application sees a request, how long it may take, how many there are.

uvicorn's httptools takes headers of any size and waits for them for ever, without asking who is there. Whoever has no
signature and no token costs a connection here for some seconds, and nothing else.
"""

from __future__ import annotations

import asyncio
from asyncio import TimerHandle
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from webhooks.problems import MEDIA_TYPE, Problem

HEAD_BYTES = 32_768
"""Of the request line and all headers together; of trailers and chunk framing between two pieces of a body likewise."""
HEAD_LINES = 100
STALLED_SECONDS = 60.0
"""How long somebody may not read what we answer."""


def guarded(**limits: Any) -> type[HttpToolsProtocol]:
    """The protocol for ``uvicorn.Config(http=…)``, with these limits instead of the usual ones."""
    return type("Door", (Guarded,), limits)


class Guarded(HttpToolsProtocol):
    """uvicorn's protocol with an end to everything that comes before the application."""

    max_connections = 500
    head_seconds = 10.0
    """From the connection, or from the first byte of a further request on it, to the end of its headers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._size = self._lines = 0
        self._pending = 0
        """Bytes in which nothing was complete: a header without an end, framing without a body."""
        self._in_head = True
        self._head_timer: TimerHandle | None = None
        self._stalled_timer: TimerHandle | None = None
        self.waiting_since = 0.0
        """When it began to send headers that are not complete, on the loop's clock; zero while it is served."""

    # ── connections ──

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= self.max_connections and not self._make_room():
            self.transport = transport
            self._refuse(
                HTTPStatus.SERVICE_UNAVAILABLE, "too-many-connections", "Too many connections. Try again later."
            )
            return
        super().connection_made(transport)
        self._await_head()

    def _make_room(self) -> bool:
        """Close the one that has been sending headers for longest; whoever is being served keeps their connection."""
        waiting = [one for one in self.connections if isinstance(one, Guarded) and one.waiting_since]
        if not waiting:
            return False
        longest = min(waiting, key=lambda one: one.waiting_since)
        self.connections.discard(longest)
        longest.transport.abort()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        self._stalls_no_more()
        super().connection_lost(exc)

    # ── heads ──

    def data_received(self, data: bytes) -> None:
        if self.parser is None or self.transport.is_closing():
            return
        if self._in_head and self._head_timer is None:
            self._await_head()
        self._pending += len(data)
        super().data_received(data)
        if self._pending > HEAD_BYTES:
            self._too_large()

    def on_message_begin(self) -> None:
        self._size = self._lines = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._lines += 1
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)

    def _count(self, size: int) -> None:
        self._size, self._pending = self._size + size, 0
        if self._over:
            raise ValueError("the head is too large")  # stops the parser, which has us send a refusal

    @property
    def _over(self) -> bool:
        return self._size > HEAD_BYTES or self._lines > HEAD_LINES

    def on_headers_complete(self) -> None:
        self._in_head, self._pending = False, 0
        self._head_arrived()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._pending = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head, self._pending = True, 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if self._over:
            self._too_large()
        else:
            super().send_400_response(msg)

    def _await_head(self) -> None:
        self.waiting_since = self.loop.time()
        self._head_timer = self.loop.call_later(self.head_seconds, self._head_is_late)

    def _head_arrived(self) -> None:
        self.waiting_since = 0.0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._refuse(
            HTTPStatus.REQUEST_TIMEOUT, "head-too-slow", f"The headers took more than {self.head_seconds:g} seconds."
        )

    def _too_large(self) -> None:
        detail = f"Request line and headers: at most {HEAD_BYTES} bytes in {HEAD_LINES} lines."
        self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", detail)

    def _refuse(self, status: HTTPStatus, code: str, detail: str) -> None:
        """Answer with a problem, unless an answer is under way, and close."""
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            body = bytes(Problem(status.value, code, detail).response("/").body)
            head = (
                f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {MEDIA_TYPE}\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()

    # ── answers nobody reads ──

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stalled_timer is None:
            self._stalled_timer = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._stalls_no_more()
        super().resume_writing()

    def _stalls_no_more(self) -> None:
        if self._stalled_timer is not None:
            self._stalled_timer.cancel()
            self._stalled_timer = None
