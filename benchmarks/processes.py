"""What a process and everything it has started costs.

CPU is user and system time from ``/proc``, that of reaped descendants too, so it holds whatever else the machine
does. Memory is PSS, in which a page that several processes share counts once.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """A process and its living descendants."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for thread in threads for child in (thread / "children").read_text("ascii").split()]
    except OSError:
        return []
    return [pid, *(below for child in children for below in tree(child))]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, of its living descendants, and of those they have reaped."""
    used = 0
    for each in tree(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text("ascii").rpartition(")")[2].split()
            used += sum(map(int, fields[11:15]))
    return used / TICKS


def memory_mb(pid: int) -> float:
    """PSS of a process and its living descendants."""
    kilobytes = 0
    for each in tree(pid):
        with suppress(OSError):
            lines = Path(f"/proc/{each}/smaps_rollup").read_text("ascii").splitlines()
            kilobytes += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes / 1024
