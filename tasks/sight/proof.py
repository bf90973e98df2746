"""Proof: what must be true between payouts, postings and cases, checked over the whole database.

``office.money.ledger.check`` proves that the books add up; every process proves that they say what happened to it.
"""

from __future__ import annotations

from collections.abc import Iterator

from office.base.db import Tx
from office.money import ledger
from office.process import office


def check(tx: Tx) -> Iterator[str]:
    """What is wrong, a Chinese sentence each; nothing when every invariant holds. Includes the ledger's own."""
    yield from ledger.check(tx)
    for process in office().processes:
        if process.proves:
            yield from process.proves(tx)
