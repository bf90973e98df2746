"""What every scene shares: registering a shop, closing one, insisting on a result, saying what waits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Protocol

from models.books import AccountKind
from models.cases import Case
from office.cases.reviews import link_to
from office.money import ledger
from ops.rehearsal import PEOPLE, NotAsExpected, Rehearsal

Waiting = tuple[str, str, str, str]
"""Case id, what it waits for, who can answer, the link."""


class Scene(Protocol):
    """One story: set up until people are needed, then played to its end."""

    title: str

    def set_up(self) -> None: ...

    def play(self) -> None: ...

    def waiting(self) -> Iterable[Waiting]: ...

    def cases(self) -> list[str]: ...


def side_by_side(*acts: Callable[[], Any]) -> None:
    """Play at the same time in one stack: acts wait for one another's turn much less than they wait."""
    with ThreadPoolExecutor(max(1, len(acts))) as pool:
        for playing in [pool.submit(copy_context().run, act) for act in acts]:
            playing.result()


def expect(what: str, found: Any, wanted: Any) -> None:
    """Insist that something is as it should be."""
    if found != wanted:
        raise NotAsExpected(f"{what}:应为 {wanted},实为 {found}")


def register(
    stage: Rehearsal, shop_id: str, name: str, entity: str, fen: int, channel: str, payer: str, **more: Any
) -> None:
    """Register an example shop, with its deposit paid and nothing open."""
    stage.send(
        "shop.registered",
        {
            "shop_id": shop_id,
            "name": name,
            "entity_type": entity,
            "owner_account_id": f"acct-{shop_id}",
            "owner_name": "林晓",
            "licence_name": f"宁波{name}有限公司" if entity == "ENTERPRISE" else "",
            "taxpayer_type": "GENERAL" if entity == "ENTERPRISE" else "SMALL_SCALE",
            "categories": ["服饰"],
            "contacts": [],
        }
        | more,
    )
    stage.send(
        "deposit.paid",
        {
            "shop_id": shop_id,
            "payment_id": f"pay-{shop_id}",
            "amount_fen": fen,
            "channel": channel,
            "payer_account": payer,
            "paid_at": stage.now().isoformat(),
        },
    )
    stage.snapshot(shop_id)


def ask_to_close(stage: Rehearsal, shop_id: str, why: str = "转做线下门店") -> str:
    """Have the merchant ask for their shop to be closed; returns the case."""
    stage.send(
        "closure.requested",
        {
            "shop_id": shop_id,
            "account_id": f"acct-{shop_id}",
            "reason": "STRATEGY_CHANGE",
            "reason_text": why,
        },
    )
    return stage.case_of(shop_id, "closure")


def close(stage: Rehearsal, shop_id: str, reviewer: str) -> str:
    """Have a shop closed the ordinary way; returns the case."""
    case_id = ask_to_close(stage, shop_id)
    stage.decide(case_id, "closure-review", reviewer, "同意关店")
    stage.state(case_id, "CLEARING")
    stage.snapshot(shop_id)
    stage.state(case_id, "CLOSED")
    return case_id


def balance(stage: Rehearsal, shop_id: str, kind: AccountKind = AccountKind.DEPOSIT) -> int:
    found: int = stage.read(lambda tx: ledger.shop_balance(tx, shop_id, kind).fen)
    return found


def waiting_row(stage: Rehearsal, case_id: str, what: str, who: str) -> Waiting:
    """One line of the guide; ``who`` is a staff id, or a word for somebody outside."""

    def link(tx: Any) -> str:
        case = tx.get(Case, case_id)
        return link_to(case) if case else ""

    return case_id, what, f"{PEOPLE[who][0]} ({who})" if who in PEOPLE else who, stage.read(link)
