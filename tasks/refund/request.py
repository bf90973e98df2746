"""What is asked: 退保证金."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from models.requests import NOT_SHOWN, Asked


class RefundAsked(Asked):
    """An application. ``amount_fen`` is what was applied for, ``target_fen`` what is due in the end; the payee is masked."""

    account_id: str = Field(title="申请账号")
    amount_fen: int = Field(title="申请金额")
    payee: str = Field(title="收款账户")
    target_fen: int | None = Field(None, title="应退金额")
    documents: tuple[dict[str, Any], ...] = Field((), title=NOT_SHOWN)
