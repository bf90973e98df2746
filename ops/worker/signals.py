"""Learn of work at once: the server's event stream, subscribed to for one work pool.

An event is only a wake-up. What is due is asked of the server afterwards, so lost, late and double events
do no harm; the poll in worker.py is the net under this.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from prefect.events.clients import get_events_subscriber
from prefect.events.filters import (
    EventAnyResourceFilter,
    EventFilter,
    EventNameFilter,
    EventResourceFilter,
)
from prefect.events.schemas.events import ResourceSpecification

WATCHED_STATE_TYPES = ["SCHEDULED", "CANCELLING", "PAUSED"]

OnSignal = Callable[[str, UUID, datetime], None]
"""Called with the state type, the flow run and when it happened."""


def filter_for(work_pool_id: UUID) -> EventFilter:
    """Runs of one pool entering a state that concerns a worker.

    By state type, not by event name: the name is the state's (`Scheduled`, `Resuming`, `AwaitingRetry`, …).
    """
    return EventFilter(
        event=EventNameFilter(prefix=["prefect.flow-run."]),
        resource=EventResourceFilter(labels=ResourceSpecification({"prefect.state-type": list(WATCHED_STATE_TYPES)})),
        any_resource=EventAnyResourceFilter(id=[f"prefect.work-pool.{work_pool_id}"]),
    )


async def listen(
    work_pool_id: UUID,
    on_signal: OnSignal,
    on_connected: Callable[[bool], None],
    logger: logging.Logger | logging.LoggerAdapter[Any],
) -> None:
    """Listen for ever, connecting again whenever the stream breaks. `on_connected` hears of every change."""
    pause = 0.5
    while True:
        try:
            subscriber = get_events_subscriber(
                filter=filter_for(work_pool_id), reconnection_attempts=0, reconnect_on_clean_close=False
            )
            async with subscriber:
                on_connected(True)
                pause = 0.5
                async for event in subscriber:
                    run = event.resource.id.removeprefix("prefect.flow-run.")
                    on_signal(event.resource.get("prefect.state-type") or "", UUID(run), event.occurred)
        except Exception as error:  # noqa: BLE001 - whatever ends the stream, the poll carries on and we connect again
            logger.debug("Event stream lost, connecting again in %.1f s: %s", pause, error)
        on_connected(False)
        await asyncio.sleep(pause)
        pause = min(pause * 2, 10)
