"""Batches: each line is judged by itself. What is odd comes back with its place, and takes none of the good ones away."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from annotated_types import MaxLen

from models import wire
from models.wire import LineOf
from tests.accounts import sales_of, today
from tests.play import Office

ODD: list[Any] = [None, 7, "文", [], {}, {"unheard": 1}]
WHOLE = {"invoice.submitted": {"lines"}}
"""Long lists that are one matter: of an invoice with one odd line nothing can be taken."""


def batches(office: Office) -> dict[str, tuple[dict[str, Any], str, dict[str, Any], str]]:
    """Event → what it says beside its lines, their field, a good line, and the event in which the others come back."""
    now, yesterday = office.clock.at.isoformat(), today(office) - timedelta(days=1)
    return {
        "shop.figures": (
            {"as_of": now}, "days", {"shop_id": "shop-1", "day": yesterday.isoformat(), "gmv_fen": 7}, "figures.rejected",
        ),
        "talent.sales": ({"as_of": now}, "days", sales_of(yesterday, 60_000), "figures.rejected"),
        "orders.confirmed": (
            {"batch_id": "b-1"}, "orders",
            {"order_id": "order-1", "shop_id": "shop-1", "goods_fen": 100, "confirmed_at": now}, "orders.received",
        ),
        "orders.aftersale": (
            {"batch_id": "b-2"}, "aftersales",
            {"aftersale_id": "as-1", "order_id": "order-1", "shop_id": "shop-1", "opened_at": now}, "orders.aftersale.received",
        ),
        "billables.recorded": (
            {"batch_id": "b-3"}, "items",
            {"item_id": "sub-1", "shop_id": "shop-1", "category": "COUPON", "amount_fen": 9, "settled_at": now},
            "billables.received",
        ),
        "accounts.marking_requested": (
            {"shop_id": "shop-1", "account_id": "acct-shop-1"}, "accounts", {"target_account_id": "dy-8"},
            "accounts.marking.received",
        ),
    }  # fmt: skip


def test_every_long_list_that_comes_in_is_judged_line_by_line(office: Office) -> None:
    lines, whole = set(), {}
    for kind, model in wire.INBOUND.items():
        for name, field in model.model_fields.items():
            if any(
                isinstance(limit, MaxLen) and limit.max_length >= 100 for limit in field.metadata
            ) and "tuple" in str(field.annotation):
                if "LineOf" in str(field.annotation):
                    lines.add(kind)
                else:
                    whole[kind] = whole.get(kind, set()) | {name}
    assert lines == set(batches(office)) and whole == WHOLE and LineOf


@pytest.mark.parametrize("kind", [
    "shop.figures", "talent.sales", "orders.confirmed", "orders.aftersale", "billables.recorded", "accounts.marking_requested",
])  # fmt: skip
def test_odd_lines_take_no_good_one_away_and_come_back_with_their_place(office: Office, kind: str) -> None:
    office.open_shop()
    office.send("settlement.assigned", {"shop_id": "shop-1", "settler": "OFFICE", "since": "2026-11-01T00:00:00+08:00"})
    about, field, good, receipt = batches(office)[kind]
    office.send(kind, about | {field: [*ODD, good, good | {"unheard": 1}, *ODD]}, "batch-1")
    assert office.refusals() == []
    told = office.events(receipt)[-1]
    assert {line["position"] for line in told["rejected"]} == {*range(1, 7), 8, *range(9, 15)}
    assert all(line["reason"] for line in told["rejected"])
    assert told.get("accepted", 1) == 1 and len(told.get("cases", [1])) == 1
    assert office.books() == [] == office.chains()


@pytest.mark.parametrize("day", [0, 20_414, 1.5, "20414", "2026-11-18T00:00:00", "18.11.2026", True])
def test_a_number_is_no_day_of_a_line_either(office: Office, day: Any) -> None:
    for kind in ("shop.figures", "talent.sales"):
        about, field, good, receipt = batches(office)[kind]
        office.send(kind, about | {field: [good | {"day": day}]})
        assert [line["field"] for line in office.events(receipt)[-1]["rejected"]] == ["day"]


def test_lines_that_contradict_each_other_about_one_day_are_none_of_them_taken(office: Office) -> None:
    for kind, changed in (("shop.figures", {"gmv_fen": 8}), ("talent.sales", {"total_fen": 9_000_000})):
        about, field, good, receipt = batches(office)[kind]
        office.send(kind, about | {field: [good, good, good | changed]})
        told = office.events(receipt)[-1]
        assert told["accepted"] == 0 and [line["position"] for line in told["rejected"]] == [1, 2, 3]
        office.send(kind, about | {field: [good, good]}, f"again-{kind}")
        assert office.events(receipt)[-1] == told, "the same twice is one"
