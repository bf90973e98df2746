"""One segment through Prefect's own flow engine, without the calls whose answer we already have.

The engine is Prefect's. Left away are: the observer that opens a websocket for each segment to learn of a
suspension from outside (the worker has one stream for all and tells us), and reads and updates that would
repeat what the worker just read. tests/worker/test_engine_facts.py names every internal relied on here.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from prefect._flow_run_suspension import FlowRunSuspensionRequest, register_flow_run_suspension_request
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, ServerDefaultResultStorage, State
from prefect.context import ContextModel, SyncClientContext
from prefect.flow_engine import FlowRunEngine
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_KEY, PREFECT_API_URL


class SegmentClient(SyncPrefectClient):
    """Prefect's client, open for the life of the process; answers from memory what the worker handed over."""

    known: FlowRun | None = None
    """The run of this segment, as the worker read it and the engine changed it since."""

    _fresh = False
    _description: dict[str, Any] | None = None

    def begin(self, flow_run: FlowRun) -> None:
        """A new segment: what the server would answer now is `flow_run`."""
        self.known, self._fresh, self._description = flow_run, True, None
        self._policy_on_server = flow_run.empirical_policy.model_copy(deep=True)

    def read_flow_run(self, flow_run_id: UUID) -> FlowRun:
        """The first read of a segment asks for what the engine was just given; later ones are real."""
        if self._fresh and self.known is not None and self.known.id == flow_run_id:
            self._fresh = False
            if self.known.state is not None and self.known.state.is_running():
                # What the server does on entering Running and a flow may look at.
                self.known.run_count += 1
                self.known.start_time = self.known.start_time or self.known.state.timestamp  # type: ignore[assignment]
            return self.known
        return super().read_flow_run(flow_run_id)

    def update_flow_run(self, flow_run_id: UUID, **changes: Any) -> Any:  # type: ignore[override]
        """Nothing is sent when nothing would change: from its second segment on, a run is described."""
        if self.known is not None and self.known.id == flow_run_id:
            unchanged = changes == {
                "flow_version": self.known.flow_version,
                "empirical_policy": self._policy_on_server,
            }
            if unchanged:
                return None
            if "flow_version" in changes:  # how the engine describes a run as it begins: goes with what follows
                self._description = changes
                return None
            changes = {**(self._description or {}), **changes}
            self._description = None
        return super().update_flow_run(flow_run_id, **changes)

    def set_flow_run_state(self, flow_run_id: UUID | str, state: State[Any], force: bool = False) -> Any:
        """A description that nothing followed is sent before the run leaves the segment."""
        if self._description is not None and not (state.is_pending() or state.is_running()):
            changes, self._description = self._description, None
            super().update_flow_run(UUID(str(flow_run_id)), **changes)
        return super().set_flow_run_state(flow_run_id, state, force=force)

    def read_server_default_result_storage(self) -> ServerDefaultResultStorage:
        """Not asked: a block that somebody put into the API is nowhere our results may go or come from."""
        return ServerDefaultResultStorage()

    def set_flow_run_name(self, flow_run_id: UUID, name: str) -> Any:
        """A run named by its first segment keeps its name without another call."""
        if self.known is not None and self.known.id == flow_run_id and self.known.name == name:
            return None
        return super().set_flow_run_name(flow_run_id, name)


class SegmentClientContext(SyncClientContext):
    """Lets every `get_client(sync_client=True)` here, suspension included, use one open client."""

    def __init__(self, client: SegmentClient) -> None:
        ContextModel.__init__(self, client=client)


def new_client() -> SegmentClient:
    """A client built as Prefect's `get_client` builds it."""
    return SegmentClient(
        PREFECT_API_URL.value(),
        auth_string=PREFECT_API_AUTH_STRING.value(),
        api_key=PREFECT_API_KEY.value(),
    )


class SegmentEngine(FlowRunEngine[Any, Any]):
    """Prefect's engine for synchronous flows, told of cancellation and suspension by the worker."""

    cancel_requested = False

    @contextmanager
    def setup_flow_run_suspension_request(self) -> Generator[FlowRunSuspensionRequest, None, None]:
        """As Prefect's, without the observer thread, its event loop and its websocket."""
        if self.flow_run is None:
            raise ValueError("Flow run not set")
        request = self._get_flow_run_suspension_request()
        with register_flow_run_suspension_request(self.flow_run.id, request):
            request.raise_if_requested()
            yield request

    def handle_crash(self, exc: BaseException) -> None:
        """SIGTERM sent because the run is Cancelling is a cancellation, not a crash."""
        if self.cancel_requested:
            self.handle_cancellation(exc)
        else:
            super().handle_crash(exc)
