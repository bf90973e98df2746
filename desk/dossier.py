"""A dossier as a page shows it: its parts, which the page's template draws; older texts by a reader of Markdown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from desk import marked
from models.dossier import Block, Findings, Marked, Papers, Sheet
from office.base.settings import Settings

_LOOKED_AT: Any = {"findings": {"__all__": {"as_of"}}}
STOPS = "✕"
"""The sign of what stands in the way, as an older text has it."""


@dataclass(frozen=True)
class Section:
    """A titled part of a dossier; ``blocking`` when something in it stands in the way."""

    title: str
    blocks: tuple[Block | Markup, ...]
    blocking: bool

    @property
    def mark(self) -> str:
        """What it says, in short: a page that was shown before says by it which parts it had. When facts were looked at is
        no part of what they say."""
        said = [one if isinstance(one, Markup) else one.model_dump_json(exclude=_LOOKED_AT) for one in self.blocks]
        return hashlib.sha256("\n".join((self.title, *said)).encode()).hexdigest()[:8]


def sections(kept: str, given: Settings) -> list[Section]:
    """What a review keeps as shown, part by part."""
    return [section for part in Sheet.read(kept).parts for section in _sections(part.title, part.blocks, given)]


def _sections(title: str, blocks: Iterable[Block], given: Settings) -> list[Section]:
    """A part is one section; an older text has as many as it has headings."""
    found: list[tuple[str, list[Block | Markup]]] = [(title, [])]
    for block in blocks:
        if not isinstance(block, Marked):
            found[-1][1].append(block)
            continue
        for heading, body in marked.sections(block.markdown, given):
            if heading:
                found.append((heading, []))
            found[-1][1].append(body)
    return [Section(name, tuple(content), any(map(_stops, content))) for name, content in found if content]


def _stops(block: Block | Markup) -> bool:
    match block:
        case Markup():
            return STOPS in block
        case Findings():
            return any(one.blocking for one in block.findings)
        case Papers():
            return any(paper.blocking for paper in block.papers)
        case _:
            return False


def files(kept: str, given: Settings) -> list[str]:
    """The ids of the files that a dossier leads to, in its order."""
    sheet = Sheet.read(kept)
    older = (
        one for block in sheet.blocks() if isinstance(block, Marked) for one in marked.files(block.markdown, given)
    )
    return list(dict.fromkeys((*sheet.files(), *older)))
