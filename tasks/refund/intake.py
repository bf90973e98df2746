"""What the merchant sends about a refund: asked for, payee corrected, withdrawn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from models.cases import Case, CaseKind, WaitState
from models.messages import InboxMessage
from models.money import Money
from models.payouts import Payee
from models.refund_events import RefundPayeeCorrected, RefundRequested, RefundWithdrawn
from office.base.db import Tx
from office.base.vault import opened_json, place_in, seal_json
from office.cases import cases, deadlines
from office.record import audit, outbox
from office.record.inbox import Refused
from tasks.payouts import payouts
from tasks.refund.plan import PAYEE, money_is_out
from tasks.shops import shops
from tasks.shops.questions import QUESTION, own_open_case, take_back

# ── how a refund begins ──────────────────────────────────────────────────────


def request(tx: Tx, event: RefundRequested, message: InboxMessage) -> None:
    """A merchant applies; the payee is sealed at once and only ever shown masked."""
    shop = shops.find_shop(tx, event.shop_id)
    named = _named(event)
    cases.open_case(
        tx,
        CaseKind.REFUND,
        origin=message.origin,
        received_at=message.received_at,
        shop=shop,
        request={
            "account_id": event.account_id,
            "amount_fen": event.amount_fen,
            "payee": payouts.masked(named),
            "documents": [document.model_dump(mode="json") for document in event.documents],
        },
        sealed=_sealed([], named),
        actor=f"merchant/{event.account_id}",
        clause="REF-6",
        text=f"商家申请退还保证金 {Money(fen=event.amount_fen)} 至 {payouts.masked(named)}",
    )


def _named(event: RefundRequested | RefundPayeeCorrected) -> list[Payee]:
    """Every payee the merchant names, the first one first."""
    return [data.payee() for data in (event.payee, *event.other_payees)]


def _sealed(before: list[dict[str, Any]], named: list[Payee]) -> dict[str, Any]:
    """All payees ever sent, and how many of the last are those that count."""
    return {"payees": [*before, *(payee.model_dump(mode="json") for payee in named)], "named": len(named)}


def correct_payee(tx: Tx, event: RefundPayeeCorrected, message: InboxMessage) -> None:
    """The merchant sends another payee: taken while no payment is on its way."""
    case = own_open_case(tx, event.case_id, event.account_id, CaseKind.REFUND, "REF-3")
    if money_is_out(tx, case):
        raise Refused("款项正在打款途中,暂不能更正收款账户,请等待银行回执", "REF-3")
    named = _named(event)
    sealed = _sealed(opened_json(case, "request_sealed")["payees"], named)
    case.request_sealed = seal_json(sealed, place_in(case, "request_sealed"))
    case.request = {**case.request, "payee": payouts.masked(named)}
    tx.add(case)
    audit.record(
        tx,
        case.id,
        "refund.payee_corrected",
        actor=f"merchant/{event.account_id}",
        clause="REF-3",
        public=True,
        text=f"商家更正收款账户为 {payouts.masked(named)}",
    )
    for wait in (*cases.open_waits(tx, case.id, PAYEE), *cases.open_waits(tx, case.id, QUESTION)):
        cases.close_wait(tx, wait, WaitState.ANSWERED, {"text": f"更正为 {payouts.masked(named)}"})
        deadlines.stop(tx, case.id, wait.key)
    outbox.wake(tx, case)


def withdraw_request(tx: Tx, event: RefundWithdrawn, message: InboxMessage) -> None:
    """The merchant takes the application back, until the money has been handed to the bank."""
    case = own_open_case(tx, event.case_id, event.account_id, CaseKind.REFUND, "REF-6")
    if money_is_out(tx, case):
        raise Refused("款项正在打款途中,不能撤回", "REF-6")
    take_back(tx, case, event.account_id, message.received_at, QUESTION, PAYEE)


def may_send(tx: Tx, case: Case) -> Iterable[str]:
    if case.concluded_at is None and case.withdrawn_at is None and not money_is_out(tx, case):
        yield "refund.payee_corrected"  # REF-3
        yield "refund.withdrawn"  # REF-6
