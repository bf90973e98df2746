"""The names that stand in databases and at other people's, which therefore stay: ``python -m tests.names`` writes the list.

An effect by another name, or with another number of arguments, happens again to every open case; a message, a gate, a
wait or an event by another name is no longer understood by whoever has the old one. ``tests/core/test_names.py`` fails
when one disappears. New ones are added by writing the list anew.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import flows
import office
import tasks
from models.cases import CaseKind, CaseState
from models.wire import INBOUND, OUTBOUND
from notifications.catalogue import MESSAGES
from office import process
from tasks.processes import open_office

KEPT = Path(__file__).with_name("names.txt")


def names() -> Iterator[str]:
    open_office()
    for package in (office, tasks, flows):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield from _effects(vars(importlib.import_module(module.name)).values())
    yield from (f"message {name}" for name in MESSAGES)
    yield from (f"gate {name}" for name in process.office().gates)
    yield from (f"wait {name}" for name in process.office().waits)
    yield from (f"clock {name}" for name in process.office().clocks)
    yield from (f"event in {name}" for name in INBOUND)
    yield from (f"event out {name}" for name in OUTBOUND)
    yield from (f"kind {kind.value}" for kind in CaseKind)
    yield from (f"state {state.value}" for state in CaseState)


def _effects(found: Iterable[Any]) -> Iterator[str]:
    for verb in found:
        if isinstance(name := getattr(verb, "effect_name", None), str):
            arguments = len(inspect.signature(verb).parameters) - 2  # after transaction and case
            yield f"effect {name} {arguments}"


if __name__ == "__main__":
    KEPT.write_text("\n".join(sorted({*names()})) + "\n", encoding="utf-8")
