"""Who is taken up: accounts, other applications, bans, and for a shop that opens again its money (OPN-1, REO-1 … REO-5)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sqlmodel import col, select

from models.cases import Case, CaseKind, CaseState, Finding
from models.opening import Part, Stage
from models.outcomes import Refusal
from models.shops import Shop, ShopState
from office.base.db import Tx, in_transaction
from office.cases import cases
from office.cases.cases import rules
from office.cases.merchants import shop_of
from office.record import outbox
from policies import obstacles
from policies import opening as policy_of_opening
from tasks.opening import parts
from tasks.opening.request import OpeningAsked
from tasks.shops import demands, facts, shops, states
from tasks.shops.applications import of_shop

ENDED = (CaseState.LAPSED, CaseState.REJECTED, CaseState.WITHDRAWN)
"""How an application can have ended that is taken up again with what was there."""
AGAIN = timedelta(minutes=5)
"""When a shop that has paid and is kept from opening is looked at again."""


def refusal(tx: Tx, case: Case) -> Refusal | None:
    """Why the application is not taken up, or None when it is."""
    return _again(tx, case) if case.kind is CaseKind.REOPENING else _first(tx, case)


def _first(tx: Tx, case: Case) -> Refusal | None:
    asked = OpeningAsked.of(case)
    running = (
        select(Case)
        .join(Shop, col(Shop.id) == Case.shop_id)
        .where(
            col(Case.kind).in_(parts.KINDS),
            col(Case.concluded_at).is_(None),
            Case.id != case.id,
            Shop.owner_account_id == asked.account_id,
        )
    )
    others = [
        other for other in tx.exec(running.order_by(col(Case.id))) if other.sole or cases.comes_before(other, case)
    ]
    owned = select(Shop.state).where(
        Shop.owner_account_id == asked.account_id,
        Shop.id != case.shop_id,
        col(Shop.state).not_in([ShopState.APPLYING, ShopState.FORCED_CLOSED]),
    )
    states = sorted(map(ShopState, tx.exec(owned)), key=lambda state: state is ShopState.CLOSED)
    return policy_of_opening.refuse_opening(
        asked.entity_type,
        asked.categories,
        asked.account,
        asked.profile,
        asked.other_shops,
        banned=parts.banned(tx, asked.account_id),
        other_application=others[0].id if others else None,
        own_shop=states[0] if states else None,
        policy=rules(case),
    )


def _again(tx: Tx, case: Case) -> Refusal | None:
    asked, shop = OpeningAsked.of(case), shop_of(tx, case)
    states.insist(tx, shop)
    others = [
        other
        for kind in (*parts.KINDS, CaseKind.REFUND)
        for other in cases.open_cases(tx, shop.id, kind, but=case.id)
        if other.sole or cases.comes_before(other, case)
    ]
    refused = policy_of_opening.refuse_reopening(
        asked.account_id,
        shop,
        case.received_at,
        other_case=others[0].id if others else None,
        unrenewed=unrenewed(tx, shop, CaseKind.REOPENING),
        policy=rules(case),
    )
    return refused or policy_of_opening.refuse_account(
        asked.entity_type, asked.categories, asked.account, asked.profile, asked.other_shops, rules(case)
    )


def unrenewed(tx: Tx, shop: Shop, kind: CaseKind) -> bool:
    """Whether the application that this shop is opened by, of this kind, ended before its licence was renewed (OPN-7)."""
    before = of_shop(tx, shop.id) if shop.state is ShopState.AWAITING_DEPOSIT else None
    if before is None or before.kind is not kind or before.outcome not in ENDED:
        return False
    until = parts.licence_until(parts.of_case(tx, before.id))
    over = policy_of_opening.licence_over(until, tx.now)
    return OpeningAsked.of(before).stage is not Stage.DEPOSIT or any(over)


def owed(tx: Tx, shop: Shop) -> list[Finding]:
    """Arrears and settlements not paid out, by the platform's facts and by our books, which block a reopening (REO-4)."""
    known, snapshot = shops.facts_of(tx, shop.id)
    as_of = snapshot.as_of if snapshot else None
    books = shops.book_facts(tx, shop.id)
    found = [
        *obstacles.money_owed(known, as_of, books, tx.now),
        *obstacles.payouts_unsettled(known, as_of, books, tx.now),
    ]
    return [finding.model_copy(update={"clause": "REO-4", "blocking": True}) for finding in found]


def owes(tx: Tx, shop: Shop) -> Refusal | None:
    """Why a shop is not taken up to open again because of its money (REO-4)."""
    found = owed(tx, shop)
    if not found:
        return None
    return Refusal(
        code=found[0].code, clause="REO-4", sentence=f"须无拖欠且周期打款结清后才能重新开店:{found[0].sentence}"
    )


def is_banned(tx: Tx, case: Case) -> bool:
    """Whether the account, the business or the person of an application had a shop that was closed by force (REO-5)."""
    row = parts.find(tx, case.id, Part.ENTITY)
    uscc, identity = (str(row.fields.get("uscc", "")), row.identity_hash) if row else ("", "")
    return parts.banned(tx, OpeningAsked.of(case).account_id, uscc, identity)


def hinders(tx: Tx, case: Case) -> list[Finding]:
    """What came up since the last review and keeps the shop from opening though it has paid (OPN-7, REO-4, REO-5, CLS-10).

    A licence that has run out is asked for again. A shop that opens again needs facts that are new enough: the platform is
    asked for them.
    """
    shop = shop_of(tx, case)
    found = [
        *([policy_of_opening.banned_before(tx.now)] if is_banned(tx, case) else ()),
        *obstacles.ban_proposed(cases.open_by_kind(tx, shop.id, but=case.id, apart=()), tx.now),
        *_licence(tx, case),
    ]
    if case.kind is not CaseKind.REOPENING:
        return found
    _, snapshot = shops.facts_of(tx, shop.id)
    as_of = snapshot.as_of if snapshot else None
    if not facts.fresh(tx, case):
        facts.request(
            tx, case, shop.id, as_of, facts.answer_by(tx, case).due, f"opens/{as_of:%Y%m%d%H%M%S}" if as_of else "opens"
        )
    return [*found, *owed(tx, shop), *obstacles.facts_stale(as_of, tx.now, rules(case), blocking=True)]


def _licence(tx: Tx, case: Case) -> Iterator[Finding]:
    if OpeningAsked.of(case).stage is not Stage.DEPOSIT:
        yield policy_of_opening.renewal_waits(tx.now)
    elif over := [*policy_of_opening.licence_over(parts.licence_until(parts.of_case(tx, case.id)), tx.now)]:
        yield from over
        if case.concluded_at is None:
            outbox.wake(tx, case)


def look_again() -> int:
    """Have shops that have paid open when nothing keeps them from it any more; returns how many were looked at."""

    def held(tx: Tx) -> list[str]:
        query = select(Shop.id).where(Shop.state == ShopState.AWAITING_DEPOSIT, Shop.topup_demanded_fen == 0)
        return list(tx.exec(query.where(col(Shop.deposit_looked_at) <= tx.now - AGAIN).order_by(Shop.id)))

    found = in_transaction(held)
    for shop_id in found:
        in_transaction(lambda tx, one=shop_id: demands.look(tx, shops.find_shop(tx, one)))  # type: ignore[misc]
    return len(found)
