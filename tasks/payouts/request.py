"""What is asked: 银行回执核对."""

from __future__ import annotations

from pydantic import Field

from models.requests import Asked


class BankInquiryAsked(Asked):
    """An answer of the bank that contradicts what we know."""

    contradiction: str = Field(title="矛盾记录编号")
