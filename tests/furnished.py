"""The office of the tests: furnished once per process by the real thing, copied for every test."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from office.base.clock import VirtualClock, use_clock
from office.record import seen
from tests.beginnings import Begun, Shelf, circumstances
from tests.furniture import Storeroom
from tests.play import NUMBERS, START, Office

if TYPE_CHECKING:
    from flows.inline import InlineEngine
    from notifications.scripted import ScriptedNotifier


class Kept:
    """An office kept with its staff enrolled, and what offices began with from there."""

    def __init__(self, storeroom: Storeroom, name: str) -> None:
        self._storeroom, self._name, self.under = storeroom, name, circumstances()
        storeroom.empty()
        use_clock(clock := VirtualClock(START))
        self._secrets = Office(clock).secrets
        storeroom.keep(name)
        self._shelf = Shelf(storeroom, name)

    def lay_out(self, notifier: ScriptedNotifier, engine: InlineEngine | None, put_aside: Callable[[], bool]) -> Office:
        """An office like it, with no shop yet."""
        self._storeroom.lay_out(self._name)
        use_clock(clock := VirtualClock(START))
        office = Office(clock, engine, self._secrets)
        office.begun = Begun(self._shelf, office, notifier, put_aside)
        return office


_kept: list[Kept] = []


def office_in(
    storeroom: Storeroom, notifier: ScriptedNotifier, engine: InlineEngine | None, put_aside: Callable[[], bool]
) -> Office:
    """The office as every test finds it, in place of whatever is in the database; nobody has been seen in it yet.

    ``put_aside`` says whether the test has put something of the product's aside.
    """
    seen.file().unlink(missing_ok=True)
    NUMBERS.restart()
    found = next((kept for kept in _kept if kept.under == circumstances()), None)
    if found is None:
        _kept.append(found := Kept(storeroom, f"office{len(_kept)}"))
    return found.lay_out(notifier, engine, put_aside)
