"""Imported by every Python of a stack under test, because its folder is on their path: at each effect, just before
and just after it is committed, the process asks the test whether to go on. Who is killed gets no answer. And a month's chunks
are small, so that it needs few shops to have two.
"""

from __future__ import annotations

import os
import socket
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

ASK, SHOPS = "TEST_EFFECTS_ASK", 600


def ask(when: str, key: str) -> bool:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(os.environ[ASK])
        line.sendall(f"{when} {key}\n".encode())
        line.recv(1)
    return False


def effects_ask(module: Any) -> None:
    from tests.deaths import listen

    listen(module.Tx, ask)


def chunks_are_small(module: Any) -> None:
    module.CHUNK = SHOPS
    module.draft_chunk.__defaults__ = (SHOPS,)


AFTER = {"office.base.db": effects_ask, "tasks.invoicing.drafts": chunks_are_small}


class AfterImport:
    """Waits until a module is imported, and does to it what is to be done."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in AFTER:
            return None
        then = AFTER.pop(name)
        spec = PathFinder.find_spec(name, path)
        assert spec is not None and spec.loader is not None
        run = spec.loader.exec_module

        def execute(module: ModuleType) -> None:
            run(module)
            then(module)

        spec.loader.exec_module = execute  # type: ignore[method-assign]
        return spec


if ASK in os.environ:
    sys.meta_path.insert(0, AfterImport())  # type: ignore[arg-type]
