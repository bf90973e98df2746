"""Dossiers: what a reviewer reads, as Markdown in which nothing from outside is ever markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from models.cases import Finding
from notifications.text import one_line, prose
from office.cases.gates import Dossier
from policies.policy import SHANGHAI

_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>&~$:@/=%])")
_ADDRESS = re.compile(r":(?=//)|\bwww(?=\.)|@", re.IGNORECASE)


WHOLE = 25_000
"""Characters: more than the door or a form takes, so whoever decides reads all of it."""


def plain(text: str, limit: int = WHOLE) -> str:
    """Somebody else's text on one line, with every character that Markdown or HTML could read as its own escaped.

    What looks like an address gets an invisible word joiner, because one of Prefect's interfaces makes links of
    addresses even where they are escaped.
    """
    escaped = _MARKUP.sub(r"\\\1", _ADDRESS.sub("\\g<0>\u2060", one_line(text, limit)))
    return escaped.replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\&", "&amp;")


def named(name: str, shop_id: str) -> str:
    """A shop as a reviewer reads of it: its name and, in brackets, its id."""
    return f"{plain(name)}({plain(shop_id)})"


def quoted(text: str) -> str:
    """Somebody else's words with their line breaks, a bar before each line.

    No quotation of Markdown: Prefect prints those in italics, which Chinese does not have, and joins their lines.
    """
    lines = prose(text, WHOLE).split("\n") if text.strip() else ["(无)"]
    return "  \n".join(f"│ {plain(line)}" for line in lines)


def lines(text: str) -> str:
    """Somebody else's words as the value in a list of names and values, with their line breaks."""
    return "  \n  ".join(plain(line) for line in prose(text, WHOLE).split("\n"))


def when(moment: datetime | None) -> str:
    return f"{moment.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}" if moment else "—"


def table(rows: Mapping[str, str]) -> str:
    """Names with their values; values are given escaped already where they come from outside.

    Laid out as a list: one of Prefect's two dialogs neither wraps the cells of a table nor lets it be scrolled.
    """
    return "\n".join(f"- {name}：{value}" for name, value in rows.items())


def findings_table(findings: Iterable[Finding]) -> str:
    """What the rules found, the blocking ones first."""
    rows = [
        f"- {'⛔ **阻断**' if finding.blocking else 'ℹ️ 参考'} · {plain(finding.sentence)}"
        f"（{finding.clause}，数据截至 {when(finding.as_of)}）"
        for finding in sorted(findings, key=lambda finding: not finding.blocking)
    ]
    return "\n".join(rows) if rows else "检查未发现问题。"


def assemble(
    title: str,
    *parts: tuple[str, str],
    facts: dict[str, Any],
    blocking: Iterable[Finding] = (),
    shown: dict[str, Any] | None = None,
    links_until: str = "",
) -> Dossier:
    """A dossier of titled parts. ``facts`` are the terms of the decision; both are kept with it (ambiguity 23)."""
    body = "\n\n".join(f"#### {heading}\n\n{text}" for heading, text in parts if text)
    return Dossier(
        markdown=f"### {title}\n\n{body}\n", facts=facts, blocking=tuple(blocking), shown=shown or {},
        links_until=links_until,
    )  # fmt: skip
