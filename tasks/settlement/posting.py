"""A released half posted and paid, in chunks: one transaction each for the books, the orders to the bank and the words.

A chunk also notes how far it got, so a killed run goes on behind the last whole chunk. Every shop is reckoned anew under
the locks of its accounts: what has come up since people released it is taken off, and never more is paid than they saw.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlmodel import col, select

from models.books import AccountKind
from models.cases import Case
from models.messages import Channel, OutboxState
from models.money import yuan
from models.settlement import Half, HalfState, HoldReason, SettlementState
from models.settlement_events import SettlementIssued as IssuedEvent
from models.shops import Shop, ShopState
from notifications.settlement import SettlementIssued
from office.base import bulk
from office.base.db import Pace, Tx, breathe, reading
from office.cases import cases, reviews
from office.cases.effects import effects_of, insisting
from office.cases.locks import lock_case
from office.money import ledger
from office.money.ledger import Posting, platform_account, shop_account
from office.record import audit
from office.record.outbox import COPY, MADE_WHEN_SENT, TO_MERCHANT
from policies.deadlines import outside_quiet_hours
from policies.policy import policy_at
from tasks import releasing
from tasks.invoicing import freeze_rows, freezes
from tasks.payouts import contradictions
from tasks.settlement import drafts, payments, releases
from tasks.settlement.halves import half_row
from tasks.settlement.request import HalfAsked
from tasks.shops import bans, states

CHUNK = 50
"""Shops in the first transaction, and at least in later ones, which go by how long it took: others get their turn."""
MESSAGES_PER_SECOND = 100
MESSAGES_PER_SHOP = 3


@dataclass(slots=True)
class Row:
    """One shop's half while it is posted: what that reads of it, and then what it writes."""

    id: str
    shop_id: str
    due_fen: int
    carried_in_fen: int
    brought_fen: int
    owed_fen: int
    set_off_fen: int
    carried_fen: int
    kept_fen: int
    paid_fen: int
    left_fen: int
    hold: HoldReason
    payee_masked: str
    held_reason: str = ""
    held_by: str = ""
    state: SettlementState = SettlementState.DRAFT
    number: str | None = None
    request_no: str | None = None
    issued_at: datetime | None = None

    def __post_init__(self) -> None:
        self.hold = HoldReason(self.hold)


_READ = [field.name for field in fields(Row) if field.default is MISSING]


effect = effects_of("settlement_posting")


def settle(case_id: str, round: int) -> Iterator[tuple[int, int]]:
    """Post and pay chunk by chunk what was released in this round; yields how many shops are settled and how many there are."""
    with reading() as tx:
        half = HalfAsked.of(tx.get_one(Case, case_id)).half
        row = tx.get_one(Half, half)
        if row.state is not HalfState.SETTLING or row.drafts != round:
            return
        done, of = row.last_number, row.totals["shops"]
    yield done, of
    pace = Pace(CHUNK)
    chunk = partial(pace.chunk, lambda tx, size: settle_chunk(tx, case_id, half, size))
    while count := insisting(case_id, "结算付款", chunk):
        done += count
        yield done, max(of, done)
        breathe()


@effect("核对结算是否完成")
def settled(tx: Tx, case: Case, round: int) -> bool:
    """Whether everything released in this round is posted; not when somebody who released it went before (ambiguity 23)."""
    return half_row(tx, HalfAsked.of(case).half).state is HalfState.SETTLING


def settle_chunk(tx: Tx, case_id: str, half_id: str, size: int = CHUNK) -> int:
    """Post and pay the next shops of a released half; returns how many, 0 when all are. Some may have nothing any more.

    0, too, once somebody who released it may not any more: the rest is drafted, and released, anew."""
    case = lock_case(tx, case_id)
    half = half_row(tx, half_id)
    if half.state is not HalfState.SETTLING:
        return 0
    if releasing.lapsed(tx, case, releases.insist(tx, case, half), "STL-1"):
        half.state = HalfState.DRAFTED
        tx.add(half)
        return 0
    states.insist_on_bans(tx)
    contradictions.put_right(tx)
    drafted = tx.execute(
        bulk.sql("""
        SELECT shop_id, paid_fen, hold, held_reason, held_by FROM settlement WHERE half = :half AND state = 'DRAFT'
        AND shop_id > :cursor ORDER BY shop_id LIMIT :size
        """),
        {"half": half.id, "cursor": half.cursor, "size": size},
    )
    released = {str(shop): rest for shop, *rest in drafted}
    if not released:
        return 0
    if rows := _reckoned(tx, half, list(released)):
        _bound(rows, released)
        _settle(tx, case, half, rows)
    half.cursor = next(reversed(released))
    tx.add(half)
    return len(released)


def _settle(tx: Tx, case: Case, half: Half, rows: Sequence[Row]) -> None:
    """Post these shops, number their statements, pay and tell them."""
    _post(tx, case, rows)
    for row in rows:
        half.last_number += 1
        row.number, row.issued_at = f"JS{half.id[:4]}{half.id[5:]}-{half.last_number:06d}", tx.now
    payments.pay(tx, case, half, [row for row in rows if row.paid_fen], payments.released_by(tx, case))
    _write(tx, rows)
    _take_over(tx, half, rows)
    _tell(tx, case, half, rows)


def _reckoned(tx: Tx, half: Half, shop_ids: Sequence[str]) -> list[Row]:
    """These shops drafted anew, their accounts locked until the transaction ends."""
    given = {"half": half.id, "lo": shop_ids[0], "hi": shop_ids[-1]}
    if tx.postgres:
        tx.execute(
            bulk.sql("""
            SELECT id FROM account WHERE shop_id >= :lo AND shop_id <= :hi AND kind IN ('receivable', 'arrears')
            ORDER BY id FOR UPDATE
            """),
            given,
        )
    mine = "half = :half AND shop_id >= :lo AND shop_id <= :hi AND state = 'DRAFT'"
    tx.execute(bulk.sql(f"""
        DELETE FROM settlement_anomaly WHERE settlement_id IN (SELECT id FROM settlement WHERE {mine})
        """), given)  # noqa: S608  # fmt: skip
    tx.execute(bulk.sql(f"DELETE FROM settlement WHERE {mine}"), given)  # noqa: S608
    drafts.write(tx, half, shop_ids[0], shop_ids[-1], acting=True)
    found = tx.execute(bulk.sql(f"SELECT {', '.join(_READ)} FROM settlement WHERE {mine} ORDER BY shop_id"), given)  # noqa: S608
    return [Row(*values) for values in found]


def _bound(rows: Sequence[Row], released: Mapping[str, Sequence[Any]]) -> None:
    """What finance held out stays held out, and nobody is paid more than was released."""
    for row in rows:
        paid, hold, reason, by = released.get(row.shop_id, (0, HoldReason.NONE, "", ""))
        if hold == HoldReason.FINANCE:
            row.hold, row.held_reason, row.held_by, paid = HoldReason.FINANCE, reason, by, 0
        more = max(row.paid_fen - paid, 0)
        row.paid_fen, row.left_fen = row.paid_fen - more, row.left_fen + more


def _post(tx: Tx, case: Case, rows: Sequence[Row]) -> None:
    """What is due, what is taken back, and arrears; then statements hold what they should, before anything is paid."""
    clause, cash = "STL-1", platform_account(AccountKind.CASH)
    postings: list[Posting] = []
    for row in rows:
        free, arrears = (shop_account(row.shop_id, kind) for kind in (AccountKind.RECEIVABLE, AccountKind.ARREARS))
        net = row.due_fen + row.carried_in_fen
        back = min(-net, row.brought_fen) if net < 0 else 0
        for what, debit, credit, fen, under in (
            ("due", cash, free, max(net, 0), clause),
            ("taken-back", free, cash, back, "STL-4"),
            ("owed", arrears, cash, -row.owed_fen, "DED-9"),
            ("set-off", free, arrears, row.set_off_fen, "REF-8"),
        ):
            if fen:
                key, reason = f"settlement/{row.id}/{what}", f"settlement.{what}"
                postings.append(Posting(key, debit, credit, fen, reason, under, case.id))
    ledger.post_many(tx, postings)
    if owing := [row for row in rows if row.kept_fen]:
        ids = [row.shop_id for row in owing]
        before = freeze_rows.balances(tx, ids)
        freezes.settle_shops(tx, ids)
        after = freeze_rows.balances(tx, ids)
        for row in owing:
            _keep(row, before.get(row.shop_id, 0) - after.get(row.shop_id, 0))
    for row in rows:
        if row.hold is HoldReason.BANNED:
            bans.hold(tx, row.shop_id)


def _keep(row: Row, kept: int) -> None:
    """What the statements really hold now; the difference is paid less, or stays for the next half."""
    more = kept - row.kept_fen
    row.kept_fen = kept
    if more > 0:
        less = min(more, row.paid_fen)
        row.paid_fen, row.left_fen = row.paid_fen - less, row.left_fen - (more - less)
    else:
        row.left_fen -= more


_COLUMNS = {
    "id": str, "state": str, "number": str, "kept_fen": int, "paid_fen": int, "left_fen": int, "hold": str,
    "held_reason": str, "held_by": str, "payee_masked": str, "request_no": str, "issued_at": datetime,
}  # fmt: skip


def _state(row: Row) -> SettlementState:
    if row.paid_fen:
        return SettlementState.PAYING
    if row.left_fen:
        return SettlementState.HELD
    return SettlementState.CARRIED if row.carried_fen else SettlementState.NIL


def _write(tx: Tx, rows: Sequence[Row]) -> None:
    """Write the rows back."""
    for row in rows:
        row.state = _state(row)
    bulk.update(tx, "settlement", _COLUMNS, [{name: getattr(row, name) for name in _COLUMNS} for row in rows])


def _take_over(tx: Tx, half: Half, rows: Sequence[Row]) -> None:
    """What earlier halves left or carried is now in this one."""
    tx.execute(bulk.sql(f"""
        UPDATE settlement SET taken_on = :half WHERE half < :half AND taken_on IS NULL AND state <> 'DRAFT'
        AND (left_fen > 0 OR carried_fen < 0) AND NOT ({drafts.DECIDING})
        AND shop_id IN (SELECT r.shop FROM {bulk.rows(tx, "given", {"shop": str})})
        """), {"half": half.id, "given": bulk.packed(tx, [{"shop": row.shop_id} for row in rows])})  # noqa: S608  # fmt: skip


_MESSAGE = {
    "key": str, "channel": str, "topic": str, "audience": str, "shop_id": str, "case_id": str, "payload_sealed": str,
    "state": str, "attempts": int, "note": str, "reached": list, "created_at": datetime, "next_at": datetime,
}  # fmt: skip


def _tell(tx: Tx, case: Case, half: Half, rows: Sequence[Row]) -> None:
    """A message, its copy for the platform's inbox and an event for each, spread over time, and one line in the audit."""
    start, digest = half.released_at or tx.now, hashlib.sha256()
    said = outside_quiet_hours(start, policy_at(start).quiet_hours, start + timedelta(days=2))
    first, messages = half.last_number - len(rows), []
    for place, row in enumerate(rows, start=first):
        later = timedelta(seconds=place * MESSAGES_PER_SHOP / MESSAGES_PER_SECOND)
        for prefix, channel, topic, audience, at in (
            (TO_MERCHANT, Channel.MERCHANT, SettlementIssued.name, "", said + later),
            (COPY, Channel.EVENT, "merchant.message.created", "platform", start + later),
            ("platform:", Channel.EVENT, IssuedEvent.type, "platform", start + later),
        ):
            messages.append(
                {
                    "key": f"{prefix}settlement/{row.id}/issued",
                    "channel": channel,
                    "topic": topic,
                    "audience": audience,
                    "shop_id": row.shop_id,
                    "case_id": case.id,
                    "payload_sealed": MADE_WHEN_SENT,
                    "state": OutboxState.NEW,
                    "attempts": 0,
                    "note": "",
                    "created_at": tx.now,
                    "next_at": at,
                }
            )
        digest.update(f"{row.number}:{row.due_fen}:{row.paid_fen};".encode())
    bulk.insert(tx, "outbox", _MESSAGE, messages)
    paid = sum(row.paid_fen for row in rows)
    audit.record(
        tx,
        case.id,
        "settlements.issued",
        clause="STL-1",
        count=len(rows),
        paid_fen=paid,
        sha256=digest.hexdigest(),
        text=f"已结算 {len(rows)} 家店铺,提交银行 {yuan(paid)}({rows[0].number} 至 {rows[-1].number})",
    )
    leaving = select(Shop.id).where(
        col(Shop.id).in_([row.shop_id for row in rows]), col(Shop.state).in_([ShopState.CLEARING, ShopState.CLOSED])
    )
    for shop_id in tx.exec(leaving):
        cases.wake_leaving(tx, shop_id)
    reviews.wake_asking(tx, *(row.shop_id for row in rows))
