"""What is due: a short list of runs asked of the server, used at once and asked for again as soon as it may be out of date."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import WorkerFlowRunResponse
from pydantic import ValidationError

LIST_SECONDS = 0.05
"""How long a list of due runs may be used. An older one costs claims in vain (`verdict.undo_late_claim`)."""
MOST = 200
"""What the server lists in one answer."""
REMEMBERED_STATES = 20_000


class Due:
    """The runs that the server named when it was asked last, and which of them we have taken since."""

    def __init__(self, logger: logging.Logger | logging.LoggerAdapter[Any]) -> None:
        self._logger = logger
        self.unknown = True
        """Something has happened since, so that the server has to be asked."""
        self.more = False
        """The list was full: more may stand behind it."""
        self.runs: list[FlowRun] = []
        self._later = 0
        """How many runs of the list were not due yet: they stand in the next one too, and must not fill it."""
        self._asked = 0.0
        self._taken: OrderedDict[UUID, None] = OrderedDict()

    @property
    def out_of_date(self) -> bool:
        old = time.monotonic() - self._asked > LIST_SECONDS
        return self.unknown or (old and bool(self.runs or self.more))

    async def ask(
        self, client: PrefectClient, pool: str, queues: Collection[str], ahead: timedelta, limit: int
    ) -> None:
        """Ask the server what comes due within ``ahead``. It honours priorities, pauses and the limits of pool and queues."""
        self.unknown = False
        limit = min(limit + self._later, MOST)
        body: dict[str, Any] = {"scheduled_before": (datetime.now(UTC) + ahead).isoformat(), "limit": limit}
        if queues:
            body["work_queue_names"] = sorted(queues)
        response = await client.request(
            "POST", "/work_pools/{name}/get_scheduled_flow_runs", path_params={"name": pool}, json=body
        )
        self._asked = time.monotonic()
        found = response.json()
        self.more = len(found) >= limit
        due = [run for entry in found if (run := self._readable(entry)) is not None]
        self.runs = [run for run in due if run.state_id not in self._taken]
        now = datetime.now(UTC)
        self._later = sum(_due_at(run) > now for run in self.runs)

    def _readable(self, entry: dict[str, Any]) -> FlowRun | None:
        """A due run; none if somebody gave it what Prefect keeps and its client cannot read. Whoever deploys sees to it."""
        try:
            return WorkerFlowRunResponse.model_validate(entry).flow_run
        except ValidationError:
            self._logger.warning("A due run cannot be read and is passed over: %s", entry.get("flow_run", {}).get("id"))
            return None

    def first(self, but: Collection[UUID]) -> FlowRun | None:
        """The first that may be taken now and is none of these."""
        now = datetime.now(UTC)
        return next((run for run in self.runs if _due_at(run) <= now and run.id not in but), None)

    def drop(self, run: FlowRun) -> None:
        """It is not for us to run."""
        self.runs.remove(run)

    def take(self, run: FlowRun) -> None:
        """It is in hand: named again in the same state, it is not due."""
        self.runs.remove(run)
        if run.state_id is not None:
            self._taken[run.state_id] = None
            if len(self._taken) > REMEMBERED_STATES:
                self._taken.popitem(last=False)

    def seconds_until_next(self, at_most: float) -> float:
        waits = [(_due_at(run) - datetime.now(UTC)).total_seconds() for run in self.runs]
        return max(0.01, min([at_most, *(wait for wait in waits if wait > 0)]))


def _due_at(run: FlowRun) -> datetime:
    return run.next_scheduled_start_time or run.expected_start_time or datetime.min.replace(tzinfo=UTC)
