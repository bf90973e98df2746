"""Statements: a month drafted, released by people and issued, set-based and in chunks (INV-1).

A chunk is one transaction that also notes how far it got, so a killed run goes on behind the last whole chunk and a
run of a month that is done finds nothing to do. Numbers are given in the chunk's transaction: none is ever skipped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, func
from sqlmodel import col, select

from models.cases import Case, CaseState
from models.invoicing import BillableCategory, Period, PeriodState, Statement, StatementState
from models.reviews import Role
from models.text import shortened
from notifications.invoicing import StatementIssued
from office.base import bulk
from office.base.db import Tx, breathe, in_transaction, reading
from office.cases import cases
from office.cases.cases import rules
from office.cases.effects import effects_of, insisting
from office.cases.gates import Outcome
from office.cases.locks import lock_case
from office.record import audit
from office.record.inbox import Refused
from office.record.outbox import COPY, MADE_WHEN_SENT, TO_MERCHANT
from office.staff import staff
from policies.deadlines import lapses, outside_quiet_hours, reminder_times
from policies.invoicing import due
from policies.policy import policy_at
from tasks.invoicing import periods
from tasks.invoicing.drafts import CHUNK, period_row, several_eyes
from tasks.invoicing.request import MonthAsked

effect = effects_of("statements")
MESSAGES_PER_SECOND = 100
"""How fast a month's messages become due: nobody else's message waits behind a hundred thousand of them."""
MESSAGES_PER_STATEMENT = 3
SLOT = 100
"""Statements whose messages become due together."""


def hold(tx: Tx, period: str, shop_id: str, reason: str, by: str) -> None:
    """Keep one shop's statement out of its month."""
    statement = tx.exec(select(Statement).where(Statement.period == period, Statement.shop_id == shop_id)).first()
    if statement is None or statement.state is not StatementState.DRAFT:
        raise Refused(f"店铺 {shop_id} 本期没有可暂缓的账单", "INV-1")
    statement.state, statement.held_reason, statement.held_by = StatementState.HELD, reason, by
    tx.add(statement)
    audit.record(
        tx,
        f"shop/{shop_id}",
        "statement.held",
        actor=f"staff/{by}",
        clause="INV-1",
        text=f"{periods.label(period)}账单暂缓出账:{reason}",
    )


def release_held(tx: Tx, period_id: str, shop_id: str, staff_id: str, code: str, reason: str) -> Outcome:
    """Release one shop's statement that was held out, proved by the person's own code; it is issued at once.

    A refusal is returned, not raised: the code is spent and counted whatever follows.
    """
    if sentence := staff.unauthorised(tx, staff_id, code, Role.FINANCE, "放行暂缓的账单", reason):
        return Outcome(accepted=False, sentence=sentence)
    period = tx.get(Period, period_id)
    if period is None or period.state not in {PeriodState.ISSUING, PeriodState.ISSUED} or period.case_id is None:
        return Outcome(accepted=False, sentence=f"账期 {shortened(period_id, 64)} 尚未放行")
    case = lock_case(tx, period.case_id)
    period = period_row(tx, period_id)
    statement = tx.exec(select(Statement).where(Statement.period == period_id, Statement.shop_id == shop_id)).first()
    if statement is None or statement.state is not StatementState.HELD:
        return Outcome(accepted=False, sentence=f"店铺 {shortened(shop_id, 64)} 本期没有暂缓的账单")
    if statement.held_by == staff_id and several_eyes(
        tx, case
    ):  # what takes two people, nobody issues in two steps alone
        return Outcome(accepted=False, sentence="由您暂缓的账单,须由另一位财务放行")
    statement.state = StatementState.DRAFT
    tx.add(statement)
    tx.flush()
    audit.record(
        tx,
        f"shop/{shop_id}",
        "statement.released",
        actor=f"staff/{staff_id}",
        clause="INV-1",
        text=f"{periods.label(period_id)}账单解除暂缓:{reason}",
    )
    _issue(tx, case, period, lo="", hi=shop_id, only=shop_id)
    tx.refresh(statement)
    return Outcome(accepted=True, sentence=f"已出账 {statement.number or '(无需开票)'}")


# ── issuing ──────────────────────────────────────────────────────────────────


def issue(case_id: str, insisted: Callable[[Tx, Case, Period], object]) -> Iterator[tuple[int, int]]:
    """Issue chunk by chunk, each on what people have ``insisted`` decided; yields how many have their number and how many will,
    before the first chunk and after each."""
    with reading() as tx:
        period = MonthAsked.of(tx.get_one(Case, case_id)).period
        row = tx.get_one(Period, period)
        if row.state is not PeriodState.ISSUING:
            return
        done, of = row.last_number, row.totals["statements"]
    yield done, of

    def chunk(tx: Tx) -> int:
        insisted(tx, lock_case(tx, case_id), period_row(tx, period))
        return issue_chunk(tx, case_id, period)

    while insisting(case_id, "出具账单", lambda: in_transaction(chunk)):
        with reading() as tx:
            done = tx.get_one(Period, period).last_number
        yield done, of
        breathe()


def issue_chunk(tx: Tx, case_id: str, period_id: str, size: int = CHUNK) -> int:
    """Issue the next drafts of a released month; returns how many, 0 when all are."""
    case = lock_case(tx, case_id)
    period = period_row(tx, period_id)
    if period.state is not PeriodState.ISSUING:
        return 0
    count, last = tx.execute(
        bulk.sql("""
        SELECT COUNT(*), MAX(shop_id) FROM (SELECT shop_id FROM statement WHERE period = :period AND state = 'DRAFT'
            AND shop_id > :cursor ORDER BY shop_id LIMIT :size) AS next_drafts
        """),
        {"period": period.id, "cursor": period.cursor, "size": size},
    ).one()
    if not count:
        return 0
    _issue(tx, case, period, lo=period.cursor, hi=last)
    period.cursor = last
    tx.add(period)
    return int(count)


def _issue(tx: Tx, case: Case, period: Period, *, lo: str, hi: str, only: str = "") -> None:
    numbers = rules(case)
    until = due(tx.now, numbers.invoicing).due
    ahead = reminder_times(until, numbers.invoicing.reminder_hours_before, tx.now)
    given = {
        "period": period.id,
        "lo": lo,
        "hi": hi,
        "only": only,
        "base": period.last_number,
        "prefix": f"ZD{period.id.replace('-', '')}-",
    }
    own = "period = :period AND shop_id > :lo AND shop_id <= :hi AND (CAST(:only AS varchar) = '' OR shop_id = :only)"
    digits = "lpad(r.n::text, greatest(6, length(r.n::text)), '0')" if tx.postgres else "printf('%06d', r.n)"
    tx.execute(bulk.sql(f"""
        UPDATE statement SET state = CASE WHEN total_fen < 0 THEN 'CARRIED' ELSE 'NIL' END, issued_at = :now
        WHERE {own} AND state = 'DRAFT' AND total_fen <= 0
        """, now=tx.now), given)  # noqa: S608  # fmt: skip
    numbered = cast("CursorResult[Any]", tx.execute(bulk.sql(f"""
        UPDATE statement SET state = 'ISSUED', number = :prefix || {digits}, issued_at = :now, due_at = :due,
            next_action_at = :next
        FROM (SELECT id, CAST(:base AS bigint) + row_number() OVER (ORDER BY shop_id) AS n FROM statement
              WHERE {own} AND state = 'DRAFT') AS r
        WHERE statement.id = r.id
        """, now=tx.now, due=until, next=min([*ahead, lapses(until, policy_at(tx.now).deadlines)])), given))  # noqa: S608  # fmt: skip
    issued = numbered.rowcount
    if tx.execute(bulk.sql(f"SELECT 1 FROM statement WHERE {own} AND state = 'CARRIED' LIMIT 1"), given).first():  # noqa: S608
        tx.execute(bulk.sql(f"""
            INSERT INTO billable_item (id, shop_id, category, amount_fen, corrects, description, settled_at, own_period,
                period, recorded_at)
            SELECT 'carried:' || id, shop_id, '{BillableCategory.CARRIED}', total_fen, NULL, '', :now, period, :following, :now
            FROM statement WHERE {own} AND state = 'CARRIED' ON CONFLICT (id) DO NOTHING
            """, now=tx.now), given | {"following": periods.next_open(tx, period.id)})  # noqa: S608  # fmt: skip
    period.last_number += issued
    tx.add(period)
    if issued:
        fresh = f"{own} AND state = 'ISSUED' AND issued_at = :now"
        tx.execute(bulk.sql(f"""
            INSERT INTO statement_document (statement_id, state, sha256) SELECT id, 'QUEUED', '' FROM statement WHERE {fresh}
            """, now=tx.now), given)  # noqa: S608  # fmt: skip
        start = period.released_at or tx.now
        _announce(tx, fresh, given, start=start, quiet_until=outside_quiet_hours(start, numbers.quiet_hours, until))
        _record(tx, case, fresh, given)


def _announce(tx: Tx, fresh: str, given: dict[str, Any], *, start: datetime, quiet_until: datetime) -> None:
    """One merchant message, its copy for the platform's inbox and one event for each statement, spread over time.

    The rows hold no payload of their own: the words are made from the statement when a message leaves.
    """
    base, pace = given["base"], MESSAGES_PER_SECOND / MESSAGES_PER_STATEMENT
    (count,) = tx.execute(bulk.sql(f"SELECT COUNT(*) FROM statement WHERE {fresh}", now=tx.now), given).one()  # noqa: S608
    slots = bulk.packed(
        tx,
        [
            {
                "slot": slot,
                "told": quiet_until + timedelta(seconds=slot * SLOT / pace),
                "at": start + timedelta(seconds=slot * SLOT / pace),
            }
            for slot in range(base // SLOT, (base + count) // SLOT + 1)
        ],
    )
    when = bulk.rows(tx, "slots", {"slot": int, "told": datetime, "at": datetime})
    told = StatementIssued.name
    tx.execute(bulk.sql(f"""
        INSERT INTO outbox (key, channel, topic, case_id, shop_id, audience, payload_sealed, created_at, state, attempts,
            next_at, note, reached)
        SELECT kind.prefix || f.id || '/issued', kind.channel, kind.topic, NULL, f.shop_id, kind.audience, :sealed, :now,
            'NEW', 0, CASE WHEN kind.audience = '' THEN r.told ELSE r.at END, '', {bulk.empty_list(tx)}
        FROM (SELECT id, shop_id, (CAST(:base AS bigint) + row_number() OVER (ORDER BY shop_id)) / {SLOT} AS slot
              FROM statement WHERE {fresh}) AS f
        JOIN {when} ON r.slot = f.slot
        CROSS JOIN (SELECT '{TO_MERCHANT}statement/' AS prefix, 'MERCHANT' AS channel, '{told}' AS topic, '' AS audience
            UNION ALL SELECT '{COPY}statement/', 'EVENT', 'merchant.message.created', 'platform'
            UNION ALL SELECT 'platform:statement/', 'EVENT', 'statement.issued', 'platform') AS kind
        """, now=tx.now), given | {"slots": slots, "sealed": MADE_WHEN_SENT})  # noqa: S608  # fmt: skip


def _record(tx: Tx, case: Case, fresh: str, given: dict[str, Any]) -> None:
    """One audit line for the chunk, with a digest over every number and amount in it."""
    digest, count, total, first, last = hashlib.sha256(), 0, 0, "", ""
    for number, amount in tx.execute(
        bulk.sql(f"SELECT number, total_fen FROM statement WHERE {fresh} ORDER BY shop_id", now=tx.now),  # noqa: S608
        given,
        execution_options={"yield_per": 1000},
    ):
        digest.update(f"{number}:{amount};".encode())
        count, total, first, last = count + 1, total + int(amount), first or number, number
    audit.record(
        tx,
        case.id,
        "statements.issued",
        clause="INV-1",
        text=f"已出账 {count} 份({first} 至 {last})",
        count=count,
        total_fen=total,
        first=first,
        last=last,
        sha256=digest.hexdigest(),
    )


def issued(tx: Tx, period: Period) -> dict[str, Any]:
    """The month's control totals with what has its number and what is held."""
    sums = select(func.count(), func.coalesce(func.sum(Statement.total_fen), 0)).where(Statement.period == period.id)
    held, held_fen = tx.exec(sums.where(Statement.state == StatementState.HELD)).one()
    _, issued_fen = tx.exec(sums.where(col(Statement.number).is_not(None))).one()
    return {
        **period.totals,
        "issued": period.last_number,
        "issued_fen": int(issued_fen),
        "held": held,
        "held_fen": int(held_fen),
    }


@effect("完成出账")
def finish(tx: Tx, case: Case) -> None:
    """Everything that was released has its number."""
    period = period_row(tx, MonthAsked.of(case).period)
    period.state, period.issued_at = PeriodState.ISSUED, tx.now
    tx.add(period)
    held = counts(tx, period.id).get(StatementState.HELD, 0)
    cases.conclude(
        tx,
        case,
        CaseState.ISSUED,
        f"{periods.label(period.id)}已出账 {period.last_number} 份" + (f",暂缓 {held} 份" if held else ""),
        clause="INV-1",
    )


def find(tx: Tx, name: str) -> Statement | None:
    """A statement by its number or its id."""
    return tx.exec(select(Statement).where((col(Statement.number) == name) | (col(Statement.id) == name))).first()


def counts(tx: Tx, period: str) -> dict[str, int]:
    """State → how many statements of the month."""
    query = select(Statement.state, func.count()).where(Statement.period == period).group_by(Statement.state)
    return {StatementState(state).value: count for state, count in tx.exec(query)}
