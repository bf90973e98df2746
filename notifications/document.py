"""Documents: whole pages that people keep, from a template and plain values; everything in them is escaped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.money import yuan
from notifications.rendering import BEIJING
from notifications.text import full_width

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

FOLDER = Path(__file__).parent / "documents"
"""One template for each kind of document."""


def render_document(name: str, values: Mapping[str, Any]) -> str:
    """The document ``name`` as one self-contained HTML page. A name that nobody gives: ``UndefinedError``."""
    return environment().get_template(f"{name}.html.j2").render(dict(values))


def stamp(moment: datetime | None) -> str:
    """``2026-11-22 10:00:00``, Beijing time; a dash for what has not happened."""
    return f"{moment.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}" if moment else "—"


def packed(value: Any) -> str:
    """A value as the JSON that an audit hash is taken over: sorted, without blanks."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


@cache
def environment() -> ImmutableSandboxedEnvironment:
    from jinja2 import FileSystemLoader, StrictUndefined  # when the first page is made
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    env = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for filter_ in (yuan, stamp, packed):
        env.filters[filter_.__name__] = filter_
    env.filters["ours"] = full_width
    return env
