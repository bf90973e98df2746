"""What a message is: a frozen value with typed fields, belonging to one folder of templates."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, model_validator

from models.base import Frozen
from models.cases import Finding
from notifications.text import one_line, prose

Audience = Literal["merchant", "staff"]


def _web_address(value: str) -> str:
    link = one_line(value, limit=2000)
    if urlsplit(link).scheme not in {"http", "https"} or " " in link:
        raise ValueError("a link must be an http or https address")
    return link


Line = Annotated[str, AfterValidator(one_line)]
"""Text on one line, cleaned when the message is built: names, labels, numbers, ids."""
Prose = Annotated[str, AfterValidator(prose)]
"""Text of several lines, cleaned when the message is built: reasons and questions in a person's own words."""
Link = Annotated[str, AfterValidator(_web_address)]
"""An http or https address."""
Moment = AwareDatetime
"""A time with its zone; shown in Beijing time."""
Count = Annotated[int, Field(ge=0)]


class Ground(Frozen):
    """One reason in one Chinese sentence, with the clause it rests on."""

    clause: Line
    sentence: Line

    @classmethod
    def of(cls, finding: Finding) -> Self:
        return cls(clause=finding.clause, sentence=finding.sentence)


Grounds = tuple[Ground, ...]


MESSAGES: dict[str, type[Message]] = {}
"""Name → class of every message that has been declared: all of them once the office is open."""


class Message(Frozen):
    """One thing we tell somebody. ``name`` is its folder under ``notifications/messages``.

    ``audience`` decides the layout; ``clause`` is the rule that makes us send it. Fields hold plain values
    (text, integer fen, aware datetimes), so that ``model_dump(mode="json")`` keeps a message and
    ``notifications.catalogue.restore`` brings it back.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    name: ClassVar[str]
    audience: ClassVar[Audience]
    clause: ClassVar[str]

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        if "name" in vars(cls):
            before = MESSAGES.setdefault(cls.name, cls)
            if before is not cls:
                raise ValueError(f"{cls.__module__} and {before.__module__} both call a message {cls.name!r}")


class MerchantMessage(Message):
    """To a merchant. Greets the shop and ends with the customer-service contact (CLS-11)."""

    audience: ClassVar[Audience] = "merchant"

    shop_name: Line


class MerchantCaseMessage(MerchantMessage):
    """To a merchant, about one of their cases."""

    case_id: Line


class StaffMessage(Message):
    """To our own people."""

    audience: ClassVar[Audience] = "staff"
    bundled: ClassVar[str] = ""
    """Under which heading it may stand in a list of its kind; empty: it asks for a hand now, and leaves by itself."""
    first_at_once: ClassVar[bool] = False
    """Whether the first of a quarter of an hour leaves by itself, and only those that follow wait for their list."""


class Appealable(MerchantMessage):
    """About a penalty: it names the way to appeal or says why there is none (DED-8): exactly one of them."""

    appeal_how: Line = ""
    appeal_until: Moment | None = None
    not_appealable: Line = ""

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if bool(self.appeal_how) == bool(self.not_appealable):
            raise ValueError("give either how to appeal or why it is not possible")
        if self.appeal_until is not None and not self.appeal_how:
            raise ValueError("a date to appeal until needs a way to appeal")
        return self


def hours_between(earlier: Moment, later: Moment) -> int:
    """Whole hours from ``earlier`` to ``later``, rounded to the nearest: what "还剩 24 小时" says."""
    return max(0, round((later - earlier) / timedelta(hours=1)))
