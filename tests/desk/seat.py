"""A browser without a window: it keeps cookies, sends forms as a page would, and reads what comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import httpx
from starlette.testclient import TestClient

from desk import queue
from desk.app import create_app
from office.base.settings import settings
from tests.play import Office


@dataclass
class Form:
    """A form on a page: where it goes and what stands in it."""

    action: str
    values: dict[str, str] = field(default_factory=dict)
    ways: list[str] = field(default_factory=list)
    """Where its buttons send it instead."""


class Page(HTMLParser):
    """A page as far as a person uses it: its text, its links, its forms."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.status, self.address, self.html = response.status_code, str(response.url.raw_path.decode()), response.text
        self.headers = response.headers
        self.words: list[str] = []
        self.links: dict[str, str] = {}
        self.forms: list[Form] = []
        self._link, self._area, self._silent = "", "", False
        self.feed(response.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._silent = tag in {"script", "style"}
        if tag == "a":
            self._link = given.get("href", "")
        elif tag == "form":
            self.forms.append(Form(given.get("action", "")))
        elif tag == "textarea":
            self._area = given["name"]
            self.forms[-1].values[self._area] = ""
        elif tag == "button" and "formaction" in given:
            self.forms[-1].ways.append(given["formaction"])
        elif tag == "input" and self.forms and given.get("name"):
            chosen = given.get("type") not in {"radio", "checkbox"} or "checked" in given
            if chosen:
                self.forms[-1].values[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        self._link = "" if tag == "a" else self._link
        self._area = "" if tag == "textarea" else self._area

    def handle_data(self, data: str) -> None:
        if self._area:
            self.forms[-1].values[self._area] += data
        if not self._silent and data.strip():
            self.words.append(data.strip())
            if self._link:
                self.links[data.strip()] = self._link

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def form(self, ending: str) -> Form:
        return next(one for one in self.forms if one.action.endswith(ending))


class Seat:
    """Somebody at the desk, in a browser of their own."""

    def __init__(self, office: Office, staff_id: str) -> None:
        self.office, self.staff_id = office, staff_id
        self.origin = settings().desk
        queue._seen.clear()  # a moment ago this process may have been another office's desk
        self.client = TestClient(create_app(settings()), base_url=self.origin, raise_server_exceptions=True)
        self.client.headers.pop("user-agent", None)

    def see(self, address: str) -> Page:
        return Page(self.client.get(address))

    def send(self, address: str, values: dict[str, str], **headers: str) -> Page:
        """Send a form as one of the desk's own pages does."""
        own = {"origin": self.origin, "sec-fetch-site": "same-origin"} | headers
        response = self.client.post(address, data=values, headers={k: v for k, v in own.items() if v})
        self.office.settle()
        return Page(response)

    def log_in(self, code: str | None = None, to: str = "/q") -> Page:
        given = self.office.code(self.staff_id) if code is None else code
        return self.send("/login", {"staff_id": self.staff_id, "code": given, "to": to})

    def answer(self, page: Page, verdict: str, reason: str = "", *, code: str | None = None, **fields: Any) -> Page:
        """Fill in the form of a question's page and send it."""
        form = page.form("/decide")
        own = {f"field.{name}": str(value) for name, value in fields.items()}
        given = form.values | {"verdict": verdict, "reason": reason} | own
        if "code" in form.values or code is not None:
            given["code"] = self.office.code(self.staff_id) if code is None else code
        return self.send(form.action, given)


Seats = Callable[[str], Seat]
