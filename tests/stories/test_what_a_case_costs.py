"""What a plain case says to the database, counted: a question that is asked twice is noticed the day it comes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.core.sql import said
from tests.play import Office

CLOSING, REFUND = 315, 785
"""Statements, couriers and doors of this process included: a few more than were counted (docs/benchmarks.md)."""


def closing(office: Office, shop_id: str) -> None:
    case = office.request_closure(shop_id)
    office.decide(case, "li-na", "REJECT", "材料不齐")


def refund(office: Office, shop_id: str) -> None:
    case = office.request_refund(shop_id)
    office.decide(case, "wang-fang", "APPROVE")
    office.bank(f"{case.id}-P1", shop_id=shop_id)
    assert office.case(case.id).outcome == "REFUNDED"


@pytest.mark.parametrize(("story", "most"), [(closing, CLOSING), (refund, REFUND)])
def test_a_plain_case_says_no_more_to_the_database_than_it_did(
    office: Office, story: Callable[[Office, str], None], most: int
) -> None:
    begin = office.open_shop if story is closing else office.closed_shop
    for shop_id in ("shop-1", "shop-2"):
        begin(shop_id)
    story(office, "shop-1")  # what is read once and kept
    with said() as heard:
        story(office, "shop-2")
    assert len(heard) <= most
