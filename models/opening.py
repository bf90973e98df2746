"""Opening a shop: what a merchant brings in which stage, and what is kept of it (OPN, REO)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Column, Field, SQLModel

from models.base import Frozen, Labelled, UTCDateTime, Word, code, json_type


class Profile(Labelled):
    """By which route a shop is opened (OPN-14, ambiguity 1)."""

    STANDARD = "STANDARD", "普通入驻"
    LEGACY_THIRD_PARTY_SHOP = "LEGACY_THIRD_PARTY_SHOP", "第三方平台店铺入驻"


class ThirdPartyPlatform(Labelled):
    TAOBAO = "TAOBAO", "淘宝"
    TMALL = "TMALL", "天猫"
    JD = "JD", "京东"


class Stage(Labelled):
    """What the merchant works on; each stage is over when nothing of it is missing."""

    MATERIALS = "MATERIALS", "提交入驻资料"
    CERTIFICATE = "CERTIFICATE", "提交数字证书申请表和对公账户"
    TRANSFER = "TRANSFER", "打款验证"
    FINISHING = "FINISHING", "提交 Logo、资质和店铺链接"
    DEPOSIT = "DEPOSIT", "签署合同、缴纳保证金"


class Part(Labelled):
    """What is brought besides papers, each by an event of its own."""

    BASICS = "BASICS", "店铺名称、简介和联系方式"
    ENTITY = "ENTITY", "主体和法人信息"
    TRAINING = "TRAINING", "店铺培训"
    ACCOUNT = "ACCOUNT", "对公账户"
    LINKS = "LINKS", "行业资质说明和第三方店铺链接"


class Need(Frozen):
    """One thing that is still missing: a part or a kind of paper, why, and the clause that asks for it."""

    what: str
    """A :class:`Part` or a ``DocumentKind``, by its value."""
    label: str
    clause: str
    why: str = ""
    """What the reviewer found wrong with what was there; empty when nothing was."""


class OpeningPart(SQLModel, table=True):
    """The newest of one part of an application; what was sent before stands in the audit by its hash.

    ``fields`` is what people who decide may read; what identifies a person or an account is sealed.
    """

    __tablename__ = "opening_part"
    __table_args__ = (Index("ix_opening_part_identity", "identity_hash"),)

    case_id: str = Field(primary_key=True, foreign_key="case.id", sa_type=code())
    part: Part = Field(primary_key=True, sa_type=Word(Part))
    fields: dict[str, Any] = Field(sa_column=Column(json_type(), nullable=False))
    fields_sealed: str = ""
    sha256: str = Field(sa_type=code(64))
    """Of everything in it, under the audit key: that something has changed is seen without opening it."""
    identity_hash: str = Field(default="", sa_type=code(64))
    """Of the identity number, under the audit key: the same person is found again, and nobody's number is read (REO-5)."""
    received_at: datetime = Field(sa_type=UTCDateTime)


class TransferState(Labelled):
    SENT = "SENT", "已提交银行"
    ARRIVED = "ARRIVED", "已到账,待填写金额"
    VERIFIED = "VERIFIED", "金额相符,验证通过"
    WRONG = "WRONG", "填写次数已用尽"
    RETURNED = "RETURNED", "银行退回"
    EXPIRED = "EXPIRED", "逾期未填写"


class OpeningTransfer(SQLModel, table=True):
    """One random transfer, and how often a wrong amount was entered. The amount lies sealed with its payout alone (OPN-10)."""

    __tablename__ = "opening_transfer"
    __table_args__ = (
        UniqueConstraint("case_id", "number", name="uq_opening_transfer"),
        Index("ix_opening_transfer_payee", "account_hash"),
        Index("ix_opening_transfer_account", "account_id"),
    )

    request_no: str = Field(primary_key=True, foreign_key="payout.request_no", sa_type=code())
    case_id: str = Field(foreign_key="case.id", sa_type=code())
    number: int
    account_id: str = Field(sa_type=code())
    """Whose application it is: wrong amounts count over all applications of an account …"""
    account_hash: str = Field(sa_type=code(64))
    """… and over all of a bank account, which is known by its keyed hash only."""
    state: TransferState = Field(default=TransferState.SENT, sa_type=Word(TransferState))
    tries: int = 0
    """Wrong amounts entered."""
    sent_at: datetime = Field(sa_type=UTCDateTime)
    settled_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UTCDateTime)


class ShopContract(SQLModel, table=True):
    """The contract a shop was offered: its text by version and hash, and when who signed it (OPN-12)."""

    __tablename__ = "shop_contract"

    shop_id: str = Field(primary_key=True, foreign_key="shop.id", sa_type=code())
    version: str = Field(primary_key=True, sa_type=code(32))
    sha256: str = Field(sa_type=code(64))
    offered_at: datetime = Field(sa_type=UTCDateTime)
    case_id: str | None = Field(default=None, foreign_key="case.id", sa_type=code())
    signed_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    signed_by: str = ""
    """The account that signed."""
    reminded: int = 0
    """How often the shop has been reminded of signing."""
    signed_sha256: str = Field(default="", sa_type=code(64))
    """Of the signed document as the signing service keeps it, where it says so."""
