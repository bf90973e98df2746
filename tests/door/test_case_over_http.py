"""A closure as the platform reads it at ``GET /cases/{id}``, from the first look to the last."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi.testclient import TestClient

from models.cases import Case
from office.base.settings import AccessToken, settings
from tests import accounts
from tests.play import Office
from webhooks.app import create_app


def read(case: Case) -> dict[str, Any]:
    """The case through a door with the settings as they are."""
    token = settings().api_tokens[0].get_secret_value()
    answer = TestClient(create_app(settings())).get(f"/cases/{case.id}", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    view: dict[str, Any] = answer.json()
    return view


def stands(case: Case) -> tuple[Any, ...]:
    view = read(case)
    return view["state"], view["state_label"], view["waits_for"], set(view["allowed_actions"])


def due(office: Office, case: Case) -> None:
    """What is due is said as a moment and as the seconds left until it, and it is not past."""
    view = read(case)
    left = datetime.fromisoformat(view["due_at"]) - office.clock.at
    assert view["seconds_left"] == int(left.total_seconds()) > 0
    assert view["past_due"] is False


def test_a_closure_is_told_at_every_stage(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    assert stands(case) == ("UNDER_REVIEW", "审核中", "平台审核", {"closure.withdrawn"})
    due(office, case)

    office.decide(case, "li-na", "ASK", "请补充库存清单")
    assert stands(case) == (
        "AWAITING_MERCHANT",
        "待商家补充",
        "商家补充材料",
        {"merchant.answered", "closure.withdrawn"},
    )
    due(office, case)
    assert read(case)["due_at"] == office.deadline(case, "merchant-answer/1").due_at.isoformat().replace("+00:00", "Z")

    office.merchant_answers(case)
    assert stands(case)[:3] == ("UNDER_REVIEW", "审核中", "平台审核")
    office.decide(case, "li-na", "APPROVE")
    assert stands(case) == (
        "CLEARING",
        "清算中",
        "清算完成(等待平台报送最新经营数据)",
        {"closure.withdrawn"},
    )

    office.snapshot()
    view = read(case)
    assert (view["state"], view["outcome"], view["outcome_clause"]) == ("CLOSED", "CLOSED", "CLS-6")
    assert (view["waits_for"], view["due_at"], view["seconds_left"], view["allowed_actions"]) == ("", None, None, [])


def test_the_timeline_tells_the_merchants_part_and_nothing_from_inside(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    office.decide(case, "li-na", "ASK", "请补充库存清单")
    office.merchant_answers(case)
    office.decide(case, "li-na", "APPROVE", "内部意见:经营正常")
    office.snapshot()
    view = read(case)
    told = [line["text"] for line in view["timeline"]]
    assert told and all(told)
    assert [line["at"] for line in view["timeline"]] == sorted(line["at"] for line in view["timeline"])
    assert len(told) < len(office.trail(case.id))
    for inside in ("li-na", "李娜", "内部意见", "关店审核:"):
        assert inside not in str(view), inside


def test_a_shops_accounts_are_read_by_whoever_may_and_a_link_by_whoever_holds_it(office: Office) -> None:
    office.open_shop()
    case = accounts.bound(office)
    client = TestClient(create_app(settings()))
    headers = {"authorization": f"Bearer {settings().api_tokens[0].get_secret_value()}"}
    told = client.get("/shops/shop-1/accounts", headers=headers).json()
    assert [(one["account_id"], one["kind"], one["for_ever"]) for one in told["accounts"]] == [
        ("dy-1", "OFFICIAL", True)
    ]
    assert client.get("/shops/shop-9/accounts", headers=headers).status_code == 404
    assert client.get("/shops/shop-1/accounts").status_code == 401
    link = office.events("account.ticket.issued")[0]["link"]
    assert client.get(link.removeprefix(settings().public)).json()["open"] is False
    office.open_shop("shop-2")
    fresh = accounts.ticket(office, accounts.ask(office, "shop-2"))
    assert client.get(f"/accounts/tickets/{fresh}").json()["open"] is True
    assert client.get(f"/accounts/tickets/{'A' * 32}").status_code == 404
    assert case.outcome == "BOUND"
    for may, shop, wanted in (("cases", "shop-2", [404, 200]), ("evidence", "shop-1", [403, 403])):
        given = AccessToken.model_validate({"token": "a-token-of-somebody", "may": {may}, "shops": [shop]})
        theirs = TestClient(create_app(settings().model_copy(update={"access_tokens": {"theirs": given}})))
        bearer = {"authorization": "Bearer a-token-of-somebody"}
        found = [theirs.get(f"/shops/{one}/accounts", headers=bearer).status_code for one in ("shop-1", "shop-2")]
        assert found == wanted  # BND-15: of its own shops, under its right
