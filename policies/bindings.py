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
from policies.shares import Share

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
            code="binding-under-way",
            clause=clause,
            sentence=f"同一绑定正在办理({other_case}),请先完成或撤回后再试。",
        )
    return None


def refuse_shop(kind: BindingKind, shop_state: ShopState) -> Refusal | None:
    """Nothing is bound to a shop that is leaving; to one that is not open yet, its official account only (BND-4, OPN-17)."""
    stays = {ShopState.OPEN, ShopState.AWAITING_DEPOSIT}
    if shop_state in stays or (kind is BindingKind.OFFICIAL and shop_state is ShopState.APPLYING):
        return None
    return Refusal(
        code="shop-not-open", clause=ASKED_UNDER[kind], sentence=f"店铺{shop_state.label},不能绑定{kind.label}。"
    )


def refuse_asking_again(said_no_at: datetime | None, now: datetime, policy: BindingPolicy) -> Refusal | None:
    """A talent who has said no to a shop is left alone for a while (BND-10)."""
    if said_no_at is None:
        return None
    again = reckon(said_no_at, policy.consent_rest, "BND-10").due
    if now.replace(microsecond=0) >= again.replace(microsecond=0):
        return None
    return Refusal(
        code="talent-said-no",
        clause="BND-10",
        sentence=f"该达人已明确不同意,{again.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}(北京时间)起才能再次征询。",
    )


def refuse_official(*, shop_has: str | None, account_has: str | None) -> Refusal | None:
    """One official account for a shop, one shop for an account, for ever (BND-1, BND-3).

    ``shop_has`` is the account bound to the shop, ``account_has`` the shop that the account is bound to.
    """
    if shop_has is not None:
        return Refusal(
            code="shop-has-official",
            clause="BND-1",
            sentence=f"店铺已绑定官方账号 {shop_has},一个店铺只能绑定一个,且不能解绑或更换。",
        )
    if account_has is not None:
        return Refusal(
            code="account-is-official", clause="BND-1", sentence="该抖音号已是其他店铺的官方账号,不能再次绑定。"
        )
    return None


def refuse_channel(
    *, taken: Collection[int], holder: str | None, shop_id: str, policy: BindingPolicy
) -> Refusal | None:
    """So many channels for a shop, and one shop for a channel (BND-5). ``holder`` is the shop that has the account now."""
    if holder is not None:
        whose = "本店" if holder == shop_id else "其他店铺"
        return Refusal(code="channel-taken", clause="BND-5", sentence=f"该账号已是{whose}的渠道号,不能再次绑定。")
    if free_place(taken, policy) is None:
        return Refusal(
            code="channels-full",
            clause="BND-5",
            sentence=f"一个店铺最多绑定 {policy.most_channels} 个渠道号,已满;请先解绑已满期限的渠道号。",
        )
    return None


def refuse_self_operated(*, holder: str | None, shop_id: str) -> Refusal | None:
    """An account is self-operated for one shop (BND-12). ``holder`` is the shop that has it now."""
    if holder is None:
        return None
    whose = "本店" if holder == shop_id else "其他店铺"
    return Refusal(code="self-operated-taken", clause="BND-12", sentence=f"该账号已是{whose}的自营账号,不能再次绑定。")


def refuse_share(share: Share, policy: BindingPolicy) -> Refusal | None:
    """Why a talent cannot be marked: what is known is not enough, or not enough is known (BND-9)."""
    if share.enough:
        return None
    if share.findings:
        said = ";".join(finding.sentence for finding in share.findings)
        return Refusal(code="share-unknown", clause="BND-9", sentence=f"无法核算成交占比:{said}。")
    needed = "达到" if policy.share_inclusive else "超过"
    return Refusal(
        code="share-too-small",
        clause="BND-9",
        sentence=f"近 {policy.share_days} 天本店成交额占该账号总成交额 {share.percent}%,未{needed} {policy.share_percent}%。",
    )


def refuse_code(
    *, sent: int, last_at: datetime | None, to_account: int, now: datetime, policy: BindingPolicy
) -> Refusal | None:
    """Why no further code is sent (BND-7): ``sent`` for this binding, the last at ``last_at``, ``to_account`` in 24 hours."""
    if to_account >= policy.codes_a_day:
        return Refusal(
            code="codes-a-day",
            clause="BND-7",
            sentence=f"该账号 24 小时内最多接收 {policy.codes_a_day} 个验证码,请稍后再试。",
        )
    if sent >= policy.codes:
        return Refusal(
            code="codes-used-up",
            clause="BND-7",
            sentence=f"本次绑定最多获取 {policy.codes} 个验证码,已用完,请重新发起。",
        )
    if last_at is not None and (now - last_at).total_seconds() < policy.code_again_seconds:
        return Refusal(
            code="code-too-soon",
            clause="BND-7",
            sentence=f"请在上一个验证码发出 {policy.code_again_seconds} 秒后再获取。",
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
        code="channel-too-young",
        clause="BND-8",
        sentence=f"渠道号绑定满 {policy.unbind_after.n} 天后才能解绑,最早为 {from_when:%Y-%m-%d %H:%M:%S}(北京时间)。",
    )
