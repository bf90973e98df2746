"""Account binding (账号绑定): a shop wants an account, the account's side agrees, the register has it.

    official:  link (30 min) ─ scanned, accepted ─▶ shop confirms, warned (24 h) ─▶ BOUND for ever
                 └── silence ─▶ LAPSED, declined ─▶ DECLINED ◀──── silence ──┘
    channel:   code to the account (5 min, 5 tries, 3 codes, 60 min) ─ entered ─▶ BOUND, five at most, for 180 days at least
                 └── silence ─▶ LAPSED, used up ─▶ REFUSED
    self-operated:  share of 30 days ─ days missing ─▶ asked for (48 h) ─ silence ─▶ LAPSED
                      └── more than half ─▶ the talent is asked (7 days) ─ yes ─▶ BOUND, no ─▶ DECLINED, silence ─▶ LAPSED
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
from tasks.bindings import channel, official, self_operated, steps
from tasks.bindings.self_operated import Known


@story(
    CaseKind.ACCOUNT_BINDING,
    "账号绑定：官方账号扫码绑定后不能解绑；渠道号凭验证码；自营账号须达人同意（BND-1 至 BND-15）。",
)
def bind_account(case_id: str) -> None:
    """Take one wish to bind an account to its end. What was bound lives on in the register when the case has ended."""
    match steps.admit(case_id):
        case None:
            return
        case BindingKind.OFFICIAL:
            agreed = agree(case_id, official.issue_link(case_id)) and agree(case_id, official.ask_shop(case_id))
        case BindingKind.CHANNEL:
            key = channel.send_code(case_id)
            agreed = key is not None and agree(case_id, key)
        case BindingKind.SELF_OPERATED:
            agreed = reckoned(case_id) and agree(case_id, self_operated.ask_talent(case_id))
        case unknown:
            assert_never(unknown)
    if agreed:
        steps.bind(case_id)


def reckoned(case_id: str) -> bool:
    """Whether the shop's share is known to be enough; what is missing is asked for once, and waited for."""
    match self_operated.reckon(case_id, 1):
        case Known.ENOUGH:
            return True
        case Known.REFUSED:
            return False
        case Known.INCOMPLETE:
            came = agree(case_id, self_operated.ask_figures(case_id))
            return came and self_operated.reckon(case_id, 2) is Known.ENOUGH
        case unknown:
            assert_never(unknown)


def agree(case_id: str, key: str) -> bool:
    """Whether what is awaited comes; the case ends when it does not, or is a no."""
    if wait_for(case_id, key) is WaitState.ANSWERED:
        return True
    steps.end(case_id, key)
    return False
