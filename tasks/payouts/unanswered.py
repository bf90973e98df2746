"""A bank that says nothing: money it was told to pay, of which no case sees to it that it answers.

A refund and a random transfer have clocks of their own while their cases are open. What a half has paid, what is paid once
more after a return, and what was on its way when its case ended have none: finance hears, `books check` and `doctor` list it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlmodel import col, func, or_, select

from models.cases import Case, CaseKind
from models.money import yuan
from models.payouts import Payout, PayoutState
from models.reviews import Role
from notifications.message import hours_between
from notifications.operations import PaymentsUnanswered
from office.base.calendar import work_calendar
from office.base.db import Tx, in_transaction
from office.cases import reviews
from office.process import Process
from policies.deadlines import reckon
from policies.policy import policy_at


def _late(tx: Tx) -> Iterator[tuple[Case, int, int, datetime]]:
    """Cases of whose orders to the bank some are unanswered past the time it has: how many, how much, since when."""
    since = func.min(Payout.requested_at)
    query = (
        select(Case, func.count(), func.sum(Payout.amount_fen), since)
        .join(Payout, col(Payout.case_id) == Case.id)
        .where(Payout.state == PayoutState.REQUESTED)
        .where(or_(col(Case.concluded_at).is_not(None), Case.kind == CaseKind.SETTLEMENT_RETURN))
        .group_by(col(Case.id))
    )
    window = policy_at(tx.now).opening.transfer_arrives
    for case, count, fen, asked in tx.exec(query.order_by(since, col(Case.id))):
        if reckon(asked, window, "REF-3", work_calendar()).due < tx.now:
            yield case, count, int(fen), asked


def lines(tx: Tx) -> list[str]:
    """As ``books check`` and ``doctor`` name them."""
    return [f"{case.id}:{count} 笔打款共 {yuan(fen)} 银行未回执" for case, count, fen, _ in _late(tx)]


def tell() -> int:
    """Have finance hear of each case once, and again when what has waited longest is another; returns how many there are."""

    def work(tx: Tx) -> int:
        found = list(_late(tx))
        for case, count, fen, asked in found:
            told = PaymentsUnanswered(
                case_id=case.id,
                subject=case.subject or case.id,
                count=count,
                amount_fen=fen,
                sent_at=asked,
                hours_waited=hours_between(asked, tx.now),
                link=reviews.link_to(case),
            )
            reviews.notify_staff(tx, Role.FINANCE, told, f"unanswered/{case.id}/{asked:%Y%m%d%H%M%S}", case)
        return len(found)

    return in_transaction(work)


PROCESS = Process(name="unanswered", every_minute={"unanswered": tell})
