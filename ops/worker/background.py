"""What goes on beside the worker's own work: loops that no fault ends, tasks whose trouble is reported, signals to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

Logger = logging.Logger | logging.LoggerAdapter[Any]


async def for_ever(what: str, seconds: float, step: Callable[[], Awaitable[Any]], logger: Logger) -> None:
    """Repeat a step; a failing step is reported and tried again, it never ends the worker."""
    while True:
        try:
            await step()
        except Exception as error:  # noqa: BLE001 - the server may be away for a while
            logger.warning("Worker %s failed, will try again: %s", what, error)
        await asyncio.sleep(seconds)


async def quietly(coroutine: Awaitable[None], logger: Logger) -> None:
    """One segment's trouble is reported and must not end the worker."""
    try:
        await coroutine
    except Exception:
        logger.exception("Unexpected fault in the worker")


@contextlib.contextmanager
def on_stop_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Have SIGTERM and SIGINT call ``stop``, each time: Prefect's command line would cancel the event loop, which cuts off."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        for number in before:
            loop.add_signal_handler(number, stop)
    except (ValueError, RuntimeError, NotImplementedError):
        before = {}  # not in the main thread, as in embedding programs: they call `stop`
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
