"""Scenes of the demonstration: what the example shops do, and what people do about it."""

from __future__ import annotations

from collections.abc import Callable

from ops.rehearsal import Rehearsal
from ops.scenes.accounts import AccountsScene
from ops.scenes.appeals import AppealScene, SilenceScene
from ops.scenes.closing import ClosureScene, ForcedScene, RefundScene
from ops.scenes.invoicing import InvoicingScene
from ops.scenes.openings import OpeningScene
from ops.scenes.stage import Scene

SCENES: list[Callable[[Rehearsal], Scene]] = [
    InvoicingScene,  # first: its setting moves the clock a month on
    ClosureScene,
    RefundScene,
    ForcedScene,
    AccountsScene,
    OpeningScene,
    AppealScene,
    SilenceScene,  # last: it lets three days pass
]


def scenes(stage: Rehearsal) -> list[Scene]:
    """Every scene, in the order they are set up and played."""
    return [make(stage) for make in SCENES]
