"""Whether two bodies under one message id say the same: neither the order of fields, nor how a number, a moment or an empty
field is written, nor the moment of sending says anything."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from models.wire import Event, read_inbound

SENDING = "timestamp"
"""On the envelope: a sender that tries again stamps it anew."""

NO_JSON = (ValueError, ArithmeticError, RecursionError)
"""What a reader says of a text that only looks like JSON: a number beyond all, brackets beyond all. Then it is a text."""


def same_event(one: bytes, other: bytes) -> bool:
    """Whether both bodies (JSON in UTF-8; anything else byte by byte) are one event, written twice."""
    return _content(one) == _content(other) or ((read := _read(one)) is not None and read == _read(other))


def _read(body: bytes) -> Event | None:
    """The event of ours that this is, as whoever acts on it will read it; ``None`` for anything else."""
    try:
        message = json.loads(body)
        return read_inbound(message) if {*message} == {"type", SENDING, "data"} else None
    except (ValueError, KeyError, TypeError):
        return None


def _content(body: bytes) -> str | bytes:
    try:
        event = json.loads(body, parse_float=Decimal)
    except NO_JSON:
        return body
    if isinstance(event, dict):
        event.pop(SENDING, None)
    return _written(event)


def _written(value: Any) -> str:
    return json.dumps(_unpacked(value), ensure_ascii=False, sort_keys=True)


def _unpacked(value: Any) -> Any:
    """JSON that is carried as text inside JSON, as Douyin does it, as what it holds; numbers by their value."""
    match value:
        case bool():
            return value
        case int() | Decimal():
            sign, digits, exponent = Decimal(value).as_tuple()
            written = "".join(map(str, digits))
            kept = written.rstrip("0")
            return {"": [sign, kept, int(exponent) + len(written) - len(kept)] if kept else 0}
        case dict():
            return {name: _unpacked(item) for name, item in value.items()}
        case list():
            return [_unpacked(item) for item in value]
        case str() if value[:1] in {"{", "["}:
            try:
                return [_written(json.loads(value, parse_float=Decimal))]
            except NO_JSON:
                return value
        case _:
            return value
