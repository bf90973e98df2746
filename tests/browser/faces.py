"""Prefect's two interfaces as an operator uses them: the same few acts, done where each of them keeps its buttons."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from playwright.sync_api import Locator, Page, TimeoutError, expect

from models.reviews import Role
from office.cases.links import board_key

PATIENCE_MS = 60_000
SENT_MS = 20_000
"""After so long without a request the form has sent nothing."""


class NotTaken(AssertionError):
    """The button was pressed, and Prefect's page sent nothing, or its server was too busy; with what its dialog says and what it
    says beside it. Before it sends an answer it has the server check it; where that fails, as on a busy machine, it says so in a
    corner and that is all."""


class Face(Protocol):
    """What an operator does; ``shoot`` keeps a picture for the guide."""

    page: Page

    def list_suspended(self) -> None: ...

    def row(self, case_id: str) -> Locator: ...

    def open_run(self, case_id: str) -> None: ...

    def open_form(self) -> Locator: ...

    def fill(self, title: str, text: str) -> None: ...

    def choose(self, title: str, option: str) -> None: ...

    def still_holds(self, verdict: str) -> None: ...

    def submit(self) -> None: ...

    def header(self) -> Locator: ...

    def open_board(self, role: Role) -> Locator: ...

    def shoot(self, name: str) -> None: ...


class _Common:
    prefix = ""
    guide = False

    def __init__(self, page: Page, address: str, images: Path | None) -> None:
        self.page, self._address, self._images = page, address, images

    def _go(self, path: str) -> None:
        self.page.goto(f"{self._address}{self.prefix}{path}")

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog").filter(has_text="Resume Flow Run")

    def list_suspended(self) -> None:
        """The run list with only what waits for somebody."""
        self._go("/runs?state=Suspended")

    def row(self, case_id: str) -> Locator:
        """The line of a case's run in the list."""
        raise NotImplementedError

    def open_run(self, case_id: str) -> None:
        """Search by part of the name, and open the run by its link."""
        self.page.locator("input[placeholder='Search by flow run name']:visible").first.fill(case_id)
        expect(self.page.get_by_role("link", name=" · ")).to_have_count(1)
        self.row(case_id).get_by_role("link", name=case_id).click()
        self.page.wait_for_url("**/flow-run/*")
        expect(self.header()).to_contain_text(case_id)

    def header(self) -> Locator:
        raise NotImplementedError

    def open_board(self, role: Role) -> Locator:
        """The role's page by its key, and from there the newest one whole."""
        self._go(f"/artifacts/key/{board_key(role)}")
        self.page.locator("a[href*='/artifacts/artifact/']").first.click()
        return self.page.locator("body")

    def _press(self, button: Locator) -> None:
        """Press the button that sends the form; a refusal is told with its reason."""
        try:
            with self.page.expect_request(lambda one: one.url.endswith("/resume"), timeout=SENT_MS) as sent:
                button.click()
        except TimeoutError as fault:
            beside = self.page.locator("[data-sonner-toast]").all_inner_texts()
            raise NotTaken("\n".join([self.dialog.inner_text(), *beside])) from fault
        answer = sent.value.response()
        assert answer is not None
        if answer.status == 503:  # which an embedded database answers under load
            raise NotTaken(answer.text())
        assert answer.ok and answer.json()["status"] == "ACCEPT", f"{answer.status} {answer.text()}"
        expect(self.dialog).to_be_hidden()

    def shoot(self, name: str) -> None:
        """Keep a picture for the operators' guide, of the interface it describes."""
        if self._images is not None and (self.guide or name == "resume-form"):
            self._images.mkdir(exist_ok=True)
            self.page.screenshot(path=self._images / f"{name}{'' if self.guide else '-v1'}.png", animations="disabled")


class V2Face(_Common):
    """The default interface. Resume is in the menu of the run's page."""

    prefix = "/v2"
    guide = True

    def row(self, case_id: str) -> Locator:
        return self.page.get_by_role("listitem").filter(has=self.page.get_by_role("checkbox")).filter(has_text=case_id)

    def header(self) -> Locator:
        return self.page.get_by_role("main")

    def open_form(self) -> Locator:
        self.page.get_by_role("button", name="Open menu").first.click()
        self.page.get_by_role("menuitem", name="Resume").click()
        expect(self.dialog.get_by_text("工号", exact=True)).to_be_visible()
        return self.dialog

    def fill(self, title: str, text: str) -> None:
        box = self.dialog.get_by_label(title)
        box.fill(text)
        expect(box).to_have_value(text)

    def choose(self, title: str, option: str) -> None:
        self.dialog.get_by_label(f"Select {title}").click()
        self.page.get_by_role("option", name=option, exact=True).click()
        expect(self.dialog.get_by_label(f"Select {title}")).to_have_text(option)

    def still_holds(self, verdict: str) -> None:
        expect(self.dialog.get_by_label("Select 结论")).to_have_text(verdict)

    def submit(self) -> None:
        self._press(self.dialog.get_by_role("button", name="Resume", exact=True))


class V1Face(_Common):
    """The other interface. Resume is a button on the run's page."""

    def row(self, case_id: str) -> Locator:
        return self.page.locator(".flow-run-list-item").filter(has_text=case_id)

    def header(self) -> Locator:
        return self.page.get_by_role("banner")

    def open_form(self) -> Locator:
        self.page.get_by_role("button", name="Resume").click()
        expect(self.dialog.get_by_text("工号", exact=True)).to_be_visible()
        return self.dialog

    def _field(self, title: str) -> Locator:
        named = self.page.locator(".p-label__label").filter(has_text=title)
        return self.dialog.locator(".schema-form-property").filter(has=named)

    def fill(self, title: str, text: str) -> None:
        self._field(title).locator("textarea").fill(text)

    def choose(self, title: str, option: str) -> None:
        # On the arrow: a click in the middle of the box opens the list and closes it again.
        self._field(title).locator(".p-select-button__icon").click()
        self.page.locator(".p-select-option").filter(has_text=option).click()

    def still_holds(self, verdict: str) -> None:
        expect(self._field("结论")).to_contain_text(verdict)

    def submit(self) -> None:
        self._press(self.dialog.get_by_role("button", name="Submit"))
