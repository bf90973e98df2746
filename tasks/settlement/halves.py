"""Halves of months: none is missed and none is done twice; one is drawn up when the one before has been settled (STL-1)."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlmodel import col, select

from models.cases import Case, CaseKind, CaseState
from models.settlement import Half, HalfState
from office.base.db import Tx, in_transaction, reading
from office.cases import cases
from office.record.inbox import Refused
from policies.policy import policy_at
from policies.settlement import label, next_half, oldest, over, read_half


def half_row(tx: Tx, half: str) -> Half:
    """A half, locked, and read anew under the lock."""
    query = select(Half).where(Half.id == half).execution_options(populate_existing=True)
    row = tx.exec(query.with_for_update() if tx.postgres else query).first()
    if row is None:
        raise LookupError(f"no half {half}")
    return row


def locked(tx: Tx, halves: Iterable[str]) -> dict[str, Half]:
    """These halves, locked in one order, so that nothing of them is settled meanwhile."""
    query = select(Half).where(col(Half.id).in_(sorted(set(halves)))).order_by(col(Half.id))
    query = query.execution_options(populate_existing=True)
    return {row.id: row for row in tx.exec(query.with_for_update() if tx.postgres else query)}


def open_half(tx: Tx, half: str) -> str:
    """The half itself or the first one after it that still takes orders; kept open until the transaction ends."""
    while True:
        kind = postgres_insert if tx.postgres else sqlite_insert
        row = {
            "id": half,
            "state": HalfState.OPEN,
            "drafts": 0,
            "cursor": "",
            "last_number": 0,
            "last_payout": 0,
            "totals": {},
        }
        tx.execute(kind(Half).values(row).on_conflict_do_nothing(index_elements=["id"]))
        query = select(Half.state).where(Half.id == half)
        if tx.exec(query.with_for_update(read=True) if tx.postgres else query).one() is HalfState.OPEN:
            return half
        half = next_half(half)


def begin_half(tx: Tx, half: str, actor: str = "system") -> Case:
    """The case that settles a half, opened once.

    Raises :class:`Refused` while it is not over, or the one before is not settled: what that one leaves is brought on.
    """
    half, numbers = read_half(half), policy_at(tx.now).settlement
    if half > over(tx.now, numbers):
        raise Refused(f"{label(half)}尚未结束,不能结算", "STL-2")
    if half < oldest(tx.now, numbers):
        raise Refused(f"{label(half)}早于 {numbers.oldest_order_months} 个月,请核对年份", "STL-1")
    row = tx.get(Half, half)
    if row is None or row.case_id is None:
        before = select(Half.id).where(Half.id < half, Half.state != HalfState.SETTLED).order_by(col(Half.id))
        if (earlier := tx.exec(before).first()) is not None:
            raise Refused(f"{label(earlier)}尚未结算完毕,不能开始{label(half)}", "STL-1")
    case = cases.open_case(
        tx,
        CaseKind.SETTLEMENT,
        origin=f"schedule/{CaseKind.SETTLEMENT}/{half}",
        received_at=tx.now,
        subject=f"{label(half)}货款",
        state=CaseState.SUBMITTED,
        request={"half": half},
        actor=actor,
        clause="STL-1",
        text=f"开始{label(half)}货款结算",
    )
    row = row or Half(id=half, state=HalfState.OPEN)
    if row.case_id is None:
        row.case_id = case.id
        tx.add(row)
        tx.flush()
    return case


def due(tx: Tx) -> str | None:
    """The earliest half that is over and has no case, once every one before it is settled; from the first with anything in it."""
    numbers = policy_at(tx.now).settlement
    first = tx.exec(select(func.min(Half.id))).one()
    if first is None:
        return None
    states = {row.id: row for row in tx.exec(select(Half))}
    half, last = max(first, oldest(tx.now, numbers)), over(tx.now, numbers)
    while half <= last:
        row = states.get(half)
        if row is None or row.case_id is None:
            return half
        if row.state is not HalfState.SETTLED:
            return None
        half = next_half(half)
    return None


def catch_up() -> list[str]:
    """Open the half that is over and was not opened; the one after it follows when it is settled. Every minute."""
    with reading() as tx:
        half = due(tx)
    if half is None:
        return []
    in_transaction(lambda tx: begin_half(tx, half))
    return [half]
