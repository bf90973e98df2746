"""Permits: the right to pay one amount to one payee, given by people and used once (REF-8)."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlmodel import col, func, select

from models.base import new_id
from models.cases import Case
from models.payouts import Order, Payee, Payout, Permit
from office.base.db import Tx
from office.base.vault import keyed_hash
from office.record import audit
from tasks.payouts.sources import pays


def payee_hash(payee: Payee) -> str:
    return keyed_hash(json.dumps(payee.model_dump(mode="json"), sort_keys=True, ensure_ascii=False))


def grant(tx: Tx, case: Case, orders: Sequence[Order], granted_by: list[str]) -> list[Permit]:
    """Give the single-use rights to pay each of these amounts to its payee: one for each instruction."""
    permits, clause = [], pays(case).permitted_under or pays(case).clause
    for attempt, order in enumerate(orders, start=_next_attempt(tx, case.id)):
        permit = Permit(
            id=new_id("PM", tx.now),
            case_id=case.id,
            attempt=attempt,
            amount_fen=order.amount.fen,
            payee_sha256=payee_hash(order.payee),
            granted_by=",".join(granted_by),
            granted_at=tx.now,
        )
        tx.add(permit)
        tx.flush()
        audit.record(
            tx,
            case.id,
            "payout.permitted",
            clause=clause,
            permit=permit.id,
            by=granted_by,
            text=f"已批准打款{shown(order)} 至 {order.payee.masked}",
            amount_fen=order.amount.fen,
        )
        permits.append(permit)
    return permits


def shown(order: Order) -> str:
    """The amount as anybody may read it."""
    return "(金额保密)" if order.covered_by_fen else f" {order.amount}"


def _next_attempt(tx: Tx, case_id: str) -> int:
    return int(tx.exec(select(func.max(Permit.attempt)).where(Permit.case_id == case_id)).one() or 0) + 1


def revoke(tx: Tx, case: Case) -> None:
    """Take back the permits that were not used: what they were given for is no longer so."""
    for permit in unused(tx, case.id):
        tx.delete(permit)
        tx.flush()
        audit.record(
            tx,
            case.id,
            "payout.permit_revoked",
            clause=pays(case).permitted_under or pays(case).clause,
            text="事实发生变化,打款许可已收回",
            permit=permit.id,
        )


def unused(tx: Tx, case_id: str) -> list[Permit]:
    """The permits of the case that still allow something, in the order in which they were given."""
    query = select(Permit).where(Permit.case_id == case_id, col(Permit.used_at).is_(None))
    return list(tx.exec(query.order_by(col(Permit.attempt))))


def permit_of(tx: Tx, payout: Payout) -> Permit | None:
    return tx.get(Permit, payout.permit_id)
