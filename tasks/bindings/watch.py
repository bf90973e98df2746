"""The daily look: which accounts sell mostly for one shop and are nobody's yet (BND-11). It proposes and binds nothing.

Statements over many shops, chunk by chunk, each with its progress in the transaction that did it: killed at any chunk,
the next sweep goes on. What is not wholly known of an account changes nothing about it.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, and_, case, cast, exists, func, insert, literal, or_, update
from sqlalchemy import select as sql_select
from sqlmodel import col, select

from models.base import UTCDateTime
from models.bindings import Binding, BindingKind
from models.shops import Shop, ShopState
from models.talent_events import ProposedAccount, SelfOperatedProposed
from models.talents import SelfOperatedCheck, SelfOperatedProposal, TalentDay, TalentShopDay
from notifications import bindings as words
from office.base.db import Tx, breathe, in_transaction
from office.cases import merchants
from office.cases.cases import emit
from policies import shares
from policies.binding_numbers import BindingPolicy
from policies.days import days_before
from policies.policy import SHANGHAI, policy_at

SHOPS_AT_ONCE = 100
AGAIN = timedelta(hours=1)
"""How soon after a look figures that came later are looked at: yesterday's often come in the morning."""
NAMED = 20
"""Accounts that a letter names; the rest is counted there, and whole in the event."""


def sweep() -> int:
    """Look at every shop once a day, from the policy's hour on; returns how many shops were looked at now."""
    looked = 0
    while (done := in_transaction(_chunk)) is not None:
        looked += done
        breathe()
    return looked


def _chunk(tx: Tx) -> int | None:
    """The next shops of today; ``None`` when today is done, or not yet begun."""
    local, numbers = tx.now.astimezone(SHANGHAI), policy_at(tx.now).bindings
    if local.hour < numbers.watch_hour:
        return None
    check = _today(tx, local)
    if check.done_at is not None:
        if not _news(tx, check, check.done_at):
            return None
        check.upto, check.started_at, check.done_at = "", tx.now, None
    first, last = days_before(tx.now, numbers.share_days)
    shops = _next(tx, check, first, last)
    if shops:
        check.upto, check.shops = shops[-1], check.shops + len(shops)
        check.ended += _end(tx, shops, first, last, numbers)
        _propose(tx, shops, first, last, numbers)
        check.proposed += _tell(tx, shops, check.day, numbers)
    if len(shops) < SHOPS_AT_ONCE:
        check.done_at = tx.now
    tx.add(check)
    return len(shops) or None


def _today(tx: Tx, local: datetime) -> SelfOperatedCheck:
    query = select(SelfOperatedCheck).where(SelfOperatedCheck.day == local.date())
    found = tx.exec(query.with_for_update() if tx.postgres else query).first()
    if found is None:
        found = SelfOperatedCheck(day=local.date(), started_at=tx.now)
        tx.add(found)
        tx.flush()
    return found


def _news(tx: Tx, check: SelfOperatedCheck, done_at: datetime) -> bool:
    """Whether days of talents came after the last look of today began; once an hour at most."""
    if tx.now - done_at < AGAIN:
        return False
    query = select(TalentDay.account_id).where(col(TalentDay.recorded_at) >= check.started_at)
    return tx.exec(query.limit(1)).first() is not None


def _next(tx: Tx, check: SelfOperatedCheck, first: date, last: date) -> list[str]:
    """The next open shops with sales through talents in the window, or with a proposal that stands."""
    sold = exists().where(col(TalentShopDay.shop_id) == col(Shop.id), col(TalentShopDay.day).between(first, last))
    stands = exists().where(
        col(SelfOperatedProposal.shop_id) == col(Shop.id), col(SelfOperatedProposal.ended_at).is_(None)
    )
    query = select(Shop.id).where(col(Shop.id) > check.upto, Shop.state == ShopState.OPEN, or_(sold, stands))
    return list(tx.exec(query.order_by(Shop.id).limit(SHOPS_AT_ONCE)))


def _known(shops: list[str], first: date, last: date, numbers: BindingPolicy) -> Any:
    """Accounts that matter to these shops and whose every day is whole and sound, with what they sold in all."""
    sound = and_(col(TalentDay.whole).is_(True), col(TalentDay.parts_fen) <= col(TalentDay.total_fen))
    sold = select(TalentShopDay.account_id).where(
        col(TalentShopDay.day).between(first, last), col(TalentShopDay.shop_id).in_(shops)
    )
    stand = select(SelfOperatedProposal.account_id).where(
        col(SelfOperatedProposal.ended_at).is_(None), col(SelfOperatedProposal.shop_id).in_(shops)
    )
    return (
        select(TalentDay.account_id, cast(func.sum(TalentDay.total_fen), BigInteger).label("total"))
        .where(col(TalentDay.day).between(first, last))
        .where(col(TalentDay.account_id).in_(sold) | col(TalentDay.account_id).in_(stand))
        .group_by(col(TalentDay.account_id))
        .having(func.sum(case((sound, 1), else_=0)) == numbers.share_days)
        .subquery()
    )


def _parts(shops: list[str], first: date, last: date) -> Any:
    """What each account sold of each of these shops."""
    return (
        select(
            TalentShopDay.shop_id, TalentShopDay.account_id, cast(func.sum(TalentShopDay.fen), BigInteger).label("ours")
        )
        .where(col(TalentShopDay.day).between(first, last), col(TalentShopDay.shop_id).in_(shops))
        .group_by(col(TalentShopDay.shop_id), col(TalentShopDay.account_id))
        .subquery()
    )


def _reaches(ours: Any, total: Any, numbers: BindingPolicy) -> Any:
    """The rule of ``policies.shares.reaches`` in SQL."""
    needed = total * shares.threshold(numbers)
    return and_(total > 0, ours * 10_000 >= needed if numbers.share_inclusive else ours * 10_000 > needed)


def _taken(account_id: Any) -> Any:
    """Somebody's self-operated account already (BND-12)."""
    return exists().where(
        col(Binding.kind) == BindingKind.SELF_OPERATED,
        col(Binding.account_id) == account_id,
        col(Binding.bound_at).is_not(None),
        col(Binding.ended_at).is_(None),
    )


def _propose(tx: Tx, shops: list[str], first: date, last: date, numbers: BindingPolicy) -> None:
    known, parts = _known(shops, first, last, numbers), _parts(shops, first, last)
    stands = exists().where(
        col(SelfOperatedProposal.shop_id) == parts.c.shop_id,
        col(SelfOperatedProposal.account_id) == parts.c.account_id,
        col(SelfOperatedProposal.ended_at).is_(None),
    )
    found = (
        sql_select(parts.c.shop_id, parts.c.account_id, literal(tx.now, UTCDateTime()), parts.c.ours, known.c.total)
        .join(known, known.c.account_id == parts.c.account_id)
        .where(_reaches(parts.c.ours, known.c.total, numbers), ~stands, ~_taken(parts.c.account_id))
    )
    names = ["shop_id", "account_id", "proposed_at", "shop_fen", "total_fen"]
    tx.execute(insert(SelfOperatedProposal).from_select(names, found))


def _end(tx: Tx, shops: list[str], first: date, last: date, numbers: BindingPolicy) -> int:
    """End proposals whose account is somebody's by now, or is wholly known and sells too little for the shop."""
    known, parts = _known(shops, first, last, numbers), _parts(shops, first, last)
    one = SelfOperatedProposal
    still = exists(
        select(parts.c.ours).where(
            parts.c.shop_id == one.shop_id,
            parts.c.account_id == one.account_id,
            known.c.account_id == one.account_id,
            _reaches(parts.c.ours, known.c.total, numbers),
        )
    )
    whole = exists(select(known.c.total).where(known.c.account_id == one.account_id))
    over = (
        update(one)
        .where(col(one.ended_at).is_(None), col(one.shop_id).in_(shops))
        .where(_taken(one.account_id) | (whole & ~still))
        .values(ended_at=tx.now)
        .execution_options(synchronize_session=False)
    )
    return tx.execute(over).rowcount  # type: ignore[attr-defined]


def _tell(tx: Tx, shops: list[str], today: date, numbers: BindingPolicy) -> int:
    """One letter and one event to each shop that has something new; returns how many accounts that are."""
    query = select(SelfOperatedProposal).where(
        SelfOperatedProposal.proposed_at == tx.now, col(SelfOperatedProposal.shop_id).in_(shops)
    )
    new: defaultdict[str, list[ProposedAccount]] = defaultdict(list)
    for row in tx.exec(query.order_by(col(SelfOperatedProposal.shop_id), col(SelfOperatedProposal.account_id))):
        percent = shares.percent(row.shop_fen, row.total_fen)
        new[row.shop_id].append(ProposedAccount(target_account_id=row.account_id, share_percent=percent))
    for shop_id, accounts in new.items():
        key = f"self-operated/{shop_id}/{tx.now.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"
        emit(tx, SelfOperatedProposed(shop_id=shop_id, day=today, accounts=tuple(accounts)), key, shop_id=shop_id)
        told = words.SelfOperatedProposed(
            shop_name=tx.get_one(Shop, shop_id).name,
            days=numbers.share_days,
            more=max(0, len(accounts) - NAMED),
            accounts=tuple(f"{one.target_account_id}({one.share_percent}%)" for one in accounts[:NAMED]),
        )
        merchants.tell(tx, told, key, shop_id=shop_id)
    return sum(len(accounts) for accounts in new.values())
