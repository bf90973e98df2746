"""The way back from a stored payload to its message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from notifications.message import MESSAGES, Message


class UnknownMessage(LookupError):
    """A stored message whose kind this version does not have."""

    def __init__(self, name: str) -> None:
        super().__init__(f"没有名为 {name!r} 的消息")
        self.name = name


def restore(name: str, payload: Mapping[str, Any]) -> Message:
    """The message that ``payload = message.model_dump(mode="json")`` was made from.

    Raises ``UnknownMessage`` for a name without a class, ``ValidationError`` for fields that do not
    fit.
    """
    if name not in MESSAGES:
        raise UnknownMessage(name)
    return MESSAGES[name].model_validate(payload)
