"""Addresses and fields that no database takes: what was typed or pasted wrong is never a fault of ours."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest

from office.cases.forms import read_answer
from office.cases.reviews import gate_of
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


@pytest.mark.parametrize("number", ["²", "９", "٣", "-1", "1.5", "9" * 20, "9" * 5_000, "", "x"])
def test_what_is_no_number_where_a_page_of_ours_writes_one_is_no_fault(office: Office, seat: Sit, number: str) -> None:
    office.open_shop()
    review = office.question(office.request_closure())
    at = seat("li-na")
    page = at.see(f"/r/{review.id}")
    form = page.form("/decide").values
    assert at.see(f"/q?skip={quote(number)}").status == 200
    assert at.send(f"/r/{review.id}/draft", form | {"draft": number, "reason": "好的"}).status in {200, 409}
    assert at.send(f"/r/{review.id}/decide", form | {"revision": number, "verdict": "APPROVE"}).status == 422
    assert at.send("/b", form | {"asked": f"{review.id}#{number}#x"}).status in {404, 422}
    given = read_answer(review, gate_of(review), {"task": f"{review.id}#{number}"})
    assert given.revision == 0
