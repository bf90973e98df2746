"""Opening a shop: who is taken up, what is missing, what a reviewer has to see (OPN-1 … OPN-19, REO-1 … REO-5)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal

from models.cases import Finding
from models.event_parts import DocumentKind
from models.opening import Need, Part, Profile, Stage, ThirdPartyPlatform
from models.opening_events import AccountState, OtherShop
from models.outcomes import Refusal
from models.shops import EntityType, Shop, ShopState
from models.text import has_text
from models.windows import in_words
from policies.closure import may_reopen, reopen_from
from policies.deposit import NotRecruiting, required_deposit
from policies.invoice_checks import uscc_trouble
from policies.opening_numbers import OpeningPolicy
from policies.policy import SHANGHAI, Policy
from policies.text import normalise_name

COST_HINTS = (
    "营业执照可自行到当地市场监管部门免费办理,委托代办一般约 200 元(OPN-19)。",
    "货款一般 7 至 10 天回流,起步资金大致需要 2 万元,供参考,不作为入驻条件(OPN-19)。",
    "蓝V认证本身不收费;企业认证审核费 600 元一年,绑定官方账号后免缴,与保证金无关(OPN-17)。",
)
"""What people ask about money: shown, and no condition of anything."""


# ── who is taken up ──────────────────────────────────────────────────────────


def refuse_opening(
    entity: EntityType,
    categories: Collection[str],
    account: AccountState,
    profile: Profile,
    other_shops: Collection[OtherShop],
    *,
    banned: bool,
    other_application: str | None,
    own_shop: ShopState | None,
    policy: Policy,
) -> Refusal | None:
    """Why an application is not taken up, or None when it is.

    ``banned`` whether the account or the business was closed by force before; ``own_shop`` the state of a shop the
    account has already; ``other_application`` the case of another application of the account.
    """
    if banned:
        return _refusal("banned", "REO-5", "该账号或主体名下有店铺因违规被强制关闭,不能再次开店。")
    if other_application is not None:
        return _refusal(
            "application-under-way",
            "OPN-2",
            f"该账号已有一件入驻申请正在办理({other_application}),一个账号同时只能有一件,请等待其结果。",
        )
    if own_shop is ShopState.CLOSED:
        return _refusal("closed-shop", "REO-2", "该账号名下有已关闭的店铺,请用原账号申请重新开店,无需另行入驻。")
    if own_shop is not None:
        return _refusal("own-shop", "OPN-2", f"该账号名下已有店铺(状态为“{own_shop.label}”),不能重复入驻。")
    return refuse_account(entity, categories, account, profile, other_shops, policy)


def refuse_account(
    entity: EntityType,
    categories: Collection[str],
    account: AccountState,
    profile: Profile,
    other_shops: Collection[OtherShop],
    policy: Policy,
) -> Refusal | None:
    """What about the account or the categories keeps it from opening a shop under today's conditions (OPN-1, REO-3)."""
    numbers = policy.opening
    try:
        required_deposit(entity, categories, policy)
    except NotRecruiting as refusal:
        return _refusal("not-recruiting", refusal.clause, refusal.sentence)
    if not account.real_name:
        return _refusal("no-real-name", "OPN-18", "抖音账号尚未完成实名认证,请完成后重新申请。")
    if entity in numbers.blue_v_of and not account.blue_v:
        return _refusal(
            "no-blue-v", "OPN-1", f"{entity.label}开店须先完成企业认证并获得蓝V标识,蓝V认证本身不收费(OPN-17)。"
        )
    if account.fans < numbers.least_fans:
        return _refusal("too-few-fans", "OPN-18", f"账号粉丝数须达到 {numbers.least_fans},目前为 {account.fans}。")
    if not account.active:
        return _refusal("not-active", "OPN-18", "账号活跃度不足,请保持更新后重新申请。")
    if not account.compliant:
        return _refusal("not-compliant", "OPN-18", "账号发布的内容有不符合规定之处,请整改后重新申请。")
    if profile is Profile.LEGACY_THIRD_PARTY_SHOP:
        return refuse_legacy(account, other_shops, numbers)
    return None


def refuse_legacy(account: AccountState, other_shops: Collection[OtherShop], numbers: OpeningPolicy) -> Refusal | None:
    """The old route: fans, and a shop elsewhere whose every rating is high enough (OPN-14, ambiguity 47).

    The level is asked of Taobao shops only, and "or more" includes the number.
    """
    if not numbers.legacy_third_party_shop:
        return _refusal("legacy-closed", "OPN-14", "第三方平台店铺入驻通道目前未开放,请选择普通入驻。")
    if account.fans < numbers.legacy_fans:
        return _refusal("legacy-fans", "OPN-14", f"该通道要求粉丝 {numbers.legacy_fans} 以上,目前为 {account.fans}。")
    if not any(_good_elsewhere(shop, numbers) for shop in other_shops):
        names = "、".join(platform.label for platform in numbers.legacy_platforms)
        return _refusal(
            "legacy-shop",
            "OPN-14",
            f"该通道要求有{names}店铺,各项评分均在 {numbers.legacy_rating} 以上,"
            f"淘宝店铺等级在 {numbers.legacy_diamonds} 钻以上。",
        )
    return None


def _good_elsewhere(shop: OtherShop, numbers: OpeningPolicy) -> bool:
    if shop.platform not in numbers.legacy_platforms or not shop.ratings:
        return False
    level = shop.platform is not ThirdPartyPlatform.TAOBAO or shop.diamonds >= numbers.legacy_diamonds
    return level and all(Decimal(rating) >= numbers.legacy_rating for rating in shop.ratings)


def refuse_reopening(
    requester: str, shop: Shop, asked_at: datetime, *, other_case: str | None, unrenewed: bool = False, policy: Policy
) -> Refusal | None:
    """Why a shop is not opened again, before money and today's conditions are looked at (REO-1, REO-2, REO-5).

    ``asked_at`` is when the request reached the door: what counts for the six months. ``unrenewed``: its last application
    passed its reviews and ended without another licence in place of one that had run out; it is made once more (OPN-7).
    """
    if requester != shop.owner_account_id:
        return _refusal("not-original-account", "REO-2", "须用关店时的原账号申请重新开店,请用原账号登录后再提交。")
    if shop.state is ShopState.FORCED_CLOSED:
        return _refusal("forced-closed", "REO-5", "店铺因违规被强制关闭,不能重新开店。")
    if not (shop.state is ShopState.CLOSED or unrenewed) or shop.closed_at is None:
        return _refusal("not-closed", "REO-1", f"店铺当前状态为“{shop.state.label}”,关店后才能申请重新开店。")
    if other_case is not None:
        return _refusal("under-way", "REO-2", f"该店铺已有一件申请正在办理({other_case}),请等待其结果,无需重复提交。")
    if not may_reopen(asked_at, shop.closed_at, policy):
        earliest = reopen_from(shop.closed_at, policy).astimezone(SHANGHAI)
        return _refusal(
            "too-early",
            "REO-1",
            f"距离关店未满{in_words(policy.closure.reopen)},{earliest:%Y-%m-%d %H:%M:%S}(北京时间)起可以申请重新开店。",
        )
    return None


def _refusal(code: str, clause: str, sentence: str) -> Refusal:
    return Refusal(code=code, clause=clause, sentence=sentence)


# ── what is missing ──────────────────────────────────────────────────────────

_PART_CLAUSES = {
    Part.BASICS: "OPN-3",
    Part.ENTITY: "OPN-8",
    Part.TRAINING: "OPN-5",
    Part.ACCOUNT: "OPN-10",
    Part.LINKS: "OPN-11",
}
_PAPER_CLAUSES = {
    DocumentKind.BUSINESS_LICENCE: "OPN-4",
    DocumentKind.TRADEMARK: "OPN-4",
    DocumentKind.CERTIFICATE_FORM: "OPN-9",
    DocumentKind.LOGO: "OPN-11",
}


def clause_of(what: Part | DocumentKind) -> str:
    """The clause that asks for it: OPN-7 has the list of papers."""
    return _PART_CLAUSES[what] if isinstance(what, Part) else _PAPER_CLAUSES.get(what, "OPN-7")


def asked_in(
    stage: Stage, entity: EntityType, categories: Collection[str], own_trademark: bool, numbers: OpeningPolicy
) -> tuple[Part | DocumentKind, ...]:
    """What a stage asks for, in order: by entity type, and conditional papers where their condition holds (OPN-4, OPN-7)."""
    match stage:
        case Stage.MATERIALS:
            papers = list(numbers.papers[entity])
            if own_trademark:
                papers.append(DocumentKind.TRADEMARK)
            if set(categories) & set(numbers.licensed_categories):
                papers.append(DocumentKind.INDUSTRY_LICENCE)
            return (Part.BASICS, Part.ENTITY, *papers, Part.TRAINING)
        case Stage.CERTIFICATE:
            return (DocumentKind.CERTIFICATE_FORM, Part.ACCOUNT)
        case Stage.FINISHING:
            return (DocumentKind.LOGO, Part.LINKS)
        case Stage.TRANSFER | Stage.DEPOSIT:
            return ()


def missing(
    wanted: Collection[Part | DocumentKind],
    given: Collection[Part],
    readable: Collection[str],
    asked_again: Mapping[str, str],
) -> tuple[Need, ...]:
    """What is still missing of what is ``wanted``: not here, or asked for again with the reason by whoever reviewed it.

    ``readable`` are the kinds of paper of which a file is here; a name without a file is nothing (ambiguity 26).
    """
    again = tuple(named(what) for what in asked_again if what not in {one.value for one in wanted})
    here = {part.value for part in given} | set(readable)
    return tuple(
        Need(what=one.value, label=one.label, clause=clause_of(one), why=asked_again.get(one.value, ""))
        for one in (*wanted, *again)
        if one.value in asked_again or one.value not in here
    )


def named(what: str) -> Part | DocumentKind:
    return Part(what) if what in list(Part) else DocumentKind(what)


def read_items(text: str) -> tuple[dict[str, str], list[str]]:
    """What a reviewer asks for again, a line each (``营业执照:已过期``): what → reason, and the lines nobody can read."""
    words = {one.label: one.value for one in (*Part, *DocumentKind)}
    found: dict[str, str] = {}
    unread: list[str] = []
    for line in filter(None, (line.strip() for line in text.splitlines())):
        label, colon, reason = line.replace("：", ":").partition(":")
        what = words.get(label.strip())
        if what is None or not colon or not has_text(reason, 2):
            unread.append(line)
        else:
            found[what] = reason.strip()
    return found, unread


# ── the random transfer ──────────────────────────────────────────────────────

_AMOUNT = re.compile(r"(?:人民币|CNY|RMB|¥)?(\d{1,7}(?:\.\d{1,4})?)(?:元|块|CNY|RMB)?", re.IGNORECASE)


def read_amount(text: str) -> int | None:
    """The amount in fen that somebody typed, however wide and with whatever sign of money; ``None`` for anything else.

    A part of a fen is no amount (``0.375``), zeros behind one change nothing (``0.370``).
    """
    folded = "".join(unicodedata.normalize("NFKC", text).split())
    found = _AMOUNT.fullmatch(folded)
    fen = Decimal(found[1]) * 100 if found else Decimal("0.5")
    return int(fen) if fen == fen.to_integral_value() else None


def pick_amount(numbers: OpeningPolicy, last: int | None, chance: Callable[[int], int]) -> int:
    """An amount in fen that is not ``last``, each of the others as likely (OPN-10). ``chance(n)`` gives one of 0 … n-1."""
    amounts = [fen for fen in range(numbers.transfer_least_fen, numbers.transfer_most_fen + 1) if fen != last]
    return amounts[chance(len(amounts))]


# ── what a reviewer has to see ───────────────────────────────────────────────

_PREFIX = {EntityType.ENTERPRISE: "91", EntityType.INDIVIDUAL_BUSINESS: "92"}


def banned_before(now: datetime) -> Finding:
    """That who wants to open had a shop that was closed by force (REO-5)."""
    sentence = "该主体或法人名下有店铺因违规被强制关闭,不能开店。"
    return _found("banned", "REO-5", sentence, now, blocking=True, final=True)


def licence_over(until: date | None, now: datetime) -> Iterator[Finding]:
    """That a licence has run out by itself: it is good to the end of its last day, whoever approved it before (OPN-7)."""
    if until is not None and until < now.astimezone(SHANGHAI).date():
        yield _found("licence_over", "OPN-7", f"营业执照已于 {until} 到期。", now, blocking=True)


def renewal_waits(now: datetime) -> Finding:
    """That a licence which ran out was asked for again, and nobody has reviewed the one that came (OPN-7)."""
    return _found("renewal", "OPN-7", "换发的营业执照尚未提交或审核通过。", now, blocking=True)


def entity_findings(
    entity: EntityType,
    licence_name: str,
    uscc: str,
    licence_until: date | None,
    *,
    name_taken: bool,
    banned: bool,
    same_business: int,
    now: datetime,
) -> Iterator[Finding]:
    """What the rules find about the entity and the name (OPN-3, OPN-8, REO-5); ``banned`` is nobody's to set aside."""
    if banned:
        yield banned_before(now)
    if name_taken:
        yield _found("name_taken", "OPN-3", "店铺名称已被其他店铺或申请使用,请商家更换。", now, blocking=True)
    if entity is EntityType.PERSON:
        return
    if not normalise_name(licence_name):
        yield _found("no_licence_name", "OPN-8", "没有填写营业执照名称。", now, blocking=True)
    if not uscc:
        yield _found("no_uscc", "OPN-8", "没有填写统一社会信用代码。", now, blocking=True)
    elif trouble := uscc_trouble(uscc):
        yield _found("uscc", "OPN-8", trouble, now)
    if len(uscc) == 18 and not uscc.startswith(_PREFIX[entity]):
        yield _found(
            "uscc_kind", "OPN-8", f"信用代码以 {uscc[:2]} 开头,与主体类型「{entity.label}」通常不符,请核对证照。", now
        )
    yield from licence_over(licence_until, now)
    if same_business:
        yield _found("same_business", "OPN-8", f"同一信用代码名下另有 {same_business} 家未关闭的店铺。", now)


def _found(
    code: str, clause: str, sentence: str, now: datetime, *, blocking: bool = False, final: bool = False
) -> Finding:
    return Finding(code=code, clause=clause, blocking=blocking, sentence=sentence, as_of=now, final=final)
