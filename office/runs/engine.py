"""The engine port: start or wake the Prefect run that carries a case. A wake-up is only a wake-up.

A run that Prefect has lost (ended, cancelled by hand, another database) is replaced by the next attempt; the flow
finds everything it needs in our database. Case, attempt and a keyed part are the run's idempotency key, so a crash between
creating a run and writing it down creates nothing twice, and nobody makes the next run beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Protocol
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.states import Scheduled
from pydantic import ValidationError

from models.cases import Case, CaseKind
from models.text import shortened
from office.base.db import Tx, in_transaction, reading
from office.base.settings import settings
from office.base.vault import keyed_hash
from office.cases import alarms, reviews
from office.cases.locks import lock_case
from office.record import audit, outbox
from office.record.sending import Item, NotYet, Skip, Undeliverable


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
UNREADABLE = "运行的状态无法读取"
PUT_OFF = "运行被人推迟"
DISPLACED = "运行不在本系统的工作池与队列中"
DEFAULT_QUEUE = "default"
"""The queue that Prefect gives to what names none."""
LONG_WORK = "month-end"
"""The queue of what may take hours, one run at a time."""
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
            run = read_run(case.run_id)
            state = run.state_type if run else None
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
            run = read_run(case.run_id)
            match run.state_type if run else None:
                case StateType.PAUSED if run is not None:
                    client().update_flow_run(run.id, tags=run_tags(case, asked))
                case StateType.PENDING | StateType.RUNNING:
                    raise NotYet("run is busy")
                case _:
                    raise Skip("no run waits")
        except GONE as error:
            raise EngineDown(f"Prefect: {type(error).__name__}") from error


def read_runs(chosen: FlowRunFilter, *, limit: int, offset: int = 0) -> list[FlowRun]:
    """The runs of that filter, newest id first. A state that Prefect keeps and its client cannot read is left out: such a
    run has none, and keeps no other from being read."""
    asked = {"flow_runs": chosen.model_dump(mode="json"), "limit": limit, "offset": offset, "sort": "ID_DESC"}
    return [run for one in client().request("POST", "/flow_runs/filter", json=asked).json() if (run := _run_of(one))]


def _run_of(raw: dict[str, Any]) -> FlowRun | None:
    for given in (raw, {**raw, "state": None}):
        try:
            return FlowRun.model_validate(given)
        except ValidationError:
            continue
    return None


def displaced(run: FlowRun) -> bool:
    """Whether a run stands in no queue of ours, where no worker looks for it."""
    return run.work_pool_name != settings().work_pool or run.work_queue_name not in (DEFAULT_QUEUE, LONG_WORK)


def put_off(run: FlowRun) -> bool:
    """Whether a scheduled run is not to start for a while. We never do that; whoever reaches the API can."""
    due = run.next_scheduled_start_time
    return due is not None and due > datetime.now(UTC) + SOON


def read_run(run_id: str | None) -> FlowRun | None:
    """One run, as by :func:`read_runs`; ``None`` when Prefect does not know it."""
    if run_id is None:
        return None
    found = read_runs(FlowRunFilter(id=FlowRunFilterId(any_=[UUID(run_id)])), limit=1)
    return found[0] if found else None


def run_name(case: Case) -> str:
    """``关店 · 晨光文具 · CLS-261122-7K3QM9``."""
    return " · ".join(filter(None, (case.kind.label, shortened(case.subject, 40), case.id)))


def run_tags(case: Case, asked: Sequence[str] = ()) -> list[str]:
    """Who is asked, if anybody, then kind, shop and case, for the run list's filters.

    In this order, because the run's page shows three tags and hides the rest.
    """
    shop = [f"店铺:{shortened(case.subject, 40)}", case.shop_id] if case.shop_id else []
    return [*asked, case.kind.label, case.id, *shop]


def _key_of(case: Case, attempt: int) -> str:
    """The idempotency key of a case's run: nobody knows it before the run is there."""
    return f"{case.id}/{attempt}/{keyed_hash(f'run|{case.id}/{attempt}')[:24]}"


def _planted(tx: Tx, case: Case, attempt: int, run_id: str) -> None:
    """Somebody has made a run under the key of ours: pass over the key, and tell."""
    row = lock_case(tx, case.id)
    row.run_attempt = max(row.run_attempt, attempt)
    tx.add(row)
    alarms.raise_alarm(
        tx,
        "run.planted",
        "案件的下一次运行已被人以同一标识建立,内容不是系统所写的,未予采用",
        kind="planted",
        case=row,
        matter=f"运行 {run_id}",
        done="案件将由另一次运行承载。说明有人能使用 Prefect 接口,请核实并更换其口令。",
        run=run_id,
    )


def start_run(case: Case) -> UUID:
    """Create the case's next run, once per attempt, and write it down."""
    attempt, deployed = case.run_attempt + 1, deployment_id(case.kind)
    run = client().create_flow_run_from_deployment(
        deployed,
        parameters={"case_id": case.id},
        name=run_name(case),
        tags=run_tags(case),
        idempotency_key=_key_of(case, attempt),
        state=Scheduled(),
    )
    if run.deployment_id != deployed or run.parameters != {"case_id": case.id}:
        in_transaction(lambda tx: _planted(tx, case, attempt, str(run.id)))
        raise EngineDown("the next run of the case was there already and is not ours")

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
    """Run id → what Prefect says of it, for those that are not suspended; ``None`` for what it does not know.

    Of a scheduled one the message says what is amiss, if anything.

    Nearly all wait, and counting those costs a fraction of reading them.
    """
    ids = [UUID(run_id) for run_id in run_ids]
    found: dict[str, Found | None] = {}
    for part in (ids[at : at + AT_ONCE] for at in range(0, len(ids), AT_ONCE)):
        these = FlowRunFilterId(any_=part)
        if client().count_flow_runs(flow_run_filter=FlowRunFilter(id=these, state=SUSPENDED)) == len(part):
            continue
        known = {run.id: run for run in read_runs(FlowRunFilter(id=these), limit=AT_ONCE)}
        for run_id in part:
            run = known.get(run_id)
            state = run.state if run is not None else None
            if run is None:
                found[str(run_id)] = None
            elif state is None:
                found[str(run_id)] = (StateType.CRASHED, UNREADABLE, datetime.now(UTC))
            elif not state.is_paused():
                said = _amiss(run) if state.is_scheduled() else state.message or ""
                if state.is_scheduled() and not said and run.work_queue_name == LONG_WORK:
                    continue  # its turn may come in hours
                found[str(run_id)] = (state.type, said, state.timestamp or datetime.now(UTC))
    return found


def _amiss(run: FlowRun) -> str:
    """Why a scheduled run will not start by itself; nothing when it only waits for its turn."""
    if put_off(run):
        return PUT_OFF
    return DISPLACED if displaced(run) else ""


def deliver(engine: Engine, item: Item) -> str:
    """Deliver a wake-up, or what the run list should show, from the outbox."""
    if item.case_id is None:
        raise Skip("no case")
    try:
        (engine.retag if item.topic == outbox.TAGS else engine.signal)(item.case_id)
        return ""
    except EngineDown as down:
        raise Undeliverable(str(down)) from down
