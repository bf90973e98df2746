"""Imported by every Python of a stack under test, because its folder is on their path: at each effect, just before
and just after it is committed, the process asks the test whether to go on. Who is killed gets no answer.
"""

from __future__ import annotations

import os
import socket
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

NAME, ASK = "office.base.db", "TEST_EFFECTS_ASK"


def ask(when: str, key: str) -> bool:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(os.environ[ASK])
        line.sendall(f"{when} {key}\n".encode())
        line.recv(1)
    return False


class AfterImport:
    """Waits until the database module is imported, and has its transactions ask."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != NAME:
            return None
        sys.meta_path.remove(self)  # type: ignore[arg-type]
        spec = PathFinder.find_spec(name, path)
        assert spec is not None and spec.loader is not None
        run = spec.loader.exec_module

        def execute(module: ModuleType) -> None:
            run(module)
            from tests.deaths import listen

            listen(module.Tx, ask)

        spec.loader.exec_module = execute  # type: ignore[method-assign]
        return spec


if ASK in os.environ:
    sys.meta_path.insert(0, AfterImport())  # type: ignore[arg-type]
