"""What offices begin with is done once in a process, and copied for the others: hundreds of stories begin alike.

An :func:`act` with which an office begins that has begun so before, at the same moment and in the same circumstances,
is not played again: the database, the files and whatever else the office was then are laid out. That ends with the first
thing that is done otherwise than by an act, and where anybody watches: whoever counts statements, has workers die, reads
the log or put something of the product's aside sees everything happen.
"""

from __future__ import annotations

import itertools
import json
import secrets
import sys
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import wraps
from types import CodeType
from typing import TYPE_CHECKING, Any, TypeVar

from sqlmodel import SQLModel

from flows.inline import InlineEngine
from models.cases import Case
from office.base.db import engine
from office.base.settings import Settings, settings
from policies.policy import Policy, policy, versions
from tasks import delivery
from tests import deaths, furniture, statements
from tests.furniture import Storeroom

if TYPE_CHECKING:
    from notifications.channels import Target
    from notifications.rendering import Rendered
    from notifications.scripted import ScriptedNotifier
    from tests.play import Office

Do = TypeVar("Do", bound=Callable[..., Any])
KEPT = 64
"""How many offices are kept in a process; tests of a file come together, so all are forgotten when it is more."""


def act(do: Do) -> Do:
    """Something that is done in an office, and that others begin with, too."""

    @wraps(do)
    def doing(office: Office, *args: Any, **named: Any) -> Any:
        if (begun := office.begun) is None:
            return do(office, *args, **named)
        office.begun = None  # what an act consists of is no act of its own
        return begun.with_another(do, args, named)

    return doing  # type: ignore[return-value]


def circumstances() -> tuple[Settings, tuple[Policy, ...], int]:
    """What an office's beginnings depend on; one that was kept under others is not copied."""
    here = settings().model_copy(update={"home": None, "database_url": ""})
    return here, tuple(map(policy, versions())), len(SQLModel.metadata.tables)


@dataclass
class Done:
    """What an act led to."""

    kept: str
    at: datetime
    memory: Any
    told: list[tuple[Target, Rendered]]
    woken: list[tuple[str, datetime]]
    played: list[tuple[str, str]]
    result: Any


class Shelf:
    """What offices of the same circumstances began with."""

    def __init__(self, storeroom: Storeroom, name: str) -> None:
        self._storeroom, self._name = storeroom, name
        self._numbers = itertools.count(1)
        self._done: dict[int, Done] = {}
        self._once: set[int] = set()

    def find(self, path: int) -> Done | None:
        return self._done.get(path)

    def again(self, path: int) -> bool:
        """Whether somebody began so before; from now on somebody did."""
        before = path in self._once
        self._once.add(path)
        return before

    def put(self, path: int, done: Done) -> None:
        if len(self._done) >= KEPT:
            for old in self._done.values():
                self._storeroom.forget(old.kept)
            self._done.clear()
        if self._storeroom.keep(done.kept):
            self._done[path] = done

    def name(self) -> str:
        return f"{self._name}_{next(self._numbers)}"

    def lay_out(self, done: Done) -> None:
        self._storeroom.lay_out(done.kept)


class Begun:
    """An office that has done nothing yet but what it began with."""

    def __init__(self, shelf: Shelf, office: Office, notifier: ScriptedNotifier, put_aside: Callable[[], bool]) -> None:
        self._shelf, self._office, self._notifier, self._put_aside = shelf, office, notifier, put_aside
        self._settings, self._policies = settings(), tuple(map(policy, versions()))
        self._own_engine = type(office.engine) is not InlineEngine
        self._carrier, self._parts = office.carrier, self._attributes()
        self._so_far(0, "", None)

    def with_another(self, do: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Do this next, or lay out what it leads to."""
        step = self._step(do, args, named)
        if step is None:
            return do(self._office, *args, **named)
        path = hash((self._path, step))
        done = None if self._copied is None else self._shelf.find(hash((self._copied, step)))
        if done is not None and not (self._own_engine and done.played):
            return self._laid_out(path, done)
        copied = None
        told, woken, played = self._seen()
        marks = len(told), len(woken), len(played)
        result = do(self._office, *args, **named)
        kept = result.id if isinstance(result, Case) else copy(result)
        if (
            self._shelf.again(path)
            and done is None
            and self._copied is not None
            and _plain(kept)
            and not self._watched()
        ):
            copied = self._shelf.name()
            self._shelf.put(
                hash((self._copied, step)),
                Done(
                    copied,
                    self._office.clock.at,
                    self._memory(),
                    told[marks[0] :],
                    woken[marks[1] :],
                    played[marks[2] :],
                    (isinstance(result, Case), kept),
                ),
            )
        self._so_far(path, copied, self)
        return result

    def _laid_out(self, path: int, done: Done) -> Any:
        office = self._office
        self._shelf.lay_out(done)
        for mine, theirs in zip(self._seen(), (done.told, done.woken, done.played), strict=True):
            mine.extend(theirs)  # type: ignore[arg-type]
        office.clock.at = done.at
        reported, office.answered, office.number, known = done.memory
        office.reported, office.secrets = json.loads(reported), json.loads(known)
        self._so_far(path, done.kept, self)
        a_case, result = done.result
        return office.case(result) if a_case else copy(result)

    def _so_far(self, path: int, copied: str | None, begun: Begun | None) -> None:
        """``copied`` is the very office this one is like, id by id; none is, where everything was done and nothing kept."""
        self._copied = copied
        self._path, self._commits, self._remembered = path, furniture.COMMITS[0], self._memory()
        self._files = furniture.files()
        if begun is not None:
            self._office.begun = begun

    def _step(self, do: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """What is about to be done; nothing where it is not to be copied."""
        office = self._office
        untouched = (
            furniture.COMMITS[0] == self._commits
            and self._memory() == self._remembered
            and furniture.files() == self._files
            and not self._watched()
        )
        if not untouched:
            return None
        try:
            said = json.dumps([args, named], default=_word, ensure_ascii=False)
        except TypeError:
            return None
        return do.__name__, said, office.clock.at, office.platform_answers, _chance()

    def _watched(self) -> bool:
        """Whether anybody would notice that something is not played, or has something else played."""
        office, log = self._office, engine().dispatch
        return (
            settings() is not self._settings
            or tuple(map(policy, versions())) != self._policies
            or self._put_aside()
            or delivery.notifier() is not self._notifier
            or self._notifier._failures > 0
            or bool(self._notifier._without)
            or office.carrier is not self._carrier
            or self._attributes() != self._parts
            or bool(deaths.STRIKES)
            or len(list(log.before_cursor_execute)) > statements.LISTENING[0]
            or len(list(log.begin)) > (not furniture.POSTGRES)
        )

    def _seen(self) -> tuple[list[Any], list[Any], list[Any]]:
        return self._notifier.sent, self._office.carrier.woken, self._office.engine.played

    def _memory(self) -> Any:
        """What the office itself remembers."""
        office = self._office
        return json.dumps(office.reported), office.answered, office.number, json.dumps(dict(office.secrets))

    def _attributes(self) -> Any:
        office = self._office
        return (
            office.engine,
            office.carrier.inner,
            [sorted(vars(one)) for one in (office, office.engine, office.carrier)],
        )


def _word(value: Any) -> Any:
    if isinstance(value, Case):
        return value.id
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(value)


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, Enum)) or (isinstance(value, list) and all(map(_plain, value)))


def _chance() -> tuple[CodeType | None, Any]:
    """By what amounts of the random transfer are drawn."""
    transfer = sys.modules.get("tasks.opening.transfer")
    chance = transfer._chance[0] if transfer else secrets.randbelow
    return (None, None) if chance == secrets.randbelow else (chance.__code__, chance.__closure__)
