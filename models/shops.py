"""Shops: who runs them, what they may still do, and what the platform last told us about them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Column, Field, SQLModel

from models.base import Frozen, Labelled, UTCDateTime, Word, code, json_type
from models.money import Fen


class EntityType(Labelled):
    """开店主体 (DEP-1)."""

    ENTERPRISE = "ENTERPRISE", "企业"
    INDIVIDUAL_BUSINESS = "INDIVIDUAL_BUSINESS", "个体工商户"
    PERSON = "PERSON", "个人"


class ShopState(Labelled):
    """CLS: the life of a shop as far as the back office goes."""

    APPLYING = "APPLYING", "入驻中,尚未开店"
    """Applied for and not open; also one whose application came to nothing, which can be taken up again (OPN-6)."""
    AWAITING_DEPOSIT = "AWAITING_DEPOSIT", "待缴足保证金"
    """Not open yet, or no longer, for want of its deposit or certification fee; opens by itself (DEP-10, ambiguity 36)."""
    OPEN = "OPEN", "营业中"
    CLEARING = "CLEARING", "清算中"
    CLOSED = "CLOSED", "已关店"
    FORCED_CLOSED = "FORCED_CLOSED", "已强制关店"


class Capability(Labelled):
    """What a shop can do. Clearing shuts these off one by one, in this order (CLS-1, CLS-9)."""

    LIST_PRODUCTS = "LIST_PRODUCTS", "上架商品"
    TAKE_ORDERS = "TAKE_ORDERS", "接新订单"
    PROMOTE = "PROMOTE", "营销推广"
    LIVESTREAM = "LIVESTREAM", "直播带货"
    SHOW_PRODUCTS = "SHOW_PRODUCTS", "商品在架展示"


class Shop(SQLModel, table=True):
    """One shop. Contacts are sealed (encrypted); the plain text exists only in memory while a message is sent."""

    __tablename__ = "shop"

    id: str = Field(primary_key=True, sa_type=code())
    name: str
    name_key: str | None = Field(default=None, index=True)
    """The name as it is compared with others (OPN-3)."""
    entity_type: EntityType = Field(sa_type=Word(EntityType))
    owner_account_id: str = Field(sa_type=code())
    owner_name: str
    licence_name: str = ""
    uscc: str = ""
    taxpayer_type: str = ""
    categories: list[str] = Field(default_factory=list, sa_column=Column(json_type(), nullable=False))
    state: ShopState = Field(default=ShopState.OPEN, sa_type=Word(ShopState))
    capabilities: list[str] = Field(default_factory=list, sa_column=Column(json_type(), nullable=False))
    contacts_sealed: str = ""
    auto_deduct: bool = False
    registered_at: datetime = Field(sa_type=UTCDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    reopen_from: datetime | None = Field(default=None, sa_type=UTCDateTime)
    official_account: bool | None = None
    """Whether an official account is bound, which waives the certification fee; ``None``: nobody asked for one (DEP-7)."""
    certified_until: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """Until when the certification fee is paid."""
    topup_demanded_fen: int = 0
    """What is missing, as the merchant was told last; 0 when nothing is, or nobody has looked yet."""
    deposit_looked_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """When what it must have paid was looked at last, whole seconds: a year of certification that ended since is new."""
    deposit_policy: str | None = Field(default=None, sa_type=code(32))
    """The policy under which it was looked at last whether something is missing; ``None``: never."""


class Penalty(Frozen):
    """A penalty on the shop as the platform reports it (REF-2, ambiguity 4)."""

    id: str
    kind: str
    settled: bool
    blocks_refund: bool = False


class ShopFacts(Frozen):
    """What the platform knows about a shop at one moment; every closing and refund gate reads these.

    Amounts in fen. The gates never ask the platform themselves: facts arrive as ``shop.snapshot`` events.
    """

    arrears_fen: Fen = 0
    unsettled_payouts: int = 0
    unsettled_payout_fen: Fen = 0
    open_orders: int = 0
    open_aftersales: int = 0
    open_arbitrations: int = 0
    open_appeals: int = 0
    freezes: int = 0
    frozen_fen: Fen = 0
    unpaid_bills: int = 0
    unpaid_bill_fen: Fen = 0
    uninvoiced_fen: Fen = 0
    """Fees already incurred this calendar year that the merchant has not invoiced yet (CLS-8, INV-9)."""
    penalties: tuple[Penalty, ...] = ()


class ShopSnapshot(SQLModel, table=True):
    """The newest facts of a shop. An older snapshot never overwrites a newer one."""

    __tablename__ = "shop_snapshot"

    shop_id: str = Field(primary_key=True, foreign_key="shop.id", sa_type=code())
    as_of: datetime = Field(sa_type=UTCDateTime)
    received_at: datetime = Field(sa_type=UTCDateTime)
    facts: dict[str, Any] = Field(sa_column=Column(json_type(), nullable=False))
