"""Cleaning text that came from outside, before it stands in a subject line, a mail or a chat."""

from __future__ import annotations

import re
import unicodedata

from models.text import odd, shortened

LINE_LIMIT = 1_000
PROSE_LIMIT = 4_000
"""Characters, as many as the door takes. What is longer is cut and says by how much: a notification is never refused
for its length."""


def one_line(text: str, limit: int = LINE_LIMIT) -> str:
    """``text`` on one line, without control or invisible characters: nothing can begin a header or a line."""
    return shortened(" ".join(_visible(text).split()), limit)


def prose(text: str, limit: int = PROSE_LIMIT) -> str:
    """``text`` with its line breaks (one empty line in a row at most), without invisible characters."""
    lines: list[str] = []
    for line in (" ".join(raw.split()) for raw in _visible(text).split("\n")):
        if line or (lines and lines[-1]):
            lines.append(line)
    return shortened("\n".join(lines).strip(), limit)


_SIGNS = {",": "，", ";": "；", ":": "："}
_QUOTED = re.compile("「[^」]*」")
_CHINESE = re.compile("[\u3000-\u303f\u3400-\u4dbf\u4e00-\u9fff\uff00-\uffef]")


def full_width(text: str) -> str:
    """A label or a sentence of ours with the signs of Chinese beside its words and around them, however it is kept, one for one;
    what it quotes in 「」 stays to the letter. For what is shown only: hashes and signatures are over what is kept."""
    quoted = {at for found in _QUOTED.finditer(text) for at in range(*found.span())}
    shown, opened = list(text), list[int]()
    for at, sign in enumerate(text):
        beside = "".join(shown[max(at - 1, 0) : at]) + text[at + 1 : at + 2]
        if at in quoted or sign not in ",;:()":
            continue
        if sign in _SIGNS and _CHINESE.search(beside):
            shown[at] = _SIGNS[sign]
        elif sign == "(":
            opened.append(at)
        elif sign == ")" and opened:
            begun = opened.pop()
            if _CHINESE.search(text, max(begun - 1, 0), at):
                shown[begun], shown[at] = "（", "）"
    return "".join(shown)


def as_markdown(text: str) -> str:
    """Our plain text for a service that reads Markdown: nothing in it is emphasis, link, heading or table.

    Our own marks, ``- `` before an item and ``> `` before somebody's words, stay what they are.
    """
    return "\n".join(_markdown_line(line) for line in text.split("\n"))


_ADDRESS = re.compile(r"(https?://[\w./%?=&:-]+)")
_OPENS_BLOCK = re.compile(r"([-+=]|\d+(?=[.)]))")


def _markdown_line(line: str) -> str:
    mark = next((mark for mark in ("> ", "- ") if line.startswith(mark)), "")
    words = line.removeprefix(mark)
    if line == ">" or not line:
        return line
    # Every other piece is a web address: a backslash in it would lead somewhere else.
    pieces = [
        piece if position % 2 else re.sub(r"([\\`*_\[\]<>~|#])", r"\\\1", piece)
        for position, piece in enumerate(_ADDRESS.split(words))
    ]
    escaped = "".join(pieces)
    if opening := _OPENS_BLOCK.match(escaped):
        before, rest = (opening[1], escaped[opening.end() :]) if opening[1].isdigit() else ("", escaped)
        escaped = f"{before}\\{rest}"
    return f"{mark}{escaped}  "


def _visible(text: str) -> str:
    broken = "\n".join(text.splitlines())
    return "".join(
        character if character == "\n" or _is_visible(character) else " " if character == "\t" else ""
        for character in broken
    )


def _is_visible(character: str) -> bool:
    return odd(character) is None and unicodedata.category(character) != "Cf"  # no invisible format character either
