"""What the merchant sends about a closing: asked for, withdrawn."""

from __future__ import annotations

from collections.abc import Iterable

from models.cases import (
    Case,
    CaseKind,
)
from models.closure_events import (
    ClosureRequested,
    ClosureWithdrawn,
)
from models.messages import InboxMessage
from office.base.db import Tx
from office.cases import cases
from policies.masking import mask_accounts
from tasks.shops import shops
from tasks.shops.questions import QUESTION, own_open_case, take_back

# ── how a closure begins ─────────────────────────────────────────────────────


def request(tx: Tx, event: ClosureRequested, message: InboxMessage) -> None:
    """A merchant asks; everything asked for becomes a case, also what will be refused (CLS-3, CLS-4)."""
    shop = shops.find_shop(tx, event.shop_id)
    cases.open_case(
        tx,
        CaseKind.CLOSURE,
        origin=message.origin,
        received_at=message.received_at,
        shop=shop,
        request={
            "account_id": event.account_id,
            "reason": event.reason,
            "reason_text": mask_accounts(event.reason_text),
        },
        actor=f"merchant/{event.account_id}",
        clause="CLS-4",
        text=f"商家申请关店:{event.reason.label}",
    )


def withdraw_request(tx: Tx, event: ClosureWithdrawn, message: InboxMessage) -> None:
    """The merchant takes it back, until the shop is CLOSED."""
    case = own_open_case(tx, event.case_id, event.account_id, CaseKind.CLOSURE, "CLS-6")
    take_back(tx, case, event.account_id, message.received_at, QUESTION)


def may_send(tx: Tx, case: Case) -> Iterable[str]:
    if case.concluded_at is None and case.withdrawn_at is None:
        yield "closure.withdrawn"  # until CLOSED, and an open case is not (CLS-6)
