"""Events: what the platform and the bank tell us and what we tell them, with limits and an example each.

An event travels as ``{"type": …, "timestamp": …, "data": {…}}``: ``data`` is one of the models below,
``timestamp`` an ISO 8601 time with its zone. Amounts are whole fen, times are aware and come out in UTC, text
is stripped and holds no control characters. A model's docstring begins with its Chinese title and its clause;
``EXAMPLE`` is a ``data`` that validates. The catalogue (``docs/events.md``) is generated from both.

A process that comes later writes its events in a sibling module: it decorates them with :func:`inbound` or
:func:`outbound`, and the modules that act on them import it. Nothing else has to know.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    TypeAdapter,
)

from models import accounts
from models.base import Frozen
from models.text import odd, visible

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:?\d{2})", re.ASCII)
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _iso(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _ISO.fullmatch(value):
        raise ValueError("an ISO 8601 time with its zone, such as 2026-11-22T10:00:00+08:00")
    try:
        datetime.fromisoformat(value.upper())
    except ValueError:
        raise ValueError(
            "a day and an hour that exist (hours 00 to 23, seconds 00 to 59, a zone within a day)"
        ) from None
    return value


def _iso_day(value: Any) -> Any:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _ISO_DAY.fullmatch(value):
        raise ValueError("a date such as 2026-11-22")
    return value


def _our_century(value: date) -> date:
    if not 2000 <= value.year < 2100:
        raise ValueError("a date between the years 2000 and 2100")
    return value


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time with its zone, such as 2026-11-22T10:00:00+08:00")
    try:
        value = value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time between the years 2000 and 2100") from error
    if not EARLIEST <= value < LATEST:
        raise ValueError("a time between the years 2000 and 2100")
    return value


def _readable(value: str, allowed: str = "") -> str:
    if found := odd(value, allowed):
        raise ValueError(f"text without control characters (found {found})")
    return value


def _line(value: str) -> str:
    return _readable(value)


def _shown(value: str) -> str:
    if not visible(value):
        raise ValueError("text that shows something")
    return value


def _or_nothing(value: str) -> str:
    """Blanks and characters that show nothing are no text, and read as none."""
    return value if visible(value) else ""


def _prose(value: str) -> str:
    return _readable(value.replace("\r\n", "\n"), allowed="\n")


def _few(value: str) -> str:
    if len(re.findall(r"@|%40", value)) > MOST_ADDRESSES + 1:  # one may be the account that sends
        raise ValueError(f"a contact with at most {MOST_ADDRESSES} mail addresses")
    return value


MOST_ADDRESSES = 5
"""Mail addresses that one contact may name."""


def _distinct(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(value)) != len(value):
        raise ValueError("each entry only once")
    return value


Moment = Annotated[
    datetime,
    BeforeValidator(_iso, json_schema_input_type=datetime),
    AfterValidator(_aware),
    Field(description="ISO 8601 with zone, years 2000 to 2099"),
]
"""An aware time; comes out in UTC. A naive one, a number of seconds or a bare date is refused."""

AnyDay = Annotated[date, BeforeValidator(_iso_day, json_schema_input_type=date)]
"""A date as ISO 8601 writes it; a number of days or seconds is refused, not counted from 1970."""
Day = Annotated[AnyDay, AfterValidator(_our_century)]

Id = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
MessageId = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9._:/-]{1,200}$")]
Line = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_line),
    AfterValidator(_shown),
    Field(description="one line of text, no control characters"),
]
ShortLine = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=64),
    AfterValidator(_line),
    AfterValidator(_shown),
    Field(description="one short line of text, no control characters"),
]
OptionalLine = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, max_length=200),
    AfterValidator(_line),
    Field(description="one line of text or empty, no control characters"),
]
Prose = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, max_length=4000),
    AfterValidator(_prose),
    AfterValidator(_or_nothing),
    Field(description="text, new lines allowed, no other control characters"),
]
Sha256 = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9a-f]{64}$")]
TaxNumber = Annotated[str, StringConstraints(strict=True, pattern=r"^([0-9A-Z]{15,20})?$")]
"""Letters and digits only: a wrong check digit is for a reviewer to see, not for the door to refuse."""
WebAddress = Annotated[
    str,
    StringConstraints(strict=True, max_length=2000, pattern=r"^https://[^\s<>\"]+$"),
    AfterValidator(_line),
]
Contact = Annotated[
    str,
    StringConstraints(
        strict=True,
        max_length=500,
        pattern=r"^([a-z][a-z0-9+.-]{1,31}://[^\s<>\"]+|(mailto:)?[^\s@:/?#&,;<>\"]+@[^\s@:/?#&,;<>\"]+\.[^\s@:/?#&,;<>\".]+)$",
    ),
    AfterValidator(_line),
    AfterValidator(_few),
    Field(description="a mail address, or an Apprise address"),
]
AccountNumber = Annotated[
    str,
    BeforeValidator(accounts.bare, json_schema_input_type=str),
    StringConstraints(strict=True, pattern=r"^[0-9A-Za-z@._+-]{4,64}$"),
    Field(
        description="blanks and full-width signs are taken away; never logged, encrypted at rest, masked wherever shown"
    ),
]
PayerAccount = Annotated[
    str,
    BeforeValidator(accounts.bare, json_schema_input_type=str),
    StringConstraints(strict=True, max_length=64),
    AfterValidator(_line),
    Field(
        description="as the channel reports it; a masked one counts as not recorded. Never logged, encrypted at rest"
    ),
]
Count = Annotated[int, Field(strict=True, ge=0, le=10_000_000)]
Flag = Annotated[bool, Field(strict=True)]
Contacts = Annotated[tuple[Contact, ...], Field(max_length=5), AfterValidator(_distinct)]
Categories = Annotated[tuple[ShortLine, ...], Field(min_length=1, max_length=20), AfterValidator(_distinct)]


class LineOf:
    """A line of a batch, taken with the others whatever it is and judged by itself; the schema says what it should be."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model

    def __get_pydantic_json_schema__(self, _: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(TypeAdapter(self.model).core_schema)


class Event(Frozen):
    """What every event's ``data`` has in common. ``type`` is its name on the wire."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    type: ClassVar[str]
    EXAMPLE: ClassVar[dict[str, Any]]

    sender: ClassVar[Literal["platform", "bank"]] = "platform"
    """Whose secret signs it when it comes in."""

    @classmethod
    def title(cls) -> str:
        """The Chinese title with its clause: the first line of the docstring."""
        return (cls.__doc__ or "").strip().splitlines()[0].rstrip("。.")

    def envelope(self, at: datetime) -> dict[str, Any]:
        """The whole message as JSON values, ready to be signed and sent."""
        data = self.model_dump(mode="json")
        return {"type": self.type, "timestamp": at.astimezone(UTC).isoformat(), "data": data}


class Outgoing(Event):
    """An event of ours. ``subscriber`` is the only one who gets it: the platform, or the bank."""

    subscriber: ClassVar[str] = "platform"


class Envelope(Frozen):
    """What surrounds ``data``; ``data`` itself is judged by the model of its type."""

    type: Annotated[str, StringConstraints(strict=True, max_length=100)]
    timestamp: Moment
    data: dict[str, Any]


INBOUND: dict[str, type[Event]] = {}
"""Type → model of what may be sent to ``POST /webhooks/platform``."""
OUTBOUND: dict[str, type[Outgoing]] = {}
"""Type → model of what we send to subscribers."""

E = TypeVar("E", bound=type[Event])
O = TypeVar("O", bound=type[Outgoing])  # noqa: E741


def inbound(model: E) -> E:
    """Add a model to :data:`INBOUND`; raises ``ValueError`` if its type is taken."""
    if INBOUND.setdefault(model.type, model) is not model:
        raise ValueError(f"two inbound events are called {model.type}")
    return model


def outbound(model: O) -> O:
    """Add a model to :data:`OUTBOUND`; raises ``ValueError`` if its type is taken."""
    if OUTBOUND.setdefault(model.type, model) is not model:
        raise ValueError(f"two outbound events are called {model.type}")
    return model


def read_inbound(message: dict[str, Any]) -> Event:
    """The event in a stored message. Raises ``KeyError`` for an unknown type, or ``ValidationError``."""
    return INBOUND[message["type"]].model_validate(message["data"])
