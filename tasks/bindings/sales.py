"""What talents sold: kept by day, replaced by what is newer, and a shop's share of it (BND-9, ambiguity 50)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from sqlalchemy import delete
from sqlmodel import col, select

from models.bindings import Binding
from models.cases import Case, CaseWait, WaitState
from models.messages import InboxMessage
from models.outcomes import Refusal
from models.talent_events import TalentSales, TalentSalesOfADay
from models.talents import TalentDay, TalentShopDay
from office.base.db import Tx
from office.cases import cases, deadlines
from office.cases.cases import rules
from office.cases.locks import lock_case
from office.items.batches import DAY, ID, MONEY, Sentences
from office.record import outbox
from policies import shares
from policies.bindings import refuse_share
from policies.days import days_before, ends_at
from policies.deadlines import in_time
from policies.shares import DayFigure, Share
from tasks.bindings.intake import FIGURES
from tasks.bindings.request import BindingAsked
from tasks.shops.figures import judged

_WORDS = Sentences(
    key="target_account_id",
    fields={"target_account_id": ID, "day": DAY, "total_fen": MONEY, "shops": f"每个店铺只能出现一次;{ID};{MONEY}"},
    rules={"each shop_id": ("shops", "同一日期每个店铺只能出现一次")},
)


def record(tx: Tx, event: TalentSales, message: InboxMessage) -> None:
    """Keep the days of a batch; those older than what is known stay away. Markings that wait for them go on."""
    days = judged(tx, event, message, TalentSalesOfADay, _WORDS, "BND-9")
    for one in days:
        _keep(tx, one, event.as_of)
    tx.flush()
    _go_on(tx, {one.target_account_id for one in days}, message.received_at)


def _keep(tx: Tx, one: TalentSalesOfADay, as_of: datetime) -> None:
    query = select(TalentDay).where(TalentDay.account_id == one.target_account_id, TalentDay.day == one.day)
    row = tx.exec(query.with_for_update() if tx.postgres else query).first()
    if row is not None and row.as_of > as_of:
        return
    row = row or TalentDay(
        account_id=one.target_account_id,
        day=one.day,
        as_of=as_of,
        recorded_at=tx.now,
        total_fen=0,
        parts_fen=0,
        whole=False,
    )
    row.recorded_at = tx.now
    row.as_of, row.total_fen, row.whole = as_of, one.total_fen, as_of >= ends_at(one.day)
    row.parts_fen = sum(part.fen for part in one.shops)
    tx.add(row)
    of_day = col(TalentShopDay.account_id) == one.target_account_id, col(TalentShopDay.day) == one.day
    tx.execute(delete(TalentShopDay).where(*of_day))
    for part in one.shops:
        tx.add(TalentShopDay(account_id=one.target_account_id, day=one.day, shop_id=part.shop_id, fen=part.fen))


def _go_on(tx: Tx, account_ids: Iterable[str], received: datetime) -> None:
    """Whoever waits for days of these talents goes on when none is missing any more, if they came in time."""
    waiting = (
        select(Binding.case_id)
        .join(CaseWait, col(CaseWait.case_id) == col(Binding.case_id))
        .where(col(Binding.account_id).in_(sorted(account_ids)))
        .where(CaseWait.kind == FIGURES, CaseWait.state == WaitState.OPEN)
        .order_by(Binding.case_id)
    )
    for case_id in list(tx.exec(waiting)):
        case = lock_case(tx, case_id)
        wait, deadline = cases.find_wait(tx, case.id, FIGURES), deadlines.find(tx, case.id, FIGURES)
        if deadline is not None and not in_time(received, deadline.due_at):
            continue
        if wait is not None and not share(tx, case, tx.get_one(Binding, case.id)).findings:
            cases.close_wait(tx, wait, WaitState.ANSWERED)
            deadlines.stop(tx, case.id, FIGURES)
            outbox.wake(tx, case)


def window(case: Case) -> tuple[date, date]:
    """The days a marking is judged by: those before the day it was asked, whatever day it is by now."""
    asked = BindingAsked.of(case)
    if asked.first_day is None or asked.last_day is None:
        return days_before(case.received_at, rules(case).bindings.share_days)
    return asked.first_day, asked.last_day


def share(tx: Tx, case: Case, row: Binding) -> Share:
    """The shop's share in what the account sold, from the days as they are known now."""
    first, last = window(case)
    between = TalentDay.day >= first, TalentDay.day <= last
    days = {one.day: one for one in tx.exec(select(TalentDay).where(TalentDay.account_id == row.account_id, *between))}
    parts = select(TalentShopDay).where(
        TalentShopDay.account_id == row.account_id,
        TalentShopDay.shop_id == row.shop_id,
        TalentShopDay.day >= first,
        TalentShopDay.day <= last,
    )
    ours = {one.day: one.fen for one in tx.exec(parts)}
    figures = {
        day: DayFigure(
            total_fen=one.total_fen,
            parts_fen=one.parts_fen,
            shop_fen=ours.get(day, 0),
            whole=one.whole,
            as_of=one.as_of,
        )
        for day, one in days.items()
    }
    return shares.judge(figures, first, last, rules(case).bindings)


def refuse(tx: Tx, case: Case, row: Binding) -> Refusal | None:
    """Why the share is not enough, as the days are known now: what was corrected meanwhile counts."""
    return refuse_share(share(tx, case, row), rules(case).bindings)
