"""Papers: documents that a case names, each with whether the file behind the name is here (REF-2, CLS-5, ambiguity 26)."""

from __future__ import annotations

from datetime import datetime

from models.base import Frozen, Labelled


class PaperState(Labelled):
    """What there is behind a paper's name."""

    RECEIVED = "RECEIVED", "已收到"
    NOT_RECEIVED = "NOT_RECEIVED", "未收到文件"
    DAMAGED = "DAMAGED", "文件丢失或已损坏"
    REPLACED = "REPLACED", "未收到文件,已由后来收到的材料代替"


class Paper(Frozen):
    """One paper as the sender named it, by the hash of its content or by an address, and the file we hold of it."""

    name: str
    kind: str
    """A code of ``models.event_parts.DocumentKind``, or the word an older case was sent with."""
    kind_label: str
    sha256: str = ""
    url: str = ""
    where: str
    """With what it was named: ``随申请提交``, an answer …"""
    given_at: datetime | None = None
    evidence_id: str = ""
    """The staged file of the case's own shop with that very content; empty when there is none."""
    state: PaperState

    @property
    def readable(self) -> bool:
        """Whether somebody who decides can open and read it."""
        return self.state is PaperState.RECEIVED
