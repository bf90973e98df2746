"""Account binding (账号绑定): a shop wants an account, the account's side agrees, the register has it.

    official:  link (30 min) ─ scanned, accepted ─▶ shop confirms, warned (24 h) ─▶ BOUND for ever
                 └── silence ─▶ LAPSED, declined ─▶ DECLINED ◀──── silence ──┘
    at any time until bound: withdrawn ─▶ WITHDRAWN        not allowed, or somebody else has it ─▶ REFUSED

Rules and numbers:       policies/bindings.py         BND-1 … BND-15
What the merchant reads: notifications/bindings.py
When nobody answers:     flows/deadlines.py
"""

from __future__ import annotations

from typing import assert_never

from flows.story import story
from flows.waiting import wait_for
from models.bindings import BindingKind
from models.cases import CaseKind, WaitState
from tasks.bindings import official, steps


@story(
    CaseKind.ACCOUNT_BINDING, "账号绑定:官方账号扫码绑定后不能解绑;渠道号凭验证码;自营账号须达人同意(BND-1 至 BND-15)。"
)
def bind_account(case_id: str) -> None:
    """Take one wish to bind an account to its end. What was bound lives on in the register when the case has ended."""
    match steps.admit(case_id):
        case None:
            return
        case BindingKind.OFFICIAL:
            agreed = agree(case_id, official.issue_link(case_id)) and agree(case_id, official.ask_shop(case_id))
        case BindingKind.CHANNEL | BindingKind.SELF_OPERATED:
            raise NotImplementedError
        case unknown:
            assert_never(unknown)
    if agreed:
        steps.bind(case_id)


def agree(case_id: str, key: str) -> bool:
    """Whether what is awaited comes; the case ends when it does not, or is a no."""
    if wait_for(case_id, key) is WaitState.ANSWERED:
        return True
    steps.end(case_id, key)
    return False
