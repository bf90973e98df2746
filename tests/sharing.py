"""Who shares what: tests that need the same real processes are played by one process of xdist, so that these start once.

A group is told by the file's place and words alone. Marks of xdist's own (`xdist_group`) come to nothing with this pytest,
which no longer reads what xdist writes them into, and says nothing of it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parents[1]


@cache
def group(file: str) -> str:
    """What tests of a file share with others: Prefect's server, the stack that stands, or a stack of the file's own."""
    path = ROOT / file
    match path.parent.name:
        case "worker":
            return "worker"
        case "browser" | "stack" if "\nOWN_STACK = " not in path.read_text(encoding="utf-8"):
            return "standing"
        case _:
            return file


class ByWhatIsShared(LoadScopeScheduling):
    """Gives each process one group of tests after the other."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid.partition("::")[0])
