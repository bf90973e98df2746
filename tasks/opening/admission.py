"""Who is taken up: accounts, other applications, bans, and for a shop that opens again its money (OPN-1, REO-1 … REO-5)."""

from __future__ import annotations

from sqlmodel import col, select

from models.cases import Case, CaseKind, Finding
from models.outcomes import Refusal
from models.shops import Shop, ShopState
from office.base.db import Tx
from office.cases import cases
from office.cases.cases import rules
from office.cases.merchants import shop_of
from policies import obstacles
from policies import opening as policy_of_opening
from tasks.opening import parts
from tasks.opening.request import OpeningAsked
from tasks.shops import shops, states


def refusal(tx: Tx, case: Case) -> Refusal | None:
    """Why the application is not taken up, or None when it is."""
    return _again(tx, case) if case.kind is CaseKind.REOPENING else _first(tx, case)


def _first(tx: Tx, case: Case) -> Refusal | None:
    asked = OpeningAsked.of(case)
    running = select(Case).join(Shop, col(Shop.id) == Case.shop_id).where(
        col(Case.kind).in_(parts.KINDS), col(Case.concluded_at).is_(None), Case.id != case.id,
        Shop.owner_account_id == asked.account_id,
    )  # fmt: skip
    others = [
        other for other in tx.exec(running.order_by(col(Case.id))) if other.sole or cases.comes_before(other, case)
    ]
    owned = select(Shop.state).where(
        Shop.owner_account_id == asked.account_id, Shop.id != case.shop_id,
        col(Shop.state).not_in([ShopState.APPLYING, ShopState.FORCED_CLOSED]),
    )  # fmt: skip
    states = sorted(map(ShopState, tx.exec(owned)), key=lambda state: state is ShopState.CLOSED)
    return policy_of_opening.refuse_opening(
        asked.entity_type, asked.categories, asked.account, asked.profile, asked.other_shops,
        banned=parts.banned(tx, asked.account_id), other_application=others[0].id if others else None,
        own_shop=states[0] if states else None, policy=rules(case),
    )  # fmt: skip


def _again(tx: Tx, case: Case) -> Refusal | None:
    asked, shop = OpeningAsked.of(case), shop_of(tx, case)
    states.insist(tx, shop)
    others = [
        other for kind in (*parts.KINDS, CaseKind.REFUND) for other in cases.open_cases(tx, shop.id, kind, but=case.id)
        if other.sole or cases.comes_before(other, case)
    ]  # fmt: skip
    refused = policy_of_opening.refuse_reopening(
        asked.account_id, shop, case.received_at, other_case=others[0].id if others else None, policy=rules(case)
    )
    return refused or policy_of_opening.refuse_account(
        asked.entity_type, asked.categories, asked.account, asked.profile, asked.other_shops, rules(case)
    )  # fmt: skip


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
