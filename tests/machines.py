"""Random machines that play on until they have been everywhere they must have been."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests import statements
from tests.furniture import POSTGRES

MORE = int(os.environ.get("DIANWU_TEST_EXAMPLES", "0"))
"""How many sequences to draw at random, instead of the few that are always the same (``DIANWU_TEST_EXAMPLES=500``)."""
ROUNDS = 14
LACKING = 0 if MORE else 0.25
"""How much of it may be left out with every change; ``make nightly`` draws until everything was seen."""


def rounds(count: int) -> pytest.MarkDecorator:
    """Make each of so many rounds a test of its own (``number``), for several cores; the first one for both databases."""
    first = pytest.param(0, marks=pytest.mark.both)
    return pytest.mark.parametrize("number", [first, *range(1, count)])


def play(
    machine: Callable[[], RuleBasedStateMachine],
    seen: Counter[str],
    enough: Mapping[str, int],
    *,
    examples: int,
    steps: int,
    number: int = 0,
    of: int = 1,
    shared: Path | None = None,
) -> None:
    """A round of `examples` sequences; the last of them goes on with smaller rounds until `seen`, which the machine counts,
    has `enough` of nearly everything. Where there are several tests, each tells the others in `shared` what it saw.

    A machine that never gets somewhere proves nothing about it; what a seed leads to differs between machines, since
    Hypothesis also draws from the constants of whatever modules happen to be loaded.
    """
    heard = POSTGRES and statements.NOTES  # what differs between databases is said early
    _round(machine, number, max(2, examples // 4) if heard else examples, steps)
    others = _told(seen, shared, number)
    if len(others) + 1 < of:
        return  # another one is still to come, and will be the last
    lacking = int(len(enough) * LACKING)
    for further in range(of, ROUNDS):
        if len(_missing(seen, others, enough)) <= lacking:
            break
        _round(machine, further, max(4, examples // 2), steps)
    missing = _missing(seen, others, enough)
    assert len(missing) <= lacking, (missing, dict(seen))


def _round(machine: Callable[[], RuleBasedStateMachine], number: int, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        machine if MORE else seed(number)(machine),  # type: ignore[arg-type]
        settings=settings(
            max_examples=MORE or examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=not MORE,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        ),
    )


def _told(seen: Counter[str], shared: Path | None, number: int) -> list[Counter[str]]:
    """Tell the other rounds what was seen; what those have seen that are over."""
    if shared is None:
        return []
    shared.mkdir(exist_ok=True)
    mine = shared / f"{number}.json"
    (shared / f"{number}.draft").write_text(json.dumps(seen), encoding="utf-8")
    (shared / f"{number}.draft").rename(mine)
    return [Counter(json.loads(file.read_text(encoding="utf-8"))) for file in shared.glob("*.json") if file != mine]


def _missing(seen: Counter[str], others: list[Counter[str]], enough: Mapping[str, int]) -> dict[str, int]:
    total = sum(others, Counter(seen))
    return {what: least for what, least in enough.items() if total[what] < least}
