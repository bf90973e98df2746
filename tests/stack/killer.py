"""Kill −9 whatever runs, at chosen boundaries of real stories, and see what must hold after any number of deaths."""

from __future__ import annotations

import itertools
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect.client.schemas.responses import SetStateStatus
from sqlmodel import select

from models.base import Labelled
from models.cases import Effect
from models.messages import Channel, OutboxMessage, OutboxState
from office.base.db import Tx, reading
from office.money import ledger
from office.record import chain_proof
from ops.rehearsal import Rehearsal
from ops.stack import Stack
from tests.stack.conftest import running_stack


class Boundary(Labelled):
    """Where in a story something dies."""

    BEFORE_EFFECT = "before effect", "the decision is recorded, and nothing that follows from it"
    AFTER_EFFECT = "after effect", "the effect is in our database, and Prefect has not heard of it"
    SUSPENDED = "suspended", "the form is shown, and nobody has answered"
    RESUMING = "resuming", "the answer was taken by Prefect, and no run has read it"


@dataclass(frozen=True)
class Plan:
    """What dies at each boundary, in turn; an empty name lets one pass. The server needs longest to come back."""

    parts: Mapping[Boundary, tuple[str, ...]]
    verbs: frozenset[str] = frozenset()
    """The verbs whose effects are boundaries, their turns taken by all of them together; none: every verb has its own."""
    for_ever: bool = False
    """Whether the turns at forms begin anew when all were taken."""

    def turns(self, boundary: Boundary, verb: str) -> tuple[tuple[Boundary, str], Iterator[str]]:
        """Whose turns count there, and what they are. What was killed before an effect was committed comes there again."""
        if verb and self.verbs and verb not in self.verbs:
            return (boundary, "none"), itertools.repeat("")
        parts = self.parts[boundary]
        anew = itertools.cycle(parts) if self.for_ever and not verb else itertools.chain(parts, itertools.repeat(""))
        return (boundary, "" if self.verbs else verb), anew


EVERY_VERB = Plan(
    {
        Boundary.BEFORE_EFFECT: ("worker", "door"),
        Boundary.AFTER_EFFECT: ("worker",),
        Boundary.SUSPENDED: ("worker", "prefect", "door", "", "", ""),
        Boundary.RESUMING: ("worker", "", "prefect", "door", "", ""),
    },
    for_ever=True,
)
EVERY_KIND = Plan(
    {
        Boundary.BEFORE_EFFECT: ("worker", "door"),
        Boundary.AFTER_EFFECT: ("worker",),
        Boundary.SUSPENDED: ("worker", "", "prefect", "", "door"),
        Boundary.RESUMING: ("", "worker", "", "prefect", "", "door"),
    },
    verbs=frozenset({"refunds.pay", "compensation.settle"}),
)
"""Nine deaths: at an effect that moves money, while a form waits, while its answer is under way. What a real death adds to
those that are died in-process at every effect (``tests/core/test_worker_deaths.py``) are worker, pool and recovery, and these
do not know verbs."""


class Killer:
    """Kills parts of the stack at the boundaries of the stories it watches, as planned, and notes what it hit.

    Whoever is about to commit an effect, or just has, asks and waits meanwhile (``mortal/sitecustomize.py``). It may hold
    the database's one pen, so it is answered as soon as the kill is done; only the stories wait until what died is back.
    """

    def __init__(self, stack: Stack, ask_at: Path, plan: Plan) -> None:
        self._stack, self._plan = stack, plan
        self._turns: dict[tuple[Boundary, str], Iterator[str]] = {}
        self._one = threading.Lock()
        self._over = threading.Event()
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(ask_at))
        self._door.listen(64)
        threading.Thread(target=self._listen, daemon=True).start()
        self.kills: list[tuple[Boundary, str, str]] = []
        self.verbs: set[str] = set()

    def rest(self) -> None:
        """Nobody dies any more; whoever asks may go on."""
        self._over.set()

    def at(self, boundary: Boundary, verb: str = "") -> str:
        """A story, or an effect of that verb, is there now; the part that was killed, if any."""
        with self._one:
            whose, turns = self._plan.turns(boundary, verb)
            part = "" if self._over.is_set() else next(self._turns.setdefault(whose, turns))
            if part:
                self._stack.kill(part)
                self.kills.append((boundary, verb, part))
        return part

    def _listen(self) -> None:
        while True:
            asking, _ = self._door.accept()
            threading.Thread(target=self._answer, args=(asking,), daemon=True).start()

    def _answer(self, asking: socket.socket) -> None:
        with asking, suppress(OSError):  # it may be dead by now
            when, _, key = asking.makefile().readline().strip().partition(" ")
            if not key:
                return  # it died over it
            verb = key.split("/")[1]
            self.verbs.add(verb)
            self.at(Boundary.BEFORE_EFFECT if when == "before" else Boundary.AFTER_EFFECT, verb)
            asking.sendall(b".")

    def wait(self, part: str) -> None:
        """Until a part that was killed is back, so that the next kill hits a running system."""
        while part and not self._over.wait(0.05):
            process = self._stack.parts[part].process
            if process is not None and process.poll() is None and self._stack.parts[part].ready():
                return


class Watched(Rehearsal):
    """A rehearsal that tells the killer when a form is shown and when its answer was taken."""

    def __init__(self, stage: Rehearsal, killer: Killer) -> None:
        super().__init__(stage.settings)
        self.secrets, self._people, self._killer = stage.secrets, stage._people, killer

    def resume(self, case_id: str, answer: dict[str, Any]) -> SetStateStatus | None:
        self._killer.wait(self._killer.at(Boundary.SUSPENDED))
        status = super().resume(case_id, answer)
        if status is SetStateStatus.ACCEPT:
            self._killer.wait(self._killer.at(Boundary.RESUMING))
        return status


@contextmanager
def restless(home: Path, plan: Plan) -> Iterator[tuple[Stack, Killer, Watched]]:
    """A stack with a killer about."""
    ask_at = home.parent / "ask"
    path = os.pathsep.join([str(Path(__file__).parent / "mortal"), str(Path(__file__).parents[2])])
    with running_stack(home, PYTHONPATH=path, TEST_EFFECTS_ASK=str(ask_at)) as (stack, stage):
        killer = Killer(stack, ask_at, plan)
        try:
            yield stack, killer, Watched(stage, killer)
        finally:
            killer.rest()


def struck(killer: Killer, stage: Rehearsal, plan: Plan) -> list[str]:
    """What the killer has missed of its plan: every effect asks, every boundary was hit, and every verb where it has turns."""
    verbs = set(stage.read(lambda tx: [key.split("/")[1] for key in tx.exec(select(Effect.key))]))
    missed = [f"{verb} did not ask" for verb in verbs ^ killer.verbs]
    hit = {(boundary, part) for boundary, _, part in killer.kills}
    planned = {(boundary, part) for boundary, parts in plan.parts.items() for part in parts if part}
    missed += [f"{part} at {boundary}" for boundary, part in planned ^ hit]
    for boundary in (Boundary.BEFORE_EFFECT, Boundary.AFTER_EFFECT):
        died = {verb for at, verb, part in killer.kills if at is boundary and part == "worker"}
        missed += [f"worker {boundary} {verb}" for verb in (verbs - died if not plan.verbs else died - plan.verbs)]
    return missed


def wrong(tx: Tx) -> list[str]:
    """Everything that must hold after any number of deaths."""
    problems = [*ledger.check(tx), *chain_proof.verify(tx)]
    due = (OutboxMessage.channel != Channel.RUN, OutboxMessage.next_at <= tx.now)  # a bundle waits for its quarter
    for row in tx.exec(select(OutboxMessage).where(*due)):
        if row.state is not OutboxState.SENT and row.state is not OutboxState.SKIPPED:
            problems.append(f"{row.key} was not delivered: {row.state} {row.note}")
    return problems


def settled(stage: Rehearsal) -> list[str]:
    """Wait until nothing is left to deliver, and say what is wrong at that very moment: the minute brings new messages."""

    def then() -> list[list[str]]:
        with reading() as tx:
            due = (OutboxMessage.state == OutboxState.NEW, OutboxMessage.next_at <= tx.now)
            return [wrong(tx)] if tx.exec(select(OutboxMessage.key).where(*due)).first() is None else []

    found: list[list[str]] = stage.wait(then, "everything is delivered", patience=180)
    return found[0]
