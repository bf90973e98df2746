"""Our own bills: fees of a shop that no accepted invoice covers stand in the way of closing and of the refund (amb. 30)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlmodel import select

from models.cases import Case
from models.invoicing import ExitState, Statement, StatementState
from office.base.db import Tx
from policies.invoicing import share
from policies.policy import SHANGHAI, policy_at
from tasks.invoicing.exit_duty import duty, last_of, outstanding

LIVE = (StatementState.ISSUED, StatementState.OVERDUE)


def of_years_before(tx: Tx, case: Case) -> tuple[int, list[str]]:
    """For a closure: what was incurred before the year of its start. What is of that year is its exit duty (CLS-8)."""
    first = datetime(case.received_at.astimezone(SHANGHAI).year, 1, 1, tzinfo=SHANGHAI).astimezone(UTC)
    return outstanding(tx, case.shop_id or "", until=first - timedelta(microseconds=1))


def open_now(tx: Tx, shop_id: str) -> tuple[int, list[str]]:
    """For a refund: everything, whenever incurred and however it came to be open again, less what was waived."""
    fen, named = outstanding(tx, shop_id)
    return max(fen - _waived(tx, shop_id), 0), named


def _waived(tx: Tx, shop_id: str) -> int:
    """What of it a supervisor has waived, at the shop's last closure."""
    last = last_of(tx, shop_id)
    if last is None or last.state is not ExitState.WAIVED:
        return 0
    open_of_it, _ = duty(tx, tx.get_one(Case, last.case_id), last.year)
    return open_of_it if last.waived_fen is None else min(open_of_it, last.waived_fen)


def kept_back(tx: Tx, shop_id: str, fen: int) -> int:
    """What INV-7 would freeze of these open fen and has not frozen or set off yet: it does not leave with the deposit."""
    held = sum(
        one.frozen_fen + one.set_off_fen
        for one in tx.exec(select(Statement).where(Statement.shop_id == shop_id))
        if one.state in LIVE
    )
    return max(share(fen, policy_at(tx.now).invoicing) - held, 0)
