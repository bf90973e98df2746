"""Events about closing a shop, wished or by force."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from models.closures import ClosureReason
from models.event_parts import DOCUMENT_EXAMPLE, Documents
from models.money import Fen
from models.shop_events import SHOP_CASE_EXAMPLE
from models.text import has_text
from models.wire import Event, Id, Line, Moment, Outgoing, Prose, ShortLine, inbound, outbound


@inbound
class ClosureRequested(Event):
    """申请关店(CLS-2、CLS-3、CLS-4)

    Asked for by ``account_id``, who has to be the shop's owner. ``OTHER`` needs words of its own.
    """

    type: ClassVar[str] = "closure.requested"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "account_id": "acct-1001",
        "reason": "STRATEGY_CHANGE",
        "reason_text": "转做线下门店",
    }

    shop_id: Id
    account_id: Id
    reason: ClosureReason
    reason_text: Prose = ""

    @model_validator(mode="after")
    def _other_has_words(self) -> Self:
        if self.reason is ClosureReason.OTHER and not has_text(self.reason_text):
            raise ValueError("a reason_text when the reason is OTHER (CLS-2)")
        return self


@inbound
class ClosureWithdrawn(Event):
    """撤回关店申请(CLS-6)

    Possible until the shop is closed.
    """

    type: ClassVar[str] = "closure.withdrawn"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "account_id": "acct-1001",
        "case_id": "CLS-261122-7K3QM9",
    }

    shop_id: Id
    account_id: Id
    case_id: Id


@inbound
class MerchantAnswered(Event):
    """商家补充材料(CLS-5、REF-2)

    The merchant's answer to what a case asked; what counts is when it reached the door.
    """

    type: ClassVar[str] = "merchant.answered"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "account_id": "acct-1001",
        "case_id": "CLS-261122-7K3QM9",
        "text": "剩余 3 笔订单已全部发货。",
        "documents": [DOCUMENT_EXAMPLE],
    }

    shop_id: Id
    account_id: Id
    case_id: Id
    text: Prose = ""
    documents: Documents = ()

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.text and not self.documents:
            raise ValueError("text or documents, or both")
        return self


@inbound
class ForcedClosureProposed(Event):
    """提议强制关店(CLS-10、DED-6)

    A violation for which the platform proposes to close the shop; two people decide, who can open the documents.
    """

    type: ClassVar[str] = "forced_closure.proposed"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1002",
        "proposal_id": "prop-5001",
        "violation": "售卖假冒商品",
        "clause": "DED-7",
        "description": "抽检 3 批次均为假冒商品,鉴定报告见附件。",
        "proposed_by": "risk-17",
        "documents": [{"name": "鉴定报告.pdf", "kind": "OTHER", "sha256": "ab" * 32}],
    }

    shop_id: Id
    proposal_id: Id
    violation: ShortLine
    clause: Line
    description: Prose
    proposed_by: Id
    documents: Documents = ()


@outbound
class ShopClearing(Outgoing):
    """店铺进入清算(CLS-9)

    The closure is approved; ``shop.snapshot`` events as of ``since`` or later are expected until everything is settled.
    """

    type: ClassVar[str] = "shop.clearing"
    EXAMPLE: ClassVar[dict[str, Any]] = SHOP_CASE_EXAMPLE | {"since": "2026-11-22T02:00:00Z"}

    shop_id: Id
    case_id: Id
    since: Moment


@outbound
class ShopClosed(Outgoing):
    """店铺已关店(CLS-6、REO-1)

    ``closed_at`` starts the refund's seven working days and the six months until the shop may open again.
    """

    type: ClassVar[str] = "shop.closed"
    EXAMPLE: ClassVar[dict[str, Any]] = SHOP_CASE_EXAMPLE | {
        "closed_at": "2026-11-22T02:00:00Z",
        "reopen_from": "2027-05-22T02:00:00Z",
    }

    shop_id: Id
    case_id: Id
    closed_at: Moment
    reopen_from: Moment


@outbound
class ShopForcedClosed(Outgoing):
    """店铺已强制关店(CLS-10、DED-6、DED-7)

    Final: no reopening, the deposit is forfeited, and receivables are frozen from this moment: nothing of them is to be
    paid out before ``receivables.decided`` says so. ``on_the_way_fen`` was with the bank already; what comes back of
    it is forfeited too.
    """

    type: ClassVar[str] = "shop.forced_closed"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1002",
        "case_id": "FCL-261122-7K3QM9",
        "closed_at": "2026-11-22T02:00:00Z",
        "clause": "CLS-10",
        "forfeited_fen": 400000,
        "frozen_fen": 500000,
        "on_the_way_fen": 0,
    }

    shop_id: Id
    case_id: Id
    closed_at: Moment
    clause: str
    forfeited_fen: Fen
    frozen_fen: Fen = 0
    on_the_way_fen: Fen = 0


@outbound
class ReceivablesHeld(Outgoing):
    """封店货款冻结(CLS-10、DED-7)

    Receivables of a shop closed by force are frozen: those it had, and each that arrives later. ``held_fen`` is all that
    is held now.
    """

    type: ClassVar[str] = "receivables.held"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1002",
        "case_id": "HLD-261122-7K3QM9",
        "amount_fen": 500000,
        "held_fen": 500000,
        "at": "2026-11-22T02:00:00Z",
        "clause": "DED-7",
    }

    shop_id: Id
    case_id: Id
    amount_fen: Fen
    held_fen: Fen
    at: Moment
    clause: str


@outbound
class ReceivablesDecided(Outgoing):
    """封店货款处理结果(CLS-10、DED-7)

    Two people have decided about what was held: released (``released_fen`` may be paid out, what the shop owed was taken
    first) or forfeited.
    """

    type: ClassVar[str] = "receivables.decided"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1002",
        "case_id": "HLD-261122-7K3QM9",
        "amount_fen": 500000,
        "released_fen": 400000,
        "set_off_fen": 100000,
        "forfeited_fen": 0,
        "at": "2026-12-22T02:00:00Z",
        "clause": "DED-7",
    }

    shop_id: Id
    case_id: Id
    amount_fen: Fen
    released_fen: Fen
    set_off_fen: Fen
    forfeited_fen: Fen
    at: Moment
    clause: str


@outbound
class ExitInvoiceOpened(Outgoing):
    """退店开票义务(CLS-8、INV-9)

    The shop has to invoice what it has not yet invoiced of this calendar year, until ``due_at``.
    """

    type: ClassVar[str] = "exit_invoice.opened"
    EXAMPLE: ClassVar[dict[str, Any]] = SHOP_CASE_EXAMPLE | {
        "year": 2026,
        "due_at": "2026-11-27T15:59:59Z",
        "clause": "CLS-8",
    }

    shop_id: Id
    case_id: Id
    year: Annotated[int, Field(strict=True, ge=2000, le=2099)]
    due_at: Moment
    clause: str
