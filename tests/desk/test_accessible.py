"""Every page of the desk, in the light, in the dark and on a phone: nothing that axe finds wrong, nothing on the console."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

import desk
from models.cases import Case
from office.base.db import in_transaction, reading
from office.cases import later, looks
from tasks.sight import snippets
from tests.accounts import bound, channel, self_operated
from tests.browser.conftest import browser
from tests.desk.test_in_chromium import HOSTILE, Window, address, clean, window
from tests.desk.test_pictures import pdf, photo
from tests.opening.bench import Applicant, enterprise
from tests.play import Office, paper
from tests.settlement.kit import confirm, draft, on_first_of_december, order, ours

__all__ = ["address", "browser", "clean", "window"]

PHOTO, DOCUMENT = (
    paper("营业执照.jpg", "BUSINESS_LICENCE", photo(600, 400)),
    paper("开户许可.pdf", "ACCOUNT_PERMIT", pdf(2)),
)
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}


@pytest.fixture
def pages(office: Office, clean: list[Case]) -> dict[str, list[tuple[str, str]]]:
    """Who looks at which pages, each with a name: one of every kind and state."""
    office.snapshot("shop-1", open_orders=3)
    blocked = office.question(clean[0])
    office.closed_shop("shop-8", name=HOSTILE)
    refund = office.request_refund("shop-8", documents=[PHOTO, DOCUMENT])
    money = office.question(refund)
    code = office.code("li-na")
    off = office.question(clean[2])
    in_transaction(lambda tx: later.put_off(tx, off.id, "li-na", tx.now + timedelta(hours=3), code))
    in_transaction(lambda tx: snippets.keep(tx, "li-na", "缺材料", "请补充营业执照\n和法人身份证"))
    office.open_shop("shop-7", name="第二家")
    office.decide(done := office.request_closure("shop-7"), "li-na", "APPROVE")
    decided = next(one for one in office.reviews(done))
    in_transaction(lambda tx: looks.here(tx, blocked.id, "zhao-min"))
    with reading() as tx:
        paper_id = looks.papers_seen(tx, money, "wang-fang")[1].id
    return {
        "": [("/login", "login")],
        "li-na": [
            ("/q", "queue"), ("/q?view=later", "later"), ("/q?view=done", "done"), ("/q?view=late", "nothing"),
            (f"/r/{blocked.id}?from=view%3Dopen", "question"), (f"/r/{off.id}", "put-off"), (f"/r/{decided.id}", "decided"),
            ("/b?gate=closure-review", "batch"), (f"/c/{clean[0].id}", "case"), ("/s/shop-8", "shop"), ("/me", "me"),
            ("/find?q=店", "find"), ("/r/RV-000000-AAAAAA", "not-found"),
        ],
        "wang-fang": [(f"/r/{money.id}", "money"), (f"/p/{paper_id}", "paper"), (f"/c/{refund.id}", "refund-case")],
        "he-qiang": [("/lead", "lead"), (f"/r/{blocked.id}", "supervisor")],
    }  # fmt: skip


def faults(here: Window) -> list[str]:
    """What is wrong with the page as it stands, each fault with where."""
    axe = Axe("") if here.page.evaluate("'axe' in window") else Axe()  # half a megabyte, once a page
    found = axe.run(here.page, options=RULES).response["violations"]
    return [
        f"{one['id']}: {node['html'][:160]} · {node.get('failureSummary', '')[:300]}"
        for one in found
        for node in one["nodes"]
    ]


FACES = {"light": (1366, 640, "light"), "dark": (1366, 640, "dark"), "phone": (390, 760, "light")}


def test_no_script_of_the_desk_asks_for_the_size_of_the_window_or_for_light_and_dark() -> None:
    """So that a page that has become narrow or dark is the page that somebody opens on a phone or in the dark."""
    scripts = list(Path(desk.__file__).parent.glob("static/*.js"))
    assert scripts
    for script in scripts:
        asks = re.findall(
            r"matchMedia|innerWidth|innerHeight|clientWidth|ResizeObserver|resize", script.read_text("utf-8")
        )
        assert asks == [], script.name


WIDE = {"wide": (1920, 900, "light"), "phone": (390, 760, "dark")}


@pytest.fixture
def newer(office: Office) -> dict[str, list[tuple[str, str]]]:
    """The same of openings, accounts and settlement."""
    individual = enterprise(office, "shop-5", "INDIVIDUAL_BUSINESS")
    business = Applicant(office, "ENTERPRISE", "shop-6")
    business.materials("晨光文具 shop-6")
    business.approve()
    business.certificate()
    ours(office)
    bound(office)
    accounts = channel(office)
    self_operated(office)
    on_first_of_december(office)
    confirm(office, *(order(goods=12_345 * n) for n in range(1, 6)))
    half = draft(office)
    return {
        "tang-yu": [
            ("/q", "opening-queue"),
            (f"/r/{office.question(individual.case).id}", "entity"),
            (f"/r/{office.question(business.case).id}", "certificate"),
            (f"/c/{business.case.id}", "opening"),
        ],
        "wang-fang": [
            (f"/r/{office.question(half).id}", "half"),
            (f"/c/{half.id}", "half-case"),
            ("/s/shop-1", "accounts"),
            (f"/c/{accounts.id}", "binding"),
        ],
    }


@pytest.mark.browser
def test_pages_of_openings_accounts_and_settlement_can_be_too(
    window: Callable[..., Window], newer: dict[str, list[tuple[str, str]]]
) -> None:
    assert looked_at(window, newer, WIDE) == {}


@pytest.mark.browser
def test_every_page_can_be_read_and_used_by_everybody(
    window: Callable[..., Window], pages: dict[str, list[tuple[str, str]]]
) -> None:
    assert looked_at(window, pages, FACES) == {}


def looked_at(
    window: Callable[..., Window], pages: dict[str, list[tuple[str, str]]], faces: dict[str, tuple[int, int, str]]
) -> dict[str, list[str]]:
    """What is wrong with these pages in these faces, by their names."""
    wrong: dict[str, list[str]] = {}
    for staff_id, given in pages.items():
        here = window()
        if staff_id:
            here.log_in(staff_id)
        for place, name in given:
            here.page.goto(here.address + place)
            expect(here.page.get_by_role("main")).to_be_visible()
            here.page.wait_for_load_state("networkidle")
            if name == "money":
                here.press("v")
                expect(here.page.locator(".viewer img").first).to_be_visible()
            for face, (width, height, scheme) in faces.items():
                here.page.set_viewport_size({"width": width, "height": height})
                here.page.emulate_media(color_scheme=scheme)
                if found := faults(here):
                    wrong[f"{name}, {face}"] = found
                overflow = here.page.evaluate(
                    "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                )
                if overflow > 0:
                    wrong[f"{name}, {face}: wider than the window"] = [f"{overflow} px"]
                here.shoot(f"{face if face == 'dark' else width}-{name}")
    return wrong
