"""The office of the tests: furnished once per process by the real thing, copied for every test."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlmodel import SQLModel

from office.base.clock import VirtualClock, use_clock
from office.base.settings import Settings, settings
from office.record import seen
from policies.policy import Policy, policy_at
from tests import furniture
from tests.furniture import Storeroom
from tests.play import START, Office

if TYPE_CHECKING:
    from flows.inline import InlineEngine
    from notifications.channels import Target
    from notifications.rendering import Rendered
    from notifications.scripted import ScriptedNotifier


def circumstances() -> tuple[Settings, Policy, int]:
    """What an office's beginnings depend on; one that was kept under others is not copied."""
    here = settings().model_copy(update={"home": None, "database_url": ""})
    return here, policy_at(START), len(SQLModel.metadata.tables)


class Kept:
    """An office kept with its staff enrolled, and once more with its first shop open."""

    def __init__(self, storeroom: Storeroom, notifier: ScriptedNotifier, name: str) -> None:
        self._storeroom, self._name, self.under = storeroom, name, circumstances()
        clock = VirtualClock(START)
        use_clock(clock)
        office = Office(clock)
        storeroom.keep(f"{name}_staffed")
        office.open_shop()
        storeroom.keep(f"{name}_opened")
        assert office.carrier.woken == []
        self.secrets: Mapping[str, str] = dict(office.secrets)
        self.numbers = office.numbered()
        self._took: timedelta = clock.at - START
        self._told: list[tuple[Target, Rendered]] = list(notifier.sent)
        notifier.sent.clear()

    def lay_out(self, notifier: ScriptedNotifier, engine: InlineEngine | None) -> Office:
        """An office like it, with no shop yet."""
        self._storeroom.lay_out(f"{self._name}_staffed")
        self._notifier, self._commits = notifier, furniture.COMMITS[0]
        clock = VirtualClock(START)
        use_clock(clock)
        return Office(clock, engine, self)

    def open(self, office: Office) -> bool:
        """Open the first shop by copying, if nothing at all has happened in the office yet."""
        if (furniture.COMMITS[0], office.clock.at, self.under) != (self._commits, START, circumstances()):
            return False
        self._storeroom.lay_out(f"{self._name}_opened")
        self._commits = -1
        self._notifier.sent.extend(self._told)
        office.clock.advance(self._took)
        return True


_kept: list[Kept] = []


def office_in(storeroom: Storeroom, notifier: ScriptedNotifier, engine: InlineEngine | None = None) -> Office:
    """The office as every test finds it, in place of whatever is in the database; nobody has been seen in it yet."""
    seen.file().unlink(missing_ok=True)
    found = next((kept for kept in _kept if kept.under == circumstances()), None)
    if found is None:
        storeroom.empty()
        found = Kept(storeroom, notifier, f"office{len(_kept)}")
        _kept.append(found)
    return found.lay_out(notifier, engine)
