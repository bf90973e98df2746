"""Scenes of the demonstration: what the example shops do, and what people do about it."""

from __future__ import annotations

from collections.abc import Callable

from ops.rehearsal import Rehearsal
from ops.scenes.accounts import AccountsLaterScene, AccountsScene
from ops.scenes.appeals import AppealScene, SilenceScene
from ops.scenes.closing import ClosureScene, ForcedScene, RefundScene
from ops.scenes.invoicing import InvoicingScene
from ops.scenes.openings import OpeningScene, ReopeningScene
from ops.scenes.settlements import SettlementScene
from ops.scenes.stage import Scene, side_by_side

SCENES: list[Callable[[Rehearsal], Scene]] = [
    InvoicingScene,
    ClosureScene,
    RefundScene,
    ForcedScene,
    AccountsScene,
    OpeningScene,
    AppealScene,
    SettlementScene,
    SilenceScene,
    ReopeningScene,
    AccountsLaterScene,
]
TIME_BEFORE = (InvoicingScene, SettlementScene)
"""What sets them up moves the clock: one after the other, before the rest."""
TIME_AFTER = (SettlementScene, SilenceScene, ReopeningScene, AccountsLaterScene)
"""What plays them lets time pass: one after the other, after the rest."""


def scenes(stage: Rehearsal) -> list[Scene]:
    """Every scene, in the order they are shown."""
    return [make(stage) for make in SCENES]


def set_up(all_of_them: list[Scene]) -> None:
    """Bring every scene to where people are needed; what does not move the clock does so side by side."""
    for scene in (scene for scene in all_of_them if isinstance(scene, TIME_BEFORE)):
        scene.set_up()
    side_by_side(*(scene.set_up for scene in all_of_them if not isinstance(scene, TIME_BEFORE)))


def play(all_of_them: list[Scene]) -> None:
    """Play every scene to its end, side by side but for those that let time pass."""
    side_by_side(*(scene.play for scene in all_of_them if not isinstance(scene, TIME_AFTER)))
    for scene in (scene for scene in all_of_them if isinstance(scene, TIME_AFTER)):
        scene.play()
