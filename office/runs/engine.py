"""The engine port: start or wake the Prefect run that carries a case. A wake-up is only a wake-up.

A run that Prefect has lost (ended, cancelled by hand, another database) is replaced by the next attempt; the flow
finds everything it needs in our database. ``case/attempt`` is the run's idempotency key, so a crash between
creating a run and writing it down creates nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.states import Scheduled

from models.cases import Case, CaseKind
from models.text import shortened
from office.base.db import in_transaction, reading
from office.cases import reviews
from office.cases.locks import lock_case
from office.record import audit, outbox
from office.record.outbox import Item, NotYet, Skip, Undeliverable


class EngineDown(RuntimeError):
    """Prefect cannot be reached, or does not know our deployments yet."""


class Engine(Protocol):
    """What carries cases. ``signal`` may be called early, late, twice or for nothing."""

    def signal(self, case_id: str) -> None: ...

    def retag(self, case_id: str) -> None:
        """Show anew whose question the case is, wherever people see its run."""
        ...


AT_ONCE = 200
"""Runs that Prefect lists in one answer; more are refused."""
AT_REST = (StateType.PAUSED, StateType.SCHEDULED)
SUSPENDED = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED]))
SOON = timedelta(minutes=2)
"""What is due is due now: a run put off for longer was put off by somebody else."""
Found = tuple[StateType, str, datetime]
"""A run's state in Prefect, the state's message, and since when."""
GONE = (httpx.HTTPError, PrefectHTTPStatusError, ObjectNotFound)


@lru_cache(maxsize=1)
def client() -> SyncPrefectClient:
    """One client per process: opening one costs more than most calls."""
    return get_client(sync_client=True)


@lru_cache(maxsize=32)
def deployment_id(kind: CaseKind) -> UUID:
    return client().read_deployment_by_name(f"{kind.value}/{kind.value}").id


class PrefectEngine:
    """Cases carried by Prefect runs."""

    def signal(self, case_id: str) -> None:
        """Start the case's run, or wake it if it waits.

        A busy run may have looked already, so it raises NotYet until it has come to rest. Raises Skip
        when the case has ended, EngineDown when Prefect is away.
        """
        with reading() as tx:
            case = tx.get(Case, case_id)
        if case is None or (case.concluded_at is not None and case.run_id is None):
            raise Skip("case has ended")
        if case.halted:
            raise Skip("case is halted")
        try:
            run = _read_run(case.run_id)
            state = run.state.type if run and run.state else None
            if case.concluded_at is not None and state is not StateType.PAUSED:
                raise Skip("case has ended")
            match state:
                case StateType.PAUSED if run is not None:
                    client().set_flow_run_state(run.id, Scheduled(), force=True)
                case StateType.SCHEDULED if run is not None and put_off(run):
                    client().set_flow_run_state(run.id, Scheduled(), force=True)
                case StateType.SCHEDULED:
                    return
                case StateType.PENDING | StateType.RUNNING | StateType.CANCELLING:
                    raise NotYet("run is busy")
                case _:
                    start_run(case)
        except GONE as error:
            deployment_id.cache_clear()
            raise EngineDown(f"Prefect: {type(error).__name__}") from error

    def retag(self, case_id: str) -> None:
        """Give the run the tags of the question it waits with; a busy run does so itself, or will be asked again."""
        with reading() as tx:
            case = tx.get(Case, case_id)
            asked = [tag for review in reviews.waiting(tx, case_id=case_id) for tag in reviews.tags(tx, review)]
        if case is None or not asked:
            raise Skip("nobody is asked")
        try:
            run = _read_run(case.run_id)
            match run.state.type if run and run.state else None:
                case StateType.PAUSED if run is not None:
                    client().update_flow_run(run.id, tags=run_tags(case, asked))
                case StateType.PENDING | StateType.RUNNING:
                    raise NotYet("run is busy")
                case _:
                    raise Skip("no run waits")
        except GONE as error:
            raise EngineDown(f"Prefect: {type(error).__name__}") from error


def put_off(run: FlowRun) -> bool:
    """Whether a scheduled run is not to start for a while. We never do that; whoever reaches the API can."""
    due = run.next_scheduled_start_time
    return due is not None and due > datetime.now(UTC) + SOON


def _read_run(run_id: str | None) -> FlowRun | None:
    if run_id is None:
        return None
    try:
        return client().read_flow_run(UUID(run_id))
    except ObjectNotFound:
        return None


def run_name(case: Case) -> str:
    """``关店 · 晨光文具 · CLS-261122-7K3QM9``."""
    return " · ".join(filter(None, (case.kind.label, shortened(case.subject, 40), case.id)))


def run_tags(case: Case, asked: Sequence[str] = ()) -> list[str]:
    """Who is asked, if anybody, then kind, shop and case, for the run list's filters.

    In this order, because the run's page shows three tags and hides the rest.
    """
    shop = [f"店铺:{shortened(case.subject, 40)}", case.shop_id] if case.shop_id else []
    return [*asked, case.kind.label, case.id, *shop]


def start_run(case: Case) -> UUID:
    """Create the case's next run, once per attempt, and write it down."""
    attempt = case.run_attempt + 1
    run = client().create_flow_run_from_deployment(
        deployment_id(case.kind), parameters={"case_id": case.id}, name=run_name(case), tags=run_tags(case),
        idempotency_key=f"{case.id}/{attempt}", state=Scheduled(),
    )  # fmt: skip

    def note(tx: object) -> None:
        row = lock_case(tx, case.id)  # type: ignore[arg-type]
        if row.run_attempt < attempt:
            row.run_attempt, row.run_id = attempt, str(run.id)
            row.run_seen_at = tx.now  # type: ignore[attr-defined]
            tx.add(row)  # type: ignore[attr-defined]
            if attempt > 1:
                audit.record(tx, case.id, "case.restarted", text=f"重新启动第 {attempt} 次运行", run=str(run.id))  # type: ignore[arg-type]

    in_transaction(note)
    return run.id


def restless(run_ids: Iterable[str]) -> dict[str, Found | None]:
    """Run id → what Prefect says of it, for those that do not simply wait; ``None`` for what it does not know.

    Nearly all wait, and counting those costs a fraction of reading them.
    """
    ids = [UUID(run_id) for run_id in run_ids]
    found: dict[str, Found | None] = {}
    for part in (ids[at : at + AT_ONCE] for at in range(0, len(ids), AT_ONCE)):
        these = FlowRunFilterId(any_=part)
        if client().count_flow_runs(flow_run_filter=FlowRunFilter(id=these, state=SUSPENDED)) == len(part):
            continue
        known = client().read_flow_runs(flow_run_filter=FlowRunFilter(id=these), limit=AT_ONCE)
        states = {run.id: (run.state, put_off(run)) for run in known if run.state is not None}
        for run_id in part:
            state, late = states.get(run_id, (None, False))
            if state is None:
                found[str(run_id)] = None
            elif state.type not in AT_REST or (state.is_scheduled() and late):
                found[str(run_id)] = (state.type, state.message or "", state.timestamp or datetime.now(UTC))
    return found


def deliver(engine: Engine, item: Item) -> str:
    """Deliver a wake-up, or what the run list should show, from the outbox."""
    if item.case_id is None:
        raise Skip("no case")
    try:
        (engine.retag if item.topic == outbox.TAGS else engine.signal)(item.case_id)
        return ""
    except EngineDown as down:
        raise Undeliverable(str(down)) from down
