"""What is asked: 撤销仲裁、判责更正."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from models.arbitration import Party, WithdrawalReason
from models.base import Frozen
from models.requests import NOT_SHOWN, Asked


class Consent(Frozen):
    """The record of the buyer's consent."""

    record: str = Field("", title="记录")
    obtained_at: datetime | None = Field(None, title="取得时间")


class Concerned(Asked):
    """What any case about rulings says of them: an appeal and a correction name one, a withdrawal an arbitration, and
    later those of its rulings with money to be talked about."""

    named: str = Field("", title=NOT_SHOWN)
    object: str = Field("", title=NOT_SHOWN)
    arbitration_id: str = Field("", title=NOT_SHOWN)
    objects: tuple[str, ...] = Field((), title=NOT_SHOWN)


class WithdrawalAsked(Asked):
    """A wish to withdraw an arbitration. ``objects`` are its rulings with money to be talked about."""

    arbitration_id: str = Field(title="仲裁编号")
    reason: WithdrawalReason = Field(title="原因")
    requested_by: Party = Field(title="申请方")
    note: str = Field("", title="说明")
    consent: Consent | None = Field(None, title="买家同意记录")
    documents: tuple[dict[str, Any], ...] = Field((), title=NOT_SHOWN)
    objects: tuple[str, ...] = Field((), title=NOT_SHOWN)


class CorrectionAsked(Asked):
    """A court's judgment against a ruling."""

    named: str = Field("", title="更正对象")
    object: str = Field("", title=NOT_SHOWN)
    court: str = Field(title="法院")
    judgment_no: str = Field(title="案号")
    judged_on: datetime = Field(title="判决日期")
    summary: str = Field("", title="判决摘要")
    proposed_by: str = Field(title="提议人")
    documents: tuple[dict[str, Any], ...] = Field((), title=NOT_SHOWN)
