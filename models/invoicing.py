"""Invoicing: billable items, months, statements, invoices, and every move of money that not invoicing causes."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Column, Field, SQLModel

from models.base import Labelled, UTCDateTime, Word, code, json_type


class BillableCategory(Labelled):
    """What a platform subsidy was for (INV-5). ``CARRIED`` is ours: what a negative statement left over."""

    COUPON = "COUPON", "平台券补贴"
    LIVESTREAM = "LIVESTREAM", "直播推广补贴"
    FREIGHT = "FREIGHT", "运费补贴"
    CAMPAIGN = "CAMPAIGN", "活动服务补贴"
    OTHER = "OTHER", "其他补贴"
    CARRIED = "CARRIED", "上期负数结转"


class PeriodState(Labelled):
    OPEN = "OPEN", "收集明细"
    DRAFTING = "DRAFTING", "起草中"
    DRAFTED = "DRAFTED", "待放行"
    ISSUING = "ISSUING", "出账中"
    ISSUED = "ISSUED", "已出账"


class Period(SQLModel, table=True):
    """One calendar month in Asia/Shanghai. While it is ``OPEN`` it takes items; it is issued once, ever."""

    __tablename__ = "invoice_period"

    id: str = Field(primary_key=True, sa_type=code(7))
    """``2026-10``."""
    state: PeriodState = Field(default=PeriodState.OPEN, sa_type=Word(PeriodState))
    case_id: str | None = Field(default=None, foreign_key="case.id", unique=True, sa_type=code())
    drafts: int = 0
    """How often it was drafted: 1, and one more for each time finance asked for a new draft."""
    cursor: str = Field(default="", sa_type=code())
    """The shop up to which the current draft has got: where a killed run goes on."""
    last_number: int = 0
    totals: dict[str, Any] = Field(default_factory=dict, sa_column=Column(json_type(), nullable=False))
    """Control totals of the finished draft, as shown to finance."""
    closed_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    drafted_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    released_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    issued_at: datetime | None = Field(default=None, sa_type=UTCDateTime)


class BillableItem(SQLModel, table=True):
    """A platform subsidy settled to a shop, or a signed correction of one. Never changed but for ``period``."""

    __tablename__ = "billable_item"
    __table_args__ = (
        CheckConstraint("amount_fen <> 0", name="ck_billable_amount"),
        Index("ix_billable_period", "period", "shop_id"),
    )

    id: str = Field(primary_key=True, sa_type=code(80))
    shop_id: str = Field(foreign_key="shop.id", index=True, sa_type=code())
    category: BillableCategory = Field(sa_type=Word(BillableCategory))
    amount_fen: int = Field(sa_type=BigInteger)
    corrects: str | None = Field(default=None, sa_type=code(80))
    description: str = ""
    settled_at: datetime = Field(sa_type=UTCDateTime)
    own_period: str = Field(sa_type=code(7))
    """The month it was settled in."""
    period: str = Field(sa_type=code(80))
    """The month it is billed in: its own, or the next one still open when it came; ``exit/<case>`` for an exit."""
    recorded_at: datetime = Field(sa_type=UTCDateTime)


class StatementState(Labelled):
    DRAFT = "DRAFT", "草稿"
    HELD = "HELD", "暂缓出账"
    ISSUED = "ISSUED", "待开票"
    OVERDUE = "OVERDUE", "逾期未开票"
    INVOICED = "INVOICED", "已开票"
    AUTO_DEDUCTED = "AUTO_DEDUCTED", "已自动扣款"
    CARRIED = "CARRIED", "负数结转下期"
    NIL = "NIL", "本期无需开票"


class Statement(SQLModel, table=True):
    """What one shop has to invoice for one month. ``next_action_at`` is the one column the sweep looks at.

    What is still open is ``total_fen - invoiced_fen``; ``pending_fen`` of it lies with an invoice clerk and came in
    time. ``share_fen`` is what ought to be frozen or set off now, ``frozen_fen`` and ``set_off_fen`` what is.
    """

    __tablename__ = "statement"
    __table_args__ = (
        UniqueConstraint("period", "shop_id", name="uq_statement"),
        Index("uq_statement_number", "number", unique=True),
        Index("ix_statement_next", "next_action_at"),
        Index("ix_statement_shop", "shop_id", "state"),
        CheckConstraint(
            "invoiced_fen >= 0 AND pending_fen >= 0 AND frozen_fen >= 0 AND set_off_fen >= 0 AND share_fen >= 0",
            name="ck_statement_amounts",
        ),
        CheckConstraint(
            "(invoiced_fen = 0 AND pending_fen = 0) OR invoiced_fen + pending_fen <= total_fen",
            name="ck_statement_cover",
        ),
        CheckConstraint(
            "(number IS NULL) = (state IN ('DRAFT', 'HELD', 'CARRIED', 'NIL'))", name="ck_statement_number"
        ),
    )

    id: str = Field(primary_key=True, sa_type=code(150))
    """``2026-10/<shop id>`` or ``exit/<closure case>/<shop id>``."""
    period: str = Field(sa_type=code(80))
    shop_id: str = Field(foreign_key="shop.id", sa_type=code())
    number: str | None = Field(default=None, sa_type=code(40))
    """``ZD202610-000001``: without gaps within a month."""
    state: StatementState = Field(default=StatementState.DRAFT, sa_type=Word(StatementState))
    total_fen: int = Field(sa_type=BigInteger)
    items: int = 0
    taxpayer_type: str = Field(default="", sa_type=code(32))
    shop_name: str = ""
    seller_name: str = ""
    seller_tax_no: str = Field(default="", sa_type=code(32))
    year: int
    """The calendar year its fees were incurred in, for exit invoices (INV-9)."""
    invoiced_fen: int = Field(default=0, sa_type=BigInteger)
    pending_fen: int = Field(default=0, sa_type=BigInteger)
    share_fen: int = Field(default=0, sa_type=BigInteger)
    frozen_fen: int = Field(default=0, sa_type=BigInteger)
    set_off_fen: int = Field(default=0, sa_type=BigInteger)
    auto: bool = False
    """Whether the share is set off instead of frozen: the shop's switch as it stood when the statement fell due."""
    moves: int = 0
    """How many moves of money it has caused: the number of the last one's key."""
    issued_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    due_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    next_action_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    held_reason: str = ""
    held_by: str = Field(default="", sa_type=code(32))

    @property
    def open_fen(self) -> int:
        """What no accepted invoice covers yet."""
        return max(self.total_fen - self.invoiced_fen, 0)


class StatementLine(SQLModel, table=True):
    """One category of one statement, by the month the subsidies were settled in."""

    __tablename__ = "statement_line"

    statement_id: str = Field(primary_key=True, foreign_key="statement.id", sa_type=code(150))
    category: BillableCategory = Field(primary_key=True, sa_type=Word(BillableCategory))
    own_period: str = Field(primary_key=True, sa_type=code(7))
    amount_fen: int = Field(sa_type=BigInteger)
    items: int


class AnomalyKind(Labelled):
    """What makes finance look twice at a draft."""

    JUMP = "JUMP", "金额骤增"
    DROP = "DROP", "金额骤减"
    NEGATIVE = "NEGATIVE", "金额为负"
    NO_TAX_IDENTITY = "NO_TAX_IDENTITY", "缺少纳税人信息"
    SHOP_CLOSED = "SHOP_CLOSED", "店铺已关闭"
    DUPLICATE = "DUPLICATE", "疑似重复明细"


class StatementAnomaly(SQLModel, table=True):
    """One anomaly of one draft, with the two amounts its sentence speaks of."""

    __tablename__ = "statement_anomaly"

    statement_id: str = Field(primary_key=True, foreign_key="statement.id", sa_type=code(150))
    kind: AnomalyKind = Field(primary_key=True, sa_type=Word(AnomalyKind))
    value_fen: int = Field(default=0, sa_type=BigInteger)
    before_fen: int = Field(default=0, sa_type=BigInteger)


class DocumentState(Labelled):
    QUEUED = "QUEUED", "待生成"
    READY = "READY", "已生成"


class StatementDocument(SQLModel, table=True):
    """The printable statement: queued when it is issued, written by the sweep or when somebody asks for it."""

    __tablename__ = "statement_document"
    __table_args__ = (Index("ix_statement_document_state", "state"),)

    statement_id: str = Field(primary_key=True, foreign_key="statement.id", sa_type=code(150))
    state: DocumentState = Field(default=DocumentState.QUEUED, sa_type=Word(DocumentState))
    sha256: str = Field(default="", sa_type=code(64))
    rendered_at: datetime | None = Field(default=None, sa_type=UTCDateTime)


class InvoiceKind(Labelled):
    """增值税专用发票 or 普通发票 (INV-2 to INV-4)."""

    SPECIAL = "SPECIAL", "增值税专用发票"
    ORDINARY = "ORDINARY", "增值税普通发票"


class IssueMode(Labelled):
    SELF = "SELF", "自行开具"
    TAX_BUREAU_AGENT = "TAX_BUREAU_AGENT", "税务机关代开"


class InvoiceContent(Labelled):
    """服务类 or 货物类 (INV-5, INV-6)."""

    SERVICE = "SERVICE", "服务类"
    GOODS = "GOODS", "货物类"


class InvoiceState(Labelled):
    IN_REVIEW = "IN_REVIEW", "人工审核中"
    ACCEPTED = "ACCEPTED", "已采纳"
    RETURNED = "RETURNED", "已退回"
    REVERSED = "REVERSED", "已红冲"


class Invoice(SQLModel, table=True):
    """An invoice as a merchant sent it, once per submission. A number can be live only once, over all shops."""

    __tablename__ = "invoice"
    __table_args__ = (
        Index(
            "uq_invoice_live",
            "number",
            "invoice_code",
            unique=True,
            sqlite_where=text("state IN ('ACCEPTED', 'REVERSED')"),
            postgresql_where=text("state IN ('ACCEPTED', 'REVERSED')"),
        ),
        Index("ix_invoice_number", "number"),
        CheckConstraint("gross_fen > 0 AND reversed_fen >= 0 AND reversed_fen <= gross_fen", name="ck_invoice_amount"),
    )

    id: str = Field(primary_key=True, sa_type=code(200))
    """The message that brought it: ``source/message id``."""
    shop_id: str = Field(foreign_key="shop.id", index=True, sa_type=code())
    number: str = Field(sa_type=code(20))
    invoice_code: str = Field(default="", sa_type=code(12))
    state: InvoiceState = Field(sa_type=Word(InvoiceState))
    kind: InvoiceKind = Field(sa_type=Word(InvoiceKind))
    issued_on: date
    gross_fen: int = Field(sa_type=BigInteger)
    tax_fen: int = Field(sa_type=BigInteger)
    reversed_fen: int = Field(default=0, sa_type=BigInteger)
    fields: dict[str, Any] = Field(sa_column=Column(json_type(), nullable=False))
    """Everything as submitted, without the evidence's bytes."""
    evidence: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(json_type(), nullable=False))
    case_id: str | None = Field(default=None, foreign_key="case.id", sa_type=code())
    received_at: datetime = Field(sa_type=UTCDateTime)
    decided_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    decided_by: str = Field(default="", sa_type=code(64))
    """``rules`` or ``staff/<id>``."""


class InvoiceAllocation(SQLModel, table=True):
    """How much of an invoice covers which statement. A red letter takes from ``amount_fen`` what it undoes."""

    __tablename__ = "invoice_allocation"
    __table_args__ = (
        Index("ix_invoice_allocation_statement", "statement_id"),
        CheckConstraint("amount_fen >= 0", name="ck_invoice_allocation"),
    )

    invoice_id: str = Field(primary_key=True, foreign_key="invoice.id", sa_type=code(200))
    statement_id: str = Field(primary_key=True, foreign_key="statement.id", sa_type=code(150))
    amount_fen: int = Field(sa_type=BigInteger)
    in_time: bool
    """Received by the statement's due time: while a clerk looks at it, nothing of it is frozen."""


class RedLetter(SQLModel, table=True):
    """A red-letter invoice, once per number and code: what it undid of which invoice."""

    __tablename__ = "red_letter"

    number: str = Field(primary_key=True, sa_type=code(20))
    invoice_code: str = Field(default="", primary_key=True, sa_type=code(12))
    invoice_id: str = Field(foreign_key="invoice.id", index=True, sa_type=code(200))
    amount_fen: int = Field(sa_type=BigInteger)
    received_at: datetime = Field(sa_type=UTCDateTime)


class MoveKind(Labelled):
    FREEZE = "FREEZE", "冻结货款"
    RELEASE = "RELEASE", "解冻货款"
    SET_OFF = "SET_OFF", "自动扣款"
    RETURN = "RETURN", "退回扣款"


class StatementMove(SQLModel, table=True):
    """Money moved because of one statement; its key is that of the ledger's transfer. Never changed.

    ``uninvoiced_fen`` and ``share_fen`` are what they were then; a move of 0 fen says that a freeze fell due and no
    receivable was there, and has no transfer.
    """

    __tablename__ = "statement_move"
    __table_args__ = (Index("ix_statement_move", "statement_id"),)

    key: str = Field(primary_key=True, sa_type=code(200))
    """``statement/<id>/<n>``."""
    statement_id: str = Field(foreign_key="statement.id", sa_type=code(150))
    shop_id: str = Field(foreign_key="shop.id", sa_type=code())
    kind: MoveKind = Field(sa_type=Word(MoveKind))
    amount_fen: int = Field(sa_type=BigInteger)
    uninvoiced_fen: int = Field(sa_type=BigInteger)
    share_fen: int = Field(sa_type=BigInteger)
    held_fen: int = Field(sa_type=BigInteger)
    """Frozen or set off in all, after this move."""
    at: datetime = Field(sa_type=UTCDateTime)


class ExitState(Labelled):
    OPEN = "OPEN", "待开票"
    FULFILLED = "FULFILLED", "已开齐"
    WAIVED = "WAIVED", "已豁免"


class ExitObligation(SQLModel, table=True):
    """What a closing shop has to invoice of its calendar year (CLS-8, INV-9); one per closure."""

    __tablename__ = "exit_obligation"

    case_id: str = Field(primary_key=True, foreign_key="case.id", sa_type=code())
    shop_id: str = Field(foreign_key="shop.id", index=True, sa_type=code())
    year: int
    state: ExitState = Field(default=ExitState.OPEN, sa_type=Word(ExitState))
    opened_fen: int = Field(sa_type=BigInteger)
    opened_at: datetime = Field(sa_type=UTCDateTime)
    due_at: datetime = Field(sa_type=UTCDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    waived_by: str = Field(default="", sa_type=code(32))
    waived_fen: int | None = Field(default=None, sa_type=BigInteger)
    """What was open when it was waived; what comes on top is not covered. ``None`` where nobody noted it: all is."""
    waived_reported_fen: int | None = Field(default=None, sa_type=BigInteger)
    """The same of what the platform reported."""
    reported_fen: int = Field(default=0, sa_type=BigInteger)
    """What the platform reported as not invoiced when the duty was looked at last."""
    reason: str = ""
