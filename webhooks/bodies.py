"""Bodies: JSON read strictly. What two readers could understand differently is refused, not guessed."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from webhooks.problems import Problem

MAX_DEPTH = 32
MAX_DIGITS = 40
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
"""A text without an end goes to the end: whoever looked for a text in each of its quotation marks would not come to an end."""
_BLANK = re.compile(r"[ \t\r\n]*")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _refuse(detail: str) -> NoReturn:
    raise Problem(400, "not-json", detail)


def text_of(raw: bytes) -> str:
    """The body as text; raises :class:`Problem` unless it is UTF-8 without a byte order mark."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem(400, "not-json", f"The body is not UTF-8: byte {error.start} is wrong.") from None
    if text.startswith("\ufeff"):
        _refuse("The body begins with a byte order mark. Send UTF-8 without one.")
    return text


def _too_deep(text: str) -> bool:
    """Whether it is nested too deeply; looked at no further than there."""
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        if (mark := found[0][0]) != '"':
            depth += 1 if mark in "[{" else -1
            if depth > MAX_DEPTH:
                return True
    return False


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        _refuse("An object in the body has the same name twice.")
    return result


def _constant(name: str) -> NoReturn:
    _refuse(f"{name} is not JSON.")


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        _refuse(f"A number in the body has more than {MAX_DIGITS} digits.")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits) if len(digits) <= MAX_DIGITS else float("inf")
    if value in (float("inf"), float("-inf")):
        _refuse("A number in the body is too large or too long.")
    return value


def pieces(text: str, most: int) -> list[str] | None:
    """The entries of a JSON list as they stand in the text, without judging them, or one more than ``most`` of them; ``None``
    when it is no such list."""
    if _too_deep(text):
        return None
    decoder, found, at = json.JSONDecoder(), list[str](), _BLANK.match(text).end()  # type: ignore[union-attr]
    if text[at : at + 1] != "[":
        return None
    while True:
        start = _BLANK.match(text, at + 1).end()  # type: ignore[union-attr]
        try:
            _, end = decoder.raw_decode(text, start)
        except ValueError:
            return None
        found.append(text[start:end])
        at = _BLANK.match(text, end).end()  # type: ignore[union-attr]
        if len(found) > most:
            return found
        if text[at : at + 1] == "]":
            return found if not text[at + 1 :].strip() else None
        if text[at : at + 1] != ",":
            return None


def parse_object(text: str) -> dict[str, Any]:
    """The one JSON object in ``text``.

    Raises :class:`Problem` for anything else: broken JSON, NaN, names given twice, more than
    :data:`MAX_DEPTH` levels, numbers beyond :data:`MAX_DIGITS` digits, halves of surrogate pairs.
    """
    if _too_deep(text):  # counted before parsing, so that depth never reaches the parser's stack
        _refuse(f"The body is nested more than {MAX_DEPTH} levels deep.")
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer, parse_float=_float
        )
    except json.JSONDecodeError as error:
        raise Problem(
            400, "not-json", f"The body is not JSON: line {error.lineno}, column {error.colno}: {error.msg}."
        ) from None
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            _refuse("The body holds half of a surrogate pair, which is no character.")
    if not isinstance(value, dict):
        _refuse("The body is JSON, but not an object.")
    return value


def name_of(value: Any) -> str:
    """A name that a sender wrote as a text or a whole number; empty for what names nothing: no two share ``None``."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
