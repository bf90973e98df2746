"""Addresses and fields that no database takes: what was typed or pasted wrong is never a fault of ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.desk.seat import Page, Seat
from tests.play import Office

Sit = Callable[[str], Seat]
ADDRESSES = [
    "/q?shop={}",
    "/q?{}=1",
    "/r/{}",
    "/r/{}/papers",
    "/b?gate={}",
    "/b/{}",
    "/b/x?from={}",
    "/me?days={}",
    "/static/{}",
    "/login?to=/r/{}",
    "/{}",
]


@pytest.mark.parametrize("odd", ["%00", "shop%00-1", "%1B", "%E2%80%AE", "%7F"])
def test_an_address_that_no_database_takes_is_nobodys(office: Office, seat: Sit, odd: str) -> None:
    at = seat("li-na")
    for address in ADDRESSES:
        page = Page(at.client.get(address.format(odd)))
        assert page.status == 404 and "没有找到" in page.html, address


@pytest.mark.parametrize("odd", ["\x00", "\x1b", "\u202e", "\uffff"])
def test_what_no_database_takes_is_taken_out_of_every_field(office: Office, seat: Sit, odd: str) -> None:
    at = Seat(office, "li-na")
    page = at.send(
        "/login",
        {"staff_id": f"li{odd}-na", "code": f"{office.code('li-na')}{odd}", "to": f"/q{odd}", f"odd{odd}": "x"},
    )
    assert (page.status, page.address) == (200, "/q")
