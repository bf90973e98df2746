"""Senders: one small adapter for each outside system that posts to the door.

A sender is known by its ``name``: the last part of its address (``POST /webhooks/<name>``) and the source of
its messages in the inbox. It knows the signature scheme, the shape of a body and the words of an answer.
Everything else (limits on size and rate, storing, conflicts, waking the courier) is the same for all and
lives in ``webhooks.app``. Adding one is a module here and a line in :func:`webhooks.app.senders_of`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from office.record.inbox import Arrival, Receipt
from webhooks.problems import Problem


@dataclass(frozen=True)
class Answer:
    """What goes back. ``body`` is sent as JSON; ``None`` is an empty body."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"


class Sender(Protocol):
    """How one outside system speaks.

    ``verify`` is called in a thread, after the limits on rate, size and media type. It checks the signature
    before it looks at anything else and returns every message in the body; all are stored before ``answer``.
    """

    name: str
    headers: tuple[str, ...]
    """Lower-case names of the headers that sign; one given twice is refused before ``verify``."""

    def verify(self, headers: Mapping[str, str], raw: bytes) -> list[Arrival]:
        """The messages in the body. Raises :class:`Problem` for a bad signature or body."""
        ...

    def answer(self, stored: Sequence[tuple[Arrival, Receipt]]) -> Answer:
        """The answer once everything is stored. The same for a message that came before as for a new one."""
        ...

    def refuse(self, problem: Problem, instance: str) -> Answer:
        """The answer when something was wrong, in the words this sender understands."""
        ...

    def openapi(self) -> dict[str, Any]:
        """The operation's own part of the OpenAPI document: parameters, request body, responses."""
        ...

    def schemas(self) -> dict[str, Any]:
        """The component schemas that :meth:`openapi` refers to."""
        ...
