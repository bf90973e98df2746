"""Exit invoices: what a closing shop still has to invoice of its calendar year (CLS-8, INV-9).

Starting a closure draws up an exit statement for whatever no statement has billed yet, so that everything the shop
owes an invoice for has a number to write it against. The obligation ends when nothing of the year is left, or when a
supervisor waives it; until then it is a gate of closing.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlmodel import col, func, select

from models.cases import Case, DeadlineState
from models.invoicing import (
    BillableItem,
    ExitObligation,
    ExitState,
    Period,
    PeriodState,
    Statement,
    StatementDocument,
    StatementLine,
    StatementState,
)
from models.invoicing_events import StatementIssued
from models.money import yuan
from models.reviews import Role
from models.shops import Shop, ShopFacts, ShopSnapshot
from models.text import shortened
from models.windows import Reckoned
from notifications import invoicing as words
from notifications import operations
from office.base.db import Tx, in_transaction
from office.cases import cases, deadlines, merchants, reviews
from office.cases.cases import emit, rules
from office.cases.gates import Outcome
from office.cases.locks import lock_case
from office.process import Process
from office.record import audit, outbox
from office.staff import staff
from policies.deadlines import lapses, reminder_times
from policies.invoicing import due
from policies.policy import SHANGHAI, policy_at
from tasks.invoicing.exit_duty import duty, pending, reported_by_platform, window_of
from tasks.shops import shops

DEADLINE = "exit-invoice"
"""The key of the closure's deadline (``tasks.closure``)."""
MOST_NAMED = 20
"""Statements that a message names; the last line says how many more there are."""


def open_obligation(tx: Tx, case: Case, shop: Shop, until: Reckoned) -> ExitObligation:
    """Reckon what is to be invoiced, draw up what was not billed yet, and tell the merchant; once per closure."""
    before = tx.get(ExitObligation, case.id)
    if before is not None:
        return before
    year = case.received_at.astimezone(SHANGHAI).year
    _draw_up(tx, case, shop, year)
    uninvoiced, named = duty(tx, case, year)
    reported = reported_by_platform(tx, shop.id)
    left = bool(uninvoiced or reported)
    obligation = ExitObligation(
        case_id=case.id,
        shop_id=shop.id,
        year=year,
        opened_fen=uninvoiced,
        opened_at=tx.now,
        due_at=until.due,
        state=ExitState.OPEN if left else ExitState.FULFILLED,
        closed_at=None if left else tx.now,
        reported_fen=reported,
    )
    tx.add(obligation)
    tx.flush()
    if not left:  # nobody is reminded of nothing
        deadlines.stop(tx, case.id, DEADLINE, DeadlineState.MET)
    audit.record(
        tx,
        case.id,
        "exit_invoices.opened",
        clause="CLS-8",
        public=True,
        text=f"{year} 年度待开票 {_said(uninvoiced, reported)}",
        statements=named,
    )
    if left:
        _tell(tx, case, shop, obligation, uninvoiced, named, f"{case.id}/exit-invoices")
    return obligation


def _said(uninvoiced: int, reported: int) -> str:
    return yuan(uninvoiced) + (f"(平台报告未开票 {yuan(reported)})" if reported else "")


def _tell(
    tx: Tx, case: Case, shop: Shop, obligation: ExitObligation, uninvoiced: int, named: list[str], key: str
) -> None:
    listed = (
        named if len(named) <= MOST_NAMED else [*named[: MOST_NAMED - 1], f"另有 {len(named) - MOST_NAMED + 1} 份账单"]
    )
    told = words.ExitInvoicesOpened(
        shop_name=shop.name,
        case_id=case.id,
        year=obligation.year,
        amount_fen=uninvoiced,
        statements=tuple(listed),
        reported_fen=obligation.reported_fen,
        due=obligation.due_at,
    )
    merchants.tell(tx, told, key, case=case)


def _draw_up(tx: Tx, case: Case, shop: Shop, year: int) -> bool:
    """An exit statement over the duty's items in months that are still open; ``False`` when they come to nothing.

    The duty is about what was incurred, by each fee's own date, from 1 January to the moment of the start (INV-9,
    ambiguity 31): an item of late December that is billed in January is December's, one after the start is billed with its month.

    What comes while the closure runs is drawn up as a supplement. The months stay open until the transaction ends:
    no run can begin to bill the same items meanwhile.
    """
    months = select(Period.id).where(Period.state == PeriodState.OPEN, col(Period.id) >= f"{year}-01")
    still_open = list(tx.exec(months.order_by(col(Period.id)).with_for_update(read=True) if tx.postgres else months))
    since, until = window_of(case, year)
    items = list(
        tx.exec(
            select(BillableItem).where(
                BillableItem.shop_id == shop.id,
                col(BillableItem.period).in_(still_open),
                col(BillableItem.settled_at) >= since,
                col(BillableItem.settled_at) <= until,
            )
        )
    )
    total = sum(item.amount_fen for item in items)
    if total <= 0:
        return False
    own = select(func.count()).where(Statement.shop_id == shop.id, col(Statement.period).startswith(f"exit/{case.id}"))
    before = tx.exec(own).one()
    period, number = f"exit/{case.id}", f"EXIT-{case.id}"
    if before:
        period, number = f"{period}/{before + 1}", f"{number}-{before + 1}"
    until = due(tx.now, rules(case).invoicing).due
    ahead = reminder_times(until, rules(case).invoicing.reminder_hours_before, tx.now)
    statement = Statement(
        id=f"{period}/{shop.id}",
        period=period,
        shop_id=shop.id,
        number=number,
        state=StatementState.ISSUED,
        total_fen=total,
        items=len(items),
        taxpayer_type=shop.taxpayer_type,
        shop_name=shop.name,
        seller_name=shop.licence_name or shop.owner_name,
        seller_tax_no=shop.uscc,
        year=year,
        issued_at=tx.now,
        due_at=until,
        next_action_at=min([*ahead, lapses(until, policy_at(tx.now).deadlines)]),
    )
    tx.add(statement)
    tx.flush()
    lines: dict[tuple[str, str], StatementLine] = {}
    for item in items:
        item.period = statement.period
        line = lines.setdefault(
            (item.category, item.own_period),
            StatementLine(
                statement_id=statement.id, category=item.category, own_period=item.own_period, amount_fen=0, items=0
            ),
        )
        line.amount_fen += item.amount_fen
        line.items += 1
    tx.add_all([*items, *lines.values(), StatementDocument(statement_id=statement.id)])
    tx.flush()
    event = StatementIssued(
        shop_id=shop.id,
        statement=str(statement.number),
        period=statement.period,
        at=tx.now,
        amount_fen=total,
        due_at=until,
    )
    emit(tx, event, f"statement/{statement.id}/issued", case)
    return True


def notice(tx: Tx, case: Case) -> None:
    """Look again if the platform has reported something else since the duty was looked at."""
    obligation = tx.get(ExitObligation, case.id)
    if obligation is None or obligation.state is ExitState.WAIVED:
        return
    if obligation.reported_fen != reported_by_platform(tx, obligation.shop_id):
        look_again(tx, obligation.shop_id)


def sweep() -> int:
    """Look again at the duties of which the platform has reported something else since; how many."""

    def stirred(tx: Tx) -> list[str]:
        query = (
            select(ExitObligation, ShopSnapshot)
            .join(ShopSnapshot, col(ShopSnapshot.shop_id) == ExitObligation.shop_id)
            .join(Case, col(Case.id) == ExitObligation.case_id)
            .where(col(Case.concluded_at).is_(None), ExitObligation.state != ExitState.WAIVED)
        )
        return sorted(
            {
                duty.shop_id
                for duty, snapshot in tx.exec(query)
                if ShopFacts.model_validate(snapshot.facts).uninvoiced_fen != duty.reported_fen
            }
        )

    in_transaction(_outgrown)
    shop_ids = in_transaction(stirred)
    for shop_id in shop_ids:
        in_transaction(lambda tx, one=shop_id: look_again(tx, one))  # type: ignore[misc]
    return len(shop_ids)


def _outgrown(tx: Tx) -> None:
    """Tell the supervisors of waivers that no longer cover all that is not invoiced, anew when it is another amount."""
    waived = select(ExitObligation, Case).join(Case, col(Case.id) == ExitObligation.case_id)
    for obligation, case in tx.exec(
        waived.where(ExitObligation.state == ExitState.WAIVED, col(Case.concluded_at).is_(None)).order_by(col(Case.id))
    ).all():
        own, reported = pending(tx, case)
        if own or reported:
            told = operations.WaiverOutgrown(
                case_id=case.id,
                subject=case.subject or case.id,
                own_fen=own,
                reported_fen=reported,
                waived_at=obligation.closed_at or obligation.opened_at,
                link=reviews.link_to(case),
            )
            reviews.notify_staff(tx, Role.SUPERVISOR, told, f"{case.id}/waiver-outgrown/{own}/{reported}", case)


def look_again(tx: Tx, shop_id: str) -> None:
    """After an invoice was accepted or reversed, items came, or the platform reports something else: end obligations that
    are met, open those that are not."""
    cases.wake_waiting(tx, shop_id, shops.FACTS)  # clearing also waits for the bills of earlier years
    query = select(ExitObligation).where(
        ExitObligation.shop_id == shop_id, col(ExitObligation.state).in_([ExitState.OPEN, ExitState.FULFILLED])
    )
    for obligation in list(tx.exec(query)):
        case = lock_case(tx, obligation.case_id)
        if case.concluded_at is not None:
            continue
        shop = tx.get_one(Shop, shop_id)
        more = _draw_up(tx, case, shop, obligation.year)
        uninvoiced, named = duty(tx, case, obligation.year)
        obligation.reported_fen = reported_by_platform(tx, shop_id)
        tx.add(obligation)
        left = bool(uninvoiced or obligation.reported_fen)
        if (uninvoiced and more) or (left and obligation.state is ExitState.FULFILLED):
            obligation.state, obligation.closed_at = ExitState.OPEN, None
            deadlines.resume(tx, case, DEADLINE)
            line = audit.record(
                tx,
                case.id,
                "exit_invoices.reopened",
                clause="CLS-8",
                public=True,
                text=f"{obligation.year} 年度又有待开票 {_said(uninvoiced, obligation.reported_fen)}",
                statements=named,
            )
            _tell(tx, case, shop, obligation, uninvoiced, named, f"{case.id}/exit-invoices/{line.number}")
        elif not left and obligation.state is ExitState.OPEN:
            _end(tx, case, obligation, ExitState.FULFILLED, f"{obligation.year} 年度发票已开齐")
        outbox.wake(tx, case)


def take_in(tx: Tx, shop_ids: Iterable[str]) -> None:
    """Items were recorded for these shops: whichever of them is closing must invoice them, too."""
    wanted = sorted(shop_ids)
    for start in range(0, len(wanted), 500):
        query = select(ExitObligation.shop_id).where(
            col(ExitObligation.shop_id).in_(wanted[start : start + 500]),
            col(ExitObligation.state).in_([ExitState.OPEN, ExitState.FULFILLED]),
        )
        for shop_id in sorted(set(tx.exec(query))):
            look_again(tx, shop_id)


def _end(tx: Tx, case: Case, obligation: ExitObligation, state: ExitState, text: str, actor: str = "system") -> None:
    obligation.state, obligation.closed_at = state, tx.now
    tx.add(obligation)
    deadlines.stop(tx, case.id, DEADLINE, DeadlineState.MET)
    line = audit.record(tx, case.id, "exit_invoices.settled", clause="CLS-8", text=text, actor=actor, public=True)
    told = words.ExitInvoicesSettled(
        shop_name=tx.get_one(Shop, obligation.shop_id).name,
        case_id=case.id,
        year=obligation.year,
        settled_at=tx.now,
        waived=state is ExitState.WAIVED,
    )
    merchants.tell(tx, told, f"{case.id}/exit-invoices/{line.number}", case=case)


def waive(tx: Tx, case_id: str, staff_id: str, code: str, reason: str) -> Outcome:
    """A supervisor lets the obligation go, with a reason and their own code; the closure goes on.

    A refusal is returned, not raised: the code is spent and counted whatever follows.
    """
    if sentence := staff.unauthorised(tx, staff_id, code, Role.SUPERVISOR, "豁免退店发票", reason):
        return Outcome(accepted=False, sentence=sentence)
    if tx.get(ExitObligation, case_id) is None:
        return Outcome(accepted=False, sentence=f"案件 {shortened(case_id, 64)} 没有退店开票义务")
    case = lock_case(tx, case_id)
    obligation = tx.get_one(ExitObligation, case_id, populate_existing=True)
    settled = obligation.state is ExitState.WAIVED and not any(pending(tx, case))
    if settled or case.concluded_at is not None:
        return Outcome(accepted=False, sentence=f"案件 {case_id} 的退店开票义务已结束")
    covered = let_go(tx, case, staff_id, reason)
    outbox.wake(tx, case)
    return Outcome(accepted=True, sentence=f"{case_id} 的退店发票 {covered} 已豁免")


def let_go(tx: Tx, case: Case, staff_id: str, reason: str) -> str:
    """Waive the obligation as it stands now, in a supervisor's name; returns how much that is, in words."""
    obligation = tx.get_one(ExitObligation, case.id)
    obligation.waived_fen, _ = duty(tx, case, obligation.year)
    obligation.waived_reported_fen = reported_by_platform(tx, obligation.shop_id)
    covered = _said(obligation.waived_fen, obligation.waived_reported_fen)
    obligation.waived_by, obligation.reason = staff_id, reason.strip()
    text = f"退店发票 {covered} 已由主管豁免:{reason.strip()}"
    _end(tx, case, obligation, ExitState.WAIVED, text, f"staff/{staff_id}")
    return covered


PROCESS = Process(name="exit-invoices", every_minute={"exit-invoices": sweep})
