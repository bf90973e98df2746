"""常用语: reasons that somebody writes often, under a word of theirs. Nobody else sees them."""

from __future__ import annotations

from sqlmodel import col, func, select

from models.base import new_id
from models.desk import Snippet
from models.text import MOST_REASON, has_text, too_long
from office.base.clock import clock
from office.base.db import Tx

MOST = 50
NAME = 40
"""Characters of a snippet's name."""


def of(tx: Tx, staff_id: str) -> list[Snippet]:
    """Theirs, by name."""
    return list(tx.exec(select(Snippet).where(Snippet.staff_id == staff_id).order_by(col(Snippet.name))))


def keep(tx: Tx, staff_id: str, name: str, text: str) -> str:
    """Keep a text under a name, in place of what was there; a sentence if it cannot be kept."""
    name, text = " ".join(name.split()), text.replace("\r\n", "\n").strip()
    if not has_text(name, 1) or not has_text(text, 2):
        return "请填写名称和内容"
    if sentence := too_long(name, "名称", NAME) or too_long(text, "内容", MOST_REASON):
        return sentence
    row = tx.exec(select(Snippet).where(Snippet.staff_id == staff_id, Snippet.name == name)).first()
    if row is None:
        if tx.exec(select(func.count()).select_from(Snippet).where(Snippet.staff_id == staff_id)).one() >= MOST:
            return f"常用语最多 {MOST} 条，请先删除不用的"
        row = Snippet(id=new_id("SN", clock().real()), staff_id=staff_id, name=name, text=text, at=clock().real())
    row.text, row.at = text, clock().real()
    tx.add(row)
    return ""


def drop(tx: Tx, staff_id: str, snippet_id: str) -> None:
    row = tx.get(Snippet, snippet_id)
    if row is not None and row.staff_id == staff_id:
        tx.delete(row)
