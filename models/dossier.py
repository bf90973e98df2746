"""Dossiers: what whoever decides is shown, as parts that every face draws in its own way.

A sheet is kept in its canonical form, and what a decision is bound to is the hash of that. Words in it are as they were
written: nothing is escaped here, and nothing is markup. What older versions kept is a text in Markdown; it reads as a
sheet of one :class:`Marked` part, under the hash it always had.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field

from models.base import Frozen
from models.cases import Finding

# ── pieces of a line ─────────────────────────────────────────────────────────


class Strong(Frozen):
    """Words that count: an amount, a verdict."""

    kind: Literal["strong"] = "strong"
    text: str


class Code(Frozen):
    """To be copied letter by letter: a command, a hash."""

    kind: Literal["code"] = "code"
    text: str


class CaseLink(Frozen):
    """A case of ours, by its number."""

    kind: Literal["case"] = "case"
    text: str
    case_id: str
    run_id: str = ""


Piece = str | Strong | Code | CaseLink
Line = tuple[Piece, ...]
Words = Piece | Iterable[Piece]
"""A line as it is written down: one piece, or several."""


def line(words: Words) -> Line:
    """The pieces of a line; what is empty is left out."""
    pieces: Iterable[Piece] = (words,) if isinstance(words, (str, Strong, Code, CaseLink)) else words
    return tuple(piece for piece in pieces if piece != "")


# ── blocks ───────────────────────────────────────────────────────────────────


class _Block(Frozen):
    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return False


class Text(_Block):
    """A paragraph of ours."""

    kind: Literal["text"] = "text"
    line: Line

    @classmethod
    def of(cls, *pieces: Piece) -> Self:
        return cls(line=line(pieces))

    @property
    def empty(self) -> bool:
        return not self.line


class Rows(_Block):
    """Names, each with its value; a value may have several lines."""

    kind: Literal["rows"] = "rows"
    rows: tuple[tuple[str, tuple[Line, ...]], ...]

    @classmethod
    def of(cls, rows: Mapping[str, Words]) -> Self:
        """A value that is a single text keeps its line breaks."""
        return cls(
            rows=tuple(
                (name, tuple(line(one) for one in value.split("\n")) if isinstance(value, str) else (line(value),))
                for name, value in rows.items()
            )
        )

    @property
    def empty(self) -> bool:
        return not self.rows


class Found(Frozen):
    """What a check found, in its sentence."""

    sentence: str
    clause: str
    blocking: bool
    as_of: datetime | None = None


class Findings(_Block):
    """What the rules found, the blocking ones first; none is said to be none."""

    kind: Literal["findings"] = "findings"
    findings: tuple[Found, ...]

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Self:
        found = [
            Found(sentence=one.sentence, clause=one.clause, blocking=one.blocking, as_of=one.as_of) for one in findings
        ]
        return cls(findings=tuple(sorted(found, key=lambda one: not one.blocking)))


class Quote(_Block):
    """Somebody's own words, with their line breaks, and whose they are."""

    kind: Literal["quote"] = "quote"
    text: str
    who: Line = ()

    @classmethod
    def of(cls, text: str, *who: Piece) -> Self:
        return cls(text=text, who=line(who))


class Sides(_Block):
    """What each side says, to be read beside the other."""

    kind: Literal["sides"] = "sides"
    sides: tuple[Quote, ...]

    @property
    def empty(self) -> bool:
        return not self.sides


class Item(Frozen):
    line: Line
    under: tuple[Line, ...] = ()


class Items(_Block):
    """A list; an item may have some of its own."""

    kind: Literal["items"] = "items"
    items: tuple[Item, ...]

    @classmethod
    def of(cls, items: Iterable[Words | Item]) -> Self:
        return cls(items=tuple(one if isinstance(one, Item) else Item(line=line(one)) for one in items))

    @property
    def empty(self) -> bool:
        return not self.items


class Table(_Block):
    """Columns under a heading; ``sums`` are the columns that hold amounts."""

    kind: Literal["table"] = "table"
    head: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]
    sums: tuple[int, ...] = ()

    @classmethod
    def of(cls, head: Iterable[str], rows: Iterable[Iterable[Words]], sums: Iterable[int] = ()) -> Self:
        cells = tuple(tuple(line(cell) for cell in row) for row in rows)
        return cls(head=tuple(head), rows=cells, sums=tuple(sums))

    @property
    def empty(self) -> bool:
        return not self.rows


class PaperShown(Frozen):
    """A paper as it is named, and the file of it where there is one."""

    label: str
    name: str
    file: str = ""
    """The id of the file, which opens it; empty when there is none that can be opened."""
    sha256: str = ""
    about: str
    """With what it came and when."""
    amiss: str = ""
    """What is wrong with its file; empty when nothing is."""
    blocking: bool = False
    """Whether nobody can decide while it is."""
    claimed: str = ""
    """The address it was said to stand at, when nothing else is known."""


class Papers(_Block):
    """Papers: each opened by a link while that lasts, or with what is wrong with it."""

    kind: Literal["papers"] = "papers"
    papers: tuple[PaperShown, ...]
    until: datetime

    @property
    def empty(self) -> bool:
        return not self.papers


class Marked(_Block):
    """A text in Markdown, in which whatever came from outside was escaped when it was written: what older versions kept."""

    kind: Literal["marked"] = "marked"
    markdown: str

    @property
    def empty(self) -> bool:
        return not self.markdown


Block = Annotated[Text | Rows | Findings | Quote | Sides | Items | Table | Papers | Marked, Field(discriminator="kind")]


class Part(Frozen):
    """What stands under one title."""

    title: str
    blocks: tuple[Block, ...]


class Sheet(Frozen):
    """All that is shown of a question, part by part."""

    title: str = ""
    parts: tuple[Part, ...]

    @property
    def kept(self) -> str:
        """The canonical form: one text for one content, which is what is kept, hashed and sealed."""
        return json.dumps(
            {"dossier": 1, **self.model_dump(mode="json")}, ensure_ascii=False, sort_keys=True, separators=(",", ":")
        )

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.kept.encode()).hexdigest()

    @classmethod
    def read(cls, kept: str) -> Self:
        """What is kept, as a sheet. What is not in the canonical form is a text that an older version wrote."""
        if not kept.startswith('{"dossier":1,'):
            return cls(parts=(Part(title="", blocks=(Marked(markdown=kept),)),))
        content = json.loads(kept)
        del content["dossier"]
        return cls.model_validate(content)

    def __contains__(self, title: str) -> bool:
        """Whether a part has this title; in an older text, whether it names it."""
        return any(part.title == title for part in self.parts) or any(
            title in block.markdown for block in self.blocks() if isinstance(block, Marked)
        )

    def blocks(self) -> Iterator[Block]:
        return (block for part in self.parts for block in part.blocks)

    def with_part(self, title: str, *blocks: Block) -> Self:
        """The same with one more part at the end."""
        return self.model_copy(update={"parts": (*self.parts, Part(title=title, blocks=blocks))})

    def files(self) -> tuple[str, ...]:
        """The ids of the files it leads to, each once, in its order; an older text names its own in its links."""
        found = [paper.file for block in self.blocks() if isinstance(block, Papers) for paper in block.papers]
        return tuple(dict.fromkeys(filter(None, found)))

    def hashes(self) -> tuple[str, ...]:
        """What the files that can be opened hold, each once."""
        found = [
            paper.sha256 for block in self.blocks() if isinstance(block, Papers) for paper in block.papers if paper.file
        ]
        return tuple(dict.fromkeys(filter(None, found)))

    def labels(self) -> dict[str, str]:
        """What kind of paper each of these files is, by its id."""
        return {
            paper.file: paper.label for block in self.blocks() if isinstance(block, Papers) for paper in block.papers
        }
