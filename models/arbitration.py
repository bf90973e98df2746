"""Arbitration: what a merchant can appeal against, the appeal, its evidence, and the counters a ruling moves."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint
from sqlmodel import Column, Field, SQLModel

from models.base import Frozen, Labelled, UTCDateTime, Word, code, json_type
from models.cases import Case  # noqa: F401  (its table is what the foreign keys below mean)
from models.evidence import EvidenceItem  # noqa: F401
from models.shops import Shop  # noqa: F401


class RulingKind(Labelled):
    """The two things that can be appealed against (ARB-1)."""

    RULING = "RULING", "仲裁判责"
    DEDUCTION = "DEDUCTION", "先行赔付扣款"


class Conclusion(Labelled):
    """What an arbitration came to. ``UNSTATED``: the sender gave only a code of its own. ``NOT_MERCHANT`` is no ruling
    against the shop: nothing is counted, nothing can be appealed against, and what was taken before goes back."""

    MERCHANT_LIABLE = "MERCHANT_LIABLE", "商家责任"
    SHARED = "SHARED", "双方责任"
    NOT_MERCHANT = "NOT_MERCHANT", "非商家责任"
    UNSTATED = "UNSTATED", "结论以平台公示为准"


class VoidCause(Labelled):
    """Why a ruling counts no more."""

    APPEAL_UPHELD = "APPEAL_UPHELD", "申诉成立"
    ARBITRATION_WITHDRAWN = "ARBITRATION_WITHDRAWN", "仲裁已撤销"
    COURT_JUDGMENT = "COURT_JUDGMENT", "法院判决更正"
    MERCHANT_CLEARED = "MERCHANT_CLEARED", "仲裁裁定非商家责任"
    SAME_MATTER = "SAME_MATTER", "与另一项为同一事项,已合并"


class AppealReason(Labelled):
    """On what ground a merchant appeals; each has its checklist of expected evidence in the policy."""

    SHIPPED_IN_TIME = "SHIPPED_IN_TIME", "已按约定发货"
    QUALITY_COMPLIANT = "QUALITY_COMPLIANT", "商品质量合格"
    AS_DESCRIBED = "AS_DESCRIBED", "商品与描述一致"
    AFTERSALE_HANDLED = "AFTERSALE_HANDLED", "售后已妥善处理"
    BUYER_ABUSE = "BUYER_ABUSE", "买家滥用售后"
    OTHER = "OTHER", "其他理由"


class EvidenceKind(Labelled):
    """What an item of evidence is meant to show."""

    LOGISTICS = "LOGISTICS", "物流凭证"
    CHAT = "CHAT", "沟通记录"
    PRODUCT_PHOTO = "PRODUCT_PHOTO", "商品实拍"
    QUALITY_REPORT = "QUALITY_REPORT", "质检报告"
    LISTING = "LISTING", "商品页面截图"
    REFUND_PROOF = "REFUND_PROOF", "退款或补偿凭证"
    VIDEO = "VIDEO", "视频"
    OTHER = "OTHER", "其他凭证"


class WithdrawalReason(Labelled):
    """The two reasons for which an arbitration may be withdrawn (WDR-1)."""

    SETTLED_WITH_MERCHANT = "SETTLED_WITH_MERCHANT", "买卖双方已协商一致"
    BUYER_GIVES_UP = "BUYER_GIVES_UP", "买家放弃仲裁"


class Party(Labelled):
    """Who asks for a withdrawal. A merchant cannot withdraw alone (WDR-4, ambiguity 12)."""

    BUYER = "BUYER", "买家"
    MERCHANT = "MERCHANT", "商家"
    BOTH = "BOTH", "买卖双方"


class EscalationChannel(Labelled):
    """Where a merchant may still turn after losing (ARB-10). None of them is a second appeal (ambiguity 11)."""

    NEW_ARBITRATION = "NEW_ARBITRATION", "投诉要求重新仲裁"
    LAWSUIT = "LAWSUIT", "向人民法院起诉"
    REVIEW_REQUEST = "REVIEW_REQUEST", "要求重新审核"
    MORE_EVIDENCE = "MORE_EVIDENCE", "要求补充证据"


class Stage(Labelled):
    """How far an arbitration is outside, as its sender reports it."""

    APPLIED = "APPLIED", "买家发起仲裁"
    EVIDENCE_REQUESTED = "EVIDENCE_REQUESTED", "客服要求商家上传凭证"
    EVIDENCE_SUBMITTED = "EVIDENCE_SUBMITTED", "商家已上传凭证"
    SERVICE_INTERVENED = "SERVICE_INTERVENED", "仲裁客服介入"
    DISCUSSING = "DISCUSSING", "协商期上传凭证"
    RULED = "RULED", "已出仲裁结果"
    WITHDRAWN = "WITHDRAWN", "仲裁已撤销"


class Handling(Labelled):
    """What merchant service and the merchant agree about money that an annulled ruling had taken (ARB-8)."""

    TO_DEPOSIT = "TO_DEPOSIT", "退回保证金"
    TO_RECEIVABLE = "TO_RECEIVABLE", "转入待结算货款"
    TO_ARREARS = "TO_ARREARS", "先冲抵欠款,余额退回保证金"
    NO_MONEY = "NO_MONEY", "商家确认不需退款"
    BUYER_KEEPS = "BUYER_KEEPS", "赔付款归买家,不退还商家"
    """Of a withdrawn arbitration only (ambiguity 35): what was paid stays paid, decided by people and said."""


class Arbitration(SQLModel, table=True):
    """One arbitration between a buyer and a merchant. Withdrawn once, it can never be arbitrated again (WDR-2)."""

    __tablename__ = "arbitration"
    __table_args__ = (Index("ix_arbitration_aftersale", "shop_id", "aftersale_id"),)

    id: str = Field(primary_key=True, sa_type=code())
    shop_id: str = Field(foreign_key="shop.id", sa_type=code())
    order_id: str = Field(default="", sa_type=code())
    aftersale_id: str = Field(default="", sa_type=code())
    source: str = Field(sa_type=code(32))
    stage: Stage = Field(sa_type=Word(Stage))
    seen_at: datetime = Field(sa_type=UTCDateTime)
    withdrawn_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    withdrawal_case: str | None = Field(default=None, foreign_key="case.id", sa_type=code())


class Ruling(SQLModel, table=True):
    """What can be appealed against once: an arbitration's ruling, or a deduction that paid a buyer.

    ``appeal_until`` is fixed when the ruling is recorded, from ``effective_at`` and the policy then in force. Only a
    deduction that belongs to it and takes effect later moves it, to later.
    """

    __tablename__ = "ruling"
    __table_args__ = (
        Index("ix_ruling_shop", "shop_id"),
        Index("ix_ruling_arbitration", "arbitration_id"),
        Index("ix_ruling_posting", "posting"),
        Index("ix_ruling_number", "number"),
        CheckConstraint("(voided_at IS NULL) = (void_cause IS NULL)", name="ck_ruling_void"),
        CheckConstraint(
            "deduction_fen >= 0 AND from_deposit_fen >= 0 AND arrears_fen >= 0"
            " AND from_deposit_fen + arrears_fen = deduction_fen",
            name="ck_ruling_deduction",
        ),
    )

    id: str = Field(primary_key=True, sa_type=code(80))
    """The sender's number; ``deduction/<number>`` for a deduction, so that the two never meet."""
    number: str | None = Field(default=None, sa_type=code(80))
    """The ruling's own number, where its deduction came first and gave the row its id (ambiguity 32)."""
    kind: RulingKind = Field(sa_type=Word(RulingKind))
    shop_id: str = Field(foreign_key="shop.id", sa_type=code())
    arbitration_id: str | None = Field(default=None, foreign_key="arbitration.id", sa_type=code())
    order_id: str = Field(default="", sa_type=code())
    aftersale_id: str = Field(default="", sa_type=code())
    conclusion: Conclusion = Field(sa_type=Word(Conclusion))
    decided: str
    """What was decided, in the arbitrator's words."""
    buyer_account: str = ""
    merchant_account: str = ""
    """Each side's account as it stood in the arbitration."""
    ruled_by: str = Field(default="", sa_type=code())
    points: int = 0
    effective_at: datetime = Field(sa_type=UTCDateTime)
    recorded_at: datetime = Field(sa_type=UTCDateTime)
    appeal_until: datetime = Field(sa_type=UTCDateTime)
    policy_version: str = Field(sa_type=code(32))
    source: str = Field(sa_type=code(32))
    deduction_fen: int = Field(default=0, sa_type=BigInteger)
    """What stands taken for it: nothing any more once it was reversed, or is another row's."""
    from_deposit_fen: int = Field(default=0, sa_type=BigInteger)
    arrears_fen: int = Field(default=0, sa_type=BigInteger)
    posting: str = Field(default="", sa_type=code(80))
    """Key of the deduction in the books, ``deduction/<number>`` where it came by itself; empty without one."""
    deducted_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """When a deduction that came by itself took effect."""
    voided_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    void_cause: VoidCause | None = Field(default=None, sa_type=Word(VoidCause))
    void_case: str | None = Field(default=None, foreign_key="case.id", sa_type=code())
    merged_into: str | None = Field(default=None, sa_type=code(80))
    """The row that this one has turned out to be one matter with; everything about it is there (ambiguity 32)."""

    @property
    def called(self) -> str:
        """How people outside know it: by the ruling's number, if there is one."""
        return self.number or self.id


class Appeal(SQLModel, table=True):
    """The one appeal a ruling has (ARB-3): the primary key is the ruling, so there is no second."""

    __tablename__ = "appeal"

    ruling_id: str = Field(primary_key=True, foreign_key="ruling.id", sa_type=code(80))
    case_id: str = Field(foreign_key="case.id", unique=True, sa_type=code())
    reason: AppealReason = Field(sa_type=Word(AppealReason))
    admitted_at: datetime = Field(sa_type=UTCDateTime)


class EvidenceSubmission(SQLModel, table=True):
    """That an item was submitted in an appeal, in which round and as what. Written once, never changed."""

    __tablename__ = "evidence_submission"
    __table_args__ = (UniqueConstraint("case_id", "evidence_id", name="uq_evidence_submission"),)

    id: int | None = Field(default=None, primary_key=True)
    case_id: str = Field(foreign_key="case.id", sa_type=code())
    round: int
    evidence_id: str = Field(foreign_key="evidence_item.id", sa_type=code())
    kind: EvidenceKind = Field(sa_type=Word(EvidenceKind))
    sha256: str = Field(sa_type=code(64))
    submitted_at: datetime = Field(sa_type=UTCDateTime)


class EscalationNote(SQLModel, table=True):
    """That the merchant turned elsewhere after losing (ARB-10). A note; it changes nothing (ambiguity 11)."""

    __tablename__ = "escalation_note"

    id: int | None = Field(default=None, primary_key=True)
    case_id: str = Field(foreign_key="case.id", index=True, sa_type=code())
    channel: EscalationChannel = Field(sa_type=Word(EscalationChannel))
    note: str
    noted_at: datetime = Field(sa_type=UTCDateTime)
    origin: str = Field(unique=True, sa_type=code(240))


class MerchantCounter(SQLModel, table=True):
    """What a shop's valid rulings add up to; reckoned anew from the rulings, never counted up or down (ARB-7)."""

    __tablename__ = "merchant_counter"

    shop_id: str = Field(primary_key=True, foreign_key="shop.id", sa_type=code())
    rulings: int = 0
    points: int = 0
    deducted_fen: int = Field(default=0, sa_type=BigInteger)
    recomputed_at: datetime = Field(sa_type=UTCDateTime)


class MoneyReturn(SQLModel, table=True):
    """What was agreed and paid back after a ruling was annulled; one per ruling (ARB-8)."""

    __tablename__ = "money_return"

    ruling_id: str = Field(primary_key=True, foreign_key="ruling.id", sa_type=code(80))
    case_id: str = Field(foreign_key="case.id", sa_type=code())
    handling: Handling = Field(sa_type=Word(Handling))
    to_deposit_fen: int = Field(default=0, sa_type=BigInteger)
    to_receivable_fen: int = Field(default=0, sa_type=BigInteger)
    to_arrears_fen: int = Field(default=0, sa_type=BigInteger)
    by: list[str] = Field(default_factory=list, sa_column=Column(json_type(), nullable=False))
    """Who agreed it and who confirmed it: staff ids, two different people where money moved."""
    at: datetime = Field(sa_type=UTCDateTime)


class CheckItem(Frozen):
    """One line of the checklist: what is expected for the reason given, and by which items it is satisfied."""

    kind: EvidenceKind
    satisfied: bool
    evidence_ids: tuple[str, ...] = ()


class Counters(Frozen):
    """What valid rulings add up to."""

    rulings: int = 0
    points: int = 0
    deducted_fen: int = 0
