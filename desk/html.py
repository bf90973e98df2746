"""Pages: templates that escape everything, and the few words of form that all of them share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from models.money import yuan
from notifications.text import full_width, one_line, prose
from office.cases import dossier
from policies.policy import SHANGHAI

HERE = Path(__file__).parent
WEEK = "一二三四五六日"
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Asset:
    """A file that pages load. Its address holds its hash, so that it may be kept for good."""

    name: str
    content: bytes
    media_type: str

    @cached_property
    def address(self) -> str:
        stem, _, ending = self.name.rpartition(".")
        return f"/static/{stem}.{hashlib.sha256(self.content).hexdigest()[:16]}.{ending}"


@lru_cache(maxsize=1)
def assets() -> Mapping[str, Asset]:
    """Every file that pages load, by name."""
    found = (HERE / "static").iterdir()
    return {file.name: Asset(file.name, file.read_bytes(), TYPES[file.suffix]) for file in found}


@lru_cache(maxsize=1)
def environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(HERE / "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "moment": moment,
        "day": day,
        "span": span,
        "ago": ago,
        "length_of": lambda time: _length(int(time.total_seconds())),
        "line": one_line,
        "ours": full_width,
        "our_line": dossier.ours,
        "prose": prose,
        "yuan": yuan,
        "words": words,
    }
    env.globals["asset"] = lambda name: assets()[name].address
    return env


def page(name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page by its template's name."""
    return HTMLResponse(environment().get_template(f"{name}.html.j2").render(**values), status)


SIGNS = {ord("⛔"): "✕", ord("✅"): "✓", ord("⬜"): "□", ord("\ufe0f"): None}
"""Signs that every font has, and that take the colour of the text around them."""


def words(text: str) -> str:
    """A piece of a line, without invisible characters; where it is put beside another, a space of it stays."""
    before, after = " " * text.startswith(" "), " " * text.endswith(" ")
    return f"{before}{one_line(text, 25_000).translate(SIGNS)}{after}"


def moment(at: datetime | None, now: datetime | None = None) -> str:
    """``12-01（周二）18:00`` in Beijing; with the year when it is not this one."""
    if at is None:
        return "—"
    here = at.astimezone(SHANGHAI)
    year = f"{here:%Y}-" if now is not None and here.year != now.astimezone(SHANGHAI).year else ""
    return f"{year}{here:%m-%d}（周{WEEK[here.weekday()]}）{here:%H:%M}"


def day(at: datetime) -> str:
    return f"{at.astimezone(SHANGHAI):%Y-%m-%d}"


def span(now: datetime, due: datetime | None) -> str:
    """``剩 2 天 3 小时``, ``超时 1 天``: how far off a due time is, in its two largest units."""
    if due is None:
        return "无时限"
    seconds = int((due - now).total_seconds())
    return f"超时 {_length(-seconds)}" if seconds < 0 else f"剩 {_length(seconds)}"


def ago(now: datetime, at: datetime | None) -> str:
    """``12 分钟``: how long it has been."""
    return _length(max(int((now - at).total_seconds()), 0)) if at else ""


def _length(seconds: int) -> str:
    """``2 天 3 小时``: a time in its two largest units, down to the minute."""
    days, rest = divmod(seconds, 86_400)
    hours, minutes = rest // 3600, rest % 3600 // 60
    units = [(days, "天"), (hours, "小时"), (0 if days else minutes, "分钟")]
    return " ".join([f"{count} {unit}" for count, unit in units if count][:2]) or "1 分钟"
