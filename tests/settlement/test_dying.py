"""Workers that die at every chunk of a half: while it is drafted, while the platform is asked about its shops, while it is
posted and paid. In the end every shop is paid once, and nothing tells that anybody died (STL-1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from models.settlement import Half, HalfState
from office.base.db import Tx
from tasks.settlement import ages, drafts, posting
from tests.deaths import mortal, until_done
from tests.play import Office
from tests.settlement import kit
from tests.settlement.kit import NET, NOVEMBER, confirm, order, ours

SHOPS = [f"shop-{number}" for number in range(1, 5)]


def chunks_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each chunk is of one shop, and says which before it is committed."""

    def told(name: str, chunk: Callable[..., Any]) -> Callable[..., Any]:
        def one(tx: Tx, *args: Any, **named: Any) -> Any:
            if done := chunk(tx, *args, **named):
                shop = done[-1] if name == "ask" else tx.get_one(Half, NOVEMBER).cursor
                tx.info.setdefault("effects", []).append(f"{name}/{shop}")
            return done

        return one

    draft, settle = drafts.draft_chunk, posting.settle_chunk
    monkeypatch.setattr(ages, "CHUNK", 1)
    monkeypatch.setattr(ages, "_ask", told("ask", ages._ask))
    monkeypatch.setattr(drafts, "draft_chunk", told("draft", lambda tx, half: draft(tx, half, 1)))
    monkeypatch.setattr(posting, "settle_chunk", told("pay", lambda tx, case, half, size: settle(tx, case, half, 1)))


def test_a_half_is_paid_once_though_its_worker_dies_at_every_chunk(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    for shop in SHOPS:
        ours(office, shop)
    confirm(office, *(order(shop, 10_000 + 100 * n) for n, shop in enumerate(SHOPS)))
    kit.on_first_of_december(office)
    chunks_of_one(monkeypatch)
    died: list[tuple[str, str]] = []

    def strike(at: str, key: str) -> bool:
        if (at, key) in died or key.partition("/")[0] not in {"draft", "ask", "pay"}:
            return False
        died.append((at, key))
        return True

    with mortal(strike):
        until_done(office, lambda: kit.draft(office))
        case_id = kit.half_of().case_id or ""
        until_done(office, lambda: office.decide(case_id, "wang-fang", "RELEASE"))
    chunks = [f"{what}/{shop}" for what in ("draft", "ask", "pay") for shop in SHOPS]
    assert died == [(at, chunk) for chunk in chunks for at in ("before", "after")]
    assert kit.half_of().state is HalfState.SETTLED and office.case(case_id).outcome == "SETTLED"
    found = [(one["shop_id"], one["amount_fen"]) for one in kit.payments(office)]
    assert found == [(shop, NET + 100 * n) for n, shop in enumerate(SHOPS)]
    assert [one["shop_id"] for one in office.events("facts.requested")] == SHOPS
    assert [kit.settlement(shop).number for shop in SHOPS] == [f"JS202611-2-{n:06d}" for n in range(1, len(SHOPS) + 1)]
    assert len(office.events("settlement.issued")) == len(SHOPS)
    kit.sound(office)
