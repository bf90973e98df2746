"""A shop's state: changed with a line in its chain, and compared with the last such line before something rests on it.

Whoever only has the database makes no shop closed, open or closed earlier: an act goes by what was recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from sqlmodel import col, select

from models.audit import AuditEntry
from models.cases import Case, CaseKind, CaseState
from models.shops import Shop, ShopState
from office.base.db import Tx
from office.record import alerts, audit

STANDS = "stands"
"""Under which name a line says what the shop is from then on."""
SAYING = ("shop.registered", "shop.opened", "shop.state", "shop.found")
CHUNK = 500


def put(tx: Tx, shop: Shop, state: ShopState) -> None:
    """Let the shop be this from now on, closed since and for as long as its row says."""
    shop.state = state
    tx.add(shop)
    tx.flush()
    audit.record(tx, f"shop/{shop.id}", "shop.state", text=f"店铺状态:{state.label}", **said(shop))


def said(shop: Shop) -> dict[str, Any]:
    """What a line of the shop's chain says of it."""
    return {
        STANDS: {"state": shop.state.value, "closed_at": _iso(shop.closed_at), "reopen_from": _iso(shop.reopen_from)}
    }


def insist(tx: Tx, shop: Shop) -> None:
    """Have the row say what the record says, where it speaks of the shop; the supervisor hears of a difference."""
    lines = reversed(audit.found_whole(tx, f"shop/{shop.id}"))
    last = next((line.detail[STANDS] for line in lines if STANDS in line.detail), None)
    if last is None or last == said(shop)[STANDS]:
        return
    found = shop.state.label
    shop.state = ShopState(last["state"])
    shop.closed_at, shop.reopen_from = _moment(last["closed_at"]), _moment(last["reopen_from"])
    tx.add(shop)
    tx.flush()
    alerts.altered(
        tx,
        f"shop/{shop.id}/{tx.now.isoformat()}",
        where=f"店铺 {shop.id} 的状态",
        finding=f"店铺在数据库中为「{found}」,状态或关店时间与留存记录「{shop.state.label}」不符",
        done="已按留存记录恢复,并以此办理",
    )


def insist_on_bans(tx: Tx) -> None:
    """The same for shops that were banned and are not by their row: nobody pays them as if they were not."""
    query = (
        select(Shop)
        .join(Case, col(Case.shop_id) == Shop.id)
        .where(
            Case.kind == CaseKind.FORCED_CLOSURE,
            Case.outcome == CaseState.FORCED_CLOSED,
            Shop.state != ShopState.FORCED_CLOSED,
        )
    )
    for shop in tx.exec(query):
        insist(tx, shop)


def note_found(tx: Tx, after: str, limit: int) -> str | None:
    """Have the record say what shops of earlier versions are, of which it says nothing: from then on their rows are compared
    with it, too. Of the next so many; returns after which one to go on, none when all have been looked at."""
    query = select(Shop).where(col(Shop.id) > after).order_by(col(Shop.id)).limit(limit)
    shops = {f"shop/{shop.id}": shop for shop in tx.exec(query)}
    last = _last_said(tx, shops)
    for stream, shop in shops.items():
        if last.get(stream) is None:
            audit.record(tx, stream, "shop.found", text=f"此前未留存的店铺状态:{shop.state.label}", **said(shop))
    return max(shop.id for shop in shops.values()) if len(shops) == limit else None


def _last_said(tx: Tx, streams: Iterable[str]) -> dict[str, Any]:
    """What these chains say last of their shops; nothing of those that earlier versions wrote alone."""
    query = select(AuditEntry).where(col(AuditEntry.stream).in_(streams), col(AuditEntry.action).in_(SAYING))
    lines = tx.exec(query.order_by(col(AuditEntry.id)))
    return {line.stream: line.detail[STANDS] for line in lines if STANDS in line.detail}


def check(tx: Tx) -> Iterator[str]:
    """Shops that are not what their chains say, a sentence each."""
    shops = iter(tx.exec(select(Shop).order_by(col(Shop.id)).execution_options(yield_per=CHUNK)))
    while chunk := {f"shop/{shop.id}": shop for shop in islice(shops, CHUNK)}:
        last = _last_said(tx, chunk)
        for stream, shop in chunk.items():
            if (says := last.get(stream)) is not None and says != said(shop)[STANDS]:
                yield f"{stream}: the row says {said(shop)[STANDS]}, the record {says}"


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
