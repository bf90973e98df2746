"""What is asked: 货款结算、货款退票处理."""

from __future__ import annotations

from pydantic import Field

from models.requests import NOT_SHOWN, Asked


class HalfAsked(Asked):
    """Half a month that is over, as ``2026-03-1``."""

    half: str = Field(title="结算期")


class ReturnAsked(Asked):
    """A payment of receivables that the bank did not make or sent back."""

    settlement: str = Field(title=NOT_SHOWN)
    number: str = Field(title="结算单编号")
    amount_fen: int = Field(title="退回金额")
    request_no: str = Field(title="付款请求号")
