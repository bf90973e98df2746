"""What is asked: 关店."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from models.closures import ClosureReason
from models.requests import Asked
from models.shops import ShopState
from policies.obstacles import Obstacle


class ClosureAsked(Asked):
    """A merchant's wish to close, and what the approval noted with it."""

    account_id: str = Field(title="申请账号")
    reason: ClosureReason = Field(title="原因")
    reason_text: str = Field("", title="说明")
    written_off: dict[Obstacle, Any] | tuple[Obstacle, ...] = Field((), title="核销事项")
    approved_at: datetime | None = Field(None, title="批准时间")
    shop_before: ShopState | None = Field(None, title="清算前店铺状态")

    @property
    def extents(self) -> dict[str, Any]:
        """What was written off, to which extent; earlier versions kept only what."""
        given = self.written_off if isinstance(self.written_off, dict) else dict.fromkeys(self.written_off, ())
        return {gate.value: extent for gate, extent in given.items()}
