"""Papers of a case as whoever decides sees them: linked when the file is here, blocking when it is not (ambiguity 26)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from models.cases import Case, Finding
from models.dossier import Findings, Papers, PaperShown
from models.event_parts import DocumentKind
from models.papers import Paper, PaperState
from models.reviews import Review
from office.base.db import Tx
from office.cases import dossier
from office.cases.named_papers import named
from office.files import evidence
from policies import papers as rules_of_papers


def of_case(tx: Tx, case: Case) -> tuple[Paper, ...]:
    """Every paper the case names, with whether its file is here at this moment."""
    return rules_of_papers.settled(
        [paper_of(tx, case.shop_id or "", given, at, where) for given, at, where in named(tx, case)]
    )


def paper_of(tx: Tx, shop_id: str, given: Mapping[str, Any], at: datetime | None, where: str) -> Paper:
    """A document as it was sent, with the file of that shop it names. Another shop's file is nothing to it."""
    sha256, kind = given.get("sha256") or "", str(given.get("kind") or DocumentKind.OTHER)
    item = evidence.staged(tx, shop_id, sha256) if sha256 else None
    state = PaperState.NOT_RECEIVED
    if item is not None:
        state = PaperState.RECEIVED if evidence.present(item) else PaperState.DAMAGED
    return Paper(
        name=given["name"],
        kind=kind,
        kind_label=DocumentKind(kind).label if kind in list(DocumentKind) else kind,
        sha256=sha256,
        url=given.get("url") or "",
        where=where,
        given_at=at,
        evidence_id=item.id if item else "",
        state=state,
    )


def absent(tx: Tx, shop_id: str, documents: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The names of those whose file is not here: what a merchant is told to send."""
    found = [paper_of(tx, shop_id, given, None, "") for given in documents]
    return tuple(paper.name for paper in found if not paper.readable)


def readable_kinds(found: Iterable[Paper]) -> set[str]:
    """The kinds of which a file is here."""
    return {paper.kind for paper in found if paper.readable}


def findings(tx: Tx, case: Case, clause: str, *, needed: bool = False) -> list[Finding]:
    """What the rules find about the case's papers at this moment."""
    return rules_of_papers.paper_findings(of_case(tx, case), clause, tx.now, needed=needed)


def by_id(tx: Tx, shop_id: str, ids: Iterable[str]) -> tuple[Paper, ...]:
    """Files of the shop that whoever decides names by their ids, as papers."""
    return tuple(
        paper_of(tx, shop_id, {"name": item.name, "sha256": item.sha256}, item.staged_at, "由审核人指明")
        for item in evidence.of_shop(tx, shop_id, ids)
    )


def unfit(tx: Tx, shop_id: str, paper_id: str, called: str, clause: str, *, proof: bool = False) -> str | None:
    """Why a file that whoever decides names by its id cannot be opened, or is no ``proof``: which only bank or finance bring."""
    who = "由银行或财务" if proof else ""
    found = evidence.of_shop(tx, shop_id, [paper_id])
    if not found:
        return (
            f"未收到{called}「{paper_id}」:请先{who}为店铺 {shop_id} 上传(POST /evidence),"
            f"再在「{called}」栏填写返回的编号(EV-…),没有文件不能作结论({clause})"
        )
    if proof and found[0].origin != evidence.PROOF:
        return (
            f"文件「{paper_id}」不是由银行或财务上传的,不能作为{called}:请用有 proof 权限的令牌上传(POST /evidence),"
            f"同一文件重新上传后编号不变({clause})"
        )
    return None if evidence.intact(found[0]) else f"{called}「{paper_id}」丢失或已损坏,请重新上传原文件({clause})"


def refusal(tx: Tx, case: Case, clause: str, needed: Collection[str] = (), besides: Collection[str] = ()) -> str | None:
    """Why nobody can approve on these papers, and on the files named ``besides`` by id; every file is read whole once more,
    for this is the moment it counts."""
    found = (*of_case(tx, case), *by_id(tx, case.shop_id or "", besides))
    damaged = {
        paper.sha256
        for paper in found
        if paper.readable
        and (item := evidence.staged(tx, case.shop_id or "", paper.sha256))
        and not evidence.intact(item)
    }
    refused = rules_of_papers.refuse_without_papers(found, needed, clause, damaged)
    return f"{refused.sentence}({refused.clause})" if refused else None


def parts(
    tx: Tx, case: Case, review: Review, clause: str, *, needed: bool = False
) -> tuple[tuple[str, Papers | Findings | None], ...]:
    """The papers and what is wrong with them, for the dossier of a case that has no other checks."""
    found = findings(tx, case, clause, needed=needed)
    return ("材料", part(tx, case, review)), ("材料检查", Findings.of(found) if found else None)


def blocking(tx: Tx, case: Case, clause: str, *, needed: bool = False) -> list[Finding]:
    return [finding for finding in findings(tx, case, clause, needed=needed) if finding.blocking]


def part(tx: Tx, case: Case, review: Review) -> Papers | None:
    """The papers for a dossier: each with the file it opens, or with what was claimed; none where none is named."""
    return listed(of_case(tx, case), evidence.links_until(tx, review.opened_at))


def listed(found: Collection[Paper], until: datetime) -> Papers | None:
    return Papers(papers=tuple(map(_shown, found)), until=until) if found else None


def _shown(paper: Paper) -> PaperShown:
    return PaperShown(
        label=paper.kind_label,
        name=paper.name,
        file=paper.evidence_id if paper.readable else "",
        sha256=paper.sha256,
        about=f"{paper.where},{dossier.when(paper.given_at)}",
        amiss="" if paper.readable else paper.state.label,
        claimed="" if paper.sha256 else paper.url,
    )


def links_until(tx: Tx, case: Case, review: Review) -> str:
    """Until when the links of :func:`part` open something; empty for a case that names no paper."""
    names_any = next(named(tx, case), None) is not None
    return evidence.links_until(tx, review.opened_at).isoformat() if names_any else ""
