"""Events: what the platform and the bank tell us and what we tell them, with limits and an example each.

An event travels as ``{"type": …, "timestamp": …, "data": {…}}``: ``data`` is one of the models below,
``timestamp`` an ISO 8601 time with its zone. Amounts are whole fen, times are aware and come out in UTC, text
is stripped and holds no control characters. A model's docstring begins with its Chinese title and its clause;
``EXAMPLE`` is a ``data`` that validates. The catalogue (``docs/events.md``) is generated from both.

A process that comes later writes its events in a sibling module: it decorates them with :func:`inbound` or
:func:`outbound`, and the modules that act on them import it. Nothing else has to know.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from models import accounts
from models.base import Frozen, Labelled
from models.cases import CaseKind
from models.closures import ClosureReason
from models.deposits import DeductionReason, RefundDocument
from models.money import Fen, PositiveFen
from models.payouts import Payee, PayeeMethod, PayoutState
from models.shops import Capability, EntityType, Penalty, ShopFacts
from models.text import has_text, odd, visible

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:?\d{2})")


def _iso(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _ISO.fullmatch(value):
        raise ValueError("an ISO 8601 time with its zone, such as 2026-11-22T10:00:00+08:00")
    return value


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time with its zone, such as 2026-11-22T10:00:00+08:00")
    try:
        value = value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time between the years 2000 and 2100") from error
    if not EARLIEST <= value < LATEST:
        raise ValueError("a time between the years 2000 and 2100")
    return value


def _readable(value: str, allowed: str = "") -> str:
    if found := odd(value, allowed):
        raise ValueError(f"text without control characters (found {found})")
    return value


def _line(value: str) -> str:
    return _readable(value)


def _shown(value: str) -> str:
    if not visible(value):
        raise ValueError("text that shows something")
    return value


def _or_nothing(value: str) -> str:
    """Blanks and characters that show nothing are no text, and read as none."""
    return value if visible(value) else ""


def _prose(value: str) -> str:
    return _readable(value.replace("\r\n", "\n"), allowed="\n")


def _few(value: str) -> str:
    if len(re.findall(r"@|%40", value)) > MOST_ADDRESSES + 1:  # one may be the account that sends
        raise ValueError(f"a contact with at most {MOST_ADDRESSES} mail addresses")
    return value


MOST_ADDRESSES = 5
"""Mail addresses that one contact may name."""


def _distinct(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(value)) != len(value):
        raise ValueError("each entry only once")
    return value


Moment = Annotated[
    datetime,
    BeforeValidator(_iso, json_schema_input_type=datetime),
    AfterValidator(_aware),
    Field(description="ISO 8601 with zone, years 2000 to 2099"),
]
"""An aware time; comes out in UTC. A naive one, a number of seconds or a bare date is refused."""

Id = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
MessageId = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9._:/-]{1,200}$")]
Line = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_line),
    AfterValidator(_shown),
    Field(description="one line of text, no control characters"),
]
ShortLine = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=64),
    AfterValidator(_line),
    AfterValidator(_shown),
    Field(description="one short line of text, no control characters"),
]
OptionalLine = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, max_length=200),
    AfterValidator(_line),
    Field(description="one line of text or empty, no control characters"),
]
Prose = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, max_length=4000),
    AfterValidator(_prose),
    AfterValidator(_or_nothing),
    Field(description="text, new lines allowed, no other control characters"),
]
Sha256 = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9a-f]{64}$")]
TaxNumber = Annotated[str, StringConstraints(strict=True, pattern=r"^([0-9A-Z]{15,20})?$")]
"""Letters and digits only: a wrong check digit is for a reviewer to see, not for the door to refuse."""
WebAddress = Annotated[
    str,
    StringConstraints(strict=True, max_length=2000, pattern=r"^https://[^\s<>\"]+$"),
    AfterValidator(_line),
]
Contact = Annotated[
    str,
    StringConstraints(
        strict=True,
        max_length=500,
        pattern=r"^([a-z][a-z0-9+.-]{1,31}://[^\s<>\"]+|(mailto:)?[^\s@:/?#&,<>\"]+@[^\s@:/?#&,<>\"]+\.[^\s@:/?#&,<>\".]+)$",
    ),
    AfterValidator(_line),
    AfterValidator(_few),
    Field(description="a mail address, or an Apprise address"),
]
AccountNumber = Annotated[
    str,
    BeforeValidator(accounts.bare, json_schema_input_type=str),
    StringConstraints(strict=True, pattern=r"^[0-9A-Za-z@._+-]{4,64}$"),
    Field(
        description="blanks and full-width signs are taken away; never logged, encrypted at rest, masked wherever shown"
    ),
]
PayerAccount = Annotated[
    str,
    BeforeValidator(accounts.bare, json_schema_input_type=str),
    StringConstraints(strict=True, max_length=64),
    AfterValidator(_line),
    Field(
        description="as the channel reports it; a masked one counts as not recorded. Never logged, encrypted at rest"
    ),
]
Count = Annotated[int, Field(strict=True, ge=0, le=10_000_000)]
Flag = Annotated[bool, Field(strict=True)]
Contacts = Annotated[tuple[Contact, ...], Field(max_length=5), AfterValidator(_distinct)]
Categories = Annotated[tuple[ShortLine, ...], Field(min_length=1, max_length=20), AfterValidator(_distinct)]


class Event(Frozen):
    """What every event's ``data`` has in common. ``type`` is its name on the wire."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    type: ClassVar[str]
    EXAMPLE: ClassVar[dict[str, Any]]

    sender: ClassVar[Literal["platform", "bank"]] = "platform"
    """Whose secret signs it when it comes in."""

    @classmethod
    def title(cls) -> str:
        """The Chinese title with its clause: the first line of the docstring."""
        return (cls.__doc__ or "").strip().splitlines()[0].rstrip("。.")

    def envelope(self, at: datetime) -> dict[str, Any]:
        """The whole message as JSON values, ready to be signed and sent."""
        data = self.model_dump(mode="json")
        return {"type": self.type, "timestamp": at.astimezone(UTC).isoformat(), "data": data}


class Outgoing(Event):
    """An event of ours. ``subscriber`` is the only one who gets it: the platform, or the bank."""

    subscriber: ClassVar[str] = "platform"


class Envelope(Frozen):
    """What surrounds ``data``; ``data`` itself is judged by the model of its type."""

    type: Annotated[str, StringConstraints(strict=True, max_length=100)]
    timestamp: Moment
    data: dict[str, Any]


INBOUND: dict[str, type[Event]] = {}
"""Type → model of what may be sent to ``POST /webhooks/platform``."""
OUTBOUND: dict[str, type[Outgoing]] = {}
"""Type → model of what we send to subscribers."""

E = TypeVar("E", bound=type[Event])
O = TypeVar("O", bound=type[Outgoing])  # noqa: E741


def inbound(model: E) -> E:
    """Add a model to :data:`INBOUND`; raises ``ValueError`` if its type is taken."""
    if INBOUND.setdefault(model.type, model) is not model:
        raise ValueError(f"two inbound events are called {model.type}")
    return model


def outbound(model: O) -> O:
    """Add a model to :data:`OUTBOUND`; raises ``ValueError`` if its type is taken."""
    if OUTBOUND.setdefault(model.type, model) is not model:
        raise ValueError(f"two outbound events are called {model.type}")
    return model


def read_inbound(message: dict[str, Any]) -> Event:
    """The event in a stored message. Raises ``KeyError`` for an unknown type, or ``ValidationError``."""
    return INBOUND[message["type"]].model_validate(message["data"])


class TaxpayerType(Labelled):
    """INV-2, INV-3."""

    GENERAL = "GENERAL", "一般纳税人"
    SMALL_SCALE = "SMALL_SCALE", "小规模纳税人"


class PaymentChannel(Labelled):
    """How a deposit was paid (DEP-8)."""

    ALIPAY = "ALIPAY", "支付宝"
    WECHAT = "WECHAT", "微信支付"
    BANK = "BANK", "银行转账"


class PaymentPurpose(Labelled):
    """What a payment is for: the deposit, what the shop owes beyond it (DED-9), or the certification fee (DEP-7)."""

    DEPOSIT = "DEPOSIT", "缴纳保证金"
    ARREARS = "ARREARS", "补缴欠款"
    CERTIFICATION_FEE = "CERTIFICATION_FEE", "缴纳认证审核费"


class DocumentKind(Labelled):
    """What a document is: a paper that a refund may need (``RefundDocument``), or another."""

    BUSINESS_LICENCE = "BUSINESS_LICENCE", "营业执照"
    ACCOUNT_PERMIT = "ACCOUNT_PERMIT", "对公账户开户证明"
    IDENTITY_CARD = "IDENTITY_CARD", "身份证明"
    ACCOUNT_PROOF = "ACCOUNT_PROOF", "收款账户证明"
    OTHER = "OTHER", "其他材料"

    @property
    def refund_document(self) -> RefundDocument | None:
        """The paper the refund rules know; ``None`` for anything else."""
        return None if self is DocumentKind.OTHER else RefundDocument[self.name]


class Document(Frozen):
    """One document, by the hash of its content, by its address, or both.

    What counts is the file: staged (``POST /evidence``) for the same shop with this very hash. Without it the
    document is "not received" until the file comes, whatever its address says (ambiguity 26).
    """

    name: Line
    kind: DocumentKind
    sha256: Sha256 | None = None
    url: WebAddress | None = None

    @model_validator(mode="after")
    def _can_be_found(self) -> Self:
        if self.sha256 is None and self.url is None:
            raise ValueError("sha256 or url, or both")
        return self


Documents = Annotated[tuple[Document, ...], Field(max_length=20)]


_AT_A_BANK = frozenset({PayeeMethod.CORPORATE_ACCOUNT, PayeeMethod.BANK_CARD})


class PayeeData(Frozen):
    """Who should get the money (REF-5, REF-6).

    A corporate account or bank card has digits, and perhaps the letters of a FTE, FTN, NRA or OSA account with them;
    the blanks and hyphens with which it is printed are taken away.
    """

    method: PayeeMethod
    name: Line
    account_no: AccountNumber
    bank_name: OptionalLine = ""

    @model_validator(mode="before")
    @classmethod
    def _as_a_bank_takes_it(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("method") in _AT_A_BANK:
            return given | {"account_no": accounts.bank_number(given.get("account_no"))}
        return given

    @model_validator(mode="after")
    def _number_fits_method(self) -> Self:
        if self.method in _AT_A_BANK and not accounts.is_bank_number(self.account_no):
            raise ValueError(
                f"an account_no of {accounts.LEAST} to {accounts.MOST} digits for this method (FTE, NRA, OSA … may be with it)"
            )
        return self

    def payee(self) -> Payee:
        """The value that reviews and payouts work with."""
        return Payee(method=self.method, name=self.name, account_no=self.account_no, bank_name=self.bank_name)

    def __repr__(self) -> str:
        return f"PayeeData({self.payee().masked})"

    __str__ = __repr__


OtherPayees = Annotated[tuple[PayeeData, ...], Field(max_length=9)]


class PenaltyData(Frozen):
    """A penalty as the platform reports it (REF-2, ambiguity 4)."""

    id: Id
    kind: ShortLine
    settled: Flag
    blocks_refund: Flag = False


class FactsData(Frozen):
    """The facts of :class:`models.shops.ShopFacts` with the door's limits. By default nothing is open."""

    arrears_fen: Fen = 0
    unsettled_payouts: Count = 0
    unsettled_payout_fen: Fen = 0
    open_orders: Count = 0
    open_aftersales: Count = 0
    open_arbitrations: Count = 0
    open_appeals: Count = 0
    freezes: Count = 0
    frozen_fen: Fen = 0
    unpaid_bills: Count = 0
    unpaid_bill_fen: Fen = 0
    uninvoiced_fen: Fen = 0
    penalties: Annotated[tuple[PenaltyData, ...], Field(max_length=200)] = ()

    def facts(self) -> ShopFacts:
        """The value that the gates read."""
        own = self.model_dump(exclude={"penalties"})
        return ShopFacts(**own, penalties=tuple(Penalty(**item.model_dump()) for item in self.penalties))


_PAYEE_EXAMPLE = {
    "method": "CORPORATE_ACCOUNT", "name": "宁波晨光文具有限公司", "account_no": "3301040160000123456",
    "bank_name": "中国银行宁波市分行",
}  # fmt: skip
_DOCUMENT_EXAMPLE = {"name": "营业执照.pdf", "kind": "BUSINESS_LICENCE", "sha256": "ab" * 32}


@inbound
class ShopRegistered(Event):
    """店铺登记(OPN-13)

    A shop that the back office looks after from now on. ``contacts`` are mail addresses (they go through our own
    mail server) or Apprise addresses for the merchant's messages, sealed at once. An enterprise names its licence (REF-5).
    It opens (``shop.opened``) when its deposit is fully paid, not before (DEP-10). ``official_account``: false has it
    pay the certification fee of a year as well, true waives it; left out, none is asked for (DEP-7).
    """

    type: ClassVar[str] = "shop.registered"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001", "name": "晨光文具", "entity_type": "ENTERPRISE",
        "owner_account_id": "acct-1001", "owner_name": "林晓",
        "licence_name": "宁波晨光文具有限公司", "uscc": "91330226MA2AB1C2D8",
        "taxpayer_type": "GENERAL", "categories": ["母婴", "服饰"],
        "contacts": ["owner@example.com"], "auto_deduct": False,
    }  # fmt: skip

    shop_id: Id
    name: Line
    entity_type: EntityType
    owner_account_id: Id
    owner_name: ShortLine
    licence_name: OptionalLine = ""
    uscc: TaxNumber = ""
    taxpayer_type: TaxpayerType | None = None
    categories: Categories
    contacts: Contacts = Field(default=(), repr=False)
    auto_deduct: Flag = False
    official_account: Flag | None = None

    @model_validator(mode="after")
    def _enterprise_has_a_licence(self) -> Self:
        if self.entity_type is EntityType.ENTERPRISE and not self.licence_name:
            raise ValueError("a licence_name for an ENTERPRISE (REF-5)")
        return self


@inbound
class ShopUpdated(Event):
    """店铺信息变更(DEP-11)

    Only what changed is sent; a field left out or null stays as it is. New categories have the required
    deposit reckoned again, an ``official_account`` the certification fee.
    """

    type: ClassVar[str] = "shop.updated"
    EXAMPLE: ClassVar[dict[str, Any]] = {"shop_id": "shop-1001", "categories": ["珠宝文玩"]}

    shop_id: Id
    name: Line | None = None
    entity_type: EntityType | None = None
    owner_account_id: Id | None = None
    owner_name: ShortLine | None = None
    licence_name: OptionalLine | None = None
    uscc: TaxNumber | None = None
    taxpayer_type: TaxpayerType | None = None
    categories: Categories | None = None
    contacts: Contacts | None = Field(default=None, repr=False)
    auto_deduct: Flag | None = None
    official_account: Flag | None = None

    @model_validator(mode="after")
    def _something_changed(self) -> Self:
        if not self.changes():
            raise ValueError("at least one field besides shop_id")
        return self

    def changes(self) -> dict[str, Any]:
        """Field → new value, of those that were sent."""
        return {
            name: value
            for name in type(self).model_fields
            if name != "shop_id" and (value := getattr(self, name)) is not None
        }


@inbound
class ShopSnapshotTaken(Event):
    """店铺经营快照(CLS-7、REF-2、REF-9)

    The facts that the gates read, as of one moment. An older one never overwrites a newer one; of two as of the same
    moment the one received later counts. ``facts.requested`` asks for one.
    """

    type: ClassVar[str] = "shop.snapshot"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001", "as_of": "2026-11-22T10:00:00+08:00",
        "facts": {
            "arrears_fen": 0, "unsettled_payouts": 1, "unsettled_payout_fen": 128000, "open_orders": 3,
            "penalties": [{"id": "pen-7", "kind": "虚假发货", "settled": True}],
        },
    }  # fmt: skip

    shop_id: Id
    as_of: Moment
    facts: FactsData


@inbound
class DepositPaid(Event):
    """保证金缴纳(DEP-7、DEP-8、DEP-9)

    Money that arrived, once per ``payment_id``. ``ARREARS`` pays what the shop owes beyond its deposit
    (DED-9), ``CERTIFICATION_FEE`` the fee of one year, neither more nor less; it is no deposit and never given back.
    What came through Alipay or WeChat goes back to ``payer_account``, in ``payer_name`` (REF-8); what a channel masks
    (``138****1234``) counts as not recorded.
    """

    type: ClassVar[str] = "deposit.paid"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001", "payment_id": "pay-2001", "amount_fen": 1000000, "channel": "BANK",
        "payer_account": "3301040160000123456", "payer_name": "宁波晨光文具有限公司", "purpose": "DEPOSIT", "paid_at": "2026-01-05T09:30:00+08:00",
    }  # fmt: skip

    shop_id: Id
    payment_id: Id
    amount_fen: PositiveFen
    channel: PaymentChannel
    payer_account: PayerAccount | None = Field(default=None, repr=False)
    payer_name: OptionalLine = Field(default="", repr=False)
    purpose: PaymentPurpose = PaymentPurpose.DEPOSIT
    paid_at: Moment


@inbound
class DepositDeducted(Event):
    """保证金扣除(DED-1 至 DED-5、DED-8、DED-9)

    Once per ``deduction_id``. What exceeds the deposit becomes arrears. Says how to appeal against it, or why
    nobody can; against an advance compensation everybody can. One that names its ``ruling_id``, or else its
    ``arbitration_id``, or else its ``aftersale_id`` is that ruling's money, whichever of the two comes first: there is
    one thing to appeal against, once. Not posted when the arbitration was withdrawn. ``effective_at`` starts the window; without it the
    moment the event reached us does.
    """

    type: ClassVar[str] = "deposit.deducted"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001", "deduction_id": "ded-3001", "amount_fen": 20000,
        "reason": "ADVANCE_COMPENSATION", "clause": "先行赔付规则第五条", "order_id": "order-88",
        "appealable": True,
    }  # fmt: skip

    shop_id: Id
    deduction_id: Id
    amount_fen: PositiveFen
    reason: DeductionReason
    clause: Line
    order_id: Id | None = None
    ruling_id: Id | None = None
    arbitration_id: Id | None = None
    aftersale_id: Id | None = None
    effective_at: Moment | None = None
    appealable: Flag
    not_appealable_reason: OptionalLine = ""

    @model_validator(mode="after")
    def _appeal_or_why_not(self) -> Self:
        if self.reason is DeductionReason.FORCED_CLOSURE:
            raise ValueError("a reason other than FORCED_CLOSURE: forfeiture is decided here (DED-6)")
        if not self.appealable and self.reason is DeductionReason.ADVANCE_COMPENSATION:
            raise ValueError("appealable when a buyer was paid in advance: that can always be appealed (ARB-1, DED-5)")
        if not self.appealable and not self.not_appealable_reason:
            raise ValueError("a not_appealable_reason when appealable is false (DED-8)")
        if self.appealable and self.not_appealable_reason:
            raise ValueError("no not_appealable_reason when appealable is true (DED-8)")
        if (self.ruling_id or self.arbitration_id) and self.reason is not DeductionReason.ADVANCE_COMPENSATION:
            raise ValueError("the reason ADVANCE_COMPENSATION when a ruling or an arbitration is named (DED-5)")
        return self


@inbound
class DepositSetOff(Event):
    """保证金抵扣(DEP-9)

    The frozen deposit used inside the shop, the only use it has before it is refunded.
    """

    type: ClassVar[str] = "deposit.set_off"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001", "set_off_id": "set-4001", "amount_fen": 5000, "note": "抵扣推广服务费",
    }  # fmt: skip

    shop_id: Id
    set_off_id: Id
    amount_fen: PositiveFen
    note: OptionalLine = ""


@inbound
class ClosureRequested(Event):
    """申请关店(CLS-2、CLS-3、CLS-4)

    Asked for by ``account_id``, who has to be the shop's owner. ``OTHER`` needs words of its own.
    """

    type: ClassVar[str] = "closure.requested"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001", "account_id": "acct-1001", "reason": "STRATEGY_CHANGE",
        "reason_text": "转做线下门店",
    }  # fmt: skip

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
        "shop_id": "shop-1001", "account_id": "acct-1001", "case_id": "CLS-261122-7K3QM9",
    }  # fmt: skip

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
        "shop_id": "shop-1001", "account_id": "acct-1001", "case_id": "CLS-261122-7K3QM9",
        "text": "剩余 3 笔订单已全部发货。", "documents": [_DOCUMENT_EXAMPLE],
    }  # fmt: skip

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
        "shop_id": "shop-1002", "proposal_id": "prop-5001", "violation": "售卖假冒商品", "clause": "DED-7",
        "description": "抽检 3 批次均为假冒商品,鉴定报告见附件。", "proposed_by": "risk-17",
        "documents": [{"name": "鉴定报告.pdf", "kind": "OTHER", "sha256": "ab" * 32}],
    }  # fmt: skip

    shop_id: Id
    proposal_id: Id
    violation: ShortLine
    clause: Line
    description: Prose
    proposed_by: Id
    documents: Documents = ()


@inbound
class RefundRequested(Event):
    """申请退保证金(REF-1、REF-6)

    The amount may be at most what is refundable. Each channel gets back at most what came in through it, to the
    account that paid; what is left goes by entity type. ``other_payees`` name further accounts, where the deposit
    came in several ways. The documents are files staged before or after (``POST /evidence``); nothing is paid while none
    of them is here.
    """

    type: ClassVar[str] = "refund.requested"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001", "account_id": "acct-1001", "amount_fen": 1000000, "payee": _PAYEE_EXAMPLE,
        "documents": [_DOCUMENT_EXAMPLE],
    }  # fmt: skip

    shop_id: Id
    account_id: Id
    amount_fen: PositiveFen
    payee: PayeeData
    other_payees: OtherPayees = ()
    documents: Documents = ()


@inbound
class RefundPayeeCorrected(Event):
    """更正退款收款账户(REF-3、REF-7)

    The merchant's new payees, instead of those named before, after the bank refused or returned the money, or when
    we asked for it.
    """

    type: ClassVar[str] = "refund.payee_corrected"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001", "account_id": "acct-1001", "case_id": "REF-261122-7K3QM9",
        "payee": _PAYEE_EXAMPLE,
    }  # fmt: skip

    shop_id: Id
    account_id: Id
    case_id: Id
    payee: PayeeData
    other_payees: OtherPayees = ()


@inbound
class RefundWithdrawn(Event):
    """撤回退保证金申请(REF-6)

    Possible until the money has been handed to the bank.
    """

    type: ClassVar[str] = "refund.withdrawn"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001", "account_id": "acct-1001", "case_id": "REF-261122-7K3QM9",
    }  # fmt: skip

    shop_id: Id
    account_id: Id
    case_id: Id


_ANSWER_EXAMPLE = {
    "shop_id": "shop-1001", "request_no": "REF-261122-7K3QM9-P1", "amount_fen": 1000000,
    "at": "2026-11-24T15:00:00+08:00",
}  # fmt: skip


class PayoutAnswer(Event):
    """What the bank says about one payout instruction; ``request_no`` is ours and never changes."""

    sender: ClassVar[Literal["platform", "bank"]] = "bank"

    shop_id: Id
    request_no: Id
    amount_fen: PositiveFen
    at: Moment
    reason: OptionalLine = ""


@inbound
class PayoutSettled(PayoutAnswer):
    """退款到账(REF-3)

    The money has arrived.
    """

    type: ClassVar[str] = "payout.settled"
    EXAMPLE: ClassVar[dict[str, Any]] = _ANSWER_EXAMPLE


@inbound
class PayoutFailed(PayoutAnswer):
    """银行拒付(REF-3)

    The bank did not take the instruction; no money moved.
    """

    type: ClassVar[str] = "payout.failed"
    EXAMPLE: ClassVar[dict[str, Any]] = _ANSWER_EXAMPLE | {"reason": "户名与账号不符"}


@inbound
class PayoutReturned(PayoutAnswer):
    """银行退票(REF-3)

    The money came back; it can also follow a ``payout.settled``.
    """

    type: ClassVar[str] = "payout.returned"
    EXAMPLE: ClassVar[dict[str, Any]] = _ANSWER_EXAMPLE | {"reason": "收款账户已销户"}


_SHOP_CASE_EXAMPLE = {"shop_id": "shop-1001", "case_id": "CLS-261122-7K3QM9"}


@outbound
class CapabilityDisabled(Outgoing):
    """关闭店铺能力(CLS-1、CLS-9、DEP-10)

    The platform shuts this capability off now: the shop is closed, or suspended until its deposit is paid.
    """

    type: ClassVar[str] = "shop.capability.disabled"
    EXAMPLE: ClassVar[dict[str, Any]] = _SHOP_CASE_EXAMPLE | {"capability": "TAKE_ORDERS", "clause": "CLS-1"}

    shop_id: Id
    case_id: Id
    capability: Capability
    clause: str = ""


@outbound
class ShopOpened(Outgoing):
    """店铺可以营业(OPN-13、DEP-10)

    The deposit (and the certification fee, where one is due) is fully paid: the shop has these capabilities from now on.
    """

    type: ClassVar[str] = "shop.opened"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001", "opened_at": "2026-11-22T02:00:00Z",
        "capabilities": ["LIST_PRODUCTS", "TAKE_ORDERS", "PROMOTE", "LIVESTREAM", "SHOW_PRODUCTS"], "clause": "DEP-10",
    }  # fmt: skip

    shop_id: Id
    opened_at: Moment
    capabilities: tuple[Capability, ...]
    clause: str = ""


@outbound
class CapabilityRestored(Outgoing):
    """恢复店铺能力(CLS-6、DEP-10)

    A closure was withdrawn or ended without closing, or a suspended shop has paid its deposit: the capability is given
    back. ``case_id`` is the case that gave it back, or that had it shut off.
    """

    type: ClassVar[str] = "shop.capability.restored"
    EXAMPLE: ClassVar[dict[str, Any]] = _SHOP_CASE_EXAMPLE | {"capability": "TAKE_ORDERS", "clause": "CLS-6"}

    shop_id: Id
    case_id: Id
    capability: Capability
    clause: str = ""


@outbound
class FactsRequested(Outgoing):
    """请提供最新经营数据(CLS-7、REF-9)

    A case is about to act and the facts in hand are too old. Answer with a ``shop.snapshot`` as of ``not_before`` or
    later; the case waits for it. ``since`` is as of when the facts in hand are, empty when none ever came. Asked once
    for each need, answered or not; after ``answer_by`` a person is told.
    """

    type: ClassVar[str] = "facts.requested"
    EXAMPLE: ClassVar[dict[str, Any]] = _SHOP_CASE_EXAMPLE | {
        "since": "2026-11-20T02:00:00Z", "not_before": "2026-11-21T02:00:00Z", "answer_by": "2026-11-22T06:00:00Z",
        "clause": "CLS-7",
    }  # fmt: skip

    shop_id: Id
    case_id: Id
    since: Moment | None
    not_before: Moment
    answer_by: Moment
    clause: str


@outbound
class ShopClearing(Outgoing):
    """店铺进入清算(CLS-9)

    The closure is approved; ``shop.snapshot`` events as of ``since`` or later are expected until everything is settled.
    """

    type: ClassVar[str] = "shop.clearing"
    EXAMPLE: ClassVar[dict[str, Any]] = _SHOP_CASE_EXAMPLE | {"since": "2026-11-22T02:00:00Z"}

    shop_id: Id
    case_id: Id
    since: Moment


@outbound
class ShopClosed(Outgoing):
    """店铺已关店(CLS-6、REO-1)

    ``closed_at`` starts the refund's seven working days and the six months until the shop may open again.
    """

    type: ClassVar[str] = "shop.closed"
    EXAMPLE: ClassVar[dict[str, Any]] = _SHOP_CASE_EXAMPLE | {
        "closed_at": "2026-11-22T02:00:00Z", "reopen_from": "2027-05-22T02:00:00Z",
    }  # fmt: skip

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
        "shop_id": "shop-1002", "case_id": "FCL-261122-7K3QM9", "closed_at": "2026-11-22T02:00:00Z",
        "clause": "CLS-10", "forfeited_fen": 400000, "frozen_fen": 500000, "on_the_way_fen": 0,
    }  # fmt: skip

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
        "shop_id": "shop-1002", "case_id": "HLD-261122-7K3QM9", "amount_fen": 500000, "held_fen": 500000,
        "at": "2026-11-22T02:00:00Z", "clause": "DED-7",
    }  # fmt: skip

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
        "shop_id": "shop-1002", "case_id": "HLD-261122-7K3QM9", "amount_fen": 500000, "released_fen": 400000,
        "set_off_fen": 100000, "forfeited_fen": 0, "at": "2026-12-22T02:00:00Z", "clause": "DED-7",
    }  # fmt: skip

    shop_id: Id
    case_id: Id
    amount_fen: Fen
    released_fen: Fen
    set_off_fen: Fen
    forfeited_fen: Fen
    at: Moment
    clause: str


@outbound
class PayoutRequested(Outgoing):
    """退保证金付款指令(REF-3、REF-7)

    To the bank only. The same ``request_no`` is the same payment, however often it is delivered. The bank
    answers with ``payout.settled``, ``payout.failed`` or ``payout.returned``.
    """

    type: ClassVar[str] = "deposit.payout.requested"
    subscriber: ClassVar[str] = "bank"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001", "case_id": "REF-261122-7K3QM9", "request_no": "REF-261122-7K3QM9-P1",
        "amount_fen": 1000000, "payee": _PAYEE_EXAMPLE,
    }  # fmt: skip

    shop_id: Id
    case_id: Id
    request_no: Id
    amount_fen: PositiveFen
    payee: PayeeData


@outbound
class PayoutUpdated(Outgoing):
    """退保证金付款进度(REF-3)

    Where a payout stands. The payee is masked.
    """

    type: ClassVar[str] = "deposit.payout.updated"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001", "case_id": "REF-261122-7K3QM9", "request_no": "REF-261122-7K3QM9-P1",
        "amount_fen": 1000000, "payee": "对公账户 尾号 3456", "state": "RETURNED", "reason": "收款账户已销户",
        "at": "2026-11-24T07:00:00Z",
    }  # fmt: skip

    shop_id: Id
    case_id: Id
    request_no: Id
    amount_fen: PositiveFen
    payee: str
    state: PayoutState
    reason: str = ""
    at: Moment


@outbound
class TopUpDemanded(Outgoing):
    """要求补缴保证金(DEP-10、DEP-11)

    The deposit is below what the shop has to hold, or the certification fee is due. Told again whenever the amount or
    the window changes. ``due_at`` is the end of the window of the case ``case_id``; both are null once the shop is
    suspended, or waits for somebody's decision: then there is no window, and paying what is missing opens the shop.
    """

    type: ClassVar[str] = "deposit.topup_demanded"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001", "required_fen": 2000000, "balance_fen": 980000, "shortfall_fen": 1020000,
        "clause": "DEP-11", "case_id": "DEP-261122-7K3QM9", "due_at": "2026-12-07T02:00:00Z",
    }  # fmt: skip

    shop_id: Id
    required_fen: Fen
    balance_fen: Fen
    shortfall_fen: Fen
    certification_fee_fen: Fen = 0
    clause: str
    case_id: Id | None = None
    due_at: Moment | None = None


class AboutCase(Outgoing):
    """What every event about a case says. ``shop_id`` is null where the case is not about one shop."""

    case_id: Id
    kind: CaseKind
    kind_label: str
    shop_id: Id | None = None
    at: Moment


_CASE_EXAMPLE = {
    "case_id": "CLS-261122-7K3QM9", "kind": "closure", "kind_label": "关店", "shop_id": "shop-1001",
    "at": "2026-11-22T02:00:00Z",
}  # fmt: skip


@outbound
class CaseOpened(AboutCase):
    """案件已受理(CLS-5、REF-7)

    ``origin`` is the message that opened it, as ``source/message id``.
    """

    type: ClassVar[str] = "case.opened"
    EXAMPLE: ClassVar[dict[str, Any]] = _CASE_EXAMPLE | {"origin": "platform/msg_9001"}

    origin: str


@outbound
class CaseStateChanged(AboutCase):
    """案件状态变更(CLS-6、REF-7)

    ``state`` is a word of the case kind's own vocabulary; ``GET /cases/{id}`` says the rest.
    """

    type: ClassVar[str] = "case.state_changed"
    EXAMPLE: ClassVar[dict[str, Any]] = _CASE_EXAMPLE | {
        "state": "CLEARING", "state_label": "清算中", "due_at": None,
    }  # fmt: skip

    state: str
    state_label: str
    due_at: Moment | None = None


@outbound
class CaseConcluded(AboutCase):
    """案件已办结(CLS-6、REF-11)

    Sent when a case ends. A refund whose money came back from the bank is taken up again and ends anew.
    """

    type: ClassVar[str] = "case.concluded"
    EXAMPLE: ClassVar[dict[str, Any]] = _CASE_EXAMPLE | {
        "outcome": "CLOSED", "clause": "CLS-6", "text": "店铺已关店。",
    }  # fmt: skip

    outcome: str
    clause: str
    text: str


@outbound
class MerchantMessageCreated(Outgoing):
    """商家消息(CLS-11)

    For the merchant's inbox on the platform. ``html`` is safe to show: everything from outside is escaped.
    """

    type: ClassVar[str] = "merchant.message.created"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "message_id": "CLS-261122-7K3QM9/closure_received", "shop_id": "shop-1001",
        "case_id": "CLS-261122-7K3QM9", "topic": "closure_received",
        "subject": "关店申请已受理", "text": "您好,您的关店申请已受理。",
        "html": "<p>您好,您的关店申请已受理。</p>", "at": "2026-11-22T02:00:00Z",
    }  # fmt: skip

    message_id: MessageId
    shop_id: Id
    case_id: Id | None = None
    topic: str
    subject: str
    text: str = Field(repr=False)
    html: str = Field(repr=False)
    at: Moment


@outbound
class ExitInvoiceOpened(Outgoing):
    """退店开票义务(CLS-8、INV-9)

    The shop has to invoice what it has not yet invoiced of this calendar year, until ``due_at``.
    """

    type: ClassVar[str] = "exit_invoice.opened"
    EXAMPLE: ClassVar[dict[str, Any]] = _SHOP_CASE_EXAMPLE | {
        "year": 2026, "due_at": "2026-11-27T15:59:59Z", "clause": "CLS-8",
    }  # fmt: skip

    shop_id: Id
    case_id: Id
    year: Annotated[int, Field(strict=True, ge=2000, le=2099)]
    due_at: Moment
    clause: str


@outbound
class MessageRefused(Outgoing):
    """消息被拒绝(DED-8)

    A message that reached the door intact and cannot be acted on: the clause and the sentence say why, ``remedy`` what
    can be done. A refused message is never looked at again, also not when it is sent again: corrected, it needs a new
    ``webhook-id``.
    """

    type: ClassVar[str] = "message.refused"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "source": "platform", "message_id": "msg_9002", "message_type": "refund.requested",
        "shop_id": "shop-1002",
        "clause": "REF-10", "sentence": "店铺已被强制关店,保证金不予退还。",
        "remedy": "更正后请使用新的消息编号(webhook-id)重新发送,同一编号不会再次处理。",
    }  # fmt: skip

    source: str
    message_id: MessageId
    message_type: str
    shop_id: Id | None = None
    clause: str
    sentence: str
    remedy: str
