"""Events of settlement: confirmed orders and after-sales, who settles and where to, and what each shop was paid."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from models.base import Frozen
from models.event_parts import MOST_ITEMS, PAYEE_EXAMPLE, PayeeData, Rejected
from models.money import MAX_FEN, Fen, PositiveFen
from models.payout_events import TO_BANK, Instruction, InstructionUpdated
from models.settlement import HoldReason, Settler
from models.wire import Count, Event, Id, LineOf, Moment, Outgoing, inbound, outbound

SignedFen = Annotated[int, Field(ge=-MAX_FEN, le=MAX_FEN, strict=True, description="amount in fen, may be negative")]


class OrderData(Frozen):
    """A confirmed order: what the shop gets for it and what is taken off. Amounts in whole fen."""

    order_id: Id
    shop_id: Id
    goods_fen: Fen
    subsidy_fen: Fen = 0
    refund_fen: Fen = 0
    commission_fen: Fen = 0
    fee_fen: Fen = 0
    confirmed_at: Moment

    @model_validator(mode="after")
    def _no_more_back_than_paid(self) -> Self:
        if self.refund_fen > self.goods_fen:
            raise ValueError("refund_fen: at most goods_fen")
        return self

    @property
    def net_fen(self) -> int:
        return self.goods_fen + self.subsidy_fen - self.refund_fen - self.commission_fen - self.fee_fen


class AftersaleData(Frozen):
    """An after-sale as it stands: open, or ended with what it takes from the shop and what is given back of fees."""

    aftersale_id: Id
    order_id: Id
    shop_id: Id
    opened_at: Moment
    ended_at: Moment | None = None
    refund_fen: Fen = 0
    subsidy_back_fen: Fen = 0
    commission_back_fen: Fen = 0
    fee_back_fen: Fen = 0

    @model_validator(mode="after")
    def _money_at_the_end_only(self) -> Self:
        if self.ended_at is not None and self.ended_at < self.opened_at:
            raise ValueError("ended_at: not before opened_at")
        if self.ended_at is None and any(
            (self.refund_fen, self.subsidy_back_fen, self.commission_back_fen, self.fee_back_fen)
        ):
            raise ValueError("refund_fen: no amounts before ended_at")
        return self

    @property
    def net_fen(self) -> int:
        return self.commission_back_fen + self.fee_back_fen - self.refund_fen - self.subsidy_back_fen


@inbound
class OrdersConfirmed(Event):
    """确认收货的订单批次(STL-1 至 STL-3)

    Up to 1,000 orders of shops we settle, each once ever under its ``order_id``. ``goods_fen`` is what the buyer paid for
    goods and freight, ``refund_fen`` what went back before the order was confirmed. By ``confirmed_at`` an order belongs
    to the 1st to 15th or the 16th to the last of a month, in Asia/Shanghai. Good ones are kept, bad ones come back in
    ``orders.received`` with position, field and reason.
    """

    type: ClassVar[str] = "orders.confirmed"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "batch_id": "orders-2026-11-20-001",
        "orders": [
            {
                "order_id": "order-90001",
                "shop_id": "shop-1001",
                "goods_fen": 12_900,
                "subsidy_fen": 1_000,
                "refund_fen": 0,
                "commission_fen": 1_290,
                "fee_fen": 77,
                "confirmed_at": "2026-11-20T16:00:00+08:00",
            },
        ],
    }

    batch_id: Id
    orders: Annotated[tuple[Annotated[Any, LineOf(OrderData)], ...], Field(min_length=1, max_length=MOST_ITEMS)]


@inbound
class OrdersAftersale(Event):
    """订单售后批次(STL-2、STL-4)

    Up to 1,000 after-sales as they stand now; whatever the order in which their states come, an ended one stays ended.
    While one is open its order is settled in no half; after it has ended, in the first whose cut-off (00:00:00 of the 1st
    or 16th) lies after the end. What it takes from an order that was settled before is taken off in that half, too.
    """

    type: ClassVar[str] = "orders.aftersale"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "batch_id": "aftersales-2026-11-21-001",
        "aftersales": [
            {
                "aftersale_id": "as-700",
                "order_id": "order-90001",
                "shop_id": "shop-1001",
                "opened_at": "2026-11-21T09:00:00+08:00",
                "ended_at": "2026-11-22T18:30:00+08:00",
                "refund_fen": 12_900,
                "subsidy_back_fen": 1_000,
                "commission_back_fen": 1_290,
                "fee_back_fen": 77,
            },
        ],
    }

    batch_id: Id
    aftersales: Annotated[tuple[Annotated[Any, LineOf(AftersaleData)], ...], Field(min_length=1, max_length=MOST_ITEMS)]


@inbound
class SettlementAssigned(Event):
    """店铺结算归属(STL-1)

    Who settles the shop's orders confirmed from ``since`` on: ``OFFICE`` (we) or ``PLATFORM``. Those confirmed before
    stay with whoever settled the shop then, until they are paid: nothing is lost and nothing is paid by both.
    """

    type: ClassVar[str] = "settlement.assigned"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "settler": "OFFICE",
        "since": "2026-11-16T00:00:00+08:00",
    }

    shop_id: Id
    settler: Settler
    since: Moment


@inbound
class SettlementAccountSet(Event):
    """货款收款账户(STL-1、REF-5)

    Where the shop's receivables are paid, verified by the platform. It replaces the one before; a new one rests for the
    hours of the policy before money goes there, and one in another name than the shop's is not paid.
    """

    type: ClassVar[str] = "settlement.account_set"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "payee": PAYEE_EXAMPLE,
        "as_of": "2026-11-16T10:00:00+08:00",
    }

    shop_id: Id
    payee: PayeeData = Field(repr=False)
    as_of: Moment


class Receipt(Outgoing):
    """What became of a batch. ``repeated`` were there before with the same content and changed nothing."""

    batch_id: Id
    accepted: Count
    repeated: Count
    rejected: tuple[Rejected, ...]


@outbound
class OrdersReceived(Receipt):
    """订单批次回执(STL-1)

    What became of a batch of orders. ``repeated`` were there before with the same content and changed nothing.
    """

    type: ClassVar[str] = "orders.received"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "batch_id": "orders-2026-11-20-001",
        "accepted": 998,
        "repeated": 1,
        "rejected": [{"position": 7, "item_id": "order-9", "field": "goods_fen", "reason": "金额须为整数分"}],
    }


@outbound
class AftersalesReceived(Receipt):
    """售后批次回执(STL-4)

    What became of a batch of after-sales.
    """

    type: ClassVar[str] = "orders.aftersale.received"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "batch_id": "aftersales-2026-11-21-001",
        "accepted": 1,
        "repeated": 0,
        "rejected": [],
    }


@outbound
class SettlementIssued(Outgoing):
    """货款结算单(STL-1 至 STL-6)

    A shop's half: what is due for its orders and after-sales, what was taken from it, what goes to the bank, and what
    stays with which reason. ``brought_fen + due_fen + carried_in_fen`` is the sum of all that follows it.
    """

    type: ClassVar[str] = "settlement.issued"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "number": "JS202611-2-000001",
        "half": "2026-11-2",
        "orders": 40,
        "waiting_orders": 1,
        "due_fen": 500_000,
        "brought_fen": 0,
        "carried_in_fen": 0,
        "set_off_fen": 20_000,
        "kept_fen": 2_700,
        "paid_fen": 477_300,
        "left_fen": 0,
        "carried_fen": 0,
        "owed_fen": 0,
        "hold": "",
        "at": "2026-12-01T02:00:00Z",
    }

    shop_id: Id
    number: str
    half: str
    orders: Count
    waiting_orders: Count
    due_fen: SignedFen
    brought_fen: Fen
    carried_in_fen: SignedFen
    set_off_fen: Fen
    kept_fen: Fen
    paid_fen: Fen
    left_fen: Fen
    carried_fen: SignedFen
    owed_fen: SignedFen
    hold: HoldReason
    at: Moment


class PayItem(Frozen):
    """One order to pay. The same ``request_no`` is the same payment, however often it is delivered."""

    request_no: Id
    shop_id: Id
    amount_fen: PositiveFen
    payee: PayeeData


@outbound
class ReceivableFreed(Outgoing):
    """解冻货款待平台支付(STL-1、INV-12)

    The shop has moved to the platform's settlement, and receivables that no half of ours pays have become free: frozen by
    us before, or not paid yet. The platform pays them with ``receivable.paid_out``: ``open_fen`` of ``amount_fen``, which is
    all of them since the shop moved, beside what it settles itself.
    """

    type: ClassVar[str] = "receivable.freed"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "since": "2026-12-01T16:00:00Z",
        "amount_fen": 2_700,
        "open_fen": 2_700,
        "at": "2027-01-05T02:00:00Z",
    }

    shop_id: Id
    since: Moment
    amount_fen: PositiveFen
    open_fen: PositiveFen
    at: Moment


@outbound
class SettlementPayoutsRequested(Outgoing):
    """货款批量付款指令(STL-1)

    To the bank only: a batch of payments, numbered by what is in it, with its count and sum. The bank answers each
    payment by its own number with ``payout.settled``, ``payout.failed`` or ``payout.returned``.
    """

    type: ClassVar[str] = "settlement.payouts.requested"
    subscriber: ClassVar[str] = TO_BANK
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "case_id": "STL-261201-4HN8TD",
        "batch_no": "STL-261201-4HN8TD-B1-1",
        "count": 1,
        "total_fen": 477_300,
        "payments": [
            {
                "request_no": "STL-261201-4HN8TD-P1",
                "shop_id": "shop-1001",
                "amount_fen": 477_300,
                "payee": PAYEE_EXAMPLE,
            }
        ],
    }

    case_id: Id
    batch_no: Id
    count: Count
    total_fen: PositiveFen
    payments: tuple[PayItem, ...]


@outbound
class SettlementPayoutRequested(Instruction):
    """货款付款指令(STL-1)

    To the bank only: one shop is paid by itself, after a return or when a hold ended.
    """

    type: ClassVar[str] = "settlement.payout.requested"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "case_id": "STR-261203-7K3QM9",
        "request_no": "STR-261203-7K3QM9-P1",
        "amount_fen": 477_300,
        "payee": PAYEE_EXAMPLE,
    }


@outbound
class SettlementPayoutUpdated(InstructionUpdated):
    """货款付款进度(STL-1)

    Where the payment of a shop's receivables stands. The payee is masked.
    """

    type: ClassVar[str] = "settlement.payout.updated"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "case_id": "STL-261201-4HN8TD",
        "request_no": "STL-261201-4HN8TD-P1",
        "amount_fen": 477_300,
        "payee": "对公账户 尾号 3456",
        "state": "SETTLED",
        "reason": "",
        "at": "2026-12-01T07:00:00Z",
    }
