"""Flow objects by deployment, kept loaded, and the question whether their code is still the code on disk."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import FlowRun
from prefect.flows import Flow, load_flow_from_entrypoint, load_flow_from_flow_run


class FlowShelf:
    """The flows of one code root, imported once."""

    def __init__(self, root: str | None) -> None:
        self._root = root
        self._flows: dict[str, Flow[Any, Any]] = {}
        self._stamps: dict[str, int] = {}
        if root is not None:
            os.chdir(root)
            sys.path.insert(0, root)

    def load(self, entrypoint: str) -> Flow[Any, Any]:
        """The flow at `flows/file.py:name` (or `module:name`) under the root."""
        if entrypoint not in self._flows:
            self._flows[entrypoint] = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
            self._note_stamps(entrypoint)
        return self._flows[entrypoint]

    def holds(self, entrypoint: str) -> bool:
        """Whether this flow was loaded before."""
        return entrypoint in self._flows

    def outdated(self) -> bool:
        """Whether any file we imported from under the root has changed or gone since."""
        return any(_stamp(path) != stamp for path, stamp in self._stamps.items())

    def _note_stamps(self, entrypoint: str) -> None:
        if self._root is None:
            return
        prefix = os.path.join(self._root, "")  # noqa: PTH118 - a string prefix with its separator
        files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
        files.append(str(Path(self._root, entrypoint.rpartition(":")[0])))
        for file in files:
            if file and file.startswith(prefix) and "site-packages" not in file:
                self._stamps.setdefault(file, _stamp(file))


def load_elsewhere(flow_run: FlowRun) -> Flow[Any, Any]:
    """A flow that is not simply files under a path (pull steps, storage blocks): Prefect's own way, once."""
    return asyncio.run(load_flow_from_flow_run(flow_run, use_placeholder_flow=False))


def _stamp(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - called for every file at every segment
    except OSError:
        return -1
