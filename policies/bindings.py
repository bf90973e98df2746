"""Which accounts a shop may bind, how many, and from when it may let go of them (BND)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from models.bindings import BindingKind
from models.outcomes import Refusal
from models.shops import ShopState
from models.windows import Reckoned
from policies.binding_numbers import BindingPolicy
from policies.deadlines import reckon
from policies.policy import SHANGHAI

OBJECTION = "如有异议,请联系平台客服,提供案件编号与账号主页截图,申请复核。"
"""How a merchant objects to what was decided about a binding: there is nothing to appeal against at arbitration."""

ASKED_UNDER = {BindingKind.OFFICIAL: "BND-1", BindingKind.CHANNEL: "BND-7", BindingKind.SELF_OPERATED: "BND-9"}
"""The clause of asking for each kind."""

BOUND_UNDER = {BindingKind.OFFICIAL: "BND-1", BindingKind.CHANNEL: "BND-5", BindingKind.SELF_OPERATED: "BND-9"}
"""The clause under which each kind is bound."""

FOR_EVER = "官方账号绑定后不能解绑,也不能更换。"
"""The warning before the shop's last word, and the answer to whoever wants out (BND-3)."""


def refuse_request(
    kind: BindingKind, *, requester: str, owner: str, shop_state: ShopState, other_case: str | None
) -> Refusal | None:
    """Why a wish to bind is not taken up: not the owner, a shop that is leaving, the same wish under way."""
    clause = ASKED_UNDER[kind]
    if requester != owner:
        return Refusal(code="not-owner", clause=clause, sentence=f"只有店铺的主账号可以绑定{kind.label}。")
    if (refusal := refuse_shop(kind, shop_state)) is not None:
        return refusal
    if other_case is not None:
        return Refusal(
            code="binding-under-way", clause=clause,
            sentence=f"同一绑定正在办理({other_case}),请先完成或撤回后再试。",
        )  # fmt: skip
    return None


def refuse_shop(kind: BindingKind, shop_state: ShopState) -> Refusal | None:
    """Nothing is bound to a shop that is being closed or is closed."""
    if shop_state in {ShopState.OPEN, ShopState.AWAITING_DEPOSIT}:
        return None
    return Refusal(code="shop-leaving", clause=ASKED_UNDER[kind], sentence=f"店铺{shop_state.label},不能再绑定账号。")


def refuse_official(*, shop_has: str | None, account_has: str | None) -> Refusal | None:
    """One official account for a shop, one shop for an account, for ever (BND-1, BND-3).

    ``shop_has`` is the account bound to the shop, ``account_has`` the shop that the account is bound to.
    """
    if shop_has is not None:
        return Refusal(
            code="shop-has-official", clause="BND-1",
            sentence=f"店铺已绑定官方账号 {shop_has},一个店铺只能绑定一个,且不能解绑或更换。",
        )  # fmt: skip
    if account_has is not None:
        return Refusal(
            code="account-is-official", clause="BND-1", sentence="该抖音号已是其他店铺的官方账号,不能再次绑定。"
        )
    return None


def free_place(taken: Collection[int], policy: BindingPolicy) -> int | None:
    """The lowest place that no channel of the shop has; ``None`` when all are taken (BND-5)."""
    return next((place for place in range(1, policy.most_channels + 1) if place not in taken), None)


def unbinds_from(kind: BindingKind, bound_at: datetime, policy: BindingPolicy) -> Reckoned | None:
    """From when a channel may be let go: 180 × 24 h after it was bound, that second included (BND-8).

    ``None`` for what waits for nothing (self-operated, BND-14) and for what never ends (official, BND-3).
    """
    if kind is not BindingKind.CHANNEL:
        return None
    return reckon(bound_at, policy.unbind_after, "BND-8")


def refuse_unbinding(
    kind: BindingKind, bound_at: datetime, asked_at: datetime, policy: BindingPolicy
) -> Refusal | None:
    """Why a binding stays: an official one always (BND-3), a channel until its time is over (BND-8)."""
    if kind is BindingKind.OFFICIAL:
        return Refusal(code="official-for-ever", clause="BND-3", sentence=FOR_EVER)
    allowed = unbinds_from(kind, bound_at, policy)
    if allowed is None or asked_at.replace(microsecond=0) >= allowed.due.replace(microsecond=0):
        return None
    from_when = allowed.due.astimezone(SHANGHAI)
    return Refusal(
        code="channel-too-young", clause="BND-8",
        sentence=f"渠道号绑定满 {policy.unbind_after.n} 天后才能解绑,最早为 {from_when:%Y-%m-%d %H:%M:%S}(北京时间)。",
    )  # fmt: skip
