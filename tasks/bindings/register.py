"""The register of bound accounts: who has which account, bound once under lock and index, let go, told (BND)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, assert_never

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from models.binding_events import AccountBound, AccountUnbound
from models.bindings import Binding, BindingCode, BindingEnd, BindingKind
from models.cases import Case, CaseState
from models.outcomes import Refusal
from models.shops import Shop
from notifications import bindings as words
from office.base.db import Tx
from office.cases import merchants
from office.cases.cases import emit, rules
from office.record import audit
from policies import bindings as policy_of_bindings
from policies.binding_numbers import BindingPolicy
from policies.bindings import OBJECTION
from tasks.shops import demands, owed

# ── looking ──────────────────────────────────────────────────────────────────


def of_case(tx: Tx, case: Case) -> Binding:
    """The row of a case, read anew: whoever changes it holds the case's lock."""
    return tx.get_one(Binding, case.id, populate_existing=True)


def in_force(tx: Tx, **only: Any) -> list[Binding]:
    """Bindings in force, oldest first, with these values in their columns."""
    query = select(Binding).where(col(Binding.bound_at).is_not(None), col(Binding.ended_at).is_(None))
    for name, value in only.items():
        query = query.where(getattr(Binding, name) == value)
    return list(tx.exec(query.order_by(col(Binding.bound_at), col(Binding.case_id))))


def said_no_at(tx: Tx, row: Binding) -> datetime | None:
    """When the talent last said no to this shop, or took the consent back."""
    query = (
        select(Binding, Case)
        .join(Case, col(Case.id) == col(Binding.case_id))
        .where(
            Binding.kind == BindingKind.SELF_OPERATED,
            Binding.shop_id == row.shop_id,
            Binding.account_id == row.account_id,
        )
    )
    said = [
        case.concluded_at if case.outcome is CaseState.DECLINED else one.ended_at
        for one, case in tx.exec(query)
        if case.outcome is CaseState.DECLINED or one.ended_how is BindingEnd.CONSENT_WITHDRAWN
    ]
    return max((moment for moment in said if moment is not None), default=None)


def about(row: Binding) -> dict[str, Any]:
    """What every event about a binding says."""
    return {
        "shop_id": row.shop_id,
        "case_id": row.case_id,
        "kind": row.kind,
        "platform": row.platform,
        "target_account_id": row.account_id,
        "target_name": row.account_name,
    }


def named(row: Binding) -> dict[str, str]:
    """What every letter about a binding says."""
    return {"kind": row.kind.label, "platform": row.platform.label, "account": row.shown}


# ── binding ──────────────────────────────────────────────────────────────────


def stands_in_the_way(tx: Tx, row: Binding) -> Refusal | None:
    """Who else has what this would take, as the register stands now."""
    match row.kind:
        case BindingKind.OFFICIAL:
            ours = in_force(tx, kind=row.kind, shop_id=row.shop_id)
            theirs = in_force(tx, kind=row.kind, account_id=row.account_id)
            return policy_of_bindings.refuse_official(
                shop_has=ours[0].shown if ours else None, account_has=theirs[0].shop_id if theirs else None
            )
        case BindingKind.CHANNEL:
            holders = in_force(tx, kind=row.kind, platform=row.platform, account_id=row.account_id)
            return policy_of_bindings.refuse_channel(
                taken=_places(tx, row),
                holder=holders[0].shop_id if holders else None,
                shop_id=row.shop_id,
                policy=numbers(tx, row),
            )
        case BindingKind.SELF_OPERATED:
            holders = in_force(tx, kind=row.kind, account_id=row.account_id)
            return policy_of_bindings.refuse_self_operated(
                holder=holders[0].shop_id if holders else None, shop_id=row.shop_id
            )
        case unknown:
            assert_never(unknown)


def _places(tx: Tx, row: Binding) -> set[int]:
    """The places that the shop's channels have."""
    return {one.place for one in in_force(tx, kind=BindingKind.CHANNEL, shop_id=row.shop_id) if one.place is not None}


def bind(tx: Tx, case: Case, row: Binding, shop: Shop) -> Refusal | None:
    """Bind it, or the reason why not. The shop is locked; whoever else comes at the same moment meets the index."""
    refusal = policy_of_bindings.refuse_shop(row.kind, shop.state) or stands_in_the_way(tx, row)
    if refusal is not None:
        return refusal
    try:
        with tx.begin_nested():
            row.bound_at = tx.now
            if row.kind is BindingKind.CHANNEL:
                row.place = policy_of_bindings.free_place(_places(tx, row), rules(case).bindings)
            tx.add(row)
    except IntegrityError:  # somebody else had it between our look and our write
        tx.refresh(row)
        if (refusal := stands_in_the_way(tx, row)) is None:
            raise
        return refusal
    _tell_bound(tx, case, row, shop, tx.now)
    return None


def _waive_fee(tx: Tx, row: Binding, shop: Shop) -> int:
    """An official account waives the certification fee from now on (BND-4); what of it was asked for until now, in fen."""
    if row.kind is not BindingKind.OFFICIAL:
        return 0
    fee = owed.missing(tx, shop).fee
    shop.official_account = True
    tx.add(shop)
    audit.record(
        tx, f"shop/{shop.id}", "certification.waived", clause="BND-4", public=True, text="已绑定官方账号,免认证审核费"
    )
    demands.look(tx, shop)
    return fee.fen


def _tell_bound(tx: Tx, case: Case, row: Binding, shop: Shop, at: datetime) -> None:
    official, waived_fen = row.kind is BindingKind.OFFICIAL, _waive_fee(tx, row, shop)
    unbinds = policy_of_bindings.unbinds_from(row.kind, at, rules(case).bindings)
    event = AccountBound(
        **about(row),
        bound_at=at,
        for_ever=official,
        unbind_from=unbinds.due if unbinds else None,
        fee_waived=official,
        clause=policy_of_bindings.BOUND_UNDER[row.kind],
    )
    emit(tx, event, f"{case.id}/bound", case)
    told = words.AccountBound(
        shop_name=shop.name,
        case_id=case.id,
        **named(row),
        bound_at=at,
        for_ever=official,
        unbind_from=unbinds.due if unbinds else None,
        waived_fen=waived_fen,
        rule=event.clause,
    )
    merchants.tell(tx, told, f"{case.id}/bound", case=case)


# ── letting go ───────────────────────────────────────────────────────────────


def let_go(tx: Tx, row: Binding, how: BindingEnd, clause: str, actor: str) -> None:
    """End a binding that may end, and tell everybody; the case that bound it says so in its history, too."""
    row.ended_at, row.ended_how = tx.now, how
    tx.add(row)
    case, shop = tx.get_one(Case, row.case_id), tx.get_one(Shop, row.shop_id)
    audit.record(
        tx,
        case.id,
        "account.unbound",
        actor=actor,
        clause=clause,
        public=True,
        text=f"{row.kind.label}已解除:{how.label}",
    )
    emit(tx, AccountUnbound(**about(row), ended_at=tx.now, how=how, clause=clause), f"{case.id}/unbound", case)
    told = words.AccountUnbound(
        shop_name=shop.name,
        case_id=case.id,
        **named(row),
        ended_at=tx.now,
        how=how.label,
        rule=clause,
        objection=OBJECTION,
    )
    merchants.tell(tx, told, f"{case.id}/unbound", case=case)


def forget_codes(tx: Tx, case: Case) -> None:
    """Wipe what was sealed of the codes of a binding that is over: it opens nothing any more."""
    tx.execute(update(BindingCode).where(col(BindingCode.case_id) == case.id).values(code_sealed=""))


def numbers(tx: Tx, row: Binding) -> BindingPolicy:
    """The numbers a binding was promised: those of its case."""
    return rules(tx.get_one(Case, row.case_id)).bindings


def bound_at(row: Binding) -> datetime:
    """Since when it is in force; one that never was is a bug."""
    if row.bound_at is None:
        raise ValueError(f"{row.case_id} has bound nothing")
    return row.bound_at
