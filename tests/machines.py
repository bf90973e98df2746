"""Random machines that play on until they have been everywhere they must have been."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

MORE = int(os.environ.get("DIANWU_TEST_EXAMPLES", "0"))
"""How many sequences to draw at random, instead of the few that are always the same (``DIANWU_TEST_EXAMPLES=500``)."""
ROUNDS = 6


def play(
    machine: Callable[[], RuleBasedStateMachine], seen: Counter[str], enough: Mapping[str, int], *,
    examples: int, steps: int,
) -> None:  # fmt: skip
    """Rounds of `examples` sequences until `seen`, which the machine counts, has `enough` of everything.

    A machine that never gets somewhere proves nothing about it; what a seed leads to differs between machines, since
    Hypothesis also draws from the constants of whatever modules happen to be loaded.
    """
    missing = dict(enough)
    for number in range(1 if MORE else ROUNDS):
        run_state_machine_as_test(
            machine if MORE else seed(number)(machine),  # type: ignore[arg-type]
            settings=settings(
                max_examples=MORE or examples, stateful_step_count=steps, deadline=None, phases=[Phase.generate],
                suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
            ),
        )  # fmt: skip
        missing = {what: least for what, least in enough.items() if seen[what] < least}
        if not missing:
            return
    assert missing == {}, dict(seen)
