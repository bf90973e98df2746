"""What is asked: 账号绑定."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from models.bindings import AccountPlatform, BindingKind
from models.requests import Asked


class BindingAsked(Asked):
    """A merchant's wish to bind an account. Which one an official account becomes, the register says (``binding``)."""

    account_id: str = Field(title="申请账号")
    kind: BindingKind = Field(title="绑定类型")
    platform: AccountPlatform = Field(AccountPlatform.DOUYIN, title="账号平台")
    target_account_id: str = Field("", title="绑定账号")
    target_name: str = Field("", title="账号名称")
    first_day: date | None = Field(None, title="统计首日")
    last_day: date | None = Field(None, title="统计末日")
