"""Books: double entry. A transfer debits one account and credits another, so every posting balances by shape."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index
from sqlmodel import Field, SQLModel

from models.base import Labelled, UTCDateTime, Word, code
from models.money import MAX_FEN


class AccountKind(Labelled):
    """Kinds of account. Assets grow by debits, everything else by credits; none may go below zero."""

    CASH = "cash", "平台现金"
    ARREARS = "arrears", "商家欠款"
    DEPOSIT = "deposit", "保证金(冻结)"
    RECEIVABLE = "receivable", "待结算货款"
    RECEIVABLE_FROZEN = "receivable-frozen", "冻结货款"
    RECEIVABLE_BANNED = "receivable-banned", "封店冻结货款"
    RECEIVABLE_FREED = "receivable-freed", "封店后解冻货款"
    CLEARING = "clearing", "清算在途"
    COMPENSATION = "compensation", "买家赔付"
    PENALTY = "penalty", "违规扣款"
    FORFEITURE = "forfeiture", "罚没收入"
    SET_OFF = "set-off", "开票抵扣"
    ADVANCE = "advance", "平台垫付"
    CERTIFICATION = "certification", "认证审核费"
    OWN_FUNDS = "own-funds", "平台自有资金"


ASSETS = frozenset({AccountKind.CASH, AccountKind.ARREARS})
OF_PLATFORM = frozenset({AccountKind.OWN_FUNDS})
"""Sources of a payment that are the platform's own, whoever it is about."""


class Account(SQLModel, table=True):
    """One account with its running totals, kept in the transaction of each transfer and proved by ``books check``."""

    __tablename__ = "account"
    __table_args__ = (
        CheckConstraint(
            "(kind IN ('cash', 'arrears') AND debit_fen >= credit_fen)"
            " OR (kind NOT IN ('cash', 'arrears') AND credit_fen >= debit_fen)",
            name="ck_account_never_negative",
        ),
        CheckConstraint("debit_fen >= 0 AND credit_fen >= 0", name="ck_account_totals"),
        Index("ix_account_shop", "shop_id", "kind"),
    )

    id: str = Field(primary_key=True, sa_type=code(120))
    """``shop/<shop id>/deposit`` or ``platform/cash``."""
    shop_id: str | None = Field(default=None, foreign_key="shop.id", sa_type=code())
    kind: AccountKind = Field(sa_type=Word(AccountKind))
    debit_fen: int = Field(default=0, sa_type=BigInteger)
    credit_fen: int = Field(default=0, sa_type=BigInteger)
    tally: str | None = Field(default=None, sa_type=code(200))
    """What we posted to it, sealed: see ``office.money.tallies``."""

    @property
    def balance_fen(self) -> int:
        gap = self.credit_fen - self.debit_fen
        return -gap if self.kind in ASSETS else gap


class Transfer(SQLModel, table=True):
    """An amount that went from one account to another, once per key. Never changed, never deleted."""

    __tablename__ = "transfer"
    __table_args__ = (
        CheckConstraint(f"amount_fen > 0 AND amount_fen <= {MAX_FEN}", name="ck_transfer_amount"),
        CheckConstraint("debit_account <> credit_account", name="ck_transfer_moves"),
        Index("ix_transfer_case", "case_id"),
        Index("ix_transfer_debit", "debit_account", "posted_at"),
        Index("ix_transfer_credit", "credit_account", "posted_at"),
    )

    key: str = Field(primary_key=True, sa_type=code(200))
    """``REF-261122-7K3QM9/payout/1``: the same effect posted again is the same transfer."""
    debit_account: str = Field(foreign_key="account.id", sa_type=code(120))
    credit_account: str = Field(foreign_key="account.id", sa_type=code(120))
    amount_fen: int = Field(sa_type=BigInteger)
    reason: str = Field(sa_type=code(64))
    clause: str = Field(sa_type=code(64))
    case_id: str | None = Field(default=None, foreign_key="case.id", sa_type=code())
    posted_at: datetime = Field(sa_type=UTCDateTime)
    seal: str | None = Field(default=None, sa_type=code(64))
    """Over all of it but the time, with a key that the database does not hold."""


class DepositPayment(SQLModel, table=True):
    """A deposit payment's channel and payer: what a refund must go back to (REF-8, DEP-8). The account is sealed."""

    __tablename__ = "deposit_payment"

    id: str = Field(primary_key=True, sa_type=code())
    """The platform's payment number."""
    shop_id: str = Field(foreign_key="shop.id", index=True, sa_type=code())
    channel: str = Field(sa_type=code(32))
    amount_fen: int = Field(sa_type=BigInteger)
    payer_sealed: str = ""
    payer_name_sealed: str | None = None
    paid_at: datetime = Field(sa_type=UTCDateTime)
