"""Events about a shop: registered, its facts, its deposit."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from models.deposits import DeductionReason
from models.event_parts import FactsData, PaymentChannel, PaymentPurpose, TaxpayerType
from models.money import Fen, PositiveFen
from models.shops import Capability, EntityType
from models.wire import (
    Categories,
    Contacts,
    Event,
    Flag,
    Id,
    Line,
    Moment,
    OptionalLine,
    Outgoing,
    PayerAccount,
    ShortLine,
    TaxNumber,
    inbound,
    outbound,
)


@inbound
class ShopRegistered(Event):
    """店铺登记(OPN-13)

    A shop that the back office looks after from now on. ``contacts`` are mail addresses (they go through our own
    mail server) or Apprise addresses for the merchant's messages, sealed at once. An enterprise names its licence (REF-5).
    It opens (``shop.opened``) when its deposit is fully paid, not before (DEP-10). ``official_account``: false has it
    pay the certification fee of a year as well, true waives it; left out, none is asked for (DEP-7). The deposit's figures are
    for ordinary orders: another ``order_type`` is refused (DEP-1).
    """

    type: ClassVar[str] = "shop.registered"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "name": "晨光文具",
        "entity_type": "ENTERPRISE",
        "owner_account_id": "acct-1001",
        "owner_name": "林晓",
        "licence_name": "宁波晨光文具有限公司",
        "uscc": "91330226MA2AB1C2D8",
        "taxpayer_type": "GENERAL",
        "categories": ["母婴", "服饰"],
        "contacts": ["owner@example.com"],
        "auto_deduct": False,
    }

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
    order_type: ShortLine = "普通订单"

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
    order_type: ShortLine | None = None

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
        "shop_id": "shop-1001",
        "as_of": "2026-11-22T10:00:00+08:00",
        "facts": {
            "arrears_fen": 0,
            "unsettled_payouts": 1,
            "unsettled_payout_fen": 128000,
            "open_orders": 3,
            "penalties": [{"id": "pen-7", "kind": "虚假发货", "settled": True}],
        },
    }

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
        "shop_id": "shop-1001",
        "payment_id": "pay-2001",
        "amount_fen": 1000000,
        "channel": "BANK",
        "payer_account": "3301040160000123456",
        "payer_name": "宁波晨光文具有限公司",
        "purpose": "DEPOSIT",
        "paid_at": "2026-01-05T09:30:00+08:00",
    }

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
    moment the event reached us does. A product violation says that it is ``severe``: any other costs no deposit (DED-4).
    """

    type: ClassVar[str] = "deposit.deducted"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "deduction_id": "ded-3001",
        "amount_fen": 20000,
        "reason": "ADVANCE_COMPENSATION",
        "clause": "先行赔付规则第五条",
        "order_id": "order-88",
        "appealable": True,
    }

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
    severe: Flag = False
    """For a PRODUCT_VIOLATION, which draws on the deposit only when it is severe (DED-4, VIO-7)."""
    appealable: Flag
    not_appealable_reason: OptionalLine = ""

    @model_validator(mode="after")
    def _appeal_or_why_not(self) -> Self:
        if self.reason is DeductionReason.FORCED_CLOSURE:
            raise ValueError("a reason other than FORCED_CLOSURE: forfeiture is decided here (DED-6)")
        if self.reason is DeductionReason.PRODUCT_VIOLATION and not self.severe:
            raise ValueError(
                "severe: true with PRODUCT_VIOLATION: one that is not takes the product off the shelf only (DED-4)"
            )
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
        "shop_id": "shop-1001",
        "set_off_id": "set-4001",
        "amount_fen": 5000,
        "note": "抵扣推广服务费",
    }

    shop_id: Id
    set_off_id: Id
    amount_fen: PositiveFen
    note: OptionalLine = ""


SHOP_CASE_EXAMPLE = {"shop_id": "shop-1001", "case_id": "CLS-261122-7K3QM9"}


@outbound
class CapabilityDisabled(Outgoing):
    """关闭店铺能力(CLS-1、CLS-9、DEP-10)

    The platform shuts this capability off now: the shop is closed, or suspended until its deposit is paid.
    """

    type: ClassVar[str] = "shop.capability.disabled"
    EXAMPLE: ClassVar[dict[str, Any]] = SHOP_CASE_EXAMPLE | {"capability": "TAKE_ORDERS", "clause": "CLS-1"}

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
        "shop_id": "shop-1001",
        "opened_at": "2026-11-22T02:00:00Z",
        "capabilities": ["LIST_PRODUCTS", "TAKE_ORDERS", "PROMOTE", "LIVESTREAM", "SHOW_PRODUCTS"],
        "clause": "DEP-10",
    }

    shop_id: Id
    opened_at: Moment
    capabilities: tuple[Capability, ...]
    clause: str = ""


@outbound
class CapabilityGranted(Outgoing):
    """开通店铺能力(OPN-13)

    The shop is open: this capability is its own from now on. One event for each.
    """

    type: ClassVar[str] = "shop.capability.granted"
    EXAMPLE: ClassVar[dict[str, Any]] = SHOP_CASE_EXAMPLE | {"capability": "TAKE_ORDERS", "clause": "OPN-13"}

    shop_id: Id
    case_id: Id
    capability: Capability
    clause: str = ""


@outbound
class CapabilityRestored(Outgoing):
    """恢复店铺能力(CLS-6、DEP-10)

    A closure was withdrawn or ended without closing, or a suspended shop has paid its deposit: the capability is given
    back. ``case_id`` is the case that gave it back, or that had it shut off.
    """

    type: ClassVar[str] = "shop.capability.restored"
    EXAMPLE: ClassVar[dict[str, Any]] = SHOP_CASE_EXAMPLE | {"capability": "TAKE_ORDERS", "clause": "CLS-6"}

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
    EXAMPLE: ClassVar[dict[str, Any]] = SHOP_CASE_EXAMPLE | {
        "since": "2026-11-20T02:00:00Z",
        "not_before": "2026-11-21T02:00:00Z",
        "answer_by": "2026-11-22T06:00:00Z",
        "clause": "CLS-7",
    }

    shop_id: Id
    case_id: Id
    since: Moment | None
    not_before: Moment
    answer_by: Moment
    clause: str


@outbound
class TopUpDemanded(Outgoing):
    """要求补缴保证金(DEP-10、DEP-11)

    The deposit is below what the shop has to hold, or the certification fee is due. Told again whenever the amount or
    the window changes. ``due_at`` is the end of the window of the case ``case_id``; both are null once the shop is
    suspended, or waits for somebody's decision: then there is no window, and paying what is missing opens the shop.
    """

    type: ClassVar[str] = "deposit.topup_demanded"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "required_fen": 2000000,
        "balance_fen": 980000,
        "shortfall_fen": 1020000,
        "clause": "DEP-11",
        "case_id": "DEP-261122-7K3QM9",
        "due_at": "2026-12-07T02:00:00Z",
    }

    shop_id: Id
    required_fen: Fen
    balance_fen: Fen
    shortfall_fen: Fen
    certification_fee_fen: Fen = 0
    clause: str
    case_id: Id | None = None
    due_at: Moment | None = None
