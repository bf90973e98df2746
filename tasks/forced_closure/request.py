"""What is asked: 强制关店、封店货款处理."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from models.requests import NOT_SHOWN, Asked


class ForcedClosureAsked(Asked):
    """A proposal of the platform."""

    proposal_id: str = Field(title="提议编号")
    violation: str = Field(title="违规事项")
    clause: str = Field(title="依据条款")
    description: str = Field("", title="情况说明")
    proposed_by: str = Field(title="提议人")
    documents: tuple[dict[str, Any], ...] = Field((), title=NOT_SHOWN)


class HeldReceivablesAsked(Asked):
    """What a ban has frozen."""

    ban: str = Field("", title="强制关店案件")
    proposed_by: str = Field("", title="提议人")
