"""Requests: headers that are unambiguous, bodies that are not too large, callers that are not too many."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.requests import ClientDisconnect, Request

from office.base.settings import Settings, SettingsError
from webhooks.problems import Problem

BODY_SECONDS = 20.0
"""How long a body may take to arrive."""
_ONCE = ("content-type", "content-length", "content-encoding", "authorization")


class RateLimit:
    """So many requests per source and address, counted in this process. ``rate`` is like ``600/minute``."""

    def __init__(self, rate: str) -> None:
        try:
            self._rate = parse(rate)
        except ValueError:
            raise SettingsError(f"the rate limit {rate!r} is not like 600/minute") from None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def check(self, source: str, request: Request) -> None:
        """Count this request; raises :class:`Problem` 429 with ``Retry-After`` when there were too many."""
        if not self._limiter.hit(self._rate, source, _address(request)):
            raise self._too_many(source, request)

    def look(self, source: str, request: Request) -> None:
        """Raises as :meth:`check` does when there were too many, and counts nothing."""
        if not self._limiter.test(self._rate, source, _address(request)):
            raise self._too_many(source, request)

    def count(self, source: str, request: Request) -> None:
        """Count a request that is answered already."""
        self._limiter.hit(self._rate, source, _address(request))

    def _too_many(self, source: str, request: Request) -> Problem:
        reset = self._limiter.get_window_stats(self._rate, source, _address(request)).reset_time
        seconds = max(1, math.ceil(reset - time.time()))
        return Problem(
            429,
            "too-many-requests",
            f"More than {self._rate}. Try again in {seconds} seconds.",
            headers={"retry-after": str(seconds)},
        )


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def check_headers(request: Request, signing: Iterable[str]) -> None:
    """Refuse a header given twice, a body that is not plain JSON, and a length that is no number."""
    names = [name.decode("latin-1") for name, _ in request.headers.raw]
    for name in (*_ONCE, *signing):
        if names.count(name) > 1:
            raise Problem(400, "duplicate-header", f"The header {name} comes more than once.")
    media_type, _, rest = request.headers.get("content-type", "").partition(";")
    parameters = [part.strip().lower().replace('"', "") for part in rest.split(";") if part.strip()]
    if media_type.strip().lower() != "application/json":
        raise Problem(415, "unsupported-media-type", "Send content-type: application/json.")
    if any(part.startswith("charset=") and part not in {"charset=utf-8", "charset=utf8"} for part in parameters):
        raise Problem(415, "unsupported-media-type", "JSON is UTF-8 here; send no other charset.")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Problem(415, "unsupported-media-type", "Send the body uncompressed.")
    length = request.headers.get("content-length")
    if length is not None and not (length.isascii() and length.isdigit()):
        raise Problem(400, "bad-header", "content-length is not a number.")


async def read_body(request: Request, limit: int) -> bytes:
    """The raw body of at most ``limit`` bytes. More is refused (413) without reading it to the end."""
    too_large = Problem(413, "too-large", f"The body is over {limit} bytes.", headers={"connection": "close"})
    if int(request.headers.get("content-length") or 0) > limit:
        raise too_large
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise too_large
                parts.append(part)
    except TimeoutError:
        raise Problem(408, "bad-request", "The body did not arrive in time.") from None
    except ClientDisconnect:
        raise Problem(400, "bad-request", "The connection ended before the body did.") from None
    return b"".join(parts)


Right = Literal["cases", "evidence"]


@dataclass(frozen=True)
class Grant:
    """What a token that fits may do: with which shops."""

    shops: tuple[str, ...] = ("*",)
    proof: bool = False
    """Whether what it stages counts as the bank's proof."""

    def covers(self, shop_id: str | None) -> bool:
        """Whether this shop is among them; what is about no shop is for tokens of all shops."""
        return any(fnmatchcase(shop_id or "", pattern) for pattern in self.shops if shop_id or pattern == "*")


class Tokens:
    """Bearer tokens, compared in constant time: every token is looked at, whichever fits."""

    def __init__(self, settings: Settings) -> None:
        full: frozenset[str] = frozenset({"cases", "evidence"})
        given = [(token, full, Grant()) for token in settings.api_tokens]
        given += [(one.token, one.may, Grant(one.shops, "proof" in one.may)) for one in settings.access_tokens.values()]
        self._known = [
            (_digest(token.get_secret_value()), may, grant) for token, may, grant in given if token.get_secret_value()
        ]

    def check(self, request: Request, right: Right) -> Grant:
        """Raises :class:`Problem` 401 unless the request carries one of the tokens, 403 unless that one has the right."""
        values = request.headers.getlist("authorization")
        scheme, _, token = (values[0] if len(values) == 1 else "").partition(" ")
        offered = _digest(token.strip())
        fitting = [known for known in self._known if hmac.compare_digest(known[0], offered)]
        if scheme.lower() != "bearer" or not fitting:
            raise Problem(
                401,
                "unauthorized",
                "Send Authorization: Bearer with a token of this installation.",
                headers={"www-authenticate": 'Bearer realm="dianwu"'},
            )
        for _, may, grant in fitting:
            if right in may:
                return grant
        raise Problem(403, "forbidden", f"This token does not have the right: {right}.")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
