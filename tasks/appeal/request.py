"""What is asked: 申诉."""

from __future__ import annotations

from pydantic import Field

from models.arbitration import AppealReason, EvidenceKind
from models.base import Frozen
from models.requests import NOT_SHOWN, Asked


class EvidenceNamed(Frozen):
    """One staged item that came with the appeal."""

    id: str = Field(title="编号")
    kind: EvidenceKind = Field(title="类型")


class AppealAsked(Asked):
    """An appeal as it was filed. ``named`` is the ruling in the sender's words."""

    named: str = Field("", title="申诉对象")
    object: str = Field("", title=NOT_SHOWN)
    account_id: str = Field(title="申请账号")
    reason: AppealReason = Field(title="原因")
    statement: str = Field("", title="申诉陈述")
    evidence: tuple[EvidenceNamed, ...] = Field((), title="随申请提交的凭证")
