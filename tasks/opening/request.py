"""What is asked: 开店入驻, 重新开店."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from models.opening import Profile, Stage
from models.opening_events import AccountState, OtherShop
from models.requests import NOT_SHOWN, Asked
from models.shops import EntityType


class OpeningAsked(Asked):
    """An application, where it stands, and what has to be brought again."""

    account_id: str = Field(title="申请账号")
    owner_name: str = Field("", title="申请人")
    entity_type: EntityType = Field(title="主体类型")
    categories: tuple[str, ...] = Field(title="类目")
    own_trademark: bool = Field(False, title="自有商标")
    profile: Profile = Field(Profile.STANDARD, title="入驻方式")
    account: AccountState = Field(title=NOT_SHOWN)
    other_shops: tuple[OtherShop, ...] = Field((), title=NOT_SHOWN)
    official_account: bool = Field(False, title="已绑定官方账号")
    before: str = Field("", title="上一件申请")
    stage: Stage = Field(Stage.MATERIALS, title="当前步骤")
    asked_again: dict[str, str] = Field(default_factory=dict, title=NOT_SHOWN)
    """What a reviewer wants again → why; taken out when it comes."""
    documents: tuple[dict[str, Any], ...] = Field((), title=NOT_SHOWN)
