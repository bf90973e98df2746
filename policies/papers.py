"""Papers: which of those a case names are really here, and what follows when one is not (REF-2, REF-5, CLS, ambiguity 26).

A name, a hash or an address is somebody's word; a paper is a file that whoever decides can open.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from models.cases import Finding
from models.event_parts import DocumentKind
from models.outcomes import Refusal
from models.papers import Paper, PaperState


def settled(papers: Sequence[Paper]) -> tuple[Paper, ...]:
    """The papers with those marked that a later one stands in for.

    A paper of a kind of its own is replaced by a later one of the kind, any other by a later one of the same name.
    Only what was never received can be replaced: a file that got lost stays a matter for people.
    """
    return tuple(
        paper.model_copy(update={"state": PaperState.REPLACED})
        if paper.state is PaperState.NOT_RECEIVED and any(_stands_in(later, paper) for later in papers[place + 1 :])
        else paper
        for place, paper in enumerate(papers)
    )


def _stands_in(later: Paper, earlier: Paper) -> bool:
    if not later.readable or later.kind != earlier.kind:
        return False
    return earlier.kind != DocumentKind.OTHER or later.name == earlier.name


def paper_findings(papers: Sequence[Paper], clause: str, now: datetime, *, needed: bool = False) -> list[Finding]:
    """A blocking finding for each paper that nobody can read, and what is odd about those that are here.

    That none was named at all is one where a paper is ``needed``.
    """
    found = []
    if needed and not papers:
        sentence = "没有收到任何材料,无法核实,不能同意。"
        found.append(Finding(code="paper_none", clause=clause, blocking=True, sentence=sentence, as_of=now))
    for paper in papers:
        match paper.state:
            case PaperState.NOT_RECEIVED:
                sentence = f"{paper.kind_label}「{paper.name}」未收到文件,只有名称,无法查看。"
                found.append(_blocking("paper_not_received", clause, sentence, paper, now))
            case PaperState.DAMAGED:
                sentence = f"{paper.kind_label}「{paper.name}」的文件丢失或已损坏,无法查看,请商家重新上传原文件。"
                found.append(_blocking("paper_damaged", clause, sentence, paper, now))
            case PaperState.RECEIVED | PaperState.REPLACED:
                pass
    kinds: dict[str, dict[str, str]] = {}
    for paper in papers:
        if paper.readable:
            kinds.setdefault(paper.sha256, {})[paper.kind] = paper.kind_label
    for sha256, labels in kinds.items():
        if len(labels) > 1:
            sentence = f"同一份文件被用作多种材料:{'、'.join(labels.values())},请核对内容。"
            found.append(
                Finding(
                    code="paper_used_twice",
                    clause=clause,
                    blocking=False,
                    sentence=sentence,
                    value=sha256[:16],
                    as_of=now,
                )
            )
    return found


def _blocking(code: str, clause: str, sentence: str, paper: Paper, now: datetime) -> Finding:
    value = f"{paper.name} {paper.sha256 or paper.url}"
    return Finding(code=code, clause=clause, blocking=True, sentence=sentence, value=value, as_of=now)


def refuse_without_papers(
    papers: Sequence[Paper], needed: Collection[str], clause: str, now_damaged: Collection[str] = ()
) -> Refusal | None:
    """Why nobody can approve, one person or two: there is no paper to decide on at all (ambiguity 26).

    ``needed`` are the kinds of which at least one must be here; empty when none is asked for, and then only a case
    that names papers has to have one. ``now_damaged`` are the files (by hash) found damaged when they were read just now.
    """
    for paper in papers:
        if paper.state is PaperState.DAMAGED or (paper.readable and paper.sha256 in now_damaged):
            return Refusal(
                code="paper-damaged",
                clause=clause,
                sentence=f"材料「{paper.name}」的文件丢失或已损坏,不能在无法查看的情况下同意,请商家重新上传原文件。",
            )
    if any(paper.readable and (not needed or paper.kind in needed) for paper in papers):
        return None
    if needed or papers:
        return Refusal(
            code="no-paper",
            clause=clause,
            sentence="没有收到任何一份所需材料的文件,不能同意,请等待补充或驳回。",
        )
    return None
