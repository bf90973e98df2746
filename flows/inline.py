"""Stories played without Prefect: the second implementation of the engine port, for tests and rehearsals.

A case runs until it rests; a wake-up runs it again from the top, as a resumed Prefect run would.
"""

from __future__ import annotations

from collections.abc import Mapping

from flows.stories import STORIES, Story
from flows.story import Resting
from models.cases import Case, CaseKind
from office.base.db import in_transaction, reading
from office.cases.locks import lock_case
from office.record.sending import Skip
from tasks.processes import open_office


class InlineEngine:
    """Runs a case's story in the caller's thread. ``played`` remembers every segment: case id and how it ended."""

    def __init__(self, stories: Mapping[CaseKind, Story] = STORIES) -> None:
        open_office()
        self._stories = stories
        self.played: list[tuple[str, str]] = []

    def signal(self, case_id: str) -> None:
        with reading() as tx:
            case = tx.get(Case, case_id)
        if case is None or case.concluded_at is not None:
            raise Skip("case has ended")
        if case.halted:
            raise Skip("case is halted")
        if case.run_id is None:
            in_transaction(lambda tx: _start(lock_case(tx, case_id)))
        try:
            self.played.append((case_id, self._stories[case.kind].tell.fn(case_id)))
        except Resting:
            self.played.append((case_id, "resting"))

    def retag(self, case_id: str) -> None:
        raise Skip("there is no list of runs")


def _start(case: Case) -> None:
    case.run_attempt += 1
    case.run_id = f"inline-{case.id}-{case.run_attempt}"
