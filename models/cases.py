"""Cases: one request travelling through checks, reviews, effects and messages, under its deadlines."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Column, Field, SQLModel

from models.base import Frozen, Labelled, UTCDateTime, Word, code, json_type


class CaseKind(Labelled):
    """Kinds of case; the value is also the name of the deployment that runs it. ``prefix`` begins its cases' numbers."""

    prefix: str

    def __new__(cls, value: str, label: str = "", prefix: str = "") -> Self:
        member = str.__new__(cls, value)
        member._value_, member.label, member.prefix = value, label, prefix
        return member

    CLOSURE = "closure", "关店", "CLS"
    FORCED_CLOSURE = "forced-closure", "强制关店", "FCL"
    REFUND = "refund", "退保证金", "REF"
    APPEAL = "appeal", "仲裁申诉", "ARB"
    WITHDRAWAL = "arbitration-withdrawal", "撤销仲裁", "WDR"
    CORRECTION = "ruling-correction", "判责更正", "COR"
    INVOICING = "monthly-invoicing", "月度开票", "INV"
    INVOICE_REVIEW = "invoice-review", "发票审核", "IVR"
    HELD_RECEIVABLES = "held-receivables", "封店货款处理", "HLD"
    BANK_INQUIRY = "bank-inquiry", "银行回执核对", "BNK"
    DEPOSIT_DEMAND = "deposit-demand", "保证金催缴", "DEP"
    ACCOUNT_BINDING = "account-binding", "账号绑定", "BND"
    OPENING = "opening", "开店入驻", "OPN"
    REOPENING = "reopening", "重新开店", "REO"
    SETTLEMENT = "settlement", "货款结算", "STL"
    SETTLEMENT_RETURN = "settlement-return", "货款退票处理", "STR"


NEVER_IN_THE_WAY = frozenset({CaseKind.DEPOSIT_DEMAND, CaseKind.ACCOUNT_BINDING, CaseKind.OPENING})
"""Kinds whose open cases keep no shop from leaving: a demand and an opening end when clearing begins, and nothing is bound to who leaves."""


class CaseState(Labelled):
    """Where a case stands, and how it ended. Each kind uses its own few of these words."""

    SUBMITTED = "SUBMITTED", "已提交"
    UNDER_REVIEW = "UNDER_REVIEW", "审核中"
    SECOND_REVIEW = "SECOND_REVIEW", "复核中"
    AWAITING_MERCHANT = "AWAITING_MERCHANT", "待商家补充"
    AWAITING_PAYMENT = "AWAITING_PAYMENT", "待商家缴足"
    PENDING_SCAN = "PENDING_SCAN", "待扫码接受"
    ACCOUNT_ACCEPTED = "ACCOUNT_ACCEPTED", "账号已接受,待店铺确认"
    PENDING_CODE = "PENDING_CODE", "待输入验证码"
    AWAITING_FIGURES = "AWAITING_FIGURES", "待成交数据"
    AWAITING_CONSENT = "AWAITING_CONSENT", "待达人同意"
    CLEARING = "CLEARING", "清算中"
    PAYING = "PAYING", "打款中"
    DRAFTING = "DRAFTING", "起草账单中"
    ISSUING = "ISSUING", "出账中"
    COMPENSATING = "COMPENSATING", "赔付款处理中"
    AWAITING_MATERIALS = "AWAITING_MATERIALS", "待商家提交资料"
    SETTLING = "SETTLING", "结算中"

    REFUSED = "REFUSED", "不予受理"
    REJECTED = "REJECTED", "已驳回"
    LAPSED = "LAPSED", "逾期关闭"
    DECLINED = "DECLINED", "对方未同意"
    BOUND = "BOUND", "已绑定"
    WITHDRAWN = "WITHDRAWN", "已撤回"
    SUPERSEDED = "SUPERSEDED", "已被其他案件取代"
    CLOSED = "CLOSED", "已关店"
    FORCED_CLOSED = "FORCED_CLOSED", "已强制关店"
    DROPPED = "DROPPED", "不予强制关店"
    REFUNDED = "REFUNDED", "已退还"
    ABANDONED = "ABANDONED", "已终止"
    ISSUED = "ISSUED", "已出账"
    ACCEPTED = "ACCEPTED", "已采纳"
    RETURNED = "RETURNED", "已退回"
    UPHELD = "UPHELD", "申诉成立"
    DISMISSED = "DISMISSED", "申诉不成立"
    CLOSED_TIMEOUT = "CLOSED_TIMEOUT", "逾期未举证,已关闭"
    MOOT = "MOOT", "仲裁已撤销,申诉终止"
    ARBITRATION_WITHDRAWN = "ARBITRATION_WITHDRAWN", "仲裁已撤销"
    CORRECTED = "CORRECTED", "判责已更正"
    RELEASED = "RELEASED", "已解冻"
    FORFEITED = "FORFEITED", "已罚没"
    RESOLVED = "RESOLVED", "已核清"
    PAID = "PAID", "已缴足"
    SUSPENDED = "SUSPENDED", "已暂停营业"
    OPENED = "OPENED", "已开店"
    SETTLED = "SETTLED", "已结算"
    PAID_AGAIN = "PAID_AGAIN", "已再次付款"
    DEFERRED = "DEFERRED", "并入下期结算"


class Case(SQLModel, table=True):
    """One case. ``outcome`` is set when it ends, and is then also its ``state``.

    ``received_at`` is when the request reached the door: what counts for every window. ``run_attempt`` numbers
    the Prefect runs that have carried the case (``case/attempt`` is the run's idempotency key).
    """

    __tablename__ = "case"
    __table_args__ = (
        Index("ix_case_shop", "shop_id", "kind"),
        Index("ix_case_open", "concluded_at", "kind"),
        UniqueConstraint("origin", name="uq_case_origin"),
        Index(
            "uq_case_sole",
            "sole",
            unique=True,
            sqlite_where=text("concluded_at IS NULL"),
            postgresql_where=text("concluded_at IS NULL"),
        ),
        CheckConstraint("(concluded_at IS NULL) = (outcome IS NULL)", name="ck_case_outcome"),
    )

    id: str = Field(primary_key=True, sa_type=code())
    kind: CaseKind = Field(sa_type=Word(CaseKind))
    shop_id: str | None = Field(default=None, foreign_key="shop.id", sa_type=code())
    subject: str = ""
    """What the operator reads beside the kind: the shop's name, the period …"""
    state: CaseState = Field(sa_type=Word(CaseState))
    origin: str = Field(sa_type=code(200))
    """The inbox message (``source/message id``) or the schedule that opened it: the same one opens it once."""
    sole: str | None = Field(default=None, sa_type=code(120))
    """What no other open case may have at the same time: an account has one application (OPN-2)."""
    request: dict[str, Any] = Field(sa_column=Column(json_type(), nullable=False))
    """What was asked, without personal data; that part is sealed in ``request_sealed``."""
    request_sealed: str = ""
    policy_version: str = Field(sa_type=code(32))
    received_at: datetime = Field(sa_type=UTCDateTime)
    opened_at: datetime = Field(sa_type=UTCDateTime)
    withdrawn_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    concluded_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    outcome: CaseState | None = Field(default=None, sa_type=Word(CaseState))
    outcome_clause: str | None = Field(default=None, sa_type=code(64))
    outcome_text: str | None = None
    run_id: str | None = Field(default=None, sa_type=code())
    run_attempt: int = 0
    run_seen_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """When a segment of the case's run last began or ended: how a lost run is told from a busy one."""
    restarts: int = 0
    """How often the run was restarted since it last got as far as waiting; too often halts the case."""
    halted: str | None = None
    """Why the case cannot go on by itself; set when restarting it has failed too often, cleared by an operator."""


class Finding(Frozen):
    """What a rule found: the sentence, whether it blocks, its clause, the value and as of when."""

    code: str
    clause: str
    blocking: bool
    sentence: str
    value: int | str | None = None
    as_of: datetime | None = None
    extent: tuple[int, ...] = ()
    """How much it is, in numbers that can be compared: a count, or a count and an amount in fen."""
    items: tuple[str, ...] = ()
    """Which they are, where they can be told apart (penalties, papers, cases): another one is new, whatever the count."""
    final: bool = False
    """Nobody can set it aside, neither one person nor two."""


class CaseFinding(SQLModel, table=True):
    """Findings as a case's check recorded them, in order; kept for the dispute file."""

    __tablename__ = "case_finding"
    __table_args__ = (UniqueConstraint("case_id", "check", "position", name="uq_case_finding"),)

    id: int | None = Field(default=None, primary_key=True)
    case_id: str = Field(foreign_key="case.id", sa_type=code())
    check: str = Field(sa_type=code())
    position: int
    recorded_at: datetime = Field(sa_type=UTCDateTime)
    finding: dict[str, Any] = Field(sa_column=Column(json_type(), nullable=False))


class WaitState(Labelled):
    OPEN = "OPEN", "等待中"
    ANSWERED = "ANSWERED", "已答复"
    LAPSED = "LAPSED", "逾期未答复"
    CANCELLED = "CANCELLED", "已取消"


class CaseWait(SQLModel, table=True):
    """What a case waits for besides a review: the merchant, facts, the bank. A wait ends once."""

    __tablename__ = "case_wait"
    __table_args__ = (UniqueConstraint("case_id", "key", name="uq_case_wait"), Index("ix_case_wait_state", "state"))

    id: int | None = Field(default=None, primary_key=True)
    case_id: str = Field(foreign_key="case.id", sa_type=code())
    key: str = Field(sa_type=code())
    kind: str = Field(sa_type=code(32))
    """``merchant``, ``facts``, ``bank``, ``evidence``: who or what is awaited."""
    question: str = ""
    """What the merchant was asked, in Chinese; empty when it is not the merchant who is awaited."""
    opened_at: datetime = Field(sa_type=UTCDateTime)
    state: WaitState = Field(default=WaitState.OPEN, sa_type=Word(WaitState))
    closed_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    answer: dict[str, Any] | None = Field(default=None, sa_column=Column(json_type(), nullable=True))


class Side(Labelled):
    """Whose silence a deadline measures. Ours is escalated, the merchant's closes a window."""

    MERCHANT = "MERCHANT", "商家"
    PLATFORM = "PLATFORM", "平台"


class DeadlineState(Labelled):
    OPEN = "OPEN", "计时中"
    MET = "MET", "已满足"
    LAPSED = "LAPSED", "已逾期"
    CANCELLED = "CANCELLED", "已取消"


class CaseDeadline(SQLModel, table=True):
    """A due time with the clause it comes from and the proof of how it was reckoned.

    ``next_action_at`` is the one column the sweep looks at: the next reminder, or the due time itself.
    ``LAPSED`` on the platform's side means late and escalated; the case goes on.
    """

    __tablename__ = "case_deadline"
    __table_args__ = (
        UniqueConstraint("case_id", "key", name="uq_case_deadline"),
        Index("ix_case_deadline_next", "next_action_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    case_id: str = Field(foreign_key="case.id", sa_type=code())
    key: str = Field(sa_type=code())
    """``refund-due``, ``review/closure/1/1``, ``merchant/1``: unique within the case."""
    kind: str = Field(sa_type=code(32))
    """Which messages it sends: the name of an entry in ``office.cases.deadlines.KINDS``."""
    side: Side = Field(sa_type=Word(Side))
    clause: str = Field(sa_type=code(64))
    started_at: datetime = Field(sa_type=UTCDateTime)
    due_at: datetime = Field(sa_type=UTCDateTime)
    reckoned: dict[str, Any] = Field(sa_column=Column(json_type(), nullable=False))
    provisional: bool = False
    state: DeadlineState = Field(default=DeadlineState.OPEN, sa_type=Word(DeadlineState))
    closed_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    next_action_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    reminders: list[str] = Field(default_factory=list, sa_column=Column(json_type(), nullable=False))
    """Reminder times still to come, ISO 8601 in UTC, soonest first."""
    escalations: int = 0


class Effect(SQLModel, table=True):
    """That an effect has happened, and what it returned. Written in the transaction of the effect itself."""

    __tablename__ = "effect"

    key: str = Field(primary_key=True, sa_type=code(200))
    """``case id/effect name/arguments``."""
    case_id: str = Field(foreign_key="case.id", index=True, sa_type=code())
    at: datetime = Field(sa_type=UTCDateTime)
    result: Any = Field(default=None, sa_column=Column(json_type(), nullable=True))
