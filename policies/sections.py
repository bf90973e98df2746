"""Sections: a part of the policy file each, in a module of numbers beside the rules that read them."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from models.base import Frozen

HoursBefore = tuple[Annotated[int, Field(gt=0)], ...]


class Section(Frozen):
    """Numbers that belong together. A file in force is never edited: one from before ``since`` does not name the section
    and takes its defaults, so whatever comes later has a default, section or field."""

    since: ClassVar[str]
    """The first version whose file names it."""
