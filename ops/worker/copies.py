"""Warm processes that are copies of the worker: what it has imported by then need not be imported by each of them again.

Copied is a worker that has nothing open yet, so that nobody speaks into anybody's connections. Prefect puts its own threads
and services right in a copy (``tests/worker/test_engine_facts.py``).
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import signal
import socket
import sys
import traceback
from typing import NoReturn

from ops.worker.segment import live

POSSIBLE = hasattr(os, "pidfd_open")
"""Where one hears of the end of a process without a thread that waits for it (Linux)."""


class Copy:
    """A copy of this process that waits for its first order: what the pool needs of asyncio's process, and the line to it."""

    def __init__(self) -> None:
        self.line, theirs = socket.socketpair()
        self.returncode: int | None = None
        self._ended = asyncio.Event()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        gc.freeze()  # what is garbage by now must not close in a copy what the copy has opened since
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _live(theirs.detach(), parent)
        theirs.close()
        self._end = os.pidfd_open(self.pid)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._end, self._bury)

    async def wait(self) -> int:
        """Wait until it has ended; its status, or the negative number of the signal that ended it."""
        await self._ended.wait()
        return self.returncode or 0

    def _bury(self) -> None:
        self._loop.remove_reader(self._end)
        os.close(self._end)
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self._ended.set()


def _live(line: int, parent: int) -> NoReturn:
    """What the copy does all its life. It never returns to whoever was running when it was made."""
    code: object = 1
    try:
        os.setsid()  # Ctrl-C is for the worker, which lets segments finish
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.closerange(3, line)
        os.closerange(line + 1, os.sysconf("SC_OPEN_MAX"))
        contextvars.Context().run(live, line, parent)
        code = 0
    except SystemExit as leaving:
        code = leaving.code
    except BaseException:  # noqa: BLE001 - told, and the worker hears of the end
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else bool(code))
