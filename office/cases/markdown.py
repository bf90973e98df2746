"""A dossier in Markdown, as Prefect's dialogs, the terminal and the dispute file read it: nothing from outside is markup."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import assert_never

from models.dossier import (
    Block,
    CaseLink,
    Code,
    Findings,
    Items,
    Line,
    Marked,
    Papers,
    PaperShown,
    Piece,
    Quote,
    Rows,
    Sheet,
    Sides,
    Strong,
    Table,
    Text,
)
from notifications.text import full_width, one_line, prose
from office.cases import links
from office.cases.dossier import ours as in_our_words
from office.cases.dossier import when

_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>&~$:@/=%])")
_ADDRESS = re.compile(r":(?=//)|\bwww(?=\.)|@", re.IGNORECASE)


WHOLE = 25_000
"""Characters: more than the door or a form takes, so whoever decides reads all of it."""


def plain(text: str, limit: int = WHOLE) -> str:
    """Somebody else's text on one line, with every character that Markdown or HTML could read as its own escaped.

    What looks like an address gets an invisible word joiner, because one of Prefect's interfaces makes links of
    addresses even where they are escaped.
    """
    marked = _MARKUP.sub(r"\\\1", _ADDRESS.sub("\\g<0>\u2060", one_line(text, limit)))
    return marked.replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\&", "&amp;")


def ours(text: str) -> str:
    """A label or a finding: our own words."""
    return plain(full_width(text))


def escaped(text: str) -> str:
    """The same for a piece of a line, which may begin and end with a space."""
    before, after = " " * text.startswith(" "), " " * text.endswith(" ")
    return f"{before}{plain(text)}{after}" if text.strip() else " " * bool(text)


def markdown(kept: str) -> str:
    """What a review keeps as shown, in Markdown; what an older version wrote stays to the letter."""
    sheet = Sheet.read(kept)
    if sheet.title == "" and len(sheet.parts) == 1 and sheet.parts[0].blocks == (Marked(markdown=kept),):
        return kept
    parts = [f"### {plain(sheet.title)}"] if sheet.title else []
    for part in sheet.parts:
        parts += [f"#### {ours(part.title)}"] if part.title else []
        parts += [drawn(part.blocks)]
    return "\n\n".join(parts) + "\n"


def drawn(blocks: Iterable[Block]) -> str:
    """Blocks one after the other."""
    return "\n\n".join(map(_block, blocks))


def _block(block: Block) -> str:
    match block:
        case Marked():
            return block.markdown
        case Text():
            return _line(in_our_words(block.line))
        case Rows():
            # A list: one of Prefect's two dialogs neither wraps the cells of a table nor lets it be scrolled.
            return "\n".join(f"- {ours(name)}：{_value(lines)}" for name, lines in block.rows)
        case Findings():
            return _findings(block)
        case Quote():
            return _quote(block)
        case Sides():
            return "\n\n".join(map(_quote, block.sides))
        case Items():
            lines = [[f"- {_line(item.line)}", *(f"  - {_line(one)}" for one in item.under)] for item in block.items]
            return "\n".join(line for item in lines for line in item)
        case Table():
            return _table(block)
        case Papers():
            listed = [_paper(paper, block) for paper in block.papers]
            ends = f"点击文件名下载，链接有效至 {when(block.until)}。文件来自外部，请勿在工作电脑上运行其中任何程序。"
            return "\n".join([*listed, "", ends])
        case unknown:
            assert_never(unknown)


def _value(lines: Iterable[Line]) -> str:
    return "  \n  ".join(_line(one) or "—" for one in lines)


def _line(line: Iterable[Piece]) -> str:
    return "".join(map(_piece, line))


def _piece(piece: Piece) -> str:
    match piece:
        case str():
            return escaped(piece)
        case Strong():
            return f"**{plain(piece.text)}**"
        case Code():
            return f"`{piece.text.replace('`', '')}`"
        case CaseLink():
            return f"[{plain(piece.text)}]({links.of_case(piece.case_id, piece.run_id)})"
        case unknown:
            assert_never(unknown)


def _findings(block: Findings) -> str:
    rows = [
        f"- {'⛔ **阻断**' if one.blocking else 'ℹ️ 参考'} · {ours(one.sentence)}"
        f"（{one.clause}，数据截至 {when(one.as_of)}）"
        for one in block.findings
    ]
    return "\n".join(rows) if rows else "检查未发现问题。"


def _quote(quote: Quote) -> str:
    """No quotation of Markdown: Prefect prints those in italics, which Chinese does not have, and joins their lines."""
    lines = prose(quote.text, WHOLE).split("\n") if quote.text.strip() else ["（无）"]
    who = [_line(in_our_words(quote.who))] if quote.who else []
    return "  \n".join([*who, *(f"│ {plain(line)}" for line in lines)])


def _table(block: Table) -> str:
    marks = ("---:" if column in block.sums else "---" for column in range(len(block.head)))
    lines: list[Iterable[str]] = [map(ours, block.head), marks, *(map(_cell, row) for row in block.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(line: Line) -> str:
    return _line(line) or "—"


def _paper(paper: PaperShown, block: Papers) -> str:
    name = f"[{plain(paper.name)}]({links.of_file(paper.file, block.until)})" if paper.file else plain(paper.name)
    amiss = f"{' ⛔' if paper.blocking else ''} **{ours(paper.amiss)}**" if paper.amiss else ""
    content = f"SHA-256 `{paper.sha256}`" if paper.sha256 else plain(paper.claimed)
    return f"- {plain(paper.label)}：{name}{amiss}（{ours(paper.about)}，{content}）"
