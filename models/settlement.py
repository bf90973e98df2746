"""Settlement: confirmed orders, after-sales, halves of months, and what each shop is paid for a half (STL)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Column, Field, SQLModel

from models.base import Labelled, UTCDateTime, Word, code, json_type


class Settler(Labelled):
    """Who settles a shop's receivables: the one switch."""

    PLATFORM = "PLATFORM", "平台"
    OFFICE = "OFFICE", "店务"


class SettlementSwitch(SQLModel, table=True):
    """From when on who settles a shop. Orders confirmed before belong to whoever settled it then.

    A shop without a row has always been settled by the platform. What the other side still owes stays its own: of what
    is free in our books ``platform_fen`` is for the platform to pay, and is never paid by us.
    """

    __tablename__ = "settlement_switch"

    shop_id: str = Field(primary_key=True, foreign_key="shop.id", sa_type=code())
    since: datetime = Field(primary_key=True, sa_type=UTCDateTime)
    settler: Settler = Field(sa_type=Word(Settler))
    platform_fen: int = Field(default=0, sa_type=BigInteger)
    recorded_at: datetime = Field(sa_type=UTCDateTime)


class SettlementAccount(SQLModel, table=True):
    """Where a shop is paid, as the platform reported it last. The account is sealed; ``fits`` compares it with the shop."""

    __tablename__ = "settlement_account"

    shop_id: str = Field(primary_key=True, foreign_key="shop.id", sa_type=code())
    payee_sealed: str
    payee_masked: str
    payee_sha256: str = Field(sa_type=code(64))
    as_of: datetime = Field(sa_type=UTCDateTime)
    changed_at: datetime = Field(sa_type=UTCDateTime)
    """When it became another one than before, by our clock."""
    fits: bool = True
    """Whether it was in the shop's own name when it was reported or the shop was changed last (REF-5)."""


class HalfState(Labelled):
    OPEN = "OPEN", "收集订单"
    DRAFTING = "DRAFTING", "起草中"
    DRAFTED = "DRAFTED", "待放行"
    SETTLING = "SETTLING", "结算中"
    SETTLED = "SETTLED", "已结算"


class Half(SQLModel, table=True):
    """Half a calendar month in Asia/Shanghai. While it is ``OPEN`` it takes orders; it is settled once, ever."""

    __tablename__ = "settlement_half"

    id: str = Field(primary_key=True, sa_type=code(9))
    """``2026-03-1`` for the 1st to the 15th, ``2026-03-2`` for the rest of the month."""
    state: HalfState = Field(default=HalfState.OPEN, sa_type=Word(HalfState))
    case_id: str | None = Field(default=None, foreign_key="case.id", unique=True, sa_type=code())
    drafts: int = 0
    cursor: str = Field(default="", sa_type=code())
    """The shop up to which the draft, or the settling, has got: where a killed run goes on."""
    last_number: int = 0
    """Of the statements; each has one that is paid something, in the order of the shops."""
    last_payout: int = 0
    """How many orders to pay went to the bank."""
    totals: dict[str, Any] = Field(default_factory=dict, sa_column=Column(json_type(), nullable=False))
    closed_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    drafted_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    released_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    settled_at: datetime | None = Field(default=None, sa_type=UTCDateTime)


class SettlementOrder(SQLModel, table=True):
    """A confirmed order, once ever. Never changed but for ``half``."""

    __tablename__ = "settlement_order"
    __table_args__ = (
        CheckConstraint(
            "goods_fen >= 0 AND subsidy_fen >= 0 AND refund_fen >= 0 AND commission_fen >= 0 AND fee_fen >= 0",
            name="ck_settlement_order_parts",
        ),
        CheckConstraint(
            "net_fen = goods_fen + subsidy_fen - refund_fen - commission_fen - fee_fen", name="ck_settlement_order_net"
        ),
        Index("ix_settlement_order_half", "half", "shop_id"),
        Index(
            "ix_settlement_order_waiting",
            "shop_id",
            sqlite_where=text("half IS NULL"),
            postgresql_where=text("half IS NULL"),
        ),
    )

    id: str = Field(primary_key=True, sa_type=code(80))
    shop_id: str = Field(foreign_key="shop.id", sa_type=code())
    goods_fen: int = Field(sa_type=BigInteger)
    """What the buyer paid for goods and freight."""
    subsidy_fen: int = Field(default=0, sa_type=BigInteger)
    refund_fen: int = Field(default=0, sa_type=BigInteger)
    """What went back to the buyer before the order was confirmed."""
    commission_fen: int = Field(default=0, sa_type=BigInteger)
    fee_fen: int = Field(default=0, sa_type=BigInteger)
    net_fen: int = Field(sa_type=BigInteger)
    confirmed_at: datetime = Field(sa_type=UTCDateTime)
    own_half: str = Field(sa_type=code(9))
    half: str | None = Field(default=None, sa_type=code(9))
    """The half it is settled in: its own, or a later one still open when it came or when its after-sale ended; none
    while an after-sale is open."""
    recorded_at: datetime = Field(sa_type=UTCDateTime)


class Aftersale(SQLModel, table=True):
    """An after-sale of an order, whichever of the two came first; ended once, with what it takes from the shop."""

    __tablename__ = "settlement_aftersale"
    __table_args__ = (
        Index("ix_settlement_aftersale_order", "order_id"),
        Index("ix_settlement_aftersale_half", "half", "shop_id"),
        CheckConstraint(
            "net_fen = commission_back_fen + fee_back_fen - refund_fen - subsidy_back_fen", name="ck_aftersale_net"
        ),
    )

    id: str = Field(primary_key=True, sa_type=code(80))
    order_id: str = Field(sa_type=code(80))
    shop_id: str = Field(foreign_key="shop.id", sa_type=code())
    opened_at: datetime = Field(sa_type=UTCDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    refund_fen: int = Field(default=0, sa_type=BigInteger)
    subsidy_back_fen: int = Field(default=0, sa_type=BigInteger)
    commission_back_fen: int = Field(default=0, sa_type=BigInteger)
    fee_back_fen: int = Field(default=0, sa_type=BigInteger)
    net_fen: int = Field(default=0, sa_type=BigInteger)
    half: str | None = Field(default=None, sa_type=code(9))
    """The half in which what it takes is settled: none before it has ended and its order is known."""
    recorded_at: datetime = Field(sa_type=UTCDateTime)


class SettlementState(Labelled):
    DRAFT = "DRAFT", "草稿"
    PAYING = "PAYING", "打款中"
    PAID = "PAID", "已到账"
    RETURNED = "RETURNED", "银行退回"
    HELD = "HELD", "暂不打款"
    CARRIED = "CARRIED", "负数结转下期"
    NIL = "NIL", "本期无需打款"


class HoldReason(Labelled):
    """Why nothing is paid to a shop although something is left for it."""

    NONE = "", ""
    BANNED = "BANNED", "店铺已强制关店,货款冻结(DED-7)"
    PROPOSED = "PROPOSED", "平台已提议强制关店,决定之前暂不付款(CLS-10)"
    FROZEN = "FROZEN", "平台冻结全部货款(STL-6)"
    CONTRACT = "CONTRACT", "在线合同未签署(STL-5)"
    CONTRADICTION = "CONTRADICTION", "银行回执有矛盾,尚未核清"
    RETURNED = "RETURNED", "上次打款被银行退回,正在处理"
    NO_ACCOUNT = "NO_ACCOUNT", "平台尚未报送收款账户"
    OTHER_NAME = "OTHER_NAME", "收款户名与店铺主体不一致"
    NEW_ACCOUNT = "NEW_ACCOUNT", "收款账户变更未满规定时间"
    FINANCE = "FINANCE", "财务暂缓"
    OLD_FACTS = "OLD_FACTS", "平台经营数据已过期,收到最新数据后并入下期结算(CLS-7)"


class Settlement(SQLModel, table=True):
    """One shop's half: what is due, what is taken from it, what is paid, and what stays. All amounts in fen.

    ``brought_fen + due_fen + carried_in_fen = set_off_fen + kept_fen + paid_fen + left_fen + carried_fen + owed_fen``:
    nothing appears and nothing is lost. ``carried_in_fen``, ``carried_fen`` and ``owed_fen`` are zero or negative.
    """

    __tablename__ = "settlement"
    __table_args__ = (
        UniqueConstraint("half", "shop_id", name="uq_settlement"),
        Index("uq_settlement_number", "number", unique=True),
        Index("uq_settlement_payout", "request_no", unique=True),
        Index("ix_settlement_shop", "shop_id", "state"),
        CheckConstraint(
            "brought_fen + due_fen + carried_in_fen"
            " = set_off_fen + kept_fen + paid_fen + left_fen + carried_fen + owed_fen",
            name="ck_settlement_adds_up",
        ),
        CheckConstraint(
            "brought_fen >= 0 AND set_off_fen >= 0 AND kept_fen >= 0 AND paid_fen >= 0 AND left_fen >= 0"
            " AND carried_in_fen <= 0 AND carried_fen <= 0 AND owed_fen <= 0",
            name="ck_settlement_signs",
        ),
    )

    id: str = Field(primary_key=True, sa_type=code(80))
    """``2026-03-1/<shop id>``."""
    half: str = Field(sa_type=code(9))
    shop_id: str = Field(foreign_key="shop.id", sa_type=code())
    state: SettlementState = Field(default=SettlementState.DRAFT, sa_type=Word(SettlementState))
    number: str | None = Field(default=None, sa_type=code(40))
    """``JS202603-1-000001``: of each that was posted, without gaps within a half."""
    shop_name: str = ""
    orders: int = 0
    aftersales: int = 0
    goods_fen: int = Field(default=0, sa_type=BigInteger)
    subsidy_fen: int = Field(default=0, sa_type=BigInteger)
    refund_fen: int = Field(default=0, sa_type=BigInteger)
    commission_fen: int = Field(default=0, sa_type=BigInteger)
    fee_fen: int = Field(default=0, sa_type=BigInteger)
    due_fen: int = Field(default=0, sa_type=BigInteger)
    """The sum of its orders and after-sales; may be negative."""
    waiting_orders: int = 0
    waiting_fen: int = Field(default=0, sa_type=BigInteger)
    """Orders that an open after-sale keeps out of this half (STL-4)."""
    carried_in_fen: int = Field(default=0, sa_type=BigInteger)
    brought_fen: int = Field(default=0, sa_type=BigInteger)
    """What was free before: left unpaid, thawed, or sent back by the bank."""
    set_off_fen: int = Field(default=0, sa_type=BigInteger)
    """Arrears, first (ambiguity 49)."""
    kept_fen: int = Field(default=0, sa_type=BigInteger)
    """Frozen for statements that are not invoiced (INV-7)."""
    frozen_fen: int = Field(default=0, sa_type=BigInteger)
    """Of what is left: kept back for a freeze the platform reports (STL-6). It stays free in the books."""
    paid_fen: int = Field(default=0, sa_type=BigInteger)
    left_fen: int = Field(default=0, sa_type=BigInteger)
    """What stays with us: held, kept back for the platform's freeze, or sent back by the bank."""
    carried_fen: int = Field(default=0, sa_type=BigInteger)
    owed_fen: int = Field(default=0, sa_type=BigInteger)
    """A negative rest of a shop that is leaving: it became arrears."""
    taken_on: str | None = Field(default=None, sa_type=code(9))
    """The half that has taken over what was left or carried here."""
    hold: HoldReason = Field(default=HoldReason.NONE, sa_type=Word(HoldReason))
    held_reason: str = ""
    held_by: str = Field(default="", sa_type=code(32))
    payee_masked: str = ""
    request_no: str | None = Field(default=None, sa_type=code())
    """The order to the bank that pays it, the last one where it took several."""
    issued_at: datetime | None = Field(default=None, sa_type=UTCDateTime)


class SettlementAnomalyKind(Labelled):
    """What makes finance look twice at a draft."""

    JUMP = "JUMP", "金额骤增"
    DROP = "DROP", "金额骤减"
    NEGATIVE = "NEGATIVE", "应结为负"
    SHOP_CLOSED = "SHOP_CLOSED", "店铺已关闭"


class SettlementAnomaly(SQLModel, table=True):
    """One anomaly of one draft, with the two amounts its sentence speaks of."""

    __tablename__ = "settlement_anomaly"

    settlement_id: str = Field(primary_key=True, foreign_key="settlement.id", sa_type=code(80))
    kind: SettlementAnomalyKind = Field(primary_key=True, sa_type=Word(SettlementAnomalyKind))
    value_fen: int = Field(default=0, sa_type=BigInteger)
    before_fen: int = Field(default=0, sa_type=BigInteger)
