"""Builders for settlement: orders, after-sales, halves with sensible defaults."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import col, select

from models.cases import Case, CaseKind
from models.settlement import Aftersale, Half, Settlement, SettlementOrder
from office.base.db import in_transaction, reading
from office.cases.gates import Outcome
from tasks.settlement import halves, releases
from tasks.sight import proof
from tests.beginnings import act
from tests.play import NUMBERS, PAYEE, Office

NOVEMBER = "2026-11-2"
"""The half in which the stories begin, on the 19th."""
BEGAN = "2026-11-16T00:00:00+08:00"


def ours(
    office: Office, shop_id: str = "shop-1", *, since: str = BEGAN, payee: dict[str, Any] | None = None, **shop: Any
) -> str:
    """An open shop that we settle, with an account that has rested."""
    office.open_shop(shop_id, **shop)
    office.clock.at = max(office.clock.at, datetime(2026, 11, 24, 2, tzinfo=UTC))
    office.send("settlement.assigned", {"shop_id": shop_id, "settler": "OFFICE", "since": since})
    set_account(office, shop_id, **(payee or {}))
    return shop_id


def set_account(office: Office, shop_id: str = "shop-1", **changes: Any) -> None:
    office.send(
        "settlement.account_set",
        {
            "shop_id": shop_id,
            "payee": PAYEE | changes,
            "as_of": office.clock.at.isoformat(),
        },
    )


def order(shop_id: str = "shop-1", goods: int = 10_000, **changes: Any) -> dict[str, Any]:
    """An order that brings the shop ``goods`` less 500 commission and 50 fee, confirmed on 20 November."""
    return {
        "order_id": f"order-{next(NUMBERS)}",
        "shop_id": shop_id,
        "goods_fen": goods,
        "commission_fen": 500,
        "fee_fen": 50,
        "confirmed_at": "2026-11-20T10:00:00+08:00",
    } | changes


NET = 10_000 - 550


def confirm(office: Office, *orders: dict[str, Any]) -> dict[str, Any]:
    """Send a batch of orders; returns the receipt."""
    office.send("orders.confirmed", {"batch_id": f"batch-{next(NUMBERS)}", "orders": list(orders)})
    return office.events("orders.received")[-1]


def aftersale(order_id: str, shop_id: str = "shop-1", **changes: Any) -> dict[str, Any]:
    return {
        "aftersale_id": f"as-{next(NUMBERS)}",
        "order_id": order_id,
        "shop_id": shop_id,
        "opened_at": "2026-11-21T10:00:00+08:00",
    } | changes


def after(office: Office, *aftersales: dict[str, Any]) -> dict[str, Any]:
    """Send a batch of after-sales; returns the receipt."""
    office.send("orders.aftersale", {"batch_id": f"batch-{next(NUMBERS)}", "aftersales": list(aftersales)})
    return office.events("orders.aftersale.received")[-1]


def at(office: Office, year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> None:
    """Move the clock to a Beijing wall-clock time."""
    office.clock.at = datetime(year, month, day, hour, minute, second, tzinfo=UTC) - timedelta(hours=8)


@act
def draft(office: Office, half: str = NOVEMBER) -> Case:
    """The half's run, drafted and waiting for finance."""
    case = in_transaction(lambda tx: halves.begin_half(tx, half))
    office.settle()
    return case


def run(office: Office, half: str = NOVEMBER, who: str = "wang-fang", **answer: Any) -> Case:
    """Draft, release, post and pay a half."""
    case = draft(office, half)
    office.decide(case, who, "RELEASE", **answer)
    return case


def on_first_of_december(office: Office) -> None:
    at(office, 2026, 12, 1, 4)


def settlement(shop_id: str = "shop-1", half: str = NOVEMBER) -> Settlement:
    with reading() as tx:
        row = tx.exec(select(Settlement).where(Settlement.half == half, Settlement.shop_id == shop_id)).one()
        tx.expunge(row)
        return row


def half_of(half: str = NOVEMBER) -> Half:
    with reading() as tx:
        row = tx.get_one(Half, half)
        tx.expunge(row)
        return row


def payments(office: Office) -> list[dict[str, Any]]:
    """Everything the bank was told to pay of receivables, in order."""
    batches = [one for event in office.events("settlement.payouts.requested") for one in event["payments"]]
    return [*batches, *office.events("settlement.payout.requested")]


def bank(office: Office, payment: dict[str, Any], what: str = "settled", reason: str = "") -> None:
    office.bank(payment["request_no"], what, payment["amount_fen"], payment["shop_id"], reason)


def return_case(shop_id: str = "shop-1") -> Case:
    with reading() as tx:
        query = select(Case).where(Case.shop_id == shop_id, Case.kind == CaseKind.SETTLEMENT_RETURN)
        case = tx.exec(query.order_by(col(Case.opened_at).desc())).first()
        assert case is not None
        tx.expunge(case)
        return case


def sent_back(office: Office) -> Case:
    """November's second half paid the shop for its one order, and the bank has sent that back: finance's case."""
    ours(office)
    confirm(office, order())
    on_first_of_december(office)
    run(office)
    bank(office, payments(office)[0], "returned", "账户已注销")
    return return_case()


def sound(office: Office) -> None:
    """Books, chains, and the proof across orders, rows, payments and books."""
    assert office.chains() == []
    money_sound(office)


def money_sound(office: Office) -> None:
    """Books, and the proof across orders, rows, payments and books."""
    assert office.books() == []
    with reading() as tx:
        assert list(proof.check(tx)) == []


def order_row(order_id: str) -> SettlementOrder:
    with reading() as tx:
        row = tx.get_one(SettlementOrder, order_id)
        tx.expunge(row)
        return row


def aftersale_row(aftersale_id: str) -> Aftersale:
    with reading() as tx:
        row = tx.get_one(Aftersale, aftersale_id)
        tx.expunge(row)
        return row


def release_held(office: Office, who: str, shop_id: str = "shop-1", half: str = NOVEMBER) -> Outcome:
    """Finance pays what was held out; where the facts are too old for it, once more when newer ones have come."""
    for _ in range(2):
        code = office.code(who)
        done = in_transaction(lambda tx: releases.release_held(tx, half, shop_id, who, code, "已核实,可以付款"))  # noqa: B023
        office.settle()
        if "已请平台报送" not in done.sentence:
            break
    return done


def owe(office: Office, fen: int, shop_id: str = "shop-1", number: str = "") -> None:
    """Arrears beyond the deposit."""
    office.deduct(
        400_000 + fen, f"ded-{number or next(NUMBERS)}", reason="RULE_VIOLATION", shop_id=shop_id, clause="规则第一条"
    )


HOUR = timedelta(hours=1)
