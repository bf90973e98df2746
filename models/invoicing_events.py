"""Events of invoicing: what was settled to shops, what merchants invoice, what is frozen and released again."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from models.base import Frozen
from models.event_parts import MOST_ITEMS, Documents, Rejected
from models.invoicing import BillableCategory, InvoiceContent, InvoiceKind, IssueMode
from models.money import MAX_FEN, Fen, PositiveFen
from models.wire import (
    Count,
    Day,
    Event,
    Id,
    Line,
    LineOf,
    Moment,
    OptionalLine,
    Outgoing,
    Prose,
    ShortLine,
    TaxNumber,
    inbound,
    outbound,
)

SignedFen = Annotated[
    int,
    Field(ge=-MAX_FEN, le=MAX_FEN, strict=True, description="amount in fen, may be negative, never 0"),
    AfterValidator(lambda fen: fen or _zero()),
]


def _zero() -> int:
    raise ValueError("an amount other than 0")


LineFen = Annotated[
    int, Field(ge=-MAX_FEN, le=MAX_FEN, strict=True, description="amount in fen, negative on a discount line")
]
ItemId = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
InvoiceNumber = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9A-Za-z]{1,20}$")]
"""Only its shape as text: whether it can be an invoice's number is for the checks to say."""
Rate = Annotated[str, StringConstraints(strict=True, pattern=r"^(0|[1-9][0-9]?)(\.[0-9]{1,2})?$")]
"""Per cent: ``6``, ``13``, ``1.5``."""
Quantity = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{1,12}(\.[0-9]{1,8})?$")]
Base64 = Annotated[str, StringConstraints(strict=True, max_length=600_000, pattern=r"^[A-Za-z0-9+/=\r\n]*$")]


class BillableData(Frozen):
    """One platform subsidy settled to a shop (INV-5). A correction is a new item of its own with a sign."""

    item_id: ItemId
    shop_id: Id
    category: BillableCategory
    amount_fen: SignedFen
    settled_at: Moment
    description: OptionalLine = ""
    corrects: ItemId | None = None

    @model_validator(mode="after")
    def _ours_and_not_itself(self) -> Self:
        if self.category is BillableCategory.CARRIED:
            raise ValueError("a category other than CARRIED: carrying over is done here")
        if self.corrects == self.item_id:
            raise ValueError("corrects: the id of another item")
        return self


@inbound
class BillablesRecorded(Event):
    """开票明细批次(INV-5)

    Platform subsidies settled to shops, up to 1,000 at a time. Each item is judged by itself: good ones are kept,
    bad ones come back in ``billables.received`` with position, field and reason. An item that comes after its month
    was closed is billed with the next month that is open.
    """

    type: ClassVar[str] = "billables.recorded"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "batch_id": "batch-2026-10-001",
        "items": [
            {
                "item_id": "sub-90001",
                "shop_id": "shop-1001",
                "category": "COUPON",
                "amount_fen": 9000,
                "settled_at": "2026-10-08T16:00:00+08:00",
                "description": "国庆平台券",
            },
        ],
    }

    batch_id: Id
    items: Annotated[tuple[Annotated[Any, LineOf(BillableData)], ...], Field(min_length=1, max_length=MOST_ITEMS)]


class InvoiceLineData(Frozen):
    """One line of an invoice. A goods line is accepted with quantity 0 only (INV-6)."""

    name: Line
    content: InvoiceContent
    quantity: Quantity | None = None
    net_fen: LineFen
    tax_fen: LineFen
    rate: Rate


class CoveredData(Frozen):
    """How much of the invoice covers which statement."""

    statement: Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9._:/-]{1,150}$")]
    amount_fen: PositiveFen


@inbound
class InvoiceSubmitted(Event):
    """商家提交发票(INV-1 至 INV-6)

    The invoice's fields, and its 数电票 XML (base64) or PDF as evidence. A document is staged first (``POST /evidence``)
    and named by its ``sha256``; one that is not there, or has an address only, counts as not received. ``covers`` says
    which statements the invoice is for; without it the oldest open ones are taken. A clean invoice is accepted at once,
    anything else goes to a person.
    """

    type: ClassVar[str] = "invoice.submitted"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "account_id": "acct-1001",
        "number": "26330000000012345678",
        "kind": "SPECIAL",
        "issued_on": "2026-11-10",
        "issue_mode": "SELF",
        "buyer_name": "店务演示平台",
        "buyer_tax_no": "91110000600037341L",
        "seller_name": "宁波晨光文具有限公司",
        "seller_tax_no": "91330226MA2AB1C2D8",
        "net_fen": 8491,
        "tax_fen": 509,
        "gross_fen": 9000,
        "lines": [{"name": "*现代服务*推广费", "content": "SERVICE", "net_fen": 8491, "tax_fen": 509, "rate": "6"}],
        "covers": [{"statement": "ZD202610-000001", "amount_fen": 9000}],
    }

    shop_id: Id
    account_id: Id
    number: InvoiceNumber
    invoice_code: Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{0,12}$")] = ""
    kind: InvoiceKind
    issued_on: Day
    issue_mode: IssueMode = IssueMode.SELF
    buyer_name: Line
    buyer_tax_no: TaxNumber
    seller_name: Line
    seller_tax_no: TaxNumber
    net_fen: Fen
    tax_fen: Fen
    gross_fen: PositiveFen
    lines: Annotated[tuple[InvoiceLineData, ...], Field(min_length=1, max_length=200)]
    covers: Annotated[tuple[CoveredData, ...], Field(max_length=60)] = ()
    difficulty: Prose = ""
    """Why no special invoice can be had (INV-4)."""
    xml: Base64 | None = Field(default=None, repr=False)
    documents: Documents = ()

    @model_validator(mode="after")
    def _each_statement_once(self) -> Self:
        named = [covered.statement for covered in self.covers]
        if len(set(named)) != len(named):
            raise ValueError("covers: each statement only once")
        return self


@inbound
class InvoiceRedLetter(Event):
    """红字发票(INV-7、INV-12)

    Undoes what an invoice covered, wholly or by ``amount_fen``: its statements are open again with their original
    due times.
    """

    type: ClassVar[str] = "invoice.red_letter"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "account_id": "acct-1001",
        "number": "26330000000099999999",
        "original_number": "26330000000012345678",
        "amount_fen": 9000,
        "issued_on": "2026-11-20",
        "reason": "开票有误",
    }

    shop_id: Id
    account_id: Id
    number: InvoiceNumber
    invoice_code: Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{0,12}$")] = ""
    original_number: InvoiceNumber
    original_code: Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{0,12}$")] = ""
    amount_fen: PositiveFen
    issued_on: Day
    reason: OptionalLine = ""


@inbound
class ReceivableSettled(Event):
    """货款入账(STL-1、STL-6)

    Sales settled to a shop: its receivable grows, and first serves what is still to be frozen or set off.
    """

    type: ClassVar[str] = "receivable.settled"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "settlement_id": "stl-2026-11-01-1001",
        "amount_fen": 500000,
        "settled_at": "2026-11-01T04:00:00+08:00",
    }

    shop_id: Id
    settlement_id: Id
    amount_fen: PositiveFen
    settled_at: Moment


@inbound
class ReceivablePaidOut(Event):
    """货款打款(STL-6)

    Receivables paid out to the merchant. What is frozen cannot be paid out: a payment over the rest is refused.
    """

    type: ClassVar[str] = "receivable.paid_out"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "payment_id": "out-2026-11-01-1001",
        "amount_fen": 300000,
        "paid_at": "2026-11-01T05:00:00+08:00",
    }

    shop_id: Id
    payment_id: Id
    amount_fen: PositiveFen
    paid_at: Moment


@outbound
class BillablesReceived(Outgoing):
    """开票明细批次回执(INV-5)

    What became of a batch. ``repeated`` were there before with the same content and changed nothing.
    """

    type: ClassVar[str] = "billables.received"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "batch_id": "batch-2026-10-001",
        "accepted": 998,
        "repeated": 1,
        "rejected": [{"position": 7, "item_id": "sub-9", "field": "amount_fen", "reason": "金额须为整数分"}],
    }

    batch_id: Id
    accepted: Count
    repeated: Count
    rejected: tuple[Rejected, ...]


class AboutStatement(Outgoing):
    """What every event about a statement says. ``period`` is a month, or ``exit/<case>`` for an exit statement."""

    shop_id: Id
    statement: str
    period: str
    at: Moment


_STATEMENT = {"shop_id": "shop-1001", "statement": "ZD202610-000001", "period": "2026-10", "at": "2026-11-01T02:00:00Z"}


@outbound
class StatementIssued(AboutStatement):
    """账单已出具(INV-1)

    What the shop has to invoice, until when.
    """

    type: ClassVar[str] = "statement.issued"
    EXAMPLE: ClassVar[dict[str, Any]] = _STATEMENT | {"amount_fen": 9000, "due_at": "2026-12-01T02:00:00Z"}

    amount_fen: PositiveFen
    due_at: Moment


class StatementMoney(AboutStatement):
    """Money moved because of a statement; ``held_fen`` is what is frozen or set off for it afterwards."""

    amount_fen: Fen
    uninvoiced_fen: Fen
    share_fen: Fen
    held_fen: Fen
    clause: str


_MONEY = _STATEMENT | {"amount_fen": 2700, "uninvoiced_fen": 9000, "share_fen": 2700, "held_fen": 2700}


@outbound
class StatementFrozen(StatementMoney):
    """未开票冻结货款(INV-7)

    The share of the uninvoiced amount that is frozen from the shop's receivables.
    """

    type: ClassVar[str] = "statement.frozen"
    EXAMPLE: ClassVar[dict[str, Any]] = _MONEY | {"clause": "INV-7"}


@outbound
class StatementReleased(StatementMoney):
    """解冻货款(INV-12)

    An accepted invoice covers what was frozen for.
    """

    type: ClassVar[str] = "statement.released"
    EXAMPLE: ClassVar[dict[str, Any]] = _MONEY | {
        "clause": "INV-12",
        "uninvoiced_fen": 0,
        "share_fen": 0,
        "held_fen": 0,
    }


@outbound
class StatementDeducted(StatementMoney):
    """未开票自动扣款(INV-10)

    With automatic deduction switched on, the share is set off instead of frozen.
    """

    type: ClassVar[str] = "statement.deducted"
    EXAMPLE: ClassVar[dict[str, Any]] = _MONEY | {"clause": "INV-10"}


class AboutInvoice(Outgoing):
    """What every event about an invoice says."""

    shop_id: Id
    number: str
    invoice_code: str = ""
    amount_fen: Fen
    at: Moment


_INVOICE = {"shop_id": "shop-1001", "number": "26330000000012345678", "amount_fen": 9000, "at": "2026-11-10T02:00:00Z"}


@outbound
class InvoiceAccepted(AboutInvoice):
    """发票已采纳(INV-2 至 INV-6)

    ``by`` says whether by rule or by a person.
    """

    type: ClassVar[str] = "invoice.accepted"
    EXAMPLE: ClassVar[dict[str, Any]] = _INVOICE | {"by": "rules", "statements": ["ZD202610-000001"]}

    by: ShortLine
    statements: tuple[str, ...]


@outbound
class InvoiceReturned(AboutInvoice):
    """发票已退回(INV-2 至 INV-6)

    Not accepted; ``reasons`` say what to correct.
    """

    type: ClassVar[str] = "invoice.returned"
    EXAMPLE: ClassVar[dict[str, Any]] = _INVOICE | {"reasons": ["购买方税号与平台不一致,请重新开具。"]}

    reasons: tuple[str, ...]


@outbound
class InvoiceReversed(AboutInvoice):
    """发票已红冲(INV-7)

    What the red letter undid has to be invoiced again.
    """

    type: ClassVar[str] = "invoice.reversed"
    EXAMPLE: ClassVar[dict[str, Any]] = _INVOICE | {"red_number": "26330000000099999999"}

    red_number: str
    red_code: str = ""
