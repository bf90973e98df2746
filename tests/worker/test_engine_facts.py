"""What the worker relies on inside Prefect 3.8.8. A failure here names what an upgrade has changed.

The comment of each test says what to look at in ops/worker when it fails.
"""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from uuid import uuid4

import pytest
from prefect import _flow_run_suspension, flow, flow_engine, results
from prefect._internal.concurrency import services, threads
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.context import SyncClientContext
from prefect.exceptions import Abort, Pause
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, Settings, get_current_settings, temporary_settings
from prefect.states import Scheduled
from prefect.workers.base import BaseWorker
from prefect.workers.server import _run_healthcheck_server

from office.base.settings import settings as tasks_settings
from office.runs import engine as case_engine
from ops import environment
from ops.worker import engine, segment, signals, worker
from tests.worker.conftest import PAUSING


def source(thing: object) -> str:
    """Source text without regard to line breaks."""
    return " ".join(inspect.getsource(thing).split())


def test_prefect_finds_the_worker_type_through_its_entry_point():
    """pyproject.toml, `prefect.collections`."""
    assert "ops.worker.worker" in {entry.value for entry in entry_points(group="prefect.collections")}
    assert BaseWorker.get_worker_class_from_type("dianwu") is worker.DianwuWorker


@pytest.mark.engine
def test_of_however_many_runs_only_those_that_do_not_wait_are_read(standing):
    """office/runs/engine.py: `restless`, by which the sweep finds lost runs of however many cases."""
    standing.write("flows/pausing.py", PAUSING)
    run = standing.submit(standing.deploy("flows/pausing.py:pausing"))
    standing.reaches(run, "Suspended")
    case_engine.client.cache_clear()
    others = [str(uuid4()) for _ in range(2 * case_engine.AT_ONCE)]
    assert case_engine.restless([str(run.id)]) == {}
    assert case_engine.restless([*others, str(run.id)]) == dict.fromkeys(others)
    later = Scheduled(scheduled_time=datetime.now(UTC) + timedelta(days=1))
    standing.client.set_flow_run_state(run.id, later, force=True)
    assert case_engine.restless([str(run.id)])[str(run.id)][0] == "SCHEDULED"
    standing.client.set_flow_run_state(run.id, Scheduled(), force=True)
    standing.until(lambda: standing.state(run).name == "Suspended" or standing.state(run).is_final())
    if not standing.state(run).is_final():
        standing.client.resume_flow_run(run.id)
    standing.reaches(run, "Completed")
    assert case_engine.restless([str(run.id)])[str(run.id)][0] == "COMPLETED"
    case_engine.client.cache_clear()


def test_what_the_server_is_spared_are_settings_of_prefects_that_are_on_unless_told(monkeypatch):
    """ops/environment.py: `SPARED`. A name that Prefect does not know would spare nothing."""
    for name, value in environment.SPARED.items():
        monkeypatch.delenv(name, raising=False)
        service = name.removeprefix("PREFECT_SERVER_SERVICES_").removesuffix("_ENABLED").lower()
        assert getattr(Settings().server.services, service).enabled is True
        monkeypatch.setenv(name, value)
        assert getattr(Settings().server.services, service).enabled is False


def test_who_wants_the_event_feed_sets_prefects_own_variable(monkeypatch):
    """ops/environment.py: what the operator's environment says comes before `SPARED`."""
    name = "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED"
    monkeypatch.delenv(name, raising=False)
    assert environment.environment(tasks_settings())[name] == "false"
    monkeypatch.setenv(name, "true")
    assert environment.environment(tasks_settings())[name] == "true"


def test_no_block_of_the_api_is_where_results_go_or_come_from():
    """ops/worker/engine.py: Prefect asks the server for its default storage; a segment is told there is none, unasked."""
    assert "read_server_default_result_storage" in source(results)
    client = engine.SegmentClient("http://127.0.0.1:1/api")
    assert client.read_server_default_result_storage().default_result_storage_block_id is None


def test_pause_and_abort_are_told_apart_from_faults_of_a_flow():
    """segment.py: `_execute`."""
    assert issubclass(Pause, BaseException) and not issubclass(Pause, Exception)
    assert issubclass(Abort, BaseException) and not issubclass(Abort, Exception)


def test_the_engine_runs_a_synchronous_flow_in_the_steps_we_repeat():
    """segment.py: `_through_engine` is Prefect's `run_flow_sync` with our engine and without its result."""
    text = source(flow_engine.run_flow_sync)
    steps = "with engine.start(): while engine.is_running(): with engine.run_context(): engine.call_flow_fn()"
    assert steps in text
    assert "parameters_to_args_kwargs(flow.fn, parameters)" in source(flow_engine._flow_parameters)
    assert "get_call_parameters(flow.fn, call_args, call_kwargs)" in source(flow_engine._flow_parameters)


def test_the_engine_observes_suspension_in_the_one_method_we_replace():
    """engine.py: `SegmentEngine.setup_flow_run_suspension_request`."""
    text = source(flow_engine.BaseFlowRunEngine.setup_flow_run_suspension_request)
    assert "observe_flow_run_suspension(" in text
    assert "register_flow_run_suspension_request(" in text
    assert "raise_if_requested() yield flow_run_suspension_request" in text
    assert source(flow_engine).count("observe_flow_run_suspension(") == 1
    assert "setup_flow_run_suspension_request" in vars(engine.SegmentEngine)


def test_a_suspension_told_to_the_process_reaches_the_running_flow():
    """segment.py: `_interrupt`."""
    parameters = inspect.signature(_flow_run_suspension.mark_flow_run_suspension_requested).parameters
    assert list(parameters) == ["flow_run_id", "state"]


def test_a_termination_signal_without_prefects_own_supervisor_ends_in_handle_crash():
    """engine.py: `handle_crash` turns it into a cancellation when the worker asked for one."""
    assert "self.handle_crash(exc)" in source(flow_engine.FlowRunEngine.initialize_run)
    assert list(inspect.signature(flow_engine.FlowRunEngine.handle_crash).parameters) == ["self", "exc"]
    assert list(inspect.signature(flow_engine.FlowRunEngine.handle_cancellation).parameters) == ["self", "exc"]


def test_the_engine_describes_and_reads_the_run_once_each_through_the_client():
    """engine.py: `SegmentClient` answers these calls from memory."""
    described = source(flow_engine.FlowRunEngine.initialize_run)
    assert (
        "self.client.update_flow_run( flow_run_id=self.flow_run.id, flow_version=self.flow.version, "
        "empirical_policy=self.flow_run.empirical_policy, )"
    ) in described
    assert source(flow_engine.FlowRunEngine).count("client.read_flow_run(") == 1
    assert "client.read_flow_run(self.flow_run.id)" in source(flow_engine.FlowRunEngine.setup_run_context)
    for name in ("read_flow_run", "update_flow_run", "set_flow_run_name"):
        assert callable(getattr(SyncPrefectClient, name))


def test_one_open_client_serves_the_engine_and_every_helper_in_the_process(monkeypatch):
    """engine.py: `SegmentClientContext`."""
    assert "SyncClientContext.get_or_create()" in source(flow_engine.FlowRunEngine.initialize_run)
    assert set(SyncClientContext.model_fields) == {"client"}
    assert set(SyncClientContext.__private_attributes__) == {"_token", "_httpx_settings", "_context_stack"}


def test_heartbeats_can_be_switched_off_by_setting_only_from_code():
    """segment.py: `main`. There is no text for the environment variable that means none."""
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        assert get_current_settings().flows.heartbeat_frequency is None


def test_asynchronous_and_generator_flows_are_known_by_these_flags():
    """segment.py: `_run_stock`."""

    @flow
    async def waits() -> None: ...

    @flow
    def yields():
        yield 1

    @flow
    def plain() -> None: ...

    assert (waits.isasync, waits.isgenerator) == (True, False)
    assert (yields.isasync, yields.isgenerator) == (False, True)
    assert (plain.isasync, plain.isgenerator) == (False, False)
    assert callable(segment.run_flow)


def test_the_worker_base_class_has_the_parts_we_build_on():
    """worker.py."""
    for name in (
        "sync_with_backend",
        "_emit_worker_started_event",
        "is_worker_still_polling",
        "get_flow_run_logger",
        "kill_infrastructure",
    ):
        assert callable(getattr(BaseWorker, name)), name
    bare = source(BaseWorker.__init__)
    for name in ("_work_pool", "_work_queues", "_limit", "_prefetch_seconds", "_started_event"):
        assert f"self.{name}" in bare, name
    assert "self.is_setup = True" in source(BaseWorker.setup)


def test_the_health_check_of_a_worker_is_a_server_that_asks_whether_it_still_polls():
    """worker.py: `start`."""
    assert list(inspect.signature(_run_healthcheck_server).parameters)[:1] == ["is_healthy"]


def test_state_types_named_in_event_labels_are_those_of_the_client():
    """signals.py."""
    assert set(signals.WATCHED_STATE_TYPES) <= {kind.value for kind in StateType}


def test_in_a_copy_of_a_process_prefect_begins_its_threads_and_services_anew():
    """copies.py."""
    for module in (threads, services):
        assert "os.register_at_fork(after_in_child=" in source(module), module.__name__


@pytest.mark.engine
def test_the_server_lets_a_completed_run_be_claimed_again_so_the_worker_must_undo_it(bench):
    """verdict.py: `undo_late_claim`. Should the server refuse this one day, it can go."""
    from prefect.states import Completed, Pending

    bench.write("flows/none.py", "")
    run = bench.submit(bench.deploy("flows/none.py:none"))
    bench.client.set_flow_run_state(run.id, Completed(), force=True)
    assert bench.client.set_flow_run_state(run.id, Pending()).status.value == "ACCEPT"


@pytest.mark.engine
def test_of_two_claims_of_one_scheduled_run_the_server_refuses_the_second(bench):
    """in_hand.py: `claim`."""
    from prefect.states import Pending

    bench.write("flows/none.py", "")
    run = bench.submit(bench.deploy("flows/none.py:none"))
    assert bench.client.set_flow_run_state(run.id, Pending()).status.value == "ACCEPT"
    assert bench.client.set_flow_run_state(run.id, Pending()).status.value == "ABORT"
