"""Text from outside: which characters are taken, said by ranges, so that every interpreter says the same.

Python's own tables know only the characters of their day: a heart or a Chinese character assigned a year later would be
"unassigned", and a name or an answer that holds it refused. So only what can never be a letter is refused: control
characters, halves of surrogate pairs, noncharacters, and what turns or breaks a line invisibly.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import unquote_plus

_CONTROL = "\x00-\x1f\x7f-\x9f"
_SURROGATES = "\ud800-\udfff"
_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(
    f"{chr(plane << 16 | 0xFFFE)}-{chr(plane << 16 | 0xFFFF)}" for plane in range(17)
)
_STEERING = "\u2028\u2029\u202a-\u202e\u2066-\u2069"
"""Line and paragraph separators, embeddings, overrides and isolates: a name holding them reads as another name."""

_ODD = re.compile(f"[{_CONTROL}{_SURROGATES}{_NONCHARACTERS}{_STEERING}]")


def odd(text: str, allowed: str = "") -> str | None:
    """The first character that is not taken, as ``U+0000``; ``None`` when every one is."""
    return next((f"U+{ord(found[0]):04X}" for found in _ODD.finditer(text) if found[0] not in allowed), None)


def without_odd(text: str, allowed: str = "\n") -> str:
    """``text`` without them: what a person typed into a form, where a slip of the keyboard is no reason to refuse."""
    return _ODD.sub(lambda found: found[0] if found[0] in allowed else "", text.replace("\r\n", "\n"))


NOWHERE = {"path": "/nowhere", "raw_path": b"/nowhere", "query_string": b""}


def addressed(scope: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A request of ASGI as it came; where its address holds what no database takes, it leads to where nobody is."""
    said = scope["path"] + unquote_plus(scope["query_string"].decode("latin-1"))
    return {**scope, **NOWHERE} if odd(said, allowed="\n\r\t") else scope


def typed(value: Any) -> Any:
    """What a form or a terminal brought, whatever its shape, with every text in it :func:`without_odd`."""
    match value:
        case str():
            return without_odd(value)
        case list():
            return [typed(item) for item in value]
        case dict():
            return {typed(name): typed(item) for name, item in value.items()}
        case _:
            return value


def whole(text: str) -> int | None:
    """A number as a page of ours or an address wrote it; ``None`` for anything else, also for ``²`` and what no column holds."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


_SHOWS_NOTHING = frozenset("\u115f\u1160\u3164\uffa0\u2800\ufffc\ufffd")
"""Letters and symbols by their category that show nothing: Hangul fillers, the blank of braille, replacement marks."""


def visible(text: str) -> str:
    """What a reader sees of it, without blanks.

    Zero-width characters, no-break spaces, fillers, direction and variation marks and accents over nothing show nothing.
    A character younger than Python's tables is taken to show something.
    """
    return "".join(c for c in without_odd(text, "") if _shows(c))


def has_text(text: str, least: int = 1) -> bool:
    """Whether this is a text at all: ``least`` visible characters, of which at least one is a letter or a digit."""
    seen = visible(text)
    return len(seen) >= least and any(
        unicodedata.category(c)[0] in "LN" or unicodedata.category(c) == "Cn" for c in seen
    )


MOST_REASON = 1_000
"""Characters of what a person writes to say why."""


def too_long(text: str, what: str, most: int = MOST_REASON) -> str | None:
    """The sentence for whoever wrote more than is kept; ``None`` when all of it is."""
    over = len(text.strip()) - most
    return f"{what}共 {most + over:,} 字,最多 {most:,} 字,请缩短 {over:,} 字后重新提交" if over > 0 else None


def unfit_reason(text: str, missing: str) -> str | None:
    """Why this is no reason: ``missing`` where it says nothing, the count where it says too much."""
    return too_long(text, "理由") if has_text(text, 2) else missing


ROOM = 60
"""Characters of the shortest text in which the count of what is left off is not most of it."""


def shortened(text: str, most: int) -> str:
    """``text`` in at most ``most`` characters; what is left off is counted, ``…(另有 120 字)``, where there is room to."""
    if len(text) <= most:
        return text
    if most < ROOM:
        return f"{text[: most - 1].rstrip()}…"
    mark = f"…(另有 {len(text):,} 字)"  # its count is the longest there can be
    kept = text[: most - len(mark)].rstrip()
    return f"{kept}…(另有 {len(text) - len(kept):,} 字)"


def _shows(character: str) -> bool:
    category = unicodedata.category(character)
    return (category[0] in "LNPS" or category == "Cn") and character not in _SHOWS_NOTHING
