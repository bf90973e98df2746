"""From a message to words: strict templates, and no field is ever read as template, markup or header."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from models.base import Frozen
from models.money import yuan
from notifications.message import Line, Message
from notifications.text import full_width, one_line

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

FOLDER = Path(__file__).parent / "messages"
"""One folder per message; those that begin with an underscore are shared layout."""
BEIJING = ZoneInfo("Asia/Shanghai")
SUBJECT_LIMIT = 200
"""Characters; services that carry a title take at least this much."""


class Context(Frozen):
    """What every message of an installation shares."""

    service_contact: Line
    """How a merchant reaches customer service (CLS-11): ``400-000-0000(每日 9:00 至 21:00)``."""
    product: Line = "店务"


class Rendered(Frozen):
    """A message in words: ``subject`` on one line, ``text`` plain, ``html`` a whole document."""

    subject: str
    text: str
    html: str


def render(message: Message, context: Context) -> Rendered:
    """The message in its three forms. A name that a template uses and nobody gives: ``UndefinedError``."""
    form = _forms(message, context)
    line = _subject(form)
    return Rendered(
        subject=line,
        text=re.sub(r"\n{3,}", "\n\n", form("body.txt.j2")).strip() + "\n",
        html=form("body.html.j2", subject_line=line).strip() + "\n",
    )


def subject(message: Message, context: Context) -> str:
    """The message's subject, on one line."""
    return _subject(_forms(message, context))


def _subject(form: Callable[..., str]) -> str:
    return one_line(form("subject.txt.j2"), SUBJECT_LIMIT)


def _forms(message: Message, context: Context) -> Callable[..., str]:
    """Fills in a template of the message, by the name of its file."""
    values = {field: getattr(message, field) for field in type(message).model_fields}
    values |= {"service_contact": context.service_contact, "product": context.product}
    env = environment()

    def form(file: str, **more: str) -> str:
        return env.get_template(f"{message.name}/{file}").render(values | more)

    return form


def beijing(moment: datetime) -> str:
    """``2026年11月22日 10:00:00``, Beijing time; a time without a zone is refused."""
    return f"{day(moment)} {moment.astimezone(BEIJING):%H:%M:%S}"


def day(moment: datetime) -> str:
    """``2026年11月22日``, the day in Beijing."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone cannot be shown in Beijing time")
    local = moment.astimezone(BEIJING)
    return f"{local.year}年{local.month}月{local.day}日"


def year(moment: datetime) -> str:
    """``2026``, the year in Beijing."""
    return str(moment.astimezone(BEIJING).year)


def short(text: str) -> str:
    """A name that fits into a subject line beside the case id."""
    return one_line(text, 40)


def quoted(text: str) -> str:
    """Somebody's own words in plain text, marked line by line, so that they cannot pass for ours."""
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


@cache
def environment() -> ImmutableSandboxedEnvironment:
    from jinja2 import FileSystemLoader, StrictUndefined  # when the first words are made: most commands make none
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    env = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for filter_ in (yuan, beijing, day, year, short, quoted):
        env.filters[filter_.__name__] = filter_
    env.filters["ours"] = full_width
    return env
