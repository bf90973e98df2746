"""The `dianwu` worker type: flow-run segments in warm, isolated processes, started the moment they are due.

    event stream ─┐ due.py
    poll (net) ───┴─▶ worker.py ──claim──▶ pool.py ──line──▶ segment.py (one process, one segment at a time)
                        │  ▲                 │                   └─ engine.py, loading.py
                        │  └── in_hand.py ◀──┘ died, gave up, was cancelled: verdict.py
                        └── journal.py: what we hold, for the next start

Start it with `python -m ops.worker --pool P --name N` (restarts itself), with `start_worker` from Python, or
with `prefect worker start --type dianwu --pool P`. Why it is built this way: docs/decisions/0002-worker.md.
"""

import time

from ops.worker.launch import start_worker
from ops.worker.settings import WorkerSettings

__all__ = ["BORN", "WorkerSettings", "start_worker"]

BORN = time.time_ns()
"""Before this process had read any code that flows use; what was written later may not be what it has read."""
