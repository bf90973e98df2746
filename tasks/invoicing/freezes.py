"""Freezes: what statements hold of their shops' receivables, moved towards what it should be (INV-7, 10, 12).

One verb for everything that happens to a statement: ``settle`` reckons what ought to be held, moves the difference
and says so. The sweep does it for whole chunks of statements that fell due; an invoice, a red letter or a receivable
does it for one shop. Done again it finds no difference and does nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import col, func, select

from models.books import AccountKind
from models.invoicing import MoveKind, Statement, StatementState
from models.invoicing_events import ReceivablePaidOut, ReceivableSettled
from models.messages import InboxMessage, InboxState
from models.money import Money
from models.shops import Shop
from notifications.invoicing import StatementReminder
from office.base.db import Tx, breathe, in_transaction
from office.money import ledger
from office.money.ledger import Posting, platform_account, shop_account, shop_balance
from office.record import audit
from office.record.inbox import Refused
from policies.deadlines import in_time, lapses, outside_quiet_hours, reminder_times
from policies.invoicing import Holding, Settlement, settle, state_after
from policies.policy import policy_at
from tasks.invoicing import freeze_rows
from tasks.invoicing.freeze_rows import Live, Move
from tasks.invoicing.statement_words import MESSAGES
from tasks.shops import bans, settling

CHUNK = 500
"""Statements in one transaction."""
LIVE = (StatementState.ISSUED, StatementState.OVERDUE)
STREAM = "invoicing"
"""The audit stream of sweeps: one line per chunk, with a digest over its moves."""
RETRY = timedelta(minutes=5)
"""When a statement is looked at again whose shop sent something in time that is not read yet."""


# ── receivables ──────────────────────────────────────────────────────────────


def receive(tx: Tx, event: ReceivableSettled, shop: Shop, message: InboxMessage) -> None:
    """Sales settled to the shop; what is still to be held is taken from it at once (STL-6)."""
    key = f"receivable/{event.settlement_id}"
    if tx.get(ledger.Transfer, key) is not None:
        raise Refused(f"结算 {event.settlement_id} 已入账,未重复入账", "STL-1")
    settling.platform_settles(tx, shop.id, event.settlement_id, event.settled_at, Money(fen=event.amount_fen))
    amount = Money(fen=event.amount_fen)
    ledger.post(
        tx,
        key,
        debit=platform_account(AccountKind.CASH),
        credit=shop_account(shop.id, AccountKind.RECEIVABLE),
        amount=amount,
        reason="receivable.settled",
        clause="STL-1",
    )
    audit.record(
        tx,
        f"shop/{shop.id}",
        "receivable.settled",
        actor="platform",
        clause="STL-1",
        public=True,
        text=f"货款入账 {amount}",
        settlement=event.settlement_id,
    )
    settle_shop(tx, shop.id)  # and, after a ban, all the rest is frozen (ambiguity 24)


def pay_out(tx: Tx, event: ReceivablePaidOut, shop: Shop, message: InboxMessage) -> None:
    """Receivables paid to the merchant: never what is frozen (STL-6), after a ban only what two people have freed."""
    key = f"payable/{event.payment_id}"
    if tx.get(ledger.Transfer, key) is not None:
        raise Refused(f"打款 {event.payment_id} 已入账,未重复入账", "STL-1")
    source = bans.payable(tx, shop.id)
    if source is AccountKind.RECEIVABLE:  # what was freed after a ban no half of ours pays
        settling.platform_pays(tx, shop.id, event.payment_id, Money(fen=event.amount_fen))
    amount, free = Money(fen=event.amount_fen), shop_balance(tx, shop.id, source)
    if amount.fen > free.fen and bans.is_banned(tx, shop.id):
        bans.alarm(tx, shop, message, event.payment_id, amount, free)
        return
    if amount.fen > free.fen:
        frozen = shop_balance(tx, shop.id, AccountKind.RECEIVABLE_FROZEN)
        sentence = f"可打款货款为 {free}(另有冻结 {frozen}),打款 {amount} 未入账,已请人工核实"
        raise Refused(sentence, "STL-6", heard=settling.beyond(shop.id, event.payment_id, amount, free))
    ledger.post(
        tx,
        key,
        debit=shop_account(shop.id, source),
        credit=platform_account(AccountKind.CASH),
        amount=amount,
        reason="receivable.paid_out",
        clause="STL-6",
    )
    audit.record(
        tx,
        f"shop/{shop.id}",
        "receivable.paid_out",
        actor="platform",
        clause="STL-6",
        public=True,
        text=f"货款打款 {amount}",
        payment=event.payment_id,
    )


# ── one shop ─────────────────────────────────────────────────────────────────


def settle_shop(tx: Tx, shop_id: str) -> None:
    """After anything that moved a shop's receivables: statements hold what they should, a ban all the rest."""
    settle_statements(tx, shop_id)
    bans.hold(tx, shop_id)


def settle_statements(tx: Tx, shop_id: str) -> None:
    """Bring everything the shop's live statements hold to what it should be now, the oldest first."""
    settle_shops(tx, [shop_id])


def settle_shops(tx: Tx, shop_ids: Sequence[str]) -> None:
    """The same for the statements of many shops at once."""
    tx.flush()
    query = freeze_rows.live_query().where(col(Statement.shop_id).in_(shop_ids), col(Statement.state).in_(LIVE))
    query = query.order_by(col(Statement.due_at), col(Statement.id))
    if found := [Live(*row) for row in tx.execute(query.with_for_update() if tx.postgres else query)]:
        _settle(tx, found)
        tx.expire_all()


# ── the sweep ────────────────────────────────────────────────────────────────


def sweep(chunk: int = CHUNK, limit: int | None = None) -> int:
    """Remind of and settle every statement whose time has come; returns how many were acted on."""
    done = 0
    while acted := in_transaction(lambda tx: sweep_chunk(tx, chunk)):
        done += acted
        if limit is not None and done >= limit:
            break
        breathe()
    return done


def sweep_chunk(tx: Tx, size: int = CHUNK) -> int:
    """The next statements that are due for something, in one transaction."""
    query = freeze_rows.live_query().where(col(Statement.next_action_at) <= tx.now)
    query = query.order_by(col(Statement.next_action_at), col(Statement.id)).limit(size)
    found = [Live(*row) for row in tx.execute(query.with_for_update(skip_locked=True) if tx.postgres else query)]
    if not found:
        return 0
    remind = [statement for statement in found if tx.now < _lapses(statement)]
    _remind(tx, remind)
    freeze_rows.keep(tx, remind)
    _settle(tx, [statement for statement in found if tx.now >= _lapses(statement)])
    tx.expire_all()
    for shop_id in bans.with_free_receivables(tx, {statement.shop_id for statement in found}):
        bans.hold(tx, shop_id)
    return len(found)


def _lapses(statement: Live) -> datetime:
    return lapses(statement.due_at, policy_at(statement.issued_at).deadlines)


def _unread(tx: Tx) -> dict[str, datetime]:
    """Shop → when the first invoice reached the door that nobody has read yet, or that we failed to act on.

    What we gave up on holds the shop it names until somebody has mended it.
    """
    row = InboxMessage
    query = select(row.shop_id, func.min(row.received_at)).where(
        col(row.state).in_([InboxState.NEW, InboxState.FAILED]),
        col(row.type).in_(["invoice.submitted", "merchant.answered"]),
    )
    return {shop_id: at for shop_id, at in tx.exec(query.group_by(col(row.shop_id))) if shop_id}


def _waits(statement: Live, unread: dict[str, datetime]) -> bool:
    """Whether something sent in time is not acted on yet: never the merchant's silence."""
    at = unread.get(statement.shop_id)
    return statement.state is StatementState.ISSUED and at is not None and in_time(at, statement.due_at)


def _remind(tx: Tx, statements: Sequence[Live]) -> None:
    """One reminder for each, however many were missed, and the time of the next one."""
    rows = []
    for statement in statements:
        due, policy = statement.due_at, policy_at(statement.issued_at)
        ahead = reminder_times(due, policy.invoicing.reminder_hours_before, tx.now)
        statement.next_action_at = min([*ahead, _lapses(statement)])
        if statement.open_fen - statement.pending_fen > 0 and tx.now <= due:
            left = max(0, round((due - tx.now) / timedelta(hours=1)))
            rows += freeze_rows.messages(
                tx,
                statement,
                f"remind-{left}",
                StatementReminder.name,
                "",
                outside_quiet_hours(tx.now, policy.quiet_hours, due),
            )
    freeze_rows.put(tx, rows)


def _settle(tx: Tx, statements: Sequence[Live]) -> None:
    """Move what each of these holds to what it should hold now; shops without enough give what they have.

    First everything that is to be given back, then what is to be taken, the oldest statement first: what one statement
    sets free serves an older one in the same breath. The numbers are those in force when a statement was issued.
    """
    if not statements:
        return
    free = freeze_rows.balances(tx, sorted({statement.shop_id for statement in statements}))
    auto = freeze_rows.switches(
        tx, sorted({s.shop_id for s in statements if tx.now > s.due_at and s.state is StatementState.ISSUED})
    )
    missed = {s.id for s in statements if tx.now >= _lapses(s)}
    unread = _unread(tx) if any(s.id in missed and s.state is StatementState.ISSUED for s in statements) else {}
    waiting = {s.id for s in statements if s.id in missed and _waits(s, unread)}
    moves: list[Move] = []
    wants: list[tuple[Live, Holding, Settlement]] = []
    for statement in sorted(statements, key=lambda s: (s.due_at, s.id)):
        overdue = statement.id in missed - waiting
        if overdue and statement.state is StatementState.ISSUED and not statement.frozen_fen:
            statement.auto = auto.get(statement.shop_id, False) or statement.set_off_fen > 0
        held = Holding(
            total_fen=statement.total_fen,
            invoiced_fen=statement.invoiced_fen,
            pending_fen=statement.pending_fen,
            frozen_fen=statement.frozen_fen,
            set_off_fen=statement.set_off_fen,
            auto=statement.auto,
            overdue=overdue,
        )
        wanted = settle(held, policy_at(statement.issued_at).invoicing)
        wants.append((statement, held, wanted))
        statement.share_fen = wanted.share_fen
        thawed = max(-wanted.change_fen, 0) - wanted.return_set_off_fen
        for kind, amount in ((MoveKind.RELEASE, thawed), (MoveKind.RETURN, wanted.return_set_off_fen)):
            if amount:
                moves.append(_move(tx, statement, kind, amount, wanted.uninvoiced_fen))
                free[statement.shop_id] = free.get(statement.shop_id, 0) + amount
    for statement, held, wanted in wants:
        if wanted.change_fen > 0:
            taken = min(wanted.change_fen, free.get(statement.shop_id, 0))
            free[statement.shop_id] = free.get(statement.shop_id, 0) - taken
            kind = MoveKind.SET_OFF if wanted.set_off else MoveKind.FREEZE
            if taken or (held.overdue and not statement.moves):  # the merchant is told once, even of nothing
                moves.append(_move(tx, statement, kind, taken, wanted.uninvoiced_fen))
        statement.state = state_after(
            held, wanted.share_fen, statement.frozen_fen + statement.set_off_fen, statement.open_fen
        )
        if held.overdue or statement.open_fen == 0:
            statement.next_action_at = None
        elif statement.id in waiting:
            statement.next_action_at = tx.now + RETRY
    freeze_rows.keep(tx, statements)
    ledger.post_many(tx, [_posting(move) for move in moves if move.amount_fen])
    _tell(tx, statements, moves)


def _move(tx: Tx, statement: Live, kind: MoveKind, fen: int, uninvoiced_fen: int) -> Move:
    """Note one move with the statement."""
    statement.moves += 1
    match kind:
        case MoveKind.FREEZE:
            statement.frozen_fen += fen
        case MoveKind.SET_OFF:
            statement.set_off_fen += fen
        case MoveKind.RELEASE:
            statement.frozen_fen -= fen
        case MoveKind.RETURN:
            statement.set_off_fen -= fen
    return Move(
        key=f"statement/{statement.id}/{statement.moves}",
        statement_id=statement.id,
        shop_id=statement.shop_id,
        kind=kind,
        amount_fen=fen,
        uninvoiced_fen=uninvoiced_fen,
        share_fen=statement.share_fen,
        held_fen=statement.frozen_fen + statement.set_off_fen,
        at=tx.now,
    )


_CLAUSES = {MoveKind.FREEZE: "INV-7", MoveKind.RELEASE: "INV-12", MoveKind.SET_OFF: "INV-10", MoveKind.RETURN: "INV-12"}


def _posting(move: Move) -> Posting:
    free = shop_account(move.shop_id, AccountKind.RECEIVABLE)
    frozen, set_off = shop_account(move.shop_id, AccountKind.RECEIVABLE_FROZEN), platform_account(AccountKind.SET_OFF)
    debit, credit = {
        MoveKind.FREEZE: (free, frozen),
        MoveKind.RELEASE: (frozen, free),
        MoveKind.SET_OFF: (free, set_off),
        MoveKind.RETURN: (set_off, free),
    }[move.kind]
    return Posting(
        key=move.key,
        debit=debit,
        credit=credit,
        fen=move.amount_fen,
        reason=f"statement.{move.kind.lower()}",
        clause=_CLAUSES[move.kind],
    )


def _tell(tx: Tx, statements: Sequence[Live], moves: Sequence[Move]) -> None:
    """Keep the moves, message each, and put one line with a digest over all of them into the audit."""
    if not moves:
        return
    by_id = {statement.id: statement for statement in statements}
    freeze_rows.note(tx, moves)
    rows = []
    for move in moves:
        message, event = MESSAGES[move.kind]
        rows += freeze_rows.messages(
            tx, by_id[move.statement_id], move.key.rpartition("/")[2], message.name, event.type, tx.now
        )
    freeze_rows.put(tx, rows)
    digest = hashlib.sha256(";".join(f"{m.key}:{m.kind}:{m.amount_fen}" for m in moves).encode()).hexdigest()
    totals = {kind.label: sum(m.amount_fen for m in moves if m.kind is kind) for kind in MoveKind}
    said = "、".join(f"{word} {Money(fen=fen)}" for word, fen in totals.items() if fen) or "无可冻结货款"
    stream = STREAM if len({move.shop_id for move in moves}) > 1 else f"shop/{moves[0].shop_id}"
    audit.record(
        tx,
        stream,
        "statements.settled",
        clause="INV-7",
        text=f"账单 {len(moves)} 笔:{said}",
        moves=len(moves),
        sha256=digest,
    )
