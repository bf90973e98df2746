"""Facts of the platform have an age: kept as of their time, and asked for anew when an act needs newer ones (CLS-7).

A decision about money, and closing, needs facts not older than the policy's hours at the moment of the act
(ambiguity 27). A case whose facts are too old asks once and waits by itself; nobody answering is told to a person.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import col, select

from models.cases import Case, CaseDeadline, CaseWait, DeadlineState, Side, WaitState
from models.messages import InboxMessage
from models.reviews import Role
from models.shop_events import FactsRequested, ShopSnapshotTaken
from models.shops import ShopSnapshot
from models.windows import Reckoned
from notifications.message import hours_between
from notifications.operations import FactsMissing
from office.base.calendar import work_calendar
from office.base.db import Tx, in_transaction
from office.cases import cases, deadlines, effects, kept, reviews
from office.cases.cases import emit, rules
from office.cases.locks import lock_case
from office.process import Process
from office.record import audit, outbox
from office.record.inbox import Refused
from policies.deadlines import reckon
from policies.obstacles import oldest_facts, too_old
from policies.policy import policy_at
from tasks.shops import shops

FRESH = "fresh-facts"
"""The kind of wait that ends when the platform has sent facts new enough for what the case is about to do."""


class FactsTooOld(RuntimeError):
    """The facts have aged between the wait for them and the act. A fault: tried again, the case waits once more."""


def not_yet(tx: Tx, at: datetime | None, message: InboxMessage) -> bool:
    """Whether a moment that is said to have been lies ahead of ours, by more than clocks may differ."""
    return at is not None and at > message.received_at + timedelta(
        minutes=policy_at(tx.now).closure.facts_ahead_minutes
    )


def ahead(sentence: str, clause: str, about: str) -> Refused:
    """The refusal of what is said to be in the future: the merchant's window or money hangs on it, so the supervisor hears."""
    why = f"{sentence}。店铺的申诉期限或款项与此有关,请联系发送方核对日期并重新报送"
    return Refused(sentence, clause, heard=kept.heard(why, about, Role.SUPERVISOR))


def take_snapshot(tx: Tx, event: ShopSnapshotTaken, message: InboxMessage) -> None:
    """Keep newer facts, end the waits for them, and have open reviews look again.

    Of two with the same as-of time the one received later counts (ambiguity 39).
    """
    asking = [lock_case(tx, case_id) for case_id in _asking(tx, event.shop_id)]  # cases are locked before their shop
    shop = shops.find_shop(tx, event.shop_id)
    if not_yet(tx, event.as_of, message):
        ahead = policy_at(tx.now).closure.facts_ahead_minutes
        raise Refused(f"该经营快照的时间晚于收到时间超过 {ahead} 分钟,未采用", "CLS-7")
    snapshot = tx.get(ShopSnapshot, shop.id)
    if snapshot is not None and (snapshot.as_of, snapshot.received_at) > (event.as_of, message.received_at):
        raise Refused("该经营快照早于已有快照,未采用", "CLS-7")
    facts = event.facts.facts().model_dump(mode="json")
    if snapshot is None:
        snapshot = ShopSnapshot(shop_id=shop.id, as_of=event.as_of, received_at=message.received_at, facts=facts)
    snapshot.as_of, snapshot.received_at, snapshot.facts = event.as_of, message.received_at, facts
    tx.add(snapshot)
    tx.flush()
    audit.record(
        tx, f"shop/{shop.id}", "shop.snapshot", actor="platform", text="收到新的经营数据", as_of=event.as_of.isoformat()
    )
    for case in asking:
        if fresh(tx, case):
            arrived(tx, case)
        outbox.wake(tx, case)
    cases.wake_waiting(tx, shop.id, shops.FACTS)
    cases.wake_waiting(tx, None, FRESH)  # a half of all shops waits for those whose facts were too old
    reviews.wake_asking(tx, shop.id)


def _asking(tx: Tx, shop_id: str) -> list[str]:
    """The shop's cases that wait for newer facts."""
    query = (
        select(Case.id)
        .join(CaseWait, col(CaseWait.case_id) == Case.id)
        .where(Case.shop_id == shop_id, CaseWait.kind == FRESH, CaseWait.state == WaitState.OPEN)
    )
    return sorted(set(tx.exec(query)))


def fresh(tx: Tx, case: Case) -> bool:
    """Whether the newest facts of the case's shop are new enough to act on now; facts that never came are not."""
    _, snapshot = shops.facts_of(tx, case.shop_id or "")
    return snapshot is not None and not too_old(snapshot.as_of, tx.now, rules(case))


def insist(tx: Tx, case: Case) -> None:
    """For the act itself: raises :class:`FactsTooOld` unless the facts are new enough at this very moment."""
    if not fresh(tx, case):
        raise FactsTooOld(f"{case.id}: the newest facts of {case.shop_id} are too old to act on")


def want(tx: Tx, case: Case) -> bool:
    """Whether the facts are new enough; if not, have the platform asked for new ones, once, and start the clock."""
    if fresh(tx, case):
        arrived(tx, case)
        return True
    if cases.open_waits(tx, case.id, FRESH):
        return False
    key = f"{FRESH}/{len(cases.waits(tx, case.id, FRESH)) + 1}"
    cases.open_wait(tx, case, key, FRESH)
    due = answer_by(tx, case)
    deadlines.start(tx, case, key, FRESH, Side.PLATFORM, due)
    _, snapshot = shops.facts_of(tx, case.shop_id or "")
    request(tx, case, case.shop_id or "", snapshot.as_of if snapshot else None, due.due, key)
    audit.record(
        tx,
        case.id,
        "facts.requested",
        clause="CLS-7",
        text="经营数据已过期,已请平台提供最新数据",
        since=snapshot.as_of.isoformat() if snapshot else "",
    )
    return False


def answer_by(tx: Tx, case: Case) -> Reckoned:
    """Until when the platform has to answer what it is asked now."""
    return reckon(tx.now, rules(case).closure.facts_answer_within, "CLS-7", work_calendar())


def request(tx: Tx, case: Case, shop_id: str, since: datetime | None, due: datetime, key: str) -> None:
    """Have the platform asked for newer facts of a shop than those as of ``since``, once under this key of the case."""
    event = FactsRequested(
        shop_id=shop_id,
        case_id=case.id,
        since=since,
        not_before=oldest_facts(tx.now, rules(case)),
        answer_by=due,
        clause="CLS-7",
    )
    emit(tx, event, f"{case.id}/{key}", case, shop_id=shop_id)


def arrived(tx: Tx, case: Case) -> None:
    """The facts are new enough: nothing of the kind is awaited any more."""
    for wait in cases.open_waits(tx, case.id, FRESH):
        cases.close_wait(tx, wait, WaitState.ANSWERED)
        deadlines.stop(tx, case.id, wait.key, DeadlineState.MET)


def fresh_for(case_id: str, verb: Callable[..., Any], *args: Any) -> bool:
    """Whether the case may go on to this effect: it has been done before, needs no facts any more, or has fresh ones."""

    def work(tx: Tx) -> bool:
        if effects.happened(tx, case_id, verb, *args):
            return True
        case = lock_case(tx, case_id)
        return case.withdrawn_at is not None or case.concluded_at is not None or want(tx, case)

    return in_transaction(work)


# ── when time passes ─────────────────────────────────────────────────────────


def _remind(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    """Nothing: the platform is asked once, and after the clock has run out a person is told."""


def _unanswered(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    if want(tx, case):  # they came, and the case has not looked since
        outbox.wake(tx, case)
        return
    _, snapshot = shops.facts_of(tx, case.shop_id or "")
    told = FactsMissing(
        case_id=case.id,
        case_kind=case.kind.label,
        subject=case.subject or case.id,
        since=snapshot.as_of if snapshot else None,
        asked_at=deadline.started_at,
        link=reviews.link_to(case),
        hours_waited=hours_between(deadline.started_at, tx.now),
    )
    reviews.notify_staff(tx, Role.SUPERVISOR, told, f"{case.id}/{deadline.key}/{deadline.escalations}", case)


PROCESS = Process(
    name="facts",
    hears={ShopSnapshotTaken: take_snapshot},
    clocks={
        FRESH: deadlines.Kind(
            title="平台报送经营数据",
            remind=_remind,
            due=_unanswered,
            late_text="平台未按时提供最新经营数据,已升级至主管",
        )
    },
    waits={
        shops.FACTS: "清算完成(等待平台报送最新经营数据)",
        FRESH: "平台报送最新经营数据(现有数据已过期)",
    },
)
