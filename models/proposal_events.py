"""Events about what the platform proposes against or for a shop: the papers it rests on, asked for and sent later."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from models.event_parts import Document
from models.shop_events import SHOP_CASE_EXAMPLE
from models.wire import Event, Id, Moment, Outgoing, inbound, outbound


@inbound
class ProposalDocumented(Event):
    """补充提议材料(CLS-10、ARB-10、WDR-4、ambiguity 26)

    Papers for a forced closure, a correction or a withdrawal that is being decided: files staged for the shop before or after
    (``POST /evidence``). Nobody confirms while none is here.
    """

    type: ClassVar[str] = "proposal.documented"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1002",
        "case_id": "FCL-261122-7K3QM9",
        "documents": [{"name": "鉴定报告.pdf", "kind": "OTHER", "sha256": "ab" * 32}],
    }

    shop_id: Id
    case_id: Id
    documents: Annotated[tuple[Document, ...], Field(min_length=1, max_length=20)]


@outbound
class ProposalPapersRequested(Outgoing):
    """请补充提议材料(CLS-10、ARB-10、WDR-4、ambiguity 26)

    A proposal, or a merchant's own wish to withdraw an arbitration, came without any paper. It cannot be confirmed before
    ``proposal.documented`` names one whose file is here; until then it can only be dropped. Sent once per case.
    """

    type: ClassVar[str] = "proposal.papers_requested"
    EXAMPLE: ClassVar[dict[str, Any]] = SHOP_CASE_EXAMPLE | {
        "case_id": "FCL-261122-7K3QM9",
        "clause": "CLS-10",
        "at": "2026-11-22T02:00:00Z",
    }

    shop_id: Id
    case_id: Id
    clause: str
    at: Moment
