"""Payouts: an instruction to the bank with a request number that never changes, and the permit it needs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint, false
from sqlmodel import Field, SQLModel

from models.base import Frozen, Labelled, UTCDateTime, Word, code
from models.books import AccountKind
from models.money import Fen, Money


class PayeeMethod(Labelled):
    """Where a deposit can go back to (REF-3, REF-5, REF-8)."""

    CORPORATE_ACCOUNT = "CORPORATE_ACCOUNT", "对公账户"
    BANK_CARD = "BANK_CARD", "银行卡"
    ALIPAY = "ALIPAY", "支付宝"
    WECHAT = "WECHAT", "微信支付"


class Payee(Frozen):
    """Who gets the money. Holds a full account number: only ever in memory or sealed."""

    method: PayeeMethod
    name: str
    account_no: str
    bank_name: str = ""

    @property
    def masked(self) -> str:
        """What a form, a message or an artifact may show: ``对公账户 尾号 1234``."""
        return f"{self.method.label} {self.tail}"

    @property
    def tail(self) -> str:
        """The last four characters, and never more than half of a short account: ``尾号 1234``."""
        shown = min(4, len(self.account_no) // 2)
        return f"尾号 {self.account_no[len(self.account_no) - shown :]}"

    def __repr__(self) -> str:
        return f"Payee({self.masked})"

    __str__ = __repr__


class Order(Frozen):
    """An amount for a payee: what one permit allows and one instruction to the bank says.

    ``covered_by_fen`` is for an amount that nobody may read yet: that much is booked and shown in its place, and the
    amount itself lies sealed with the payee until the payout is revealed.
    """

    payee: Payee
    fen: Fen
    covered_by_fen: Fen = 0

    @property
    def amount(self) -> Money:
        """What is booked, and what may be shown."""
        return Money(fen=self.covered_by_fen or self.fen)


class PayoutState(Labelled):
    REQUESTED = "REQUESTED", "已提交银行"
    SETTLED = "SETTLED", "已到账"
    FAILED = "FAILED", "银行拒付"
    RETURNED = "RETURNED", "退票"


class Payout(SQLModel, table=True):
    """One instruction to the bank about a case's money, with its own request number, permit and outcome.

    ``shop_id`` is whose money it is, or whom it is about; ``source`` the account it is taken from. A case pays in turns:
    all instructions of a ``turn`` leave together, to different accounts. What comes back is paid by the next turn.
    ``attempt`` numbers the instructions of the case (``…-P1``, ``…-P2``); versions that knew one account per case had a
    turn for each.
    """

    __tablename__ = "payout"
    __table_args__ = (
        UniqueConstraint("case_id", "attempt", name="uq_payout_attempt"),
        CheckConstraint("amount_fen > 0", name="ck_payout_amount"),
    )

    request_no: str = Field(primary_key=True, sa_type=code())
    case_id: str = Field(foreign_key="case.id", sa_type=code())
    shop_id: str | None = Field(default=None, foreign_key="shop.id", index=True, sa_type=code())
    attempt: int
    turn: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    permit_id: str = Field(foreign_key="permit.id", unique=True, sa_type=code())
    amount_fen: int = Field(sa_type=BigInteger)
    """What is booked; of an amount that nobody may read yet, what covers it."""
    covered: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    """Whether the amount itself still lies sealed with the payee."""
    payee_sealed: str
    payee_masked: str
    source: AccountKind = Field(
        default=AccountKind.DEPOSIT, sa_type=Word(AccountKind), sa_column_kwargs={"server_default": "deposit"}
    )
    """The account that the money is taken from, and goes back to when the bank does not pay it."""
    state: PayoutState = Field(default=PayoutState.REQUESTED, sa_type=Word(PayoutState))
    requested_at: datetime = Field(sa_type=UTCDateTime)
    answered_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    bank_reason: str = ""


class Permit(SQLModel, table=True):
    """The single-use right to move one amount to one payee, given by reviews and checked again when used."""

    __tablename__ = "permit"
    __table_args__ = (UniqueConstraint("case_id", "attempt", name="uq_permit_attempt"),)

    id: str = Field(primary_key=True, sa_type=code())
    case_id: str = Field(foreign_key="case.id", sa_type=code())
    attempt: int
    amount_fen: int = Field(sa_type=BigInteger)
    payee_sha256: str = Field(sa_type=code(64))
    granted_by: str
    """Staff ids, joined by a comma: one or two people."""
    granted_at: datetime = Field(sa_type=UTCDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UTCDateTime)


class Contradiction(Labelled):
    """How an answer of the bank contradicts what we know (ambiguity 38)."""

    STATE = "STATE", "先后回执不一致"
    AMOUNT = "AMOUNT", "回执金额与指令不符"
    UNKNOWN = "UNKNOWN", "没有该请求号的指令"
    SHOP = "SHOP", "回执的店铺与指令不符"


class BankContradiction(SQLModel, table=True):
    """An answer of the bank that contradicts the instruction or its first answer. The first answer stands in the books.

    While it is open nothing more is paid out for its shop; a case of its own (``inquiry_id``) asks people for the
    bank's proof, and their verdict ends it. Answers about numbers that we never gave share one.
    """

    __tablename__ = "bank_contradiction"
    __table_args__ = (
        Index("ix_bank_contradiction_inquiry", "inquiry_id"),
        Index("ix_bank_contradiction_open", "closed_at", "shop_id"),
    )

    id: str = Field(primary_key=True, sa_type=code())
    inquiry_id: str = Field(foreign_key="case.id", sa_type=code())
    request_no: str = Field(index=True, sa_type=code())
    case_id: str | None = Field(default=None, foreign_key="case.id", sa_type=code())
    """The case whose money it is about; none when the number names none of ours."""
    shop_id: str | None = Field(default=None, foreign_key="shop.id", sa_type=code())
    kind: Contradiction = Field(sa_type=Word(Contradiction))
    stood: PayoutState | None = Field(default=None, sa_type=Word(PayoutState))
    """What the books said when it came."""
    said: PayoutState = Field(sa_type=Word(PayoutState))
    amount_fen: int = Field(sa_type=BigInteger)
    bank_at: datetime = Field(sa_type=UTCDateTime)
    bank_reason: str = ""
    received_at: datetime = Field(sa_type=UTCDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    verdict: str | None = Field(default=None, sa_type=code(32))
    closed_by: str | None = Field(default=None, sa_type=code(80))
    """Staff ids, joined by a comma: two people."""
