"""Requests: what a case was opened with, typed. Each process has its own class; a field's title is how people read it.

What is stored stays plain JSON under the field's name: rows of earlier versions are read by the same class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import ConfigDict, Field

from models.base import Frozen

if TYPE_CHECKING:
    from models.cases import Case

NOT_SHOWN = ""
"""The title of a field that people read elsewhere: a paper among the evidence, a key that another field says in words."""


class Asked(Frozen):
    """What was asked, and what verbs have noted with it since. Fields that a case does not have are not shown."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    @classmethod
    def of(cls, case: Case) -> Self:
        return cls.model_validate(case.request)


class Papered(Asked):
    """What a request of any kind may bring: the papers it names, as they were sent."""

    documents: tuple[dict[str, Any], ...] = Field((), title=NOT_SHOWN)
