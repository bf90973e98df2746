"""Events about channel accounts: asked for, a code sent to the account, and the code entered (BND-5 to BND-7)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, StringConstraints

from models.accounts import bare
from models.binding_events import ABOUT, CASE, AboutBinding
from models.bindings import AccountPlatform
from models.wire import Event, Id, Moment, OptionalLine, inbound, outbound

Code = Annotated[
    str,
    BeforeValidator(bare, json_schema_input_type=str),
    StringConstraints(strict=True, pattern=r"^[0-9]{6}$"),
    Field(
        repr=False, description="six digits; blanks and full-width signs are taken away; never logged, sealed at rest"
    ),
]


@inbound
class ChannelRequested(Event):
    """店铺申请绑定渠道号(BND-5、BND-6、BND-7)

    ``account.code.issued`` answers with a code that the platform sends to the account; the shop, logged in to it, enters it.
    """

    type: ClassVar[str] = "account.channel_requested"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "account_id": "acct-1001",
        "platform": "TOUTIAO_XIGUA",
        "target_account_id": "tt-7002",
        "target_name": "晨光好物",
    }

    shop_id: Id
    account_id: Id
    platform: AccountPlatform
    target_account_id: Id
    target_name: OptionalLine = ""


@inbound
class CodeEntered(Event):
    """店铺输入验证码(BND-7)

    Only the newest code counts, to the last second of its time. ``account.code.checked`` says how many tries are left;
    a text that is no code is refused here and costs none.
    """

    type: ClassVar[str] = "account.code_entered"
    EXAMPLE: ClassVar[dict[str, Any]] = CASE | {"code": "402917"}

    shop_id: Id
    account_id: Id
    case_id: Id
    code: Code


@inbound
class CodeRequested(Event):
    """店铺重新获取验证码(BND-7)

    The code before it counts no more. There are few of them for a binding and for an account, and a minute lies between two.
    """

    type: ClassVar[str] = "account.code_requested"
    EXAMPLE: ClassVar[dict[str, Any]] = CASE

    shop_id: Id
    account_id: Id
    case_id: Id


@outbound
class CodeIssued(AboutBinding):
    """渠道号验证码(BND-7)

    To be sent to the account, and shown to nobody else. Good until ``expires_at``, that second included; ``number`` counts
    the codes of this binding, of which only the newest is good.
    """

    type: ClassVar[str] = "account.code.issued"
    EXAMPLE: ClassVar[dict[str, Any]] = ABOUT | {
        "kind": "CHANNEL",
        "code": "402917",
        "number": 1,
        "expires_at": "2026-11-22T02:05:00Z",
    }

    code: Code
    number: int
    expires_at: Moment


@outbound
class CodeChecked(AboutBinding):
    """验证码核对结果(BND-7)

    What became of an entered code, and how many tries it and how many codes this binding have left.
    """

    type: ClassVar[str] = "account.code.checked"
    EXAMPLE: ClassVar[dict[str, Any]] = ABOUT | {
        "kind": "CHANNEL",
        "right": False,
        "number": 1,
        "tries_left": 4,
        "codes_left": 2,
    }

    right: bool
    number: int
    tries_left: int
    codes_left: int
