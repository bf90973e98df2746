"""Kill −9 whatever runs, at chosen boundaries of real stories, and see what must hold after any number of deaths."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

from prefect.client.schemas.responses import SetStateStatus
from sqlmodel import select

from models.base import Labelled
from models.cases import Effect
from models.messages import Channel, OutboxMessage, OutboxState
from models.reviews import Review, ReviewState
from ops.rehearsal import Rehearsal
from ops.stack import Stack
from tasks import audit, ledger
from tasks.db import Tx, reading, transaction


class Boundary(Labelled):
    """Where in a story something dies."""

    BEFORE_EFFECT = "before effect", "the decision is recorded, and nothing that follows from it"
    AFTER_EFFECT = "after effect", "the effect is in our database, and Prefect has not heard of it"
    SUSPENDED = "suspended", "the form is shown, and nobody has answered"
    RESUMING = "resuming", "the answer was taken by Prefect, and no run has read it"


PLAN: Mapping[Boundary, tuple[str, ...]] = {
    Boundary.BEFORE_EFFECT: ("worker", ""),
    Boundary.AFTER_EFFECT: ("worker", "", "door", ""),
    Boundary.SUSPENDED: ("worker", "prefect", "door", "", "", ""),
    Boundary.RESUMING: ("worker", "", "prefect", "door", "", ""),
}
"""What dies at each boundary, in turn; an empty name lets one pass. The server needs longest to come back."""


class Killer:
    """Kills parts of the stack at the boundaries of the stories it watches, as planned, one at a time.

    It waits until what it killed is back, so that every kill hits a running system, and notes which boundary it hit.
    """

    def __init__(self, stack: Stack, plan: Mapping[Boundary, Iterable[str]] = PLAN) -> None:
        self._stack = stack
        self._turns = {boundary: itertools.cycle(parts) for boundary, parts in plan.items()}
        self._one = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.kills: list[tuple[Boundary, str]] = []

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def at(self, boundary: Boundary) -> None:
        """A story is there now."""
        if self._stop.is_set() or not self._thread.is_alive():
            return
        with self._one:
            self._kill(boundary)

    def _kill(self, boundary: Boundary) -> None:
        part = next(self._turns[boundary])
        if part:
            self._stack.kill(part)
            self.kills.append((boundary, part))
            self._back(part)

    def _run(self) -> None:
        effects, decisions = self._look()
        while not self._stop.wait(0.003):
            now, decided = self._look()
            if now != effects:
                self.at(Boundary.AFTER_EFFECT)
            elif decided != decisions:
                self._before_what_follows(now)
            else:
                continue
            effects, decisions = self._look()

    def _before_what_follows(self, effects: set[str]) -> None:
        """Hold the database's one pen, see that nothing more was written, and kill whoever waits for it."""
        if not next(self._turns[Boundary.BEFORE_EFFECT]):
            return
        with self._one, transaction() as tx:
            late = set(tx.exec(select(Effect.key))) != effects
            self._stack.kill("worker")
        self.kills.append((Boundary.AFTER_EFFECT if late else Boundary.BEFORE_EFFECT, "worker"))
        self._back("worker")

    @staticmethod
    def _look() -> tuple[set[str], set[str]]:
        with reading() as tx:
            decided = select(Review.id).where(Review.state == ReviewState.DECIDED)
            return set(tx.exec(select(Effect.key))), set(tx.exec(decided))

    def _back(self, part: str) -> None:
        while not self._stop.wait(0.05):
            process = self._stack.parts[part].process
            if process is not None and process.poll() is None and self._stack.parts[part].ready():
                return


class Watched(Rehearsal):
    """A rehearsal that tells the killer when a form is shown and when its answer was taken."""

    def __init__(self, stage: Rehearsal, killer: Killer) -> None:
        super().__init__(stage.settings)
        self.secrets, self._killer, self._codes = stage.secrets, killer, threading.Lock()

    def code(self, staff_id: str) -> str:
        with self._codes:  # two stories may ask the same person
            return super().code(staff_id)

    def resume(self, case_id: str, answer: dict[str, Any]) -> SetStateStatus | None:
        self._killer.at(Boundary.SUSPENDED)
        status = super().resume(case_id, answer)
        if status is SetStateStatus.ACCEPT:
            self._killer.at(Boundary.RESUMING)
        return status


@contextmanager
def restless(stack: Stack, stage: Rehearsal) -> Iterator[tuple[Killer, Watched]]:
    """The same stack with a killer about; every boundary must have been hit when it is over."""
    killer = Killer(stack)
    with killer:
        yield killer, Watched(stage, killer)
    hit = set(killer.kills)
    assert {boundary for boundary, _ in hit} == set(Boundary), killer.kills
    assert {part for _, part in hit} == {"worker", "door", "prefect"}, killer.kills
    assert {boundary for boundary, part in hit if part == "worker"} == set(Boundary), killer.kills
    assert {boundary for boundary, part in hit if part == "prefect"} == {Boundary.SUSPENDED, Boundary.RESUMING}


def together(*acts: Callable[[], Any]) -> None:
    """Play at the same time in one stack: while something comes back for one story, it does for all."""
    with ThreadPoolExecutor(len(acts)) as pool:
        for playing in [pool.submit(copy_context().run, act) for act in acts]:
            playing.result()


def wrong(tx: Tx) -> list[str]:
    """Everything that must hold after any number of deaths."""
    problems = [*ledger.check(tx), *audit.verify(tx)]
    for row in tx.exec(select(OutboxMessage).where(OutboxMessage.channel != Channel.RUN)):
        if row.state is not OutboxState.SENT and row.state is not OutboxState.SKIPPED:
            problems.append(f"{row.key} was not delivered: {row.state} {row.note}")
    return problems


def settled(stage: Rehearsal) -> list[str]:
    """Wait until nothing is left to deliver, then say what is wrong."""

    def nothing_left() -> bool:
        with reading() as tx:
            query = select(OutboxMessage.key).where(OutboxMessage.state == OutboxState.NEW)
            return tx.exec(query).first() is None

    stage.wait(nothing_left, "everything is delivered", patience=180)
    with reading() as tx:
        return wrong(tx)
