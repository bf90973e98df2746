"""Accounts bound to shops: official, channel and self-operated, one row from the wish to the end (BND)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from models.base import Labelled, UTCDateTime, Word, code


class BindingKind(Labelled):
    """What an account is to a shop."""

    OFFICIAL = "OFFICIAL", "官方账号"
    CHANNEL = "CHANNEL", "渠道号"
    SELF_OPERATED = "SELF_OPERATED", "自营账号"


class AccountPlatform(Labelled):
    """Where an account is at home; official and self-operated ones are Douyin's (BND-6)."""

    TOUTIAO_XIGUA = "TOUTIAO_XIGUA", "今日头条/西瓜"
    DOUYIN = "DOUYIN", "抖音"
    HUOSHAN = "HUOSHAN", "火山"


class BindingEnd(Labelled):
    """How a binding ended. An official one never does (BND-3)."""

    UNBOUND = "UNBOUND", "店铺解绑"
    MARKED_SELLING = "MARKED_SELLING", "店铺标记为带货"
    CONSENT_WITHDRAWN = "CONSENT_WITHDRAWN", "达人撤回同意"


def _once(kind: BindingKind, name: str, *columns: str) -> Index:
    """These columns are once only among the bindings of a kind that are in force."""
    while_in_force = text(f"kind = '{kind.value}' AND bound_at IS NOT NULL AND ended_at IS NULL")
    return Index(name, *columns, unique=True, sqlite_where=while_in_force, postgresql_where=while_in_force)


class Binding(SQLModel, table=True):
    """The register: what a case is about to bind, has bound, and until when. In force: bound and not ended.

    What may be there once only is there once by index, whoever comes at the same moment; an official binding that
    ends is refused by the database itself.
    """

    __tablename__ = "binding"
    __table_args__ = (
        _once(BindingKind.OFFICIAL, "uq_binding_official_shop", "shop_id"),
        _once(BindingKind.OFFICIAL, "uq_binding_official_account", "account_id"),
        _once(BindingKind.CHANNEL, "uq_binding_channel_place", "shop_id", "place"),
        _once(BindingKind.CHANNEL, "uq_binding_channel", "platform", "account_id"),
        _once(BindingKind.SELF_OPERATED, "uq_binding_self_operated", "account_id"),
        Index("ix_binding_shop", "shop_id", "kind"),
        Index("ix_binding_account", "account_id"),
        CheckConstraint("kind <> 'OFFICIAL' OR ended_at IS NULL", name="ck_binding_official_for_ever"),
        CheckConstraint("ended_at IS NULL OR bound_at IS NOT NULL", name="ck_binding_bound_before_it_ends"),
        CheckConstraint("bound_at IS NULL OR account_id IS NOT NULL", name="ck_binding_of_an_account"),
        CheckConstraint("kind <> 'CHANNEL' OR bound_at IS NULL OR place > 0", name="ck_binding_channel_has_a_place"),
    )

    case_id: str = Field(primary_key=True, foreign_key="case.id", sa_type=code())
    shop_id: str = Field(foreign_key="shop.id", sa_type=code())
    kind: BindingKind = Field(sa_type=Word(BindingKind))
    platform: AccountPlatform = Field(sa_type=Word(AccountPlatform))
    account_id: str | None = Field(default=None, sa_type=code())
    """The account; of an official one it is fixed when somebody scans the link."""
    account_name: str = ""
    ticket_hash: str | None = Field(default=None, unique=True, sa_type=code())
    """The official link's secret, as a keyed hash: what is in the link opens the handshake and stands nowhere else."""
    place: int | None = None
    """Of a channel: which of the shop's few places it takes (BND-5)."""
    bound_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    ended_how: BindingEnd | None = Field(default=None, sa_type=Word(BindingEnd))

    @property
    def in_force(self) -> bool:
        return self.bound_at is not None and self.ended_at is None

    @property
    def shown(self) -> str:
        """The account as people read it: ``晨光文具官方号(dy-77)``."""
        return f"{self.account_name}({self.account_id})" if self.account_name else self.account_id or ""


class BindingCode(SQLModel, table=True):
    """A code that was sent to an account, sealed until it was entered or another one counts; then it is wiped (BND-7)."""

    __tablename__ = "binding_code"
    __table_args__ = (
        CheckConstraint("tries >= 0", name="ck_binding_code_tries"),
        Index("ix_binding_code_sent", "sent_at"),
    )

    case_id: str = Field(primary_key=True, foreign_key="binding.case_id", sa_type=code())
    number: int = Field(primary_key=True)
    code_sealed: str = ""
    sent_at: datetime = Field(sa_type=UTCDateTime)
    expires_at: datetime = Field(sa_type=UTCDateTime)
    tries: int = 0
    """How often it was entered wrongly."""
