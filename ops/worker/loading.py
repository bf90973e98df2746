"""Flow objects by deployment, kept loaded, and the question whether their code is still the code on disk."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from prefect.flows import Flow, load_flow_from_entrypoint

from ops.worker import BORN

DATA = (".toml", ".j2", ".json")
"""Endings of the files that code reads once and keeps: policies, holidays, templates."""


class FlowShelf:
    """The flows of one code root, imported once."""

    def __init__(self, root: str | None) -> None:
        self._root = root
        self._flows: dict[str, Flow[Any, Any]] = {}
        self._stamps: dict[str, int] = {}
        self._packages: set[str] = set()
        self._modules = 0
        if root is not None:
            os.chdir(root)
            sys.path.insert(0, root)
            self.note_imports(BORN)

    def load(self, entrypoint: str) -> Flow[Any, Any]:
        """The flow at `flows/file.py:name` (or `module:name`) under the root."""
        if entrypoint not in self._flows:
            began = time.time_ns()
            self._flows[entrypoint] = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
            if self._root is not None:
                self._note(str(Path(self._root, entrypoint.rpartition(":")[0])), began)
            self.note_imports(began)
        return self._flows[entrypoint]

    def holds(self, entrypoint: str) -> bool:
        """Whether this flow was loaded before."""
        return entrypoint in self._flows

    def outdated(self) -> bool:
        """Whether any file we read from under the root has changed, come or gone since."""
        return any(_stamp(path) != stamp for path, stamp in self._stamps.items())

    def note_imports(self, began: int) -> None:
        """Note what has been imported since `began` (nanoseconds of the clock), and the data beside it."""
        if self._root is None or len(sys.modules) == self._modules:
            return
        self._modules = len(sys.modules)
        prefix = os.path.join(self._root, "")  # noqa: PTH118 - a string prefix with its separator
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if not file or not file.startswith(prefix) or "site-packages" in file:
                continue
            self._note(file, began)
            package, nested, _ = file.removeprefix(prefix).partition(os.sep)
            if nested and package not in self._packages:
                self._packages.add(package)
                self._note_data(prefix + package, began)

    def _note_data(self, package: str, began: int) -> None:
        for folder, _, names in os.walk(package):
            data = [os.path.join(folder, name) for name in names if name.endswith(DATA)]  # noqa: PTH118 - as above
            if data and not any(name.endswith(".py") for name in names):
                data.append(folder)  # its own time tells of files that come; beside code, code tells
            for path in data:
                self._note(path, began)

    def _note(self, path: str, began: int) -> None:
        """What was written while it was being read may have been read before or after: it counts as changed."""
        stamp = _stamp(path)
        self._stamps.setdefault(path, 0 if began <= stamp <= time.time_ns() else stamp)


def _stamp(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - called for every file at every segment
    except OSError:
        return -1
