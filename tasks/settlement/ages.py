"""How old the facts are that a half is paid on: asked for where they are too old, and waited for (CLS-7, ambiguity 27).

A half pays thousands of shops, so it waits for all of them together, no longer than the platform has to answer. Whose facts
are too old at the very moment of posting is held (``OLD_FACTS``, in ``drafts``) and brought on to the next half.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

from sqlmodel import col, func, or_, select

from models.cases import Case, CaseDeadline, Side
from models.reviews import Role
from models.settlement import Half, HalfState, Settlement, SettlementState
from models.shops import ShopSnapshot
from notifications.message import hours_between
from notifications.operations import FactsMissing
from office.base.db import Tx, in_transaction, reading
from office.cases import cases, deadlines, reviews
from office.cases.cases import rules
from office.cases.deadlines import Kind
from office.cases.effects import effects_of
from office.cases.locks import lock_case
from office.record import audit, outbox
from policies.obstacles import oldest_facts
from tasks.settlement.request import HalfAsked
from tasks.shops import facts
from tasks.shops.facts import FRESH

effect = effects_of("settlement_ages")

CHUNK = 500
"""Shops asked about in one transaction."""
CLOCK = "half-facts"
THEN = "这些店铺本期暂不打款，数据到后并入下期结算"


def _old(case: Case, now: datetime, *what: Any) -> Any:
    """This about the shops that are to be paid on facts that are too old; those whose facts never came are among them."""
    return (
        select(*what)
        .select_from(Settlement)
        .join(ShopSnapshot, col(ShopSnapshot.shop_id) == Settlement.shop_id, isouter=True)
        .where(
            Settlement.half == HalfAsked.of(case).half,
            Settlement.state == SettlementState.DRAFT,
            Settlement.paid_fen > 0,
        )
        .where(or_(col(ShopSnapshot.as_of).is_(None), col(ShopSnapshot.as_of) < oldest_facts(now, rules(case))))
    )


def ask(case_id: str, round: int) -> Iterator[tuple[int, int]]:
    """Have the platform asked about each of these shops, once, chunk by chunk; then the half waits for all. Only where
    nothing has been posted since this round of drafting."""
    with reading() as tx:
        case = cases.get(tx, case_id)
        half = tx.get_one(Half, HalfAsked.of(case).half)
        if half.drafts != round or half.state is not HalfState.SETTLING or half.cursor:
            return
        if cases.find_wait(tx, case_id, _key(round)):
            return
        of = tx.exec(_old(case, tx.now, func.count())).one()
    done, after = 0, ""
    while shops := in_transaction(partial(_ask, case_id=case_id, after=after)):
        done, after = done + len(shops), shops[-1]
        yield done, max(of, done)
    if done:
        in_transaction(lambda tx: _wait(tx, case_id, round, done))


def _key(round: int) -> str:
    return FRESH if round == 1 else f"{FRESH}/{round}"


def _ask(tx: Tx, case_id: str, after: str) -> list[str]:
    case = lock_case(tx, case_id)
    query = _old(case, tx.now, Settlement.shop_id, ShopSnapshot.as_of).where(Settlement.shop_id > after)
    found = list(tx.exec(query.order_by(col(Settlement.shop_id)).limit(CHUNK)))
    due = facts.answer_by(tx, case).due
    for shop_id, since in found:
        request(tx, case, shop_id, since, due)
    return [shop_id for shop_id, _ in found]


def request(tx: Tx, case: Case, shop_id: str, since: datetime | None, due: datetime) -> None:
    """Have the platform asked for newer facts of one shop, once for each that are too old."""
    key = f"{FRESH}/{shop_id}/{int(since.timestamp()) if since else 0}"
    facts.request(tx, case, shop_id, since, due, key)


def _wait(tx: Tx, case_id: str, round: int, count: int) -> None:
    case = lock_case(tx, case_id)
    cases.open_wait(tx, case, _key(round), FRESH)
    deadlines.start(tx, case, _key(round), CLOCK, Side.PLATFORM, facts.answer_by(tx, case))
    audit.record(
        tx,
        case.id,
        "facts.requested",
        clause="CLS-7",
        shops=count,
        text=f"{count} 家店铺的经营数据已过期,已请平台提供最新数据",
    )


def ready(case_id: str) -> bool:
    """Whether there is nothing to wait for (any more): everybody's facts are new enough, or the time to answer is over."""
    with reading() as tx:
        waits = cases.open_waits(tx, case_id, FRESH)
        if not waits:
            return True
        clock = deadlines.find(tx, case_id, waits[-1].key)
        case = cases.get(tx, case_id)
        return (
            clock is None
            or clock.due_at <= tx.now
            or tx.exec(_old(case, tx.now, Settlement.shop_id).limit(1)).first() is None
        )


@effect("按最新经营数据结算")
def go_on(tx: Tx, case: Case) -> None:
    """Nothing is awaited any more. Whether facts are new enough is judged once more, shop by shop, as each is posted."""
    facts.arrived(tx, case)


@effect("重新放行后按最新经营数据结算")
def go_on_again(tx: Tx, case: Case, round: int) -> None:
    """The same in a later round of drafting."""
    facts.arrived(tx, case)


# ── when time passes ─────────────────────────────────────────────────────────


def _remind(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    """Nothing: the platform is asked once."""


def _late(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    """Those who did not come are held; the supervisor hears how many, and the half goes on."""
    count, since = tx.exec(_old(case, tx.now, func.count(), func.min(ShopSnapshot.as_of))).one()
    if count:
        told = FactsMissing(
            case_id=case.id,
            case_kind=case.kind.label,
            subject=f"{case.subject}({count} 家店铺)",
            since=since,
            asked_at=deadline.started_at,
            hours_waited=hours_between(deadline.started_at, tx.now),
            link=reviews.link_to(case),
            then=THEN,
        )
        reviews.notify_staff(tx, Role.SUPERVISOR, told, f"{case.id}/{deadline.key}", case)
    deadlines.stop(tx, case.id, deadline.key)
    outbox.wake(tx, case)


CLOCKS = {
    CLOCK: Kind(
        title="平台报送待付款店铺的经营数据",
        remind=_remind,
        due=_late,
        late_text="部分店铺的经营数据未按时报送,本期暂不打款",
    )
}
