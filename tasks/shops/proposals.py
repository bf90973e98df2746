"""What the platform proposes about a shop rests on papers: asked for when none came, taken when they come later (CLS-10, ARB-10)."""

from __future__ import annotations

from sqlmodel import col, select

from models.cases import Case, CaseKind, WaitState
from models.event_parts import DocumentKind
from models.messages import InboxMessage
from models.proposal_events import ProposalDocumented, ProposalPapersRequested
from models.reviews import Review
from office.base.db import Tx, in_transaction
from office.cases import cases
from office.cases.cases import emit
from office.cases.gates import Answer
from office.cases.locks import lock_case
from office.files import papers
from office.process import Process, office
from office.record import audit, outbox
from office.record.inbox import Refused

RESTING_ON_PAPERS = (CaseKind.FORCED_CLOSURE, CaseKind.CORRECTION)
TAKES_PAPERS = (*RESTING_ON_PAPERS, CaseKind.WITHDRAWAL)
"""A withdrawal, too, is asked for with papers: a merchant's own with the buyer's consent (WDR-4)."""
ANY = frozenset(DocumentKind)
"""The kinds of paper that will do: any, but one there must be (ambiguity 26)."""
PAPERS = "proposal-papers"


def refusal(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    """Why nobody can confirm a proposal: none of its papers is here, or one that was is lost. The check of its gates."""
    return papers.refusal(tx, case, office().kinds[case.kind].clause, ANY) if given.verdict == "CONFIRM" else None


def shown(tx: Tx, case: Case) -> dict[str, int]:
    """What has a proposal's question shown anew when papers have come since, and is no term of the decision."""
    come = len(cases.waits(tx, case.id, PAPERS))
    return {"more_papers": come} if come else {}


def take(tx: Tx, event: ProposalDocumented, message: InboxMessage) -> None:
    """Papers for a proposal that is being decided: whoever is reading is shown them."""
    found = tx.get(Case, event.case_id)
    if found is None or found.shop_id != event.shop_id or found.kind not in TAKES_PAPERS:
        raise Refused(f"案件 {event.case_id} 不是该店铺的提议", "CLS-10")
    case = lock_case(tx, found.id)
    clause = office().kinds[case.kind].clause
    if case.concluded_at is not None:
        raise Refused(f"案件 {case.id} 已办结,不再接收材料", clause)
    documents = [document.model_dump(mode="json") for document in event.documents]
    wait = cases.open_wait(tx, case, f"{PAPERS}/{message.message_id}", PAPERS, "请补充提议材料")
    cases.close_wait(tx, wait, WaitState.ANSWERED, {"documents": documents})
    audit.record(
        tx,
        case.id,
        "proposal.documented",
        actor="platform",
        clause=clause,
        text=f"平台补充提议材料 {len(documents)} 份",
    )
    outbox.wake(tx, case)


def ask_for_papers(tx: Tx, case: Case, clause: str) -> None:
    """Ask the platform for papers, once per case."""
    event = ProposalPapersRequested(shop_id=case.shop_id or "", case_id=case.id, clause=clause, at=tx.now)
    emit(tx, event, f"{case.id}/papers-requested", case)


def sweep() -> int:
    """Ask the platform, once per case, for the papers of proposals that came without any; also of an older version's."""

    def asked(tx: Tx) -> int:
        query = select(Case).where(col(Case.kind).in_(RESTING_ON_PAPERS), col(Case.concluded_at).is_(None))
        without = [case for case in tx.exec(query.order_by(col(Case.id))) if not papers.of_case(tx, case)]
        for case in without:
            ask_for_papers(tx, case, office().kinds[case.kind].clause)
        return len(without)

    return in_transaction(asked)


PROCESS = Process(
    name="proposal",
    hears={ProposalDocumented: take},
    waits={PAPERS: "平台补充提议材料"},
    every_minute={"proposals": sweep},
)
