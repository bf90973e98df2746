"""Start a worker, and start it again when it falls. Light on imports: this process outlives the worker."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

PR_SET_PDEATHSIG = 1
HEALTHY_SECONDS = 60
"""A worker that lived this long starts again at once; one that falls sooner waits longer each time."""


def command(pool: str, name: str | None = None, extra: Sequence[str] = ()) -> list[str]:
    """Prefect's own command line for one worker, without anything around it."""
    named = ["--name", name] if name else []
    return [
        *(sys.executable, "-m", "prefect", "worker", "start", "--type", "dianwu", "--pool", pool),
        *named,
        *extra,
    ]


def start_worker(
    pool: str, name: str | None = None, env: Mapping[str, str] | None = None, *, supervised: bool = True
) -> subprocess.Popen[bytes]:
    """Start a worker for a work pool in a process of its own; `env` is added to ours.

    Supervised, it is started again after a fault. SIGTERM stops it gracefully; `wait()` returns when it has ended.
    """
    arguments = command(pool, name)
    if supervised:
        arguments = [sys.executable, "-m", "ops.worker", "--pool", pool, *(["--name", name] if name else [])]
    return subprocess.Popen(arguments, env={**os.environ, **(env or {})})


def stop_with_parent() -> None:
    """A worker whose supervisor was killed stops gracefully, so that the next supervisor starts the only one."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def supervise(arguments: Sequence[str]) -> int:
    """Keep one worker running until it ends by itself with success or we are told to stop."""
    stopping = False
    worker: subprocess.Popen[bytes] | None = None

    def forward(number: int, _: object) -> None:
        nonlocal stopping
        stopping = True
        if worker is not None and worker.poll() is None:
            worker.send_signal(number)

    signal.signal(signal.SIGTERM, forward)
    signal.signal(signal.SIGINT, forward)
    pause = 1.0
    while True:
        born = time.monotonic()
        # Its own session: Ctrl-C reaches the worker once, through us.
        worker = subprocess.Popen(arguments, start_new_session=True, preexec_fn=stop_with_parent)  # noqa: PLW1509 - this process has one thread
        code = worker.wait()
        if stopping or code == 0:
            return max(code, 0)
        pause = 1.0 if time.monotonic() - born > HEALTHY_SECONDS else min(pause * 2, 60)
        print(f"Worker ended with {code}; starting it again in {pause:.0f} s", file=sys.stderr, flush=True)
        time.sleep(pause)
        if stopping:
            return 0
