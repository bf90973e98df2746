"""Several at the same moment, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any


def at_once(acts: Iterable[Callable[[], Any]]) -> list[BaseException]:
    """Have all of them begin together, and wait until every one has ended; what they raised."""
    acts = list(acts)
    start, raised = threading.Barrier(len(acts)), list[BaseException]()

    def run(act: Callable[[], Any]) -> None:
        start.wait()
        try:
            act()
        except BaseException as fault:
            raised.append(fault)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised
